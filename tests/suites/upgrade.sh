#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# two versions at once: parts go over one by one while this machine is recorded, newer before older and older before newer
# timeout: 900
# order: 97
# jobs: 1
# long: yes
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/next.sh"

W=$POFR_TEST_WORK
WORK_SECONDS=0.9

next() { env POFR_NO_BUILD=1 POFR_CACHE="${POFR_CACHE:-$POFR_TREE/build/cache}" "$NEXT/deploy/quickstart" "$@"; }

# shards STATEMENT: of both, one number each, added up
shards() {
    local part sum=0 n
    for part in shard1 shard2; do
        n=$(admin_sql "$part" "$1")
        sum=$((sum + ${n:-0}))
    done
    printf '%d\n' "$sum"
}

# version_of PART: that of the program that runs
version_of() { "/proc/$(part_field "$1" 2)/exe" --version | sed -nE '1s/.* ([0-9.]+).*/\1/p'; }

# told UNTIL: records of the newer kind (an END of entity 27: 109) that the newer agent's bundles hold, by their statements
told() {
    local host sequence
    host=$(quickstart sql -N 'SELECT host FROM host')
    quickstart sql -N "SELECT sequence FROM bundle WHERE recorder = 'pofr-agent/0.2.0' AND captured_to <= '$1'" | while read -r sequence; do
        quickstart ctl bundle get "$host" "$sequence" --without-payload 2>/dev/null | sed -n 's/^records //p'
    done | tr ' ' '\n' | awk -F: '$1 == 109 { n += $2 } END { print n + 0 }'
}

sealed_now() { quickstart agent status --json | jq -r .sequence; }
is_stored() { [[ $(shards "SELECT COUNT(*) FROM pofr_store.bundle WHERE sequence = $1") == 1 ]]; }
all_is_stored() { wait_until 60 is_stored "$(sealed_now)"; }

now_in_sql() { quickstart sql -N 'SELECT UTC_TIMESTAMP(6)'; }

# what lives while the parts go over is found, as always
work_is_found() {
    rm -rf -- "$W/work" && mkdir -p -- "$W/work"
    tests/support/workload.py run "$W/work.json" "$W/work" "$WORK_SECONDS"
    tests/support/workload.py check "$W/work.json" 60 -- mariadb --defaults-file="$POFR_STATE/etc/analyst.cnf"
}

the_version_behind_this_one_is_built() {
    local older newer
    build_preset release
    next_make
    older=$(build/release/agent/pofr-agent --version | head -n 1)
    newer=$("$NEXT/build/release/agent/pofr-agent" --version | head -n 1)
    [[ $older != "$newer" ]]
    quickstart --no-build >"$W/answers"
}

# An agent of this version goes on with a gateway of the next one, which says what this one does not know.
a_newer_gateway_serves_older_agents() {
    next start gateway
    [[ $(version_of gateway) != $(version_of shipper) ]]
    work_is_found
}

# What the workers do not know is skipped, and the whole message kept for a newer one.
older_workers_take_what_they_know_of_newer_agents() {
    next start collector shipper
    now_in_sql >"$W/newer.since"
    [[ $(version_of collector) == $(version_of gateway) && $(version_of collector) != $(version_of worker1) ]]
    work_is_found
    wait_until 20 something_is_unknown
    all_is_stored
    wait_until 5 as_much_is_aside_as_unknown
    equal "$(shards "SELECT COUNT(*) FROM pofr_store.set_aside WHERE reason <> 'unknown_kind'")" 0 "set aside for another reason"
}

as_much_is_aside_as_unknown() { # one statement for each shard: both are of one moment
    equal "$(shards "SELECT (SELECT COUNT(*) FROM pofr_store.bundle WHERE unknown_records > 0) =
        (SELECT COUNT(*) FROM pofr_store.set_aside WHERE reason = 'unknown_kind')")" 2 "shards that set aside what they did not know"
}
something_is_unknown() { [[ $(shards "SELECT COUNT(*) FROM pofr_store.bundle WHERE unknown_records > 0") -gt 0 ]]; }

tables_become_newer_under_the_older_workers() {
    now_in_sql >"$W/tables.since"
    sed "s|^sql_dir *=.*|sql_dir = $NEXT/sql|" "$POFR_STATE/etc/ctl.conf" >"$W/ctl.conf"
    "$NEXT/build/release/ctl/pofrctl" --config "$W/ctl.conf" migrate
    work_is_found
    equal "$(quickstart sql -N 'SELECT COUNT(*) FROM loadinfo')" 0 "rows that nobody writes yet"
}

# Half of them are older, half newer: slots move from one to the other.
workers_and_merger_go_over_one_by_one() {
    next start worker1
    [[ $(version_of worker1) != $(version_of worker2) ]]
    work_is_found
    next start worker2
    next start merger
    work_is_found
}

nothing_is_left_aside() {
    quickstart ctl set-aside replay --reason unknown_kind
    wait_until 60 nothing_aside
}
nothing_aside() { [[ $(shards "SELECT COUNT(*) FROM pofr_store.set_aside WHERE replayed IS NULL") == 0 ]]; }

# What older workers skipped is there too.
what_older_workers_could_not_read_is_there_after_the_replay() {
    nothing_is_left_aside
    until=$(quickstart sql -N 'SELECT MAX(captured_to) FROM bundle')
    as_many_as_told "$until"
    equal "$(shards "SELECT COUNT(*) FROM pofr_store.netinfo WHERE origin IS NULL AND first_seen BETWEEN '$(cat "$W/newer.since")' AND '$until'")" 0 \
        "sockets of the newer agent without the newer column"
    [[ $(shards "SELECT COUNT(*) FROM pofr_store.netinfo WHERE origin = 4711 AND first_seen < '$(cat "$W/tables.since")'") -gt 0 ]]
}

as_many_as_told() {
    local rows
    rows=$(shards "SELECT COUNT(*) FROM pofr_store.loadinfo WHERE ended <= '$1'")
    [[ $rows -gt 20 && $(told "$1") == "$rows" ]]
}

# Agents may be the last.
older_agents_go_on_with_all_else_newer() {
    quickstart --no-build start collector shipper
    [[ $(version_of collector) != $(version_of worker1) ]]
    work_is_found
    next start collector shipper
    work_is_found
}

nothing_was_lost_or_doubted_meanwhile() {
    local host
    host=$(quickstart sql -N 'SELECT host FROM host')
    all_is_stored
    quickstart ctl verify "$host"
    equal "$(quickstart sql -N "SELECT COUNT(*) FROM gap WHERE kind NOT IN ('stopped', 'ticks')")" 0 "gaps"
    quickstart sql "SELECT kind, COUNT(*), SUM(lost), MAX(TIMESTAMPDIFF(MICROSECOND, from_time, to_time)) / 1e6 AS longest FROM gap GROUP BY kind"
    equal "$(quickstart sql -N "SELECT COUNT(*) FROM finding WHERE kind <> 'unannounced' AND kind NOT LIKE 'clock%'")" 0 "findings"
    quickstart sql "SELECT COUNT(*) AS bundles, MAX(TIMESTAMPDIFF(MICROSECOND, captured_to, stored)) / 1e6 AS longest_way FROM bundle"
}

cases the_version_behind_this_one_is_built a_newer_gateway_serves_older_agents older_workers_take_what_they_know_of_newer_agents \
    tables_become_newer_under_the_older_workers workers_and_merger_go_over_one_by_one \
    what_older_workers_could_not_read_is_there_after_the_replay older_agents_go_on_with_all_else_newer \
    nothing_was_lost_or_doubted_meanwhile
