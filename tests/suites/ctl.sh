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
    build_preset release --target pofrctl
    quickstart start head shard1 shard2
    ctl migrate
    ctl shard add shard1 --address "127.0.0.1:$(part_field shard1 3)" --if-exists update
    equal "$(shards)" shard1
}

a_shard_without_slots_can_be_removed() {
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
    exits 4 ctl shard remove shard2
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
    ctl host show keyed | grep -qF '{"ticks":7'
    admin_sql "$part" "UPDATE pofr_store.host_state SET recorder = '{\"ticks\":' WHERE host_id = $id" # cut: no JSON
    equal "$(ctl --json host show keyed | jq -c '.stored[0].recorder')" null
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

cases one_shard a_shard_without_slots_can_be_removed what_was_removed_can_be_added_again a_server_that_is_not_there_is_not_entered \
    slots_that_can_not_be_given_are_refused_before_anything_is_entered a_server_is_one_shard_whatever_it_is_called \
    a_shard_that_never_was_can_be_removed a_shard_that_owns_slots_is_not_removed a_name_is_a_word_whoever_gives_it \
    a_key_is_shown_as_ssh_keygen_shows_it json_is_made_for_scripts words_that_there_are_not_are_refused_with_those_that_there_are \
    a_token_is_not_written_over_a_file help_is_there_for_every_command
