#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# what the head answers through Spider is what the shards' rows say: every query shape, against one plain copy of all rows
# timeout: 600
# order: 46
# jobs: 1
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"

BUILD=$POFR_TREE/build/release

ctl() { "$BUILD/ctl/pofrctl" --quiet --config "$POFR_STATE/etc/ctl.conf" "$@"; }

admin() { # PART DATABASE [OPTION...]: a client on that server, statements from standard input
    local part=$1 database=$2
    shift 2
    mariadb --defaults-file="$POFR_STATE/etc/admin.cnf" --port="$(part_field "$part" 3)" --batch --skip-column-names "$@" "$database"
}

shards_with_rows() {
    build_preset release --target pofrctl
    quickstart start head shard1 shard2
    ctl migrate
    ctl shard add shard1 --address "127.0.0.1:$(part_field shard1 3)" --if-exists update
    ctl shard add shard2 --address "127.0.0.1:$(part_field shard2 3)" --if-exists update
    { printf 'SET @shard = 0;\n' && cat tests/support/federation_rows.sql; } | admin shard1 pofr_store
    { printf 'SET @shard = 1;\n' && cat tests/support/federation_rows.sql; } | admin shard2 pofr_store
    equal "$(quickstart sql -N 'SELECT COUNT(*) FROM host')" 8 "hosts through the head"
}

# All rows of all views, as each shard gives them directly, in plain tables on one server.
one_plain_copy() {
    local database view shard
    for shard in shard1 shard2; do
        for database in pofr pofr_compat; do
            printf 'CREATE DATABASE oracle_%s;\n' "$database" | admin "$shard" ''
            printf "SELECT table_name FROM information_schema.views WHERE table_schema = '%s';\n" "$database" | admin "$shard" '' |
                while read -r view; do
                    printf 'CREATE TABLE oracle_%s.%s AS SELECT * FROM %s.%s;\n' "$database" "$view" "$database" "$view"
                done | admin "$shard" ''
        done
    done
    for database in pofr pofr_compat; do
        mariadb-dump --defaults-file="$POFR_STATE/etc/admin.cnf" --port="$(part_field shard2 3)" --no-create-info --hex-blob --skip-tz-utc \
            "oracle_$database" | admin shard1 "oracle_$database"
    done
}

every_query_gets_the_answer_of_the_plain_copy() {
    local query got want id count=0 empty=0 wrong=0
    id=$(printf "SELECT host_id FROM host WHERE host = 'host3';\n" | admin shard1 pofr)
    while IFS= read -r query; do
        [[ $query != --* ]] || continue
        query=${query//HOST_ID/$id}
        got=$(quickstart sql -N "$query" | sort)
        want=$(printf '%s;\n' "${query//pofr_compat./oracle_pofr_compat.}" | admin shard1 oracle_pofr | sort)
        count=$((count + 1))
        [[ -n $want ]] || { printf 'nothing to compare: %s\n' "$query"; empty=$((empty + 1)); }
        if [[ $got != "$want" ]]; then
            wrong=$((wrong + 1))
            printf 'differs: %s\n' "$query"
            diff <(printf '%s\n' "$got") <(printf '%s\n' "$want") | head -5
        fi
    done <tests/support/federation_queries.sql
    printf '%d queries, %d differ\n' "$count" "$wrong"
    [[ $count -ge 20 ]]
    equal "$wrong" 0 "queries that differ"
    equal "$empty" 0 "queries without rows"
}

a_head_whose_answers_are_not_to_be_trusted_is_refused() {
    local name
    for name in spider_direct_aggregate spider_direct_order_limit spider_semi_split_read spider_disable_group_by_handler; do
        printf 'SET GLOBAL %s = 1 - @@GLOBAL.%s;\n' "$name" "$name" | admin head ''
        fails ctl migrate 2>"$POFR_TEST_WORK/refused"
        grep -qi "$name" "$POFR_TEST_WORK/refused"
        printf 'SET GLOBAL %s = 1 - @@GLOBAL.%s;\n' "$name" "$name" | admin head ''
    done
    ctl migrate
}

selects_of() { printf "SHOW GLOBAL STATUS LIKE 'Com_select';\n" | admin "$1" '' | cut -f2; }

# Cut into statements of 2 rows by the limit, this asked a shard once for every two rows.
a_sort_with_a_limit_asks_each_shard_once() {
    local rows before
    rows=$(printf 'SELECT COUNT(*) FROM psinfo;\n' | admin shard1 pofr)
    [[ $rows -ge 100 ]]
    before=$(selects_of shard1)
    equal "$(quickstart sql -N 'SELECT pid FROM psinfo ORDER BY first_seen DESC, pid LIMIT 1' | wc -l)" 1 "rows"
    [[ $(($(selects_of shard1) - before)) -lt 10 ]]
}

# With background search on, one in six of these never ended.
a_query_that_stops_early_ends() {
    local i
    for i in {1..60}; do
        timeout 10 "$POFR_TREE/deploy/quickstart" sql -N 'SELECT COUNT(*) FROM (SELECT 1 FROM coverage LIMIT 1) r' >/dev/null
    done
}

a_slot_that_is_gone_is_not_shown() {
    local before slot
    before=$(quickstart sql -N 'SELECT COUNT(*) FROM psinfo')
    slot=$(printf 'SELECT MIN(slot) FROM host;\n' | admin shard1 pofr_store)
    printf "UPDATE slot SET state = 'gone' WHERE slot = %d;\n" "$slot" | admin shard1 pofr_store
    equal "$(quickstart sql -N "SELECT COUNT(*) FROM psinfo WHERE host_id MOD 1024 = $slot")" 0 "rows of a slot that is gone"
    printf "UPDATE slot SET state = 'owned' WHERE slot = %d;\n" "$slot" | admin shard1 pofr_store
    equal "$(quickstart sql -N 'SELECT COUNT(*) FROM psinfo')" "$before" "rows"
}

the_analyst_can_read_and_nothing_else() {
    fails quickstart sql 'DELETE FROM psinfo' 2>/dev/null
    fails quickstart sql 'CREATE TABLE pofr.x (a INT)' 2>/dev/null
    fails quickstart sql 'SELECT * FROM pofr_catalog.host_key' 2>/dev/null
}

cases shards_with_rows one_plain_copy every_query_gets_the_answer_of_the_plain_copy a_head_whose_answers_are_not_to_be_trusted_is_refused \
    a_sort_with_a_limit_asks_each_shard_once a_query_that_stops_early_ends a_slot_that_is_gone_is_not_shown the_analyst_can_read_and_nothing_else
