# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# suite.sh -- what a suite (tests/suites/*.sh) begins with: cases that are counted, clusters that go away.
#
#   source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"
#   a_killed_part_comes_back() { …; }     # a case is a function; it fails when a command in it fails
#   cases a_killed_part_comes_back …
#
# A case runs in a shell of its own with `set -e`; what it prints is in SUITE.CASE.log and the suite's log. A suite may be
# started by hand too: it then makes a folder for itself and prints its cases.

set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/../../deploy/lib/base.sh"
cd -- "$POFR_TREE" || exit

POFR_TEST_SUITE=${POFR_TEST_SUITE:-$(basename -- "$0" .sh)}
POFR_TEST_LOGS=${POFR_TEST_LOGS:-$POFR_TREE/build/test-logs}
POFR_TEST_ONLY=" ${POFR_TEST_ONLY:-} "
POFR_TEST_SKIP=" ${POFR_TEST_SKIP:-} "
suite_own_work=
if [[ -z ${POFR_TEST_WORK:-} ]]; then
    POFR_TEST_WORK=$(mktemp -d "${TMPDIR:-/var/tmp}/pofr-t.XXXXXX")
    chmod 711 -- "$POFR_TEST_WORK"
    suite_own_work=yes
    mkdir -p -- "$POFR_TEST_LOGS"
fi
POFR_TEST_CASES=${POFR_TEST_CASES:-/dev/stderr}

# A cluster of the suite's own, $POFR_STATE; made by the first quickstart call, removed at the end.
export POFR_STATE=$POFR_TEST_WORK/c POFR_NO_INSTALL=1
suite_failures=0

quickstart() { "$POFR_TREE/deploy/quickstart" "$@"; }

# What the parts themselves had to say, where a case failed
suite_keep_logs() {
    (cd -- "$POFR_TEST_WORK" && find . -maxdepth 4 -type f -name '*.log' -print0 |
        tar -czf "$POFR_TEST_LOGS/$POFR_TEST_SUITE.parts.tar.gz" --null --files-from=-) || true
}

suite_finish() {
    local mark
    trap - EXIT
    [[ $suite_failures -eq 0 ]] || suite_keep_logs
    find "$POFR_TEST_WORK" -maxdepth 2 -name .pofr-quickstart 2>/dev/null | while read -r mark; do
        POFR_STATE=$(dirname -- "$mark") quickstart destroy || true
    done
    [[ -z $suite_own_work ]] || rm -rf -- "$POFR_TEST_WORK"
}
trap suite_finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# case_result VERDICT SECONDS NAME [TEXT]; NAME is SUITE/CASE
case_result() {
    printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "${4:-}" >>"$POFR_TEST_CASES"
    [[ $1 != fail ]] || suite_failures=$((suite_failures + 1))
}

# wanted NAME: was this case asked for? A skipped one is counted here
wanted() {
    [[ $POFR_TEST_ONLY == "  " || $POFR_TEST_ONLY == *" $1 "* ]] || return 1
    if [[ $POFR_TEST_SKIP == *" $1 "* ]]; then
        case_result skip - "$1"
        return 1
    fi
}

# parts_said FILE: warnings of the cluster's parts, of those that wrote anything since FILE was made: a build machine shows no more
parts_said() {
    local log
    find "$POFR_STATE/log" -maxdepth 1 -name '*.log' -newer "$1" 2>/dev/null | while read -r log; do
        grep -E '^[0-9T:.-]+Z (warn|error) ' -- "$log" | tail -n 3 | sed "s/^/${log##*/}: /"
    done
}

# cases FUNCTION...: one after the other; a failed one stops none. The last thing of a suite, which fails as they do.
cases() {
    each_case "$@"
    [[ $suite_failures -eq 0 ]]
}

# each_case FUNCTION...: the same, where the suite goes on whatever they say (suite_failures counts)
each_case() {
    local name begin status begun=$POFR_TEST_WORK/begun
    for name; do
        wanted "$POFR_TEST_SUITE/$name" || continue
        printf '\n=== %s\n' "$name"
        begin=$(now_ms)
        touch -- "$begun"
        status=0
        # not `f || status`: in such a list bash ignores set -e inside f, and so it does where our caller is in one
        set +e
        (set -e; false; exit 9)
        [[ $? -ne 9 ]] || { printf 'cases of %s in a list or condition: nothing in them could fail\n' "$POFR_TEST_SUITE" >&2; exit 3; }
        (
            trap - EXIT
            set -eEu
            trap 'printf "failed: %s line %d: %s\n" "${BASH_SOURCE[0]##*/}" "$LINENO" "$BASH_COMMAND" >&2' ERR
            "$name"
        ) >"$POFR_TEST_LOGS/$POFR_TEST_SUITE.$name.log" 2>&1
        status=$?
        [[ $status -eq 0 ]] || parts_said "$begun" >>"$POFR_TEST_LOGS/$POFR_TEST_SUITE.$name.log" || true
        cat -- "$POFR_TEST_LOGS/$POFR_TEST_SUITE.$name.log"
        set -e
        if [[ $status -eq 0 ]]; then
            case_result pass "$(seconds $(($(now_ms) - begin)))" "$POFR_TEST_SUITE/$name"
        else
            case_result fail "$(seconds $(($(now_ms) - begin)))" "$POFR_TEST_SUITE/$name" "status $status"
        fi
    done
}

# is_more_wanted QUICK...: with --long, or a case by name that is none of these
is_more_wanted() {
    local name
    for name in $POFR_TEST_ONLY; do
        [[ " $* " == *" ${name#*/} "* ]] || return 0
    done
    [[ $POFR_TEST_ONLY == "  " && ${POFR_TEST_LONG:-no} == yes ]]
}

# equal GOT WANTED WHAT
equal() {
    [[ $1 == "$2" ]] || { printf '%s: got "%s", wanted "%s"\n' "${3:-value}" "$1" "$2" >&2; return 1; }
}

# fails COMMAND...: it must not succeed (a plain "! command" never ends a case: set -e does not look at it)
fails() {
    if "$@"; then
        printf 'did not fail: %s\n' "$*" >&2
        return 1
    fi
}

# exit_code WANTED COMMAND...
exit_code() {
    local wanted=$1 status=0
    shift
    "$@" || status=$?
    equal "$status" "$wanted" "exit code of $*"
}

# part_field PART COLUMN: of `quickstart parts` (2 pid, 3 port, 4 state)
part_field() { quickstart parts | awk -v part="$1" -v column="$2" '$1 == part { print $column }'; }

# admin_sql PART STATEMENT: as the owner of one of the servers
admin_sql() {
    mariadb --defaults-file="$POFR_STATE/etc/admin.cnf" --port="$(part_field "$1" 3)" --batch --skip-column-names -e "$2"
}

# page_block FILE HEADING [N]: the first, or the Nth, block of commands below HEADING ("### Tables"), as it stands there
page_block() {
    awk -v heading="$2" -v nth="${3:-1}" '
        /^```/ { if (inside) inside = on = 0; else { inside = 1; on = here && /^```(sh|bash|shell)$/ && ++block == nth } next }
        !inside && /^#/ { here = $0 == heading }
        on' "$POFR_TREE/$1" | grep .
}

# build_preset PRESET [BUILD OPTION...]: configure and compile; CMake does no more than is needed
build_preset() {
    local preset=$1
    shift
    (
        mkdir -p "build/$preset" && exec 8>"build/$preset/.lock" && flock -w 900 8 &&
            cmake --preset "$preset" && cmake --build --preset "$preset" "$@"
    )
}

# run_ctest PRESET PREFIX [CTEST OPTION...]: each test of CTest is a case of its own
run_ctest() {
    local preset=$1 prefix=$2 junit status=0 verdict seconds name only without
    shift 2
    junit=$POFR_TEST_LOGS/$POFR_TEST_SUITE.junit.xml
    only=$(ctest_pattern "$prefix" "$POFR_TEST_ONLY")
    without=$(ctest_pattern "$prefix" "$POFR_TEST_SKIP")
    rm -f -- "$junit"
    "${CTEST_WRAPPER[@]}" ctest --test-dir "build/$preset" --output-on-failure --no-tests=error --timeout 300 -j 2 \
        --output-junit "$junit" ${only:+-R "$only"} ${without:+-E "$without"} "$@" || status=$?
    [[ -s $junit ]] || return "$status"
    while IFS=$'\t' read -r verdict seconds name; do
        case_result "$verdict" "$seconds" "$prefix$name"
    done < <(junit_cases "$junit")
    [[ $status -eq 0 ]] || junit_logs "$junit" "$prefix"
    for name in $POFR_TEST_SKIP; do
        case_result skip - "$name"
    done
    return "$status"
}
CTEST_WRAPPER=()

# ctest_pattern PREFIX NAMES: a pattern that matches exactly these, without the prefix
ctest_pattern() {
    local name list=
    for name in $2; do
        name=${name#"$1"}
        list+=${list:+|}${name//./\\.}
    done
    [[ -z $list ]] || printf '^(%s)$' "$list"
}

# junit_cases FILE: verdict, seconds, name; what did not run counts as failed
junit_cases() {
    sed -n 's/.*<testcase name="\([^"]*\)" classname="[^"]*" time="\([^"]*\)" status="\([^"]*\)".*/\3\t\2\t\1/p' "$1" |
        awk -F'\t' -v OFS='\t' '{ print ($1 == "run" ? "pass" : "fail"), sprintf("%.1f", $2), $3 }'
}

# junit_logs FILE PREFIX: what each failed case printed becomes its log, which tests/run shows beneath its line
junit_logs() {
    python3 - "$1" "$2" "$POFR_TEST_LOGS" <<'EOT'
import sys
import xml.etree.ElementTree as tree
junit, prefix, logs = sys.argv[1:]
for case in tree.parse(junit).iter("testcase"):
    if case.get("status") != "run":
        with open(f"{logs}/{(prefix + case.get('name')).replace('/', '.')}.log", "w", encoding="utf-8") as log:
            log.write(case.findtext("system-out") or "it printed nothing")
EOT
}
