#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# clang-tidy over every source file
# timeout: 900
# order: 40
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"

every_file_is_tidy() {
    local status=0
    build_preset tidy -- -k 0 >"$POFR_TEST_LOGS/tidy.build.txt" 2>&1 || status=$? # all findings, not the first
    [[ $status -ne 0 ]] || return 0
    printf 'findings (with their reasons in %s):\n' "$POFR_TEST_LOGS/tidy.build.txt"
    grep -E ' (error|fatal error): ' "$POFR_TEST_LOGS/tidy.build.txt" | sed "s|$POFR_TREE/||" | sort -u
    return "$status"
}
cases every_file_is_tidy
