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

two_shards() {
    build_preset release --target pofrctl
    quickstart start head shard1 shard2
    ctl migrate
    ctl shard add shard1 --address "127.0.0.1:$(part_field shard1 3)" --if-exists update
    ctl shard add shard2 --address "127.0.0.1:$(part_field shard2 3)" --if-exists update
    equal "$(shards)" shard1,shard2
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
    exits 4 ctl shard add twin --address "localhost:$port" --slots none
    exits 4 ctl shard add shard2 --address "127.0.0.1:$port" --if-exists update
    equal "$(shards)" shard1,shard2
    ctl shard add shard1 --address "localhost:$port" --if-exists update # its own other address
    ctl shard add shard1 --address "127.0.0.1:$port" --if-exists update
}

a_shard_without_slots_can_be_removed() {
    ctl shard add third --address "127.0.0.1:$(part_field head 3)" --slots none
    equal "$(shards)" shard1,shard2,third
    equal "$(servers)" shard1,shard2,third
    ctl shard remove third
    equal "$(shards)" shard1,shard2
    equal "$(servers)" shard1,shard2
    exits 1 ctl shard remove third
    quickstart sql -N 'SELECT COUNT(*) FROM host'
    ctl migrate
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

cases two_shards a_server_that_is_not_there_is_not_entered slots_that_can_not_be_given_are_refused_before_anything_is_entered \
    a_server_is_one_shard_whatever_it_is_called a_shard_without_slots_can_be_removed a_shard_that_never_was_can_be_removed \
    a_shard_that_owns_slots_is_not_removed
