#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# the services: without fault, closed as far as they can be; with --long all of them under a real systemd
# timeout: 400
# long-timeout: 1500
# order: 46
# jobs: 1
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/chroot.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/box.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/services.sh"
trap 'box_end; suite_finish' EXIT

BINDIR=$POFR_TEST_WORK/bin
UNITS=$POFR_TEST_WORK/units
EXPOSURE_MAX=20 # tenths, as --threshold takes them

# units_make: as they would be installed, with programs that are there
units_make() {
    local unit program
    mkdir -p -- "$UNITS" "$BINDIR"
    for program in pofr-agent pofr-gateway pofr-worker pofr-merger pofr-backup; do
        printf '#!/bin/sh\n' >"$BINDIR/$program"
        chmod 755 -- "$BINDIR/$program"
    done
    for unit in deploy/systemd/*.service deploy/systemd/*.socket deploy/systemd/*.target deploy/systemd/*.timer; do
        sed "s|@BINDIR@|$BINDIR|" "$unit" >"$UNITS/${unit##*/}"
    done
    cp -- "$UNITS/pofr-worker@.service" "$UNITS/pofr-worker@1.service"
    cp -- "$UNITS/pofr-merger@.service" "$UNITS/pofr-merger@shard1.service"
}

# It ends with 0 for a word that it does not know, too, and only says so.
units_are_without_fault() {
    units_make
    systemd-analyze verify --man=no "$UNITS"/pofr.target "$UNITS"/*.socket "$UNITS"/pofr-agent.service \
        "$UNITS"/pofr-collector.service "$UNITS"/pofr-shipper.service "$UNITS"/pofr-gateway.service \
        "$UNITS"/pofr-worker@1.service "$UNITS"/pofr-merger@shard1.service "$UNITS"/pofr-backup.service "$UNITS"/pofr-backup.timer >"$POFR_TEST_WORK/said" 2>&1 || true
    equal "$(cat -- "$POFR_TEST_WORK/said")" "" "what systemd-analyze verify says"
    sed -i 's/^WatchdogSec=/WatchdogSecs=/' "$UNITS/pofr-gateway.service" # would it say something?
    systemd-analyze verify --man=no "$UNITS/pofr-gateway.service" 2>&1 | grep -q WatchdogSecs
}

every_service_but_the_collector_is_closed() {
    local unit
    units_make
    for unit in pofr-agent pofr-shipper pofr-gateway pofr-worker@1 pofr-merger@shard1 pofr-backup; do
        systemd-analyze security --offline=true --threshold="$EXPOSURE_MAX" "$UNITS/$unit.service" >"$POFR_TEST_WORK/table" ||
            { cat -- "$POFR_TEST_WORK/table"; return 1; }
        tail -n 1 -- "$POFR_TEST_WORK/table"
    done
}

# Each line that systemd-analyze marks is a row of the README, with its reason; and no row is left of what is closed by now.
every_open_point_of_the_collector_has_its_reason() {
    units_make
    systemd-analyze security --offline=true --json=short "$UNITS/pofr-collector.service" >"$POFR_TEST_WORK/points.json"
    jq -r '.[] | select(.set == false and (.exposure // "0" | tonumber) > 0) | .json_field' "$POFR_TEST_WORK/points.json" |
        sort >"$POFR_TEST_WORK/open"
    sed -nE 's/^\| `([A-Za-z_]+)` \|.*/\1/p' deploy/systemd/README.md | sort >"$POFR_TEST_WORK/told"
    diff "$POFR_TEST_WORK/open" "$POFR_TEST_WORK/told"
}

# The first configuration that a service gets is one that it takes.
first_configurations_are_good() {
    local program
    build_preset dev --target pofr-agent pofr-gateway pofr-worker pofr-merger >/dev/null
    build/dev/agent/pofr-agent collect --config "$PWD/deploy/systemd/etc/agent.conf" --check-config
    build/dev/gateway/pofr-gateway --config "$PWD/deploy/systemd/etc/gateway.conf" --check-config
    for program in 1 17; do
        build/dev/workers/pofr-worker --config "$PWD/deploy/systemd/etc/worker.conf" --instance "$program" --check-config
    done
    build/dev/merger/pofr-merger --config "$PWD/deploy/systemd/etc/merger.conf" --instance shard-1 --check-config
    fails build/dev/workers/pofr-worker --config "$PWD/deploy/systemd/etc/worker.conf" --check-config
}

QUICK=(units_are_without_fault every_service_but_the_collector_is_closed every_open_point_of_the_collector_has_its_reason
    first_configurations_are_good)

each_case "${QUICK[@]}"
if ! is_more_wanted "${QUICK[@]}"; then
    [[ $suite_failures -eq 0 ]]
    exit
fi

# --- under a real systemd ---------------------------------------------------------------------------------------
#
# Kafka and MariaDB are the suite's own cluster, on this machine; all of ours runs in the box, as units.

# drop_in UNIT LINE...: in section [Service]
drop_in() {
    local unit=$1
    shift
    mkdir -p -- "$BOX/etc/systemd/system/$unit.d"
    printf '%s\n' '[Service]' "$@" >"$BOX/etc/systemd/system/$unit.d/test.conf"
    in_box systemctl daemon-reload
}
drop_out() {
    rm -rf -- "$BOX/etc/systemd/system/$1.d"
    in_box systemctl daemon-reload
}

box_up() {
    build_preset release
    quickstart --tls >/dev/null
    quickstart kill gateway worker1 worker2 merger collector shipper
    box_make full
    box_configure /usr/local/share/pofr/etc
    box_start
    box_give_keys
}

services_start() {
    in_box systemctl start pofr-gateway pofr-worker@1 pofr-worker@2 pofr-merger@shard1 pofr-merger@shard2
    box_enrol
    in_box systemctl start pofr-agent
    wait_until 30 all_are_active
}

a_new_machine_is_enrolled_and_all_services_run() {
    local unit
    in_box sh -exc "$(page_block deploy/systemd/README.md '# deploy/systemd: POFR as services')"
    in_box systemctl start pofr-agent # not enrolled: skipped, and no failure
    equal "$(show pofr-collector ActiveState) $(show pofr-collector ConditionResult)" "inactive no" "collector before enrolment"
    services_start
    for unit in "${SERVICES[@]}"; do
        printf '%s: pid %s, uid %s\n' "$unit" "$(show "$unit" MainPID)" "$(in_box ps -o uid= -p "$(show "$unit" MainPID)")"
        equal "$(show "$unit" NRestarts)" 0 "restarts of $unit"
        equal "$(in_box ps -o user:32= -p "$(show "$unit" MainPID)" | tr -d ' ')" "$(show "$unit" User)" "user of $unit"
    done
    equal "$(in_box systemctl --failed --no-legend)" "" "failed units"
}

what_happens_there_is_found_in_sql() {
    witness w1
    # its own connections, of one service to another
    wait_until 30 answers_to "SELECT COUNT(*) > 0 FROM process_socket WHERE host = 'box' AND command = 'pofr-gateway' AND local_port = $GATEWAY" 1
    equal "$(sql "SELECT COUNT(*) FROM gap WHERE host = 'box' AND kind NOT IN ('stopped')")" 0 "gaps"
    # a name that changes is the new one in the record (ProtectHostname= would hide it)
    in_box hostname renamed
    wait_until 30 answers_to "SELECT COUNT(*) > 0 FROM hostinfo WHERE host = 'box' AND name = 'hostname' AND value = 'renamed'" 1
    in_box hostname box
}

# doctor_in NAME: what doctor says in a unit whose lines stand on standard input
doctor_in() {
    local lines
    lines=$(cat)
    printf '%s\n' "$lines" '[Service]' 'Type=oneshot' 'SuccessExitStatus=0 1' "StandardOutput=file:/var/tmp/$1" \
        'ExecStart=/usr/local/bin/pofr-agent doctor --config /etc/pofr/agent.conf --json' >"$BOX/etc/systemd/system/$1.service"
    in_box systemctl daemon-reload
    in_box systemctl start "$1"
    cat -- "$BOX/var/tmp/$1" >&2
    jq -er '.checks[] | select(.check | test("^gateway |^clock$") | not) | .check + " " + .result' "$BOX/var/tmp/$1"
}

# The same program asks what it can see: as the unit's sandbox has it, and with user and rights alone. Not compared:
# gateways, for the collector has no network; and whether the clock is synchronised, which only doctor asks.
doctor_says_the_same_with_and_without_the_sandbox() {
    sed -e '/^Type=/d; /^NotifyAccess=/d; /^Exec/d; /^Watchdog/d; /^Restart/d; /^RuntimeDirectory/d' \
        -e '/^Wants=/d; /^PartOf=/d; /^ReloadPropagated/d; /^\[Install\]/,$d' \
        "$BOX/usr/local/lib/systemd/system/pofr-collector.service" | doctor_in with >"$POFR_TEST_WORK/with"
    {
        printf '[Service]\n'
        grep -E '^(User|Group|AmbientCapabilities|LimitNOFILE)=' "$BOX/usr/local/lib/systemd/system/pofr-collector.service"
    } | doctor_in without >"$POFR_TEST_WORK/without"
    grep -qx 'setns ok' "$POFR_TEST_WORK/with"
    grep -qx 'kcmp ok' "$POFR_TEST_WORK/with"
    grep -qx 'procfs ok' "$POFR_TEST_WORK/with"
    diff "$POFR_TEST_WORK/with" "$POFR_TEST_WORK/without"
}

a_restart_of_the_gateway_refuses_no_connection() {
    local before
    before=$(show pofr-gateway MainPID)
    knock 12 >"$POFR_TEST_WORK/knocked" &
    for _ in 1 2; do
        in_box systemctl restart pofr-gateway
    done
    fails equal "$(show pofr-gateway MainPID)" "$before" "pid of the gateway"
    wait "$!"
    equal "$(cat -- "$POFR_TEST_WORK/knocked")" "0 True" "refused, and the last one was greeted"
    witness w2 # the agent has found it again, too
}

# Without notices of empty control groups (version 1 in a container), what a killed one leaves in its group may be waited
# for as long as TimeoutStopSec= says.
killed_ones_come_back() {
    local unit pid
    for unit in "${SERVICES[@]}"; do
        pid=$(show "$unit" MainPID)
        in_box kill -KILL "$pid"
        wait_until 120 is_another "$unit" "$pid" || { said "$unit" | tail -n 20; return 1; }
    done
    wait_until 60 all_are_active
    witness w3
}
is_another() { is_active "$1" && [[ $(show "$1" MainPID) != "$2" && $(show "$1" MainPID) != 0 ]]; }

who_is_stopped_is_ended_by_the_watchdog_and_comes_back() {
    local unit pid
    for unit in pofr-worker@1 pofr-gateway; do
        drop_in "$unit.service" WatchdogSec=6
        in_box systemctl restart "$unit"
        pid=$(show "$unit" MainPID)
        in_box kill -STOP "$pid"
        wait_until 60 is_another "$unit" "$pid" || { said "$unit" | tail -n 20; return 1; }
        has_said "$unit" 'Watchdog timeout'
        drop_out "$unit.service"
        in_box systemctl restart "$unit"
    done
    witness w4
}

# A tick once a minute, a pass once an hour, a shard that does not answer: nothing of it is a reason.
who_has_nothing_to_do_or_waits_for_others_is_left_alone() {
    local unit
    local -A pid=()
    sed -i 's/^\[agent\]/[collect]\ntick = 1min\n[agent]/' "$BOX/etc/pofr/agent.conf"
    sed -i 's/^\[merger\]/[merger]\nperiod = 1h/' "$BOX/etc/pofr/merger.conf"
    for unit in pofr-collector pofr-shipper pofr-worker@1 pofr-merger@shard1; do
        drop_in "$unit.service" WatchdogSec=4
    done
    in_box systemctl restart pofr-agent pofr-worker@1 pofr-merger@shard1
    wait_until 30 all_are_active
    for unit in "${SERVICES[@]}"; do pid[$unit]=$(show "$unit" MainPID); done
    kill -STOP "$(part_field shard1 2)"
    sleep 14
    kill -CONT "$(part_field shard1 2)"
    for unit in "${SERVICES[@]}"; do
        equal "$(show "$unit" MainPID) $(show "$unit" ActiveState)" "${pid[$unit]} active" "pid of $unit"
    done
    sed -i '/^\[collect\]/d; /^tick = /d' "$BOX/etc/pofr/agent.conf"
    sed -i '/^period = /d' "$BOX/etc/pofr/merger.conf"
    for unit in pofr-collector pofr-shipper pofr-worker@1 pofr-merger@shard1; do drop_out "$unit.service"; done
    in_box systemctl restart pofr-agent pofr-worker@1 pofr-merger@shard1
    witness w5
}

a_reload_is_taken_or_refused_with_the_reason() {
    local pid
    sed -i 's/^\[agent\]/[collect]\ntick = 250ms\n[agent]/' "$BOX/etc/pofr/agent.conf"
    in_box systemctl reload pofr-agent
    wait_until 20 has_said pofr-collector 'option_changed section=collect name=tick before="300ms" after="250ms"'
    wait_until 20 has_said pofr-shipper 'ship reloaded'
    pid=$(show pofr-worker@1 MainPID)
    printf 'no_such = 1\n' >>"$BOX/etc/pofr/worker.conf"
    fails in_box systemctl reload pofr-worker@1
    has_said pofr-worker@1 'unknown option "no_such"'
    equal "$(show pofr-worker@1 MainPID) $(show pofr-worker@1 ActiveState)" "$pid active" "the worker after a reload that was refused"
    sed -i '/no_such/d' "$BOX/etc/pofr/worker.conf"
    for unit in pofr-gateway pofr-worker@1 pofr-merger@shard1; do
        in_box systemctl reload "$unit"
        wait_until 20 is_active "$unit"
    done
}

a_stop_drains_and_nothing_is_missing() {
    local unit
    in_box systemctl stop pofr-agent
    for unit in pofr-collector pofr-shipper; do
        wait_until 60 is_inactive "$unit"
        equal "$(show "$unit" ActiveState) $(show "$unit" Result) $(show "$unit" ExecMainStatus)" "inactive success 0" "$unit"
    done
    has_said pofr-collector 'collect ended clean=1'
    in_box systemctl stop pofr-gateway.socket pofr-gateway pofr-worker@1 pofr-worker@2 pofr-merger@shard1 pofr-merger@shard2
    for unit in pofr-gateway pofr-worker@1 pofr-worker@2 pofr-merger@shard1; do
        equal "$(show "$unit" ActiveState) $(show "$unit" Result) $(show "$unit" ExecMainStatus)" "inactive success 0" "$unit"
    done
    in_box systemctl start pofr-gateway.socket pofr-gateway pofr-worker@1 pofr-worker@2 pofr-merger@shard1 pofr-merger@shard2 pofr-agent
    wait_until 30 all_are_active
    witness w6
    equal "$(sql "SELECT COUNT(*) FROM gap WHERE host = 'box' AND kind = 'sequence' AND explained = 0")" 0 "bundles that are missing"
    ctl verify box
}

a_configuration_that_is_wrong_is_not_tried_again() {
    sed -i 's/^brokers/brokkers/' "$BOX/etc/pofr/worker.conf"
    fails in_box systemctl restart pofr-worker@2
    sleep 5 # more than RestartSec=
    sed -i 's/^brokkers/brokers/' "$BOX/etc/pofr/worker.conf"
    equal "$(show pofr-worker@2 ActiveState) $(show pofr-worker@2 ExecMainStatus) $(show pofr-worker@2 NRestarts)" "failed 2 0" worker
    in_box systemctl start pofr-worker@2
    mv -- "$BOX/etc/pofr/secrets/merger.pw" "$BOX/etc/pofr/secrets/merger.away"
    fails in_box systemctl restart pofr-merger@shard2
    mv -- "$BOX/etc/pofr/secrets/merger.away" "$BOX/etc/pofr/secrets/merger.pw"
    equal "$(show pofr-merger@shard2 ActiveState) $(show pofr-merger@shard2 ExecMainStatus)" "failed 243" "without its password"
    in_box systemctl start pofr-merger@shard2
    wait_until 30 all_are_active
}

# Each one that knocks starts it, until there are too many starts: then the port is closed, and agents go elsewhere.
a_gateway_that_can_not_start_closes_its_port() {
    local starts
    sed -i 's/^brokers/brokkers/' "$BOX/etc/pofr/gateway.conf"
    starts=$(said pofr-gateway | grep -c 'unknown option "brokkers"' || true)
    fails in_box systemctl restart pofr-gateway
    exec 3<>"/dev/tcp/127.0.0.1/$GATEWAY" || true # one that waits
    wait_until 60 port_is_closed
    sed -i 's/^brokkers/brokers/' "$BOX/etc/pofr/gateway.conf"
    exec 3>&-
    starts=$(($(said pofr-gateway | grep -c 'unknown option "brokkers"') - starts))
    ((starts <= 25)) || { printf '%s starts\n' "$starts"; return 1; }
    in_box systemctl reset-failed pofr-gateway.service pofr-gateway.socket
    in_box systemctl start pofr-gateway
    wait_until 30 all_are_active
    witness w8
}
port_is_closed() { ! port_is_open "$GATEWAY" && [[ $(show pofr-gateway.socket ActiveState) == failed ]]; }

# Kafka is not there, and the configuration says how long that is waited for: longer than the unit says.
a_start_that_waits_is_not_cut_off() {
    drop_in pofr-worker@2.service TimeoutStartSec=4
    in_box systemctl stop pofr-worker@2
    quickstart kill kafka
    in_box systemctl start --no-block pofr-worker@2
    sleep 9
    equal "$(show pofr-worker@2 ActiveState) $(show pofr-worker@2 NRestarts)" "activating 0" "a worker that waits for Kafka"
    quickstart start kafka
    wait_until 60 is_active pofr-worker@2
    equal "$(show pofr-worker@2 NRestarts)" 0 "tries"
    drop_out pofr-worker@2.service
    witness w7
}

box_up
if [[ $POFR_TEST_ONLY != "  " && $POFR_TEST_ONLY != *a_new_machine_is* ]]; then
    services_start
fi
cases a_new_machine_is_enrolled_and_all_services_run what_happens_there_is_found_in_sql \
    doctor_says_the_same_with_and_without_the_sandbox a_restart_of_the_gateway_refuses_no_connection killed_ones_come_back \
    who_is_stopped_is_ended_by_the_watchdog_and_comes_back who_has_nothing_to_do_or_waits_for_others_is_left_alone \
    a_reload_is_taken_or_refused_with_the_reason a_stop_drains_and_nothing_is_missing \
    a_configuration_that_is_wrong_is_not_tried_again a_gateway_that_can_not_start_closes_its_port a_start_that_waits_is_not_cut_off
