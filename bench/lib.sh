# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# lib.sh -- what several benchmarks need; sourced. BUILD: where the release preset was built, WORK: a folder to work in.

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
