#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# a known workload on this machine, under the whole cluster: everything that lived longer than two ticks is in SQL, as it was
# timeout: 500
# order: 64
# jobs: 1
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"

W=$POFR_TEST_WORK

ANALYST=(mariadb --defaults-file="$POFR_STATE/etc/analyst.cnf")

agent_figure() {
    "${POFR_BUILD:-$POFR_TREE/build/release}/agent/pofr-agent" status --json --config "$POFR_STATE/etc/agent.conf" | jq -r ".$1"
}

cluster() {
    [[ ! -e $W/cluster ]] || return 0
    quickstart >"$W/answers"
    touch "$W/cluster"
}

# work NAME HOLD: the workload, in a folder of its own
work() {
    local folder=$W/work.$1
    rm -rf -- "$folder" && mkdir -p -- "$folder"
    tests/support/workload.py run "$W/$1.json" "$folder" "$2"
}

found() { tests/support/workload.py check "$W/$1.json" "$2" -- "${ANALYST[@]}"; }

# 300 ms a tick: what begins right after a look and lives 700 ms is there at two more
everything_that_lived_two_ticks_is_found() {
    cluster
    work first 0.7
    found first 30
}

under_load_too() {
    local i
    cluster
    for i in 1 2 3; do work "load$i" 0.9 & done
    wait
    for i in 1 2 3; do found "load$i" 40; done
}

what_ended_has_ended() {
    cluster
    work ends 0.7
    found ends 30
    wait_until 20 nothing_of ends
}

nothing_of() {
    local pids
    pids=$(jq -r '[.processes[].pid] | unique | join(",")' "$W/$1.json")
    [[ $(quickstart sql -N "SELECT COUNT(*) FROM process WHERE pid IN ($pids) AND ended > UTC_TIMESTAMP()
        AND first_seen > UTC_TIMESTAMP() - INTERVAL 10 MINUTE") == 0 ]]
}

the_recorder_knows_itself() {
    local part
    cluster
    for part in collector shipper; do
        wait_until 20 answers_one "SELECT MAX(recorder) FROM process WHERE pid = $(part_field "$part" 2) AND ended > UTC_TIMESTAMP()"
    done
    answers_one "SELECT COUNT(*) = 0 FROM process WHERE recorder = 1 AND command NOT LIKE 'pofr-agent%'"
}

answers_one() { [[ $(quickstart sql -N "$1") == 1 ]]; }

# Whoever uses FUSE may stop answering; who looks at its users must not stop with it.
a_file_system_that_stops_answering_stops_nobody() {
    local fuse holder ticks
    cluster
    mkdir -p "$W/fuse"
    mkfifo "$W/fuse.in"
    python3 tests/support/fuse_stall.py "$W/fuse" <"$W/fuse.in" >"$W/fuse.out" 2>&1 &
    fuse=$!
    exec 7>"$W/fuse.in"
    wait_until 5 grep -q mounted "$W/fuse.out"
    bash -c 'exec 5<"$1"; cd "${1%/*}"; exec -a fuse-holder sleep 100' - "$W/fuse/file" 7>&- &
    holder=$!
    wait_until 20 answers_one "SELECT COUNT(*) FROM fileinfo WHERE pid = $holder AND path = '$W/fuse/file' AND fd = 5"
    echo >&7
    wait_until 5 grep -q stalled "$W/fuse.out"
    bash -c 'exec -a fuse-blocked cat "$1"' - "$W/fuse/file" 7>&- & # never gets an answer
    ticks=$(agent_figure ticks)
    work stalled 0.9
    found stalled 30
    [[ $(agent_figure ticks) -gt $((ticks + 5)) ]]
    answers_one "SELECT COUNT(*) FROM fileinfo WHERE pid = $holder AND path = '$W/fuse/file' AND fd = 5 AND ended > UTC_TIMESTAMP()"
    exec 7>&-
    wait "$fuse"
    kill "$holder"
    wait || true
}

# FUSE is there where its device can be opened and mounting is allowed.
can_mount_fuse() {
    [[ $EUID -eq 0 ]] && (exec 5<>/dev/fuse) 2>/dev/null && unshare -m true 2>/dev/null
}

equal_to_what_was_signed() {
    cluster
    (
        eval "$(quickstart env)"
        tests/support/equal.py --shards "$POFR_SHARDS" --options "$POFR_ANALYST_CNF" --kafka "$POFR_KAFKA" --wait 60 --min 5 \
            "$POFR_STATE/data/agent"
    )
}

fuse_case=(a_file_system_that_stops_answering_stops_nobody)
if ! can_mount_fuse && wanted "$POFR_TEST_SUITE/${fuse_case[0]}"; then
    printf 'no FUSE here: /dev/fuse can not be opened, or mounting is not allowed\n'
    case_result skip - "$POFR_TEST_SUITE/${fuse_case[0]}"
    fuse_case=()
fi
cases everything_that_lived_two_ticks_is_found under_load_too what_ended_has_ended the_recorder_knows_itself "${fuse_case[@]}" \
    equal_to_what_was_signed
