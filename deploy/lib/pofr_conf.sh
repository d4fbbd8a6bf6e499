# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# pofr_conf.sh -- the one place where quickstart names an option or a command of our own programs.
#
# conf_* write etc/*.conf; ctl_* and agent_* call pofrctl and pofr-agent. A program that changes an
# option's name changes it here, and nowhere else in deploy/.

# conf_file NAME MODE: etc/NAME.conf from standard input
conf_file() {
    write_file "$STATE/etc/$1.conf" "$2" '# written by deploy/quickstart at each start; changes here are lost'
}

conf_gateway() {
    conf_file gateway 644 <<EOT
[gateway]
name = gateway
listen = 127.0.0.1:${PORTS[gateway]}
host_key_file = $STATE/data/gateway/host_key
state_dir = $STATE/data/gateway

[kafka]
brokers = 127.0.0.1:${PORTS[kafka]}
$(tls_options pofr-gateway)

[catalog]
address = 127.0.0.1:${PORTS[head]}
user = pofr_gateway
password_file = $STATE/secrets/gateway.pw
$(tls_options pofr-gateway)

[metrics]
listen = 127.0.0.1:${PORTS[gateway-metrics]}
EOT
}

# conf_worker PART
conf_worker() {
    conf_file "$1" 644 <<EOT
[worker]
name = $1
state_dir = $STATE/data/$1

[kafka]
brokers = 127.0.0.1:${PORTS[kafka]}
$(tls_options pofr-worker)

[catalog]
address = 127.0.0.1:${PORTS[head]}
user = pofr_worker
password_file = $STATE/secrets/worker.pw
$(tls_options pofr-worker)

[shard]
user = pofr_worker
password_file = $STATE/secrets/worker.pw
$(tls_options pofr-worker)

[metrics]
listen = 127.0.0.1:${PORTS[$1-metrics]}
EOT
}

conf_merger() {
    conf_file merger 644 <<EOT
[merger]
name = merger

[catalog]
address = 127.0.0.1:${PORTS[head]}
user = pofr_merger
password_file = $STATE/secrets/merger.pw
$(tls_options pofr-merger)

[shard]
user = pofr_merger
password_file = $STATE/secrets/merger.pw
$(tls_options pofr-merger)

[kafka]
brokers = 127.0.0.1:${PORTS[kafka]}
$(tls_options pofr-merger)

[watch]
period = 2s

[metrics]
listen = 127.0.0.1:${PORTS[merger-metrics]}
EOT
}

conf_agent() {
    local collector_user='' shipper_user=''
    if [[ -n ${POFR_USERS[$COLLECTOR_USER]:-} && -n ${POFR_USERS[$SHIPPER_USER]:-} ]]; then
        collector_user=$COLLECTOR_USER shipper_user=$SHIPPER_USER
    fi
    conf_file agent 644 <<EOT
[agent]
state_dir = $STATE/data/agent
runtime_dir = $STATE/run/agent
collector_user = $collector_user
shipper_user = $shipper_user

[spool]
limit = 1G

[ship]
gateway = 127.0.0.1:${PORTS[gateway]}
EOT
}

conf_ctl() {
    conf_file ctl 600 <<EOT
[catalog]
address = 127.0.0.1:${PORTS[head]}
user = pofr_admin
password_file = $STATE/secrets/admin.pw
$(tls_options pofr-admin)

[head]
address = 127.0.0.1:${PORTS[head]}
user = pofr_admin
password_file = $STATE/secrets/admin.pw
$(tls_options pofr-admin)
$(! tls_is_on || printf "shards_ca_file = %s\n" "$TLS_DIR/ca.crt")

[shard]
user = pofr_admin
password_file = $STATE/secrets/admin.pw
$(tls_options pofr-admin)

[kafka]
brokers = 127.0.0.1:${PORTS[kafka]}
$(tls_options pofr-admin)
$(tls_principals)
partitions = 64
replication = 1

[gateway]
addresses = 127.0.0.1:${PORTS[gateway]}
host_key_file = $STATE/data/gateway/host_key.pub

[files]
sql_dir = $POFR_TREE/sql

[accounts]
analyst_password_file = $STATE/secrets/analyst.pw
gateway_password_file = $STATE/secrets/gateway.pw
worker_password_file = $STATE/secrets/worker.pw
merger_password_file = $STATE/secrets/merger.pw
spider_password_file = $STATE/secrets/spider.pw
require = $(if tls_is_on; then echo tls; else echo nothing; fi)
EOT
}

conf_all() {
    conf_gateway
    conf_worker worker1
    conf_worker worker2
    conf_merger
    conf_agent
    conf_ctl
}

# program PART: fills the array PROGRAM with what the part runs
program() {
    case $1 in
    gateway) PROGRAM=("$BUILD/gateway/pofr-gateway" --config "$STATE/etc/gateway.conf") ;;
    worker*) PROGRAM=("$BUILD/workers/pofr-worker" --config "$STATE/etc/$1.conf") ;;
    merger) PROGRAM=("$BUILD/merger/pofr-merger" --config "$STATE/etc/merger.conf") ;;
    collector) PROGRAM=("$BUILD/agent/pofr-agent" collect --config "$STATE/etc/agent.conf") ;;
    shipper) PROGRAM=("$BUILD/agent/pofr-agent" ship --config "$STATE/etc/agent.conf") ;;
    esac
}

ctl() { "$BUILD/ctl/pofrctl" --config "$STATE/etc/ctl.conf" "$@"; }

# --- what setup asks of them; each is harmless when it is done already ------------------------------

ctl_migrate() { ctl migrate; }
ctl_shard() { ctl shard add "$1" --address "127.0.0.1:${PORTS[$1]}" --if-exists update; }
ctl_topic() { ctl topic create; }
ctl_token() { ctl token create --output "$1"; }

agent_is_enrolled() { [[ -s $STATE/data/agent/host.uuid ]]; } # the last file that enrolment writes
agent_enrol() { "$BUILD/agent/pofr-agent" enrol --config "$STATE/etc/agent.conf" --token-file "$1"; }
agent_status() { "$BUILD/agent/pofr-agent" status --config "$STATE/etc/agent.conf"; }
