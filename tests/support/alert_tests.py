#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""alert_tests.py FOLDER CASES RULES...: of the cases, NAME.test.yml for `promtool test rules`, for each alert. Each must fire in
one, and not in one. Beside it NAME.rules.yml, with that alert alone and what is recorded: all of them each time are slow."""
import pathlib
import re
import sys

import yaml

folder = pathlib.Path(sys.argv[1])
cases = yaml.load(open(sys.argv[2], encoding="utf-8"), Loader=yaml.BaseLoader)  # 0x20 is twenty zeros, not 32
groups = [g for name in sys.argv[3:] for g in yaml.safe_load(open(name, encoding="utf-8"))["groups"]]
alerts = {r["alert"]: r for g in groups for r in g["rules"] if "alert" in r}


def expected(rule, labels):
    """What the alert says beside its labels."""
    def fill(text):
        return re.sub(r"{{ \$labels\.(\w+) }}", lambda m: labels.get(m[1], ""), text)
    return {"exp_labels": {**labels, **rule["labels"]}, "exp_annotations": {k: fill(v) for k, v in rule["annotations"].items()}}


def test(name, series, checks):
    return {"name": name, "interval": "1m",
            "input_series": [{"series": s, "values": v} for s, v in series.items()],
            "alert_rule_test": [{"alertname": name, "eval_time": "%sm" % at, "exp_alerts": found} for at, found in checks]}


tests, with_still = {}, set()
for case in cases:
    rule = alerts[case["alert"]]
    checks = [(at, []) for at in case["quiet"]]
    checks += [(at, [expected(rule, labels) for labels in found]) for at, found in case["fires"].items()]
    tests.setdefault(case["alert"], []).append(test(case["alert"], case["series"], checks))
    if "still" in case:
        with_still.add(case["alert"])
        tests[case["alert"]].append(test(case["alert"], case["still"], [(at, []) for at in (1, 8, 12, 19)]))
missing = set(alerts) - with_still
if missing:
    sys.exit("no case for: " + ", ".join(sorted(missing)))
recorded = [{"name": "recorded", "rules": [r for g in groups for r in g["rules"] if "record" in r]}]
folder.mkdir(exist_ok=True)
for name, those in tests.items():
    with open(folder / (name + ".rules.yml"), "w", encoding="utf-8") as file:
        yaml.safe_dump({"groups": recorded + [{"name": "alert", "rules": [alerts[name]]}]}, file)
    with open(folder / (name + ".test.yml"), "w", encoding="utf-8") as file:
        yaml.safe_dump({"rule_files": [name + ".rules.yml"], "evaluation_interval": "1m", "group_eval_order": ["recorded", "alert"],
                        "tests": those}, file)
