#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# inside the cluster: certificates, who may do what with them, and what is refused (--long: servers without TLS, accounts)
# timeout: 500
# order: 47
# jobs: 1
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"

source "$(dirname -- "${BASH_SOURCE[0]}")/../../deploy/lib/kafka.sh"

W=$POFR_TEST_WORK
BUILD=$POFR_TREE/build/release
PKI=$W/pki

pki() { "$BUILD/ctl/pofrctl" --config /dev/null pki "$@"; }

modes_of() { (cd -- "$1" && find . -printf '%m %P\n' | sort -k2); }

a_ca_and_what_it_issues_are_in_their_folder_with_their_modes() {
    build_preset release --target pofrctl
    exit_code 1 pki show --dir "$PKI"
    pki init --dir "$PKI"
    pki issue kafka1 --server --names localhost,127.0.0.1 --dir "$PKI"
    pki issue pofr-gateway --dir "$PKI"
    equal "$(modes_of "$PKI")" "700 
644 ca.crt
600 ca.key
700 issued
644 issued/kafka1.crt
644 issued/pofr-gateway.crt
600 kafka1.pem
600 pofr-gateway.pem"
    openssl verify -x509_strict -CAfile "$PKI/ca.crt" -purpose sslserver -verify_hostname localhost "$PKI/issued/kafka1.crt"
    openssl verify -x509_strict -CAfile "$PKI/ca.crt" -purpose sslserver -verify_ip 127.0.0.1 "$PKI/kafka1.pem"
    openssl verify -x509_strict -CAfile "$PKI/ca.crt" -purpose sslclient "$PKI/pofr-gateway.pem"
    fails openssl verify -CAfile "$PKI/ca.crt" -purpose sslserver "$PKI/pofr-gateway.pem"
    fails openssl verify -CAfile "$PKI/ca.crt" -purpose sslserver -verify_hostname other "$PKI/kafka1.pem"
    equal "$(openssl pkey -in "$PKI/kafka1.pem" -pubout)" "$(openssl x509 -in "$PKI/kafka1.pem" -noout -pubkey)" "public key"
}

nothing_is_overwritten_unless_it_is_said() {
    local before
    before=$(sha256sum "$PKI"/* "$PKI"/issued/* 2>/dev/null || true)
    exit_code 4 pki init --dir "$PKI"
    exit_code 4 pki issue kafka1 --server --dir "$PKI"
    exit_code 4 pki issue another --dir "$PKI" --output "$PKI/kafka1.pem"
    exit_code 2 pki issue ca --dir "$PKI"
    exit_code 2 pki issue ../kafka1 --dir "$PKI"
    exit_code 2 pki issue kafka2 --server --names 'a b' --dir "$PKI"
    equal "$(sha256sum "$PKI"/* "$PKI"/issued/* 2>/dev/null || true)" "$before" "the folder"
    pki issue kafka1 --server --names localhost --dir "$PKI" --force
    fails openssl verify -CAfile "$PKI/ca.crt" -verify_ip 127.0.0.1 "$PKI/kafka1.pem"
    pki issue kafka1 --server --names localhost,127.0.0.1 --dir "$PKI" --force
}

# The key of before is gone from where it was used, too: what is renewed is written from what was issued.
renewing_keeps_name_and_names_and_takes_a_new_key() {
    local before serial
    before=$(openssl x509 -in "$PKI/kafka1.pem" -noout -pubkey)
    serial=$(pki --json show --dir "$PKI" | jq -r '.[] | select(.name == "kafka1").serial')
    rm -- "$PKI/kafka1.pem"
    pki renew kafka1 --dir "$PKI" --days 30
    fails equal "$(openssl x509 -in "$PKI/kafka1.pem" -noout -pubkey)" "$before"
    openssl verify -CAfile "$PKI/ca.crt" -purpose sslserver -verify_ip 127.0.0.1 "$PKI/kafka1.pem"
    pki --json show --dir "$PKI" | jq -e --arg serial "$serial" \
        '.[] | select(.name == "kafka1") | .serial != $serial and .kind == "server" and .days >= 29 and .days <= 30
            and .names == "DNS:localhost,IP:127.0.0.1" and .state == "good"'
    before=$(sha256sum "$PKI/kafka1.pem" "$PKI/pofr-gateway.pem")
    pki renew --all --within 20 --dir "$PKI"
    equal "$(sha256sum "$PKI/kafka1.pem" "$PKI/pofr-gateway.pem")" "$before" "what is good for longer"
    exit_code 1 pki show --dir "$PKI" --within 40
    pki renew --all --within 40 --dir "$PKI" --days 90
    pki show --dir "$PKI" --within 40
    fails sha256sum --check --status <(head -n 1 <<<"$before")
    sha256sum --check <(tail -n 1 <<<"$before")
    exit_code 1 pki renew nobody --dir "$PKI"
}

a_renewed_ca_vouches_for_what_is_in_use() {
    cp -- "$PKI/ca.crt" "$W/ca.before"
    pki renew ca --days 5000 --dir "$PKI"
    openssl verify -CAfile "$PKI/ca.crt" "$PKI/kafka1.pem" "$PKI/pofr-gateway.pem"
    pki renew pofr-gateway --dir "$PKI"
    openssl verify -CAfile "$W/ca.before" "$PKI/pofr-gateway.pem" # who has not got the new one yet
}

certificates_that_were_brought_along_are_shown() {
    pki init --dir "$W/other" --name other-ca
    pki issue stranger --server --dir "$W/other"
    pki show --dir "$PKI" "$PKI/kafka1.pem" "$PKI/ca.crt"
    exit_code 1 pki --json show --dir "$PKI" "$W/other/stranger.pem" >"$W/shown"
    jq -e '.[0] | .state == "other CA" and .issuer == "CN=other-ca" and .names == "DNS:stranger"' "$W/shown"
    exit_code 1 pki show --dir "$PKI" /etc/passwd
    chmod 644 -- "$W/other/ca.key"
    exit_code 4 pki issue more --dir "$W/other"
}


what_is_ensured_is_made_once_and_renewed_in_time() {
    local all=$W/all
    pki ensure --dir "$all" kafka=kafka,127.0.0.1,fd00::1 pofr-gateway --days 20
    before=$(sha256sum "$all"/*.*)
    pki ensure --dir "$all" kafka=kafka,127.0.0.1,fd00::1 pofr-gateway --within 5
    equal "$(sha256sum "$all"/*.*)" "$before" "what is good"
    pki ensure --dir "$all" kafka=kafka,127.0.0.2,fd00::1 pofr-gateway --within 5 --group "$(id -g)"
    openssl verify -CAfile "$all/ca.crt" -verify_ip 127.0.0.2 "$all/kafka.pem"
    equal "$(stat -c %a -- "$all/kafka.pem")" 640 "mode where a group reads"
    sha256sum --check --status <(grep -E '/(ca\.|pofr-gateway)' <<<"$before")
    rm -- "$all/pofr-gateway.pem"
    pki ensure --dir "$all" pofr-gateway --within 5
    openssl verify -CAfile "$all/ca.crt" -purpose sslclient "$all/pofr-gateway.pem"
    pki ensure --dir "$all" kafka=kafka,127.0.0.2,fd00::1 # 30 days
    pki show --dir "$all" --within 30
    equal "$(stat -c %a -- "$all/kafka.pem")" 640 "mode that stays"
    exit_code 2 pki ensure --dir "$all" kafka=
    pki ensure --dir "$all" --into "$W/folders" head=head pofr-worker
    openssl verify -CAfile "$W/folders/pofr-worker/ca.crt" -purpose sslclient "$W/folders/pofr-worker/pofr-worker.pem"
    equal "$(modes_of "$W/folders/head" | tr '\n' ' ')" "750  644 ca.crt 600 head.pem " "a folder for one"
    pki renew ca --dir "$all"
    pki ensure --dir "$all" --into "$W/folders" head=head pofr-worker
    cmp -- "$all/ca.crt" "$W/folders/head/ca.crt"
}

# --- a cluster ------------------------------------------------------------------------------------------------------

TLS=$POFR_STATE/secrets/pki

ctl() { "$BUILD/ctl/pofrctl" --quiet --config "$POFR_STATE/etc/ctl.conf" "$@"; }
metric() { curl -sf --max-time 5 "http://127.0.0.1:$(sed -n "s/^$1-metrics=//p" "$POFR_STATE/etc/ports")/metrics" | awk -v name="$2" '$1 == name { print $2 }'; }
metric_is() { [[ $(metric "$1" "$2") == "$3" ]]; }
port() { sed -n "s/^$1=//p" "$POFR_STATE/etc/ports"; }
log_says() { tail -n +"$((${2} + 1))" -- "$POFR_STATE/log/$1.log" | grep -qE -- "$3"; }
log_lines() { wc -l <"$POFR_STATE/log/$1.log"; }
stored() { quickstart sql -N 'SELECT COALESCE(MAX(sequence), 0) FROM bundle'; }
has_stored() { [[ $(stored) -gt $1 ]]; }

# other_conf SED: pofrctl's configuration, changed
other_conf() { sed -E "$@" "$POFR_STATE/etc/ctl.conf" >"$W/other.conf" && chmod 600 "$W/other.conf"; }

# refused EXIT PATTERN COMMAND...: of pofrctl with that configuration
refused() {
    local code=$1 pattern=$2 status=0
    shift 2
    "$BUILD/ctl/pofrctl" --quiet --config "$W/other.conf" "$@" >"$W/said" 2>&1 || status=$?
    cat -- "$W/said"
    equal "$status" "$code" "exit code of pofrctl $*"
    grep -qE -- "$pattern" "$W/said" || { printf 'not said: %s\n' "$pattern" >&2; return 1; }
}

# Servers without TLS, and clients that want it.
plain_servers_are_refused_by_who_wants_tls() {
    build_preset release
    pki init --dir "$W/plain"
    quickstart start kafka head shard1 shard2
    ctl migrate
    ctl shard add shard1 --address "127.0.0.1:$(port shard1)"
    ctl topic create
    other_conf "s|^brokers = .*|&\ntls = yes\nca_file = $W/plain/ca.crt|"
    refused 3 'SSL handshake failed|in state SSL_HANDSHAKE' topic check # how far it came is chance
    other_conf "s|^address = .*|&\ntls = yes\nca_file = $W/plain/ca.crt|"
    refused 3 'TLS/SSL error' shard list
}

the_whole_path_goes_by_tls() {
    local part
    quickstart --tls >/dev/null
    quickstart sql -N 'SELECT COUNT(*) > 0 FROM process' | grep -qx 1
    ctl topic check
    ctl status
    for part in head shard1 shard2; do
        equal "$(admin_sql "$part" "SELECT COUNT(*) FROM information_schema.processlist p JOIN mysql.global_priv g ON g.User = p.USER
            WHERE p.USER LIKE 'pofr\\_%' AND p.USER <> 'pofr_admin' AND JSON_VALUE(g.Priv, '\$.ssl_type') <> 1")" 0 "accounts that may come without TLS"
        fails mariadb --no-defaults --protocol=tcp --host=127.0.0.1 --port="$(port "$part")" --user=pofr_worker \
            --password="$(cat "$POFR_STATE/secrets/worker.pw")" --skip-ssl -e 'SELECT 1'
    done
    wait_until 30 metric_is merger pofr_watch_kafka_up 1
    wait_until 30 servers_ends_are_known
    for part in gateway worker1 merger; do
        equal "$(metric "$part" 'pofr_certificate_expiry_timestamp_seconds{use="catalog",file="certificate"}')" \
            "$(ends_of "pofr-${part%1}")" "end of $part's certificate"
        [[ $(metric "$part" 'pofr_certificate_expiry_timestamp_seconds{use="catalog",file="ca"}') -gt $((EPOCHSECONDS + 3600 * 86400)) ]]
    done
}

ends_of() { date -d "$(openssl x509 -in "$TLS/$1.pem" -noout -enddate | cut -d= -f2)" +%s; }
# The merger tells of each server when that certificate ends which lies in its file now.
servers_ends_are_known() {
    local part
    for part in shard1 shard2; do
        metric_is merger "pofr_server_certificate_expiry_timestamp_seconds{use=\"shard\",server=\"$part\"}" "$(ends_of "$part")" || return 1
    done
    metric_is merger 'pofr_server_certificate_expiry_timestamp_seconds{use="catalog",server="catalog"}' "$(ends_of head)" || return 1
    metric_is merger "pofr_server_certificate_expiry_timestamp_seconds{use=\"kafka\",server=\"127.0.0.1:$(port kafka)\"}" "$(ends_of kafka)"
}

# kafka NAME KCAT...: as who has that certificate
kafka() {
    local name=$1
    shift
    timeout 20 kcat -b "127.0.0.1:$(port kafka)" -X security.protocol=ssl -X ssl.ca.location="$TLS/ca.crt" \
        -X ssl.certificate.location="$TLS/$name.pem" -X ssl.key.location="$TLS/$name.pem" "$@" 2>&1
}

may_not() { grep -qiE 'authoriz|not authorized' <<<"$1" || { printf 'not refused: %s\n' "$1" >&2; return 1; }; }

# account NAME PART STATEMENT: of MariaDB
account() {
    mariadb --no-defaults --protocol=tcp --host=127.0.0.1 --port="$(port "$2")" --ssl-ca="$TLS/ca.crt" --ssl-verify-server-cert \
        --user="pofr_$1" --password="$(cat -- "$POFR_STATE/secrets/$1.pw")" -e "$3" 2>&1
}
denied() {
    local said
    ! said=$(account "$@") || { printf 'not refused: %s\n' "$*" >&2; return 1; }
    grep -q denied <<<"$said" || { printf 'refused otherwise: %s\n' "$said" >&2; return 1; }
}

each_principal_may_do_one_thing() {
    local topic=pofr.snapshots
    pki issue stranger --dir "$TLS"
    kafka pofr-worker -C -t $topic -p 0 -o beginning -e -q >/dev/null
    may_not "$(kafka pofr-gateway -C -t $topic -p 0 -o beginning -e -c 1)"
    may_not "$(printf 'x' | kafka pofr-gateway -P -t pofr.deadletter -p 0)"
    may_not "$(printf 'x' | kafka pofr-worker -P -t $topic -p 0)"
    may_not "$(kafka pofr-worker -G another-group -e $topic)"
    may_not "$(printf 'x' | kafka pofr-merger -P -t $topic -p 0)"
    may_not "$(printf 'x' | kafka stranger -P -t $topic -p 0)"
    may_not "$(kafka stranger -C -t $topic -p 0 -o beginning -e -c 1)"
    fails grep -q "$topic" <<<"$(kafka stranger -L)"
    account gateway head 'SELECT COUNT(*) FROM pofr_catalog.host'
    denied gateway head 'DELETE FROM pofr_catalog.host'
    denied gateway shard1 'SELECT 1' # it has no account there
    account worker shard1 'SELECT COUNT(*) FROM pofr_store.bundle'
    denied worker shard1 'DROP TABLE pofr_store.bundle'
    denied worker head 'UPDATE pofr_catalog.host SET name = 1'
    denied analyst shard1 'SELECT COUNT(*) FROM pofr_store.bundle'
    other_conf "s|pofr-admin.pem|pofr-gateway.pem|"
    refused 4 'uthorization failed' topic create # a gateway makes no rules
    ctl topic create                             # and to make them again is harmless
}

# What they say who come with the wrong thing; nobody comes in by leaving it out.
what_is_wrong_with_a_certificate_is_said() {
    local wrong=$W/wrong
    mkdir -p -- "$wrong"
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$wrong/key" -subj /CN=pofr-admin -out "$wrong/csr" 2>/dev/null
    openssl x509 -req -in "$wrong/csr" -CA "$TLS/ca.crt" -CAkey "$TLS/ca.key" -days -1 -out "$wrong/crt" 2>/dev/null
    (umask 077 && cat -- "$wrong/key" "$wrong/crt" >"$wrong/ended.pem")
    pki init --dir "$wrong/pki" --force
    pki issue pofr-admin --dir "$wrong/pki" --force
    other_conf "s|^certificate_file = .*|certificate_file = $wrong/ended.pem|"
    # the server's alert may be overtaken by the connection's end; what is said of our own certificate may not
    refused 3 "our certificate $wrong/ended.pem ended on" topic check
    refused 3 "our certificate $wrong/ended.pem ended on" shard list
    other_conf "s|^certificate_file = .*|certificate_file = $wrong/pki/pofr-admin.pem|"
    refused 3 "our certificate $wrong/pki/pofr-admin.pem is of no CA in ca_file" topic check
    refused 3 "our certificate $wrong/pki/pofr-admin.pem is of no CA in ca_file" shard list
    other_conf "s|^ca_file = .*|ca_file = $wrong/pki/ca.crt|"
    refused 3 "the broker's certificate: (self-signed|.*issuer certificate)" topic check
    refused 3 'TLS/SSL error: .*self-signed' shard list
    other_conf 's/= 127.0.0.1:/= localhost:/' # an address that no certificate names
    refused 3 "the broker's certificate: .*[Hh]ostname mismatch" topic check
    refused 3 'Validation of SSL server certificate failed' shard list
    other_conf 's/^tls = yes/tls = no/'
    refused 3 'tls = yes\?|[Dd]isconnected' topic check
    refused 4 'insecure transport|Access denied' shard list
    other_conf "s|^ca_file = .*|ca_file = $W/nothing|"
    refused 1 "$W/nothing" topic check
    chmod 644 -- "$wrong/pki/pofr-admin.pem"
    other_conf "s|^certificate_file = .*|certificate_file = $wrong/pki/pofr-admin.pem|"
    refused 4 'mode 0644' shard list
}

# The head's own connections: by the name and by the CA that it was told.
the_head_verifies_its_shards() {
    quickstart sql -N 'SELECT COUNT(*) FROM bundle'
    equal "$(admin_sql head 'SHOW CREATE TABLE pofr.bundle' | grep -o 'ssl_verify_server_cert "1"' | wc -l)" 2 "shards that must show their name"
    worker=$(log_lines worker1)
    pki issue shard1 --server --names elsewhere --dir "$TLS" --force
    admin_sql_over_socket shard1 'FLUSH SSL'
    cut_off shard1
    head_refuses_shard1
    wait_until 30 log_says worker1 "$worker" 'shard_down shard=shard1 error="TLS/SSL error: Validation of SSL server certificate failed'
    metric_is worker1 'pofr_shard_up{shard="shard1"}' 0
    metric_is worker1 'pofr_shard_up{shard="shard2"}' 1
    pki issue shard1 --server --names 127.0.0.1 --dir "$W/wrong/pki" --output "$TLS/shard1.pem" --force
    admin_sql_over_socket shard1 'FLUSH SSL'
    cut_off shard1
    head_refuses_shard1
    pki issue shard1 --server --names 127.0.0.1 --dir "$TLS" --force
    admin_sql_over_socket shard1 'FLUSH SSL'
    wait_until 20 metric_is worker1 'pofr_shard_up{shard="shard1"}' 1
    wait_until 20 quickstart sql -N 'SELECT COUNT(*) FROM bundle'
    wait_until 30 has_stored "$(stored)"
    for part in worker1 worker2; do wait_until 20 metric_is $part 'pofr_shard_up{shard="shard1"}' 1; done
    other_conf "s|^shards_ca_file = .*|shards_ca_file = $W/nothing|" # it would be a file of the head's machine
    refused 1 'the head does not reach shard shard1 ' migrate
    grep -F "must be able to read $W/nothing" "$W/said"
    ctl migrate
    quickstart sql -N 'SELECT COUNT(*) FROM bundle'
}
head_refuses_shard1() {
    exit_code 1 quickstart sql -N 'SELECT COUNT(*) FROM bundle' 2>"$W/said"
    grep 'ERROR 1429.*shard1' "$W/said"
}
admin_sql_over_socket() { mariadb --no-defaults --socket="$POFR_STATE/run/$1/sock" --user="$(id -un)" --batch --skip-column-names -e "$2"; }
# cut_off PART: all connections end, and who comes again shakes hands again
cut_off() {
    admin_sql_over_socket "$1" "SELECT CONCAT('KILL ', id, ';') FROM information_schema.processlist WHERE user LIKE 'pofr\\_%'" |
        mariadb --no-defaults --socket="$POFR_STATE/run/$1/sock" --user="$(id -un)" --force || true
}

# put NAME FILE: in the place of the certificate of NAME, as a renewal would
put() {
    install -m 600 -o "$(stat -c %u "$TLS/$1.pem")" -g "$(stat -c %g "$TLS/$1.pem")" -- "$2" "$TLS/$1.pem.new"
    mv -- "$TLS/$1.pem.new" "$TLS/$1.pem"
}

# While they run: first certificates of a CA that the brokers don't know, then each other's. Nothing is lost, all is said.
what_runs_with_the_wrong_certificate_keeps_its_data() {
    local before gateway worker
    cp -- "$TLS/pofr-gateway.pem" "$W/gateway.good"
    cp -- "$TLS/pofr-worker.pem" "$W/worker.good"
    pki ensure --dir "$W/wrong/pki" pofr-gateway pofr-worker
    gateway=$(log_lines gateway) worker=$(log_lines worker1)
    put pofr-gateway "$W/wrong/pki/pofr-gateway.pem"
    put pofr-worker "$W/wrong/pki/pofr-worker.pem"
    wait_until 30 log_says gateway "$gateway" 'client_anew.*certificate'
    wait_until 30 log_says worker1 "$worker" 'clients_anew'
    wait_until 30 metric_is gateway pofr_gateway_kafka_up 0
    log_says gateway "$gateway" 'SSL handshake failed|certificate'
    wait_until 30 log_says worker1 "$worker" 'SSL handshake failed|certificate'
    before=$(stored)
    put pofr-gateway "$W/worker.good"
    put pofr-worker "$W/gateway.good"
    wait_until 40 log_says gateway "$gateway" 'not_delivered.*authorization'
    [[ $(metric gateway 'pofr_kafka_delivery_errors_total{code="authorization"}') -gt 0 ]]
    wait_until 40 log_says worker1 "$worker" 'authorization failed'
    put pofr-gateway "$W/gateway.good"
    put pofr-worker "$W/worker.good"
    wait_until 40 metric_is gateway pofr_gateway_kafka_up 1
    wait_until 60 has_stored "$((before + 2))"
    equal "$(quickstart sql -N "SELECT COUNT(*) FROM gap WHERE kind = 'sequence' AND explained = 0")" 0 "bundles that are missing"
    ctl verify "$(uname -n)"
}

# The commands of the page, on this cluster; no program is started anew.
certificates_are_renewed_while_all_runs() {
    local before serial
    before=$(quickstart parts | awk '$1 ~ /gateway|worker|merger|head|shard|kafka/ { print $1, $2 }')
    serial=$(openssl x509 -in "$TLS/pofr-gateway.pem" -noout -serial)
    gateway=$(log_lines gateway) worker=$(log_lines worker2)
    pki renew --all --dir "$TLS"
    fails equal "$(openssl x509 -in "$TLS/pofr-gateway.pem" -noout -serial)" "$serial"
    for part in head shard1 shard2; do admin_sql_over_socket "$part" 'FLUSH SSL'; done
    broker_reads_its_keystore
    wait_until 30 log_says gateway "$gateway" 'client_anew.*certificate'
    wait_until 30 log_says worker2 "$worker" 'clients_anew'
    wait_until 60 has_stored "$(stored)"
    equal "$(quickstart parts | awk '$1 ~ /gateway|worker|merger|head|shard|kafka/ { print $1, $2 }')" "$before" processes
    equal "$(shown head -starttls mysql)" "$(serial_of head)" "what the head shows"
    wait_until 30 shows_what_is_there kafka # some time after the command
    touch -- "$TLS/pofr-merger.pem" # it looks anew every ten minutes, and when its own files are others
    wait_until 30 servers_ends_are_known
}
serial_of() { openssl x509 -in "$TLS/$1.pem" -noout -serial; }
# shown PART [OPTION...]: the serial of what it shows who comes
shown() {
    local part=$1
    shift
    openssl s_client -connect "127.0.0.1:$(port "$part")" "$@" -CAfile "$TLS/ca.crt" </dev/null 2>/dev/null | openssl x509 -noout -serial
}
shows_what_is_there() { [[ $(shown "$1" 2>/dev/null) == "$(serial_of "$1")" ]]; }
# With what `kafka-configs.sh` calls
admin_properties() {
    printf '%s\n' security.protocol=SSL ssl.keystore.type=PEM ssl.truststore.type=PEM \
        "ssl.keystore.location=$TLS/pofr-admin.pem" "ssl.truststore.location=$TLS/ca.crt" >"$W/admin.properties"
}
broker_reads_its_keystore() {
    admin_properties
    kafka_tool kafka.admin.ConfigCommand --bootstrap-server "127.0.0.1:$(port kafka)" --command-config "$W/admin.properties" \
        --alter --entity-type brokers --entity-name 1 --add-config "listener.name.ssl.ssl.keystore.location=$TLS/kafka.pem"
}

# --- long: a real Prometheus is told of an end that comes near ------------------------------------------------------

fires() { curl -sf --max-time 5 "http://127.0.0.1:$(cat "$W/p/port")/api/v1/alerts" | jq -e --arg name "$1" 'any(.data.alerts[]; .labels.alertname == $name and .state == "firing")' >/dev/null; }
fires_no_more() { ! fires "$1"; }
an_end_that_comes_near_fires_until_it_is_renewed() {
    mkdir -p -- "$W/p"
    sed -E 's/^( *for:) [0-9]+[mh]$/\1 2s/' deploy/monitoring/prometheus/pofr.alerts.yml >"$W/p/rules.yml"
    cat >"$W/p/prometheus.yml" <<EOT
global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [ rules.yml ]
scrape_configs: [ { job_name: merger, static_configs: [ { targets: [ "127.0.0.1:$(port merger-metrics)" ] } ] } ]
EOT
    free_port >"$W/p/port"
    prometheus --config.file="$W/p/prometheus.yml" --storage.tsdb.path="$W/p/data" --web.listen-address="127.0.0.1:$(cat "$W/p/port")" \
        </dev/null >"$W/p/log" 2>&1 &
    prometheus_pid=$!
    trap 'kill "$prometheus_pid" 2>/dev/null || true' EXIT
    wait_until 30 curl -sf --max-time 5 "http://127.0.0.1:$(cat "$W/p/port")/-/ready"
    pki issue shard1 --server --names 127.0.0.1 --days 10 --dir "$TLS" --force
    admin_sql_over_socket shard1 'FLUSH SSL'
    pki issue pofr-merger --days 10 --dir "$TLS" --force # it sees the file, and connects anew
    wait_until 60 fires PofrCertificateExpires
    wait_until 60 fires PofrServerCertificateExpires
    exit_code 1 pki show --within 14 --dir "$TLS"
    pki renew --all --within 14 --days 365 --dir "$TLS"
    admin_sql_over_socket shard1 'FLUSH SSL'
    touch -- "$TLS/pofr-merger.pem" # else within ten minutes
    wait_until 60 fires_no_more PofrCertificateExpires
    wait_until 60 fires_no_more PofrServerCertificateExpires
    servers_ends_are_known
}

# --- long: a broker that knows accounts -----------------------------------------------------------------------------

ACCOUNTS=(pofr-admin pofr-gateway pofr-worker pofr-merger)
OWN=$W/own # parts of the cluster with a configuration that quickstart would not write

own_start() {
    local part
    local -a command
    for part; do
        case $part in
        kafka) kafka_command "$OWN/kafka.properties" 256m && command=("${KAFKA_COMMAND[@]}") ;;
        worker*) command=("$BUILD/workers/pofr-worker" --config "$OWN/$part.conf") ;;
        *) command=("$BUILD/$part/pofr-$part" --config "$OWN/$part.conf") ;;
        esac
        "${command[@]}" </dev/null >>"$POFR_STATE/log/$part.log" 2>&1 &
        printf '%s\n' "$!" >"$OWN/$part.pid"
    done
}
own_kill() {
    local part
    for part; do
        [[ ! -s $OWN/$part.pid ]] || kill -KILL "$(cat "$OWN/$part.pid")" 2>/dev/null || true
        rm -f -- "$OWN/$part.pid"
    done
}

# A listener more of the broker, for accounts; passwords are in files, with a character that matters elsewhere.
the_broker_takes_accounts() {
    local name users='' at
    trap 'own_kill gateway worker1 worker2 merger kafka' EXIT
    mkdir -p -- "$OWN"
    at=$(free_port)
    for name in "${ACCOUNTS[@]}"; do
        (umask 077 && printf 'of-%s=1\n' "$name" >"$OWN/$name.pw")
        users+=" user_${name}=\"of-$name=1\""
    done
    sed -E -e "s|^(advertised.)?listeners=.*|&,ACCOUNTS://127.0.0.1:$at|; s|^super.users=.*|&;User:pofr-admin|" \
        -e 's|^listener.security.protocol.map=.*|&,ACCOUNTS:SASL_SSL|' "$POFR_STATE/etc/kafka.properties" >"$OWN/kafka.properties"
    printf '%s\n' sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN listener.name.accounts.ssl.client.auth=none \
        "listener.name.accounts.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required$users;" \
        'listener.name.accounts.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;' \
        >>"$OWN/kafka.properties"
    quickstart kill kafka gateway worker1 worker2 merger || true
    own_start kafka
    wait_until 60 port_is_open "$at"
    printf '%s\n' "$at" >"$OWN/port"
    admin_properties
    for name in "${ACCOUNTS[@]}"; do
        kafka_tool kafka.admin.ConfigCommand --bootstrap-server "127.0.0.1:$(port kafka)" --command-config "$W/admin.properties" \
            --alter --entity-type users --entity-name "$name" --add-config "SCRAM-SHA-512=[password=of-$name=1]"
    done
}

# by_account PROGRAM MECHANISM FROM TO: a configuration as it is with an account in place of the certificate
by_account() {
    sed -E -e '/^\[kafka\]/,/^$/{/^certificate_file = /d' \
        -e "s|^brokers = .*|brokers = 127.0.0.1:$(cat "$OWN/port")\nuser = $1\npassword_file = $OWN/$1.pw\nmechanism = $2|" \
        -e '}; s|User:CN=|User:|' "$3" >"$4"
    chmod 600 -- "$4"
}

all_come_by_accounts() { # MECHANISM
    local part before
    by_account pofr-admin "$1" "$POFR_STATE/etc/ctl.conf" "$W/other.conf"
    "$BUILD/ctl/pofrctl" --config "$W/other.conf" topic create # with rules for these principals
    "$BUILD/ctl/pofrctl" --config "$W/other.conf" topic check
    before=$(stored)
    for part in gateway worker1 worker2 merger; do
        by_account "pofr-${part%[12]}" "$1" "$POFR_STATE/etc/$part.conf" "$OWN/$part.conf"
        own_start "$part"
    done
    wait_until 30 metric_is merger pofr_watch_kafka_up 1
    wait_until 60 has_stored "$((before + 5))"
    "$BUILD/ctl/pofrctl" --config "$W/other.conf" status
}

a_wrong_password_is_told() { # PATTERN
    local part worker gateway merger before
    gateway=$(log_lines gateway) worker=$(log_lines worker1) merger=$(log_lines merger)
    own_kill gateway worker1 worker2 merger
    for part in "${ACCOUNTS[@]}"; do
        mv -- "$OWN/$part.pw" "$OWN/$part.good"
        (umask 077 && printf 'wrong\n' >"$OWN/$part.pw")
    done
    refused 3 "$1" topic check
    own_start gateway worker1 merger
    wait_until 60 log_says gateway "$gateway" "$1"
    wait_until 60 log_says worker1 "$worker" "$1"
    wait_until 60 log_says merger "$merger" "$1"
    own_kill gateway worker1 merger
    for part in "${ACCOUNTS[@]}"; do mv -- "$OWN/$part.good" "$OWN/$part.pw"; done
    before=$(stored)
    own_start gateway worker1 worker2 merger
    wait_until 60 has_stored "$before"
}

accounts_that_show_their_password_inside_tls_do_as_well() {
    the_broker_takes_accounts
    all_come_by_accounts PLAIN
    a_wrong_password_is_told 'uthentication failed'
    by_account pofr-gateway PLAIN "$POFR_STATE/etc/ctl.conf" "$W/other.conf"
    refused 4 'uthorization failed' topic create # it may write, and no more
    sed -i '/^\[kafka\]/,/^$/s/^tls = yes/tls = no/' "$W/other.conf"
    refused 2 'needs tls = yes' topic check
}

# librdkafka before 2.6.1 and Kafka 4 don't understand each other: there it is said, and nobody searches for a password.
accounts_of_scram_do_as_well() {
    the_broker_takes_accounts
    if dpkg --compare-versions "$(librdkafka)" ge 2.6.1; then
        all_come_by_accounts SCRAM-SHA-512
        a_wrong_password_is_told 'uthentication failed'
        printf 'all came by SCRAM-SHA-512 of librdkafka %s\n' "$(librdkafka)"
    else
        by_account pofr-admin SCRAM-SHA-512 "$POFR_STATE/etc/ctl.conf" "$W/other.conf"
        refused 3 "takes no SCRAM from librdkafka $(librdkafka)" topic check
    fi
}
librdkafka() { "$BUILD/gateway/pofr-gateway" --version | sed -n 's/^librdkafka //p'; }

QUICK=(a_ca_and_what_it_issues_are_in_their_folder_with_their_modes nothing_is_overwritten_unless_it_is_said
    renewing_keeps_name_and_names_and_takes_a_new_key a_renewed_ca_vouches_for_what_is_in_use
    certificates_that_were_brought_along_are_shown what_is_ensured_is_made_once_and_renewed_in_time
    the_whole_path_goes_by_tls each_principal_may_do_one_thing
    what_is_wrong_with_a_certificate_is_said the_head_verifies_its_shards
    what_runs_with_the_wrong_certificate_keeps_its_data certificates_are_renewed_while_all_runs)
# before there is a cluster with TLS
! is_more_wanted "${QUICK[@]}" || each_case plain_servers_are_refused_by_who_wants_tls
each_case "${QUICK[@]}"
! is_more_wanted "${QUICK[@]}" || each_case an_end_that_comes_near_fires_until_it_is_renewed accounts_that_show_their_password_inside_tls_do_as_well accounts_of_scram_do_as_well
[[ $suite_failures -eq 0 ]]
