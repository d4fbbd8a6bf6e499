#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What `docker-compose config` (or `docker compose config`) prints, on standard input: says what a service is allowed beyond what it needs."""
import sys

import yaml

COLLECTOR = {"SYS_PTRACE", "DAC_READ_SEARCH", "NET_ADMIN", "SYS_ADMIN", "SYS_NICE",
             "SETUID", "SETGID", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID"}
ENROL = {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SYS_PTRACE"}
CAPABILITIES = {"collector": COLLECTOR, "enrol": ENROL}
OF_THE_MACHINE = {"collector", "enrol", "shipper"}
SERVERS = {"kafka", "kafka2", "kafka3", "head", "shard1", "shard2"}
ONCE = {"pki", "setup", "ctl", "token", "enrol"}
KEY_OF = {"gateway": "pofr-gateway", "gateway2": "pofr-gateway", "worker": "pofr-worker", "merger": "pofr-merger",
          "setup": "pofr-admin", "ctl": "pofr-admin", "token": "pofr-admin", "grafana": "pofr-grafana"}
bad = []


def volume(v):
    """compose 2 prints them in the long form, 1.29 in the short one."""
    return v if isinstance(v, str) else "%s:%s:%s" % (v.get("source", ""), v["target"], "ro" if v.get("read_only") else "rw")


def need(service, what, so):
    if not so:
        bad.append("%s: %s" % (service, what))


services = yaml.safe_load(sys.stdin)["services"]
for name, s in services.items():
    need(name, "cap_drop is not ALL", s.get("cap_drop") == ["ALL"])
    need(name, "capabilities", set(s.get("cap_add", [])) == CAPABILITIES.get(name, set()))
    need(name, "may gain privileges", "no-new-privileges:true" in s["security_opt"])
    need(name, "logs without a limit", set(s["logging"]["options"]) == {"max-size", "max-file"})
    need(name, "privileged", not s.get("privileged"))
    need(name, "of the machine's namespaces", name in OF_THE_MACHINE or not {"pid", "network_mode"} & set(s))
    need(name, "restart", s["restart"] == ("no" if name in ONCE else "unless-stopped"))
    need(name, "stop_grace_period", "stop_grace_period" in s)
    need(name, "writes to its image", name in SERVERS or s.get("read_only") is True)
    need(name, "another's key", not [v for v in map(volume, s.get("volumes", [])) if ("/tls/" in v or "/pki" in v) and name != "pki" and
                                     not v.endswith("/tls/%s:/run/tls:ro" % KEY_OF.get(name, name))])
    need(name, "a password in the environment",
         not any("PASSWORD" in key and not key.endswith("_FILE") for key in s.get("environment", {})))
print("%d services" % len(services))
for line in bad:
    print(line)
sys.exit(1 if bad else 0)
