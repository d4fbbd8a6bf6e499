#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# agent.sh -- what recording N more processes of 10 to 20 descriptors each costs the collector, capture to sealed spool
#
# POFR_BENCH_SECONDS: of each measurement (20). CPU is the collector's with all its threads; "this machine alone" is what
# it costs without the N, and is part of each figure. Needs root for the rights that capture has where it is installed.
# POFR_BENCH_ISOLATED=yes: in namespaces of its own, for a machine that does much else; the kernel tells of no events
# there, so each look lists /proc, and asks what events would have told: it costs more than the same on a machine alone.
# POFR_BENCH_SIZES: of the population (100 500 2000).
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/../deploy/lib/base.sh"
cd -- "$POFR_TREE"

[[ ${POFR_BENCH_ISOLATED:-no} != yes ]] ||
    exec unshare --pid --fork --mount-proc --net env POFR_BENCH_ISOLATED=is bench/agent.sh

source bench/lib.sh
SECONDS_EACH=${POFR_BENCH_SECONDS:-20}
POFR_CPU=25 # % of a core for 500 processes, every 300 ms: measured with the system that this one succeeds
collector=''

finish() {
    collector_end
    population_end
    bench_remove
}
trap finish EXIT

status() { "$BUILD/agent/pofr-agent" status --config "$WORK/agent.conf" --json; }
ticks() { status | jq -r .ticks; }
has_ticked() { [[ $(ticks 2>/dev/null || echo 0) -ge $1 ]]; }

collector_begin() { # TICK
    rm -rf -- "$WORK/state" "$WORK/run"
    mkdir -p -- "$WORK/state"
    cat /proc/sys/kernel/random/uuid >"$WORK/state/host.uuid"
    ssh-keygen -q -t ed25519 -N '' -f "$WORK/state/host.key"
    printf '[agent]\nstate_dir = %s\nruntime_dir = %s\n[collect]\ntick = %s\n' "$WORK/state" "$WORK/run" "$1" >"$WORK/agent.conf"
    "$BUILD/agent/pofr-agent" collect --config "$WORK/agent.conf" 2>"$WORK/log" &
    collector=$!
    wait_until 30 has_ticked 20 # the first looks read everything, and each process is read often while it is young
    sleep 5
}

collector_end() {
    [[ -n $collector ]] || return 0
    kill -TERM "$collector"
    wait "$collector" || cat -- "$WORK/log" >&2
    collector=
}

# cpu_us: of the collector until now
cpu_us() { cat "/proc/$collector"/task/*/schedstat | awk '{ n += $1 } END { printf "%d", n / 1000 }'; }

# measure LABEL TICK [BASELINE WHAT]
measure() {
    local cpu wall looks used
    printf 'agent: %s\n' "$1" >&2
    collector_begin "$2"
    cpu=$(cpu_us) wall=$(now_ms) looks=$(ticks)
    sleep "$SECONDS_EACH"
    cpu=$(($(cpu_us) - cpu)) wall=$(($(now_ms) - wall)) looks=$(($(ticks) - looks))
    collector_end
    used=$(awk -v us="$cpu" -v ms="$wall" 'BEGIN { printf "%.2f", us / ms / 10 }')
    figure "$1, CPU" "$used" "% of a core" "${@:3}"
    figure "$1, a tick" "$(awk -v us="$cpu" -v n="$looks" 'BEGIN { printf "%.2f", n ? us / n / 1000 : 0 }')" ms
}

measure "this machine alone, 300 ms" 300ms
measure "this machine alone, 50 ms" 50ms
for size in ${POFR_BENCH_SIZES:-100 500 2000}; do
    baseline=()
    [[ $size -ne 500 ]] || baseline=("$POFR_CPU" "POFR")
    population_begin "$size"
    measure "$size quiet, 300 ms" 300ms "${baseline[@]}"
    [[ $size -ne 500 ]] || measure "$size quiet, 50 ms" 50ms "${baseline[@]}"
    population_end
    population_begin "$size" --busy $((5800 / size > 100 ? 58 : 5800 / size)) # some 58 that ran at each look
    measure "$size with 58 busy, 300 ms" 300ms "${baseline[@]}"
    [[ $size -ne 500 ]] || measure "$size with 58 busy, 50 ms" 50ms "${baseline[@]}"
    population_end
done
