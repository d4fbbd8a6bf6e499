#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Prometheus and Grafana: alerts fire when they should and not else; a real Prometheus has an answer to every panel and rule
# timeout: 300
# order: 48
# jobs: 1
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"
source "$POFR_TREE/tests/support/hosts.sh"

W=$POFR_TEST_WORK
M=$POFR_TREE/deploy/monitoring
P=$W/prometheus
HOSTS_COUNT=2 HOSTS_WHOLE=0 HOSTS_BUNDLE_AGE=500ms
trap 'prometheus_end; hosts_end; suite_finish' EXIT

alerts() { sed -n 's/^ *- alert: //p' "$M/prometheus/pofr.alerts.yml"; }

configuration_and_rules_are_sound() {
    promtool check config "$M/prometheus/prometheus.yml"
    equal "$(alerts | sort | uniq -d)" "" "alerts that are there twice"
}

each_alert_fires_when_it_should_and_not_else() {
    tests/support/alert_tests.py "$W/alerts" tests/data/monitoring/alerts.yml "$M"/prometheus/pofr.*.yml
    promtool test rules "$W"/alerts/*.test.yml
    sed '/^- alert: PofrShardDown$/,/still/d' tests/data/monitoring/alerts.yml >"$W/cases.yml" # would it say something?
    fails tests/support/alert_tests.py "$W/bad" "$W/cases.yml" "$M/prometheus/pofr.alerts.yml"
}

each_alert_has_its_section_and_no_other() {
    local name
    diff <(alerts | sort) <(sed -n 's/^### \(Pofr[A-Za-z]*\)$/\1/p' docs/OPERATING.md | sort)
    diff <(for name in $(alerts); do printf 'docs/OPERATING.md#%s\n' "${name,,}"; done) \
        <(sed -n 's/^ *runbook_url: //p' "$M/prometheus/pofr.alerts.yml")
}

dashboards_are_as_generated() {
    "$M/grafana/generate" "$W/dashboards"
    diff -r "$W/dashboards" "$M/grafana/dashboards"
    equal "$(find "$W/dashboards" -name '*.json' | wc -l)" 5 dashboards
    equal "$(jq -r .uid "$W"/dashboards/*.json | sort | uniq -d)" "" "uids that are there twice"
    python3 -c 'import sys, yaml; [yaml.safe_load(open(name)) for name in sys.argv[1:]]' "$M"/grafana/provisioning/*/*.yml
}

asked() { tests/support/prometheus.py "$1" "http://127.0.0.1:$(cat -- "$P/port")" "${@:2}"; }
port_of() { quickstart env | sed -n 's/^export POFR_METRICS=//p' | tr ',' '\n' | sed -n "s/^$1=//p"; }
prometheus_answers() { curl -sf --max-time 5 "http://127.0.0.1:$(cat -- "$P/port")/-/ready" >/dev/null; }

# node_start: what node_exporter would say of a backup that was taken (its own textfile collector passes the file on)
node_start() {
    mkdir -p -- "$W/node"
    admin_sql shard1 "$(deploy/mariadb/pofr-backup account --password-file "$W/backup.pw")"
    deploy/mariadb/pofr-backup take --password-file "$W/backup.pw" --name shard1 --textfile "$W/node/metrics" "$W/backups" -- \
        "--socket=$POFR_STATE/run/shard1/sock"
    promtool check metrics <"$W/node/metrics"
    free_port 9100 >"$W/node.port"
    python3 -m http.server --directory "$W/node" --bind 127.0.0.1 "$(cat -- "$W/node.port")" </dev/null >"$W/node.log" 2>&1 &
    process_note node "$!"
    printf -- '- targets: ["127.0.0.1:%s"]\n' "$(cat -- "$W/node.port")" >"$P/targets/node.yml"
}

# As it is shipped, but that it looks each second, and an alert that lasts for 2 s has lasted long enough.
prometheus_start() {
    local part
    cp -r -- "$M/prometheus" "$P"
    sed -i -E 's/^( *(scrape|evaluation)_interval:) 10s$/\1 1s/' "$P/prometheus.yml"
    sed -i -E 's/^( *for:) [0-9]+[mh]$/\1 2s/' "$P/pofr.alerts.yml"
    for part in gateway worker merger; do
        printf -- '- targets: ["%s"]\n' "$(port_of "${part/worker/worker1}")" >"$P/targets/$part.yml"
    done
    node_start
    free_port 9090 >"$P/port"
    prometheus --config.file="$P/prometheus.yml" --storage.tsdb.path="$P/data" --web.listen-address="127.0.0.1:$(cat -- "$P/port")" \
        </dev/null >"$P/prometheus.log" 2>&1 &
    printf '%s\n' "$!" >"$P/pid"
    wait_until 30 prometheus_answers
}

prometheus_end() {
    [[ -s $P/pid ]] || return 0
    kill "$(cat -- "$P/pid")" 2>/dev/null || true
}

a_cluster_is_watched() {
    cluster_start gateway worker1 merger
    hosts_begin "$HOSTS_COUNT"
    prometheus_start
}

panels_have_data() { asked panels "$M"/grafana/dashboards/*.json; }
rules_have_figures() { asked rules "$M"/prometheus/pofr.*.yml; }
fires() { asked firing | grep -qx "$1"; }
fires_no_more() { ! fires "$1"; }
nothing_fires() { equal "$(asked firing)" "" "alerts that fire"; }

every_query_of_every_panel_and_rule_has_an_answer() {
    wait_until 60 panels_have_data 2>"$W/said" || { tail -n 20 -- "$W/said"; return 1; }
    wait_until 60 rules_have_figures 2>"$W/said" || { tail -n 20 -- "$W/said"; return 1; }
    wait_until 60 nothing_fires
}

every_question_about_one_host_is_answered() {
    local statement count=0
    while IFS= read -r -d '' statement; do
        printf -- '-- %s\n' "$statement"
        quickstart sql "SET time_zone = '+00:00'; $statement" | head -n 3
        count=$((count + 1))
    done < <(POFR_HOST=host1 tests/support/prometheus.py statements "$M"/grafana/dashboards/pofr-host.json)
    ((count > 5))
}

# Rehearsed as docs/OPERATING.md says under the alert's name
a_worker_that_stopped_is_told_and_mended() {
    kill -TERM "$(part_field worker1 2)"
    wait_until 60 fires PofrNoWorkers
    wait_until 120 fires PofrLagGrows
    exit_code 1 ctl topic health >"$W/health"
    grep -q no_members "$W/health"
    quickstart start worker1
    wait_until 60 fires_no_more PofrNoWorkers
    wait_until 60 fires_no_more PofrLagGrows
    ctl topic health
}

a_shard_that_is_down_is_told_and_mended() {
    quickstart kill shard2
    wait_until 60 fires PofrShardDown
    ctl shard list >"$W/shards" || equal "$?" 3 "shard list"
    grep shard2 "$W/shards"
    quickstart start shard2
    wait_until 60 fires_no_more PofrShardDown
    wait_until 40 ctl topic health
}

cases configuration_and_rules_are_sound each_alert_fires_when_it_should_and_not_else each_alert_has_its_section_and_no_other \
    dashboards_are_as_generated a_cluster_is_watched every_query_of_every_panel_and_rule_has_an_answer \
    every_question_about_one_host_is_answered a_worker_that_stopped_is_told_and_mended a_shard_that_is_down_is_told_and_mended
