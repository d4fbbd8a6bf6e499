#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# README and docs: every sh block is run, every link leads somewhere
# timeout: 300
# order: 90
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"

# sh_blocks FILE: the lines between ```sh and ```, as one program
sh_blocks() { awk '/^```sh$/ { on = 1; next } /^```/ { on = 0 } on' "$1"; }

every_command_of_the_readme_runs() {
    sh_blocks README.md >"$POFR_TEST_WORK/readme.sh"
    [[ -s $POFR_TEST_WORK/readme.sh ]]
    bash -euxo pipefail "$POFR_TEST_WORK/readme.sh" </dev/null
}

every_link_leads_somewhere() {
    local file target lost=
    while IFS=: read -r file target; do
        target=${target%%#*}
        [[ -z $target || -e $(dirname -- "$file")/$target ]] || lost+="$file -> $target"$'\n'
    done < <(find README.md deploy docs -name '*.md' -print0 |
        xargs -0 grep -oHE '\]\([^):]+\)' | sed -E 's/\]\(([^)]*)\)/\1/')
    equal "$lost" "" "links that lead nowhere"
}

cases every_command_of_the_readme_runs every_link_leads_somewhere
