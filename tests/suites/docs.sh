#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# README and docs: every sh block and SQL example is run, every column is described, every name and link exists
# timeout: 480
# order: 90
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"

# blocks WORD FILE: the lines between ```WORD and ```, as one program
blocks() { awk -v begin="\`\`\`$1" '$0 == begin { on = 1; next } /^```/ { on = 0 } on' "$2"; }

run_sh_blocks() {
    blocks sh "$1" >"$POFR_TEST_WORK/block.sh"
    [[ -s $POFR_TEST_WORK/block.sh ]]
    bash -euxo pipefail "$POFR_TEST_WORK/block.sh" </dev/null
}

every_command_of_the_readme_runs() { run_sh_blocks README.md; }

# The pages say pofrctl and pofr-agent; here these are the ones of the suite's cluster.
pofrctl() { deploy/quickstart ctl "$@"; }
pofr-agent() { deploy/quickstart agent "$@"; }

every_command_for_operators_runs() {
    quickstart >/dev/null
    export -f pofrctl
    run_sh_blocks docs/OPERATING.md
}

every_command_of_the_guide_runs() {
    export -f pofrctl pofr-agent
    run_sh_blocks docs/GUIDE.md
}

# Whoever adds a block of commands says here which suite runs it: as it stands there, or the same in other words.
RUN_BY=(
    'README.md sh docs' 'docs/OPERATING.md sh docs' 'docs/GUIDE.md sh docs' 'docs/RECORD.md sh docs' 'docs/SCHEMA.md sql docs' 'docs/SIZING.md text docs'
    'docs/OPERATING.md shell packages' 'docs/OPERATING.md bash changes' 'docs/OPERATING.md bash packages' 'docs/OPERATING.md bash ctl' 'docs/OPERATING.md bash backup'
    'docs/OPERATING.md app1 machines' 'docs/OPERATING.md db1 machines' 'docs/OPERATING.md web1 machines'
    'deploy/enrol/README.md shell enrol' 'deploy/compose/README.md shell compose' 'deploy/archive/README.md shell archive11' 'deploy/systemd/README.md shell systemd'
)

every_block_of_commands_is_run_by_a_suite() {
    local file word suite how
    documents | xargs -0 awk '
        FNR == 1 { on = 0 }
        /^```/ { if (!on && length($0) > 3) print FILENAME, substr($0, 4); on = !on }' | sort -u >"$POFR_TEST_WORK/blocks"
    printf '%s\n' "${RUN_BY[@]}" | cut -d' ' -f1,2 | sort -u | diff - "$POFR_TEST_WORK/blocks"
    while read -r file word suite how; do
        [[ -x tests/suites/$suite.sh ]]
        [[ $how == alike ]] || grep -qF -- "$file" "tests/suites/$suite.sh" tests/support/*.sh ||
            { printf '%s: %s of %s is nowhere in it\n' "$suite" "$word" "$file" >&2; return 1; }
    done < <(printf '%s\n' "${RUN_BY[@]}")
    while IFS= read -r word; do # of those that are taken by their heading, each is
        grep -qrF -- "$word" tests/suites tests/support || { printf 'what stands below "%s" is run by no suite\n' "$word" >&2; return 1; }
    done < <(awk '/^##/ { here = $0; sub(/^#+ /, "", here) } /^```(bash|shell)$/ { print here }' docs/OPERATING.md | sort -u)
}

# A block without a word is a picture, or a line of the protocol.
no_command_stands_in_a_block_without_a_word() {
    equal "$(documents | xargs -0 awk '
        FNR == 1 { on = bare = 0 }
        /^```/ { on = !on; bare = on && $0 == "```"; next }
        bare && /^(pofr[a-z-]*|systemctl|systemd-[a-z]+|apt(-get)?|mariadb[a-z-]*|kafka-[a-z-]*.sh|docker|install|cp|mv|rm|tar|cd|cat|ssh-keygen|deploy\/.*) / { print FILENAME ": " $0 }')" \
        "" "commands that nobody runs"
}

# As an auditor follows it, from the first command to the last.
every_step_of_checking_a_bundle_runs() {
    quickstart >/dev/null
    wait_until 60 two_bundles_are_stored
    pofrctl() { "$POFR_TREE/deploy/quickstart" ctl "$@"; }
    export -f pofrctl
    export POFR_TREE
    mkdir -p -- "$POFR_TEST_WORK/evidence"
    (
        cd -- "$POFR_TEST_WORK/evidence"
        rm -f -- *
        run_sh_blocks "$POFR_TREE/docs/RECORD.md"
        sed -i 's/^boot-to /boot-to 1/' statement # and the same commands find what was altered
        host=$(sed -n 's/^host //p' statement)
        fails ssh-keygen -Y verify -f allowed_signers -I "$host" -n pofr-bundle -s statement.sig <statement
    )
}

two_bundles_are_stored() { [[ $(quickstart sql -N 'SELECT COUNT(*) > 1 FROM bundle') == 1 ]]; }

# described: "database view column" of docs/SCHEMA.md: its headings, and the first cell of its tables
described() {
    awk '
        /^## / { view = "" }
        /^### `/ { split($0, quoted, "`"); view = quoted[2]; next }
        view != "" && /^\| `/ {
            n = split($0, cell, "|")
            n = split(cell[2], quoted, "`")
            for (i = 2; i <= n; i += 2) {
                full = view ~ /\./ ? view : "pofr." view
                split(full, part, ".")
                print part[1], part[2], quoted[i]
            }
        }' docs/SCHEMA.md | sort
}

# What every view of pofr_compat has is said once, in words.
COMPAT="'host', 'host_id', 'tzone', 'cyear', 'cmonth', 'cday', 'chour', 'cmin', 'csec', 'cmsec', 'dyear', 'dmonth', 'dday', 'dhour', 'dmin', 'dsec', 'dmsec'"

every_column_is_described_and_no_other() {
    local part
    quickstart >/dev/null
    quickstart sql -N "SELECT table_schema, table_name, column_name FROM information_schema.columns
        WHERE table_schema = 'pofr' OR (table_schema = 'pofr_compat' AND column_name NOT IN ($COMPAT))" |
        tr '\t' ' ' | sort >"$POFR_TEST_WORK/there"
    [[ $(wc -l <"$POFR_TEST_WORK/there") -gt 200 ]]
    diff <(described) "$POFR_TEST_WORK/there"
    for part in shard1 shard2; do # the same names on the shards
        admin_sql "$part" "SELECT table_schema, table_name, column_name FROM information_schema.columns
            WHERE table_schema = 'pofr' OR (table_schema = 'pofr_compat' AND column_name NOT IN ($COMPAT))" |
            tr '\t' ' ' | sort | diff "$POFR_TEST_WORK/there" -
    done
    equal "$(quickstart sql -N "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = 'pofr_compat' AND column_name IN ($COMPAT)")" \
        "$((17 * $(quickstart sql -N "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'pofr_compat'")))" "columns that all have"
}

# figures: every family that a running cluster exposes, by the name of its samples
figures() {
    local part
    {
        for part in gateway worker1 merger; do
            curl -sf --max-time 5 "http://127.0.0.1:$(quickstart env | sed -n "s/^export POFR_METRICS=//p" | tr ',' '\n' | sed -n "s/^$part=.*://p")/metrics"
        done
        quickstart agent status --metrics
    } | awk '$1 == "#" && $2 == "TYPE" { print $3 ($4 == "counter" ? "_total" : "") }' | sort -u
}

every_figure_is_listed_and_no_other() {
    quickstart >/dev/null
    wait_until 30 merger_has_looked
    figures >"$POFR_TEST_WORK/figures"
    [[ $(wc -l <"$POFR_TEST_WORK/figures") -gt 100 ]]
    diff <(awk -F '`' '/^\| `(pofr|kafka)_/ { print $2 }' docs/METRICS.md | sort) "$POFR_TEST_WORK/figures"
}
merger_has_looked() { figures | grep -q '^kafka_consumergroup_members$'; }

# The limit of an analyst's statement is what makes a slow one fail.
every_question_of_the_schema_is_answered() {
    local question count=0
    quickstart >/dev/null
    while IFS= read -r -d '' question; do
        printf -- '-- %s\n' "$question"
        quickstart sql "$question" >"$POFR_TEST_WORK/answer"
        head -n 5 -- "$POFR_TEST_WORK/answer"
        count=$((count + 1))
    done < <(awk '/^```sql$/ { on = 1; next } on && /^```/ { on = 0; printf "%c", 0 } on' docs/SCHEMA.md)
    ((count > 15))
}

# Each block of text begins with the command that printed the rest of it; it ends with 1 where it says that so many are too many.
what_pofrctl_size_says_is_what_stands_there() {
    local block command count=0
    build_preset release >/dev/null
    rm -rf -- "$POFR_TEST_WORK/said"
    mkdir -p -- "$POFR_TEST_WORK/said"
    awk -v to="$POFR_TEST_WORK/said/" '/^```text$/ { on = 1; n++; next } /^```/ { on = 0 } on { print >(to n) }' docs/SIZING.md
    for block in "$POFR_TEST_WORK"/said/*; do
        command=$(head -n 1 -- "$block")
        [[ $command == '$ pofrctl size --'* ]]
        # shellcheck disable=SC2086
        build/release/ctl/pofrctl ${command#'$ pofrctl '} >"$POFR_TEST_WORK/printed" || [[ $? -eq 1 ]]
        tail -n +2 -- "$block" | diff - "$POFR_TEST_WORK/printed"
        count=$((count + 1))
    done
    ((count >= 4))
}

documents() { find README.md CODING.md deploy docs -name '*.md' -print0; }

every_link_leads_somewhere() {
    local file target lost=
    while IFS=: read -r file target; do
        target=${target%%#*}
        [[ -z $target || -e $(dirname -- "$file")/$target ]] || lost+="$file -> $target"$'\n'
    done < <(documents | xargs -0 grep -oHE '\]\([^):]+\)' | sed -E 's/\]\(([^)]*)\)/\1/')
    equal "$lost" "" "links that lead nowhere"
}

# "pofrctl NOUN VERB" in a page must be a command; a noun alone may stand for all of its verbs.
every_command_that_is_named_exists() {
    local noun verb lost=
    build_preset release >/dev/null
    build/release/ctl/pofrctl --help | sed -n 's/^  \([a-z-]*\( [a-z-]*\)\{0,1\}\).*/\1/p' >"$POFR_TEST_WORK/commands"
    while read -r _ noun verb; do
        grep -qxE "$noun|$noun $verb" "$POFR_TEST_WORK/commands" ||
            { [[ -z $verb ]] && grep -q "^$noun " "$POFR_TEST_WORK/commands"; } || lost+="pofrctl $noun $verb"$'\n'
    done < <(documents | xargs -0 grep -ohE '`pofrctl [a-z][a-z-]*( [a-z][a-z-]*)?' | tr -d '`' | sort -u)
    equal "$lost" "" "commands that there are not"
}

cases every_link_leads_somewhere every_command_that_is_named_exists every_block_of_commands_is_run_by_a_suite no_command_stands_in_a_block_without_a_word \
    every_command_of_the_readme_runs every_command_for_operators_runs every_command_of_the_guide_runs every_step_of_checking_a_bundle_runs every_column_is_described_and_no_other every_figure_is_listed_and_no_other every_question_of_the_schema_is_answered \
    what_pofrctl_size_says_is_what_stands_there
