#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# worker.sh -- rows that one worker's thread stores a second, verified and decoded, against a bare insert of the same final rows
# into empty tables with the same indexes and partitions over one connection (see bench/run)
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/../deploy/lib/base.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
cd -- "$POFR_TREE"
trap bench_remove EXIT

HOSTS=${BENCH_HOSTS:-24} BUNDLES=${BENCH_BUNDLES:-60}

quickstart start head shard1 >&2
ctl migrate >&2
ctl shard add shard1 --address "127.0.0.1:$(part shard1 3)" --if-exists update >&2
mariadb --defaults-file="$POFR_STATE/etc/admin.cnf" --port="$(part shard1 3)" pofr_store <<'SQL'
INSERT INTO ingest_offset (slot, generation, state, updated)
    SELECT 0, 1, 'owned', UTC_TIMESTAMP(6) WHERE NOT EXISTS (SELECT 1 FROM ingest_offset WHERE slot = 0);
SQL
for ((i = 1; i <= HOSTS; i++)); do
    mkdir "$WORK/$i"
    "$BUILD/tests/support/random_bundle" --seed "$i" --bundles "$BUNDLES" --size 60 --calm "$WORK/$i"
done
"$BUILD/bench/worker_rows" "$(part shard1 3)" pofr_admin "$POFR_STATE/secrets/admin.pw" "$(part shard1 2)" \
    $(seq -f "$WORK/%.0f" "$HOSTS")
