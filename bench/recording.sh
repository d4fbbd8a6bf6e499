#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# recording.sh -- this machine recorded by a whole cluster on it for a while: what that costs and how fresh SQL is
#
# Beside the cluster's own processes there is what a typical host has: 150 processes of some 15 files each, a program
# executed and two connections made a second. POFR_BENCH_MINUTES: how long (5). On standard output as bench/run says;
# percentiles over the bundles' ledger rows.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/../deploy/lib/base.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
cd -- "$POFR_TREE"

MINUTES=${POFR_BENCH_MINUTES:-5}
GOAL_CPU=1 GOAL_PSS=10 GOAL_DAY=100
trap 'population_end; bench_remove' EXIT

sql() { quickstart sql -N "$1"; }
agent() { "$BUILD/agent/pofr-agent" status --config "$POFR_STATE/etc/agent.conf" --json; }

PARTS=(agent gateway kafka worker1 worker2 shard1 shard2 head merger)
population_begin 150 --execs 1 --connections 2
quickstart start >&2 7>&-
agent >"$WORK/before"
declare -A cpu=()
for part in "${PARTS[@]}"; do cpu[$part]=$(cpu_ms "$part"); done
begin=$(now_ms) from=$(sql 'SELECT UTC_TIMESTAMP(6)')

# What an analyst sees: how old the newest look is that SQL knows of
for ((i = 0; i < MINUTES * 60; i++)); do
    [[ $((i % 60)) -ne 0 ]] || printf 'recording: minute %d of %d\n' "$((i / 60 + 1))" "$MINUTES" >&2
    sleep 1
    [[ $((i % 5)) -ne 0 ]] || sql 'SELECT TIMESTAMPDIFF(MICROSECOND, MAX(last_tick), UTC_TIMESTAMP(6)) FROM host' >>"$WORK/ages"
done

agent >"$WORK/after"
wall=$(($(now_ms) - begin))
counter() { printf '%d' $(($(jq -r ".$1" "$WORK/after") - $(jq -r ".$1" "$WORK/before"))); }
for part in "${PARTS[@]}"; do
    used=$(hundredth $((($(cpu_ms "$part") - ${cpu[$part]}) * 100)) "$wall")
    if [[ $part == agent ]]; then
        figure "CPU, agent" "$used" "% of a core" "$GOAL_CPU" goal
    else
        figure "CPU, $part" "$used" "% of a core"
    fi
done
figure "memory, agent, PSS" "$(hundredth "$(memory_kib agent)" 1024)" MiB "$GOAL_PSS" goal
sent=$(counter sent_bytes)
figure "sent, per day" "$(hundredth "$sent" $((wall * 1000000 / 86400000)))" MB "$GOAL_DAY" goal
figure "processes at the end" "$(jq -r .processes "$WORK/after")" open
figure "files at the end" "$(jq -r .files "$WORK/after")" open
figure "sockets at the end" "$(jq -r .sockets "$WORK/after")" open
figure "ticks" "$(counter ticks)" looks
figure "ticks skipped" "$(counter ticks_skipped)" looks
figure "records" "$(counter records)" records
figure "records lost" "$(counter lost_total)" records
for table in psinfo fileinfo netinfo coverage bundle; do
    figure "rows, $table" "$(sql "SELECT COUNT(*) FROM $table")" rows
done
figure "gaps" "$(sql 'SELECT COUNT(*) FROM gap')" rows

# From the moment of a look to the row: each bundle's looks lie evenly between its first and its last.
sql "SELECT TIMESTAMPDIFF(MICROSECOND, captured_from, stored), TIMESTAMPDIFF(MICROSECOND, captured_to, stored) FROM bundle
    WHERE captured_from >= '$from'" | awk '{ for (i = 0; i < 20; i++) print ($2 + ($1 - $2) * (i + 0.5) / 20) / 1e6 }' | sort -g |
    awk '{ v[NR] = $1 } END { if (NR) { printf "from look to row, p50\t%.2f\ts\t3\tgoal\n", v[int(NR * 0.5) + 1]
        printf "from look to row, p99\t%.2f\ts\t6\tgoal\n", v[int(NR * 0.99) + 1] } }'
sort -g "$WORK/ages" | awk '{ v[NR] = $1 / 1e6 } END { printf "age of the newest look in SQL, p50\t%.2f\ts\n", v[int(NR * 0.5) + 1]
    printf "age of the newest look in SQL, p99\t%.2f\ts\n", v[int(NR * 0.99) + 1] }'
