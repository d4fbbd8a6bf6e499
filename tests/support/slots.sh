# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# slots.sh -- a slot's log as Kafka and its shard have it, and how it is cut as retention cuts it. After hosts.sh.

source "$POFR_TREE/deploy/lib/kafka.sh"
W=$POFR_TEST_WORK
TOPIC=pofr.snapshots

# Messages are not compared: an offset may have been there in the log before, too.
all_equal() {
    local -a gone=()
    local range
    [[ ! -e $W/gone ]] || while read -r range; do gone+=(--gone "$range"); done <"$W/gone"
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

# log_cut HOST FROM TO: what the log has before offset TO is gone, as retention takes it; "OFFSET SEQUENCE" of what it had from
# FROM on is in $W/cut
log_cut() {
    local slot
    slot=$(slot_of "$1")
    wait_until 30 log_end_is "$1" $(($3 + 2))
    kcat -b "$(broker)" -C -q -e -t "$TOPIC" -p "$slot" -o "$2" -c $(($3 - $2)) -f 'offset %o\n%s\n' |
        awk -v RS='\n' '$1 == "offset" { at = $2 } $1 == "sequence" { print at, $2 }' >"$W/cut"
    printf '{"version": 1, "partitions": [{"topic": "%s", "partition": %d, "offset": %d}]}' "$TOPIC" "$slot" "$3" >"$W/cut.json"
    kafka_tool org.apache.kafka.tools.DeleteRecordsCommand --bootstrap-server "$(broker)" --offset-json-file "$W/cut.json"
}

gap_of_the_slot() { quickstart sql -N "SELECT from_offset, to_offset FROM slot_gap WHERE kind = 'retention' AND slot = $(slot_of "$1") ORDER BY from_offset DESC LIMIT 1"; } # the newest
gap_is_there() { [[ -n $(gap_of_the_slot "$1") ]]; }

# cut_is_told HOST FROM TO: in rows of the slot and of the host; what the lost ones had begun or ended is put right by the
# next keyframe
cut_is_told() {
    local host=$1 first last
    first=$(awk -v at="$2" '$1 == at { print $2 }' "$W/cut")
    last=$(awk -v at=$(($3 - 1)) '$1 == at { print $2 }' "$W/cut")
    wait_until 60 stored_beyond "$host" $((last + 3))
    equal "$(gap_of_the_slot "$host")" "$2"$'\t'"$3" "row of the slot"
    equal "$(quickstart sql -N "SELECT first_sequence, last_sequence, kind, explained, lost > 0 FROM gap WHERE host = '$host' AND kind = 'sequence' AND explained = 0")" \
        "$first"$'\t'"$last"$'\t'sequence$'\t'0$'\t'1 "gap of the host"
    ctl status | grep -A 3 'log was cut' | grep -w retention
    process_kill TERM "$host/collector"
    host_start "$host"
    printf '%s:%d-%d\n' "$(cat "$HOSTS/$host/state/host.uuid")" "$first" "$last" >>"$W/gone"
    all_equal
    ctl verify "$host"
}
