#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# the services: without fault, closed as far as they can be; with --long all of them under a real systemd
# timeout: 120
# long-timeout: 1500
# order: 46
# jobs: 1
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"

BINDIR=$POFR_TEST_WORK/bin
UNITS=$POFR_TEST_WORK/units
EXPOSURE_MAX=20 # tenths, as --threshold takes them

# units_make: as they would be installed, with programs that are there
units_make() {
    local unit program
    mkdir -p -- "$UNITS" "$BINDIR"
    for program in pofr-agent pofr-gateway pofr-worker pofr-merger; do
        printf '#!/bin/sh\n' >"$BINDIR/$program"
        chmod 755 -- "$BINDIR/$program"
    done
    for unit in deploy/systemd/*.service deploy/systemd/*.socket deploy/systemd/*.target; do
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
        "$UNITS"/pofr-worker@1.service "$UNITS"/pofr-merger@shard1.service >"$POFR_TEST_WORK/said" 2>&1 || true
    equal "$(cat -- "$POFR_TEST_WORK/said")" "" "what systemd-analyze verify says"
    sed -i 's/^WatchdogSec=/WatchdogSecs=/' "$UNITS/pofr-gateway.service" # would it say something?
    systemd-analyze verify --man=no "$UNITS/pofr-gateway.service" 2>&1 | grep -q WatchdogSecs
}

every_service_but_the_collector_is_closed() {
    local unit
    units_make
    for unit in pofr-agent pofr-shipper pofr-gateway pofr-worker@1 pofr-merger@shard1; do
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

cases units_are_without_fault every_service_but_the_collector_is_closed every_open_point_of_the_collector_has_its_reason \
    first_configurations_are_good
