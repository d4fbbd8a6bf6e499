#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# healthcheck.sh --connect --innodb_initialized: the server answers, to the network too, and its tables are there
set -euo pipefail

ask() { mariadb --defaults-extra-file=/var/lib/mysql/.my-healthcheck.cnf --protocol=socket --skip-column-names --batch -e "$1"; }

[[ $# -gt 0 ]]
for test; do
    case $test in
    --connect) [[ $(ask 'SELECT @@skip_networking') == 0 ]] ;;
    --innodb_initialized) [[ $(ask "SELECT 1 FROM information_schema.ENGINES WHERE engine = 'innodb' AND support IN ('YES', 'DEFAULT')") == 1 ]] ;;
    *) printf 'healthcheck.sh: unknown option %s\n' "$test" >&2; exit 1 ;;
    esac
done
