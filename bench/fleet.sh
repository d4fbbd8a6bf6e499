#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fleet.sh -- what a host costs the servers: CPU, network, Kafka and disk, a table of rows; docs/SIZING.md and ctl/size.def are from it
#
# HOSTS agents, each recording a population of the profile every 300 ms, send to one cluster. Each is with its population in
# namespaces of process ids and network of their own, so that it sees these and nothing else of this machine. The kernel tells of no
# processes there: so that none is missed, programs and connections live until a look has seen them, programs with their three
# descriptors; a connection is two sockets, as both ends are there.
# What the cluster costs without any host is measured first and taken off; the rest is divided by the hosts. Each figure is of
# whole keyframe periods (10 minutes) after the first, so that it can be multiplied to a day. Needs root.
#
# POFR_BENCH_PROFILE: quiet, typical (without), busy. POFR_BENCH_HOSTS: how many (8). POFR_BENCH_MINUTES: how long, tens (10).
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/../deploy/lib/base.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
cd -- "$POFR_TREE"

PROFILE=${POFR_BENCH_PROFILE:-typical}
HOSTS=${POFR_BENCH_HOSTS:-8} MINUTES=${POFR_BENCH_MINUTES:-10} IDLE_SECONDS=${POFR_BENCH_IDLE:-120} WARM_SECONDS=${POFR_BENCH_WARM:-90}
DAY_MS=86400000
declare -A POPULATION=([quiet]='100 --sockets 5 --execs 0.1 --connections 0.1' [typical]='150 --sockets 20 --execs 1 --connections 1'
    [busy]='500 --sockets 200 --busy 11 --execs 10 --connections 10')
[[ -n ${POPULATION[$PROFILE]:-} ]] || { printf 'fleet: no profile %s\n' "$PROFILE" >&2; exit 2; }

populations=() collectors=() shippers=()
finish() {
    local pid
    for pid in "${collectors[@]}"; do tree "$pid" 2>/dev/null | tail -n +2; done | xargs -r kill -TERM 2>/dev/null || true # what nsenter waits for
    for pid in "${shippers[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
    for pid in "${collectors[@]}" "${shippers[@]}"; do wait "$pid" 2>/dev/null || true; done
    for pid in "${populations[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done # unshare does not take TERM while it waits
    for pid in "${populations[@]}"; do wait "$pid" 2>/dev/null || true; done
    bench_remove
}
trap finish EXIT

sql() { quickstart sql -N "$1"; }
admin() { mariadb --defaults-file="$POFR_STATE/etc/admin.cnf" --port="$(part "$1" 3)" --batch --skip-column-names pofr_store -e "$2"; }
agent_of() { "$BUILD/agent/pofr-agent" status --config "$WORK/h$1/agent.conf" --json; }

# population_of DIR: one in namespaces of its own; it goes with its first process
population_of() {
    mkfifo "$1/end" "$1/ready"
    # shellcheck disable=SC2016,SC2086
    unshare --pid --fork --kill-child --mount-proc --net -- sh -c 'ip link set lo up && exec "$0" "$@"' \
        "$BUILD/bench/population" ${POPULATION[$PROFILE]} --lasting 400 <>"$1/end" >"$1/ready" &
    populations+=("$!")
    read -r _ <"$1/ready"
}

# host_begin I: enrolled as hostI and started
host_begin() {
    local dir=$WORK/h$1 inside
    mkdir -p -- "$dir/run"
    population_of "$dir"
    inside=$(tree "${populations[-1]}" | sed -n 2p)
    printf '[agent]\nstate_dir = %s\nruntime_dir = %s\n[ship]\ngateway = 127.0.0.1:%s\n' "$dir/state" "$dir/run" "$(part gateway 3)" >"$dir/agent.conf"
    ctl token create --host "host$1" --gateway "127.0.0.1:$(part gateway 3)" --force --output "$dir/token"
    "$BUILD/agent/pofr-agent" enrol --config "$dir/agent.conf" --token-file "$dir/token" >&2
    nsenter --target "$inside" --pid --mount --net -- "$BUILD/agent/pofr-agent" collect --config "$dir/agent.conf" </dev/null >>"$dir/log" 2>&1 &
    collectors+=("$!")
    "$BUILD/agent/pofr-agent" ship --config "$dir/agent.conf" </dev/null >>"$dir/log" 2>&1 &
    shippers+=("$!")
}

PARTS=(gateway kafka worker1 worker2 shard1 shard2 head merger)
all_cpu() { local p; for p in "${PARTS[@]}"; do printf '%s %s\n' "$p" "$(cpu_ms "$p")"; done; }
sent() { local i; for ((i = 1; i <= HOSTS; i++)); do agent_of "$i" | jq .sent_bytes; done | awk '{ n += $1 } END { printf "%d", n }'; }
log_bytes() { find "$POFR_STATE/data/kafka" -path '*/pofr.snapshots-*/*.log' -printf '%s\n' | awk '{ n += $1 } END { printf "%d", n }'; }
rows_of() { sql "SELECT COUNT(*) FROM $1"; }
TABLES=(psinfo fileinfo netinfo coverage bundle)

# tables: of both shards, "WHAT bytes": the pages that hold rows, as the engine counts them. What is reserved is more, but in steps of
# a megabyte; of an index of a few pages the engine says only that. What is open lies in a partition of its own, what ended in its day's.
tables() {
    local shard names
    for shard in shard1 shard2; do
        names=$(admin "$shard" "SELECT GROUP_CONCAT(table_name) FROM information_schema.tables WHERE table_schema = 'pofr_store' AND table_type = 'BASE TABLE'")
        admin "$shard" "SET GLOBAL innodb_stats_persistent_sample_pages = 1; ANALYZE TABLE $names" >/dev/null
        admin "$shard" "SELECT IF(table_name LIKE '%#P#open', 'open', SUBSTRING_INDEX(table_name, '#P#', 1)), @@innodb_page_size *
                IF(MAX(IF(stat_name = 'n_leaf_pages', stat_value, 0)) > 1, MAX(IF(stat_name = 'n_leaf_pages', stat_value, 0)), MAX(IF(stat_name = 'size', stat_value, 0)))
            FROM mysql.innodb_index_stats WHERE database_name = 'pofr_store' GROUP BY table_name, index_name"
    done | awk '{ n[$1] += $2 } END { for (t in n) print t, n[t] }' | sort
}
# paths: of both shards, the pages of the index on paths: of those of a day's rows the one whose new entries go everywhere
paths() {
    local shard
    for shard in shard1 shard2; do
        admin "$shard" "SELECT @@innodb_page_size * SUM(stat_value) FROM mysql.innodb_index_stats WHERE database_name = 'pofr_store'
            AND table_name LIKE 'fileinfo#P#%' AND index_name <> 'PRIMARY' AND stat_name = 'n_leaf_pages'"
    done | awk '{ n += $1 } END { printf "%d", n }'
}
# clocks NAME: what costs nothing to ask; counts NAME: what does, so it is asked outside of the time that is measured
clocks() {
    now_ms >"$WORK/$1.ms"
    all_cpu >"$WORK/$1.cpu"
}
counts() {
    if [[ ${#shippers[@]} -gt 0 ]]; then sent; else printf 0; fi >"$WORK/$1.sent"
    log_bytes >"$WORK/$1.log"
    sql 'SELECT COALESCE(SUM(bytes), 0), COUNT(*) FROM bundle' >"$WORK/$1.bundles"
    for table in "${TABLES[@]}"; do printf '%s %s\n' "$table" "$(rows_of "$table")"; done >"$WORK/$1.rows"
    tables >"$WORK/$1.tables"
    paths >"$WORK/$1.paths"
    for part in "${PARTS[@]}"; do printf '%s %s\n' "$part" "$(memory_kib "$part")"; done >"$WORK/$1.memory"
}
memory_of() { awk -v part="$2" '$1 == part { print $2 }' "$WORK/$1.memory"; }
difference() { awk -v column="$3" '{ if (FNR == NR) a[1] = $column; else printf "%d", $column - a[1] }' "$WORK/$1" "$WORK/$2"; }

bench_servers
quickstart start gateway worker1 worker2 merger >&2

printf 'fleet: %s, the cluster alone for %d s\n' "$PROFILE" "$IDLE_SECONDS" >&2
sleep 30
clocks idle0
sleep "$IDLE_SECONDS"
clocks idle1
counts idle1
idle_ms=$(difference idle0.ms idle1.ms 1)

for ((i = 1; i <= HOSTS; i++)); do host_begin "$i"; done
printf 'fleet: %d hosts for %d minutes\n' "$HOSTS" "$MINUTES" >&2
sleep "$WARM_SECONDS"
counts begin
clocks begin
sleep $((MINUTES * 60))
clocks end
counts end
ms=$(difference begin.ms end.ms 1)

per_day() { awk -v n="$1" -v ms="$ms" -v hosts="$HOSTS" -v day="$DAY_MS" -v unit="${2:-1}" 'BEGIN { printf "%.1f", n * day / ms / hosts / unit }'; }
figure "processes at the end" "$(agent_of 1 | jq -r .processes)" open
figure "files at the end" "$(agent_of 1 | jq -r .files)" open
figure "sockets at the end" "$(agent_of 1 | jq -r .sockets)" open
while read -r name before; do
    after=$(awk -v p="$name" '$1 == p { print $2 }' "$WORK/end.cpu")
    begun=$(awk -v p="$name" '$1 == p { print $2 }' "$WORK/begin.cpu")
    rest=$(awk -v p="$name" '$1 == p { print $2 }' "$WORK/idle1.cpu")
    awk -v name="$name" -v used=$((after - begun)) -v ms="$ms" -v idle=$((rest - before)) -v idle_ms="$idle_ms" -v hosts="$HOSTS" \
        'BEGIN { printf "CPU, %s, without hosts\t%.3f\t%% of a core\nCPU, %s, a host\t%.4f\t%% of a core\n", name, idle * 100 / idle_ms, name, (used / ms - idle / idle_ms) * 100 / hosts }'
done <"$WORK/idle0.cpu"
figure "sent, a host and day" "$(per_day "$(difference begin.sent end.sent 1)" 1000000)" MB
figure "in Kafka, a host and day" "$(per_day "$(difference begin.log end.log 1)" 1000000)" MB
figure "bundles, a host and day" "$(per_day "$(difference begin.bundles end.bundles 2)")" bundles
for table in "${TABLES[@]}"; do
    rows=$(($(awk -v t="$table" '$1 == t { print $2 }' "$WORK/end.rows") - $(awk -v t="$table" '$1 == t { print $2 }' "$WORK/begin.rows")))
    figure "rows, $table, a host and day" "$(per_day "$rows")" rows
done
join "$WORK/begin.tables" "$WORK/end.tables" | awk '{ d = $3 - $2; if (d) print $1, d }' | while read -r table bytes; do
    figure "disk, $table, a host and day" "$(per_day "$bytes" 1000000)" MB
done
figure "disk, the index on paths, a host and day" "$(per_day "$(difference begin.paths end.paths 1)" 1000000)" MB
disk() { join "$WORK/$1.tables" "$WORK/$2.tables" | awk "$3"' { n += $3 - $2 } END { printf "%d", n }'; }
figure "disk, rows, a host and day" "$(per_day "$(disk begin end '$1 != "open" && $1 != "bundle"')" 1000000)" MB
figure "disk, the ledger, a host and day" "$(per_day "$(disk begin end '$1 == "bundle"')" 1000000)" MB
figure "disk, what is open, a host" "$(hundredth "$(disk idle1 end '$1 == "open"')" "$((HOSTS * 1000000))")" MB
figure "disk, what came with the hosts, all of them" "$(hundredth "$(disk idle1 begin '$1 != "open"')" 1000000)" MB
for name in gateway worker1 shard1 merger kafka head; do
    figure "memory, $name, PSS" "$(hundredth "$(memory_of end "$name")" 1024)" MiB "$(hundredth "$(memory_of idle1 "$name")" 1024)" "without hosts"
done
figure "gaps" "$(sql 'SELECT COUNT(*) FROM gap')" rows
