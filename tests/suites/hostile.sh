#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# bad input and full disks against a running cluster: each is set aside, refused or counted, and nobody else notices
# timeout: 900
# order: 46
# jobs: 1
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/chroot.sh"
enter_own_mounts "$@"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/hosts.sh"
trap 'hosts_end; suite_finish' EXIT

# host1, host2 run through all of it and must stay equal. host3's key is in the wrong hands, and from a moment on its
# agent stands still. host4 to host7 come later.
W=$POFR_TEST_WORK
HOSTS_COUNT=2
TOPIC=pofr.snapshots

cluster() {
    [[ ! -e $W/cluster ]] || return 0
    cluster_start gateway worker1 worker2
    hosts_network 7
    for name in host1 host2 host3; do new_host "$name"; done
    for name in host1 host2 host3; do host_start "$name"; done
    wait_until 30 has_sealed host3 4
    python3 tests/support/spool.py "$HOSTS/host3/state" "$W" >"$W/host3.bundles" # W/000001.bundle ...
    touch "$W/cluster"
}

# new_host NAME: enrolled, with a space of its own: few processes, so it is compared soon; not started
new_host() {
    host_make "$1"
    host_space "$1"
}

sealed() { python3 tests/support/spool.py "$HOSTS/$1/state" | sed -n '1s/.*sequence \([0-9]*\),.*/\1/p'; }
has_sealed() { [[ $(sealed "$1") -ge $2 ]]; }
acked() { python3 tests/support/spool.py "$HOSTS/$1/state" | sed -n '1s/.*acked \([0-9]*\)/\1/p'; }

uuid() { cat "$HOSTS/$1/state/host.uuid"; }
host_id() { admin_sql head "SELECT host_id FROM pofr_catalog.host WHERE host = '$1'"; }
kafka() { kcat -b "127.0.0.1:$(part_field kafka 3)" "$@"; }
forge() { python3 tests/support/forge.py "$@"; }

# produce HOST FILE [KCAT OPTION...]: into the host's slot under its key, as a gateway would
produce() {
    local name=$1 file=$2
    shift 2
    kafka -P -t "$TOPIC" -p $(($(host_id "$name") % 1024)) -k "$(uuid "$name")" -X acks=all -H pofr-version=1 \
        -H "pofr-received=${EPOCHREALTIME/./}" -H pofr-gateway=suite -H pofr-peer=127.0.0.1:1 "$@" "$file"
}

# aside [REASON]: how many are set aside
aside() { quickstart sql -N "SELECT COUNT(*) FROM set_aside${1:+ WHERE reason = '$1'}"; }
aside_is() { [[ $(aside "${2:-}") -eq $1 ]]; }
dead_letters() { kafka -C -q -e -t pofr.deadletter -o beginning -f '%o\n' | wc -l; }
dead_letters_are() { [[ $(dead_letters) -ge $1 ]]; }

# of_host NAME COMMAND...: as if there were no other
of_host() (
    only=$1
    hosts_names() { printf '%s\n' "$only"; }
    "${@:2}"
)

all_is_well() {
    local part
    for part in kafka head shard1 shard2 gateway worker1 worker2; do equal "$(part_field "$part" 4)" running "$part"; done
    hosts_equal --wait 60
}

# each_time REASON COMMAND...: one message more is set aside for that reason
each_time() {
    local reason=$1 before
    shift
    before=$(aside "$reason")
    "$@"
    wait_until 20 aside_is "$((before + 1))" "$reason" || {
        printf 'not set aside as %s: %s\n' "$reason" "$*"
        quickstart sql "SELECT slot, kafka_offset, host, reason, detail FROM set_aside ORDER BY noted DESC LIMIT 5"
        return 1
    }
}

messages_of_another_program_are_set_aside_whole() {
    local before letters
    cluster
    before=$(aside)
    letters=$(dead_letters)
    printf 'hello, is this the right topic?' >"$W/m1"
    head -c 900000 /dev/urandom >"$W/m2"
    printf 'pofr-bundle 1\nhost nobody\n' >"$W/m4"
    head -c 300000 /dev/zero >"$W/m5"
    printf '{"json": true}' | kafka -P -t "$TOPIC" -p 7
    kafka -P -t "$TOPIC" -p 7 "$W/m1"
    kafka -P -t "$TOPIC" -p 7 -k "" "$W/m2"
    kafka -P -t "$TOPIC" -p 8 -k "$(uuid host1)" -H pofr-version=9 -H pofr-received=never -H "x=$(head -c 3000 /dev/zero | tr '\0' y)" "$W/m1"
    kafka -P -t "$TOPIC" -p 8 -k "$(head -c 200 /dev/urandom | base64 -w0)" "$W/m4"
    kafka -P -t "$TOPIC" -p $(($(host_id host1) % 1024)) "$W/m5"
    printf '%s:\n' "$(uuid host1)" | kafka -P -t "$TOPIC" -p $(($(host_id host1) % 1024)) -K : -Z # no value at all
    wait_until 30 aside_is $((before + 7))
    quickstart sql "SELECT slot, kafka_offset, reason, detail, LENGTH(message) FROM set_aside"
    equal "$(quickstart sql -N "SELECT COUNT(*) FROM set_aside WHERE SHA2(message, 256) = '$(sha256sum <"$W/m2" | cut -d' ' -f1)'")" 1 "the whole message"
    wait_until 30 dead_letters_are $((letters + 7))
    all_is_well
}

bundles_that_are_not_what_their_host_signed_are_set_aside() {
    local b=$W/000002.bundle size
    cluster
    size=$(stat -c %s "$b")
    forge --truncate $((size - 1)) "$b" "$W/bad"; each_time form produce host3 "$W/bad"
    forge --truncate 100 "$b" "$W/bad"; each_time form produce host3 "$W/bad"
    forge --flip 15 "$b" "$W/bad"; each_time form produce host3 "$W/bad"          # the name of a line
    forge --flip -1 "$b" "$W/bad"; each_time form produce host3 "$W/bad"          # the payload is not the digest's
    forge --set wall-to=1 "$b" "$W/bad"; each_time signature produce host3 "$W/bad"
    forge --key "$HOSTS/host2/state/host.key" "$b" "$W/bad"; each_time unknown_key produce host3 "$W/bad"
    each_time identity produce host2 "$b"                                           # under another's name, in another's slot
    kafka -P -t "$TOPIC" -p $((($(host_id host3) + 1) % 64)) -k "$(uuid host3)" -H pofr-version=1 "$b" >/dev/null
    wait_until 20 aside_is 1 slot
    ssh-keygen -q -t ed25519 -N '' -f "$W/stranger"
    forge --key "$W/stranger" "$b" "$W/bad"; each_time unknown_key produce host3 "$W/bad"
    all_is_well
}

# Signed by the host's own key: only what it says can be wrong.
payloads_that_can_not_be_are_set_aside() {
    local b=$W/000002.bundle key=$HOSTS/host3/state/host.key
    cluster
    head -c 2000 /dev/urandom >"$W/payload"
    forge --key "$key" --raw "$W/payload" "$b" "$W/bad"; each_time form produce host3 "$W/bad"     # no zstd
    forge --key "$key" --payload "$W/payload" "$b" "$W/bad"; each_time form produce host3 "$W/bad" # no records
    head -c 100000000 /dev/zero | zstd -q -c --stream-size=100000000 >"$W/bomb"
    forge --key "$key" --raw "$W/bomb" "$b" "$W/bad"; each_time form produce host3 "$W/bad"        # 100 MB in 10 KB
    forge --key "$key" --raw "$W/bomb" --set payload-size=100000000 "$b" "$W/bad"; each_time form produce host3 "$W/bad"
    : >"$W/payload"
    forge --key "$key" --payload "$W/payload" "$b" "$W/bad"; each_time form produce host3 "$W/bad" # nothing, where there are records
    forge --key "$key" --set "ticks=999 1000" "$b" "$W/bad"; each_time form produce host3 "$W/bad" # other counts than the payload's
    forge --key "$key" --set pofr-bundle=2 "$b" "$W/bad"; each_time version produce host3 "$W/bad"
    all_is_well
}

what_was_stored_already_changes_nothing() {
    local before
    cluster
    wait_until 30 stored_up_to host3 4
    before=$(aside)
    for _ in 1 2 3; do
        produce host3 "$W/000003.bundle"
        produce host3 "$W/000001.bundle" -H pofr-offset=12345 -H "pofr-boot=$(sed -n 's/^boot //p' "$W/000001.bundle" | head -1)"
    done
    HOSTS_COUNT=3 hosts_equal --wait 60
    equal "$(aside)" "$before" "set aside"
}

stored_up_to() { [[ $(quickstart sql -N "SELECT COALESCE(MAX(sequence), 0) FROM bundle WHERE host = '$1'") -ge $2 ]]; }

# A later version's record: what is known is stored, the rest kept for the worker that will know it.
unknown_kinds_are_stored_as_far_as_known_and_set_aside() {
    local key=$HOSTS/host3/state/host.key last name i part files=()
    cluster
    process_kill TERM host3/collector host3/shipper
    last=$(sealed host3)
    mkdir -p "$W/spool3"
    python3 tests/support/spool.py "$HOSTS/host3/state" "$W/spool3" >/dev/null
    # what the stopped agent did not send any more, then one that is of the future
    for ((i = $(acked host3) + 1; i <= last; i++)); do
        printf -v name '%s/spool3/%06d.bundle' "$W" "$i"
        produce host3 "$name"
    done
    wait_until 30 stored_up_to host3 "$last"
    printf -v name '%s/spool3/%06d.bundle' "$W" "$last"
    forge --later --key "$key" "$name" "$W/future"
    each_time unknown_kind produce host3 "$W/future"
    equal "$(quickstart sql -N "SELECT unknown_records FROM bundle WHERE host = 'host3' AND sequence = $((last + 1))")" 2 "unknown records and fields"
    # 7 MB each when they are read, 3 KB on the wire: they are not all held at once
    forge --later --swell 7000000 --key "$key" "$W/future" "$W/swells"
    each_time unknown_kind produce host3 "$W/swells"
    quickstart kill worker1 worker2 # so that all of them are there when the next one begins
    for ((i = 0; i < 250; i++)); do files+=("$W/swells"); done
    produce host3 "${files[@]}"
    quickstart start worker1 worker2
    wait_until 60 nothing_waits
    for part in worker1 worker2; do
        awk '/^VmHWM/ && $2 > 1000000 { print; bad = 1 } END { exit bad }' "/proc/$(part_field "$part" 2)/status"
    done
    all_is_well
}
nothing_waits() { ctl status --json | jq -e '.lag.messages == 0' >/dev/null; }

operators_see_and_replay_what_was_set_aside() {
    local place
    cluster
    # a host that the catalog does not know yet: it is entered later, and what came before is taken then. The workers
    # have never heard of it
    quickstart kill worker1 worker2
    new_host host4
    network host4 cut
    host_start host4
    wait_until 30 has_sealed host4 3
    process_kill TERM host4/collector host4/shipper
    mkdir -p "$W/spool4"
    python3 tests/support/spool.py "$HOSTS/host4/state" "$W/spool4" >/dev/null
    slot=$(($(host_id host4) % 1024))
    admin_sql head "CREATE TABLE pofr_catalog.kept AS SELECT * FROM pofr_catalog.host WHERE host = 'host4';
        CREATE TABLE pofr_catalog.kept_key AS SELECT * FROM pofr_catalog.host_key WHERE host_id = (SELECT host_id FROM pofr_catalog.kept);
        DELETE FROM pofr_catalog.host_key WHERE host_id = (SELECT host_id FROM pofr_catalog.kept);
        DELETE FROM pofr_catalog.host WHERE host = 'host4'"
    quickstart start worker1 worker2
    for name in "$W/spool4"/*.bundle; do
        each_time unknown_key kafka -P -t "$TOPIC" -p "$slot" -k "$(uuid host4)" -H pofr-version=1 -H "pofr-received=${EPOCHREALTIME/./}" "$name"
    done
    ctl set-aside list --reason unknown_key
    place=$(quickstart sql -N "SELECT CONCAT(slot, ':', incarnation, ':', kafka_offset) FROM set_aside
        WHERE SHA2(message, 256) = '$(sha256sum <"$W/spool4/000001.bundle" | cut -d' ' -f1)'")
    ctl set-aside list | grep -q "^ *$place "
    ctl set-aside show "$place" --output "$W/shown"
    cmp "$W/shown" "$W/spool4/000001.bundle"
    admin_sql head "UPDATE pofr_catalog.change_seq SET value = value + 1;
        UPDATE pofr_catalog.kept SET changed = (SELECT value FROM pofr_catalog.change_seq);
        UPDATE pofr_catalog.kept_key SET changed = (SELECT value FROM pofr_catalog.change_seq);
        INSERT INTO pofr_catalog.host SELECT * FROM pofr_catalog.kept; INSERT INTO pofr_catalog.host_key SELECT * FROM pofr_catalog.kept_key"
    ctl set-aside replay --reason unknown_key
    wait_until 40 stored_up_to host4 "$(sealed host4)"
    of_host host4 hosts_equal --wait 30
    ctl verify host4
}

a_branch_is_kept_apart_and_found() {
    cluster
    # the disk of host5 is put back to an older state: two histories, each with its own rows
    new_host host5
    host_start host5
    wait_until 30 has_sealed host5 3
    process_kill KILL host5/collector host5/shipper
    cp -a "$HOSTS/host5/state" "$W/host5.older"
    host_start host5
    wait_until 30 has_sealed host5 8
    wait_until 30 stored_up_to host5 8
    process_kill KILL host5/collector host5/shipper
    cp -a "$HOSTS/host5/state" "$W/host5.first"
    rm -rf "$HOSTS/host5/state"
    cp -a "$W/host5.older" "$HOSTS/host5/state"
    host_start host5
    wait_until 30 has_sealed host5 8
    wait_until 30 answers "SELECT COUNT(DISTINCT boot) FROM bundle WHERE host = 'host5'" 2
    wait_until 30 answers "SELECT COUNT(*) > 0 FROM finding WHERE host = 'host5' AND kind = 'branch'" 1
    (
        eval "$(quickstart env)"
        tests/support/equal.py --shards "$POFR_SHARDS" --options "$POFR_ANALYST_CNF" "$HOSTS/host5/state,$W/host5.first"
    )
    fails ctl verify host5 >"$W/verified"
    grep -q ': branch: ' "$W/verified"
    fails grep -E ': (chain|totals|removed): ' "$W/verified" # each history follows from its own beginning
    all_is_well
}

# --- a key ---------------------------------------------------------------------------------------------

keys_are() { [[ $(admin_sql head "SELECT COUNT(*) FROM pofr_catalog.host_key WHERE host_id = $(host_id "$1")") -eq $2 ]]; }

# What WELCOME names is news only to a new session, and to a gateway that has asked the catalog meanwhile
goes_over() {
    process_kill TERM "$1/shipper"
    host_start "$1" shipper
    wait_until 6 test ! -e "$HOSTS/$1/state/host.key.next"
}

a_new_key_follows_the_old_one() {
    local before last
    cluster
    before=$(aside)
    new_host host7
    host_start host7
    wait_until 60 stored_up_to host7 2
    sha256sum "$HOSTS/host7/state/host.key" >"$W/old_key"
    "$HOSTS_AGENT" rekey --config "$HOSTS/host7/agent.conf"
    kill -HUP "$(process_pid host7/collector)"
    wait_until 60 keys_are host7 2
    sha256sum --quiet --check "$W/old_key" # it counts until a gateway has named the new one
    wait_until 90 goes_over host7
    fails sha256sum --quiet --status --check "$W/old_key"
    last=$(sealed host7)
    wait_until 60 stored_up_to host7 "$((last + 4))"
    equal "$(quickstart sql -N "SELECT COUNT(DISTINCT key_id) FROM bundle WHERE host = 'host7'")" 2 "keys of stored bundles"
    ctl verify host7
    aside_is "$before"
    process_kill KILL host7/collector host7/shipper # and the next start has it, too
    last=$(sealed host7)
    host_start host7
    wait_until 60 stored_up_to host7 "$((last + 2))"
    ctl verify host7
    aside_is "$before"
}

answers() { [[ $(quickstart sql -N "$1") == "$2" ]]; }

# --- the agent's disk ---------------------------------------------------------------------------------------

# One byte of what waits to be sent is not what was written.
one_rotten_byte_does_not_end_recording() {
    local at segment
    cluster
    wait_until 20 connected host2
    network host2 cut
    wait_until 20 not_connected host2 # what is sealed from here on was not sent
    at=$(sealed host2)
    wait_until 30 has_sealed host2 $((at + 4))
    python3 - "$HOSTS/host2/state/spool" $((at + 2)) <<'EOT'
import os, struct, sys
folder, wanted = sys.argv[1], int(sys.argv[2])
for name in sorted(n for n in os.listdir(folder) if n.endswith(".seg")):
    with open(os.path.join(folder, name), "r+b") as f:
        data, at = f.read(), 0
        while data[at:at + 4] == b"PoFs":
            length, sequence = struct.unpack_from("<I", data, at + 4)[0], struct.unpack_from("<Q", data, at + 16)[0]
            if sequence == wanted:
                f.seek(at + 56 + length - 5)
                f.write(bytes([data[at + 56 + length - 5] ^ 4]))
                sys.exit(0)
            at += 56 + length
sys.exit("not there")
EOT
    network host2 open
    wait_until 40 stored_up_to host2 $((at + 5))
    wait_until 30 answers "SELECT COUNT(*) FROM gap WHERE host = 'host2' AND kind = 'refused' AND first_sequence = $((at + 2)) AND explained = 0" 1
    all_is_well
}

connected() { host_status "$1" --json | jq -e '.connected == 1' >/dev/null; }
not_connected() { host_status "$1" --json | jq -e '.connected == 0' >/dev/null; }
figure() { host_status "$1" --json | jq -r ".$2"; }

a_spool_that_is_full_says_what_it_lost() {
    local ticks
    cluster
    HOSTS_SPOOL=4M HOSTS_CONF=("spool segment_size = 256K")
    new_host host6
    host_start host6
    wait_until 20 connected host6
    network host6 cut
    wait_until 60 spool_refuses host6
    # What ended is in bundles of its own, before the one that says that there is room again; and room is not made by
    # removing what was acked: the spool is what SQL is compared with.
    ticks=$(figure host6 ticks)
    wait_until 20 more_ticks host6 "$((ticks + 10))"
    sed -i 's/^limit = 4M$/limit = 256M/' "$HOSTS/host6/agent.conf"
    kill -HUP "$(process_pid host6/collector)"
    network host6 open
    wait_until 40 answers "SELECT COUNT(*) > 0 FROM gap WHERE host = 'host6' AND kind = 'spool'" 1
    of_host host6 hosts_equal
    all_is_well
}

more_ticks() { [[ $(figure "$1" ticks) -ge $2 ]]; }

# Noise that fills it, until it refuses.
spool_refuses() {
    in_host "$1" /usr/bin/python3 - <<'EOT'
import os, subprocess, time
held = [subprocess.Popen(["/bin/dash", "-c", "read x", os.urandom(90000).replace(b"\0", b"1")], stdin=subprocess.PIPE) for _ in range(10)]
time.sleep(1)  # as long as they are to be seen
for one in held:
    one.stdin.close()
    one.wait()
EOT
    [[ $(figure "$1" refused_full) -gt 0 || $(figure "$1" lean) == 1 ]]
}

# --- a shard's disk -------------------------------------------------------------------------------------------

a_shard_without_room_makes_only_its_own_hosts_wait() {
    local shard=shard2 other=shard1 before
    cluster
    [[ $EUID -eq 0 ]]
    [[ $(shard_of host1) == shard2 ]] || shard=shard1 other=shard2
    quickstart kill "$shard"
    mv "$POFR_STATE/data/$shard" "$W/moved"
    mkdir "$POFR_STATE/data/$shard"
    mount -t tmpfs -o "size=$(($(du -sm "$W/moved" | cut -f1) + 24))m,mode=755" tmpfs "$POFR_STATE/data/$shard"
    cp -a "$W/moved/." "$POFR_STATE/data/$shard/"
    chown --reference="$W/moved" "$POFR_STATE/data/$shard"
    quickstart start "$shard"
    dd if=/dev/zero of="$POFR_STATE/data/$shard/ballast" bs=1M 2>/dev/null || true
    before=$(stored_on "$other")
    noise host1
    noise host2
    if [[ $(shard_of host2) == "$other" ]]; then wait_until 30 more_stored_on "$other" "$before"; fi
    rm -f "$POFR_STATE/data/$shard/ballast"
    quickstart start "$shard"
    all_is_well
}

shard_of() {
    if [[ $(admin_sql shard1 "SELECT COUNT(*) FROM pofr_store.host WHERE host = '$1'") == 1 ]]; then echo shard1; else echo shard2; fi
}
stored_on() { admin_sql "$1" "SELECT COUNT(*) FROM pofr_store.bundle"; }
more_stored_on() { [[ $(stored_on "$1") -gt $(($2 + 5)) ]]; }
noise() { mkdir -p "$W/noise" && in_host "$1" "$PWD/tests/support/workload.py" run "$W/noise.json" "$W/noise" 1 && rm -rf "$W/noise"; }

# --- configuration ----------------------------------------------------------------------------------------------

an_unknown_option_is_an_error_that_names_its_line() {
    local program conf status
    cluster
    for program in "agent/pofr-agent collect" "agent/pofr-agent ship" gateway/pofr-gateway workers/pofr-worker merger/pofr-merger; do
        case $program in
        *agent*) conf=agent ;;
        *worker*) conf=worker1 ;;
        *) conf=${program##*-} ;;
        esac
        cp "$POFR_STATE/etc/$conf.conf" "$W/unknown.conf"
        printf '\n[metrics]\nno_such_option = 1\n' >>"$W/unknown.conf"
        status=0
        # shellcheck disable=SC2086
        timeout 20 "$BUILD"/$program --config "$W/unknown.conf" >"$W/out" 2>&1 || status=$?
        cat "$W/out"
        equal "$status" 2 "exit code of $program"
        grep -Eq "(unknown.conf)?:$(wc -l <"$W/unknown.conf")|line $(($(wc -l <"$W/unknown.conf")))|:$(($(wc -l <"$W/unknown.conf") - 1)):" "$W/out"
    done
    cp "$POFR_STATE/etc/ctl.conf" "$W/unknown.conf"
    printf '\nno_such_option = 1\n' >>"$W/unknown.conf"
    status=0
    "$BUILD/ctl/pofrctl" --config "$W/unknown.conf" host list >"$W/out" 2>&1 || status=$?
    equal "$status" 2 "exit code of pofrctl"
    grep -q "$(wc -l <"$W/unknown.conf")" "$W/out"
}

cases messages_of_another_program_are_set_aside_whole bundles_that_are_not_what_their_host_signed_are_set_aside \
    payloads_that_can_not_be_are_set_aside what_was_stored_already_changes_nothing \
    unknown_kinds_are_stored_as_far_as_known_and_set_aside operators_see_and_replay_what_was_set_aside \
    a_branch_is_kept_apart_and_found a_new_key_follows_the_old_one one_rotten_byte_does_not_end_recording a_spool_that_is_full_says_what_it_lost \
    a_shard_without_room_makes_only_its_own_hosts_wait an_unknown_option_is_an_error_that_names_its_line
