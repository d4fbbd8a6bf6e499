#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# slots: a log that is cut, or replaced, under the workers; a shard that is away. What is gone is named, the rest goes on
# timeout: 500
# order: 65
# jobs: 1
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/hosts.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/slots.sh"
trap 'hosts_end; suite_finish' EXIT

HOSTS_COUNT=4 HOSTS_TICK=300ms HOSTS_BUNDLE_AGE=500ms HOSTS_WHOLE=1

cluster() {
    [[ ! -e $W/cluster ]] || return 0
    cluster_start gateway worker1 worker2
    hosts_begin "$HOSTS_COUNT"
    touch "$W/cluster"
}

a_log_that_was_cut_before_it_was_stored_is_a_gap() {
    local from
    cluster
    all_equal
    quickstart kill worker1 worker2
    from=$(place host1 next_offset)
    log_cut host1 "$from" $((from + 4))
    quickstart start worker1 worker2
    cut_is_told host1 "$from" $((from + 4))
}

# The worker keeps its place in the log, and finds that it is no more
a_log_that_was_cut_under_a_worker_is_a_gap() {
    local host=host2 shard stored from to
    cluster
    all_equal
    shard=$(shard_of "$host")
    stored=$(place "$host" next_offset)
    quickstart kill "$shard"
    wait_until 20 some_slot_waits
    to=$(($(log_end "$host") + 4))
    log_cut "$host" "$stored" "$to"
    quickstart start "$shard"
    wait_until 60 gap_is_there "$host"
    from=$(gap_of_the_slot "$host" | awk '{ print $1 }')
    cut_is_told "$host" "$from" "$to"
}

a_log_that_was_replaced_is_read_from_its_start() {
    local before host part
    cluster
    all_equal
    for host in $(hosts_names); do process_kill TERM "$host/collector" "$host/shipper"; done
    for part in gateway worker1; do health "$part"; done
    kafka_tool org.apache.kafka.tools.TopicCommand --bootstrap-server "$(broker)" --delete --topic "$TOPIC"
    for part in gateway worker1; do wait_until 60 misses_its_topic "$part"; done
    quickstart kill gateway worker1 worker2
    before=$(quickstart sql -N "SELECT COUNT(*) FROM bundle")
    wait_until 30 topic_is_made
    quickstart start gateway worker1 worker2
    for host in $(hosts_names); do host_start "$host"; done
    wait_until 60 answers "SELECT COUNT(*) > $((before + 8)) FROM bundle" 1
    equal "$(place host1 incarnation)" 2 incarnation
    answers "SELECT COUNT(*) FROM slot_gap WHERE kind = 'incarnation' AND slot = $(slot_of host1)" 1
    all_equal
}

health() { "$BUILD/$(case $1 in gateway) echo gateway/pofr-gateway ;; *) echo workers/pofr-worker ;; esac)" --config "$POFR_STATE/etc/$1.conf" --health; }
misses_its_topic() {
    exit_code 1 health "$1" 2>"$W/said"
    grep -F "there is no topic $TOPIC: pofrctl topic create" "$W/said"
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
    some_slot_waits
    quickstart start "$away"
    wait_until 30 no_slot_waits
    all_equal
    [[ -n $there ]]
}

# log_ends: of all slots, a line "SLOT OFFSET" each
log_ends() {
    local -a which=()
    local slot
    for slot in {0..63}; do which+=(-t "$TOPIC:$slot:-1"); done
    kcat -b "$(broker)" -Q "${which[@]}" | sed -n 's/^.*\[\([0-9]*\)\] offset \([0-9]*\)$/\1 \2/p'
}

# stored_up_to FILE: what log_ends printed into it is stored
stored_up_to() {
    local shard
    for shard in shard1 shard2; do
        admin_sql "$shard" "SELECT slot, next_offset FROM pofr_store.ingest_offset"
    done | awk 'NR == FNR { end[$1] = $2; next } $2 >= end[$1] { delete end[$1] } END { for (slot in end) exit 1 }' "$1" -
}

slots_assigned() { [[ $(($(metric worker1 pofr_ingest_partitions) + $(metric worker2 pofr_ingest_partitions))) -eq 64 ]]; }

what_comes_while_workers_take_their_slots_is_read() {
    local slot
    cluster
    quickstart kill worker1 worker2 kafka
    quickstart start kafka worker1 worker2 # a broker that is slow to answer
    wait_until 60 slots_assigned
    for slot in {0..63}; do
        printf 'of no program that we know' | kcat -b "$(broker)" -P -t "$TOPIC" -p "$slot"
    done
    log_ends >"$W/ends"
    equal "$(wc -l <"$W/ends")" 64 "slots whose end is known"
    wait_until 30 stored_up_to "$W/ends"
    all_equal
}

newest_here() { admin_sql shard1 "SELECT COALESCE(MAX(sequence), 0) FROM pofr_store.bundle b JOIN pofr_store.host h USING (host_id) WHERE h.host = '$1'"; }
stored_here() { [[ $(newest_here "$1") -ge $2 ]]; }
slots_that_wait() {
    local worker n=0
    for worker in worker1 worker2; do n=$((n + $(metric "$worker" 'pofr_ingest_paused_partitions{cause="shard"}'))); done
    printf '%d' "$n"
}
some_slot_waits() { [[ $(slots_that_wait) -gt 0 ]]; }
no_slot_waits() { [[ $(slots_that_wait) -eq 0 ]]; }

# Beside setup, in containers, a worker is often the first to ask for a topic. It ends neither for that nor against a stop.
a_worker_waits_for_a_topic_that_is_not_there_yet() {
    cluster
    mkdir -p -- "$W/early"
    sed -e "s|^state_dir = .*|state_dir = $W/early|; s|^name = .*|name = early|; s|^listen = .*|listen = 127.0.0.1:$(free_port)|" \
        -e '/^\[kafka\]$/a topic = pofr.early' "$POFR_STATE/etc/worker1.conf" >"$W/early.conf"
    sed '/^\[kafka\]$/a topic = pofr.early' "$POFR_STATE/etc/ctl.conf" >"$W/early.ctl.conf"
    early_worker
    wait_until 30 grep -q 'waits_for_kafka error="kafka topic pofr.early: there is no such topic' "$W/early.log"
    "$BUILD/ctl/pofrctl" --quiet --config "$W/early.ctl.conf" topic create
    wait_until 30 grep -q ' worker topic name=pofr.early' "$W/early.log"
    process_kill TERM early
    kafka_tool org.apache.kafka.tools.TopicCommand --bootstrap-server "$(broker)" --delete --topic pofr.early
    ends_well_while_it_waits early_worker
    sed -e "s|^state_dir = .*|state_dir = $W/early|; s|^name = .*|name = early|; s|^listen = .*|listen = 127.0.0.1:$(free_port)|" \
        -e '/^\[kafka\]$/a topic = pofr.early' "$POFR_STATE/etc/gateway.conf" >"$W/early.gateway.conf"
    ends_well_while_it_waits early_gateway
}
early_worker() {
    "$BUILD/workers/pofr-worker" --config "$W/early.conf" </dev/null >>"$W/early.log" 2>&1 &
    process_note early "$!"
}
early_gateway() {
    "$BUILD/gateway/pofr-gateway" --config "$W/early.gateway.conf" </dev/null >>"$W/early.log" 2>&1 &
    process_note early "$!"
}
# An end that was asked for is no failure: systemd would show the unit as failed.
ends_well_while_it_waits() {
    local pid
    : >"$W/early.log"
    "$1"
    wait_until 30 grep -q ' waits_for_kafka ' "$W/early.log"
    pid=$(process_pid early)
    kill -TERM "$pid"
    wait_until 10 process_is_gone early # long before start_wait is over
    wait "$pid"
}

cases what_comes_while_workers_take_their_slots_is_read a_shard_that_is_away_makes_only_its_own_slots_wait \
    a_log_that_was_cut_before_it_was_stored_is_a_gap a_log_that_was_cut_under_a_worker_is_a_gap \
    a_log_that_was_replaced_is_read_from_its_start a_worker_waits_for_a_topic_that_is_not_there_yet
