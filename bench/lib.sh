# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# lib.sh -- what several benchmarks need; sourced. BUILD: where the release preset was built, WORK: a folder to work in.
# A cluster of the benchmark's own lies in it, where one is started; who began removes both (bench_remove).

BUILD=$POFR_TREE/build/release
WORK=$(mktemp -d "${TMPDIR:-/var/tmp}/pofr-b.XXXXXX")
chmod 711 -- "$WORK" # servers run as users of their own
export POFR_STATE=$WORK/c POFR_BUILD=$BUILD POFR_NO_INSTALL=1 POFR_NO_BUILD=1

quickstart() { "$POFR_TREE/deploy/quickstart" "$@"; }
ctl() { "$BUILD/ctl/pofrctl" --quiet --config "$POFR_STATE/etc/ctl.conf" "$@"; }

# part NAME COLUMN: of what deploy/quickstart parts prints
part() { quickstart parts | awk -v part="$1" -v column="$2" '$1 == part { print $column }'; }

# bench_servers: with catalog, tables and topics
bench_servers() {
    local shard
    quickstart start kafka head shard1 shard2 >&2
    ctl migrate >&2
    for shard in shard1 shard2; do ctl shard add "$shard" --address "127.0.0.1:$(part "$shard" 3)" --if-exists update >&2; done
    ctl topic create >&2
}

bench_remove() {
    [[ ! -e $POFR_STATE ]] || quickstart destroy >&2 || true
    rm -rf -- "$WORK"
}

# figure NAME VALUE UNIT [BASELINE WHAT]: a line of what a benchmark prints (bench/run)
figure() { printf '%s\t%s\t%s' "$1" "$2" "$3"; [[ $# -lt 5 ]] || printf '\t%s\t%s' "$4" "$5"; printf '\n'; }

population=

# population_begin N [OPTION...]: of bench/population.c; they are there when it returns
population_begin() {
    mkfifo "$WORK/end" "$WORK/ready"
    "$BUILD/bench/population" "$@" <"$WORK/end" >"$WORK/ready" &
    population=$!
    exec 7>"$WORK/end"
    read -r _ <"$WORK/ready"
}

population_end() {
    [[ -n $population ]] || return 0
    exec 7>&-
    wait "$population" || true
    population=
    rm -f -- "$WORK/end" "$WORK/ready"
}

# tree PID: it and all that it started
tree() {
    printf '%s\n' "$1"
    tr ' ' '\n' <"/proc/$1/task/$1/children" | while read -r child; do tree "$child"; done
}

# pids PART: of all its processes; agent is collector and shipper
pids() {
    if [[ $1 == agent ]]; then
        tree "$(part collector 2)"
        tree "$(part shipper 2)"
    else
        tree "$(part "$1" 2)"
    fi
}

# cpu_ms PART: user and system time until now
cpu_ms() {
    pids "$1" | while read -r pid; do sed 's/.*) //' "/proc/$pid/stat"; done |
        awk -v hz="$(getconf CLK_TCK)" '{ t += $12 + $13 } END { printf "%d", t * 1000 / hz }'
}

memory_kib() { pids "$1" | while read -r pid; do cat "/proc/$pid/smaps_rollup"; done | awk '/^Pss:/ { n += $2 } END { print n }'; }

hundredth() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", b ? a / b : 0 }'; }
