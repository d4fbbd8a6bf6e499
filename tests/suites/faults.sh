#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# parts killed with work in flight, two at once, networks cut, workers stopped past their session: nothing lost, nothing doubled
# timeout: 1000
# long-timeout: 14400
# order: 45
# jobs: 1
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/hosts.sh"
trap 'hosts_end; suite_finish' EXIT

# POFR_TEST_SEED: other choices. POFR_TEST_ROUNDS: how many random faults.
W=$POFR_TEST_WORK
LONG=${POFR_TEST_LONG:-no}
SEED=${POFR_TEST_SEED:-2026}
ROUNDS=${POFR_TEST_ROUNDS:-4}
if [[ $LONG == yes ]]; then
    SEED=${POFR_TEST_SEED:-$((EPOCHSECONDS % 100000))}
    ROUNDS=${POFR_TEST_ROUNDS:-300}
fi
HOSTS_COUNT=8 HOSTS_WHOLE=0 HOSTS_TICK=300ms HOSTS_BUNDLE_AGE=300ms
PARTS=(gateway worker1 worker2 shard1 shard2 kafka merger head)
PATH_PARTS=(gateway worker1 worker2)
DEV=$POFR_TREE/build/dev

cluster() {
    [[ ! -e $W/cluster ]] || return 0
    cluster_start gateway worker1 worker2 merger
    hosts_begin "$HOSTS_COUNT"
    quickstart parts | awk '$1 ~ /^shard/ { print $3 }' >"$W/shard.ports"
    touch "$W/cluster"
}

# pick N WORD...: N different ones
pick() {
    local n=$1
    shift
    printf '%s\n' "$@" | while read -r word; do printf '%05d %s\n' "$RANDOM" "$word"; done | sort | head -n "$n" | cut -d' ' -f2-
}

# milliseconds FROM TO: sleeps for a random time between
milliseconds() { sleep "$(seconds_of $(($1 + RANDOM % ($2 - $1 + 1))))"; }
seconds_of() { printf '%d.%03d' "$(($1 / 1000))" "$(($1 % 1000))"; }

# pids_of PART...: of those that run
pids_of() { quickstart parts | awk -v wanted=" $* " 'index(wanted, " " $1 " ") && $2 ~ /^[0-9]+$/ { print $2 }'; }

# in_flight: bundles that are sealed and not stored. It is asked while parts stand still, so it must be quick
in_flight() {
    local name sealed stored=0 port
    local -a states=()
    for name in $(hosts_names); do states+=("$HOSTS/$name/state"); done
    sealed=$(python3 tests/support/spool.py --heads "${states[@]}" | awk '{ n += $1 } END { print n }')
    while read -r port; do
        stored=$((stored + $(mariadb --defaults-file="$POFR_STATE/etc/admin.cnf" --port="$port" --batch --skip-column-names -e \
            "SELECT COUNT(*) FROM pofr_store.bundle" </dev/null)))
    done <"$W/shard.ports"
    printf '%d' "$((sealed - stored))"
}

is_host() { [[ $1 == host* ]]; }

# kill_all VICTIM...: at one moment. A victim is a part of quickstart, or hostI/collector, hostI/shipper
kill_all() {
    local victim pid
    local -a pids=() parts=()
    for victim; do
        if ! is_host "$victim"; then
            parts+=("$victim")
        elif pid=$(process_pid "$victim"); then
            pids+=("$pid")
        fi
    done
    # shellcheck disable=SC2046
    kill -KILL "${pids[@]}" $(pids_of "${parts[@]}")
}

bring_back() {
    local victim
    local -a parts=()
    for victim; do
        if is_host "$victim"; then
            wait_until 10 process_is_gone "$victim"
            host_start "${victim%/*}" "${victim#*/}"
        else
            parts+=("$victim")
        fi
    done
    [[ ${#parts[@]} -eq 0 ]] || quickstart start "${parts[@]}"
}

victims() {
    local host=host$((1 + RANDOM % HOSTS_COUNT))
    pick "$((1 + RANDOM % 2))" "${PARTS[@]}" "$host/collector" "$host/shipper"
}

# One random fault: let work pile up, let go, and kill in the middle of it.
one_fault() {
    local number=$1 host mode waiting
    local -a who path
    mapfile -t who < <(victims)
    host=host$((1 + RANDOM % HOSTS_COUNT))
    mode=$(pick 1 open open cut stall mute "slow 20000")
    # shellcheck disable=SC2086
    network "$host" $mode
    mapfile -t path < <(pids_of "${PATH_PARTS[@]}")
    kill -STOP "${path[@]}"
    milliseconds 500 1200
    waiting=$(in_flight)
    kill -CONT "${path[@]}"
    milliseconds 0 150
    kill_all "${who[@]}"
    printf '%s fault %d: %s killed; %s of %s; %d bundles in flight\n' "$(date +%T)" "$number" "${who[*]}" "$mode" "$host" "$waiting"
    [[ $waiting -gt 0 ]]
    milliseconds 100 1500
    bring_back "${who[@]}"
    network "$host" open
}

random_kills_lose_and_double_nothing() {
    local i
    cluster
    RANDOM=$SEED
    printf 'POFR_TEST_SEED=%d\n' "$SEED"
    for ((i = 1; i <= ROUNDS; i++)); do
        one_fault "$i"
        if ((i % 4 == 0 || i == ROUNDS)); then hosts_equal --wait 90; fi
    done
}

everything_killed_at_once() {
    local name
    local -a all=("${PARTS[@]}")
    cluster
    RANDOM=$SEED
    for name in $(hosts_names); do all+=("$name/collector" "$name/shipper"); done
    milliseconds 300 900
    kill_all "${all[@]}"
    bring_back "${all[@]}"
    hosts_equal --wait 90
}

# --- stopped past its session, and woken in the middle of what another does now ---------------------------

# stop_at PART POINT[:N]: the part anew, of the build with stop points; it stops by itself at that point
stop_at() {
    : >"$W/stopped"
    chmod 666 "$W/stopped" # servers run as users of their own
    quickstart kill "$1"
    POFR_BUILD=$DEV POFR_NO_BUILD=1 POFR_STOP_AT=$2 POFR_STOP_FILE=$W/stopped quickstart start "$1" 2>&1 | tail -n 2 || true
}

reached() { grep -q "^${1%:*}$" "$W/stopped" 2>/dev/null; }

slots_of_are() { [[ $(metric "$1" pofr_ingest_partitions) == "$2" ]]; }

# No shard has a transaction open that began 5 s ago: those of workers that run take less
no_old_transaction() {
    local shard
    for shard in shard1 shard2; do
        [[ $(admin_sql "$shard" "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_started < NOW() - INTERVAL 5 SECOND") -eq 0 ]] || return 1
    done
}

as_before() { # PART: of the build that all others are of
    quickstart kill "$1" || true
    quickstart start "$1"
}

a_worker_that_slept_in_a_transaction_wakes_and_changes_nothing() {
    local pid
    cluster
    build_preset dev --target pofr-worker pofr-gateway pofr-agent
    stop_at worker1 "$(stop_points workers | grep -m 1 before_commit):20"
    wait_until 30 reached "$(stop_points workers | grep -m 1 before_commit)"
    pid=$(part_field worker1 2)
    wait_until 60 slots_of_are worker2 64 # worker1's session (10 s) is over
    wait_until 60 no_old_transaction      # and its connection's transaction (10 s)
    kill -CONT "$pid"
    wait_until 60 slots_of_are worker1 32 # it is taken in again
    hosts_equal --wait 90
    as_before worker1
    hosts_equal --wait 90
}

# --- killed at every named point ---------------------------------------------------------------------------

# stop_points FOLDER...
stop_points() { grep -rhoE 'STOP_POINT\("[a-z_.]+"\)' "$@" --include='*.c' | cut -d'"' -f2 | sort -u; }

# new_names: every host sees a path that no shard has yet
new_names() {
    local name
    for name in $(hosts_names); do
        in_host "$name" dash -c 'exec 5>"$0"; exec sleep 2' "$W/name.$name.$RANDOM$RANDOM" &
    done
}

# killed_at PART POINT
killed_at() {
    local n=$((1 + RANDOM % 5))
    [[ $2 != *strings ]] || n=1
    printf '%s killed at %s:%d\n' "$1" "$2" "$n"
    stop_at "$1" "$2:$n"
    new_names
    wait_until 30 reached "$2" || { printf 'never came to %s\n' "$2"; as_before "$1"; return 1; }
    kill_all "$1"
    as_before "$1"
}

workers_and_gateways_killed_at_every_point() {
    local point
    cluster
    RANDOM=$SEED
    build_preset dev --target pofr-worker pofr-gateway pofr-agent
    for point in $(stop_points workers); do killed_at "worker$((1 + RANDOM % 2))" "$point"; done
    for point in $(stop_points gateway); do killed_at gateway "$point"; done
    hosts_equal --wait 90
}

# agent_killed_at HOST PART POINT
agent_killed_at() {
    local n=$((1 + RANDOM % 8))
    printf '%s/%s killed at %s:%d\n' "$1" "$2" "$3" "$n"
    rm -f -- "$W/stopped"
    process_kill KILL "$1/$2"
    HOSTS_AGENT=$DEV/agent/pofr-agent POFR_STOP_AT=$3:$n POFR_STOP_FILE=$W/stopped host_start "$1" "$2"
    wait_until 30 reached "$3" || { printf 'never came to %s\n' "$3"; return 1; }
    process_kill KILL "$1/$2"
    host_start "$1" "$2"
}

agents_killed_at_every_point() {
    local point i=0
    cluster
    RANDOM=$SEED
    build_preset dev --target pofr-worker pofr-gateway pofr-agent
    for point in $(stop_points agent/collect); do
        i=$((i % HOSTS_COUNT + 1))
        agent_killed_at "host$i" collector "$point"
    done
    for point in $(stop_points agent/ship); do
        i=$((i % HOSTS_COUNT + 1))
        agent_killed_at "host$i" shipper "$point"
    done
    hosts_equal --wait 90
}

# --- an older shard ------------------------------------------------------------------------------------------

a_shard_that_was_put_back_gets_what_it_lacks() {
    cluster
    quickstart kill shard1
    cp -a -- "$POFR_STATE/data/shard1" "$W/older"
    quickstart start shard1
    hosts_equal --wait 90
    quickstart kill shard1
    rm -rf -- "$POFR_STATE/data/shard1"
    mv -- "$W/older" "$POFR_STATE/data/shard1"
    quickstart start shard1
    hosts_equal --wait 90
}

long_cases=(a_shard_that_was_put_back_gets_what_it_lacks a_worker_that_slept_in_a_transaction_wakes_and_changes_nothing)
[[ $LONG == yes || $POFR_TEST_ONLY != "  " ]] || long_cases=() # tests/run --long, or by name
cases random_kills_lose_and_double_nothing everything_killed_at_once agents_killed_at_every_point \
    workers_and_gateways_killed_at_every_point "${long_cases[@]}"
