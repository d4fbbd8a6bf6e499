#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# backup: shards and head are lost under load and come back from a backup. What came later comes from Kafka; what is gone is told
# timeout: 300
# long-timeout: 900
# order: 67
# jobs: 1
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/hosts.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/slots.sh"
trap 'hosts_end; suite_finish' EXIT

HOSTS_COUNT=4 HOSTS_TICK=300ms HOSTS_BUNDLE_AGE=500ms HOSTS_WHOLE=1
BACKUPS=$W/backups

backup() { deploy/mariadb/pofr-backup "$@"; }

cluster() {
    local part
    [[ ! -e $W/cluster ]] || return 0
    cluster_start gateway worker1 worker2 merger
    sed -i '/^\[merger\]$/a period = 2s' "$POFR_STATE/etc/merger.conf"
    kill -HUP "$(part_field merger 2)"
    for part in head shard1 shard2; do
        admin_sql "$part" "$(backup account --password-file "$W/backup.pw")"
    done
    hosts_begin "$HOSTS_COUNT"
    touch "$W/cluster"
}

# take PART [OPTION...]: prints where the backup lies
take() {
    backup take --password-file "$W/backup.pw" --textfile "$W/$1.prom" "${@:2}" "$BACKUPS/$1" -- "--socket=$POFR_STATE/run/$1/sock"
}

# lose PART BACKUP: its data is gone, and comes back as it was
lose() {
    quickstart kill "$1"
    rm -rf -- "${POFR_STATE:?}/data/$1"
    backup restore "$2" "$POFR_STATE/data/$1"
}

# page_runs HEADING PART BACKUP: the page's commands; its machine's server is our PART, its files are ours
page_runs() {
    page_block docs/OPERATING.md "$1" | sed -e "s| /var/lib/pofr/gateway/| $POFR_STATE/data/gateway/|; s| /tmp/| $W/|; s| /var/backups/pofr/[0-9TZ]*| $3|" \
        -e "s| /var/lib/mysql| $POFR_STATE/data/$2|; s|^systemctl start mariadb$|quickstart start $2|; s|^pofr-backup|backup|; s|^pofrctl|ctl|" >"$W/block"
    # shellcheck source=/dev/null
    source "$W/block"
}

# names_are_made ROUND: each host meets a path that no backup has
names_are_made() {
    local name
    for name in $(hosts_names); do
        in_host "$name" dash -c 'exec 5>"$0"; exec sleep 2' "$W/name.$name.$1" &
    done
    wait_until 90 names_are_stored "$1"
}
names_are_stored() { answers "SELECT COUNT(DISTINCT host) FROM fileinfo WHERE path LIKE '$W/name.%.$1'" "$HOSTS_COUNT"; }

# one_on SHARD: a host that is there
one_on() {
    local name
    for name in $(hosts_names); do
        [[ $(shard_of "$name") != "$1" ]] || { printf '%s' "$name"; return 0; }
    done
}

verify_all() {
    local name
    for name in $(hosts_names); do ctl verify "$name"; done
}

as_backup() { mariadb --defaults-file="$W/backup.cnf" --socket="$POFR_STATE/run/shard1/sock" "$@"; }

the_account_may_back_up_and_nothing_else() {
    cluster
    printf '[client]\nuser = pofr_backup\npassword = %s\n' "$(cat "$W/backup.pw")" >"$W/backup.cnf"
    as_backup -e 'SELECT 1'
    fails as_backup -e 'SELECT * FROM pofr_store.host'
    fails as_backup -e 'CREATE DATABASE x'
    fails as_backup -e 'SET GLOBAL max_connections = 1'
}

what_is_wrong_is_said() {
    local status=0
    cluster
    exit_code 2 backup take
    exit_code 2 backup take --keep 0 "$W/x"
    exit_code 1 backup list "$W"
    exit_code 3 backup restore "$W" "$W/nowhere"
    backup take --password-file "$W/backup.pw" "$W/none" -- --socket=/nonexistent >"$W/said" 2>&1 || status=$?
    equal "$status" 3 "exit code without a server"
    grep -q nonexistent "$W/said"
    equal "$(find "$W/none" -mindepth 1 -maxdepth 1 -type d | wc -l)" 0 "what a backup that failed leaves"
}

a_shard_that_was_restored_heals_itself() {
    local saved
    cluster
    names_are_made 1
    saved=$(take shard1)
    grep -q '^pofr_backup_timestamp_seconds{server="shard1"} [0-9]*$' "$W/shard1.prom"
    names_are_made 2
    fails backup restore "$saved" "$POFR_STATE/data/shard1"
    lose shard1 "$saved"
    quickstart start shard1
    names_are_made 3 # the text's numbers of the backup's time are given again
    all_equal
    verify_all
}

the_oldest_go_once_a_new_one_is_whole() {
    local first second
    cluster
    first=$(take shard1)
    mkdir -p -- "$BACKUPS/shard1/20200101T000000Z.unfinished"
    second=$(take shard1 --keep 1)
    equal "$(backup list "$BACKUPS/shard1" | awk '{ print $1 }')" "$second" "what is kept"
    [[ ! -e $first && ! -e $BACKUPS/shard1/20200101T000000Z.unfinished ]]
}

# cut HOST: shard1 comes back from a backup, and Kafka has not all that came since; "FROM TO" of its log is in $W/cut.range
cut() {
    local host=$1 saved from
    saved=$(take shard1)
    from=$(newest "$host")
    wait_until 90 stored_beyond "$host" $((from + 6))
    quickstart kill worker1 worker2
    lose shard1 "$saved"
    quickstart start shard1
    from=$(place "$host" next_offset)
    log_cut "$host" "$from" $((from + 4))
    printf '%s %s\n' "$from" $((from + 4)) >"$W/cut.range"
}
gaps_of() { quickstart sql -N "SELECT COUNT(*) FROM gap WHERE host = '$1' AND kind = 'sequence' AND explained = $2"; }
gaps_are() { [[ $(gaps_of "$1" "$2") -eq $3 ]]; }
missing_are() { # HOST N: sequences that it has not
    answers "SELECT MAX(sequence) - MIN(sequence) + 1 - COUNT(*) FROM bundle WHERE host = '$1'" "$2"
}
wanted_rows() { admin_sql head 'SELECT COUNT(*) FROM pofr_catalog.wanted'; }
nothing_is_wanted() { [[ $(wanted_rows) -eq 0 ]]; }

comes_and_is_asked_for_nothing() {
    local before
    before=$(sessions_of "$1")
    process_kill TERM "$1/shipper"
    host_start "$1" shipper
    wait_until 20 more_sessions_than "$1" "$before"
    grep ' session_open ' "$HOSTS/$1/shipper.log" | tail -n 1 | grep -q ' wanted=0$'
}
sessions_of() { grep -c ' session_open ' "$HOSTS/$1/shipper.log"; }
more_sessions_than() { [[ $(sessions_of "$1") -gt $2 ]]; }
metric_at_least() { [[ $(metric "$1" "$2") -ge $3 ]]; }

# An agent keeps what was acked until it needs the room.
what_kafka_no_longer_has_comes_again_from_the_hosts() {
    local host sessions came
    cluster
    host=$(one_on shard1)
    cut "$host"
    sessions=$(host_status "$host" --json | jq -r .sessions)
    came=$(metric merger pofr_merger_wanted_came_total)
    quickstart start worker1 worker2
    wait_until 60 gap_is_there "$host"
    wait_until 120 metric_at_least merger pofr_merger_wanted_came_total $((came + 1))
    missing_are "$host" 0
    gaps_are "$host" 0 0
    nothing_is_wanted
    [[ $(host_status "$host" --json | jq -r .sessions) -gt $sessions ]]
    all_equal
    verify_all
}

has_recorded() { host_status "$1" --json | jq -e '.sequence > 0' >/dev/null; }
has_acked() { host_status "$1" --json | jq -e ".acked >= $2" >/dev/null; }

# Its own disk was full, or it was installed anew.
what_nobody_has_any_more_is_a_gap_and_is_not_asked_for_again() {
    local host asked
    cluster
    host=$(one_on shard1)
    cut "$host"
    process_kill TERM "$host/collector"
    host_start "$host" collector # which begins a new segment
    wait_until 30 has_recorded "$host"
    wait_until 60 has_acked "$host" "$(host_status "$host" --json | jq -r .sequence)"
    mkdir -p -- "$W/kept"
    find "$HOSTS/$host/state/spool" -name '*.seg' | sort | head -n -1 | xargs mv -t "$W/kept" # as where room is needed
    [[ -n $(ls -A -- "$W/kept") ]]
    quickstart start worker1 worker2
    wait_until 120 metric_at_least merger pofr_merger_wanted_gone_total 1
    nothing_is_wanted
    wait_until 60 comes_and_is_asked_for_nothing "$host" # the gateway, too, knows that now
    mv -n -- "$W/kept"/*.seg "$HOSTS/$host/state/spool/" # what it signed is compared, from there
    read -r -a range <"$W/cut.range"
    cut_is_told "$host" "${range[@]}"
    asked=$(metric merger pofr_merger_wanted_total)
    quickstart kill merger
    quickstart start merger
    wait_until 30 metric_at_least merger pofr_merger_passes_total 4
    equal "$(metric merger pofr_merger_wanted_total)" 0 "asked again"
    ctl verify "$host" | grep '1 sequence'
    verify_all
}

stored_of() { answers "SELECT COUNT(*) > $2 FROM bundle WHERE host = '$1'" 1; }
copy_has() { grep -qa "$1" "$POFR_STATE/data/gateway/catalog"; }

# What happens after the backup: host4's machine is enrolled as another host, host4 (now "older") is retired, host3 is renamed, the
# slot of host1 goes to the other shard.
a_head_that_was_restored_learns_what_it_forgot() {
    local saved host_id to=shard1
    cluster
    process_kill KILL host4/collector host4/shipper
    saved=$(take head)
    ctl host rename host4 older
    rm -rf -- "${HOSTS:?}/host4/state"
    host_make host4
    host_start host4
    wait_until 30 stored_of host4 2
    host_id=$(admin_sql head "SELECT host_id FROM pofr_catalog.host WHERE host = 'host4'")
    ctl token create --host later --output "$W/later.token"
    ctl host retire older
    ctl host rename host3 renamed
    wait_until 30 copy_has renamed
    [[ $(shard_of host1) != shard1 ]] || to=shard2
    ctl slot move "$(slot_of host1)" --to "$to"
    quickstart kill head
    rm -rf -- "${POFR_STATE:?}/data/head"
    page_runs '### The head is lost' head "$saved" >"$W/said"
    cat -- "$W/said"
    grep -q '^hosts: 1 entered again, 2 changed, 0 entered as retired; ' "$W/said"
    grep -q '; slots found at another shard: 1$' "$W/said"
    equal "$(shard_of host1)" "$to" "shard of host1"
    equal "$(admin_sql head "SELECT host_id FROM pofr_catalog.host WHERE host = 'host4'")" "$host_id" "number of the host that came later"
    equal "$(admin_sql head "SELECT state FROM pofr_catalog.host WHERE host = 'older'")" retired "host that was retired since"
    equal "$(admin_sql head "SELECT COUNT(*) FROM pofr_catalog.token WHERE revoked = 0 AND uses_left > 0")" 0 "tokens that are good"
    fails ctl recover --from /dev/null
    exit_code 4 ctl recover --from "$W/catalog.copy" # the catalog is newer now
    quickstart kill gateway worker1 worker2
    rm -- "$POFR_STATE/data/gateway/catalog" # who knows only what the catalog knows takes this host's bundles
    quickstart start gateway worker1 worker2
    wait_until 60 stored_of host4 "$(quickstart sql -N "SELECT COUNT(*) + 3 FROM bundle WHERE host = 'host4'")"
    ctl verify host4
    wait_until 60 stored_of host1 "$(quickstart sql -N "SELECT COUNT(*) + 3 FROM bundle WHERE host = 'host1'")"
    ctl verify host1
    ctl host rename renamed host3
}

# Nobody kept a copy: what the shards know keeps numbers and names from being given again.
a_head_without_a_copy_gives_no_number_again() {
    local saved number
    cluster
    saved=$(backup list "$BACKUPS/head" | tail -n 1 | awk '{ print $1 }')
    number=$(admin_sql head "SELECT MAX(number) FROM pofr_catalog.host")
    lose head "$saved"
    quickstart start head
    exit_code 4 ctl recover 2>"$W/warned" # their agents would be refused for good
    grep -q '^pofrctl: nothing was changed: 1 hosts would be retired' "$W/warned"
    ctl recover --without-copy >"$W/said" 2>"$W/warned"
    cat -- "$W/said" "$W/warned"
    grep -q '^hosts: 0 entered again, 0 changed, 1 entered as retired; ' "$W/said"
    grep -q 'its machine to be enrolled anew' "$W/warned"
    process_kill KILL host4/collector host4/shipper
    rm -rf -- "${HOSTS:?}/host4/state"
    ctl token create --host again --gateway "127.0.0.1:$(sed -n 4p "$HOSTS/ports")" --output "$W/again.token"
    "$HOSTS_AGENT" enrol --config "$HOSTS/host4/agent.conf" --token-file "$W/again.token"
    [[ $(admin_sql head "SELECT number FROM pofr_catalog.host WHERE host = 'again'") -gt $number ]]
    host_start host4
    wait_until 30 stored_of again 2
}

# Neither is there a backup: setup takes no empty catalog for a new cluster, and shards keep the slots that they own.
a_head_that_was_lost_for_good_is_made_again_from_a_copy() {
    local to=shard1 before
    local -a shards
    cluster
    shards=(shard1="127.0.0.1:$(part_field shard1 3)" shard2="127.0.0.1:$(part_field shard2 3)")
    [[ $(shard_of host2) != shard1 ]] || to=shard2
    ctl slot move "$(slot_of host2)" --to "$to"
    wait_until 30 copy_has host2
    cp -- "$POFR_STATE/data/gateway/catalog" "$W/lost.copy"
    before=$(slots_with_hosts)
    quickstart kill head
    rm -rf -- "${POFR_STATE:?}/data/head"
    quickstart start head
    exit_code 4 ctl setup "${shards[@]}" 2>"$W/warned"
    cat -- "$W/warned"
    grep -q 'the shards have [0-9]* hosts that the catalog does not know: was the head lost?' "$W/warned"
    ctl recover --from /dev/stdin <"$W/lost.copy"
    ctl setup "${shards[@]}"
    equal "$(slots_with_hosts)" "$before" "where the slots are that have hosts"
    wait_until 60 all_go_on
    verify_all
}
slots_with_hosts() {
    admin_sql head "SELECT h.host, d.name, s.generation FROM pofr_catalog.host h JOIN pofr_catalog.slot s ON s.slot = h.slot
        JOIN pofr_catalog.shard d ON d.shard_id = s.shard_id WHERE h.state <> 'retired' ORDER BY h.host"
}
all_go_on() { answers "SELECT COUNT(DISTINCT host) FROM bundle WHERE stored > UTC_TIMESTAMP() - INTERVAL 3 SECOND" "$HOSTS_COUNT"; }

quick=(the_account_may_back_up_and_nothing_else what_is_wrong_is_said a_shard_that_was_restored_heals_itself
    what_kafka_no_longer_has_comes_again_from_the_hosts)
more=(what_nobody_has_any_more_is_a_gap_and_is_not_asked_for_again the_oldest_go_once_a_new_one_is_whole a_head_that_was_restored_learns_what_it_forgot
    a_head_without_a_copy_gives_no_number_again a_head_that_was_lost_for_good_is_made_again_from_a_copy)
if is_more_wanted "${quick[@]}"; then quick+=("${more[@]}"); fi
cases "${quick[@]}"
