#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# clang-tidy over every source file, clang's analyzer over those of the programs
# timeout: 600
# order: 40
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"

# The analyzer costs 40 times what the other checks cost together: it walks no more than so many states of a file's
# functions, a quarter of its own limit (which found nothing more and takes 3 times as long), and leaves out the tests.
readonly ANALYZER_STATES=50000

# tidy OPTION... -- FILE...: findings of both places at once, each once
tidy() {
    local -a options=()
    while [[ $1 != -- ]]; do options+=("$1"); shift; done
    shift
    printf '%s\0' "$@" | xargs -0 -P2 -n3 clang-tidy --quiet -p build/tidy "${options[@]}" 2>"$POFR_TEST_WORK/stderr" ||
        { grep -v 'warnings\? generated' "$POFR_TEST_WORK/stderr" | tail -n 20; return 1; }
}

sources() { git ls-files -co --exclude-standard -- '*.c' 2>/dev/null || find . -path ./build -prune -o -name '*.c' -printf '%P\n'; }

programs_are_tidy_and_pass_the_analyzer() {
    local -a files
    mapfile -t files < <(sources | grep -v '^tests/')
    cmake --preset tidy >/dev/null
    tidy --extra-arg={-Xclang,-analyzer-config,-Xclang,max-nodes=$ANALYZER_STATES} -- "${files[@]}"
}

tests_are_tidy() {
    local -a files
    mapfile -t files < <(sources | grep '^tests/')
    cmake --preset tidy >/dev/null
    tidy --checks='-clang-analyzer-*' -- "${files[@]}"
}

cases programs_are_tidy_and_pass_the_analyzer tests_are_tidy
