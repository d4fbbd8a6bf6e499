# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# ansible.sh -- what is in deploy/enrol, used as its README says.
#
#   source …/support/suite.sh; source …/support/ansible.sh
#   ansible_make                      # the role, as it lies in the tree, in $A
#   inventory_of NAME PID [NAME PID]...
#   play FILE [OPTION...]             # variables are in $A/variables.yml

A=$POFR_TEST_WORK/ansible

# part FILE BEGIN END: the lines between two, as they stand there
part() { awk -v begin="$2" -v end="$3" '$0 == end { on = 0 } on; $0 == begin { on = 1 }' "$1"; }

# nowhere SECRET FOLDER...: not in any file there; of grep's arguments everybody knows
nowhere() {
    local found
    found=$(printf '%s\n' "$1" | grep -raFl -D skip -f /dev/stdin -- "${@:2}" || true)
    equal "$found" "" "files that hold the secret"
}

ansible_make() {
    cp -r -- deploy/enrol/ansible "$A"
    mkdir -- "$A/connection_plugins"
    cp -- tests/support/space.py "$A/connection_plugins/"
}

# inventory_of NAME PID...: machines that are entered through a process in them, and the one that pofrctl works on
inventory_of() {
    printf 'localhost ansible_connection=local ansible_python_interpreter=/usr/bin/python3\n[machines]\n' >"$A/inventory"
    while [[ $# -gt 0 ]]; do
        printf '%s ansible_space_pid=%d\n' "$1" "$2" >>"$A/inventory"
        shift 2
    done
    printf '[machines:vars]\nansible_connection=space\nansible_python_interpreter=/usr/bin/python3\nansible_become=false\n' >>"$A/inventory"
}

# play FILE [OPTION...]: the command of the README, with our inventory; what it says is in FILE
play() {
    local status=0
    local -a command
    read -ra command < <(part deploy/enrol/README.md '```shell' '```' | sed 's/INVENTORY/inventory/')
    (cd -- "$A" && HOME=$POFR_TEST_WORK ANSIBLE_NOCOLOR=1 "${command[@]}" --limit machines --forks 4 -e @variables.yml "${@:2}") \
        >"$1" 2>&1 </dev/null || status=$?
    cat -- "$1"
    return "$status"
}

# recap FILE WORD: the sum of it over all machines
recap() { sed -n 's/.* '"$2"'=\([0-9]*\).*/\1/p' "$1" | awk '{ n += $1 } END { print n + 0 }'; }
