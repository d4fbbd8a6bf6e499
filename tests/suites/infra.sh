#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# quickstart's own work: a real broker and three servers, killed, interrupted, their ports taken
# timeout: 600
# order: 45
# jobs: 1
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"

SERVERS=(kafka head shard1 shard2)

running() {
    local part
    for part; do equal "$(part_field "$part" 4)" running "state of $part"; done
}

servers_start_in_an_empty_folder() {
    quickstart start "${SERVERS[@]}"
    running "${SERVERS[@]}"
}

a_second_start_changes_nothing() {
    local before
    before=$(quickstart parts)
    quickstart start "${SERVERS[@]}"
    equal "$(quickstart parts)" "$before" parts
}

servers_listen_on_loopback_alone() {
    local part pid
    for part in "${SERVERS[@]}"; do
        pid=$(part_field "$part" 2)
        ss -Hltnp | grep "pid=$pid," >"$POFR_TEST_WORK/listen"
        equal "$(grep -vE '(127\.0\.0\.1|\[::ffff:127\.0\.0\.1\]):[0-9]' "$POFR_TEST_WORK/listen" || true)" "" "listens elsewhere"
    done
}

servers_do_not_run_as_root() {
    local part
    [[ $EUID -eq 0 ]] || return 0
    for part in "${SERVERS[@]}"; do
        [[ $(ps -o user= -p "$(part_field "$part" 2)") != root ]]
    done
}

secrets_are_for_their_owner_alone() {
    equal "$(find "$POFR_STATE/secrets" "$POFR_STATE"/etc/{admin,analyst}.cnf "$POFR_STATE/etc/ctl.conf" -type f ! -perm 600)" "" "readable by others"
    equal "$(grep -lFf "$POFR_STATE/secrets/admin.pw" /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null || true)" "" "passwords in arguments"
}

servers_have_the_settings_that_guarantees_rest_on() {
    local part
    for part in head shard1 shard2; do
        equal "$(admin_sql "$part" "SELECT CONCAT_WS(' ', @@GLOBAL.time_zone,
            @@GLOBAL.innodb_flush_log_at_trx_commit, @@GLOBAL.max_allowed_packet, @@GLOBAL.character_set_server, @@GLOBAL.skip_name_resolve)")" \
            "+00:00 1 67108864 binary ON" "$part"
        equal "$(admin_sql "$part" "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('tx_isolation', 'transaction_isolation')" |
            cut -f2 | sort -u)" READ-COMMITTED "$part"
    done
    equal "$(admin_sql head "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('spider_direct_aggregate', 'spider_direct_order_limit',
        'spider_bgs_mode', 'spider_connect_retry_count', 'spider_semi_split_read', 'spider_disable_group_by_handler')" | tr '\t\n' '= ')" \
        "spider_bgs_mode=0 spider_connect_retry_count=1 spider_direct_aggregate=OFF spider_direct_order_limit=0 spider_disable_group_by_handler=ON spider_semi_split_read=0 " spider
}

the_head_reads_a_shard_through_spider() {
    local statement
    admin_sql shard1 "CREATE DATABASE IF NOT EXISTS infra; CREATE OR REPLACE TABLE infra.t (a INT PRIMARY KEY, b INT); INSERT INTO infra.t VALUES (1, NULL), (2, 200), (3, 1)"
    # the password goes in by standard input: a statement in the arguments is for everyone to see
    printf -v statement "CREATE DATABASE IF NOT EXISTS infra; CREATE OR REPLACE SERVER infra FOREIGN DATA WRAPPER mysql
        OPTIONS(HOST '127.0.0.1', DATABASE 'infra', USER 'pofr_admin', PASSWORD '%s', PORT %d);
        CREATE OR REPLACE TABLE infra.t (a INT PRIMARY KEY, b INT) ENGINE=SPIDER COMMENT='wrapper \"mysql\", srv \"infra\", table \"t\"';
        SELECT COUNT(*) FROM infra.t WHERE b IS NULL OR a > 1;" "$(cat "$POFR_STATE/secrets/admin.pw")" "$(part_field shard1 3)"
    equal "$(mariadb --defaults-file="$POFR_STATE/etc/admin.cnf" --batch --skip-column-names <<<"$statement")" 3 "rows through the head"
}

kafka() { kcat -b "127.0.0.1:$(part_field kafka 3)" "$@"; }

make_topic() {
    source "$POFR_TREE/deploy/lib/kafka.sh"
    kafka_tool org.apache.kafka.tools.TopicCommand --bootstrap-server "127.0.0.1:$(part_field kafka 3)" \
        --create --if-not-exists --topic "$1" --partitions 2 --replication-factor 1
}

the_broker_keeps_what_it_acknowledged_when_killed() {
    make_topic infra
    seq 1 100 | kafka -P -t infra -p 0 -X acks=all -X enable.idempotence=true
    quickstart kill kafka
    equal "$(part_field kafka 4)" dead
    quickstart start kafka
    equal "$(kafka -C -q -e -t infra -p 0 -o beginning | tr '\n' ' ')" "$(seq 1 100 | tr '\n' ' ')" messages
}

a_killed_shard_comes_back_with_its_rows() {
    admin_sql shard2 "CREATE DATABASE IF NOT EXISTS infra; CREATE OR REPLACE TABLE infra.t (a INT PRIMARY KEY); INSERT INTO infra.t SELECT seq FROM infra.seq_1_to_1000"
    quickstart kill shard2
    equal "$(part_field shard2 4)" dead
    quickstart start shard2
    equal "$(admin_sql shard2 "SELECT COUNT(*) FROM infra.t")" 1000
}

kill_of_what_does_not_run_says_so() {
    local status=0
    quickstart kill merger || status=$?
    equal "$status" 1 "exit code"
    status=0
    quickstart kill nothing || status=$?
    equal "$status" 2 "exit code"
}

two_quickstarts_at_once_are_one() {
    local status=0
    exec 8>>"$POFR_STATE/run/lock"
    flock 8
    quickstart start kafka 8>&- || status=$?
    exec 8>&-
    equal "$status" 3 "exit code"
    running kafka
}

a_pid_that_is_another_process_now_is_left_alone() {
    local bystander start
    sleep 300 &
    bystander=$!
    read -r _ start _ <"$POFR_STATE/run/shard1.pid"
    quickstart kill shard1
    printf '%s %s %s\n' "$bystander" "$start" "$(</proc/sys/kernel/random/boot_id)" >"$POFR_STATE/run/shard1.pid"
    equal "$(part_field shard1 4)" dead
    fails quickstart kill shard1
    quickstart start shard1
    kill -0 "$bystander"
    kill "$bystander"
    running shard1
}

pids_of_an_earlier_boot_are_not_believed() {
    local pid start
    read -r pid start _ <"$POFR_STATE/run/shard1.pid"
    cp "$POFR_STATE/run/shard1.pid" "$POFR_TEST_WORK/shard1.pid"
    printf '%s %s %s\n' "$pid" "$start" 00000000-0000-0000-0000-000000000000 >"$POFR_STATE/run/shard1.pid"
    equal "$(part_field shard1 4)" dead
    cp "$POFR_TEST_WORK/shard1.pid" "$POFR_STATE/run/shard1.pid"
    running shard1
}

a_taken_port_is_exchanged_and_the_others_stay() {
    local taken others thief
    quickstart kill shard1
    taken=$(part_field shard1 3)
    others=$(part_field kafka 3)$(part_field shard2 3)
    python3 -c 'import socket, sys, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen(64); time.sleep(300)' "$taken" &
    thief=$!
    wait_until 10 port_is_open "$taken"
    quickstart start "${SERVERS[@]}"
    [[ $(part_field shard1 3) != "$taken" ]]
    equal "$(part_field kafka 3)$(part_field shard2 3)" "$others" "other ports"
    equal "$(admin_sql shard1 "SELECT @@GLOBAL.port")" "$(part_field shard1 3)"
    kill -0 "$thief"
    kill "$thief"
}

a_start_that_was_killed_half_way_can_be_finished() {
    local pid
    quickstart destroy
    # in a session of its own, so that only it is killed, at whatever point it has come to
    setsid "$POFR_TREE/deploy/quickstart" start "${SERVERS[@]}" &
    pid=$!
    wait_until 120 test -e "$POFR_STATE/run/head.pid"
    kill -KILL "$pid"
    wait "$pid" || true
    quickstart start "${SERVERS[@]}"
    running "${SERVERS[@]}"
    quickstart stop
    [[ -z $(pgrep -f -- "$POFR_STATE/" || true) ]]
}

everything_comes_back_after_stop() {
    quickstart start "${SERVERS[@]}"
    running "${SERVERS[@]}"
}

env_names_every_address() {
    local name
    (
        eval "$(quickstart env)"
        for name in POFR_STATE POFR_GATEWAY POFR_KAFKA POFR_HEAD POFR_SHARDS POFR_ANALYST_CNF POFR_ADMIN_CNF POFR_METRICS; do
            [[ -n ${!name} ]]
        done
        [[ -r $POFR_ANALYST_CNF && -r $POFR_ADMIN_CNF ]]
        equal "$POFR_KAFKA" "127.0.0.1:$(part_field kafka 3)"
        equal "$POFR_SHARDS" "127.0.0.1:$(part_field shard1 3),127.0.0.1:$(part_field shard2 3)"
    )
    equal "$(quickstart parts --json | jq -r '.[0] | .part + " " + .state')" "kafka running"
}

a_folder_that_is_not_ours_is_refused() {
    local status=0
    mkdir -p "$POFR_TEST_WORK/other"
    touch "$POFR_TEST_WORK/other/precious"
    POFR_STATE=$POFR_TEST_WORK/other quickstart start kafka || status=$?
    equal "$status" 4 "exit code"
    POFR_STATE=$POFR_TEST_WORK/other quickstart destroy
    [[ -e $POFR_TEST_WORK/other/precious ]]
}

what_is_not_built_is_said_at_once() {
    local state=$POFR_TEST_WORK/unbuilt command
    exit_code 3 env POFR_STATE="$state" POFR_BUILD="$POFR_TEST_WORK/nowhere" deploy/quickstart --no-build 2>"$POFR_TEST_WORK/said"
    grep -q 'not built yet: deploy/quickstart builds it' "$POFR_TEST_WORK/said"
    [[ ! -e $state/log/kafka-fetch.log ]]
    for command in "ctl status" "agent status"; do
        # shellcheck disable=SC2086 # two words
        exit_code 3 env POFR_STATE="$state" POFR_BUILD="$POFR_TEST_WORK/nowhere" deploy/quickstart $command 2>"$POFR_TEST_WORK/said"
        grep -q 'not built yet' "$POFR_TEST_WORK/said"
    done
    exit_code 3 env POFR_STATE="$state" deploy/quickstart env >"$POFR_TEST_WORK/said"
    equal "$(cat "$POFR_TEST_WORK/said")" "" "addresses of nothing"
    POFR_STATE=$state quickstart destroy
    [[ ! -e $state ]]
}

a_folder_that_can_not_be_is_said_to_be_so() {
    exit_code 3 env POFR_STATE=/proc/pofr deploy/quickstart --no-build 2>"$POFR_TEST_WORK/said"
    grep -q "can't be written: /proc/pofr" "$POFR_TEST_WORK/said"
    fails grep -q unexpectedly "$POFR_TEST_WORK/said"
    exit_code 4 env POFR_STATE="$POFR_TEST_WORK/a b" deploy/quickstart --no-build 2>"$POFR_TEST_WORK/said"
    grep -q 'POFR_STATE=/another/place' "$POFR_TEST_WORK/said"
}

# A df that says what is to be said; the real one is not asked.
full_disk() {
    mkdir -p "$POFR_TEST_WORK/bin"
    printf '#!/bin/sh\necho header; echo "disk 20000 19000 %d 95%% /"\n' "$1" >"$POFR_TEST_WORK/bin/df"
    chmod 755 "$POFR_TEST_WORK/bin/df"
}

a_new_cluster_needs_more_room_than_one_that_is_there() {
    local made=$POFR_TEST_WORK/made
    full_disk 1133
    exit_code 3 env "PATH=$POFR_TEST_WORK/bin:$PATH" POFR_STATE="$made" deploy/quickstart --no-build 2>"$POFR_TEST_WORK/said"
    grep -q 'a new cluster needs 1,500' "$POFR_TEST_WORK/said"
    mkdir -p "$made"/data/{kafka,head,shard1,shard2}
    : >"$made/data/kafka/meta.properties"
    exit_code 3 env "PATH=$POFR_TEST_WORK/bin:$PATH" POFR_STATE="$made" POFR_BUILD="$POFR_TEST_WORK/nowhere" \
        deploy/quickstart --no-build 2>"$POFR_TEST_WORK/said" # it comes further
    grep -q 'not built yet' "$POFR_TEST_WORK/said"
    full_disk 100
    exit_code 3 env "PATH=$POFR_TEST_WORK/bin:$PATH" POFR_STATE="$made" deploy/quickstart --no-build 2>"$POFR_TEST_WORK/said"
    grep -q 'free some room' "$POFR_TEST_WORK/said"
    fails grep -q another/place "$POFR_TEST_WORK/said"
    POFR_STATE=$made quickstart destroy
}

destroy_empties_a_mount_point() {
    local state=$POFR_TEST_WORK/mounted status=0
    mkdir -p "$state"
    mount -t tmpfs none "$state" 2>/dev/null || return 0 # who may not mount can't have that
    mkdir -p "$state/run/x"
    : >"$state/.pofr-quickstart"
    POFR_STATE=$state quickstart destroy 2>"$POFR_TEST_WORK/said" || status=$?
    equal "$(ls -A "$state")" "" "left in it"
    umount "$state"
    equal "$status" 0 "exit code"
    equal "$(grep -c . "$POFR_TEST_WORK/said")" 1 "lines"
    grep -q 'mount point' "$POFR_TEST_WORK/said"
}

destroy_leaves_no_process_and_no_file() {
    quickstart destroy
    [[ ! -e $POFR_STATE ]]
    [[ -z $(pgrep -f -- "$POFR_STATE/" || true) ]]
}

# Cases that need the servers must find them whatever came before, also when they are run alone.
if [[ $POFR_TEST_ONLY != "  " && $POFR_TEST_ONLY != *servers_start_in_an_empty_folder* ]]; then
    quickstart start "${SERVERS[@]}"
fi
# Ordinary: its PATH is short, and the databases' owner is not root.
an_ordinary_user_may_start_it() {
    local -a as_games=(setpriv --reuid=games --regid=games --clear-groups env -i PATH=/usr/bin:/bin HOME=/nonexistent
        "POFR_STATE=$POFR_TEST_WORK/games/c" deploy/quickstart --no-build --no-install)
    [[ $EUID -eq 0 ]] || return 0 # it is one
    install -d -o games -g games "$POFR_TEST_WORK/games"
    "${as_games[@]}" --help >/dev/null || return 0 # a tree that is root's alone
    "${as_games[@]}" start head
    "${as_games[@]}" parts | grep -E '^head .* running$'
    "${as_games[@]}" destroy
}

# A process may have any name, and a question no row.
answers_are_fit_for_a_terminal() {
    source "$POFR_TREE/deploy/lib/answers.sh"
    analyst() { printf 'a\e[1mb\xc2\x9bc\xc3\xa4\n'; }
    equal "$(ask what how | tail -n 1)" $'  a?[1mb?c\xc3\xa4'
    analyst() { true; }
    equal "$(ask what how | tail -n 1)" '  (none)'
    analyst() { false; }
    equal "$(ask what how | tail -n 1)" '  (no answer)'
}

cases answers_are_fit_for_a_terminal servers_start_in_an_empty_folder a_second_start_changes_nothing servers_listen_on_loopback_alone \
    servers_do_not_run_as_root secrets_are_for_their_owner_alone servers_have_the_settings_that_guarantees_rest_on \
    the_head_reads_a_shard_through_spider the_broker_keeps_what_it_acknowledged_when_killed \
    a_killed_shard_comes_back_with_its_rows kill_of_what_does_not_run_says_so two_quickstarts_at_once_are_one \
    a_pid_that_is_another_process_now_is_left_alone pids_of_an_earlier_boot_are_not_believed \
    a_taken_port_is_exchanged_and_the_others_stay a_start_that_was_killed_half_way_can_be_finished \
    everything_comes_back_after_stop env_names_every_address a_folder_that_is_not_ours_is_refused \
    what_is_not_built_is_said_at_once a_folder_that_can_not_be_is_said_to_be_so \
    a_new_cluster_needs_more_room_than_one_that_is_there destroy_empties_a_mount_point \
    destroy_leaves_no_process_and_no_file \
    an_ordinary_user_may_start_it
