#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# the agent against the real gateway: enrolment, sessions, kills at named points; what Kafka holds is counted
# timeout: 800
# order: 55
# jobs: 1
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"

export POFR_BUILD=$POFR_TREE/build/dev POFR_NO_BUILD=1 ASAN_OPTIONS=detect_leaks=0
SECOND=$POFR_TEST_WORK/second # another agent of this machine, by hand
STOPS=$POFR_TEST_WORK/stops   # where stop points say that they were reached; every user may write there

agent() { "$POFR_BUILD/agent/pofr-agent" "$1" --config "$POFR_STATE/etc/agent.conf" "${@:2}"; }
second() { "$POFR_BUILD/agent/pofr-agent" "$1" --config "$SECOND/agent.conf" "${@:2}"; }
ctl() { "$POFR_BUILD/ctl/pofrctl" --config "$POFR_STATE/etc/ctl.conf" "$@"; }
catalog() { admin_sql head "$1"; }

# token FILE [OPTION...]
token() {
    rm -f -- "$1"
    ctl token create --force --output "$1" "${@:2}"
}

agent_field() { agent status --json | jq -r ".$1"; }
second_field() { second status --json | jq -r ".$1"; }
agent_connected() { [[ $(agent_field connected) == 1 ]]; }
sealed() { [[ $(agent_field sequence) -ge $1 ]]; }
all_acked() { [[ $(agent_field acked) -ge $1 ]]; }
second_acked() { [[ $(second_field acked) -ge 1 ]]; }
# The gateway said 60 s; who reloads does not want to wait. It learns of the approval within some seconds.
second_let_in() {
    kill -HUP "$(cat "$SECOND/ship.pid")"
    wait_until 2 second_connected
}
second_connected() { [[ $(second_field connected) == 1 ]]; }

begin() {
    build_preset dev >/dev/null
    mkdir -p "$STOPS" && chmod 1777 "$STOPS"
    quickstart start kafka head shard1
    ctl migrate
    ctl shard add shard1 --address "127.0.0.1:$(part_field shard1 3)" --if-exists update
    ctl topic create
    quickstart start gateway
}

# A configuration of its own, as whoever runs this.
second_begin() {
    rm -rf -- "$SECOND"
    mkdir -p "$SECOND/state" "$SECOND/run"
    printf '[agent]\nstate_dir = %s\nruntime_dir = %s\n[collect]\nbundle_age = 1s\nsandbox = no\n[ship]\nretry_min = 200ms\nretry_max = 1s\n' \
        "$SECOND/state" "$SECOND/run" >"$SECOND/agent.conf"
}

second_start() {
    "$POFR_BUILD/agent/pofr-agent" "$1" --config "$SECOND/agent.conf" 2>"$SECOND/$1.log" &
    printf '%s\n' "$!" >"$SECOND/$1.pid"
}

# second_stop WORD...: ended, and its exit code was 0
second_stop() {
    local word pid
    for word; do
        pid=$(cat "$SECOND/$word.pid")
        rm -f -- "$SECOND/$word.pid"
        kill -TERM "$pid"
        wait "$pid"
    done
}

# Whatever a failed case has left.
second_end() {
    local file pid
    for file in "$SECOND"/*.pid; do
        pid=$(cat "$file" 2>/dev/null) || continue
        if tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF "$SECOND/agent.conf"; then
            kill -KILL "$pid"
        fi
    done
}

# sequences UUID: of the host's bundles in Kafka, in the order of their slot
sequences() {
    kcat -b "127.0.0.1:$(part_field kafka 3)" -C -q -e -t pofr.snapshots -o beginning -f '%k %S\n%s\n' |
        LC_ALL=C awk -v host="host $1" '$0 == host { mine = 1 } mine && /^sequence [0-9]+$/ { print $2; mine = 0 }'
}

# Every bundle up to N is there, and the first sightings are in order: nothing acked is missing, nothing overtakes.
complete_up_to() {
    sequences "$1" | awk -v last="$2" '
        $1 > next_one + 1 { printf "%d came before %d\n", $1, next_one + 1; bad = 1 }
        $1 == next_one + 1 { next_one++ }
        END { if (next_one < last) { printf "only %d of %d\n", next_one, last; bad = 1 } exit bad }'
}

# stopped_at POINT: the process that was started with POFR_STOP_AT has come there
stopped_at() { grep -qx -- "$1" "$STOPS/reached" 2>/dev/null; }

a_token_enrols_one_host() {
    local t=$POFR_TEST_WORK/token
    exit_code 3 agent status
    exit_code 2 agent enrol
    token "$t"
    chmod 644 "$t"
    exit_code 2 agent enrol --token-file "$t"
    chmod 600 "$t"
    agent enrol --token-file "$t" --name web1
    agent enrol --token-file "$t" | grep -F "already enrolled as web1"
    rm -- "$t"
    equal "$(agent enrol --json | jq -r '.host_uuid')" "$(cat "$POFR_STATE/data/agent/host.uuid")"
    equal "$(catalog "SELECT COUNT(*) FROM pofr_catalog.host WHERE host = 'web1'")" 1
    equal "$(stat -c %a "$POFR_STATE/data/agent/host.key")" 600
}

a_used_or_wrong_token_is_refused() {
    local t=$POFR_TEST_WORK/token2
    second_begin
    token "$t"
    second enrol --token-file "$t"
    second_begin
    exit_code 4 second enrol --token-file "$t" # used up, and this is another key
    sed -i 's/......$/AAAAAA/' "$t"
    exit_code 4 second enrol --token-file "$t"
    token "$t" --gateway 127.0.0.1:1
    exit_code 3 second enrol --token-file "$t" # nobody is there: later
    [[ ! -e $SECOND/state/host.uuid ]]
}

an_enrolment_that_was_killed_is_completed() {
    local t=$POFR_TEST_WORK/token3 point pid before
    for point in enrol_key_written enrol_before_uuid; do
        second_begin
        token "$t"
        rm -f -- "$STOPS/reached"
        before=$(catalog "SELECT COUNT(*) FROM pofr_catalog.host")
        POFR_STOP_AT=$point POFR_STOP_FILE=$STOPS/reached "$POFR_BUILD/agent/pofr-agent" enrol --config "$SECOND/agent.conf" --token-file "$t" &
        pid=$!
        wait_until 20 stopped_at "$point"
        kill -KILL "$pid"
        wait "$pid" || true
        [[ ! -e $SECOND/state/host.uuid ]]
        second enrol --token-file "$t"
        equal "$(catalog "SELECT COUNT(*) FROM pofr_catalog.host")" $((before + 1)) "hosts after a kill at $point"
    done
}

everything_acked_is_in_kafka_in_order_after_kills() {
    local uuid point part round
    uuid=$(cat "$POFR_STATE/data/agent/host.uuid")
    quickstart start collector shipper
    wait_until 30 agent_connected
    for point in push_bundle_sent push_acked push_bundle_sent:2; do
        quickstart kill shipper
        rm -f -- "$STOPS/reached"
        round=$(agent_field sequence)
        wait_until 30 sealed "$((round + 1))" # a bundle waits: the victim will have work in flight
        POFR_STOP_AT=$point POFR_STOP_FILE=$STOPS/reached quickstart start shipper || true
        wait_until 30 stopped_at "${point%:*}"
        quickstart kill shipper
        quickstart start shipper
        wait_until 30 agent_connected
    done
    for part in gateway collector kafka; do
        wait_until 30 agent_connected
        round=$(agent_field sequence)
        quickstart kill "$part"
        [[ $part == collector ]] || wait_until 30 sealed "$((round + 1))" # while it is away, one more waits
        quickstart start "$part"
    done
    wait_until 30 agent_connected
    round=$(agent_field sequence)
    wait_until 60 all_acked "$round"
    complete_up_to "$uuid" "$round"
}

a_shipper_that_is_asked_to_end_leaves_nothing_under_way() {
    local uuid pid acked
    uuid=$(cat "$POFR_STATE/data/agent/host.uuid")
    quickstart start collector shipper
    wait_until 30 agent_connected
    pid=$(part_field shipper 2)
    kill -HUP "$pid" # and a configuration that is read again does not disturb it
    wait_until 10 grep -q "ship reloaded" "$POFR_STATE/log/shipper.log"
    agent_connected
    kill -TERM "$pid"
    wait_until 20 fails_to_exist "$pid"
    acked=$(agent_field acked)
    complete_up_to "$uuid" "$acked"
    quickstart start shipper
    wait_until 30 agent_connected
}
fails_to_exist() { [[ ! -e /proc/$1 ]]; }

doctor_finds_what_is_wrong() {
    local pin=$POFR_STATE/data/agent/gateway.pin
    quickstart start collector shipper
    wait_until 30 agent_connected
    agent doctor --json >"$POFR_TEST_WORK/doctor" # a source that is missing here is a warning
    equal "$(jq -r '.checks[] | select(.check | startswith("gateway ")) | .result' "$POFR_TEST_WORK/doctor")" ok "the gateway"
    equal "$(jq -r '.checks[] | select(.check == "shipper") | .result' "$POFR_TEST_WORK/doctor")" ok "the shipper"
    equal "$(jq -r '.checks[] | select(.check == "enrolled") | .result' "$POFR_TEST_WORK/doctor")" ok enrolled
    cp "$pin" "$POFR_TEST_WORK/pin"
    tr 'A-Za-z' 'B-ZAb-za' <"$POFR_TEST_WORK/pin" | sed 's/.*:/SHA256:/' >"$pin"
    exit_code 1 agent doctor --json >"$POFR_TEST_WORK/doctor"
    cp "$POFR_TEST_WORK/pin" "$pin"
    equal "$(jq -r '.checks[] | select(.check | startswith("gateway ")) | .result' "$POFR_TEST_WORK/doctor")" bad "another key"
}

second_doctor_says_retired() {
    fails second doctor --json >"$POFR_TEST_WORK/doctor2" && jq -r '.checks[] | select(.check == "shipper") | .result + " " + .detail' \
        "$POFR_TEST_WORK/doctor2" | grep -q '^bad .*this host was retired'
}

a_host_that_waits_for_approval_sends_once_it_is_let_in() {
    local t=$POFR_TEST_WORK/token4
    second_begin
    token "$t" --approve --host second
    second enrol --token-file "$t" | grep -F "waits for approval"
    second_start collect
    second_start ship
    wait_until 30 grep -q pending "$SECOND/ship.log"
    fails second_connected
    ctl host approve second
    wait_until 40 second_let_in
    wait_until 30 second_acked
    # Retiring it cuts the session within ten seconds, and what is in the spool stays.
    ctl host retire second
    wait_until 15 grep -qE 'revoked|retired' "$SECOND/ship.log"
    # The gateway still knows its key: only the session is refused, and doctor says so.
    wait_until 15 second_doctor_says_retired
    second_stop ship collect
    # Nor does it need an agent that runs: the gateway is asked then.
    exit_code 1 second doctor --json >"$POFR_TEST_WORK/doctor2"
    jq -r '.checks[] | select(.check | startswith("gateway ")) | .result + " " + .detail' "$POFR_TEST_WORK/doctor2" |
        grep '^bad .*this host was retired; to record this machine again'
    token "$t"
    exit_code 4 second enrol --token-file "$t" >"$POFR_TEST_WORK/enrol" 2>&1
    grep -F 'already enrolled as second' "$POFR_TEST_WORK/enrol" | grep -F 'the token was not used'
    grep -F 'this host was retired. To record this machine again' "$POFR_TEST_WORK/enrol"
    # And that works: with another state folder it is a new host, whose gateway takes it.
    second_begin
    second enrol --token-file "$t"
    exit_code 0 second enrol --token-file "$t" | grep -F 'the token was not used'
    second doctor --json >"$POFR_TEST_WORK/doctor2" || true # no collector runs
    jq -r '.checks[] | select(.check | startswith("gateway ")) | .result + " " + .detail' "$POFR_TEST_WORK/doctor2" |
        grep '^ok .*takes this host$'
}

begin
if [[ $POFR_TEST_ONLY != "  " && $POFR_TEST_ONLY != *a_token_enrols_one_host* ]]; then
    token "$POFR_TEST_WORK/token" && agent enrol --token-file "$POFR_TEST_WORK/token" --name web1
fi
each_case a_token_enrols_one_host a_used_or_wrong_token_is_refused an_enrolment_that_was_killed_is_completed \
    everything_acked_is_in_kafka_in_order_after_kills a_shipper_that_is_asked_to_end_leaves_nothing_under_way \
    doctor_finds_what_is_wrong a_host_that_waits_for_approval_sends_once_it_is_let_in
second_end
[[ $suite_failures -eq 0 ]]
