#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# pofrctl as an operator meets it: shards that come and go, names, keys, help, exit codes
# timeout: 600
# order: 46
# jobs: 1
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"

BUILD=$POFR_TREE/build/release

ctl() { "$BUILD/ctl/pofrctl" --quiet --config "$POFR_STATE/etc/ctl.conf" "$@"; }

# exits STATUS COMMAND...: standard error is in $POFR_TEST_WORK/said
exits() {
    local want=$1 status=0
    shift
    "$@" 2>"$POFR_TEST_WORK/said" || status=$?
    cat -- "$POFR_TEST_WORK/said" >&2
    equal "$status" "$want" "exit code of $*"
}

shards() { admin_sql head 'SELECT GROUP_CONCAT(name ORDER BY name) FROM pofr_catalog.shard'; }

servers() { admin_sql head 'SELECT GROUP_CONCAT(Server_name ORDER BY Server_name) FROM mysql.servers'; }

one_shard() {
    build_preset release --target pofrctl pofr-worker
    quickstart start head shard1 shard2
    ctl migrate
    ctl shard add shard1 --address "127.0.0.1:$(part_field shard1 3)" --if-exists update
    equal "$(shards)" shard1
}

a_shard_without_slots_can_be_removed() {
    admin_sql shard2 "CREATE USER pofr_spider@'%' ACCOUNT LOCK" # the head cannot log in: nothing is entered
    exits 1 ctl shard add third --address "127.0.0.1:$(part_field shard2 3)" --slots none
    equal "$(shards)/$(servers)" shard1/shard1
    admin_sql shard2 "ALTER USER pofr_spider@'%' ACCOUNT UNLOCK"
    ctl shard add third --address "127.0.0.1:$(part_field shard2 3)" --slots none
    equal "$(shards)" shard1,third
    equal "$(servers)" shard1,third
    ctl shard remove third
    equal "$(shards)" shard1
    equal "$(servers)" shard1
    exits 1 ctl shard remove third
    quickstart sql -N 'SELECT COUNT(*) FROM host'
    ctl migrate
}

what_was_removed_can_be_added_again() {
    ctl shard add shard2 --address "127.0.0.1:$(part_field shard2 3)"
    equal "$(shards)" shard1,shard2
    equal "$(admin_sql head 'SELECT COUNT(DISTINCT shard_id) FROM pofr_catalog.slot')" 2 "shards with slots"
}

# pofrctl's own way to a shard says nothing of the head's.
a_shard_that_does_not_answer_the_head_is_told() {
    local at
    at="127.0.0.1:$(part_field shard2 3)"
    admin_sql shard2 "ALTER USER pofr_spider@'%' ACCOUNT LOCK"
    exits 1 ctl migrate
    grep -qF "the head does not reach shard shard2 at $at: " "$POFR_TEST_WORK/said"
    grep -qF '1 of 2 shards does not answer the head: analysts would get errors' "$POFR_TEST_WORK/said"
    fails grep 'shard1' "$POFR_TEST_WORK/said"
    exits 1 ctl setup "shard2=$at"
    exits 1 ctl slot move 0 --to shard2
    equal "$(admin_sql head 'SELECT COUNT(*) FROM pofr_catalog.slot_move')" 0 "slots that are under way"
    admin_sql shard2 "ALTER USER pofr_spider@'%' ACCOUNT UNLOCK"
    ctl migrate
    equal "$(servers)" shard1,shard2
    equal "$(admin_sql head "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = 'pofr_reach'")" 0 "what it was tried with"
}

a_server_that_is_not_there_is_not_entered() {
    exits 3 ctl shard add shard9 --address 127.0.0.1:1
    exits 3 ctl shard add shard2 --address 127.0.0.1:1 --if-exists update
    equal "$(shards)" shard1,shard2
    equal "$(admin_sql head "SELECT port FROM pofr_catalog.shard WHERE name = 'shard2'")" "$(part_field shard2 3)"
    ctl migrate
}

slots_that_can_not_be_given_are_refused_before_anything_is_entered() {
    exits 2 ctl shard add shard9 --address "127.0.0.1:$(part_field head 3)" --slots 9999
    equal "$(shards)" shard1,shard2
}

# Both have views or tables of one name: it would be found out in the middle, with the shard entered.
the_head_is_no_shard() {
    exits 4 ctl shard add shard9 --address "127.1:$(part_field head 3)"
    grep -q 'is the head: shard shard9 needs a server of its own' "$POFR_TEST_WORK/said"
    equal "$(shards)" shard1,shard2
    equal "$(admin_sql head "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = 'pofr_store'")" 0 "a shard's databases on the head"
}

# 1 says that the answer is no, and nothing was asked.
without_its_password_the_exit_code_says_configuration() {
    sed 's|^password_file = .*/admin.pw|password_file = /nonexistent/admin.pw|' "$POFR_STATE/etc/ctl.conf" >"$POFR_TEST_WORK/nopw.conf"
    exits 2 "$BUILD/ctl/pofrctl" --config "$POFR_TEST_WORK/nopw.conf" verify golden
    grep -q '/nonexistent/admin.pw: No such file' "$POFR_TEST_WORK/said"
}

an_account_gets_no_empty_password() {
    local name of
    (umask 077 && printf '\n' >"$POFR_TEST_WORK/empty.pw")
    for name in gateway analyst; do
        sed "s|^${name}_password_file = .*|${name}_password_file = $POFR_TEST_WORK/empty.pw|" "$POFR_STATE/etc/ctl.conf" >"$POFR_TEST_WORK/empty.conf"
        exits 2 "$BUILD/ctl/pofrctl" --config "$POFR_TEST_WORK/empty.conf" migrate
        grep -q "empty.pw is empty: everybody could be pofr_$name" "$POFR_TEST_WORK/said"
    done
    for of in head shard1 shard2; do
        equal "$(admin_sql "$of" "SELECT COUNT(*) FROM mysql.user WHERE user IN ('pofr_gateway', 'pofr_worker', 'pofr_merger', 'pofr_spider', 'pofr_analyst') AND authentication_string = ''")" 0 "accounts of $of without a password"
    done
    ctl migrate
}

a_server_is_one_shard_whatever_it_is_called() {
    local port
    port=$(part_field shard1 3)
    exits 4 ctl shard add twin --address "127.0.0.1:$port"
    grep -q 'as shard shard1' "$POFR_TEST_WORK/said"
    exits 4 ctl shard add twin --address "127.1:$port" --slots none
    exits 4 ctl shard add shard2 --address "127.0.0.1:$port" --if-exists update
    equal "$(shards)" shard1,shard2
    ctl shard add shard1 --address "127.1:$port" --if-exists update # its own other address
    ctl shard add shard1 --address "127.0.0.1:$port" --if-exists update
}

# What an older version left behind: a row of a server that never was.
a_shard_that_never_was_can_be_removed() {
    admin_sql head "INSERT INTO pofr_catalog.shard (name, address, port) VALUES ('ghost', '127.0.0.1', 1)"
    exits 3 ctl migrate
    ctl shard remove ghost
    ctl migrate
}

a_shard_that_owns_slots_is_not_removed() {
    local list
    exits 4 ctl shard remove shard2
    list=$(sed -n 's/.*pofrctl slot move \([0-9,-]*\) --to SHARD$/\1/p' "$POFR_TEST_WORK/said")
    equal "$(tr , '\n' <<<"$list" | while IFS=- read -r first last; do seq "$first" "${last:-$first}"; done | tr '\n' ' ')" \
        "$(admin_sql head "SELECT l.slot FROM pofr_catalog.slot l JOIN pofr_catalog.shard s USING (shard_id) WHERE s.name = 'shard2' ORDER BY 1" | tr '\n' ' ')" "slots to move"
    [[ -n $list ]]
    equal "$(shards)" shard1,shard2
}

# enrolled PUBLIC_KEY NAME HOSTNAME [SLOT]: the catalog's part of an enrolment, with a hostname as a machine may have it
enrolled() {
    admin_sql head "
        SET @hash = RANDOM_BYTES(32), @key = RANDOM_BYTES(32), @public = UNHEX('$1');
        INSERT INTO pofr_catalog.token (token_hash, created, expires, host)
            VALUES (@hash, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6) + INTERVAL 1 HOUR, '$2');
        CALL pofr_catalog.enrol_host(@hash, @key, @public, RANDOM_BYTES(16), ${4:-3}, '$3', '', '', '', '', '')" | cut -f4
}

a_name_is_a_word_whoever_gives_it() {
    local key=0000000000000000000000000000000000000000000000000000000000000001
    equal "$(enrolled "$key" '' 'web 1/x')" web_1_x
    equal "$(enrolled "$key" '' '-?-')" host
    equal "$(enrolled "$key" vm1 other)" vm1
    exits 2 ctl host rename vm1 bad/name
    exits 2 ctl host rename vm1 $'two\nlines'
    exits 2 ctl token create --host 'a b' --output "$POFR_TEST_WORK/none"
    fails admin_sql head "UPDATE pofr_catalog.host SET host = 'bad/name' WHERE host = 'vm1'"
    ctl host rename vm1 vm-1.example.org
    equal "$(admin_sql head "SELECT host FROM pofr_catalog.host WHERE host LIKE 'vm%'")" vm-1.example.org
}

a_key_is_shown_as_ssh_keygen_shows_it() {
    local key=$POFR_TEST_WORK/key
    ssh-keygen -q -t ed25519 -N '' -C '' -f "$key"
    enrolled "$(cut -d' ' -f2 "$key.pub" | base64 -d | tail -c 32 | od -An -v -tx1 | tr -d ' \n')" keyed keyed
    ctl --json host show keyed >"$POFR_TEST_WORK/shown"
    equal "$(jq -r '.keys[0].public_key' "$POFR_TEST_WORK/shown")" "$(cut -d' ' -f1,2 "$key.pub")"
    equal "$(jq -r '.keys[0].fingerprint' "$POFR_TEST_WORK/shown")" "$(ssh-keygen -lf "$key.pub" | cut -d' ' -f2)"
}

json_is_made_for_scripts() {
    local id part
    id=$(admin_sql head "SELECT host_id FROM pofr_catalog.host WHERE host = 'keyed'")
    part=$(admin_sql head 'SELECT s.name FROM pofr_catalog.shard s JOIN pofr_catalog.slot l USING (shard_id) WHERE l.slot = 3')
    admin_sql "$part" "
        INSERT INTO pofr_store.host (host_id, host_uuid, host, slot, enrolled) VALUES ($id, RANDOM_BYTES(16), 'keyed', 3, UTC_TIMESTAMP(6));"
    ctl --json status >"$POFR_TEST_WORK/shown" || true # there is no Kafka here: "lag" is null
    equal "$(jq -r 'keys[]' "$POFR_TEST_WORK/shown" | grep -vE '^[a-z][a-z0-9_]*$' || true)" '' "keys"
    equal "$(jq -r '.hosts[0].hosts' "$POFR_TEST_WORK/shown")" 1
    equal "$(ctl --json host show keyed | jq -c '.stored[0].recorder')" null
    admin_sql "$part" "
        INSERT INTO pofr_store.host_state (host_id, newest_sequence, newest_digest, newest_run, newest_boot, boots, last_tick, last_bundle,
            complete_to, records, records_total, lost_total, bundles, recorder)
        VALUES ($id, 1, '', '', 1, 1, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), 1, 1, 0, 1, '{\"ticks\":7,\"version\":\"1.2\"}')"
    equal "$(ctl --json host show keyed | jq -c '.stored[0].recorder')" '{"ticks":7,"version":"1.2"}'
    admin_sql "$part" "UPDATE pofr_store.host_state SET last_tick = UTC_TIMESTAMP(6) + INTERVAL 60 SECOND WHERE host_id = $id"
    ctl --json status >"$POFR_TEST_WORK/shown" || true
    equal "$(jq -c '.freshness_seconds[0] | map(floor)' "$POFR_TEST_WORK/shown")" '[0,0,0]' "a host whose clock is ahead"
    ctl host show keyed | grep -qF '{"ticks":7'
    admin_sql "$part" "UPDATE pofr_store.host_state SET recorder = '{\"ticks\":' WHERE host_id = $id" # cut: no JSON
    equal "$(ctl --json host show keyed | jq -c '.stored[0].recorder')" null
}

# --- a database for one host ----------------------------------------------------------------------------------

id_of() { admin_sql head "SELECT host_id FROM pofr_catalog.host WHERE host = '$1'"; }
shard_of() { admin_sql head "SELECT s.name FROM pofr_catalog.shard s JOIN pofr_catalog.slot l USING (shard_id) JOIN pofr_catalog.host h USING (slot) WHERE h.host = '$1'"; }

# stored NAME VALUE: a host on its shard, and one row of it
stored() {
    local id
    id=$(id_of "$1")
    admin_sql "$(shard_of "$1")" "
        INSERT IGNORE INTO pofr_store.host (host_id, host_uuid, host, slot, enrolled) VALUES ($id, RANDOM_BYTES(16), '$1', $id MOD 1024, UTC_TIMESTAMP(6));
        INSERT INTO pofr_store.hostinfo (host_id, boot, name, first_seen, last_seen, value) VALUES ($id, 1, 'kernel', UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), '$2')"
}

tables_of() { admin_sql head "SELECT table_name FROM information_schema.tables WHERE table_schema = '$1' ORDER BY 1"; }
columns_of() {
    admin_sql head "SELECT table_name, column_name, column_type FROM information_schema.columns
        WHERE table_schema = '$1' AND column_name NOT IN ('host', 'host_id') ORDER BY table_name, ordinal_position"
}

a_host_has_a_database_of_its_own() {
    local slot
    slot=$(admin_sql head "SELECT MIN(slot) FROM pofr_catalog.slot WHERE shard_id <> (SELECT shard_id FROM pofr_catalog.slot WHERE slot = 3)")
    enrolled 0000000000000000000000000000000000000000000000000000000000000002 '' Far-1.example.org "$slot"
    stored keyed six
    stored Far-1.example.org seven
    fails test "$(shard_of keyed)" = "$(shard_of Far-1.example.org)"
    ctl host expose keyed
    equal "$(ctl --json host expose Far-1.example.org | jq -c '[.host, .database]')" '["Far-1.example.org","host_far_1_example_org"]'
    equal "$(quickstart sql -N 'SELECT value FROM host_keyed.hostinfo')" six
    equal "$(quickstart sql -N 'SELECT value FROM host_far_1_example_org.hostinfo')" seven
    equal "$(quickstart sql -N 'SELECT COUNT(*) FROM pofr_compat.hostinfo')" 2 "rows of all hosts"
    equal "$(tables_of host_keyed)" "$(tables_of pofr_compat)" tables
    equal "$(columns_of host_keyed)" "$(columns_of pofr_compat)" columns
    equal "$(admin_sql head "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = 'host_keyed' AND column_name IN ('host', 'host_id')")" 0
    ctl host expose keyed # again
    equal "$(ctl --json host show keyed | jq -r '.exposed[].database_name')" host_keyed
    exits 4 ctl host expose keyed --database another
    exits 1 ctl host expose nobody
    ctl host rename keyed keyed2 # the name of the database is what people know
    equal "$(ctl --json host expose keyed2 | jq -r .database)" host_keyed
    ctl host rename keyed2 keyed
}

only_the_shard_of_the_host_is_asked() {
    local table far
    far=$(shard_of Far-1.example.org)
    for table in $(tables_of host_keyed); do
        equal "$(admin_sql head "EXPLAIN PARTITIONS SELECT * FROM host_keyed.$table" | cut -f4)" "$(shard_of keyed)" "partitions of $table"
    done
    equal "$(admin_sql head "EXPLAIN PARTITIONS SELECT COUNT(*) FROM host_keyed.psinfo WHERE pid = 1 AND cyear = 2026" | cut -f4)" "$(shard_of keyed)"
    quickstart kill "$far"
    equal "$(quickstart sql -N 'SELECT value FROM host_keyed.hostinfo')" six
    fails quickstart sql -N 'SELECT value FROM host_far_1_example_org.hostinfo'
    exits 3 ctl status >"$POFR_TEST_WORK/shown"
    grep -q "not complete: shard $far at " "$POFR_TEST_WORK/said"
    grep -q '^hosts (not complete)' "$POFR_TEST_WORK/shown"
    exits 3 ctl --json status >"$POFR_TEST_WORK/shown"
    equal "$(jq -c '[.complete, .unreachable, .hosts[0].hosts]' "$POFR_TEST_WORK/shown")" "[false,[\"$far\"],1]"
    quickstart start "$far"
}

a_database_that_it_did_not_make_is_left_alone() {
    local name
    admin_sql head 'CREATE DATABASE host_vm_1_example_org; CREATE TABLE host_vm_1_example_org.mine (a INT)'
    exits 4 ctl host expose vm-1.example.org
    grep -q -- --database "$POFR_TEST_WORK/said"
    equal "$(tables_of host_vm_1_example_org)" mine
    equal "$(admin_sql head 'SELECT COUNT(*) FROM pofr_catalog.exposed')" 2 "exposed hosts"
    exits 4 ctl host expose vm-1.example.org --database host_keyed
    for name in pofr pofr_x mysql 'a`b' a.b ''; do exits 2 ctl host expose vm-1.example.org --database "$name"; done
    ctl host expose vm-1.example.org --database CASE42
    equal "$(quickstart sql -N 'SELECT COUNT(*) FROM CASE42.psinfo')" 0
    equal "$(admin_sql head "SELECT MAX(definer <> 'pofr_admin@127.0.0.1') FROM information_schema.views WHERE table_schema = 'CASE42'")" 0
}

# As a new version does it with a file of sql/shard: another view, another column. And what was lost with the head's disk.
migrate_makes_them_again() {
    local shard
    for shard in shard1 shard2; do
        admin_sql "$shard" 'CREATE VIEW pofr_compat.more AS SELECT host, host_id, slot AS place FROM pofr_store.host'
    done
    admin_sql head 'DROP VIEW host_keyed.psinfo; DROP DATABASE CASE42'
    ctl migrate
    equal "$(quickstart sql -N 'SELECT place FROM host_keyed.more')" 3
    for shard in shard1 shard2; do
        admin_sql "$shard" 'CREATE OR REPLACE VIEW pofr_compat.more AS SELECT host, host_id, slot AS place, 7 AS new FROM pofr_store.host'
    done
    ctl migrate
    equal "$(quickstart sql -N 'SELECT place, new FROM host_keyed.more')" $'3\t7'
    for shard in shard1 shard2; do admin_sql "$shard" 'DROP VIEW pofr_compat.more'; done
    admin_sql head 'DROP TABLE pofr_compat.more'
    equal "$(quickstart sql -N 'SELECT COUNT(*) FROM CASE42.psinfo')" 0
    equal "$(tables_of CASE42 | grep -v more)" "$(tables_of pofr_compat)"
    admin_sql head 'DROP DATABASE CASE42; CREATE DATABASE CASE42' # somebody else's now
    ctl migrate
    equal "$(tables_of CASE42)" ''
}

grants_of_the_analyst() { admin_sql head "SELECT REPLACE(db, CHAR(92), '!') FROM mysql.db WHERE user = 'pofr_analyst' AND db NOT LIKE 'pofr%' ORDER BY 1"; }

what_is_concealed_is_gone() {
    equal "$(grants_of_the_analyst)" $'CASE42\nhost!_far!_1!_example!_org\nhost!_keyed'
    admin_sql head 'CREATE DATABASE hostXkeyed; CREATE TABLE hostXkeyed.t (a INT)' # "_" is no wildcard
    fails quickstart sql 'SELECT * FROM hostXkeyed.t'
    ctl host conceal vm-1.example.org
    equal "$(admin_sql head "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = 'CASE42'")" 1 "somebody else's"
    admin_sql head 'CREATE TABLE host_keyed.mine (a INT)'
    exits 4 ctl host conceal keyed
    exits 4 ctl host erase keyed --yes
    equal "$(admin_sql head "SELECT state FROM pofr_catalog.host WHERE host = 'keyed'")" active
    admin_sql head 'DROP TABLE host_keyed.mine'
    equal "$(ctl --json host conceal keyed | jq -r .database)" host_keyed
    equal "$(ctl --json host conceal keyed | jq -r .database)" null
    fails quickstart sql 'SELECT * FROM host_keyed.psinfo'
    equal "$(ctl --json host show keyed | jq -r '.exposed | length')" 0
    ctl host erase Far-1.example.org --yes
    equal "$(quickstart sql -N "SELECT COUNT(*) FROM host WHERE host = 'Far-1.example.org'")" 0 "its row in SQL"
    equal "$(ctl --json host list --state erased | jq -r '.[].host')" Far-1.example.org "the catalog's tombstone"
    equal "$(admin_sql head "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name LIKE 'host\\_%'")" 1 "but host_vm_1_example_org"
    equal "$(grants_of_the_analyst)" '' "grants that outlive their database"
    exits 4 ctl host expose Far-1.example.org
}

# said_is TEXT: on standard error, and nothing else
said_is() { equal "$(cat -- "$POFR_TEST_WORK/said")" "$1" "on standard error"; }

wrong_use_is_told_with_the_help_that_fits() {
    exits 2 ctl host list --nix
    said_is 'pofrctl: there is no option --nix; see pofrctl host list --help'
    exits 2 ctl verify keyed --from
    said_is 'pofrctl: a value is missing behind --from; see pofrctl verify --help'
    exits 2 ctl host erase keyed --yes=1
    said_is 'pofrctl: no value belongs to --yes; see pofrctl host erase --help'
    exits 2 ctl host nix
    said_is 'pofrctl: no such command: host nix; see pofrctl host --help'
    exits 2 ctl nix
    said_is 'pofrctl: no such command: nix; see pofrctl --help'
    exits 1 ctl host show $'\e[31mnix'
    fails grep -q $'\e' "$POFR_TEST_WORK/said"
    exits 2 "$BUILD/ctl/pofrctl" --nix
    fails grep -qF "$BUILD" "$POFR_TEST_WORK/said"
}

what_a_host_said_does_not_reach_the_terminal_as_it_is() {
    admin_sql "$(shard_of keyed)" "INSERT INTO pofr_store.set_aside (slot, incarnation, kafka_offset, host_id, noted, reason, detail, message_key, headers, message)
        VALUES (3, 1, 8000, $(id_of keyed), UTC_TIMESTAMP(6), 'form', CONCAT('a ', CHAR(27), '[31m \"b\"'), '', '', 'x')"
    "$BUILD/ctl/pofrctl" --config "$POFR_STATE/etc/ctl.conf" set-aside show 3:1:8000 --output "$POFR_TEST_WORK/message" 2>"$POFR_TEST_WORK/said"
    equal "$(cat -- "$POFR_TEST_WORK/message")" x
    said_is 'host keyed, form: a \x1b[31m "b"'
    admin_sql "$(shard_of keyed)" "DELETE FROM pofr_store.set_aside WHERE kafka_offset = 8000"
}

# To a disk that is full, or with nobody to show it to; who closes a pipe has read enough.
a_page_that_can_not_be_written_is_no_success() {
    local words
    for words in 'host list' '--json host list' '--help'; do
        # shellcheck disable=SC2086
        exits 3 ctl $words >/dev/full
        grep -q "can't be written" "$POFR_TEST_WORK/said"
        # shellcheck disable=SC2086
        exits 3 ctl $words >&-
        grep -q "can't be written" "$POFR_TEST_WORK/said"
    done
}

words_that_there_are_not_are_refused_with_those_that_there_are() {
    exits 2 ctl host list --state nix
    grep -q 'pending, active, retired, erased' "$POFR_TEST_WORK/said"
    exits 2 ctl set-aside list --reason nix
    grep -q 'unknown_key' "$POFR_TEST_WORK/said"
    ctl host list --state active
    ctl set-aside list --reason form
}

a_token_is_not_written_over_a_file() {
    local file=$POFR_TEST_WORK/token
    ssh-keygen -q -t ed25519 -N '' -f "$POFR_TEST_WORK/gateway"
    : >"$file" # as mktemp leaves it
    ctl token create --gateway-key-file "$POFR_TEST_WORK/gateway.pub" --output "$file"
    cp -- "$file" "$file.before"
    exits 4 ctl token create --gateway-key-file "$POFR_TEST_WORK/gateway.pub" --output "$file"
    cmp -- "$file" "$file.before"
    ctl token create --gateway-key-file "$POFR_TEST_WORK/gateway.pub" --output "$file" --force
    fails cmp -s -- "$file" "$file.before"
    ctl token create --gateway-key-file "$POFR_TEST_WORK/gateway.pub" --output "$file.more" --unless "$file"
    [[ ! -e $file.more ]]
    ctl token create --gateway-key-file "$POFR_TEST_WORK/gateway.pub" --output "$file.more" --unless "$file.none" --gateway gw.example,gw2.example:22
    grep -q '^pofr1\.gw\.example:2222,gw2\.example:22\.' "$file.more" # where gateways listen, if nothing else is said
}

# --- bundles -----------------------------------------------------------------------------------------------------------

GOLDEN=tests/data/format/v1/host
golden() { printf '%s-%06d.bundle' "$GOLDEN" "$1"; }
line_of() { LC_ALL=C sed -n "s/^$2 //p;/^end$/q" "$(golden "$1")"; }
statement_of() { LC_ALL=C sed '/^end$/q' "$(golden "$1")"; }
stored_are() { [[ $(ledger "SELECT COUNT(*) FROM bundle WHERE host_id = $(id_of golden)") == "$1" ]]; }
ledger() { admin_sql "$(shard_of golden)" "USE pofr_store; $1"; }
place() { ctl --json bundle list golden --from "$1" --to "$1" | jq -r '.[0].place'; } # SLOT:INCARNATION:OFFSET

# publish N [HEADER]...: that bundle of the golden host, as a gateway does it
publish() {
    local n=$1 headers=() header
    shift
    for header; do headers+=(-H "$header"); done
    kcat -b "127.0.0.1:$(part_field kafka 3)" -P -t pofr.snapshots -p 3 -k "$(line_of 1 host)" -X acks=all -H pofr-version=1 \
        -H "pofr-received=${EPOCHREALTIME/./}" -H pofr-gateway=suite -H pofr-peer=127.0.0.1:1 "${headers[@]}" "$(golden "$n")"
}

# slot N FILTER: of what topic show says of it
slot() { ctl --json topic show --seconds 0 | jq -c ".slots[$1] | $2"; }
committed_is() { equal "$(slot 3 .committed)" "$1"; }

# A host of which there are bundles, stored by a worker; then there is none any more that could meddle
bundles_of_a_host() {
    local key n
    key=$(LC_ALL=C sed -n '/^-----BEGIN SSH SIG/,/^-----END SSH SIG/p;/^-----END SSH SIG/q' "$(golden 1)" | grep -v -- ----- |
        base64 -d | tail -c +34 | head -c 32 | od -An -v -tx1 | tr -d ' \n')
    quickstart start kafka
    ctl topic create
    enrolled "$key" golden golden
    admin_sql head "USE pofr_catalog; SET @id = $(id_of golden);
        UPDATE host SET host_uuid = UNHEX(REPLACE('$(line_of 1 host)', '-', '')) WHERE host_id = @id;
        UPDATE host_key SET key_id = UNHEX(SHA2(public_key, 256)) WHERE host_id = @id;
        UPDATE change_seq SET value = value + 1"
    quickstart start worker1
    for n in 1 2 3; do publish "$n"; done
    wait_until 60 stored_are 3 || {
        ledger 'SELECT slot, state, worker, next_offset FROM ingest_offset WHERE slot = 3; SELECT kafka_offset, reason, detail FROM set_aside'
        tail -n 30 -- "$POFR_STATE/log/worker1.log"
        return 1
    }
    wait_until 30 committed_is 3
    quickstart kill worker1
    ctl verify golden
    ctl verify golden --from 100000 | grep -x 'golden: no bundle is stored in that range: 0 problems; no gaps'
    equal "$(ctl --json verify golden --from 100000 | jq -c '[.bundles, .problem_count, .gaps]')" '[0,0,[]]'
    exits 2 ctl verify golden --from 10 --to 2
    exits 1 ctl verify Far-1.example.org
    grep -q 'is erased' "$POFR_TEST_WORK/said"
    quickstart kill shard2
    exits 3 ctl topic lag >"$POFR_TEST_WORK/shown"
    grep -q 'messages (not complete)$' "$POFR_TEST_WORK/shown"
    quickstart start shard2
}

a_bundle_comes_back_byte_for_byte() {
    local n out=$POFR_TEST_WORK/out facts=$POFR_TEST_WORK/facts
    equal "$(ctl --json bundle list golden | jq -c '[.[].sequence]')" '[1,2,3]'
    equal "$(ctl --json bundle list golden --last 2 | jq -c '[.[].sequence]')" '[2,3]'
    equal "$(ctl bundle list golden --from 2 --to 2 | tail -n +2 | awk '{ print $1, $NF }')" "2 $(statement_of 2 | sha256sum | cut -d' ' -f1)"
    for n in 1 2 3; do
        ctl --json bundle get golden "$n" --force --output "$out" >"$facts"
        cmp "$out" "$(golden "$n")"
        equal "$(jq -r .source "$facts")" kafka
        equal "$(jq -r .statement_digest "$facts")" "$(statement_of "$n" | sha256sum | cut -d' ' -f1)"
        equal "$(jq -r .payload_sha256 "$facts")" "$(line_of "$n" payload-sha256)"
    done
    ctl bundle get golden 1 | cmp - "$(golden 1)"
    equal "$(stat -c %a "$out")" 600
    exits 4 ctl bundle get golden 1 --output "$out"
    cmp "$out" "$(golden 3)"
    exits 1 ctl bundle get golden 99 --output "$out.99"
    exits 2 ctl bundle get golden x --output "$out.99"
    exits 2 ctl --json bundle get golden 1
    exits 1 ctl bundle get nobody 1 --output "$out.99"
    fails test -e "$out.99"
}

statement_and_signature_are_in_the_ledger_for_ever() {
    local out=$POFR_TEST_WORK/statement
    ctl --json bundle get golden 2 --without-payload --output "$out" >/dev/null
    head -c -"$(line_of 2 payload-bytes)" "$(golden 2)" | cmp - "$out"
}

the_keys_of_a_host_are_what_ssh_keygen_wants() {
    local allowed=$POFR_TEST_WORK/allowed_signers who
    ctl host key golden >"$allowed"
    sed '/^-----BEGIN SSH SIG/,$d' "$POFR_TEST_WORK/statement" >"$POFR_TEST_WORK/signed"
    sed -n '/^-----BEGIN SSH SIG/,$p' "$POFR_TEST_WORK/statement" >"$POFR_TEST_WORK/sig"
    for who in golden "$(line_of 1 host)"; do
        ssh-keygen -Y verify -f "$allowed" -I "$who" -n pofr-bundle -s "$POFR_TEST_WORK/sig" <"$POFR_TEST_WORK/signed"
    done
    ctl host key keyed >"$allowed"
    fails ssh-keygen -Y verify -f "$allowed" -I keyed -n pofr-bundle -s "$POFR_TEST_WORK/sig" <"$POFR_TEST_WORK/signed"
    equal "$(ctl --json host key golden | jq -r '.[].allowed_signers')" "$(ctl host key golden | grep -v '^#')"
    equal "$(ctl host key keyed | sed -n 's/^# \(SHA256:[^,]*\),.*/\1/p')" "$(ssh-keygen -lf "$POFR_TEST_WORK/key.pub" | cut -d' ' -f2)"
}

# gives_nothing STATUS PATTERN SEQUENCE [OPTION...]: no file, and why
gives_nothing() {
    local status=$1 pattern=$2
    shift 2
    exits "$status" ctl bundle get golden "$@" --output "$POFR_TEST_WORK/nothing"
    grep -q -- "$pattern" "$POFR_TEST_WORK/said"
    fails test -e "$POFR_TEST_WORK/nothing"
}

what_is_not_the_ledgers_bundle_is_not_given() {
    local id digest place slot incarnation offset
    id=$(id_of golden)
    digest=$(statement_of 2 | sha256sum | cut -d' ' -f1)
    place=$(place 2)
    IFS=: read -r slot incarnation offset <<<"$place"
    ledger "UPDATE bundle SET ticks = ticks + 1 WHERE host_id = $id AND sequence = 2"
    gives_nothing 1 altered 2
    ledger "UPDATE bundle SET ticks = ticks - 1, kafka_offset = kafka_offset + 1 WHERE host_id = $id AND sequence = 2"
    gives_nothing 1 'another one' 2
    ledger "UPDATE bundle SET kafka_offset = $offset WHERE host_id = $id AND sequence = 2"
    admin_sql head "UPDATE pofr_catalog.host_key SET public_key = REVERSE(public_key) WHERE host_id = $id"
    gives_nothing 1 signature 2
    gives_nothing 1 signature 2 --without-payload
    admin_sql head "UPDATE pofr_catalog.host_key SET public_key = REVERSE(public_key) WHERE host_id = $id"
    ledger "CREATE TEMPORARY TABLE twin AS SELECT * FROM bundle WHERE host_id = $id AND sequence = 2;
        UPDATE twin SET statement_digest = REVERSE(statement_digest); INSERT INTO bundle SELECT * FROM twin"
    gives_nothing 2 --digest 2
    ctl bundle get golden 2 --digest "$digest" | cmp - "$(golden 2)"
    ledger "DELETE FROM bundle WHERE host_id = $id AND sequence = 2 AND statement_digest <> UNHEX('$digest')"
    ledger "INSERT INTO gap (host_id, boot, kind, from_time, to_time, lost, noted, first_sequence, last_sequence)
        VALUES ($id, 1, 'sequence', UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), 1, UTC_TIMESTAMP(6), 40, 49);
        INSERT INTO set_aside (slot, incarnation, kafka_offset, host_id, noted, reason, detail, sequence, message_key, headers, message)
        VALUES (3, 1, 9000, $id, UTC_TIMESTAMP(6), 'conflict', '', 50, '', '', 'x')"
    gives_nothing 1 'gap (sequence)' 45
    gives_nothing 1 'set-aside show 3:1:9000' 50
    # another log has other messages at these offsets; what was set aside is whole in the shard
    ledger "UPDATE ingest_offset SET incarnation = incarnation + 1 WHERE slot = 3"
    gives_nothing 1 replaced 2
    ledger "INSERT INTO set_aside (slot, incarnation, kafka_offset, host_id, noted, reason, detail, sequence, message_key, headers, message)
        VALUES ($slot, $incarnation, $offset, $id, UTC_TIMESTAMP(6), 'unknown_kind', '', 2, '', '', UNHEX('$(od -An -v -tx1 "$(golden 2)" | tr -d ' \n')'))"
    equal "$(ctl --json bundle get golden 2 --output "$POFR_TEST_WORK/aside" | jq -r .source)" set_aside
    cmp "$POFR_TEST_WORK/aside" "$(golden 2)"
    ledger "DELETE FROM set_aside WHERE host_id = $id; UPDATE ingest_offset SET incarnation = incarnation - 1 WHERE slot = 3"
}

# An exit code of 1 is a finding, and nothing else is.
verify_names_every_gap_and_finds_what_is_gone() {
    local id
    id=$(id_of golden)
    ctl verify golden | tail -n 1 | tee "$POFR_TEST_WORK/shown"
    grep -E '^golden: 3 bundles, sequence 1 to 3: 0 problems, 0 missing \(in gap rows\); gaps: 1 stopped, 1 sequence \(1 record\)$' "$POFR_TEST_WORK/shown"
    ledger "INSERT INTO gap (host_id, boot, kind, from_time, to_time, lost, explained, noted) VALUES
        ($id, 1, 'crash', UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), NULL, 0, UTC_TIMESTAMP(6)),
        ($id, 1, 'ticks', UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), 3, 0, UTC_TIMESTAMP(6)),
        ($id, 1, 'ticks', UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), 4, 0, UTC_TIMESTAMP(6)),
        ($id, 1, 'spool', UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), 9, 1, UTC_TIMESTAMP(6)),
        ($id, 1, 'stopped', '2001-01-01', '2001-01-02', NULL, 0, UTC_TIMESTAMP(6))"
    ctl verify golden | tail -n 1 | grep -F '; gaps: 2 stopped, 1 crash, 2 ticks (7 records), 1 sequence (1 record)'
    ledger "DELETE FROM gap WHERE host_id = $id AND from_time > '2002-01-01'"
    ctl verify golden --from 2 | tail -n 1 | grep -F 'golden: 2 bundles, sequence 2 to 3: 0 problems, 0 missing (in gap rows); no gaps'
    equal "$(ctl --json verify golden | jq -c '.gaps')" '[{"kind":"stopped","gaps":1,"lost":null}]'
    ctl verify vm-1.example.org | grep -x 'vm-1.example.org: no bundle is stored, nothing to verify; no gaps' # as of a host that is new
    # what once was stored, and is gone
    ledger "CREATE DATABASE kept; CREATE TABLE kept.ledger AS SELECT * FROM bundle WHERE host_id = $id; DELETE FROM bundle WHERE host_id = $id"
    exits 1 ctl verify golden | grep 'sequence 3: removed'
    ledger "CREATE TABLE kept.state AS SELECT * FROM host_state WHERE host_id = $id; DELETE FROM host_state WHERE host_id = $id"
    exits 1 ctl verify golden | grep 'sequence 3: removed'
    ledger "INSERT INTO bundle SELECT * FROM kept.ledger; INSERT INTO host_state SELECT * FROM kept.state; DROP DATABASE kept"
    ctl verify golden
}

what_kafka_has_no_more_is_still_proven() {
    local offset
    source "$POFR_TREE/deploy/lib/kafka.sh"
    offset=$(place 3)
    printf '{"version": 1, "partitions": [{"topic": "pofr.snapshots", "partition": 3, "offset": %d}]}' "${offset##*:}" >"$POFR_TEST_WORK/cut.json"
    kafka_tool org.apache.kafka.tools.DeleteRecordsCommand --bootstrap-server "127.0.0.1:$(part_field kafka 3)" \
        --offset-json-file "$POFR_TEST_WORK/cut.json"
    gives_nothing 1 --without-payload 2
    ctl bundle get golden 2 --without-payload | cmp - "$POFR_TEST_WORK/statement"
    ctl bundle get golden 3 | cmp - "$(golden 3)"
    quickstart kill kafka
    gives_nothing 3 Kafka 3
}

# What a container runs that nobody watches: servers that come late are waited for, and what is there is left as it is.
setup_is_everything_at_once_and_may_be_repeated() {
    local i
    local -a shards=("shard1=127.0.0.1:$(part_field shard1 3)" "shard2=127.0.0.1:$(part_field shard2 3)")
    quickstart kill kafka || true # it is down already, or not
    exits 3 ctl setup "${shards[@]}"
    quickstart start kafka &
    page_block docs/OPERATING.md '## In containers' | sed "s/shard1=[^ ]*/${shards[0]}/; s/shard2=[^ ]*/${shards[1]}/" >"$POFR_TEST_WORK/setup"
    pofrctl() { ctl "$@"; }
    # shellcheck source=/dev/null
    for i in 1 2; do source "$POFR_TEST_WORK/setup"; done
    wait "$!"
    equal "$(shards)" shard1,shard2
    ctl topic check
    exits 3 ctl setup --wait 1 "${shards[@]}" shard9=127.0.0.1:1
    exits 2 ctl setup shard1
    exits 2 ctl setup =127.0.0.1:1
    exits 2 ctl setup --wait soon "${shards[@]}"
    exits 2 ctl topic create --replication 0
    equal "$(shards)" shard1,shard2
}

# --- the topic, watched ------------------------------------------------------------------------------------------------

tool() {
    local name=$1
    source "$POFR_TREE/deploy/lib/kafka.sh"
    shift
    kafka_tool "org.apache.kafka.tools.$name" --bootstrap-server "127.0.0.1:$(part_field kafka 3)" "$@"
}
# What the ordinary tool says of slot 3: its group's offset, the log's end, the lag
ordinary() { tool consumer.group.ConsumerGroupCommand --describe --group pofr-ingest | awk '$2 == "pofr.snapshots" && $3 == 3 { print $4, $5, $6 }'; }
ordinary_is() { equal "$(ordinary)" "$1" "kafka-consumer-groups"; }

# problems: PROBLEM:SLOTS of topic health, a line each; the exit code is topic health's
problems() {
    local status=0
    ctl --json topic health >"$POFR_TEST_WORK/health" || status=$?
    jq -r '.[] | .problem + (if .list then ":" + .list else "" end)' "$POFR_TEST_WORK/health" | sort
    return "$status"
}
problems_are() { equal "$(problems | tr '\n' ' ')" "$1" "problems"; }

slot_64_has_no_shard() { grep -qx no_shard:64 < <(problems || true); }

# The two messages were looked at 100 s ago, on their host.
lag_is_told_while_nobody_reads() {
    local n
    quickstart start kafka
    for n in 4 5; do publish "$n" "pofr-offset=$((${EPOCHREALTIME/./} - 100000000 - $(line_of "$n" boot-to)))"; done
    equal "$(ctl --json topic lag | jq -c '.[] | select(.slot == 3) | [.lag, .log_end, .next_offset, .lag_seconds >= 100, .lag_seconds < 160, .kafka_seconds < 60]')" \
        '[2,5,3,true,true,true]'
    equal "$(slot 3 '[.lag, .committed, .margin_seconds > 604700, .margin_seconds <= 604800]')" '[2,3,true,true]'
    equal "$(slot 4 '[.lag, .lag_seconds, .margin_seconds]')" '[0,0,604800]'
    ctl topic show --seconds 0 | grep -E '^ +3  .* +1/1 +[0-2] +5 +3 +2 +(1[0-9]+s|[12]m)'
    ctl topic lag | grep 'lag in all: 2 messages$'
    wait_until 60 problems_are 'no_members no_owner:0-63 '
    fails problems
    ordinary_is '3 5 2'
}

a_workers_name_does_not_get_out_of_its_column() {
    local name=$'\e[31ma"b'
    admin_sql "$(shard_of golden)" "UPDATE pofr_store.ingest_offset SET worker = CONCAT(CHAR(27), '[31ma\"b') WHERE worker = '' LIMIT 1"
    equal "$(ctl --json topic lag | jq -r --arg name "$name" 'map(select(.worker == $name)) | length')" 1
    ctl topic lag --all >"$POFR_TEST_WORK/shown"
    grep -qF '\x1b[31ma"b' "$POFR_TEST_WORK/shown"
    fails grep -q $'\e' "$POFR_TEST_WORK/shown"
    admin_sql "$(shard_of golden)" "UPDATE pofr_store.ingest_offset SET worker = '' WHERE worker = CONCAT(CHAR(27), '[31ma\"b')"
}

a_worker_takes_it_up() {
    quickstart start worker1
    wait_until 60 stored_are 5
    wait_until 60 problems_are ''
    problems
    equal "$(slot 3 '[.lag, .owner, .problems]')" '[0,"worker1",[]]'
    wait_until 30 ordinary_is '5 5 0'
    ctl topic show --seconds 1 | grep -E '^  worker1 +64 slots  from 127\.0\.0\.1'
    equal "$(ctl --json topic show --seconds 1 | jq -c '.slots[3] | [.in_per_second, .out_per_second]')" '[0,0]'
    ctl topic health | grep -x 'pofr.snapshots: 64 slots, all written, read and stored'
}

# Of all slots: how many the tool names a lag of, and the sum
lag_by_the_tool() { tool consumer.group.ConsumerGroupCommand --describe --group pofr-ingest | awk '$2 == "pofr.snapshots" && $6 ~ /^[0-9]+$/ { n++; sum += $6 } END { print n + 0, sum + 0 }'; }
lag_by_the_tool_is() { equal "$(lag_by_the_tool)" "$1" "kafka-consumer-groups, all slots"; }
# What kcat reads from where the group stands: offsets of the messages that wait. It moves the group to the end.
read_by_kcat() { kcat -b "127.0.0.1:$(part_field kafka 3)" -C -t pofr.snapshots -p 3 -o stored -e -q -f '%o ' -X group.id=pofr-ingest; }
group_stands_at() { tool consumer.group.ConsumerGroupCommand --reset-offsets --group pofr-ingest --topic pofr.snapshots:3 --to-offset "$1" --execute; }

# A worker that dies between the shard's commit and Kafka's leaves the group behind, in a slot to which nothing may come for hours.
ordinary_tools_see_the_true_lag() {
    wait_until 30 lag_by_the_tool_is '64 0'
    quickstart kill worker1
    publish 5 # once more: it is the sixth message
    wait_until 60 group_is_empty
    group_stands_at 2
    lag_by_the_tool_is '64 4'
    equal "$(read_by_kcat)" '2 3 4 5 ' "kcat"
    group_stands_at 2
    equal "$(slot 3 '[.lag, .next_offset, .committed, .log_end]')" '[1,5,2,6]' "pofrctl asks the shard"
    quickstart start worker1
    wait_until 60 lag_by_the_tool_is '64 0'
    ordinary_is '6 6 0'
    equal "$(read_by_kcat)" '' "kcat"
    equal "$(kcat -b "127.0.0.1:$(part_field kafka 3)" -Q -t pofr.snapshots:3:-1 | awk '{ print $NF }')" 6 "the log's end, by kcat"
    equal "$(slot 3 '[.lag, .next_offset, .committed, .log_end]')" '[0,6,6,6]'
}
group_is_empty() { equal "$(ctl --json topic show --seconds 0 | jq -r .group_state)" Empty; }

# No merger runs here.
status_says_what_it_does_not_know() {
    local shown=$POFR_TEST_WORK/shown said=$POFR_TEST_WORK/said
    ctl --json status >"$shown" 2>"$said"
    equal "$(jq -c .watched "$shown")" '[{"shard":"shard1","seconds":null},{"shard":"shard2","seconds":null}]'
    grep -q 'shard shard1: no merger has looked yet' "$said"
    admin_sql shard1 "INSERT INTO pofr_store.slot_watch VALUES (3, 0, 0, UTC_TIMESTAMP(6) - INTERVAL 500 SECOND)"
    admin_sql shard2 "INSERT INTO pofr_store.slot_watch VALUES (40, 0, 0, UTC_TIMESTAMP(6) - INTERVAL 5 SECOND)"
    ctl status >/dev/null 2>"$said"
    grep -E 'shard shard1: what is told of its bundles is of 5[0-9][0-9] s ago, when its merger looked last' "$said"
    fails grep shard2 "$said"
    admin_sql shard1 'DELETE FROM pofr_store.slot_watch'
    sed 's|^address = .*|address = 127.0.0.1:1|' "$POFR_STATE/etc/ctl.conf" >"$POFR_TEST_WORK/nobody.conf" # head and catalog
    chmod 600 "$POFR_TEST_WORK/nobody.conf"
    exits 3 "$BUILD/ctl/pofrctl" --quiet --config "$POFR_TEST_WORK/nobody.conf" status >"$shown"
    grep -q 'without head and catalog nothing is known here of hosts, bundles, gaps and shards' "$said"
    grep -qx 'hosts: not known' "$shown"
    grep -qx 'lag: 0 messages in 0 of 64 slots, by what 1 worker told Kafka' "$shown"
    exits 3 "$BUILD/ctl/pofrctl" --quiet --config "$POFR_TEST_WORK/nobody.conf" --json status >"$shown"
    equal "$(jq -c '[.complete, .hosts, .kinds, .cloned, .lag]' "$shown")" \
        '[false,null,null,null,{"slots":64,"behind":0,"messages":0,"workers":1,"complete":false}]'
}

topic_settings() {
    source "$POFR_TREE/deploy/lib/kafka.sh"
    kafka_tool kafka.admin.ConfigCommand --bootstrap-server "127.0.0.1:$(part_field kafka 3)" --alter --entity-type topics --entity-name pofr.snapshots "$@"
}
problems_include() { equal "$( (problems || true) | grep -E '^(below_min_isr|retention|settings)' | tr '\n' ' ')" "$1" "problems of settings"; }

a_slot_waits_for_its_shard() { [[ $(admin_sql head "SELECT COUNT(*) > 0 FROM pofr_catalog.slot_worker WHERE cause = 'shard'") == 1 ]]; }

what_is_wrong_with_a_slot_is_named() {
    tool TopicCommand --alter --topic pofr.snapshots --partitions 65
    wait_until 60 slot_64_has_no_shard # the worker sees new partitions when it asks for the topic's shape again
    quickstart kill shard2
    exits 3 ctl topic show --seconds 0 >"$POFR_TEST_WORK/shown"
    ctl --json topic health >"$POFR_TEST_WORK/shown" || true
    jq -e 'map(select(.problem == "shard_down")) | length == 1' "$POFR_TEST_WORK/shown"
    wait_until 30 a_slot_waits_for_its_shard
    admin_sql head "UPDATE pofr_catalog.slot_worker SET since = since - INTERVAL 100 SECOND WHERE cause = 'shard'"
    ctl topic health >"$POFR_TEST_WORK/shown" || true
    grep -E '^paused: .*; workers say: shard \(why stands in the log of worker1\)' "$POFR_TEST_WORK/shown"
    ctl --json topic health >"$POFR_TEST_WORK/shown" || true
    equal "$(jq -c '.[] | select(.problem == "paused") | [.causes, .workers]' "$POFR_TEST_WORK/shown")" '["shard",["worker1"]]'
    quickstart start shard2
    quickstart kill worker1
    publish 6
    equal "$(slot 3 '.lag')" 1
    topic_settings --add-config retention.ms=3600000,min.insync.replicas=2
    wait_until 30 problems_include 'below_min_isr:0-64 retention:3 settings '
    equal "$(slot 3 '[.margin_seconds > 3000, .margin_seconds <= 3600]')" '[true,true]'
    topic_settings --add-config retention.ms=604800000,min.insync.replicas=1
    printf '{"version": 1, "partitions": [{"topic": "pofr.snapshots", "partition": 3, "offset": 7}]}' >"$POFR_TEST_WORK/cut.json"
    tool DeleteRecordsCommand --offset-json-file "$POFR_TEST_WORK/cut.json"
    equal "$(slot 3 '.problems | index("lost") != null')" true
    quickstart kill kafka
    exits 3 ctl topic show --seconds 0
    exits 3 ctl topic health
}

# Help needs no configuration: there is none under this name.
help_is_there_for_every_command() {
    local noun verb
    helped() { "$BUILD/ctl/pofrctl" --config "$POFR_TEST_WORK/none" "$@"; }
    exits 2 helped
    exits 2 helped host
    grep -q 'host rename' "$POFR_TEST_WORK/said"
    exits 2 helped help nonsense
    grep -qF 'no such command: nonsense; see' "$POFR_TEST_WORK/said"
    helped help | grep -q '^  token create '
    helped --help | sed -nE 's/^  ([a-z]+(-[a-z]+)*) ([a-z]+)?.*/\1 \3/p' >"$POFR_TEST_WORK/commands"
    [[ $(wc -l <"$POFR_TEST_WORK/commands") -gt 15 ]]
    while read -r noun verb; do
        helped "$noun" --help >/dev/null
        helped "$noun" ${verb:+"$verb"} --help | grep -q "^Usage: pofrctl \[options\] $noun${verb:+ $verb}"
    done <"$POFR_TEST_WORK/commands"
    helped token create --help | grep -q '^  --expires TIME '
}

cases one_shard a_shard_without_slots_can_be_removed what_was_removed_can_be_added_again a_shard_that_does_not_answer_the_head_is_told a_server_that_is_not_there_is_not_entered \
    slots_that_can_not_be_given_are_refused_before_anything_is_entered the_head_is_no_shard without_its_password_the_exit_code_says_configuration an_account_gets_no_empty_password a_server_is_one_shard_whatever_it_is_called \
    a_shard_that_never_was_can_be_removed a_shard_that_owns_slots_is_not_removed a_name_is_a_word_whoever_gives_it \
    a_key_is_shown_as_ssh_keygen_shows_it json_is_made_for_scripts a_host_has_a_database_of_its_own only_the_shard_of_the_host_is_asked \
    a_database_that_it_did_not_make_is_left_alone migrate_makes_them_again what_is_concealed_is_gone \
    wrong_use_is_told_with_the_help_that_fits what_a_host_said_does_not_reach_the_terminal_as_it_is a_page_that_can_not_be_written_is_no_success words_that_there_are_not_are_refused_with_those_that_there_are \
    a_token_is_not_written_over_a_file bundles_of_a_host a_bundle_comes_back_byte_for_byte statement_and_signature_are_in_the_ledger_for_ever \
    the_keys_of_a_host_are_what_ssh_keygen_wants what_is_not_the_ledgers_bundle_is_not_given \
    verify_names_every_gap_and_finds_what_is_gone what_kafka_has_no_more_is_still_proven \
    setup_is_everything_at_once_and_may_be_repeated lag_is_told_while_nobody_reads \
    a_workers_name_does_not_get_out_of_its_column a_worker_takes_it_up ordinary_tools_see_the_true_lag status_says_what_it_does_not_know what_is_wrong_with_a_slot_is_named help_is_there_for_every_command
