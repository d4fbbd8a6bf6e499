#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# broker.sh -- what a bundle costs Kafka when many come: through a gateway, and read by workers
#
# Bundles of 3 KB, as typical hosts send them each 4 s, as fast as SESSIONS agents get them acked. fleet.sh measures the same where few
# come, and each is a write, a flush and an answer of its own. Kafka and all else share this machine.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/../deploy/lib/base.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
cd -- "$POFR_TREE"

SESSIONS=${POFR_BENCH_SESSIONS:-8} BUNDLES=${POFR_BENCH_BUNDLES:-1500} BYTES=3000
trap bench_remove EXIT

bench_servers
"$BUILD/bench/bench_gateway" prepare "$SESSIONS" "$WORK/keys" |
    mariadb --defaults-file="$POFR_STATE/etc/admin.cnf" --port="$(part head 3)" pofr_catalog
quickstart start gateway worker1 worker2 >&2
stream() { "$BUILD/bench/bench_gateway" stream "127.0.0.1:$(part gateway 3)" "$WORK/keys" "$SESSIONS" "$1" "$BYTES"; }

stream 50 >/dev/null # warm
before=$(cpu_ms kafka) begin=$(now_ms)
timeout 30 tail -f /dev/null || true
idle=$(hundredth "$((($(cpu_ms kafka) - before) * 100))" "$(($(now_ms) - begin))")
figure "CPU, Kafka, nothing comes" "$idle" "% of a core"
before=$(cpu_ms kafka)
seconds=$(stream "$BUNDLES")
used=$(($(cpu_ms kafka) - before))
figure "CPU, Kafka, a bundle of $BYTES bytes, $SESSIONS sessions" \
    "$(awk -v used="$used" -v idle="$idle" -v s="$seconds" -v n="$((SESSIONS * BUNDLES))" 'BEGIN { printf "%.3f", (used - idle * 10 * s) / n }')" ms
figure "... bundles a second" "$(awk -v s="$seconds" -v n="$((SESSIONS * BUNDLES))" 'BEGIN { printf "%.0f", n / s }')" 1/s
