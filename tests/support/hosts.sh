# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# hosts.sh -- more hosts for a suite's cluster: real agents, each with its own key, spool and way to the gateway.
#
# After suite.sh. The first HOSTS_WHOLE hosts record all of this machine; each other has a pid namespace with a procfs of
# its own (where that is allowed), so that no two have the same rows. Enrolled through a token as any other, a host
# reaches the gateway through a port of its own of tests/support/netproxy.py, which can be cut. What it is told lies in
# $HOSTS/<name>/: agent.conf, state/, run/, collector.pid, shipper.pid, space.pid, *.log.
#
# A suite that uses it ends them:    trap 'hosts_end; suite_finish' EXIT

HOSTS=$POFR_TEST_WORK/h
HOSTS_WHOLE=${HOSTS_WHOLE:-2}
BUILD=${POFR_BUILD:-$POFR_TREE/build/release}
HOSTS_CONF=() # more lines for host_conf
HOSTS_AGENT=${HOSTS_AGENT:-$BUILD/agent/pofr-agent}

ctl() { "$BUILD/ctl/pofrctl" --quiet --config "$POFR_STATE/etc/ctl.conf" "$@"; }

metrics() { local at; at=$(quickstart env | sed -n "s/^export POFR_METRICS=//p" | tr ',' '\n' | sed -n "s/^$1=//p"); curl -sf --max-time 5 "http://$at/metrics"; }
metric() { metrics "$1" | awk -v name="$2" '$1 == name { print $2 }'; } # of a part, by its name with labels

# cluster_start PART...: the servers, catalog, tables, topics, and these parts, as the source is now; quickstart's own agent
# stays out
cluster_start() {
    [[ -n ${POFR_BUILD:-} ]] || build_preset release >/dev/null
    quickstart start kafka head shard1 shard2
    ctl migrate
    ctl shard add shard1 --address "127.0.0.1:$(part_field shard1 3)" --if-exists update
    ctl shard add shard2 --address "127.0.0.1:$(part_field shard2 3)" --if-exists update
    ctl topic create
    quickstart start "$@"
}

# hosts_network N: ways to the gateway, for hosts 1 to N
hosts_network() {
    mkdir -p -- "$HOSTS"
    rm -f -- "$HOSTS/ports"
    setsid python3 tests/support/netproxy.py "$HOSTS" "127.0.0.1:$(part_field gateway 3)" "$1" </dev/null >>"$HOSTS/proxy.log" 2>&1 &
    process_note proxy "$!"
    wait_until 10 test -s "$HOSTS/ports"
}

# network HOST MODE...: see netproxy.py
network() {
    local number=${1#host}
    shift
    python3 tests/support/netproxy.py "$HOSTS" "$number" "$@"
}

# host_make NAME: enrolled, not started. NAME is hostI; the I-th port is its
host_make() {
    local name=$1 dir=$HOSTS/$1 port
    port=$(sed -n "${name#host}p" "$HOSTS/ports")
    mkdir -p -- "$dir/run"
    host_conf "$name" "${HOSTS_CONF[@]}"
    ctl token create --host "$name" --gateway "127.0.0.1:$port" --force --output "$dir/token"
    "$HOSTS_AGENT" enrol --config "$dir/agent.conf" --token-file "$dir/token"
    rm -f -- "$dir/token"
}

# host_conf NAME [LINE...]: its configuration; lines are "section name = value"
host_conf() {
    local name=$1 dir=$HOSTS/$1 line section
    shift
    {
        printf '[agent]\nstate_dir = %s\nruntime_dir = %s\n' "$dir/state" "$dir/run"
        printf '[collect]\ntick = %s\nbundle_age = %s\n' "${HOSTS_TICK:-500ms}" "${HOSTS_BUNDLE_AGE:-1s}"
        printf '[spool]\nlimit = %s\n' "${HOSTS_SPOOL:-256M}"
        printf '[ship]\nretry_min = 100ms\nretry_max = 1s\ngateway = 127.0.0.1:%s\n' "$(sed -n "${name#host}p" "$HOSTS/ports")"
        for line; do
            section=${line%% *}
            printf '[%s]\n%s\n' "$section" "${line#* }"
        done
    } >"$dir/agent.conf"
}

# process_note FILE PID [WAITER]: with its start time, so that a number that is used again is not taken for it. WAITER is
# the nsenter that waits for it
process_note() {
    local stat waiter=${3:-}
    read -r stat <"/proc/$2/stat"
    stat=${stat##*) }
    # shellcheck disable=SC2086
    set -- "$1" "$2" $stat
    printf '%s %s %s\n' "$2" "${22}" "$waiter" >"$HOSTS/$1.pid"
}

# process_pid FILE: while it lives. A zombie that still has threads holds its files and locks
process_pid() {
    local pid start stat
    { read -r pid start _ <"$HOSTS/$1.pid"; } 2>/dev/null || return 1
    { read -r stat <"/proc/$pid/stat"; } 2>/dev/null || return 1
    stat=${stat##*) }
    # shellcheck disable=SC2086
    set -- "$pid" $stat
    [[ ${21} == "$start" && ($2 != Z || ${19} -gt 1) ]] || return 1
    printf '%s' "$pid"
}

process_is_gone() { ! process_pid "$1" >/dev/null; }

# process_kill SIGNAL FILE...: and wait until they are gone
process_kill() {
    local signal=$1 name pid
    shift
    for name; do
        pid=$(process_pid "$name") || continue
        kill "-$signal" "$pid" 2>/dev/null || true
        kill -CONT "$pid" 2>/dev/null || true
    done
    for name; do
        wait_until 20 process_is_gone "$name" || { pid=$(process_pid "$name") && kill -KILL "$pid"; }
        # nsenter stops when the process that it waits for is stopped, and does not go on by itself
        if { read -r _ _ pid <"$HOSTS/$name.pid"; } 2>/dev/null && [[ -n $pid && $(cat "/proc/$pid/comm" 2>/dev/null) == nsenter ]]; then
            kill -KILL "$pid" 2>/dev/null || true
        fi
        rm -f -- "$HOSTS/$name.pid"
    done
}

# child_of PID: the process that it started
child_of() { tr -d ' ' <"/proc/$1/task/$1/children" 2>/dev/null; }
has_child() { [[ -n $(child_of "$1") ]]; }

# host_space NAME: a pid namespace and a procfs of its own, which end with what holds them
host_space() {
    local holder
    unshare --pid --mount-proc --uts --fork true 2>/dev/null || return 0
    setsid unshare --pid --mount-proc --uts --fork --kill-child \
        dash -c 'hostname "$0"; while :; do sleep 1000; done' "$1" </dev/null >>"$HOSTS/$1/space.log" 2>&1 &
    holder=$!
    process_note "$1/space" "$holder"
    wait_until 10 has_child "$holder"
}

# in_host NAME COMMAND...: in the host's space, if it has one
in_host() {
    local holder
    local -a into=()
    if holder=$(process_pid "$1/space"); then into=(nsenter --target "$(child_of "$holder")" --pid --mount --uts --); fi
    "${into[@]}" "${@:2}"
}

# hosts_gone: who was started and is no more, with what it said last
hosts_gone() {
    local name part
    for name in $(hosts_names); do
        for part in collector shipper; do
            [[ -e $HOSTS/$name/$part.pid ]] || continue
            process_is_gone "$name/$part" || continue
            printf '%s: its %s is gone\n' "$name" "$part"
            last_lines "$HOSTS/$name/$part.log" 5
        done
    done
}

# host_start NAME [collector|shipper]...
host_start() {
    local name=$1 part word pid holder waiter
    local -a into=()
    shift
    [[ $# -gt 0 ]] || set -- collector shipper
    if holder=$(process_pid "$name/space"); then into=(nsenter --target "$(child_of "$holder")" --pid --mount --uts --); fi
    for part; do
        process_is_gone "$name/$part" || continue
        word=ship
        [[ $part != collector ]] || word=collect
        setsid "${into[@]}" "$HOSTS_AGENT" "$word" --config "$HOSTS/$name/agent.conf" </dev/null >>"$HOSTS/$name/$part.log" 2>&1 &
        pid=$! waiter=
        if [[ ${#into[@]} -gt 0 ]]; then
            waiter=$pid
            wait_until 10 has_child "$waiter" # nsenter waits, its child is who we want
            pid=$(child_of "$waiter")
        fi
        process_note "$name/$part" "$pid" "$waiter"
    done
}

host_status() { "$HOSTS_AGENT" status --config "$HOSTS/$1/agent.conf" "${@:2}"; }

hosts_names() { local i; for ((i = 1; i <= HOSTS_COUNT; i++)); do printf 'host%d\n' "$i"; done; }

# Are there hosts on both shards, and in the slots of both workers (each has a half of them, in order)?
hosts_are_spread() {
    [[ $(admin_sql head "SELECT CONCAT(COUNT(DISTINCT s.shard_id), COUNT(DISTINCT s.slot < (SELECT COUNT(*) FROM pofr_catalog.slot) / 2))
        FROM pofr_catalog.host h JOIN pofr_catalog.slot s ON s.slot = h.slot WHERE h.host LIKE 'host%'") == 22 ]]
}

# host_again NAME: enrolled as another, in another slot
host_again() {
    SPARES=$((SPARES + 1))
    [[ $SPARES -le 50 ]]
    ctl host rename "$1" "spare$SPARES"
    rm -rf -- "${HOSTS:?}/$1"
    host_make "$1"
}
SPARES=0

# What is done to a slot is done to one host: the others are compared whole.
host_is_alone() {
    [[ $(admin_sql head "SELECT COUNT(*) FROM pofr_catalog.host WHERE host LIKE 'host%'
        AND slot = (SELECT slot FROM pofr_catalog.host WHERE host = '$1')") -eq 1 ]]
}

# hosts_begin N: N hosts, enrolled and started, some on each shard and with each worker, each in a slot of its own
hosts_begin() {
    local name last=host$1
    HOSTS_COUNT=$1
    hosts_network "$1"
    for name in $(hosts_names); do
        host_make "$name"
        until host_is_alone "$name"; do host_again "$name"; done
    done
    # the slot is the uuid's, which is chance: where all came to one shard or worker, the last is enrolled again
    until hosts_are_spread && host_is_alone "$last"; do host_again "$last"; done
    for name in $(hosts_names); do [[ ${name#host} -le $HOSTS_WHOLE ]] || host_space "$name"; done
    for name in $(hosts_names); do host_start "$name"; done
}

# hosts_end: everything that was started here
hosts_end() {
    local file
    local -a names=()
    for file in "$HOSTS"/*/shipper.pid "$HOSTS"/*/collector.pid "$HOSTS"/*/space.pid "$HOSTS"/*.pid; do
        [[ -f $file ]] || continue
        file=${file%.pid}
        names+=("${file#"$HOSTS"/}")
    done
    process_kill KILL "${names[@]}"
}

# hosts_equal [OPTION...]: what every host sealed until now gets into SQL, and SQL has exactly that
hosts_equal() {
    local name
    local -a states=()
    for name in $(hosts_names); do states+=("$HOSTS/$name/state"); done
    (
        eval "$(quickstart env)"
        tests/support/equal.py --shards "$POFR_SHARDS" --options "$POFR_ANALYST_CNF" --kafka "$POFR_KAFKA" --wait 60 "$@" "${states[@]}"
    ) || return # also where set -e does not hold
    hosts_conserved
}

# hosts_conserved: at any moment, whatever was killed, no bundle is nowhere
hosts_conserved() {
    equal "$(quickstart sql -N 'SELECT host, recorded, in_spool, in_kafka, stored, set_aside, lost, unaccounted FROM conservation
        WHERE unaccounted <> 0 OR in_spool < 0 OR in_kafka < 0 OR lost < 0')" '' "bundles that are nowhere"
}
