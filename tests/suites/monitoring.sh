#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Prometheus and Grafana: each alert fires when it should and not else, and has a section that says what to do
# timeout: 240
# order: 48
# jobs: 1
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"

W=$POFR_TEST_WORK
M=$POFR_TREE/deploy/monitoring

alerts() { sed -n 's/^ *- alert: //p' "$M/prometheus/pofr.alerts.yml"; }

configuration_and_rules_are_sound() {
    promtool check config "$M/prometheus/prometheus.yml"
    equal "$(alerts | sort | uniq -d)" "" "alerts that are there twice"
}

each_alert_fires_when_it_should_and_not_else() {
    tests/support/alert_tests.py tests/data/monitoring/alerts.yml "$M/prometheus/pofr.rules.yml" "$M/prometheus/pofr.alerts.yml" >"$W/rules.test.yml"
    promtool test rules "$W/rules.test.yml"
    sed '/^- alert: PofrShardDown$/,/still/d' tests/data/monitoring/alerts.yml >"$W/cases.yml" # would it say something?
    fails tests/support/alert_tests.py "$W/cases.yml" "$M/prometheus/pofr.alerts.yml" >/dev/null
}

each_alert_has_its_section_and_no_other() {
    local name
    diff <(alerts | sort) <(sed -n 's/^### \(Pofr[A-Za-z]*\)$/\1/p' docs/OPERATING.md | sort)
    diff <(for name in $(alerts); do printf 'docs/OPERATING.md#%s\n' "${name,,}"; done) \
        <(sed -n 's/^ *runbook_url: //p' "$M/prometheus/pofr.alerts.yml")
}

cases configuration_and_rules_are_sound each_alert_fires_when_it_should_and_not_else each_alert_has_its_section_and_no_other
