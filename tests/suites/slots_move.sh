#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# slots_move: slots go to another shard with their rows, under load, whatever is killed meanwhile. Nothing is lost or doubled
# timeout: 1800
# order: 69
# jobs: 1
# long: yes
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/hosts.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/slots.sh"
trap 'poll_end; hosts_end; suite_finish' EXIT

HOSTS_COUNT=4 HOSTS_TICK=300ms HOSTS_BUNDLE_AGE=500ms HOSTS_WHOLE=1
DEV=$POFR_TREE/build/dev
PARTS=(gateway worker1 worker2 merger)

cluster() {
    [[ ! -e $W/cluster ]] || return 0
    build_preset dev --target pofrctl
    cluster_start "${PARTS[@]}"
    sed -i '/^\[merger\]$/a period = 2s' "$POFR_STATE/etc/merger.conf"
    kill -HUP "$(part_field merger 2)"
    hosts_begin "$HOSTS_COUNT"
    for part in "${PARTS[@]}"; do part_field "$part" 2; done >"$W/pids"
    touch "$W/cluster"
}

# one_on SHARD: a host that is there
one_on() {
    local name
    for name in $(hosts_names); do
        [[ $(shard_of "$name") != "$1" ]] || { printf '%s' "$name"; return 0; }
    done
}
# here: a host at shard1; where there is none, one is moved there
here() {
    [[ -n $(one_on shard1) ]] || ctl slot move "$(slot_of host1)" --to shard1
    one_on shard1
}
other_than() { [[ $1 == shard1 ]] && printf shard2 || printf shard1; }

# slots_of SHARD: a list of those with hosts
slots_of() { admin_sql head "SELECT GROUP_CONCAT(DISTINCT h.slot) FROM pofr_catalog.host h JOIN pofr_catalog.slot s ON s.slot = h.slot JOIN pofr_catalog.shard d ON d.shard_id = s.shard_id WHERE d.name = '$1'"; }
rows_at() { admin_sql "$1" "SELECT COUNT(*) FROM pofr_store.bundle WHERE host_id MOD 1024 IN ($2)"; }

DOUBLED='SELECT COUNT(*) - COUNT(DISTINCT host, sequence, statement_digest) FROM bundle'

# While all goes on somebody asks again and again whether a row is shown twice.
poll_begin() {
    rm -f -- "$W/poll.stop" "$W/polled"
    while [[ ! -e $W/poll.stop ]]; do quickstart sql -N "$DOUBLED" || printf 'failed\n'; done >>"$W/polled" 2>&1 &
    printf '%s\n' "$!" >"$W/poll.pid"
}
poll_end() {
    [[ -s $W/poll.pid ]] || return 0
    touch "$W/poll.stop"
    wait "$(cat "$W/poll.pid")" || true
    rm -f -- "$W/poll.pid"
}
nothing_was_doubled() {
    poll_end
    [[ -s $W/polled ]]
    equal "$(grep -vxc 0 "$W/polled" || true)" 0 "answers with rows that are there twice, or none ($(wc -l <"$W/polled") in all: $(sort "$W/polled" | uniq -c | head -n 5))"
}

all_is_well() {
    local name
    for name in $(hosts_names); do stores_on "$name"; done
    all_equal
    for name in $(hosts_names); do ctl verify "$name"; done
    equal "$(quickstart sql -N "$DOUBLED")" 0 "rows that are there twice"
    equal "$(admin_sql shard1 'SELECT COUNT(*) FROM pofr_store.set_aside')" 0 "set aside at shard1"
    equal "$(admin_sql shard2 'SELECT COUNT(*) FROM pofr_store.set_aside')" 0 "set aside at shard2"
    equal "$(admin_sql head 'SELECT COUNT(*) FROM pofr_catalog.slot_move')" 0 "slots that are still under way"
}
stores_on() { wait_until 60 stored_beyond "$1" $(($(newest "$1") + 2)); }

# --- cases -----------------------------------------------------------------------------------------------------------

# What move.def forgets would be left behind.
every_table_and_column_that_has_to_be_moved_is_known() {
    cluster
    equal "$(sed -nE 's/^MOVE_(TABLE|LEFT)\(([a-z_]+), .*/\2/p' ctl/move.def | sort)" \
        "$(admin_sql shard1 "SELECT DISTINCT c.table_name FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
            WHERE c.table_schema = 'pofr_store' AND t.table_type = 'BASE TABLE' AND c.column_name IN ('host_id', 'slot') AND c.table_name NOT IN ('slot', 'ingest_offset')" | sort)" \
        "tables with rows of hosts or slots"
    equal "$(sed -nE 's/^MOVE_TABLE\(([a-z_]+), .*"(.+)"\)/\1 \2/p' ctl/move.def | awk '{ for (i = 2; i <= NF; i++) print $1 "." $i }' | sort)" \
        "$(admin_sql shard1 "SELECT CONCAT(table_name, '.', column_name) FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
            WHERE table_schema = 'pofr_store' AND table_type = 'BASE TABLE' AND column_name LIKE '%\\_id' AND column_type = 'bigint(20) unsigned'
            AND column_name NOT IN ('host_id', 'gap_id', 'finding_id')" | sort)" \
        "columns with ids of strings"
}

all_slots_of_a_shard_are_moved_while_hosts_record() {
    local slots
    cluster
    all_is_well
    here >/dev/null
    slots=$(slots_of shard1)
    poll_begin
    ctl slot move "$slots" --to shard2
    nothing_was_doubled
    equal "$(slots_of shard1)" NULL "slots with hosts that shard1 still has"
    all_is_well
    equal "$(ctl slot list --json | jq -r '[.[] | select(.hosts > 0) | .shard] | unique | join(" ")')" shard2 "shards with hosts"
}

what_was_left_is_purged_and_a_slot_comes_back() {
    local slots slot host
    cluster
    slot=$(slot_of "$(here)") slots=$(slots_of shard1)
    ctl slot move "$slots" --to shard2
    exit_code 4 ctl slot purge "$slots" --from shard2
    [[ $(rows_at shard1 "$slots") -gt 0 ]]
    ctl slot purge "$slots" --from shard1
    ctl slot purge "$slots" --from shard1 # nothing is left, and that is no error
    equal "$(rows_at shard1 "$slots")" 0 "rows that shard1 still has"
    ctl slot move "$slot" --to shard1
    host=$(one_on shard1)
    ctl slot move "$slot" --to shard2 # again, over what the first time left there
    ctl slot move "$slot" --to shard1
    equal "$(shard_of "$host")" shard1 "shard of $host"
    all_is_well
}

# --- killed ----------------------------------------------------------------------------------------------------------

reached() { grep -qx "${1%:*}" "$W/stopped" 2>/dev/null; }

# move_until POINT SLOT SHARD: stops there; its number is in $W/ctl.pid
move_until() {
    rm -f -- "$W/stopped"
    POFR_STOP_AT=$1 POFR_STOP_FILE=$W/stopped "$DEV/ctl/pofrctl" --quiet --config "$POFR_STATE/etc/ctl.conf" slot move "$2" --to "$3" >"$W/stopped.said" 2>&1 &
    printf '%s\n' "$!" >"$W/ctl.pid"
    wait_until 120 reached "$1" && return
    printf 'never came to %s\n' "$1"
    cat -- "$W/stopped.said"
    ctl_killed
    return 1
}
ctl_killed() { # also what a case before left, which would hold the lock
    [[ -s $W/ctl.pid ]] || return 0
    kill -KILL "$(cat "$W/ctl.pid")" 2>/dev/null || true
    wait "$(cat "$W/ctl.pid")" 2>/dev/null || true
    rm -f -- "$W/ctl.pid"
}

ctl_goes_on() {
    local pid status=0
    pid=$(cat "$W/ctl.pid")
    kill -CONT "$pid"
    wait "$pid" || status=$?
    rm -f -- "$W/ctl.pid"
    return "$status"
}

stop_points() { grep -rhoE 'STOP_POINT\("[a-z_.]+"\)' "$@" --include='*.c' | cut -d'"' -f2 | sort -u; }

pofrctl_killed_at_every_point_goes_on_when_it_is_given_again() {
    local point host to
    cluster
    ctl_killed
    host=$(here)
    for point in $(stop_points ctl) move_inserted:9; do
        to=$(other_than "$(shard_of "$host")")
        printf 'killed at %s\n' "$point"
        move_until "$point" "$(slot_of "$host")" "$to"
        ctl_killed
        equal "$(quickstart sql -N "$DOUBLED")" 0 "rows that are there twice"
        ctl slot move "$(slot_of "$host")" --to "$to"
        equal "$(shard_of "$host")" "$to" "shard of $host"
        stores_on "$host"
    done
    all_is_well
}

a_slot_that_is_copied_waits_and_is_shown_and_all_others_go_on() {
    local host other before
    cluster
    ctl_killed
    host=$(here)
    other=$(one_on shard2)
    move_until move_copied "$(slot_of "$host")" shard2
    before=$(newest "$host")
    stores_on "$other"
    equal "$(newest "$host")" "$before" "newest bundle of the slot that is copied"
    equal "$(quickstart sql -N "SELECT COUNT(*) > 3 FROM bundle WHERE host = '$host'")" 1 "bundles of it are shown"
    wait_until 30 one_is_paused
    ctl_goes_on
    equal "$(shard_of "$host")" shard2 "shard of $host"
    all_is_well
    ctl slot move "$(slot_of "$host")" --to shard1
}
one_is_paused() { [[ $(($(metric worker1 'pofr_ingest_paused_partitions{cause="unmapped"}') + $(metric worker2 'pofr_ingest_paused_partitions{cause="unmapped"}'))) -eq 1 ]]; }

# What is asked for at one of two places while rows are copied could be asked for at the one that is left.
what_is_set_aside_is_tried_again_where_it_is_owned() {
    local host slot
    cluster
    ctl_killed
    host=$(here)
    slot=$(slot_of "$host")
    printf 'not a bundle' | kcat -b "127.0.0.1:$(part_field kafka 3)" -P -t "$TOPIC" -p "$slot"
    wait_until 30 aside_here shard1 "$slot"
    move_until move_copied "$slot" shard2
    exit_code 1 ctl set-aside replay --reason form >"$W/replay" 2>&1
    grep -q '^0 messages will be tried again' "$W/replay"
    grep -q '1 slot is on the way to another shard' "$W/replay"
    ctl_goes_on
    equal "$(ctl set-aside replay --reason form | head -n 1 | cut -d' ' -f1,2)" "1 message" "what is tried again"
    wait_until 30 aside_here shard2 "$slot" 'AND requested IS NULL'
    admin_sql shard1 "DELETE FROM pofr_store.set_aside WHERE slot = $slot"
    admin_sql shard2 "DELETE FROM pofr_store.set_aside WHERE slot = $slot"
    all_is_well
    ctl slot move "$slot" --to shard1
}
# aside_here SHARD SLOT [CONDITION]
aside_here() { [[ $(admin_sql "$1" "SELECT COUNT(*) FROM pofr_store.set_aside WHERE slot = $2 ${3:-}") -eq 1 ]]; }

a_target_that_is_killed_in_the_middle_ends_the_move_and_it_goes_on_later() {
    local host status=0
    cluster
    ctl_killed
    host=$(here)
    move_until move_inserted:5 "$(slot_of "$host")" shard2
    quickstart kill shard2
    ctl_goes_on || status=$?
    equal "$status" 3 "exit code when the target went away"
    exit_code 3 ctl slot move "$(slot_of "$host")" --to shard2
    quickstart start shard2
    ctl slot move "$(slot_of "$host")" --to shard2
    all_is_well
    ctl slot move "$(slot_of "$host")" --to shard1
}

what_is_under_way_is_taken_back() {
    local host
    cluster
    ctl_killed
    host=$(here)
    move_until move_left "$(slot_of "$host")" shard2
    ctl_killed
    equal "$(ctl slot list --json | jq -r '.[] | select(.moving_to != null) | .moving_to')" shard2 "where it is under way to"
    exit_code 4 ctl slot purge "$(slot_of "$host")" --from shard2
    exit_code 4 ctl host erase "$host" --yes # its rows would be in two places
    ctl shard add shard1 --address "127.0.0.1:$(part_field shard1 3)" --if-exists update # leaves it alone
    ctl slot move "$(slot_of "$host")" --to shard1
    equal "$(shard_of "$host")" shard1 "shard of $host"
    all_is_well
}

no_program_was_started_again() {
    local part
    cluster
    equal "$(for part in "${PARTS[@]}"; do part_field "$part" 2; done)" "$(cat "$W/pids")" "numbers of the programs' processes"
}

what_is_wrong_is_said() {
    cluster
    exit_code 2 ctl slot move 1
    exit_code 2 ctl slot move x --to shard1
    exit_code 2 ctl slot move 5000 --to shard1
    fails ctl slot move 1 --to nowhere
    fails ctl slot purge 1 --from nowhere
}

shards_of_two_versions_move_nothing() {
    local host
    cluster
    host=$(here)
    admin_sql shard2 "INSERT INTO pofr_store.schema_version VALUES ('9999_of_the_test.sql', UTC_TIMESTAMP(6), '')"
    exit_code 4 ctl slot move "$(slot_of "$host")" --to shard2
    admin_sql shard2 "DELETE FROM pofr_store.schema_version WHERE name = '9999_of_the_test.sql'"
    equal "$(admin_sql head 'SELECT COUNT(*) FROM pofr_catalog.slot_move')" 0 "slots that are under way"
}

# The head comes back from a backup of before the move: its catalog is not believed against what shards say.
a_catalog_that_was_put_back_learns_where_a_slot_went() {
    local host slot shard
    cluster
    ctl_killed
    host=$(here)
    slot=$(slot_of "$host")
    admin_sql head "CREATE OR REPLACE TABLE pofr_catalog.before_move AS SELECT * FROM pofr_catalog.slot WHERE slot = $slot"
    ctl slot move "$slot" --to shard2
    stores_on "$host"
    catalog_put_back
    for shard in shard1 shard2; do
        ctl shard add "$shard" --address "127.0.0.1:$(part_field "$shard" 3)" --if-exists update 2>"$W/warned"
        grep -q '^pofrctl: 1 slot of shard .* moved since the catalog was saved: pofrctl recover$' "$W/warned"
    done
    equal "$(state_at shard1 "$slot") $(state_at shard2 "$slot")" 'gone owned' "state at both"
    admin_sql shard2 "UPDATE pofr_store.slot SET state = 'gone' WHERE slot = $slot"
    exit_code 4 ctl slot move "$slot" --to shard2 # to a shard that lost what it got
    admin_sql shard2 "UPDATE pofr_store.slot SET state = 'owned' WHERE slot = $slot"
    admin_sql head 'DELETE FROM pofr_catalog.slot_move'
    equal "$(ctl recover --json | jq .slots)" 1 "slots that it found"
    ctl migrate
    equal "$(shard_of "$host")" shard2 "shard of $host"
    all_is_well
    equal "$(ctl recover --json | jq .slots)" 0 "slots that it found once more"
    ctl slot move "$slot" --to shard1
}
# A shard comes back from a backup of before the move: what is not its own any more is not shown a second time.
a_shard_that_was_put_back_shows_nothing_that_moved_since() {
    local host slot
    cluster
    ctl_killed
    host=$(here)
    slot=$(slot_of "$host")
    ctl slot move "$slot" --to shard2
    admin_sql shard1 "UPDATE pofr_store.slot SET state = 'owned' WHERE slot = $slot;
        UPDATE pofr_store.ingest_offset SET state = 'owned' WHERE slot = $slot"
    [[ $(quickstart sql -N "$DOUBLED") -gt 0 ]]
    quickstart kill shard1
    quickstart start shard1
    wait_until 60 state_is shard1 "$slot" gone
    equal "$(admin_sql shard1 "SELECT state FROM pofr_store.ingest_offset WHERE slot = $slot")" gone "state for workers"
    all_is_well
    ctl slot move "$slot" --to shard1
}
state_is() { [[ $(state_at "$1" "$2") == "$3" ]]; }

catalog_put_back() { admin_sql head 'REPLACE INTO pofr_catalog.slot SELECT * FROM pofr_catalog.before_move'; }
state_at() { admin_sql "$1" "SELECT state FROM pofr_store.slot WHERE slot = $2"; }

cases every_table_and_column_that_has_to_be_moved_is_known what_is_wrong_is_said shards_of_two_versions_move_nothing \
    all_slots_of_a_shard_are_moved_while_hosts_record what_was_left_is_purged_and_a_slot_comes_back \
    pofrctl_killed_at_every_point_goes_on_when_it_is_given_again a_slot_that_is_copied_waits_and_is_shown_and_all_others_go_on \
    what_is_set_aside_is_tried_again_where_it_is_owned a_target_that_is_killed_in_the_middle_ends_the_move_and_it_goes_on_later what_is_under_way_is_taken_back \
    a_catalog_that_was_put_back_learns_where_a_slot_went a_shard_that_was_put_back_shows_nothing_that_moved_since \
    no_program_was_started_again
