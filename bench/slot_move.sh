#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# slot_move.sh -- how fast pofrctl slot move brings the rows of a slot to another shard, and purge takes them away
#
# The rows are those of HOSTS made-up hosts in one slot, as bench/run worker stores them. Both shards share this machine.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/../deploy/lib/base.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
cd -- "$POFR_TREE"
trap bench_remove EXIT

HOSTS=${POFR_BENCH_HOSTS:-200} BUNDLES=${POFR_BENCH_BUNDLES:-60}

bench_servers
for ((i = 1; i <= HOSTS; i++)); do
    mkdir "$WORK/$i"
    "$BUILD/tests/support/random_bundle" --seed "$i" --bundles "$BUNDLES" --size 60 --calm "$WORK/$i"
done
"$BUILD/bench/worker_rows" "$(part shard1 3)" pofr_admin "$POFR_STATE/secrets/admin.pw" "$(part shard1 2)" $(seq -f "$WORK/%.0f" "$HOSTS") >&2

timed() { local begin; begin=$(now_ms); "$@" >"$WORK/said" 2>&1; printf '%s' $(($(now_ms) - begin)); }
per_second() { awk -v n="$1" -v ms="$2" 'BEGIN { printf "%.0f", n * 1000 / ms }'; }

before=$(cpu_ms shard2)
took=$(timed "$BUILD/ctl/pofrctl" --config "$POFR_STATE/etc/ctl.conf" slot move 0 --to shard2)
rows=$(sed -nE 's/^.*slot 0: ([0-9]+) rows copied$/\1/p' "$WORK/said")
used=$(($(cpu_ms shard2) - before))
figure "rows of the slot" "$rows" rows
figure "moved, compared and shown" "$(per_second "$rows" "$took")" rows/s
figure "CPU of the new shard" "$(awk -v ms="$used" -v n="$rows" 'BEGIN { printf "%.1f", ms * 1000 / n }')" us/row
took=$(timed ctl slot purge 0 --from shard1)
figure "purged" "$(per_second "$rows" "$took")" rows/s
