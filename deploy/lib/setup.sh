# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# setup.sh -- from a source tree to running parts. Every step looks first whether it is done.

# step PART WHAT COMMAND...: run it, its output to log/setup-PART.log; the end of that log when it fails
step() {
    local part=$1 what=$2
    shift 2
    progress "$part" "$what"
    run_logged "$part" "$what" "$STATE/log/setup-$part.log" "$@" ||
        fail "$part" "$what" "$STATE/log/setup-$part.log" "deploy/quickstart again; what is done already is not done twice"
}

# cluster_is_made: is there data of all servers? What takes room at once (redo logs, the first tables) is in it.
cluster_is_made() {
    [[ -e $STATE/data/kafka/meta.properties && -d $STATE/data/head && -d $STATE/data/shard1 && -d $STATE/data/shard2 ]]
}

# What no later step could repair, said before anything is touched.
setup_preflight() {
    local free
    id -un >/dev/null 2>&1 || fail machine "uid $EUID has no name, and MariaDB knows its first account by one" "" \
        "a user who is in /etc/passwd"
    [[ $(cat /sys/class/net/lo/operstate 2>/dev/null || echo unknown) != down ]] ||
        fail machine "the loopback interface is down" "" "ip link set lo up"
    free=$(df -Pm -- "$STATE" | awk 'NR == 2 { print $4 }')
    if cluster_is_made; then # its files have their room already; it only may not fill the disk
        ((free >= 200)) || fail machine "only $free MB are free where $STATE lies; a cluster that is there needs 200" "" \
            "free some room, then deploy/quickstart again"
    else
        ((free >= 1500)) || fail machine "only $free MB are free where $STATE lies; a new cluster needs 1,500" "" \
            "free some room, or POFR_STATE=/another/place deploy/quickstart"
    fi
    free=$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo)
    ((free >= 900)) || progress machine "only $free MB of memory are available; about 900 are used"
}

setup_packages() {
    [[ $no_install != yes ]] || return 0
    progress packages "looking whether all are there"
    if "$POFR_TREE/deploy/deps" check >/dev/null 2>&1; then
        return 0
    fi
    progress packages "installing what is missing"
    run_logged packages "installing" "$STATE/log/packages.log" "$POFR_TREE/deploy/deps" install ||
        fail packages "apt could not install what is missing" "$STATE/log/packages.log" \
            "deploy/deps install, and see its messages" "without apt: --no-install"
}

# Under a lock that the compiler holds too: one that outlived a killed quickstart is waited for.
build_all() {
    mkdir -p -- "$BUILD" &&
        exec 8>"$BUILD/.lock" && flock -w 900 8 &&
        cmake -S "$POFR_TREE" -B "$BUILD" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_C_COMPILER=gcc -DBUILD_TESTING=OFF &&
        cmake --build "$BUILD"
}

setup_build() {
    local log=$STATE/log/build.log begin
    [[ $no_build != yes ]] || return 0
    begin=$(now_ms)
    progress build "compiling what is not built yet, in $BUILD"
    run_logged build "compiling" "$log" build_all ||
        fail build "the programs could not be built" "$log" "cmake --build $BUILD shows all of it"
    progress build "done ($(seconds $(($(now_ms) - begin))) s)"
}

# The jars come from the network while the compiler has the processors.
setup_fetch_begin() {
    fetch_pid=
    [[ ! -e $(kafka_cache)/.complete || ! -s $(kafka_archive) ]] || return 0
    progress kafka "fetching the broker's jars"
    "$POFR_TREE/deploy/kafka/fetch" --archive >"$STATE/log/kafka-fetch.log" 2>&1 </dev/null 9>&- &
    fetch_pid=$!
}

setup_fetch_end() {
    [[ -n $fetch_pid ]] || return 0
    progress kafka "waiting for its jars"
    wait "$fetch_pid" ||
        fail kafka "the broker's jars could not be fetched" "$STATE/log/kafka-fetch.log" \
            "deploy/kafka/fetch, and see its messages"
    progress kafka "jars are there"
}

configure_all() {
    ports_settle
    secrets_settle
    tls_settle
    kafka_configure
    mariadb_configure
    conf_all
    option_file "$STATE/etc/admin.cnf" pofr_admin admin "${PORTS[head]}"
    option_file "$STATE/etc/analyst.cnf" pofr_analyst analyst "${PORTS[head]}" pofr
}

# What the servers must hold before the programs start; at each start, since a port or a version may have changed.
# To enter a shard makes all its tables on the head anew, which takes seconds: not where all ran on since the last
# time and nothing that goes in is another.
setup_stores() {
    local name spec
    step migrate "making catalog, tables and accounts" ctl_migrate
    spec=$(stores_spec)
    if [[ $parts_started -gt 0 || $(cat -- "$STATE/run/stores.spec" 2>/dev/null) != "$spec" ]]; then
        for name in shard1 shard2; do
            step "$name" "entering $name in the catalog" ctl_shard "$name"
        done
    fi
    step topic "making the topics" ctl_topic
    printf '%s\n' "$spec" >"$STATE/run/stores.spec"
    progress setup "catalog, tables, accounts and topics are there"
}

# stores_spec: one line that changes when a shard would be entered otherwise
stores_spec() {
    {
        stat -c '%i %Y' -- "$BUILD/ctl/pofrctl"
        find "$POFR_TREE/sql" -type f -exec cat -- {} +
        cat -- "$STATE/etc/ports" "$STATE/etc/ctl.conf" "$STATE"/secrets/*.pw
    } | sha256sum
}

setup_agent() {
    local token=$STATE/secrets/token
    ! agent_is_enrolled || return 0
    mkdir -p -- "$STATE/data/agent" "$STATE/run/agent"
    rm -f -- "$token"
    step token "making a token" ctl_token "$token"
    chmod 600 -- "$token"
    step enrol "enrolling this machine" agent_enrol "$token"
    rm -f -- "$token"
    progress agent "this machine is enrolled"
}

# need_programs: those of all parts, and pofrctl, are built
need_programs() {
    local name
    [[ -x $BUILD/ctl/pofrctl ]] || not_built "$BUILD/ctl/pofrctl"
    for name in gateway worker1 merger collector; do
        program "$name"
        [[ -x ${PROGRAM[0]} ]] || not_built "${PROGRAM[0]}"
    done
}

# start_cluster: everything, in order
start_cluster() {
    setup_preflight
    [[ $no_build != yes ]] || need_programs
    setup_packages
    setup_fetch_begin
    setup_build
    setup_fetch_end
    users_find
    [[ $EUID -ne 0 || -n ${POFR_USERS[mysql]:-} ]] ||
        progress users "other users can't reach $STATE or $POFR_TREE: the servers run as root"
    configure_all
    parts_start "${SERVERS[@]}"
    setup_stores
    parts_start gateway
    setup_agent
    parts_start worker1 worker2 merger collector shipper
}

# start_parts PART...: only these; what they need is set up, what others need is not
start_parts() {
    if [[ " $* " == *" kafka "* ]]; then
        setup_fetch_begin
        setup_fetch_end
    fi
    users_find
    configure_all
    parts_start "$@"
}
