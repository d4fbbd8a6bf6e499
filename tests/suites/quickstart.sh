#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# the whole private cluster: answers about this machine, every part killed and started again
# timeout: 800
# order: 60
# jobs: 1
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"

ALL_PARTS=(kafka head shard1 shard2 gateway worker1 worker2 merger collector shipper)

sql() { quickstart sql -N "$1"; }

all_running() { wait_until 60 all_are_running; }
all_are_running() { [[ $(quickstart parts | awk '$4 == "running"' | wc -l) -eq ${#ALL_PARTS[@]} ]]; }

answers_to() { [[ $(sql "$1") == "$2" ]]; }

# witness: a process with a name of its own, one open file and one connection, that lives until it is ended
witness_begin() {
    WITNESS=w$RANDOM$RANDOM
    local python=/usr/bin/python3 # the system's own: a wrapper in PATH could not be copied
    [[ -x $python ]] || python=$(command -v python3)
    cp -- "$python" "$POFR_TEST_WORK/$WITNESS"
    : >"$POFR_TEST_WORK/$WITNESS.file"
    "$POFR_TEST_WORK/$WITNESS" -c '
import socket, sys, time
held = open(sys.argv[1], "ab")
peer = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
time.sleep(600)' "$POFR_TEST_WORK/$WITNESS.file" "$(part_field head 3)" "a b" &
    WITNESS_PID=$!
}

witness_end() {
    kill -KILL "$WITNESS_PID"
    wait "$WITNESS_PID" || true
}

witness_is_seen() {
    wait_until 30 answers_to "SELECT COUNT(*) FROM process WHERE pid = $WITNESS_PID AND exe = '$POFR_TEST_WORK/$WITNESS' AND ended > UTC_TIMESTAMP()" 1
}

a_new_folder_ends_with_answers() {
    quickstart >"$POFR_TEST_WORK/answers"
    cat "$POFR_TEST_WORK/answers"
    all_running
    equal "$(grep -c 'no answer' "$POFR_TEST_WORK/answers" || true)" 0 "questions without an answer"
    grep -q "$(uname -n)" "$POFR_TEST_WORK/answers"
    grep -q mariadbd "$POFR_TEST_WORK/answers"
}

again_leaves_what_runs_alone() {
    local before
    before=$(quickstart parts)
    quickstart >/dev/null
    equal "$(quickstart parts)" "$before" parts
    equal "$(sql 'SELECT COUNT(*) FROM host')" 1 hosts
}

a_process_its_file_and_its_connection_are_found() {
    witness_begin
    witness_is_seen
    equal "$(sql "SELECT HEX(arguments) LIKE CONCAT('%00', HEX('a b'), '00') FROM process WHERE pid = $WITNESS_PID AND exe LIKE '%$WITNESS'")" 1 "arguments whole"
    wait_until 30 answers_to "SELECT COUNT(*) FROM process_file WHERE pid = $WITNESS_PID AND path = '$POFR_TEST_WORK/$WITNESS.file' AND ended > UTC_TIMESTAMP()" 1
    wait_until 30 answers_to "SELECT COUNT(*) FROM process_socket WHERE pid = $WITNESS_PID AND remote_port = $(part_field head 3)" 1
    witness_end
    wait_until 30 answers_to "SELECT COUNT(*) FROM process WHERE pid = $WITNESS_PID AND exe LIKE '%$WITNESS' AND ended < UTC_TIMESTAMP()" 1
}

the_analyst_reads_everywhere_and_writes_nowhere() {
    local part
    for part in head shard1 shard2; do
        mariadb --defaults-file="$POFR_STATE/etc/analyst.cnf" --port="$(part_field "$part" 3)" -N -e 'SELECT COUNT(*) FROM pofr.psinfo'
        fails mariadb --defaults-file="$POFR_STATE/etc/analyst.cnf" --port="$(part_field "$part" 3)" -e 'CREATE TABLE pofr.x (a INT)'
    done
    fails quickstart sql 'DELETE FROM psinfo'
}

figures_are_to_be_had() {
    local entry port
    (
        eval "$(quickstart env)"
        for entry in ${POFR_METRICS//,/ }; do
            port=${entry##*:}
            equal "$(http_status "$port" /metrics)" 200 "$entry"
            equal "$(http_status "$port" /healthz)" 200 "$entry"
        done
    )
}

every_part_can_be_killed_and_started() {
    local part status
    for part in "${ALL_PARTS[@]}"; do
        quickstart kill "$part"
        status=0
        quickstart status >/dev/null || status=$?
        equal "$status" 1 "exit code of status without $part"
        quickstart start "$part"
        all_running
    done
    witness_begin
    witness_is_seen
    witness_end
    quickstart status
}

what_was_killed_all_at_once_is_repaired() {
    quickstart kill "${ALL_PARTS[@]}"
    quickstart >/dev/null
    all_running
    equal "$(sql 'SELECT COUNT(*) FROM host')" 1 hosts
    witness_begin
    witness_is_seen
    witness_end
}

stop_ends_all_and_start_goes_on() {
    local before
    before=$(sql 'SELECT COUNT(*) FROM psinfo')
    quickstart stop
    equal "$(pgrep -f -- "$POFR_STATE/" || true)" "" "processes left"
    quickstart start >/dev/null
    [[ $(sql 'SELECT COUNT(*) FROM psinfo') -ge $before ]]
}

logs_hold_no_password() {
    equal "$(grep -rlFf <(cat "$POFR_STATE"/secrets/*.pw) "$POFR_STATE/log" || true)" "" "logs with a password"
}

# A table of files that one thread has for itself: found by the collector as it runs here, under its own user.
a_threads_own_files_are_found() {
    local file=$POFR_TEST_WORK/of-a-thread thread pid
    python3 -c '
import ctypes, os, sys, threading, time
def own():
    if ctypes.CDLL(None, use_errno=True).unshare(0x400) != 0: # CLONE_FILES
        os._exit(1)
    held = open(sys.argv[1], "ab")
    time.sleep(300)
threading.Thread(target=own).start()
threading.Event().wait(300)' "$file" &
    pid=$!
    # at the latest when it is the process's turn to be read again, which is every 30 s
    wait_until 90 answers_to "SELECT COUNT(*) FROM fileinfo WHERE pid = $pid AND thread > 0 AND path = '$file'" 1
    kill -KILL "$pid"
    wait "$pid" || true
}

the_last_word_is_that_a_retired_host_is_refused() {
    quickstart ctl host retire "$(sql 'SELECT host FROM host')"
    wait_until 30 refusal_is_known
    quickstart >"$POFR_TEST_WORK/answers"
    grep 'WARNING: nothing new of this machine arrives: .*this host was retired' "$POFR_TEST_WORK/answers"
}
refusal_is_known() { quickstart agent status | grep -q '^last error .*retired'; }

if [[ $POFR_TEST_ONLY != "  " && $POFR_TEST_ONLY != *a_new_folder_ends_with_answers* ]]; then
    quickstart >/dev/null
fi
cases a_new_folder_ends_with_answers again_leaves_what_runs_alone a_process_its_file_and_its_connection_are_found \
    the_analyst_reads_everywhere_and_writes_nowhere figures_are_to_be_had every_part_can_be_killed_and_started \
    a_threads_own_files_are_found what_was_killed_all_at_once_is_repaired stop_ends_all_and_start_goes_on logs_hold_no_password \
    the_last_word_is_that_a_retired_host_is_refused
