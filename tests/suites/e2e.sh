#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# eight hosts, two shards, two workers: SQL holds exactly what they recorded and signed, row by row and column by column
# timeout: 700
# order: 62
# jobs: 1
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/hosts.sh"
trap 'hosts_end; suite_finish' EXIT

W=$POFR_TEST_WORK
HOSTS_COUNT=8 HOSTS_WHOLE=1

cluster() {
    [[ ! -e $W/cluster ]] || return 0
    cluster_start gateway worker1 worker2 merger
    hosts_begin "$HOSTS_COUNT"
    touch "$W/cluster"
}

# load N: in turn everywhere, where one host sees it, and in the space of one that sees nothing else
load() {
    local i folder
    for ((i = 1; i <= $1; i++)); do
        folder=$W/load.$i.$BASHPID
        mkdir -p "$folder"
        if ((i % 2)); then
            tests/support/workload.py run "$W/load.json" "$folder" 1
        else
            in_host "host$((2 + RANDOM % (HOSTS_COUNT - 1)))" "$PWD/tests/support/workload.py" run "$W/load.json" "$folder" 1
        fi
        rm -rf -- "$folder"
    done
}

# all_sealed N: every host has that many bundles; a quiet machine is fast, its hosts are not
all_sealed() {
    local name
    local -a states=()
    for name in $(hosts_names); do states+=("$HOSTS/$name/state"); done
    python3 tests/support/spool.py --heads "${states[@]}" | awk -v n="$1" '$1 < n { bad = 1 } END { exit bad }'
}

every_row_is_what_was_signed() {
    cluster
    load 2
    wait_until 60 all_sealed 5
    hosts_equal --min 5 --sample 5
}

while_it_goes_on() {
    local i
    cluster
    load 2 &
    for i in 1 2; do hosts_equal; done
    wait "$!"
}

both_shards_and_both_workers_had_hosts() {
    cluster
    equal "$(admin_sql shard1 'SELECT COUNT(DISTINCT host_id) > 0 FROM pofr_store.bundle')" 1 "hosts on shard1"
    equal "$(admin_sql shard2 'SELECT COUNT(DISTINCT host_id) > 0 FROM pofr_store.bundle')" 1 "hosts on shard2"
    equal "$({
        admin_sql shard1 "SELECT DISTINCT worker FROM pofr_store.ingest_offset WHERE next_offset > 0"
        admin_sql shard2 "SELECT DISTINCT worker FROM pofr_store.ingest_offset WHERE next_offset > 0"
    } | sort -u | wc -l)" 2 "workers that stored something"
}

agents_that_were_stopped_and_started_go_on() {
    local name
    cluster
    for name in $(hosts_names); do process_kill TERM "$name/collector" "$name/shipper"; done
    for name in $(hosts_names); do host_start "$name"; done
    load 1
    hosts_equal
    # in good order: what was stopped cleanly says so, and nothing else is missing
    equal "$(quickstart sql -N "SELECT COUNT(DISTINCT host_id) FROM gap WHERE kind = 'stopped'")" "$HOSTS_COUNT" "hosts that say they were stopped"
    equal "$(quickstart sql -N "SELECT COUNT(*) FROM gap WHERE kind NOT IN ('stopped', 'ticks')")" 0 "other gaps"
}

# stored NAME N: so many of its bundles are
stored() { [[ $(quickstart sql -N "SELECT COALESCE(MAX(bundles), 0) FROM host WHERE host = '$1'") -ge $2 ]]; }

# Of what is stored: where nothing is, nothing is wrong.
evidence_is_verified() {
    local name
    cluster
    for name in $(hosts_names); do
        wait_until 60 stored "$name" 4
        ctl verify "$name"
    done
}

# Whoever may delete rows: at the beginning and at the end, too, where nothing stands beside what is gone.
what_was_removed_from_the_ledger_is_found() {
    local where
    cluster
    wait_until 60 stored host8 4
    for where in "sequence = 1" "sequence <= 3" "sequence = 2" "sequence >= @n"; do
        damage "SET @n = (SELECT newest_sequence FROM pofr_store.host_state WHERE host_id = @h);
            CREATE TABLE pofr_store.kept AS SELECT * FROM pofr_store.bundle WHERE host_id = @h AND $where;
            DELETE FROM pofr_store.bundle WHERE host_id = @h AND sequence IN (SELECT sequence FROM pofr_store.kept)"
        fails ctl verify host8 >"$W/removed"
        cat "$W/removed"
        grep -q ': removed: ' "$W/removed"
        damage "INSERT INTO pofr_store.bundle SELECT * FROM pofr_store.kept; DROP TABLE pofr_store.kept"
    done
    ctl verify host8
}

# The comparison itself must see every kind of damage: of host8, on its shard
damage() {
    local shard=shard1
    [[ $(admin_sql shard1 "SELECT COUNT(*) FROM pofr_store.host WHERE host = 'host8'") == 1 ]] || shard=shard2
    admin_sql "$shard" "SET @h = (SELECT host_id FROM pofr_store.host WHERE host = 'host8'); $1"
}

host8_equal() (
    hosts_names() { echo host8; }
    hosts_equal --wait 0
)

# differs PATTERN...: each is found
differs() {
    local pattern
    fails host8_equal >"$W/differs"
    cat "$W/differs"
    for pattern; do grep -q -- "$pattern" "$W/differs"; done
}

the_comparison_sees_what_is_wrong() {
    cluster
    host8_equal
    damage "UPDATE pofr_store.psinfo SET ruid = ruid + 1 WHERE host_id = @h AND end_source = 'open' LIMIT 1;
        DELETE FROM pofr_store.fileinfo WHERE host_id = @h AND end_source <> 'open' LIMIT 1;
        CREATE TEMPORARY TABLE pofr_store.one AS SELECT * FROM pofr_store.hostinfo WHERE host_id = @h LIMIT 1;
        UPDATE pofr_store.one SET first_seen = first_seen + INTERVAL 1 MICROSECOND;
        INSERT INTO pofr_store.hostinfo SELECT * FROM pofr_store.one;
        INSERT INTO pofr_store.gap (host_id, boot, kind, from_time, to_time, lost, noted)
        VALUES (@h, 1, 'crash', UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), 3, UTC_TIMESTAMP(6))"
    differs '^  psinfo: .*ruid is' '^  fileinfo: missing in SQL' '^  hostinfo: only in SQL' '^  gap: only in SQL'
    damage "UPDATE pofr_store.bundle SET ticks = ticks + 1 WHERE host_id = @h AND sequence = 1;
        DELETE FROM pofr_store.bundle WHERE host_id = @h AND sequence = 2;
        UPDATE pofr_store.boot SET anchor_us = anchor_us + 1 WHERE host_id = @h"
    differs '^  ledger, statement: ' '^  lost: sequence 2 ' '^  boot, anchor: '
    fails ctl verify host8
}

cases every_row_is_what_was_signed while_it_goes_on both_shards_and_both_workers_had_hosts \
    agents_that_were_stopped_and_started_go_on evidence_is_verified what_was_removed_from_the_ledger_is_found the_comparison_sees_what_is_wrong
