#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# docker-entrypoint.sh -- a new data folder gets the accounts root, whose password is in $MARIADB_ROOT_PASSWORD_FILE, from
# anywhere, and healthcheck, from inside, and the time zones; then the server, as process 1 and never as root.
set -euo pipefail
umask 077

[[ ${1:-} != -* ]] || set -- mariadbd "$@"
if [[ $1 == mariadbd && $(id -u) -eq 0 ]]; then
    chown mysql: /var/lib/mysql
    exec setpriv --reuid mysql --regid mysql --init-groups "${BASH_SOURCE[0]}" "$@"
fi

readonly DATA=/var/lib/mysql SOCKET=/run/mysqld/mysqld.sock

client() { mariadb --no-defaults --protocol=socket --socket="$SOCKET" --user=root "$@"; }
# quoted TEXT: as the inside of an SQL string
quoted() { local text=${1//\\/\\\\}; printf '%s' "${text//\'/\\\'}"; }

init() {
    local password health pid host i
    password=$(cat -- "${MARIADB_ROOT_PASSWORD_FILE:?}")
    health=$(head -c 24 /dev/urandom | base64 | tr '+/' 'xy')
    mariadb-install-db --datadir="$DATA" --rpm --auth-root-authentication-method=normal --cross-bootstrap --skip-test-db \
        --default-time-zone=SYSTEM --skip-log-bin "$@"
    mariadbd "$@" --skip-networking --socket="$SOCKET" &
    pid=$!
    for ((i = 0; i < 300; i++)); do
        ! client -e 'SELECT 1' >/dev/null 2>&1 || break
        kill -0 "$pid" || exit 1
        sleep 0.1
    done
    mariadb-tzinfo-to-sql --skip-write-binlog /usr/share/zoneinfo 2>/dev/null | client --database=mysql
    {
        printf "SET PASSWORD FOR root@localhost = PASSWORD('%s');\n" "$(quoted "$password")"
        printf "CREATE USER root@'%%' IDENTIFIED BY '%s'; GRANT ALL ON *.* TO root@'%%' WITH GRANT OPTION;\n" "$(quoted "$password")"
        for host in 127.0.0.1 ::1 localhost; do
            printf "CREATE USER healthcheck@'%s' IDENTIFIED BY '%s';\n" "$host" "$health"
        done
    } | client --database=mysql
    printf '[mariadb-client]\nsocket=%s\nuser=healthcheck\npassword=%s\n' "$SOCKET" "$health" >"$DATA/.my-healthcheck.cnf"
    kill "$pid"
    wait "$pid"
}

if [[ $1 == mariadbd && ! -d $DATA/mysql ]]; then init "${@:2}"; fi
exec "$@"
