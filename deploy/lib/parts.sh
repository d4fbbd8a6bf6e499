# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# parts.sh -- the table of parts: in which order they start, on which port each listens, how it starts,
# how to see that it is ready.

PARTS=(kafka head shard1 shard2 gateway worker1 worker2 merger collector shipper)
SERVERS=(kafka head shard1 shard2)

is_part() {
    local name
    for name in "${PARTS[@]}"; do [[ $name != "$1" ]] || return 0; done
    return 1
}

# part_port PART: the one that others use; "-" where it listens on none
part_port() {
    case $1 in
    worker* | merger) printf '%s' "${PORTS[$1-metrics]:-0}" ;;
    collector | shipper) printf -- '-' ;;
    *) printf '%s' "${PORTS[$1]:-0}" ;;
    esac
}

part_launch() {
    case $1 in
    kafka) kafka_start ;;
    head | shard*) mariadb_start "$1" ;;
    *) program_start "$1" ;;
    esac
}

part_is_ready() {
    part_is_alive "$1" || return 1
    case $1 in
    kafka) kafka_ready ;;
    head | shard*) mariadb_ready "$1" ;;
    gateway | worker* | merger) [[ $(http_status "${PORTS[$1-metrics]:-0}" /readyz) == 200 ]] ;;
    collector | shipper) agent_status >/dev/null 2>&1 ;;
    esac
}

# part_ready_seconds PART: how long to wait for it. A database may have to recover, a broker to load.
part_ready_seconds() {
    case $1 in
    kafka | head | shard*) printf 120 ;;
    *) printf 40 ;;
    esac
}

# part_stop_seconds PART: how long it may drain
part_stop_seconds() {
    case $1 in
    kafka | head | shard*) printf 60 ;;
    *) printf 20 ;;
    esac
}

# part_spec PART: one line that changes when the running part is no longer what would be started now
part_spec() {
    case $1 in
    kafka) cat -- "$STATE/etc/kafka.properties" <(kafka_cache) <(printf '%s' "${POFR_KAFKA_HEAP:-}") ;;
    head | shard*) cat -- "$STATE/etc/$1.cnf" <(stat -L -c '%i %Y' -- "$(command -v mariadbd)") ;;
    *)
        program "$1"
        cat -- "${PROGRAM[-1]}" <(printf '%s ' "${PROGRAM[@]}") <(stat -c '%i %Y' -- "${PROGRAM[0]}" 2>/dev/null)
        ;;
    esac | sha256sum
}

program_start() {
    program "$1"
    [[ -x ${PROGRAM[0]} ]] || fail "$1" "${PROGRAM[0]} is not there" "" "build it: deploy/quickstart without --no-build"
    if [[ $1 == collector || $1 == shipper ]]; then
        mkdir -p -- "$STATE/data/agent" "$STATE/run/agent" # the agent settles whose they are
    else
        mkdir -p -- "$STATE/data/$1"
        give_to "$(user_of "$1")" "$STATE/data/$1"
    fi
    spawn "$1" "${PROGRAM[@]}"
}

# part_state PART: running | starting (alive, does not answer yet) | stopped (as asked) | dead (it ended by itself or was killed)
part_state() {
    if part_is_alive "$1"; then
        if part_is_ready "$1"; then printf running; else printf starting; fi
    elif [[ -f $STATE/run/$1.pid ]]; then
        printf dead
    else
        printf stopped
    fi
}

# parts_start PART...: what runs as it should is left alone; the others are started together, then waited for.
# parts_started: how many were, by all calls
parts_started=0
parts_start() {
    local name
    local -a started=()
    local -A begin=()
    for name; do
        if part_is_alive "$name"; then
            if [[ $(cat -- "$STATE/run/$name.spec" 2>/dev/null) == "$(part_spec "$name")" ]]; then
                ! part_answers "$name" || continue
                progress "$name" "runs and does not answer: started anew"
            else
                progress "$name" "runs with an older configuration or program: started anew"
            fi
            end_parts "$(part_stop_seconds "$name")" "$name"
        fi
        begin[$name]=$(now_ms)
        progress "$name" "starting"
        part_launch "$name"
        part_spec "$name" >"$STATE/run/$name.spec"
        started+=("$name")
        parts_started=$((parts_started + 1))
    done
    for name in "${started[@]}"; do
        part_wait "$name"
        progress "$name" "ready$(part_where "$name") ($(seconds $(($(now_ms) - ${begin[$name]}))) s)"
    done
}

# part_answers PART: one that starts, recovers or was stopped by a signal gets its time
part_answers() {
    kill -CONT "$PART_PID" 2>/dev/null || true
    wait_until "$(part_ready_seconds "$1")" ready_or_dead "$1" && part_is_alive "$1"
}

part_where() {
    local port
    port=$(part_port "$1")
    [[ $port == - ]] || printf ' on 127.0.0.1:%s' "$port"
}

ready_or_dead() { part_is_ready "$1" || ! part_is_alive "$1"; }

# settled_or_told PART: as above; a sign of life every ten seconds
settled_or_told() {
    if ready_or_dead "$1"; then return 0; fi
    (($(now_ms) >= wait_told_ms)) || return 1
    progress "$1" "not ready yet; at most $(part_ready_seconds "$1") s are waited"
    wait_told_ms=$(($(now_ms) + 10000))
    return 1
}

part_wait() {
    local log wait_told_ms
    log=$(log_of "$1")
    wait_told_ms=$(($(now_ms) + 10000))
    wait_until "$(part_ready_seconds "$1")" settled_or_told "$1" ||
        fail "$1" "does not answer after $(part_ready_seconds "$1") s" "$log" \
            "deploy/quickstart kill $1; deploy/quickstart start $1"
    part_is_alive "$1" ||
        fail "$1" "ended while it started" "$log" "the log above should say why; then deploy/quickstart again"
    if [[ $1 == head ]] && ! head_is_safe; then
        fail head "Spider is not loaded, or would push down what it answers wrongly" "$log" \
            "deploy/deps check (package mariadb-plugin-spider)"
    fi
}

# stop in an order that lets each hand over what it has: the recorder first, the stores last
parts_stop() {
    end_parts 20 collector shipper
    end_parts 20 gateway worker1 worker2 merger
    end_parts 60 "${SERVERS[@]}"
}
