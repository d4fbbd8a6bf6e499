#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# the real gateway with a real broker and catalog: strangers, liars, faults; what is acked is in Kafka, in order
# timeout: 900
# order: 55
# jobs: 1
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"
source "$POFR_TREE/deploy/lib/kafka.sh"

BUILD=$POFR_TREE/build/dev
W=$POFR_TEST_WORK
PORT_FILE=$W/gateway.port
export POFR_NO_BUILD=1 POFR_BUILD=$BUILD POFR_PEER_TIMEOUT=60

ctl() { "$BUILD/ctl/pofrctl" --quiet --config "$POFR_STATE/etc/ctl.conf" "$@"; }
peer() { "$BUILD/tests/support/gateway_peer" "$@"; }
at() { printf '127.0.0.1:%s' "$(cat "$PORT_FILE")"; }
kafka() { kcat -b "127.0.0.1:$(part_field kafka 3)" "$@"; }

# --- a gateway of our own: its configuration, its log, its pid ---------------------------------------

# gateway_conf [SECTION.NAME=VALUE...]: what differs from quickstart's
gateway_conf() {
    local option
    mkdir -p "$W/gw"
    {
        printf '[gateway]\nname = suite\nlisten = 127.0.0.1:%s\nhost_key_file = %s\nstate_dir = %s\n' \
            "$(cat "$PORT_FILE" 2>/dev/null || free_port | tee "$PORT_FILE")" "$W/gw/host_key" "$W/gw"
        printf '[kafka]\nbrokers = 127.0.0.1:%s\n' "$(part_field kafka 3)"
        printf '[catalog]\naddress = 127.0.0.1:%s\nuser = pofr_gateway\npassword_file = %s\n' \
            "$(part_field head 3)" "$W/gateway.pw"
        [[ " $* " == *" catalog.refresh="* ]] || printf 'refresh = 1s\n'
        printf '[metrics]\nlisten = 127.0.0.1:%s\n' "$(cat "$W/metrics.port" 2>/dev/null || free_port | tee "$W/metrics.port")"
        [[ " $* " == *" gateway.threads="* ]] || printf '[gateway]\nthreads = 2\n'
        for option; do
            printf '[%s]\n%s\n' "${option%%.*}" "${option#*.}"
        done
    } >"$W/gateway.conf"
}

gateway_pid() { cat "$W/gateway.pid"; }
gateway_lives() { kill -0 "$(gateway_pid 2>/dev/null)" 2>/dev/null; }
gateway_log() { grep -a "$@" "$W/gateway.log"; }
http() { curl -s -o "${2:-/dev/null}" -w '%{http_code}' "http://127.0.0.1:$(cat "$W/metrics.port")/$1"; }
is_ready() { [[ $(http readyz) == 200 ]]; }
figure() { # NAME{LABELS}
    http metrics "$W/metrics" >/dev/null
    awk -v name="$1" '$1 == name { print $2 }' "$W/metrics"
}

# gateway_launch: start it with the configuration that is there, do not wait
gateway_launch() {
    (
        exec 9>&-
        exec setsid "$BUILD/gateway/pofr-gateway" --config "$W/gateway.conf"
    ) </dev/null >>"$W/gateway.log" 2>&1 &
    echo "$!" >"$W/gateway.pid"
}

# gateway [OPTION...]: running with these options, anew
gateway() {
    kill -CONT "$(part_field kafka 2)" # a case that failed may have left it stopped
    gateway_end
    gateway_conf "$@"
    gateway_launch
    wait_until 30 is_ready
}

is_gone() { ! gateway_lives; }

gateway_end() {
    gateway_lives || return 0
    kill -TERM "$(gateway_pid)"
    wait_until 30 is_gone
}

gateway_kill() {
    kill -KILL "$(gateway_pid)"
    wait_until 10 is_gone
}

# The sanitizers' word is the last one in each case.
gateway_is_sound() {
    gateway_end
    fails grep -aE 'Sanitizer|runtime error|Assertion' "$W/gateway.log"
}

# --- what all need ------------------------------------------------------------------------------------

cluster() {
    [[ ! -e $W/cluster ]] || return 0
    build_preset dev --target pofr-gateway gateway_peer gateway_attack pofrctl
    quickstart start kafka head
    ctl migrate
    ctl topic create
    (umask 077 && cat "$POFR_STATE/secrets/gateway.pw" >"$W/gateway.pw") # the part's own is for the part's user alone
    touch "$W/cluster"
}

token() { # [OPTION...]: the secret of a new one
    ctl token create --gateway-key-file "$W/gw/host_key.pub" --gateway "$(at)" --force --output "$W/token" "$@" >/dev/null
    awk -F. '{ print $NF }' "$W/token"
    rm -f "$W/token"
}

# host NAME: enrolled, with a key of its own in $W/NAME/key; prints its uuid
host() {
    if [[ ! -e $W/$1/uuid ]]; then
        mkdir -p "$W/$1/spool"
        ssh-keygen -q -t ed25519 -N '' -f "$W/$1/key"
        peer enrol "$(at)" "$W/$1/key" "$(token)" | awk '$1 == "enrolled" { print $2 }' >"$W/$1/uuid"
    fi
    cat "$W/$1/uuid"
}

# spool NAME FIRST LAST BYTES [WRONG]
spool() { peer make "$W/$1/spool" "$W/$1/key" "$(host "$1")" "$2" "$3" "$4" "${@:5}"; }
ship() { peer send "$(at)" "$W/$1/key" "$(host "$1")" "$W/$1/spool" "$2" "$3" "${@:4}"; }

# published NAME: the sequences of its messages, in the order of the topic
published() {
    kafka -C -q -e -o beginning -t pofr.snapshots -f '\nKEY %k\n%s' | grep -aE '^(KEY|sequence) ' |
        awk -v host="$(host "$1")" '$1 == "KEY" { mine = $2 == host } $1 == "sequence" && mine { print $2 }'
}

# acked NAME of what ship printed
acks() { awk '$1 == "ack" { print $2 }' "$1"; }

lines_of() { [[ $(grep -ac "$2" "$1" 2>/dev/null) -ge $3 ]]; }

# --- the cases ----------------------------------------------------------------------------------------

bundles_are_acked_and_lie_in_the_topic_in_order() {
    cluster
    gateway
    spool alpha 1 50 30000
    ship alpha 1 50 >"$W/out"
    equal "$(acks "$W/out" | tr '\n' ' ')" "$(seq 1 50 | tr '\n' ' ')" acks
    equal "$(published alpha | tr '\n' ' ')" "$(seq 1 50 | tr '\n' ' ')" published
    equal "$(figure 'pofr_gateway_bundles_total{result="acked"}')" 50 "acked by the figures"
    gateway_is_sound
}

messages_have_their_headers_and_the_bytes_that_were_signed() {
    local uuid
    cluster
    gateway
    uuid=$(host alpha)
    spool alpha 51 52 1000
    ship alpha 51 52 >"$W/out"
    kafka -C -q -e -o beginning -t pofr.snapshots -f '%k %o %h\n' | grep "^$uuid " | sort -k2n | tail -1 >"$W/headers"
    grep -q 'pofr-version=1,pofr-received=1[0-9]*,pofr-gateway=suite,pofr-peer=127.0.0.1:[0-9]*,pofr-boot=22222222-2222-2222-2222-222222222222,pofr-offset=[0-9]*,pofr-uncertainty=[0-9]*$' \
        "$W/headers"
    # value = what was sealed, byte for byte
    kafka -C -q -e -o beginning -t pofr.snapshots -f '%k %p %o\n' | grep "^$uuid " | sort -k3n | tail -1 >"$W/place"
    read -r _ partition offset <"$W/place"
    kafka -C -q -c 1 -t pofr.snapshots -p "$partition" -o "$offset" -f '%s' | cmp - "$W/alpha/spool/52"
    gateway_is_sound
}

a_topic_with_other_settings_is_refused_at_the_start() {
    local status=0
    cluster
    gateway_end
    kafka_tool org.apache.kafka.tools.TopicCommand --bootstrap-server "127.0.0.1:$(part_field kafka 3)" --create \
        --if-not-exists --topic wrong --partitions 2 --replication-factor 1 --config cleanup.policy=compact
    gateway_conf kafka.topic=wrong
    "$BUILD/gateway/pofr-gateway" --config "$W/gateway.conf" >"$W/out" 2>&1 || status=$?
    equal "$status" 3 "exit code"
    grep -q 'cleanup.policy is compact, must be delete' "$W/out"
    grep -q 'flush.messages is 9223372036854775807, must be 1' "$W/out"
    gateway_conf kafka.topic=missing "kafka.start_wait=0"
    status=0
    "$BUILD/gateway/pofr-gateway" --config "$W/gateway.conf" >"$W/out" 2>&1 || status=$?
    equal "$status" 3 "exit code"
    grep -q 'there is no such topic' "$W/out"
}

a_token_is_redeemed_once_and_the_same_key_gets_the_same_answer() {
    local secret
    cluster
    gateway
    secret=$(token)
    for name in t1 t2; do ssh-keygen -q -t ed25519 -N '' -f "$W/$name"; done
    peer enrol "$(at)" "$W/t1" "$secret" >"$W/first"
    peer enrol "$(at)" "$W/t1" "$secret" >"$W/again"
    equal "$(cat "$W/again")" "$(cat "$W/first")" "second answer"
    grep -q '^enrolled .* peer__.example[-0-9]* approved$' "$W/first"
    fails peer enrol "$(at)" "$W/t2" "$secret" >"$W/out"
    grep -q '^refuse 0 token later' "$W/out"
    fails peer enrol "$(at)" "$W/t2" "not a token" >"$W/out"
    grep -q '^refuse 0 token later' "$W/out"
    fails peer enrol "$(at)" "$W/t1" "$(token)" >"$W/out" # its key is there already
    grep -q '^refuse 0 token later' "$W/out"
    gateway_is_sound
}

a_host_that_waits_for_approval_is_told_so() {
    local name
    cluster
    gateway
    ssh-keygen -q -t ed25519 -N '' -f "$W/p1"
    peer enrol "$(at)" "$W/p1" "$(token --approve)" >"$W/out"
    grep -q ' pending$' "$W/out"
    read -r _ uuid name _ <"$W/out"
    peer hello "$(at)" "$W/p1" "$uuid" >"$W/out"
    grep -q '^refuse 0 pending later' "$W/out"
    ctl host approve "$name"
    (POFR_PEER_TIMEOUT=1 peer hello "$(at)" "$W/p1" "$uuid" >"$W/out" || true)
    wait_until 10 try_welcome "$W/p1" "$uuid"
    gateway_is_sound
}

try_welcome() {
    POFR_PEER_TIMEOUT=1 peer hello "$(at)" "$1" "$2" >"$W/try" || true
    grep -q '^welcome ' "$W/try"
}

# One connection in bash: bytes in, then it must be closed by the gateway within SECONDS (a reset is one way to close)
closed_within() {
    local seconds=$1 fd
    exec {fd}<>"/dev/tcp/127.0.0.1/$(cat "$PORT_FILE")"
    cat >&"$fd" || cat >/dev/null # a connection that is closed already is what we want; whoever writes is not to notice
    timeout "$seconds" cat <&"$fd" >/dev/null || [[ $? -eq 1 ]]
    exec {fd}>&-
}

garbage_before_the_login_is_cut_off() {
    local kind
    cluster
    gateway limits.auth_time=3s
    printf 'GET / HTTP/1.1\r\n\r\n' | closed_within 2
    printf 'SSH-1.5-old\r\n' | closed_within 2
    head -c 200000 /dev/zero | tr '\0' 'x' | closed_within 5
    head -c 300 /dev/urandom | closed_within 5
    { printf 'SSH-2.0-x\r\n' && head -c 5000 /dev/urandom; } | closed_within 5
    { printf 'SSH-2.0-x\r\n' && head -c 5000 /dev/zero; } | closed_within 5
    printf '' | closed_within 5 # nothing for ever
    printf 'SSH-2.0-' | closed_within 5
    printf 'SSH-2.0-x\r\n' | closed_within 5
    is_ready
    [[ $(figure 'pofr_gateway_handshakes_total{result="timeout"}') -ge 3 ]]
    spool alpha 1 1 30000
    ship alpha 1 1 >"$W/out"
    gateway_is_sound
}

the_banner_does_not_tell_the_library() {
    cluster
    gateway
    exec 7<>"/dev/tcp/127.0.0.1/$(cat "$PORT_FILE")"
    read -r -t 5 line <&7
    exec 7>&-
    equal "${line%$'\r'}" "SSH-2.0-pofr" banner
    gateway_is_sound
}

ssh_() {
    timeout 10 ssh -F /dev/null -p "$(cat "$PORT_FILE")" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes \
        -o ConnectTimeout=5 -i "$W/alpha/key" -o IdentitiesOnly=yes "$@" </dev/null
}

whatever_is_not_the_subsystem_is_refused_and_counted() {
    local uuid
    cluster
    gateway limits.auth_time=3s
    uuid=$(host alpha)
    fails ssh_ "$uuid@127.0.0.1" true
    fails ssh_ -tt "$uuid@127.0.0.1"
    fails ssh_ -s "$uuid@127.0.0.1" sftp
    fails ssh_ -N -o ExitOnForwardFailure=yes -R 127.0.0.1:0:127.0.0.1:1 "$uuid@127.0.0.1"
    fails ssh_ -W 127.0.0.1:1 "$uuid@127.0.0.1"
    [[ $(figure 'pofr_gateway_requests_refused_total{request="exec"}') -ge 1 ]]
    [[ $(figure 'pofr_gateway_requests_refused_total{request="shell"}') -ge 1 ]]
    [[ $(figure 'pofr_gateway_requests_refused_total{request="pty"}') -ge 1 ]]
    [[ $(figure 'pofr_gateway_requests_refused_total{request="subsystem"}') -ge 1 ]]
    [[ $(figure 'pofr_gateway_requests_refused_total{request="channel"}') -ge 1 ]]
    [[ $(figure 'pofr_gateway_requests_refused_total{request="global"}') -ge 1 ]]
    gateway_is_sound
}

only_an_ed25519_key_logs_in() {
    local uuid before
    cluster
    gateway limits.auth_time=3s
    uuid=$(host alpha)
    ssh-keygen -q -t rsa -b 2048 -N '' -f "$W/rsa" <<<y
    before=$(figure 'pofr_gateway_handshakes_total{result="denied"}')
    fails ssh_ -o PreferredAuthentications=password,keyboard-interactive,none "$uuid@127.0.0.1" -s pofr
    fails timeout 10 ssh -F /dev/null -p "$(cat "$PORT_FILE")" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
        -o BatchMode=yes -o IdentitiesOnly=yes -i "$W/rsa" -s "$uuid@127.0.0.1" pofr </dev/null
    [[ $(figure 'pofr_gateway_handshakes_total{result="denied"}') -gt $before ]]
    gateway_is_sound
}

who_is_not_the_host_sends_nothing() {
    local alpha beta
    cluster
    gateway
    alpha=$(host alpha) beta=$(host beta)
    ssh-keygen -q -t ed25519 -N '' -f "$W/stranger" <<<y
    fails peer hello "$(at)" "$W/alpha/key" "$beta" >"$W/out"
    grep -q '^login refused' "$W/out"
    fails peer hello "$(at)" "$W/alpha/key" root >"$W/out"
    grep -q '^login refused' "$W/out"
    peer hello "$(at)" "$W/alpha/key" "$alpha" "$beta" >"$W/out"
    grep -q '^refuse 0 protocol later' "$W/out"
    peer hello "$(at)" "$W/stranger" "$alpha" >"$W/out"
    grep -q '^refuse 0 revoked later' "$W/out"
    peer hello "$(at)" "$W/stranger" enrol "$alpha" >"$W/out"
    grep -q '^refuse 0 protocol later' "$W/out"
    gateway_is_sound
}

garbage_after_the_login_ends_the_session_alone() {
    local alpha i
    cluster
    gateway
    alpha=$(host alpha)
    for i in 1 2 3; do
        head -c 100000 /dev/urandom >"$W/garbage"
        peer raw "$(at)" "$W/alpha/key" "$alpha" <"$W/garbage" >"$W/out" || true # cut off in the middle
        grep -Eq '^(refuse 0 protocol|closed)' "$W/out"
    done
    printf '\377\377\377\377\005' | peer raw "$(at)" "$W/alpha/key" "$alpha" >"$W/out"
    grep -q '^refuse 0 protocol' "$W/out"
    peer raw "$(at)" "$W/alpha/key" enrol <"$W/garbage" >"$W/out" || true
    grep -Eq '^(refuse 0 protocol|closed)' "$W/out"
    is_ready
    gateway_is_sound
}

a_bad_bundle_is_refused_finally_and_the_next_goes_on() {
    local kind n=1
    cluster
    gateway limits.bundle_max=1M
    host gamma >/dev/null
    for kind in signature host payload sequence version large; do
        spool gamma 1 $((n + 1)) 2000
        if [[ $kind == large ]]; then
            spool gamma "$n" "$n" 1500000
        else
            spool gamma "$n" "$n" 2000 "$kind"
        fi
        ship gamma "$n" $((n + 1)) >"$W/out.$kind"
        equal "$(acks "$W/out.$kind")" $((n + 1)) "acked after $kind"
        n=$((n + 2))
    done
    grep -q '^refuse 1 signature final' "$W/out.signature"
    grep -q '^refuse 3 host final' "$W/out.host"
    grep -q '^refuse 5 statement final' "$W/out.payload"
    grep -q '^refuse 7 statement final' "$W/out.sequence"
    grep -q '^refuse 9 statement final' "$W/out.version"
    grep -q '^refuse 11 size final' "$W/out.large"
    equal "$(published gamma | tr '\n' ' ')" "2 4 6 8 10 12 " published
    gateway_is_sound
}

a_bundle_that_does_not_follow_is_published_with_doubt() {
    cluster
    gateway
    host delta >/dev/null
    spool delta 1 2 500
    spool delta 3 3 500 previous
    ship delta 1 3 >"$W/out"
    kafka -C -q -e -o beginning -t pofr.snapshots -f '%k %o %h\n' | grep "^$(host delta) " | sort -k2n >"$W/headers"
    equal "$(grep -c 'pofr-doubt=chain$' "$W/headers")" 1 "doubted"
    tail -1 "$W/headers" | grep -q 'pofr-doubt=chain$'
    gateway_is_sound
}

of_two_sessions_of_a_host_the_newest_wins() {
    local uuid i
    cluster
    gateway
    uuid=$(host alpha)
    for i in 1 2 3 4 5 6; do # on both threads, either way
        peer hello "$(at)" "$W/alpha/key" "$uuid" >"$W/session.$i" &
        wait_until 10 lines_of "$W/session.$i" '^welcome ' 1
    done
    for i in 1 2 3 4 5; do wait_until 10 lines_of "$W/session.$i" '^closed' 1; done
    fails grep -q '^closed' "$W/session.6"
    gateway_is_sound
    wait
}

bundles_wait_for_a_broker_that_is_down() {
    local ship_pid
    cluster
    gateway
    host epsilon >/dev/null
    spool epsilon 1 60 20000
    ship epsilon 1 10 >"$W/out"
    quickstart kill kafka
    ship epsilon 11 60 >"$W/out" &
    ship_pid=$!
    wait_until 20 lines_of "$W/out" '^welcome ' 1
    wait_until 30 is_not_ready
    fails grep -q '^ack ' "$W/out"
    quickstart start kafka
    wait "$ship_pid"
    wait_until 30 is_ready
    equal "$(published epsilon | tr '\n' ' ')" "$(seq 1 60 | tr '\n' ' ')" published
    gateway_is_sound
}

is_not_ready() { ! is_ready; }

# has_all FILE LAST: each number from 1 to LAST stands in FILE at least once, and first sightings are in order
has_all() {
    equal "$(awk '!seen[$1]++' "$1" | tr '\n' ' ')" "$(seq 1 "$2" | tr '\n' ' ')" "published, each for the first time"
}

# topic_limit BYTES: what the topic takes from now on
topic_limit() {
    kafka_tool kafka.admin.ConfigCommand --bootstrap-server "127.0.0.1:$(part_field kafka 3)" --alter \
        --entity-type topics --entity-name pofr.snapshots --add-config "max.message.bytes=$1"
}

# The first of four in flight is refused by the broker; those behind it may be there before the client knows
after_a_delivery_that_failed_nothing_is_acked_and_all_comes_again() {
    local status=0
    cluster
    gateway
    host undelivered >/dev/null
    spool undelivered 1 5 1000
    spool undelivered 2 2 400000
    ship undelivered 1 1 >"$W/out"
    topic_limit 200000
    ship undelivered 2 5 >"$W/out" || status=$?
    topic_limit 16777216
    equal "$status" 1 "the session ended"
    equal "$(acks "$W/out")" "" acks
    grep -q '^refuse 0 unavailable later' "$W/out"
    [[ $(figure 'pofr_kafka_delivery_errors_total{code="size"}') -ge 1 ]]
    ship undelivered 2 5 >"$W/out"
    equal "$(acks "$W/out" | tr '\n' ' ')" "2 3 4 5 " acks
    published undelivered >"$W/published"
    equal "$(sort -nu "$W/published" | tr '\n' ' ')" "1 2 3 4 5 " published
    gateway_is_sound
}

a_gateway_killed_with_bundles_in_flight_loses_none() {
    local point last round=0
    cluster
    gateway
    for point in gateway_after_produce:7 gateway_before_ack:5 gateway_before_ack:1; do
        round=$((round + 1))
        host "killed$round" >/dev/null
        spool "killed$round" 1 40 20000
        gateway_end
        rm -f "$W/stopped"
        POFR_STOP_AT=$point POFR_STOP_FILE=$W/stopped gateway_launch
        wait_until 30 is_ready
        ship "killed$round" 1 40 >"$W/out" 2>&1 &
        wait_until 20 lines_of "$W/stopped" . 1
        gateway_kill
        wait "$!" || true
        last=$(acks "$W/out" | tail -1)
        gateway_launch
        wait_until 30 is_ready
        ship "killed$round" $((${last:-0} + 1)) 40 >"$W/out" # an agent begins again at the first that was not acked
        published "killed$round" >"$W/published"
        has_all "$W/published" 40
    done
    gateway_is_sound
}

without_the_catalog_known_hosts_go_on_and_others_come_later() {
    local uuid
    cluster
    gateway
    uuid=$(host alpha)
    ssh-keygen -q -t ed25519 -N '' -f "$W/late" <<<y
    spool alpha 1 120 1000
    quickstart kill head
    ship alpha 53 60 >"$W/out"
    peer hello "$(at)" "$W/late" "$uuid" >"$W/out"
    grep -q '^refuse 0 unavailable later' "$W/out"
    gateway_end
    gateway_launch # with the copy alone
    wait_until 30 is_ready
    ship alpha 61 70 >"$W/out"
    fails peer enrol "$(at)" "$W/late" AAECAwQFBgcICQoLDA0ODxAREhMUFRYX >"$W/out"
    grep -q '^refuse 0 unavailable later' "$W/out"
    quickstart start head
    wait_until 30 catalog_is_up
    peer hello "$(at)" "$W/late" "$uuid" >"$W/out"
    grep -q '^refuse 0 revoked later' "$W/out"
    peer enrol "$(at)" "$W/late" "$(token)" >"$W/out"
    grep -q '^enrolled ' "$W/out"
    gateway_is_sound
}

# Its connections are of before, and it does not know yet.
who_comes_right_after_a_restart_of_the_catalog_is_answered() {
    local uuid secret
    cluster
    gateway catalog.refresh=8s
    uuid=$(host alpha)
    secret=$(token)
    ssh-keygen -q -t ed25519 -N '' -f "$W/stranger" <<<y
    ssh-keygen -q -t ed25519 -N '' -f "$W/newcomer" <<<y
    peer hello "$(at)" "$W/stranger" "$uuid" >"$W/out"
    grep -q '^refuse 0 revoked later' "$W/out"
    quickstart kill head
    quickstart start head
    peer hello "$(at)" "$W/stranger" "$uuid" >"$W/out"
    grep -q '^refuse 0 revoked later' "$W/out"
    peer enrol "$(at)" "$W/newcomer" "$secret" >"$W/out"
    grep -q '^enrolled ' "$W/out"
    gateway_is_sound
}

catalog_is_up() { [[ $(figure pofr_gateway_catalog_up) == 1 ]]; }

a_copy_that_is_damaged_is_not_used() {
    cluster
    gateway
    spool alpha 1 1 30000
    gateway_end
    printf 'x' | dd of="$W/gw/catalog" bs=1 seek=40 conv=notrunc status=none
    gateway_launch
    wait_until 30 is_ready
    gateway_log -q copy_damaged
    ship alpha 1 1 >"$W/out"
    gateway_is_sound
}

# A full disk would do the same: a file can't take the place of a folder.
a_copy_that_can_not_be_written_is_told() {
    cluster
    gateway
    copy_has_all
    rm -f -- "$W/gw/catalog"
    mkdir -p -- "$W/gw/catalog/in_the_way"
    host unsaved >/dev/null
    wait_until 20 copy_lacks_something
    gateway_log -q copy_unwritable
    rm -r -- "$W/gw/catalog"
    wait_until 20 copy_has_all
    [[ -s $W/gw/catalog ]]
    gateway_is_sound
}
copy_lacks_something() { [[ $(figure pofr_gateway_copy_unsaved_seconds) != 0.000000 ]]; }
copy_has_all() { [[ $(figure pofr_gateway_copy_unsaved_seconds) == 0.000000 ]]; }

a_retired_host_is_cut_off_within_ten_seconds() {
    local uuid name begin
    cluster
    gateway
    uuid=$(host retired)
    name=$(admin_sql head "SELECT host FROM pofr_catalog.host WHERE host_uuid = UNHEX('${uuid//-/}')")
    peer hello "$(at)" "$W/retired/key" "$uuid" >"$W/session" &
    wait_until 10 lines_of "$W/session" '^welcome ' 1
    ctl host retire "$name"
    begin=$(now_ms)
    wait_until 10 lines_of "$W/session" '^refuse 0 revoked later' 1
    wait_until 10 lines_of "$W/session" '^closed' 1
    [[ $(($(now_ms) - begin)) -lt 10000 ]]
    peer hello "$(at)" "$W/retired/key" "$uuid" >"$W/out"
    grep -q '^refuse 0 revoked later' "$W/out"
    gateway_is_sound
    wait
}

the_answer_to_hello_names_wanted_bundles() {
    local uuid
    cluster
    gateway
    uuid=$(host alpha)
    admin_sql head "REPLACE INTO pofr_catalog.wanted SELECT host_id, 3, 5, UTC_TIMESTAMP(6) FROM pofr_catalog.host
        WHERE host_uuid = UNHEX('${uuid//-/}')"
    wait_until 10 try_wanted "$uuid" 'wanted=3-5$'
    admin_sql head "DELETE FROM pofr_catalog.wanted"
    wait_until 10 try_wanted "$uuid" 'wanted=$'
    gateway_is_sound
}

try_wanted() {
    try_welcome "$W/alpha/key" "$1" && grep -q "$2" "$W/try"
}

a_reload_takes_new_limits_and_drops_no_session() {
    local uuid
    cluster
    gateway
    uuid=$(host alpha)
    peer hello "$(at)" "$W/alpha/key" "$uuid" >"$W/session" &
    wait_until 10 lines_of "$W/session" '^welcome ' 1
    host beta >/dev/null
    gateway_conf limits.window=5
    kill -HUP "$(gateway_pid)"
    wait_until 10 lines_of "$W/gateway.log" 'option_changed section=limits option=window before="16" after="5"' 1
    wait_until 10 lines_of "$W/gateway.log" ' reloaded ' 1
    try_welcome "$W/beta/key" "$(host beta)"
    grep -q ' window=5 ' "$W/try"
    gateway_conf limits.window=5 gateway.nonsense=1
    kill -HUP "$(gateway_pid)"
    wait_until 10 lines_of "$W/gateway.log" 'reload_refused .*nonsense' 1
    gateway_conf limits.window=5 kafka.topic=another
    kill -HUP "$(gateway_pid)"
    wait_until 10 lines_of "$W/gateway.log" 'reload_refused .*topic' 1
    fails grep -q '^closed' "$W/session"
    gateway_is_sound
    wait
}

a_gateway_that_drains_acks_what_it_has_taken() {
    local status=0 gateway_pid ship_pid kafka_pid
    cluster
    gateway gateway.drain_time=30s
    host drained >/dev/null
    spool drained 1 30 20000
    gateway_pid=$(gateway_pid)
    kafka_pid=$(part_field kafka 2)
    kill -STOP "$kafka_pid"
    ship drained 1 30 >"$W/out" &
    ship_pid=$!
    wait_until 20 has_unacked
    kill -TERM "$gateway_pid"
    wait_until 10 lines_of "$W/out" '^slow_down' 1
    fails peer hello "$(at)" "$W/alpha/key" "$(host alpha)" >"$W/refused"
    grep -q '^not connected' "$W/refused"
    equal "$(http readyz)" 503 "ready while it drains"
    kill -CONT "$kafka_pid"
    wait "$ship_pid" || status=$?
    equal "$status" 1 "the session ended"
    wait_until 30 is_gone
    [[ $(acks "$W/out" | wc -l) -ge 10 ]]
    published drained >"$W/published"
    equal "$(acks "$W/out" | tr '\n' ' ')" "$(tr '\n' ' ' <"$W/published")" "acked is what lies in the topic"
    gateway_is_sound
}

has_unacked() { [[ $(figure pofr_gateway_unacked_bundles) -ge 10 ]]; }

agents_slow_down_while_memory_is_short() {
    local name kafka_pid
    local -a pids=()
    cluster
    gateway limits.memory=32M limits.session_memory=64M limits.window=64 gateway.threads=1
    for name in m1 m2 m3; do
        host "$name" >/dev/null
        spool "$name" 1 20 1000000
    done
    kafka_pid=$(part_field kafka 2)
    kill -STOP "$kafka_pid"
    for name in m1 m2 m3; do
        ship "$name" 1 20 >"$W/out.$name" &
        pids+=("$!")
    done
    wait_until 30 memory_is_used
    wait_until 10 bytes_wait_in_the_kernel 3
    is_ready
    kill -CONT "$kafka_pid"
    for name in "${pids[@]}"; do wait "$name"; done
    [[ $(figure pofr_gateway_backpressure_seconds_total) != 0.000000 ]]
    for name in m1 m2 m3; do equal "$(published "$name" | tr '\n' ' ')" "$(seq 1 20 | tr '\n' ' ')" "published of $name"; done
    gateway_is_sound
}

# bytes_wait_in_the_kernel N: of so many sessions the gateway leaves there what it has no room for, and libssh too
bytes_wait_in_the_kernel() {
    awk -v port="$(printf ':%04X' "$(cat "$PORT_FILE")")" -v sessions="$1" \
        'index($2, port) && $4 == "01" && substr($5, 10) != "00000000" { n++ } END { exit n < sessions }' /proc/net/tcp
}

# all that may be is used, and no more
memory_is_used() {
    local bytes
    bytes=$(figure pofr_kafka_producer_queue_bytes)
    [[ $bytes -ge 31000000 ]] || return 1
    [[ $bytes -le 33554432 ]]
}

# Three hosts hold all of the memory with bundles that are not whole; when one of them is refused, the next goes on,
# though Kafka has nothing to tell
memory_that_a_refused_bundle_held_is_used_at_once() {
    local name fd
    local -a fds=()
    cluster
    gateway limits.memory=32M gateway.threads=1
    for name in f1 f2 f3 f4; do
        host "$name" >/dev/null
        spool "$name" 1 1 8900000
    done
    for name in f1 f2 f3; do
        rm -f "$W/$name/hold"
        mkfifo "$W/$name/hold"
        attack "$W/$name/key" "login=$(host "$name")" open subsystem "hello=$(host "$name")" read=94 \
            "bundle=$(host "$name"),$W/$name/spool/1,1,1000000" hold rest <"$W/$name/hold" >"$W/out.$name" 2>&1 &
    done
    exec 5>"$W/f1/hold" 6>"$W/f2/hold" 7>"$W/f3/hold"
    for name in f1 f2 f3; do wait_until 20 lines_of "$W/out.$name" held 1; done
    ship f4 1 1 >"$W/out" 5>&- 6>&- 7>&- &
    wait_until 20 bytes_wait_in_the_kernel 1
    fails grep -q '^ack' "$W/out"
    exec 5>&- # the rest of the first one: it is no bundle
    wait_until 10 lines_of "$W/out" '^ack 1' 1
    exec 6>&- 7>&-
    gateway_is_sound
    wait
}

one_address_can_not_take_all_places() {
    local fd i
    local -a fds=()
    cluster
    gateway limits.unauthenticated_per_address=5 limits.auth_time=60s
    for i in 1 2 3 4 5; do
        exec {fd}<>"/dev/tcp/127.0.0.1/$(cat "$PORT_FILE")"
        read -r -t 5 -u "$fd" _ # its banner: it has been let in
        fds+=("$fd")
    done
    printf '' | closed_within 2
    [[ $(figure 'pofr_gateway_connections_refused_total{reason="address"}') -ge 1 ]]
    for fd in "${fds[@]}"; do exec {fd}>&-; done
    wait_until 10 try_welcome "$W/alpha/key" "$(host alpha)"
    gateway_is_sound
}

# Is the next connection served? It leaves at once.
is_let_in() {
    local fd banner=''
    exec {fd}<>"/dev/tcp/127.0.0.1/$(cat "$PORT_FILE")"
    read -r -t 5 -u "$fd" banner || true
    exec {fd}>&-
    [[ $banner == SSH-2.0-* ]]
}

is_refused_by_rate() {
    is_let_in || true
    is_let_in || true
    [[ $(figure 'pofr_gateway_connections_refused_total{reason="rate"}') -ge 1 ]]
}

one_stranger_can_not_have_keys_exchanged_without_end() {
    cluster
    gateway
    host alpha >/dev/null
    gateway limits.connects_per_address=1 limits.connects_burst=1
    wait_until 30 is_refused_by_rate
    wait_until 30 is_let_in # with time
    wait_until 30 try_welcome "$W/alpha/key" "$(host alpha)"
    gateway_is_sound
}

attack() { "$BUILD/tests/support/gateway_attack" "$(at)" "$@"; }

# cut REASON USER STEP...: such a peer is cut for this reason, and another one is served as ever
cut() {
    local before key=$W/alpha/key
    [[ $2 != enrol ]] || key=$W/stranger
    before=$(figure "pofr_gateway_peers_cut_total{reason=\"$1\"}")
    attack "$key" "login=$2" "${@:3}" >"$W/out" || true # cut off in the middle
    grep -q '^closed' "$W/out"
    [[ $(figure "pofr_gateway_peers_cut_total{reason=\"$1\"}") -gt $before ]]
    attack "$W/beta/key" "login=$(host beta)" open subsystem "hello=$(host beta)" read=94 eof >"$W/out"
}

strangers_and_hosts() {
    host alpha >/dev/null
    host beta >/dev/null
    [[ -e $W/stranger ]] || ssh-keygen -q -t ed25519 -N '' -f "$W/stranger"
}

# A packet that must not be longer than its own head carries nothing: libssh sends such packets for ever. Any key will do.
answers_wanted_in_pieces_of_nothing_end_the_session() {
    local alpha
    cluster
    gateway gateway.threads=1
    strangers_and_hosts
    alpha=$(host alpha)
    cut pieces enrol open=2097152,10 subsystem bytes=00000001ff
    cut pieces enrol open=2097152,11 subsystem bytes=00000001ff
    cut pieces "$alpha" open subsystem "hello=$alpha" read=94 confirm=2097152,10 ping
    attack "$W/alpha/key" "login=$alpha" open=0,32768 subsystem bytes=00000001ff 5*window=1 >"$W/out"
    is_ready
    gateway_is_sound
}

packets_that_carry_nothing_end_the_session() {
    local alpha packet
    cluster
    gateway gateway.threads=1
    strangers_and_hosts
    alpha=$(host alpha)
    for packet in ignore debug unimplemented unknown service signal window=1 global=keepalive@openssh.com global=x \
        request=keepalive@openssh.com request=auth-agent-req@openssh.com data=0; do
        cut packets "$alpha" open subsystem "hello=$alpha" read=94 "100000*$packet"
    done
    cut packets "$alpha" open subsystem kexinit '100000*unknown'
    gateway_is_sound
}

answers_that_are_not_read_end_the_session() {
    local alpha i
    local -a steps=()
    cluster
    gateway gateway.threads=1
    strangers_and_hosts
    alpha=$(host alpha)
    for i in {1..100}; do steps+=('900*unknown' bytes=000000010a); done # a PONG is a message
    cut output "$alpha" open subsystem "hello=$alpha" read=94 "${steps[@]}"
    attack "$W/alpha/key" "login=$alpha" open subsystem "hello=$alpha" read=94 '100000000*ping' >"$W/out" || true
    grep -q '^closed in ping' "$W/out"
    [[ $(figure 'pofr_gateway_sessions_ended_total{reason="stuck"}') -ge 1 ]]
    gateway_is_sound
}

new_keys_again_and_again_end_the_session() {
    local alpha
    cluster
    gateway gateway.threads=1
    strangers_and_hosts
    alpha=$(host alpha)
    attack "$W/alpha/key" "login=$alpha" open subsystem "hello=$alpha" read=94 keys ping read=94 keys ping read=94 eof >"$W/out"
    cut keys "$alpha" open subsystem "hello=$alpha" read=94 '100*keys'
    cut keys enrol '100*keys'
    gateway_is_sound
}

who_is_not_known_may_not_send_much() {
    cluster
    gateway gateway.threads=1
    strangers_and_hosts
    cut bytes enrol open subsystem data=4000000
    attack - banner raw=0004000004 "100*raw=$(printf '00%.0s' {1..4000})" >"$W/out" || true # a packet of 256 KiB
    grep -q '^closed' "$W/out"
    equal "$(figure 'pofr_gateway_peers_cut_total{reason="bytes"}')" 2 "cut"
    gateway_is_sound
}

channels_beyond_the_first_are_refused() {
    local alpha kind
    cluster
    gateway gateway.threads=1
    strangers_and_hosts
    alpha=$(host alpha)
    for kind in session direct-tcpip forwarded-tcpip x11 auth-agent@openssh.com nonsense; do
        attack "$W/alpha/key" "login=$alpha" open subsystem "hello=$alpha" read=94 "100*try-open=$kind" >"$W/out" || true
        grep -q '^closed' "$W/out"
    done
    for kind in close eof half-closed "close close eof data=10000 window=1" "data=100000 close data=100000" "close try-open=session"; do
        # shellcheck disable=SC2086 # several steps
        attack "$W/alpha/key" "login=$alpha" open subsystem $kind >"$W/out" || true
        grep -q '^closed' "$W/out"
    done
    wait_until 20 is_deserted
    gateway_is_sound
}

is_deserted() { [[ $(figure pofr_gateway_sessions) == 0 ]]; }

log_lines_can_not_be_forged() {
    cluster
    gateway
    host alpha >/dev/null
    fails peer hello "$(at)" "$W/alpha/key" $'x\n2026-01-01 error gateway forged' "$(host alpha)"
    gateway_log -q 'auth denied .* user="x\\x0a2026-01-01 error gateway forged"'
    fails gateway_log -q '^2026-01-01 error gateway forged'
    gateway_is_sound
}

trap 'gateway_end || true; suite_finish' EXIT
cases bundles_are_acked_and_lie_in_the_topic_in_order \
    messages_have_their_headers_and_the_bytes_that_were_signed \
    a_topic_with_other_settings_is_refused_at_the_start \
    a_token_is_redeemed_once_and_the_same_key_gets_the_same_answer \
    a_host_that_waits_for_approval_is_told_so \
    garbage_before_the_login_is_cut_off \
    the_banner_does_not_tell_the_library \
    whatever_is_not_the_subsystem_is_refused_and_counted \
    only_an_ed25519_key_logs_in \
    who_is_not_the_host_sends_nothing \
    garbage_after_the_login_ends_the_session_alone \
    a_bad_bundle_is_refused_finally_and_the_next_goes_on \
    a_bundle_that_does_not_follow_is_published_with_doubt \
    of_two_sessions_of_a_host_the_newest_wins \
    bundles_wait_for_a_broker_that_is_down \
    after_a_delivery_that_failed_nothing_is_acked_and_all_comes_again \
    a_gateway_killed_with_bundles_in_flight_loses_none \
    without_the_catalog_known_hosts_go_on_and_others_come_later \
    who_comes_right_after_a_restart_of_the_catalog_is_answered \
    a_copy_that_is_damaged_is_not_used \
    a_copy_that_can_not_be_written_is_told \
    a_retired_host_is_cut_off_within_ten_seconds \
    the_answer_to_hello_names_wanted_bundles \
    a_reload_takes_new_limits_and_drops_no_session \
    a_gateway_that_drains_acks_what_it_has_taken \
    agents_slow_down_while_memory_is_short \
    memory_that_a_refused_bundle_held_is_used_at_once \
    one_address_can_not_take_all_places \
    one_stranger_can_not_have_keys_exchanged_without_end \
    answers_wanted_in_pieces_of_nothing_end_the_session \
    packets_that_carry_nothing_end_the_session \
    answers_that_are_not_read_end_the_session \
    new_keys_again_and_again_end_the_session \
    who_is_not_known_may_not_send_much \
    channels_beyond_the_first_are_refused \
    log_lines_can_not_be_forged
