#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# worker.sh -- rows that one worker's thread stores a second, verified and decoded, against a bare insert of the same final rows
# into empty tables with the same indexes and partitions over one connection (see bench/run)
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/../deploy/lib/base.sh"
cd -- "$POFR_TREE"

HOSTS=${BENCH_HOSTS:-24} BUNDLES=${BENCH_BUNDLES:-60}
BUILD=$POFR_TREE/build/release
WORK=$(mktemp -d "${TMPDIR:-/var/tmp}/pofr-b.XXXXXX")
chmod 711 -- "$WORK"
export POFR_STATE=$WORK/c POFR_NO_INSTALL=1 POFR_NO_BUILD=1 POFR_BUILD=$BUILD

quickstart() { "$POFR_TREE/deploy/quickstart" "$@" >&2; }
finish() {
    quickstart destroy || true
    rm -rf -- "$WORK"
}
trap finish EXIT

part() { "$POFR_TREE/deploy/quickstart" parts | awk -v part="$1" -v column="$2" '$1 == part { print $column }'; }

quickstart start head shard1
ctl() { "$BUILD/ctl/pofrctl" --quiet --config "$POFR_STATE/etc/ctl.conf" "$@" >&2; }
ctl migrate
ctl shard add shard1 --address "127.0.0.1:$(part shard1 3)" --if-exists update
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
