#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# slots: a log that is cut, or replaced, under the workers; a shard that is away. What is gone is named, the rest goes on
# timeout: 500
# order: 65
# jobs: 1
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/hosts.sh"
source "$POFR_TREE/deploy/lib/kafka.sh"
trap 'hosts_end; suite_finish' EXIT

W=$POFR_TEST_WORK
TOPIC=pofr.snapshots
HOSTS_COUNT=4 HOSTS_TICK=300ms HOSTS_BUNDLE_AGE=500ms HOSTS_WHOLE=1

cluster() {
    [[ ! -e $W/cluster ]] || return 0
    cluster_start gateway worker1 worker2
    hosts_begin "$HOSTS_COUNT"
    touch "$W/cluster"
}

# Messages are not compared: an offset may have been there in the log before, too.
all_equal() {
    local -a gone=()
    [[ ! -s $W/gone ]] || gone=(--gone "$(cat "$W/gone")")
    hosts_equal --kafka "" "${gone[@]}"
}

broker() { printf '127.0.0.1:%s' "$(part_field kafka 3)"; }
slot_of() { admin_sql head "SELECT slot FROM pofr_catalog.host WHERE host = '$1'"; }
shard_of() { admin_sql head "SELECT d.name FROM pofr_catalog.host h JOIN pofr_catalog.slot s ON s.slot = h.slot JOIN pofr_catalog.shard d ON d.shard_id = s.shard_id WHERE h.host = '$1'"; }
place() { admin_sql "$(shard_of "$1")" "SELECT $2 FROM pofr_store.ingest_offset WHERE slot = $(slot_of "$1")"; }
log_end() { kcat -b "$(broker)" -Q -t "$TOPIC:$(slot_of "$1"):-1" | sed 's/.*offset //'; }
log_end_is() { [[ $(log_end "$1") -ge $2 ]]; }
newest() { quickstart sql -N "SELECT COALESCE(MAX(sequence), 0) FROM bundle WHERE host = '$1'"; }
stored_beyond() { [[ $(newest "$1") -gt $2 ]]; }
answers() { [[ $(quickstart sql -N "$1") == "$2" ]]; }

# cut_log HOST OFFSET: what is before it is gone, as retention takes it
cut_log() {
    printf '{"version": 1, "partitions": [{"topic": "%s", "partition": %d, "offset": %d}]}' "$TOPIC" "$(slot_of "$1")" "$2" >"$W/cut.json"
    kafka_tool org.apache.kafka.tools.DeleteRecordsCommand --bootstrap-server "$(broker)" --offset-json-file "$W/cut.json"
}

# The sequences that lie in the log from offset FROM to before offset TO
sequences() {
    kcat -b "$(broker)" -C -q -e -t "$TOPIC" -p "$(slot_of "$1")" -o "$2" -c $(($3 - $2)) -f '%s\n' | grep -a '^sequence ' | cut -d' ' -f2
}

a_log_that_was_cut_before_it_was_stored_is_a_gap() {
    local from to first last
    cluster
    all_equal
    quickstart kill worker1 worker2
    from=$(place host1 next_offset)
    wait_until 30 log_end_is host1 $((from + 6))
    to=$((from + 4))
    first=$(sequences host1 "$from" "$to" | head -1)
    last=$(sequences host1 "$from" "$to" | tail -1)
    cut_log host1 "$to"
    quickstart start worker1 worker2
    wait_until 40 stored_beyond host1 $((last + 3))
    equal "$(quickstart sql -N "SELECT from_offset, to_offset, kind FROM slot_gap WHERE slot = $(slot_of host1)")" "$from"$'\t'"$to"$'\t'retention "row of the slot"
    equal "$(quickstart sql -N "SELECT first_sequence, last_sequence, kind, explained, lost > 0 FROM gap WHERE host = 'host1' AND kind = 'sequence'")" \
        "$first"$'\t'"$last"$'\t'sequence$'\t'0$'\t'1 "gap of the host"
    ctl status | grep -A 3 'log was cut' | grep -w retention
    # what the lost ones had begun or ended is put right by the next keyframe
    process_kill TERM host1/collector
    host_start host1
    printf '%s:%d-%d' "$(cat "$HOSTS/host1/state/host.uuid")" "$first" "$last" >"$W/gone"
    all_equal
    ctl verify host1
}

a_log_that_was_replaced_is_read_from_its_start() {
    local before host
    cluster
    all_equal
    for host in $(hosts_names); do process_kill TERM "$host/collector" "$host/shipper"; done
    quickstart kill gateway worker1 worker2
    before=$(quickstart sql -N "SELECT COUNT(*) FROM bundle")
    kafka_tool org.apache.kafka.tools.TopicCommand --bootstrap-server "$(broker)" --delete --topic "$TOPIC"
    wait_until 30 topic_is_made
    quickstart start gateway worker1 worker2
    for host in $(hosts_names); do host_start "$host"; done
    wait_until 60 answers "SELECT COUNT(*) > $((before + 8)) FROM bundle" 1
    equal "$(place host1 incarnation)" 2 incarnation
    answers "SELECT COUNT(*) FROM slot_gap WHERE kind = 'incarnation' AND slot = $(slot_of host1)" 1
    all_equal
}

topic_is_made() { ctl topic create && ctl topic check; }

a_shard_that_is_away_makes_only_its_own_slots_wait() {
    local away=shard2 host here there='' at
    cluster
    for host in $(hosts_names); do
        if [[ $(shard_of "$host") == "$away" ]]; then there=$host; else here=$host; fi
    done
    quickstart kill "$away"
    at=$(newest_here "$here")
    wait_until 20 stored_here "$here" $((at + 5))
    [[ $(slots_that_wait) -gt 0 ]]
    quickstart start "$away"
    wait_until 30 no_slot_waits
    all_equal
    [[ -n $there ]]
}

newest_here() { admin_sql shard1 "SELECT COALESCE(MAX(sequence), 0) FROM pofr_store.bundle b JOIN pofr_store.host h USING (host_id) WHERE h.host = '$1'"; }
stored_here() { [[ $(newest_here "$1") -ge $2 ]]; }
slots_that_wait() {
    local worker n=0
    for worker in worker1 worker2; do n=$((n + $(metric "$worker" 'pofr_ingest_paused_partitions{cause="shard"}'))); done
    printf '%d' "$n"
}
no_slot_waits() { [[ $(slots_that_wait) -eq 0 ]]; }

cases a_shard_that_is_away_makes_only_its_own_slots_wait a_log_that_was_cut_before_it_was_stored_is_a_gap \
    a_log_that_was_replaced_is_read_from_its_start
