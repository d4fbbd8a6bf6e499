#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# the real merger on a real shard: days made and dropped, strings, retired hosts, locks that are held, clocks that are wrong
# timeout: 400
# order: 56
# jobs: 1
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/hosts.sh"
trap 'hosts_end; suite_finish' EXIT

W=$POFR_TEST_WORK
HOSTS_COUNT=1 HOSTS_TICK=300ms HOSTS_BUNDLE_AGE=500ms
TABLES=(psinfo fileinfo netinfo userinfo groupinfo netint netroute hostinfo hwinfo login coverage)
KEEP=30 # days

cluster() {
    [[ ! -e $W/cluster ]] || return 0
    cluster_start gateway worker1 worker2
    mkdir -p "$HOSTS"
    touch "$W/cluster"
}

store() { admin_sql shard1 "USE pofr_store; $1"; }
day() { date -u -d "$1 days ago" +"${2:-%F}"; }

# merger NAME: one of our own, which looks every second; its metrics are on the port that it says
merger() {
    local port
    port=$(free_port "$(part_field shard1 3)")
    sed -e "s/^name = .*/name = $1/" -e "s/^listen = .*/listen = 127.0.0.1:$port/" "$POFR_STATE/etc/merger.conf" >"$W/$1.conf"
    sed -i "/^name = /a period = 1s\nshards = shard1" "$W/$1.conf"
    printf '[retention]\ndays = %d\n' "$KEEP" >>"$W/$1.conf"
    "$BUILD/merger/pofr-merger" --config "$W/$1.conf" </dev/null >>"$W/$1.log" 2>&1 &
    process_note "$1" "$!"
    printf '%s' "$port" >"$W/$1.port"
    wait_until 20 answers "$1"
}

answers() { curl -sf "http://127.0.0.1:$(cat "$W/$1.port")/metrics" >"$W/$1.metrics"; }
figure() { answers "$1" && awk -v name="$2" '$1 == name { print $2 }' "$W/$1.metrics"; }
figure_is() { [[ $(figure "$1" "$2") == "$3" ]]; }
figure_is_over() { [[ $(figure "$1" "$2") -gt $3 ]]; }
another_pass() { # of NAME, from now on: two, of which the second began after now
    wait_until 20 figure_is_over "$1" pofr_merger_passes_total "$(($(figure "$1" pofr_merger_passes_total) + 1))"
}

partitions() { store "SELECT GROUP_CONCAT(partition_name ORDER BY partition_ordinal_position SEPARATOR ' ') FROM information_schema.partitions WHERE table_schema = 'pofr_store' AND table_name = '$1'"; }
has_partition() { [[ " $(partitions "$1") " == *" $2 "* ]]; }
has_no_partition() { ! has_partition "$@"; }

# old_day TABLE DAYS_AGO: its partition, before all that are there
old_day() {
    store "ALTER TABLE $1 REORGANIZE PARTITION $(partitions "$1" | cut -d' ' -f1) INTO (PARTITION p$(day "$2" %Y%m%d) VALUES LESS THAN ('$(day $(($2 - 1)))'), PARTITION $(partitions "$1" | cut -d' ' -f1) VALUES LESS THAN ($(bound "$1")))"
}

# The bound of a table's first partition
bound() { store "SELECT partition_description FROM information_schema.partitions WHERE table_schema = 'pofr_store' AND table_name = '$1' ORDER BY partition_ordinal_position LIMIT 1"; }

# file_row FD FIRST_SEEN_DAYS_AGO ENDED_DAYS_AGO|open PATH_ID
file_row() {
    local ended="'9999-12-31 23:59:59.999999'"
    [[ $3 == open ]] || ended="'$(day "$3")'"
    store "INSERT INTO fileinfo SET host_id = 1, boot = 1, pid = 1, thread = 0, fd = $1, started = '$(day "$2")', first_seen = '$(day "$2")',
        last_seen = '$(day "$2")', ended = $ended, end_source = IF($ended > '9999-01-01', 'open', 'close'), path_id = $4"
}

days_are_made_ahead_and_old_ones_dropped() {
    local table
    cluster
    store "SET SESSION sql_mode = ''; INSERT INTO string (id, digest, text, last_used) VALUES (1, UNHEX(SHA2('used', 256)), 'used', '$(day 100)'), (2, UNHEX(SHA2('unused', 256)), 'unused', '$(day 100)'), (3, UNHEX(SHA2('young', 256)), 'young', '$(day 20)')"
    for table in "${TABLES[@]}"; do
        old_day "$table" 20
        old_day "$table" 40
    done
    relaxed
    file_row 1 50 40 1
    file_row 2 50 20 1
    file_row 3 50 open 1
    merger first
    another_pass first
    for table in "${TABLES[@]}"; do
        equal "$(partitions "$table")" "$(wanted_days)" "days of $table"
    done
    equal "$(store "SELECT GROUP_CONCAT(fd ORDER BY fd) FROM fileinfo")" 2,3 "rows that are left"
    equal "$(store "SELECT GROUP_CONCAT(fd) FROM fileinfo PARTITION (open)")" 3 "open rows"
    has_partition bundle "p$(day -7 %Y%m%d)"
}

# What is made by hand here needs no value for each column.
relaxed() { store "SET GLOBAL sql_mode = ''"; }

# From the oldest day that is kept, each day until a week ahead; the clock may have passed midnight since
wanted_days() {
    local i
    for ((i = 20; i >= -7; i--)); do printf 'p%s ' "$(day "$i" %Y%m%d)"; done
    printf 'future open'
}

another_pass_changes_nothing() {
    local before made
    cluster
    before=$(partitions psinfo)
    made=$(figure first pofr_merger_days_made_total)
    another_pass first
    equal "$(partitions psinfo)" "$before" days
    equal "$(figure first pofr_merger_days_made_total)" "$made" "days made"
    equal "$(figure first pofr_merger_failures_total)" 0 failures
}

strings_that_nothing_refers_to_go() {
    cluster
    equal "$(store "SELECT GROUP_CONCAT(text ORDER BY id) FROM string WHERE id <= 3")" used,young strings
    equal "$(store "SELECT last_used >= UTC_DATE() - INTERVAL 1 DAY FROM string WHERE id = 1")" 1 "what an open row uses is used today"
}

of_two_mergers_one_works_on_a_shard() {
    cluster
    merger second
    wait_until 20 figure_is second pofr_merger_shards 0
    equal "$(figure first pofr_merger_shards)" 1 "shards of the first"
    process_kill KILL first
    wait_until 20 figure_is second pofr_merger_shards 1
    equal "$(figure second pofr_merger_failures_total)" 0 failures
}

# An old day is there again while somebody reads the table, and cannot be dropped; nobody who writes waits for that.
who_reads_postpones_a_change_and_nobody_waits() {
    local reader begin i
    cluster
    kill -STOP "$(process_pid second)" # until the reader is there
    old_day fileinfo 60
    mkfifo "$W/reader"
    mariadb --defaults-file="$POFR_STATE/etc/admin.cnf" --port="$(part_field shard1 3)" --unbuffered --batch pofr_store <"$W/reader" >"$W/reader.out" 2>&1 &
    reader=$!
    exec 7>"$W/reader"
    printf 'START TRANSACTION; SELECT COUNT(*) AS rows_seen FROM fileinfo;\n' >&7
    wait_until 20 grep -q rows_seen "$W/reader.out"
    kill -CONT "$(process_pid second)"
    wait_until 30 figure_is_over second pofr_merger_ddl_postponed_total 1
    for i in 10 11 12 13 14; do
        begin=$(now_ms)
        file_row "$i" 3 2 1
        [[ $(($(now_ms) - begin)) -lt 5000 ]]
    done
    has_partition fileinfo "p$(day 60 %Y%m%d)"
    exec 7>&-
    wait "$reader"
    wait_until 20 has_no_partition fileinfo "p$(day 60 %Y%m%d)"
}

a_clock_that_is_years_ahead_drops_nothing() {
    local before
    cluster
    before=$(partitions psinfo)
    process_kill KILL second
    # a session of the merger then takes this for the shard's time; the owner's sessions do not
    store "SET GLOBAL init_connect = 'SET timestamp = UNIX_TIMESTAMP(''2036-02-03'')'"
    merger third
    wait_until 20 figure_is_over third pofr_merger_failures_total 1
    equal "$(partitions psinfo)" "$before" days
    curl -s "http://127.0.0.1:$(cat "$W/third.port")/readyz" | grep 'shard1.*2036-02-03'
    store "SET GLOBAL init_connect = ''"
    another_pass third
    equal "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$(cat "$W/third.port")/readyz")" 200 readiness
    equal "$(partitions psinfo)" "$before" days
}

what_a_retired_host_left_open_is_closed() {
    local id
    cluster
    host_on_a_shard_that_is_looked_after
    id=$(admin_sql head "SELECT host_id FROM pofr_catalog.host WHERE host = 'host1'")
    wait_until 40 sql_is "SELECT COUNT(*) > 5 FROM psinfo WHERE host_id = $id AND end_source = 'open'" 1
    ctl host retire host1
    wait_until 40 sql_is "SELECT COUNT(*) FROM psinfo WHERE host_id = $id AND end_source = 'open'" 0
    sql_is "SELECT COUNT(*) > 5 AND MIN(end_inferred) = 1 AND COUNT(DISTINCT ended) = 1 FROM psinfo WHERE host_id = $id AND end_source = 'retired' AND first_seen < ended" 1
    for view in fileinfo netinfo coverage hostinfo; do
        sql_is "SELECT COUNT(*) FROM $view WHERE host_id = $id AND end_source = 'open'" 0
    done
}

sql_is() { [[ $(quickstart sql -N "$1") == "$2" ]]; }

# A host whose slot is of shard1, which our merger looks after
host_on_a_shard_that_is_looked_after() {
    hosts_network 1
    host_make host1
    admin_sql head "SELECT d.name FROM pofr_catalog.host h JOIN pofr_catalog.slot s ON s.slot = h.slot JOIN pofr_catalog.shard d ON d.shard_id = s.shard_id" | grep -qx shard1 ||
        { quickstart start merger; }
    host_start host1
}

cases days_are_made_ahead_and_old_ones_dropped another_pass_changes_nothing strings_that_nothing_refers_to_go \
    of_two_mergers_one_works_on_a_shard who_reads_postpones_a_change_and_nobody_waits \
    a_clock_that_is_years_ahead_drops_nothing what_a_retired_host_left_open_is_closed
