#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What dashboards and rules ask, asked of a real Prometheus.

  prometheus.py panels URL DASHBOARD...     every expression has an answer, with the labels that its legend shows
  prometheus.py rules URL RULES...          every expression is understood, and every figure in it is there with its labels
  prometheus.py firing URL                  names of the alerts that fire now
  prometheus.py statements DASHBOARD...     what is asked of the head, for a host named in POFR_HOST; a NUL behind each
Prints what is wrong; exit code 1 where something is."""
import json
import os
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

import yaml

ONLY_WITH_TLS = {"pofr_certificate_expiry_timestamp_seconds", "pofr_server_certificate_expiry_timestamp_seconds"}
FIGURE = re.compile(r"\b((?:pofr|kafka)[a-z0-9_:]+|up)\b(\{[^}]*\})?")
wrong = []


def get(url, path, **query):
    try:
        with urllib.request.urlopen(url + path + "?" + urllib.parse.urlencode(query), timeout=10) as answer:
            return json.load(answer)["data"]
    except urllib.error.HTTPError as error:
        wrong.append("%s: %s" % (query, json.load(error).get("error")))
        return {"result": []}


def labels_of(series):
    return {label for one in series for label in one["metric"]}


def targets(files):
    for name in files:
        with open(name, encoding="utf-8") as file:
            for panel in json.load(file)["panels"]:
                for target in panel["targets"]:
                    yield name.rsplit("/", 1)[-1] + ": " + panel["title"], target


def panels(url, files):
    count = 0
    for where, target in targets(files):
        if "expr" not in target:
            continue
        count += 1
        found = get(url, "/api/v1/query", query=target["expr"])["result"]
        if not found:
            wrong.append("%s: no data: %s" % (where, target["expr"]))
        wanted = set(re.findall(r"{{(\w+)}}", target["legendFormat"])) - labels_of(found)
        if wanted and "or vector(0)" not in target["expr"]:
            wrong.append("%s: no label %s: %s" % (where, wanted, target["expr"]))
    print("%d expressions of panels" % count)


def rules(url, files):
    count = 0
    for name in files:
        with open(name, encoding="utf-8") as file:
            every = [rule for group in yaml.safe_load(file)["groups"] for rule in group["rules"]]
        for rule in every:
            count += 1
            what = rule.get("alert", rule.get("record"))
            get(url, "/api/v1/query", query=rule["expr"])
            labels = set()
            for figure, selector in FIGURE.findall(rule["expr"]):
                found = get(url, "/api/v1/query", query=figure + selector)["result"]
                labels |= labels_of(found)
                if figure in ONLY_WITH_TLS:
                    labels |= {"use", "file", "server"}
                elif not found:
                    wrong.append("%s: there is no %s%s" % (what, figure, selector))
            by = {label for inner in re.findall(r"\b(?:by|on) \(([^)]*)\)", rule["expr"]) for label in inner.split(", ") if label}
            said = set(re.findall(r"\$labels\.(\w+)", rule.get("annotations", {}).get("summary", "")))
            if (by | said) - labels - {"le"}:
                wrong.append("%s: no label %s" % (what, (by | said) - labels))
    print("%d expressions of rules" % count)


def firing(url):
    print("\n".join(sorted({a["labels"]["alertname"] for a in get(url, "/api/v1/alerts")["alerts"] if a["state"] == "firing"})))


def statements(files):
    for _, target in targets(files):
        if "rawSql" in target:
            text = target["rawSql"].replace("${host:sqlstring}", "'%s'" % os.environ["POFR_HOST"])
            text = re.sub(r"\$__timeFilter\((\w+)\)", r"\1 BETWEEN FROM_UNIXTIME(UNIX_TIMESTAMP() - 3600) AND FROM_UNIXTIME(UNIX_TIMESTAMP())", text)
            print(text, end="\0")


{"panels": lambda: panels(sys.argv[2], sys.argv[3:]), "rules": lambda: rules(sys.argv[2], sys.argv[3:]),
 "firing": lambda: firing(sys.argv[2]), "statements": lambda: statements(sys.argv[2:])}[sys.argv[1]]()
for line in wrong:
    print(line, file=sys.stderr)
sys.exit(1 if wrong else 0)
