#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# layers, sizes, banned words, formatting (dev/check), and every shell program through shellcheck
# timeout: 300
# order: 5
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"

dev_check() { dev/check; }

shell_programs_pass_shellcheck() {
    local file
    local -a programs
    mapfile -t programs < <(git ls-files -co --exclude-standard 2>/dev/null || find . -path ./build -prune -o -type f -print)
    for file in "${programs[@]}"; do
        [[ -f $file ]] || continue
        if [[ $file == *.sh ]] || head -n 1 -- "$file" | grep -aqE '^#!.*\b(ba)?sh\b'; then
            printf '%s\n' "$file"
        fi
    done | xargs -d '\n' shellcheck
}

cases dev_check shell_programs_pass_shellcheck
