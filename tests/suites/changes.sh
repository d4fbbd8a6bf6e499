#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# changes while all is at work: configuration, tables, keys, another worker, gateway, broker, shard. Nothing is lost by any of them
# timeout: 900
# order: 68
# jobs: 1
# long: yes
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/hosts.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../../deploy/lib/kafka.sh"
trap 'hosts_end; suite_finish' EXIT

W=$POFR_TEST_WORK
HOSTS_COUNT=3 HOSTS_TICK=300ms HOSTS_BUNDLE_AGE=500ms HOSTS_WHOLE=1
KEYS=$POFR_STATE/data/gateway

cluster() {
    [[ ! -e $W/cluster ]] || return 0
    cluster_start gateway worker1 worker2 merger
    hosts_begin "$HOSTS_COUNT"
    touch "$W/cluster"
}

# --- the commands of docs/OPERATING.md, "Changing without stopping" --------------------------------------------------

# page_runs HEADING [N]: the first, or the Nth, block of commands below "### HEADING", as it stands there
page_runs() {
    page_block docs/OPERATING.md "### $1" "${2:-1}" >"$W/block"
    cat -- "$W/block"
    # shellcheck source=/dev/null
    source "$W/block"
}

# The services of the page are the suite's processes, its files are theirs, host web1 is host1.
our_file() { printf '%s' "${1/#\/etc\/pofr/$POFR_STATE/etc}"; }

systemctl() {
    local unit=${!#} name
    case "$1 $unit" in
    "reload pofr-gateway" | "reload pofr-merger@shard1") unit=${unit%@*} && kill -HUP "$(part_field "${unit#pofr-}" 2)" ;;
    "reload pofr-agent") for name in $(hosts_names); do kill -HUP "$(process_pid "$name/collector")" "$(process_pid "$name/shipper")"; done ;;
    "reload pofr-worker@"*) kill -HUP "$(part_field "worker${unit#*@}" 2)" ;;
    "enable pofr-worker@3") another worker worker1 && wait_until 60 shared_by worker1 worker2 another ;;
    "disable pofr-worker@3") process_kill TERM worker ;;
    "enable pofr-gateway") another gateway gateway ;;
    "enable kafka") broker_start "$(cat "$W/broker")" ;;
    "disable kafka") process_kill TERM "broker$(cat "$W/broker")" ;;
    "restart pofr-gateway") quickstart kill gateway && quickstart start gateway ;;
    *) printf 'no such unit here: %s\n' "$*" >&2 && return 1 ;;
    esac
}
install() {
    local name
    case ${!#} in
    /var/lib/pofr/gateway/*) command install -o "$(stat -c %U "$KEYS/host_key")" "${@:3:3}" "$KEYS/${6##*/}" ;;
    /var/lib/pofr/agent/*) for name in $(hosts_names); do command install "${@:1:3}" "$HOSTS/$name/state/${4##*/}"; done ;;
    esac
}
ssh-keygen() { command ssh-keygen "${@/#\/var\/lib\/pofr\/gateway/$KEYS}"; }
pofr-gateway() { "$BUILD/gateway/pofr-gateway" "$1" "$(our_file "$2")" "${@:3}"; }
pofr-agent() { "$HOSTS_AGENT" "$1" --config "$HOSTS/host1/agent.conf" "${@:2}"; }
pofrctl() {
    local -a words=("${@/#web1/host1}")
    [[ ! -e $W/slot ]] || words=("${words[@]/#12,/$(cat "$W/slot"),}")
    [[ ! -e $W/shard3.port ]] || words=("${words[@]/#shard3:3306/127.0.0.1:$(cat "$W/shard3.port")}")
    ctl "${words[@]}"
}

# The broker of the page is the cluster's, the one whose machine we are on is that of $W/broker. Its tools are theirs.
kafka_does() { # CLASS ARGUMENT...
    local class=$1
    shift
    kafka_tool "$class" "${@/#kafka1:9092/127.0.0.1:$(part_field kafka 3)}"
}
kafka-storage.sh() { kafka_does kafka.tools.StorageTool "${@/#\/etc\/kafka\/server.properties/$W/broker$(cat "$W/broker").properties}"; }
kafka-cluster.sh() { kafka_does org.apache.kafka.tools.ClusterTool "$@"; }
kafka-topics.sh() { kafka_does org.apache.kafka.tools.TopicCommand "$@"; }
kafka-configs.sh() { kafka_does kafka.admin.ConfigCommand "$@"; }
kafka-leader-election.sh() { kafka_does org.apache.kafka.tools.LeaderElectionCommand "$@"; }
kafka-reassign-partitions.sh() { kafka_does org.apache.kafka.tools.reassign.ReassignPartitionsCommand "$@"; }

# broker_make ID: configured, with nothing in it
broker_make() {
    local port
    port=$(free_port)
    rm -rf -- "$W/broker$1.data"
    sed -E -e "s|^process.roles=.*|process.roles=broker|; s|^node.id=.*|node.id=$1|; s|^log.dirs=.*|log.dirs=$W/broker$1.data|" \
        -e "s#^(advertised.)?listeners=.*#\1listeners=PLAINTEXT://127.0.0.1:$port#" "$POFR_STATE/etc/kafka.properties" >"$W/broker$1.properties"
    printf '%s\n' "$1" >"$W/broker"
    printf '%s\n' "$port" >"$W/broker$1.port"
}
broker_start() {
    kafka_command "$W/broker$1.properties" 256m
    "${KAFKA_COMMAND[@]}" </dev/null >>"$W/broker$1.log" 2>&1 &
    process_note "broker$1" "$!"
    wait_until 60 port_is_open "$(cat "$W/broker$1.port")"
}

# another KIND PART: one more, as PART is, with a name, ports and a folder of its own; what KIND.options adds
another() {
    local conf=$W/another-$1.conf port metrics
    port=$(free_port)
    metrics=$(free_port "$port")
    mkdir -p -- "$W/another-$1"
    sed -e "s|^name = .*|name = another-$1|" -e "s|^state_dir = .*|state_dir = $W/another-$1|" \
        -e "/^\[metrics\]/,\$s|^listen = .*|listen = 127.0.0.1:$metrics|" \
        -e "/^\[gateway\]/,/^\[kafka\]/s|^listen = .*|listen = 127.0.0.1:$port|" "$POFR_STATE/etc/$2.conf" >"$conf"
    printf '%s\n' "$port" >"$W/another-$1.port"
    printf '%s\n' "$metrics" >"$W/another-$1.metrics"
    "$BUILD/${1/#worker/workers}/pofr-$1" --config "$conf" </dev/null >>"$W/another-$1.log" 2>&1 &
    process_note "$1" "$!"
    wait_until 30 port_is_open "$metrics"
}

# --- what each of them is seen by ------------------------------------------------------------------------------------

has_said() { grep -qE -- "$2" "$POFR_STATE/log/$1.log"; }
option() { sed -i "/^\[$2\]/a $3" "$POFR_STATE/etc/$1.conf"; } # PART SECTION LINE
slots_of() {
    local at
    case $1 in
    another) at=127.0.0.1:$(cat "$W/another-worker.metrics") && curl -sf --max-time 5 "http://$at/metrics" | awk '$1 == "pofr_ingest_partitions" { print $2 }' ;;
    *) metric "$1" pofr_ingest_partitions ;;
    esac
}
shared_by() { # PART...: all slots, and each has some
    local part n sum=0
    for part; do
        n=$(slots_of "$part") && [[ -n $n && $n -gt 0 ]] || return 1
        sum=$((sum + n))
    done
    [[ $sum -eq 64 ]]
}
stored_of() { [[ $(quickstart sql -N "SELECT COALESCE(MAX(sequence), 0) FROM bundle WHERE host = '$1'") -gt $2 ]]; }
sealed() { host_status "$1" --json | jq -r .sequence; }

# --- cases -----------------------------------------------------------------------------------------------------------

a_new_configuration_is_taken_while_all_is_at_work() {
    cluster
    option gateway gateway 'drain_time = 19s'
    option merger merger 'period = 5s'
    option worker1 worker 'drain_time = 1s'
    option worker2 worker 'drain_time = 1s'
    sed -i 's/^retry_max = 1s/retry_max = 2s/' "$HOSTS/host1/agent.conf"
    page_runs 'A configuration'
    wait_until 10 has_said gateway 'option_changed section=gateway option=drain_time before="20s" after="19s"'
    wait_until 10 has_said merger 'option_changed option=merger.period before="30s" after="5s"'
    wait_until 10 has_said worker1 'option_changed option=worker.drain_time before="20s" after="1s"'
    wait_until 10 has_said worker2 'option_changed option=worker.drain_time before="20s" after="1s"'
    wait_until 10 grep -q 'option_changed option=ship.retry_max before="1s" after="2s"' "$HOSTS/host1/shipper.log"
}

a_bad_configuration_is_refused_and_the_old_one_kept() {
    local part
    cluster
    for part in gateway merger worker2; do
        sed -i '1i no_such = 1' "$POFR_STATE/etc/$part.conf"
        kill -HUP "$(part_field "$part" 2)"
    done
    for part in gateway merger worker2; do
        wait_until 10 has_said "$part" 'reload_refused .*no_such|reload_refused .*line 1|reload_refused .*:1:'
        equal "$(part_field "$part" 4)" running "$part"
        sed -i 1d "$POFR_STATE/etc/$part.conf"
    done
    sed -i 's/^state_dir = .*/&x/' "$POFR_STATE/etc/worker2.conf" # what can't change while it runs
    kill -HUP "$(part_field worker2 2)"
    wait_until 10 has_said worker2 'reload_refused .*state_dir'
}

# They said that they had taken the new time; do they keep to it? Who waits for a lock can't end in order.
workers_drain_as_long_as_the_newest_configuration_says() {
    local worker
    cluster
    for worker in 1 2; do
        has_said "worker$worker" 'option=worker.drain_time before="20s" after="1s"' && continue
        option "worker$worker" worker 'drain_time = 1s'
        systemctl reload "pofr-worker@$worker"
        wait_until 10 has_said "worker$worker" 'option=worker.drain_time before="20s" after="1s"'
    done
    offsets_are_locked shard1 6
    offsets_are_locked shard2 7
    wait_until 30 a_worker_waits
    kill -TERM "$(part_field worker1 2)" "$(part_field worker2 2)"
    wait_until 10 part_is worker1 dead # 20 s is what they began with
    wait_until 10 part_is worker2 dead
    exec 6>&- 7>&- # the locks end with their sessions
    grep -q drain_timeout "$POFR_STATE"/log/worker[12].log
    quickstart start worker1 worker2
    wait_until 60 shared_by worker1 worker2
}
# offsets_are_locked PART DESCRIPTOR: by a session that lasts as long as the descriptor
offsets_are_locked() {
    mkfifo "$W/lock.$1"
    mariadb --defaults-file="$POFR_STATE/etc/admin.cnf" --port="$(part_field "$1" 3)" --unbuffered <"$W/lock.$1" >"$W/locked.$1" 6>&- 7>&- &
    eval "exec $2>\"\$W/lock.$1\""
    printf "LOCK TABLES pofr_store.ingest_offset WRITE; SELECT 'locked';\n" >&"$2"
    wait_until 20 grep -q locked "$W/locked.$1"
}
a_worker_waits() {
    local part
    for part in shard1 shard2; do
        [[ $(admin_sql "$part" "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'pofr_worker' AND state LIKE 'Waiting for table%'") -eq 0 ]] || return 0
    done
    return 1
}
part_is() { [[ $(part_field "$1" 4) == "$2" ]]; }

# A column and an index more, on the largest tables, while workers write them.
tables_change_under_workers_that_write_them() {
    local part
    cluster
    cp -r -- sql "$W/sql"
    cat >"$W/sql/shard/9999_changes.sql" <<'SQL'
ALTER TABLE bundle ADD COLUMN IF NOT EXISTS of_the_test INT NULL;
ALTER TABLE fileinfo ADD INDEX IF NOT EXISTS of_the_test (inode, first_seen);
SQL
    cp -- "$POFR_STATE/etc/ctl.conf" "$W/ctl.conf"
    sed -i "s|^sql_dir *=.*|sql_dir = $W/sql|" "$POFR_STATE/etc/ctl.conf"
    page_runs Tables
    cp -- "$W/ctl.conf" "$POFR_STATE/etc/ctl.conf"
    equal "$(admin_sql shard1 "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = 'pofr_store' AND column_name = 'of_the_test'")" 1 "column"
    fails has_said worker1 shard_unusable
    fails has_said worker2 shard_unusable
    for part in shard1 shard2; do
        admin_sql "$part" "ALTER TABLE pofr_store.bundle DROP COLUMN of_the_test; ALTER TABLE pofr_store.fileinfo DROP INDEX of_the_test;
            DELETE FROM pofr_store.schema_version WHERE name LIKE '9999%'"
    done
}

a_host_goes_over_to_a_new_key() {
    cluster
    cp -p -- "$HOSTS/host1/state/host.key" "$HOSTS/host1/state/host.key.1" # for the comparison of rows
    page_runs "A host's key"
    wait_until 60 keys_of_host1_are 2
    wait_until 90 goes_over host1
    wait_until 60 answers "SELECT COUNT(DISTINCT key_id) FROM bundle WHERE host = 'host1'" 2
    ctl verify host1
    hosts_equal --wait 60
}
# From one broker to three, from three to two, and to three copies on three; then one dies.
brokers_come_and_go() {
    local before id
    cluster
    before=$(programs)
    cd -- "$W"
    for id in 2 3; do
        broker_make "$id"
        page_runs 'Another broker'
    done
    page_runs 'Another broker' 2
    wait_until 60 leaders_are 1 2 3
    wait_until 60 ctl topic health
    offsets_move_to 3
    process_kill TERM broker3 # of what it led there is one copy
    wait_until 60 health_says '^offline: no broker leads it'
    wait_until 60 health_says '^group_unknown: group pofr-ingest does not answer'
    wait_until 60 figure_is 'pofr_slots_with{problem="offline"}' '[1-9][0-9]*'
    broker_start 3
    wait_until 120 ctl topic health
    wait_until 60 figure_is 'pofr_slots_with{problem="offline"}' 0
    page_runs 'A broker less'
    wait_until 60 leaders_are 1 2
    wait_until 60 brokers_are 2
    broker_make 3
    page_runs 'Another broker'
    page_runs 'More copies'
    cd -- "$POFR_TREE"
    wait_until 60 leaders_are 1 2 3
    equal "$(ctl --json topic show --all --seconds 0 | jq -c '[.replication, .min_insync, .brokers]')" '[3,2,3]' "copies"
    wait_until 60 ctl topic health
    who_is_told_of_a_topic_finds_it_at_every_broker
    wait_until 60 ctl topic health
    process_kill KILL broker2
    wait_until 60 health_says '^under_replicated: a replica is not in sync; 64 slots'
    wait_until 60 figure_is 'pofr_slots_with{problem="under_replicated"}' 64
    wait_until 60 leaders_are 1 3
    for id in $(hosts_names); do wait_until 60 stored_of "$id" "$(sealed "$id")"; done
    broker_start 2
    wait_until 120 ctl topic health
    wait_until 60 figure_is 'pofr_slots_with{problem="under_replicated"}' 0
    equal "$(programs)" "$before" "programs that were started anew"
    hosts_equal --wait 60
}
# One of three hears of nothing: `topic create` comes back when it does, or when nobody is sent to it any more.
who_is_told_of_a_topic_finds_it_at_every_broker() {
    sed -e '/^\[kafka\]$/a topic = pofr.more' -e '/^\[kafka\]$/a deadletter_topic = pofr.more.deadletter' "$POFR_STATE/etc/ctl.conf" >"$W/more.conf"
    kill -STOP "$(process_pid broker3)"
    wait_until 60 "$BUILD/ctl/pofrctl" --config "$W/more.conf" topic create --replication 2 || { kill -CONT "$(process_pid broker3)"; return 1; }
    wait_until 2 brokers_are 2 || { kill -CONT "$(process_pid broker3)"; return 1; }
    kill -CONT "$(process_pid broker3)"
    wait_until 60 brokers_are 3
}
offsets_move_to() { # with them the group's coordinator
    printf '{"version": 1, "topics": [{"topic": "__consumer_offsets"}]}' >offsets.json
    kafka-reassign-partitions.sh --bootstrap-server kafka1:9092 --generate --topics-to-move-json-file offsets.json \
        --broker-list "$1" | sed '1,/^Proposed/d' >offsets.move.json
    kafka-reassign-partitions.sh --bootstrap-server kafka1:9092 --execute --reassignment-json-file offsets.move.json >/dev/null
    wait_until 60 offsets_are_on "$1"
}
offsets_are_on() {
    kafka-topics.sh --bootstrap-server kafka1:9092 --describe --topic __consumer_offsets | grep Partition: >offsets.now
    fails grep -qv "Leader: $1.*Isr: $1[^,0-9]*" offsets.now
}
figure_is() { [[ $(metric merger "$1") =~ ^$2$ ]]; }
programs() { quickstart parts | awk '$1 ~ /gateway|worker|merger/ { print $1, $2 }'; }
leaders_are() { [[ $(ctl --json topic show --all --seconds 0 | jq -r '[.slots[].leader] | unique | map(tostring) | join(" ")') == "$*" ]]; }
brokers_are() { [[ $(ctl --json topic show --all --seconds 0 | jq .brokers) -eq $1 ]]; }
health_says() {
    local status=0
    ctl topic health >"$W/health" || status=$?
    [[ $status -eq 1 ]] && grep -q "$1" "$W/health"
}

# With its next session, once the gateway has asked the catalog
goes_over() {
    process_kill TERM "$1/shipper"
    host_start "$1" shipper
    wait_until 6 test ! -e "$HOSTS/$1/state/host.key.next"
}
keys_of_host1_are() { [[ $(admin_sql head "SELECT COUNT(*) FROM pofr_catalog.host_key JOIN pofr_catalog.host USING (host_id) WHERE host = 'host1'") -eq $1 ]]; }
answers() { [[ $(quickstart sql -N "$1") == "$2" ]]; }

# Hosts first know both, then the gateway has the new one, then the old one is forgotten: none is ever refused.
the_gateways_get_another_key_and_no_agent_is_refused() {
    local old new name
    cluster
    cd -- "$W"
    old=$(command ssh-keygen -l -f "$KEYS/host_key.pub" | cut -d' ' -f2)
    page_runs "The gateways' key"
    page_runs "The gateways' key" 2
    page_runs "The gateways' key" 3
    new=$(command ssh-keygen -l -f "$KEYS/host_key.pub" | cut -d' ' -f2)
    fails equal "$old" "$new"
    for name in $(hosts_names); do wait_until 60 session_has "$name" "$new"; done
    for name in $(hosts_names); do wait_until 60 stored_of "$name" "$(sealed "$name")"; done
    page_runs "The gateways' key" 4
    cd -- "$POFR_TREE"
    for name in $(hosts_names); do
        wait_until 20 grep -q ' reloaded gateways=' "$HOSTS/$name/shipper.log"
        wait_until 60 stored_of "$name" "$(sealed "$name")"
        session_has "$name" "$new" # the same
        equal "$(cat -- "$HOSTS/$name/state/gateway.pin")" "$new" "what $name knows"
        fails grep -E 'gateway_key_(differs|unpinned)|pins_unreadable' "$HOSTS/$name/shipper.log"
    done
}
session_has() { grep ' session_open gateway=' "$HOSTS/$1/shipper.log" | tail -n 1 | grep -qF " key=$2 "; } # the newest one

a_worker_more_and_one_less() {
    cluster
    page_runs 'Another worker'
    wait_until 60 shared_by worker1 worker2
}

# It holds its slots until the group gives it up; meanwhile a new one waits, and the page says for what.
a_worker_that_hangs_holds_up_the_group_and_is_seen() {
    local pid
    cluster
    wait_until 60 shared_by worker1 worker2
    pid=$(part_field worker2 2)
    kill -STOP "$pid"
    another worker worker1
    wait_until 10 health_says '^rebalancing: group pofr-ingest is PreparingRebalance'
    wait_until 60 shared_by worker1 another
    kill -CONT "$pid"
    wait_until 60 shared_by worker1 worker2 another
    process_kill TERM worker
    wait_until 60 shared_by worker1 worker2
    hosts_equal --wait 60
}

# What hosts send comes in and goes out, in messages a second between two looks.
the_page_shows_how_fast_slots_are_written_and_stored() {
    cluster
    wait_until 60 shared_by worker1 worker2
    ctl --json topic show --seconds 5 >"$W/rates"
    equal "$(jq "[.slots[] | select(.in_per_second > 0)] | length >= 2" "$W/rates")" true "slots that are written"
    equal "$(jq '([.slots[].in_per_second] | add) as $in | ([.slots[].out_per_second] | add) as $out |
        $in < 100 and $out > $in / 2 and $out < $in * 2' "$W/rates")" true "in and out"
}

a_gateway_more_is_used_when_the_first_is_gone() {
    local last
    cluster
    page_runs 'Another gateway'
    sed -i "s|^gateway = .*|gateway = 127.0.0.1:$(sed -n 1p "$HOSTS/ports"),127.0.0.1:$(cat "$W/another-gateway.port")|" "$HOSTS/host1/agent.conf"
    systemctl reload pofr-agent
    quickstart kill gateway
    last=$(sealed host1)
    wait_until 60 stored_of host1 "$last"
    quickstart start gateway
    hosts_equal --wait 60
}

# A server with nothing in it, as shard1's is set, and the account that all others are made by.
shard_start() {
    local name=$1 user port dir
    port=$(free_port) user=$(stat -c %U "$POFR_STATE/data/shard1")
    printf '%s\n' "$port" >"$W/$name.port"
    sed -e "s|shard1|$name|g; s|^port = .*|port = $port|" "$POFR_STATE/etc/shard1.cnf" >"$POFR_STATE/etc/$name.cnf"
    for dir in data run tmp; do command install -d -o "$user" "$POFR_STATE/$dir/$name"; done
    mariadb-install-db --no-defaults --datadir="$POFR_STATE/data/$name" --tmpdir="$POFR_STATE/tmp/$name" --user="$user" \
        --auth-root-authentication-method=socket --auth-root-socket-user="$(id -un)" --skip-test-db --skip-name-resolve >"$W/$name.install"
    mariadbd --defaults-file="$POFR_STATE/etc/$name.cnf" --user="$user" --tmpdir="$POFR_STATE/tmp/$name" </dev/null >>"$W/$name.log" 2>&1 &
    process_note "$name" "$!"
    wait_until 60 port_is_open "$port"
    mariadb --no-defaults --socket="$POFR_STATE/run/$name/sock" --user="$(id -un)" -e "CREATE USER pofr_admin@'127.0.0.1' IDENTIFIED BY '$(
        cat "$POFR_STATE/secrets/admin.pw")'; GRANT ALL PRIVILEGES ON *.* TO pofr_admin@'127.0.0.1' WITH GRANT OPTION"
}
slot_and_shard() { admin_sql head "SELECT h.slot, d.name FROM pofr_catalog.host h JOIN pofr_catalog.slot s USING (slot) JOIN pofr_catalog.shard d USING (shard_id) WHERE h.host = '$1'"; }
host_of_shard1() {
    local name
    for name in $(hosts_names); do
        [[ $(slot_and_shard "$name") != *shard1 ]] || { printf '%s' "$name"; return; }
    done
}

a_shard_more_takes_slots_with_their_hosts() {
    local host before
    cluster
    before=$(programs)
    host=$(host_of_shard1)
    slot_and_shard "$host" | cut -f1 >"$W/slot"
    shard_start shard3
    page_runs 'Another shard'
    equal "$(slot_and_shard "$host")" "$(cat "$W/slot")"$'\t'shard3 "slot and shard of $host"
    wait_until 60 stored_of "$host" "$(sealed "$host")"
    page_runs 'Another shard' 2
    equal "$(admin_sql shard1 "SELECT COUNT(*) FROM pofr_store.bundle WHERE host_id MOD 1024 = $(cat "$W/slot")")" 0 "rows that shard1 still has"
    ctl verify "$host"
    equal "$(programs)" "$before" "programs that were started anew"
    hosts_equal --shards "$(eval "$(quickstart env)" && printf '%s' "$POFR_SHARDS"),127.0.0.1:$(cat "$W/shard3.port")"
}

cases a_new_configuration_is_taken_while_all_is_at_work a_bad_configuration_is_refused_and_the_old_one_kept \
    workers_drain_as_long_as_the_newest_configuration_says tables_change_under_workers_that_write_them \
    a_worker_more_and_one_less a_worker_that_hangs_holds_up_the_group_and_is_seen \
    the_page_shows_how_fast_slots_are_written_and_stored the_gateways_get_another_key_and_no_agent_is_refused \
    a_gateway_more_is_used_when_the_first_is_gone brokers_come_and_go a_host_goes_over_to_a_new_key \
    a_shard_more_takes_slots_with_their_hosts
