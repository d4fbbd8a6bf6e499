#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# conservation: every bundle that a host recorded is in exactly one place, and where one is in none the page says so
# timeout: 400
# long-timeout: 700
# order: 47
# jobs: 1
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"
source "$POFR_TREE/tests/support/hosts.sh"
source "$POFR_TREE/deploy/lib/kafka.sh"

W=$POFR_TEST_WORK
GOLDEN=$POFR_TREE/tests/data/format/v1/host-000001.bundle

PEER=$POFR_TREE/build/dev/tests/support/gateway_peer
peer() { "$PEER" "$@"; }
gateway_at() { printf '127.0.0.1:%s' "$(part_field gateway 3)"; }
forge() { python3 tests/support/forge.py "$@" >/dev/null; }
uuid_of() { cat -- "$W/$1/uuid"; }
id_of() { admin_sql head "SELECT host_id FROM pofr_catalog.host WHERE host = '$1'"; }

# enrolled NAME SLOT: a host of that slot, with a key, whose first bundle is a real one
enrolled() {
    local dir=$W/$1 public
    mkdir -p -- "$dir"
    ssh-keygen -q -t ed25519 -N '' -C '' -f "$dir/key"
    python3 -c 'import uuid; print(uuid.uuid4())' >"$dir/uuid"
    public=$(cut -d' ' -f2 "$dir/key.pub" | base64 -d | tail -c 32 | od -An -v -tx1 | tr -d ' \n')
    admin_sql head "
        SET @hash = RANDOM_BYTES(32), @public = UNHEX('$public'), @key = UNHEX(SHA2(UNHEX('$public'), 256));
        INSERT INTO pofr_catalog.token (token_hash, created, expires, host)
            VALUES (@hash, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6) + INTERVAL 1 HOUR, '$1');
        CALL pofr_catalog.enrol_host(@hash, @key, @public, UNHEX(REPLACE('$(uuid_of "$1")', '-', '')), $2, '$1', '', '', '', '', '')" >/dev/null
    forge --key "$dir/key" --set "host=$(uuid_of "$1")" "$GOLDEN" "$dir/1"
}

# follows NAME FROM TO [OPTION...]: bundles of its chain; OPTIONs make each another one than it should be
follows() {
    local dir=$W/$1 n
    for ((n = $2; n <= $3; n++)); do
        forge --next --key "$dir/key" "${@:4}" "$dir/$((n - 1))" "$dir/$n"
    done
}

# sends NAME FROM TO [OLDEST NEWEST]: through the gateway; HELLO says what else is in the spool
sends() { POFR_PEER_OLDEST=${4:-$2} POFR_PEER_NEWEST=${5:-$3} peer send "$(gateway_at)" "$W/$1/key" "$(uuid_of "$1")" "$W/$1" "$2" "$3"; }

# delivered NAME SLOT N: it is in Kafka, and the gateway died before it could say so
delivered() {
    kcat -b "127.0.0.1:$(part_field kafka 3)" -P -t pofr.snapshots -p "$2" -k "$(uuid_of "$1")" -X acks=all -H pofr-version=1 \
        -H "pofr-received=${EPOCHREALTIME/./}" -H pofr-gateway=gone -H pofr-peer=127.0.0.1:1 "$W/$1/$3"
}

# where NAME: recorded = in_spool + in_kafka + stored + set_aside + lost + unaccounted
where() {
    quickstart sql -N "SELECT recorded, in_spool, in_kafka, stored, set_aside, lost, unaccounted FROM conservation WHERE host = '$1'" | tr '\t' ' '
}
where_is() { equal "$(where "$1")" "$2" "$1: recorded, in_spool, in_kafka, stored, set_aside, lost, unaccounted"; }

# every_bundle_of NAME 'ROW': so it will be, and the row's sum is what was recorded
every_bundle_of() {
    wait_until 40 where_is "$1" "$2"
    # shellcheck disable=SC2086
    set -- $2
    equal "$(($2 + $3 + $4 + $5 + $6 + $7))" "$1" "the sum"
}

# of_slot SLOT: the same of a slot, which knows what Kafka has; of_metrics: as the merger exports it
of_slot() {
    quickstart sql -N "SELECT recorded, in_spool, in_kafka, stored, set_aside, lost, unaccounted FROM conservation_slot WHERE slot = $1" | tr '\t' ' '
}
slot_is() { equal "$(of_slot "$1")" "$2" "slot $1"; }
of_metrics() {
    metrics merger | awk -v slot="slot=\"$1\"" 'index($1, "pofr_conservation_bundles{" slot) { printf "%s%s", n++ ? " " : "", $2 }'
}
metrics_are() { equal "$(of_metrics "$1")" "$2" "metrics of slot $1"; }

first_slot() { admin_sql head "SELECT MIN(l.slot) FROM pofr_catalog.slot l JOIN pofr_catalog.shard s USING (shard_id) WHERE s.name = '$1'"; }

a_cluster() {
    build_preset release --target pofrctl pofr-gateway pofr-worker pofr-merger
    build_preset dev --target gateway_peer
    cluster_start gateway worker1
    enrolled alpha "$(first_slot shard1)"
    enrolled beta "$(first_slot shard2)"
    quickstart start merger # with its first pass the shards know both
    follows alpha 2 8
    follows beta 2 5
    sends beta 1 5
    every_bundle_of beta '5 0 0 5 0 0 0'
}

# word_of NAME: is the word on its newest sequence that of its HELLO, or of a bundle that came later?
word_of() {
    admin_sql "$(shard_of "$1")" "SELECT IF(c.reported = r.hello, 'hello', IF(c.reported = r.acked_at AND r.acked_at > r.hello, 'bundle', 'neither'))
        FROM pofr.conservation c JOIN pofr_store.spool_report r USING (host_id) WHERE c.host = '$1'"
}
shard_of() { admin_sql head "SELECT s.name FROM pofr_catalog.shard s JOIN pofr_catalog.slot l USING (shard_id) JOIN pofr_catalog.host h USING (slot) WHERE h.host = '$1'"; }

slot_of() { printf '%s' "$(($(id_of "$1") % 1024))"; }

# The gateway was down: nothing came, but now it is told how much there is.
what_waits_on_a_host_is_seen() {
    local pid
    POFR_PEER_OLDEST=1 POFR_PEER_NEWEST=20 "$PEER" hello "$(gateway_at)" "$W/alpha/key" "$(uuid_of alpha)" >"$W/hello" &
    pid=$!
    every_bundle_of alpha '20 20 0 0 0 0 0'
    equal "$(quickstart sql -N "SELECT connected, gateway, reported > UTC_TIMESTAMP() - INTERVAL 1 MINUTE FROM conservation WHERE host = 'alpha'")" \
        $'1\tgateway\t1'
    kill "$pid"
    wait "$pid" || true
    wait_until 30 told_is_gone alpha
    every_bundle_of alpha '20 20 0 0 0 0 0' # its word stands until it says something else
}
told_is_gone() { equal "$(quickstart sql -N "SELECT connected FROM conservation WHERE host = '$1'")" 0 connected; }

what_waits_in_kafka_is_seen() {
    local slot
    slot=$(slot_of alpha)
    quickstart kill worker1
    sends alpha 1 8 1 20
    every_bundle_of alpha '20 12 8 0 0 0 0'
    wait_until 20 slot_is "$slot" '20 12 8 0 0 0 0'
    wait_until 20 metrics_are "$slot" '12 8 0 0 0 0'
    wait_until 30 metric_is merger "kafka_consumergroup_lag{consumergroup=\"pofr-ingest\",topic=\"pofr.snapshots\",partition=\"$slot\"}" 8
    equal "$(word_of alpha)" hello "who told of 20"
    wait_until 60 metric_is merger 'pofr_slots_with{problem="no_owner"}' 64
    metric_is merger "pofr_slot_problem{slot=\"$slot\",problem=\"no_owner\",cause=\"\"}" 1
    metric_is merger "pofr_slot_owner{slot=\"$slot\",worker=\"worker1\"}" ''
    quickstart start worker1
    every_bundle_of alpha '20 12 0 8 0 0 0'
    wait_until 60 metric_is merger 'pofr_slots_with{problem="no_owner"}' 0
    metric_is merger "pofr_slot_problem{slot=\"$slot\",problem=\"no_owner\",cause=\"\"}" ''
    metric_is merger "pofr_slot_owner{slot=\"$slot\",worker=\"worker1\"}" 1
    equal "$(quickstart sql -N "SELECT COUNT(DISTINCT sequence) FROM bundle WHERE host = 'alpha'")" 8 "the ledger"
    equal "$(metrics worker1 | grep -c consumergroup || true)" 0 "lag is the merger's"
}
metric_is() { equal "$(metric "$1" "$2")" "$3" "$2"; }

# 9 can't be decoded. 10 is not sent; 11 overtook it, as after a delivery that failed.
what_is_set_aside_and_what_is_missing_are_told_apart() {
    local slot pid
    slot=$(slot_of alpha)
    printf 'no records' >"$W/junk"
    follows alpha 9 9 --payload "$W/junk"
    follows alpha 10 14
    sends alpha 9 9 9 20
    every_bundle_of alpha '20 11 0 8 1 0 0'
    delivered alpha "$slot" 11
    every_bundle_of alpha '20 10 0 9 1 0 0' # 10, and 12 to 20: its host said that they come
    POFR_PEER_OLDEST=12 POFR_PEER_NEWEST=14 "$PEER" hello "$(gateway_at)" "$W/alpha/key" "$(uuid_of alpha)" >"$W/hello" &
    pid=$!
    every_bundle_of alpha '14 3 0 9 1 1 0' # now it says that 10 does not
    kill "$pid"
    wait "$pid" || true
    equal "$(metric merger 'pofr_hosts_with{shard="shard1",what="gaps"}')" 1
    equal "$(metric merger 'pofr_set_aside_messages{shard="shard1",reason="form"}')" 1
    delivered alpha "$slot" 10 # late, but there it is
    every_bundle_of alpha '14 3 0 10 1 0 0'
    sends alpha 12 12 12 14
    every_bundle_of alpha '14 2 0 11 1 0 0'
}

the_page_shows_all_of_it() {
    local page=$W/page name
    for name in alpha beta; do wait_until 30 told_is_gone "$name"; done
    ctl --json status >"$page"
    equal "$(jq -c '.bundles[0] | [.recorded, .in_spools, .in_kafka, .stored, .set_aside, .lost, .unaccounted]' "$page")" '[19,2,0,16,1,0,0]'
    equal "$(jq -c '.hosts_behind | map([.host, .in_spool, .set_aside, .reported_s < 300])' "$page")" '[["alpha",2,1,true]]'
    equal "$(jq -c '[.reports[0].hosts, .reports[0].never, .slots_unaccounted]' "$page")" '[2,0,[]]'
    equal "$(jq '(.kinds | map(.records) | add) == .records[0].recorded' "$page")" true "records by kind"
    equal "$(jq -c '.silent_hosts | map([.host, .connected]) | sort' "$page")" '[["alpha","no"],["beta","no"]]'
    equal "$(ctl --json status --hosts | jq -c '.hosts_behind | map([.host, .recorded, .stored])')" '[["alpha",14,11],["beta",5,5]]'
    ctl status | grep -A 2 '^bundles that hosts recorded' | grep -E '^ +19 +2 +0 +16 +1 +0 +0 '
    wait_until 90 metrics_have_all_records "$(jq '.records[0].recorded' "$page")"
    [[ $(metric merger "pofr_conservation_report_age_seconds{slot=\"$(slot_of alpha)\"}") -le 600 ]]
    admin_sql shard1 "UPDATE pofr_store.boot SET drift_us = 3000000;
        UPDATE pofr_store.host_state SET recorder = '{\"spool_bytes\": 90, \"spool_limit\": 100}'"
    ctl --json status >"$page"
    equal "$(jq -c '[(.spools_nearly_full | map([.host, .percent])), (.clocks | map([.host, .drift == 3]))]' "$page")" '[[["alpha",90]],[["alpha",true]]]'
    wait_until 20 metric_is merger 'pofr_hosts_with{shard="shard1",what="spool_nearly_full"}' 1
    wait_until 20 metric_is merger 'pofr_hosts_with{shard="shard1",what="clock_off"}' 1
}

metrics_have_all_records() { equal "$(metrics merger | awk '/^pofr_conservation_records{/ { n += $NF } END { print n + 0 }')" "$1" "records by kind, of all shards"; }

unaccounted() { ctl --json status | jq -c '[.bundles[0].unaccounted, (.slots_unaccounted | map(.unaccounted)), (.hosts_behind | map(.unaccounted) | add)]'; }
unaccounted_is() { equal "$(unaccounted)" "$1" unaccounted; }

# As if a worker had gone on behind 13 and made no gap for it; and a row of host_state that counts one less than it should.
what_is_nowhere_is_told_of_what_is_stored() {
    local slot
    slot=$(slot_of alpha)
    sends alpha 14 14 14 14
    every_bundle_of alpha '14 0 0 12 1 1 0'
    equal "$(word_of alpha)" bundle "who told of 14"
    admin_sql shard1 "CREATE TABLE pofr_store.kept AS SELECT * FROM pofr_store.gap WHERE explained = 0; DELETE FROM pofr_store.gap WHERE explained = 0 AND first_sequence = 13"
    every_bundle_of alpha '14 0 0 12 1 0 1'
    unaccounted_is '[1,[1],1]'
    wait_until 20 metrics_are "$slot" '0 0 12 1 0 1'
    wait_until 20 metric_is merger 'pofr_hosts_with{shard="shard1",what="unaccounted"}' 1
    admin_sql shard1 'INSERT INTO pofr_store.gap SELECT * FROM pofr_store.kept WHERE first_sequence = 13; DROP TABLE pofr_store.kept'
    admin_sql shard1 'UPDATE pofr_store.host_state SET bundles = bundles - 1'
    every_bundle_of alpha '14 0 0 11 1 1 1'
    admin_sql shard1 'UPDATE pofr_store.host_state SET bundles = bundles + 1'
    every_bundle_of alpha '14 0 0 12 1 1 0'
}

# Acked, and then Kafka has it no more; nothing was stored behind it that would show the hole.
what_is_nowhere_is_told_of_what_should_wait_in_kafka() {
    local slot end
    slot=$(slot_of beta)
    follows beta 6 9
    quickstart kill worker1
    sends beta 6 8
    every_bundle_of beta '8 0 3 5 0 0 0'
    wait_until 20 slot_is "$slot" '8 0 3 5 0 0 0'
    end=$(ctl --json topic show --seconds 0 | jq ".slots[$slot].log_end")
    printf '{"version": 1, "partitions": [{"topic": "pofr.snapshots", "partition": %d, "offset": %d}]}' "$slot" "$((end - 1))" >"$W/cut.json"
    kafka_tool org.apache.kafka.tools.DeleteRecordsCommand --bootstrap-server "127.0.0.1:$(part_field kafka 3)" --offset-json-file "$W/cut.json"
    wait_until 20 slot_is "$slot" '8 0 1 5 0 0 2'
    wait_until 20 metrics_are "$slot" '0 1 5 0 0 2'
    wait_until 20 metric_is merger "kafka_consumergroup_lag{consumergroup=\"pofr-ingest\",topic=\"pofr.snapshots\",partition=\"$slot\"}" 1
    equal "$(ctl --json status | jq -c '[.bundles[0].unaccounted, (.slots_unaccounted | map([.slot, .unaccounted]))]')" "[2,[[$slot,2]]]"
    quickstart start worker1 # it goes on with 8, behind a gap for 6 and 7
    every_bundle_of beta '8 0 0 6 0 2 0'
    wait_until 20 slot_is "$slot" '8 0 0 6 0 2 0'
}

# With --long. Somebody holds the row of alpha's slot, and the shard of beta's is gone: neither goes on, and both say so.
slots_that_do_not_go_on_say_why() {
    local slot other pid
    slot=$(slot_of alpha) other=$(slot_of beta)
    follows alpha 15 15
    admin_sql shard1 "START TRANSACTION; SELECT slot FROM pofr_store.ingest_offset WHERE slot = $slot FOR UPDATE; DO SLEEP(300)" >/dev/null &
    pid=$!
    wait_until 20 row_is_held
    sends alpha 15 15 15 15
    quickstart kill shard2
    sends beta 9 9
    wait_until 120 metric_is merger 'pofr_slots_with{problem="stuck"}' 1
    wait_until 30 has_problem stuck "$slot" ''
    wait_until 120 has_problem paused "$other" shard
    has_problem shard_down "$other" ''
    ctl topic health >"$W/health" || true
    grep -E "^stuck: .*: $slot(;|\$)" "$W/health"
    grep -E '^paused: .*workers say: shard' "$W/health"
    admin_sql shard1 "KILL $(admin_sql shard1 "SELECT id FROM information_schema.processlist WHERE info LIKE 'DO SLEEP(300)'")"
    wait "$pid" || true
    quickstart start shard2
    every_bundle_of alpha '15 0 0 13 1 1 0'
    every_bundle_of beta '9 0 0 7 0 2 0'
    wait_until 60 metric_is merger 'pofr_slots_with{problem="stuck"}' 0
    wait_until 60 metric_is merger 'pofr_slots_with{problem="paused"}' 0
}
row_is_held() { equal "$(admin_sql shard1 "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'DO SLEEP(300)'")" 1; }
has_problem() { metric_is merger "pofr_slot_problem{slot=\"$2\",problem=\"$1\",cause=\"$3\"}" 1; }

trap 'hosts_end; suite_finish' EXIT
CASES=(a_cluster what_waits_on_a_host_is_seen what_waits_in_kafka_is_seen what_is_set_aside_and_what_is_missing_are_told_apart
    the_page_shows_all_of_it what_is_nowhere_is_told_of_what_is_stored what_is_nowhere_is_told_of_what_should_wait_in_kafka)
! is_more_wanted "${CASES[@]}" || CASES+=(slots_that_do_not_go_on_say_why)
cases "${CASES[@]}"
