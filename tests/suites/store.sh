#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# a shard's rows do not depend on the order of arrival: random hosts' bundles, dropped and permuted, against memory in sequence
# timeout: 600
# order: 46
# jobs: 1
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"

BUILD=$POFR_TREE/build/clang # the release build is quickstart's too, and has no tests then
HOSTS=${POFR_TEST_SEEDS:-48}

ctl() { "$BUILD/ctl/pofrctl" --quiet --config "$POFR_STATE/etc/ctl.conf" "$@"; }

a_shard_with_a_slot() {
    build_preset clang --target pofrctl memory_chain store_chain store_ending
    quickstart start head shard1
    ctl migrate
    ctl shard add shard1 --address "127.0.0.1:$(part_field shard1 3)" --if-exists update
    admin_sql shard1 "INSERT INTO pofr_store.ingest_offset (slot, generation, state, updated)
        SELECT 0, 1, 'owned', UTC_TIMESTAMP(6) WHERE NOT EXISTS (SELECT 1 FROM pofr_store.ingest_offset WHERE slot = 0)"
}

ends_by_one_statement() { admin_sql shard1 "SHOW GLOBAL STATUS LIKE 'Com_delete_multi'" | cut -f 2; }

any_order_gives_the_rows_of_the_sequence() {
    local bin=$BUILD/tests/unit/workers
    "$bin/memory_chain" 1 "$HOSTS" | sort >"$POFR_TEST_WORK/want"
    "$bin/store_chain" "$(part_field shard1 3)" pofr_admin "$POFR_STATE/secrets/admin.pw" pofr_store 1 "$HOSTS" | sort >"$POFR_TEST_WORK/have"
    diff "$POFR_TEST_WORK/want" "$POFR_TEST_WORK/have" | head -20
    printf '%d rows, %d times many ends at once\n' "$(wc -l <"$POFR_TEST_WORK/want")" "$(ends_by_one_statement)"
    [[ $(wc -l <"$POFR_TEST_WORK/want") -gt 1000 ]]
    cmp "$POFR_TEST_WORK/want" "$POFR_TEST_WORK/have"
    [[ $(ends_by_one_statement) -gt 0 ]]
}

rows_that_end_at_once_go_by_one_statement() {
    "$BUILD/tests/unit/workers/store_ending" "$(part_field shard1 3)" "$POFR_STATE/secrets/admin.pw" "$POFR_STATE/secrets/worker.pw"
}

cases a_shard_with_a_slot any_order_gives_the_rows_of_the_sequence rows_that_end_at_once_go_by_one_statement
