# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# answers.sh -- questions that the running cluster answers: at the end of a start, and for `status`.

readonly OPEN_END="'9999-12-31 23:59:59.999999'"

analyst() { mariadb --defaults-file="$STATE/etc/analyst.cnf" --batch "$@"; }

# ask TITLE STATEMENT: the statement, so that it can be typed again, and what it answers. A process may have any name: what
# a terminal would obey is shown as "?"
ask() {
    local rows
    printf '\n%s\n  %s\n' "$1" "$2"
    if ! rows=$(analyst --table -e "$2"); then
        printf '  (no answer)\n'
    elif [[ -z $rows ]]; then
        printf '  (none)\n'
    else
        LC_ALL=C sed 's/\xc2[\x80-\x9f]/?/g; s/[\x01-\x08\x0b-\x1f\x7f]/?/g; s/^/  /' <<<"$rows"
    fi
}

rows_have_come() {
    local table
    for table in psinfo fileinfo netinfo coverage; do
        [[ $(analyst -N -e "SELECT COUNT(*) FROM (SELECT 1 FROM $table LIMIT 1) r" 2>/dev/null) == 1 ]] || return 1
    done
}

wait_for_rows() {
    local begin
    begin=$(now_ms)
    progress rows "waiting until this machine's first rows can be read on the head"
    wait_until 90 rows_have_come ||
        fail rows "no rows after 90 s" "$(log_of worker1)" "deploy/quickstart status" \
            "the logs of gateway, worker1, worker2, collector and shipper in $STATE/log"
    progress rows "there ($(seconds $(($(now_ms) - begin))) s)"
}

show_answers() {
    ask "What runs now (the newest 8)" \
        "SELECT host, pid, ruid AS uid, command, exe, started FROM process WHERE ended = $OPEN_END AND exe <> '' ORDER BY started DESC LIMIT 8"
    ask "Which files mariadbd has open (5 of them)" \
        "SELECT pid, fd, access_mode AS mode, path FROM fileinfo WHERE command = 'mariadbd' AND ended = $OPEN_END AND kind = 'regular' ORDER BY pid, fd LIMIT 5"
    ask "Who talks to whom (the newest 8 open connections)" \
        "SELECT command, pid, local_address, local_port, remote_address, remote_port, first_seen FROM netinfo WHERE ended = $OPEN_END AND remote_port > 0 ORDER BY first_seen DESC LIMIT 8"
    ask "How fresh" \
        "SELECT host, state, complete_to, GREATEST(TIMESTAMPDIFF(MICROSECOND, complete_to, UTC_TIMESTAMP(6)), 0) / 1e6 AS seconds_behind FROM host"
    ask "How complete (mode: how a source is used; reason: why nothing better, or why something was lost; empty is good)" \
        "SELECT source, mode, MIN(from_time) AS since, SUM(lost) AS lost, MAX(reason) AS reason FROM coverage GROUP BY source, mode"
    ask "What is known to be missing" \
        "SELECT kind, COUNT(*) AS gaps, SUM(lost) AS lost FROM gap GROUP BY kind"
}

# agent_has_heard: it is connected, or the gateway has said that it will not be
agent_has_heard() { agent_said=$(agent_status 2>/dev/null) && grep -qE '^(gateway +connected|last error .*refuses)' <<<"$agent_said"; }

# Rows that were sent before are there even when nothing comes any more: a host that was retired, a key that has ended.
warn_of_silence() {
    local agent_said=
    wait_until 10 agent_has_heard || true
    if grep -q '^gateway *connected' <<<"$agent_said"; then
        return 0
    fi
    printf '\nWARNING: nothing new of this machine arrives: %s\n  deploy/quickstart agent doctor says what works; deploy/quickstart ctl host list, who may send\n' \
        "$(sed -n 's/^last error *//p' <<<"$agent_said" | grep . || echo 'its shipper is not connected')"
}

show_how_to_ask() {
    local here=deploy/quickstart
    [[ $STATE == "$POFR_TREE/.pofr" ]] || here="POFR_STATE=$STATE deploy/quickstart"
    cat <<EOT

The cluster goes on running and recording. To ask further:
  $here sql 'SELECT * FROM process_file WHERE command = "bash" LIMIT 10'
  $here sql                      the mariadb shell, as the read-only analyst
  $here status                   parts, freshness, disk
  $here ctl status               the operator's view; ctl --help: hosts, tokens, lag, verify
  $here parts                    pids and ports
  eval "\$($here env)"      addresses and option files for any other client
  $here stop                     end it; the data stays. destroy: the data too
EOT
}

# --- status -----------------------------------------------------------------------------------------

# parts_table: tab-separated, a header first
parts_table() {
    local name
    printf 'PART\tPID\tPORT\tSTATE\n'
    for name in "${PARTS[@]}"; do
        part_is_alive "$name" || PART_PID=-
        printf '%s\t%s\t%s\t%s\n' "$name" "$PART_PID" "$(part_port "$name")" "$(part_state "$name")"
    done
}

# to_json: a table as above becomes an array of objects; numbers are numbers
to_json() {
    jq -R -s -c 'split("\n") | map(select(. != "") | split("\t")) | (.[0] | map(ascii_downcase)) as $names
        | .[1:] | map([$names, .] | transpose | map({(.[0]): (.[1] | if . == "-" then null else (tonumber? // .) end)}) | add)'
}

show_parts() {
    if [[ $json == yes ]]; then parts_table | to_json; else parts_table | column -t -s $'\t'; fi
}

show_status() {
    local table
    table=$(parts_table)
    if [[ $json == yes ]]; then
        jq -n -c --argjson parts "$(to_json <<<"$table")" \
            --argjson hosts "$(status_hosts | to_json)" --arg state "$STATE" \
            --argjson bytes "$(du -sb -- "$STATE" 2>/dev/null | cut -f1)" \
            '{state: $state, bytes: $bytes, parts: $parts, hosts: $hosts}'
    else
        printf 'state folder %s, %s\n\n' "$STATE" "$(du -sh -- "$STATE" 2>/dev/null | cut -f1)"
        column -t -s $'\t' <<<"$table"
        if part_is_ready head; then
            ask "Hosts" "SELECT host, state, last_bundle, complete_to, GREATEST(TIMESTAMPDIFF(MICROSECOND, complete_to, UTC_TIMESTAMP(6)), 0) / 1e6 AS seconds_behind FROM host" 2>&1
            ask "Gaps" "SELECT host, kind, COUNT(*) AS gaps, SUM(lost) AS lost FROM gap GROUP BY host, kind" 2>&1
        fi
    fi
    ! grep -q -v -P '^PART\t|\trunning$' <<<"$table" || return "$EXIT_NO"
}

status_hosts() {
    analyst -e "SELECT host, state, last_bundle, complete_to FROM host" 2>/dev/null || printf 'host\n'
}

show_env() {
    local name metrics=
    for name in gateway worker1 worker2 merger; do
        metrics+=${metrics:+,}$name=127.0.0.1:${PORTS[$name-metrics]:-0}
    done
    printf 'export %s=%s\n' \
        POFR_STATE "$STATE" \
        POFR_GATEWAY "127.0.0.1:${PORTS[gateway]:-0}" \
        POFR_KAFKA "127.0.0.1:${PORTS[kafka]:-0}" \
        POFR_HEAD "127.0.0.1:${PORTS[head]:-0}" \
        POFR_SHARDS "127.0.0.1:${PORTS[shard1]:-0},127.0.0.1:${PORTS[shard2]:-0}" \
        POFR_ANALYST_CNF "$STATE/etc/analyst.cnf" \
        POFR_ADMIN_CNF "$STATE/etc/admin.cnf" \
        POFR_METRICS "$metrics"
}
