# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# mariadb.sh -- the parts head, shard1, shard2: private servers that read no option file of the system.
#
# A new server knows one account: the system user who starts quickstart, by its unix socket. From the
# first start on there is `pofr_admin` too (secrets/admin.pw); all others are made by pofrctl.

mariadb_socket() { printf '%s/run/%s/sock' "$STATE" "$1"; }

# What every head and shard is set to (deploy/mariadb), and what is this server's own.
mariadb_configure() {
    local name kind pool redo
    for name in head shard1 shard2; do
        kind=shard pool=${POFR_SHARD_POOL:-128M} redo=${POFR_SHARD_REDO:-96M}
        if [[ $name == head ]]; then
            kind=head pool=${POFR_HEAD_POOL:-64M} redo=48M
        fi
        {
            cat -- "$POFR_TREE/deploy/mariadb/$kind.cnf"
            printf '\n# Of this server alone\n'
            printf '%s = %s\n' datadir "$STATE/data/$name" socket "$(mariadb_socket "$name")" \
                pid-file "$STATE/data/$name/mariadbd.pid" port "${PORTS[$name]}" bind-address 127.0.0.1 \
                innodb_buffer_pool_size "$pool" innodb_log_file_size "$redo"
            if tls_is_on; then
                printf '%s = %s\n' ssl_cert "$TLS_DIR/$name.pem" ssl_key "$TLS_DIR/$name.pem" ssl_ca "$TLS_DIR/ca.crt"
                cat -- "$POFR_TREE/deploy/mariadb/tls.cnf"
            fi
        } | write_file "$STATE/etc/$name.cnf" 644
    done
}

# mariadb_install PART: a data folder appears whole or not at all
mariadb_install() {
    local name=$1
    local new=$STATE/data/$name.new.$$ log=$STATE/log/$name-install.log
    [[ ! -d $STATE/data/$name ]] || return 0
    remove_unfinished "$STATE/data/$name"
    mkdir -p -- "$STATE/tmp/$name"
    # not in /tmp: there any other server that starts removes the temporary tables of this one (#sql…)
    run_logged "$name" "making its data folder" "$log" mariadb-install-db --no-defaults --datadir="$new" --tmpdir="$STATE/tmp/$name" \
        --auth-root-authentication-method=socket --auth-root-socket-user="$ME" \
        --skip-test-db --skip-name-resolve --user="$ME" || {
        # its last lines are advice: the cause stands before
        grep -i error -- "$log" >"$log.errors" || cp -- "$log" "$log.errors"
        fail "$name" "mariadb-install-db failed" "$log.errors" "room on the disk? df -h $STATE" "deploy/deps check"
    }
    mv -- "$new" "$STATE/data/$name"
}

mariadb_start() {
    local name=$1
    mariadb_install "$name"
    mkdir -p -- "$STATE/run/$name" "$STATE/tmp/$name"
    give_to "$(user_of "$name")" "$STATE/data/$name" "$STATE/run/$name" "$STATE/tmp/$name"
    # the third-party tools' own files (sort, big temporary tables) stay in the state folder as well
    # the server refuses to run as root unless it is told to
    spawn "$name" mariadbd --defaults-file="$STATE/etc/$name.cnf" --user="$(user_of "$name")" --tmpdir="$STATE/tmp/$name"
}

# mariadb_root PART [OPTION...]: the client as the server's owner; statements on standard input
mariadb_root() {
    local name=$1
    shift
    mariadb --no-defaults --socket="$(mariadb_socket "$name")" --user="$ME" --batch --skip-column-names "$@"
}

mariadb_ready() {
    local pid
    # the server that answers must be the one that we started
    { read -r pid <"$STATE/data/$1/mariadbd.pid"; } 2>/dev/null && part_is_alive "$1" && [[ $pid == "$PART_PID" ]] || return 1
    mariadb-admin --no-defaults --socket="$(mariadb_socket "$1")" --user="$ME" --connect-timeout=2 ping >/dev/null 2>&1 &&
        mariadb_has_admin "$1"
}

# mariadb_has_admin PART: see to it that the account that pofrctl uses is there, with the password we hold
mariadb_has_admin() {
    [[ -e $STATE/data/$1/pofr_admin.made ]] && return 0
    local password
    password=$(secret admin)
    mariadb_root "$1" >>"$(log_of "$1")" 2>&1 <<SQL || return 1
CREATE OR REPLACE USER pofr_admin@'127.0.0.1' IDENTIFIED BY '$password';
GRANT ALL PRIVILEGES ON *.* TO pofr_admin@'127.0.0.1' WITH GRANT OPTION;
SQL
    : >"$STATE/data/$1/pofr_admin.made"
}

# head_is_safe: Spider is there and does not push down what it answers wrongly. The last name is one that must be on, where
# this version has it: it must not be among those that are off
head_is_safe() {
    [[ $(mariadb_root head -e "SHOW GLOBAL VARIABLES WHERE Value IN ('OFF', '0') AND Variable_name IN
            ('spider_direct_aggregate', 'spider_direct_order_limit', 'spider_semi_split_read', 'spider_disable_group_by_handler')" 2>/dev/null | wc -l) -eq 3 ]]
}

# option_file PATH USER SECRET PORT [DATABASE]: for any MariaDB client
option_file() {
    {
        printf '[client]\nhost = 127.0.0.1\nport = %s\nuser = %s\npassword = %s\nprotocol = tcp\n' "$4" "$2" "$(secret "$3")"
        printf 'default-character-set = utf8mb4\n'
        ! tls_is_on || printf 'ssl-ca = %s\nssl-verify-server-cert\n' "$TLS_DIR/ca.crt"
        [[ -z ${5:-} ]] || printf '\n[mariadb-client]\ndatabase = %s\n' "$5"
    } | write_file "$1" 600
}
