#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""compare_rows.py -- are a shard's rows of some hosts what the reference decoder makes of their bundles?

  compare_rows.py --client 'mariadb OPTION...' DIR...

Each DIR holds the bundles of one host (*.bundle, as tests/support/random_bundle writes them) and the file `host`
(its uuid). Compared are whole rows, every column, as multisets: those of tests/reference/decode.py --rows, filled as
docs/SCHEMA.md says, and those of the tables of pofr_store. Taken from the shard is what arrival alone decides
(host_id, boot number, anchor); that there is one number per boot_id and branch, one anchor per boot, and that the ledger
rebuilds every statement, is checked by itself. Exit code 1 and the differing rows, else one line of counts.
"""
import argparse
import collections
import glob
import hashlib
import ipaddress
import json
import os
import shlex
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "reference"))
import decode  # noqa: E402  (the path comes first)

OPEN = 253402300799999999
TABLES = {"process": "psinfo", "file": "fileinfo", "socket": "netinfo", "user": "userinfo", "group": "groupinfo",
          "netint": "netint", "netroute": "netroute", "hostinfo": "hostinfo", "hwinfo": "hwinfo", "login": "login",
          "coverage": "coverage"}
KINDS = ["unknown", "regular", "directory", "character", "block", "fifo", "socket", "symlink", "anonymous"]
STRINGS = {"command_id", "exe_id", "cwd_id", "cgroup_id", "container_id", "path_id"}
TIMES = {"started", "parent_started", "first_seen", "last_seen", "ended", "own_first_seen", "own_ended", "end_before",
         "since"}
NOT_COMPARED = {"host_id", "boot", "hash", "end_before", "time_source", "own_first_seen", "own_ended"}


class Server:
    def __init__(self, client):
        self.client = shlex.split(client)

    def query(self, sql):
        done = subprocess.run(self.client + ["--batch", "--raw", "--skip-column-names", "-e", sql], capture_output=True,
                              check=False)
        if done.returncode:
            sys.exit("compare_rows: %s" % done.stderr.decode())
        return [line.split("\t") for line in done.stdout.decode("latin-1").split("\n")[:-1]]

    def columns(self, table):
        return [r[0] for r in self.query(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = '%s' "
            "ORDER BY ordinal_position" % table)]

    def rows(self, table, host_id):
        """dicts; bytes as hex, times as microseconds since 1970, text ids as the text in hex"""
        names = self.columns(table)
        exprs = []
        for name in names:
            if name in STRINGS:
                exprs.append("IFNULL(HEX((SELECT text FROM string s WHERE s.id = t.%s)), 'NULL')" % name)
            elif name in TIMES:
                exprs.append("IFNULL(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', t.%s), 'NULL')" % name)
            else:
                exprs.append("IFNULL(HEX(CONCAT(t.%s)), 'NULL')" % name)
        for row in self.query("SELECT %s FROM %s t WHERE host_id = %d" % (", ".join(exprs), table, host_id)):
            yield dict(zip(names, (None if v == "NULL" else v for v in row)))


def text(value):
    """As the server shows a value: bytes in hex."""
    if value is None:
        return None
    if isinstance(value, bytes):
        return value.hex().upper()
    return str(value).encode().hex().upper()


def started(anchor, jiffies, number):
    return str(anchor + jiffies * 10000 + number)


def address(family, raw):
    if (family, len(raw)) in ((2, 4), (10, 16)):
        packed = ipaddress.ip_address(raw)
        if family == 10 and packed.ipv4_mapped:
            return ("::ffff:%s" % packed.ipv4_mapped).encode()
        return str(packed).encode()
    return raw


def access(bits):
    return "path" if bits & 4 else ("r" if bits & 1 else "") + ("w" if bits & 2 else "")


def string_or_null(value):
    return value.hex().upper() if value else None


def process_columns(a, v):
    kernel = a["exe"] == b""
    out = {n: text(a[n]) for n in ("ruid euid suid fsuid rgid egid sgid fsgid session tty exe_deleted arguments_cut ns_mnt "
                                   "ns_pid ns_net ns_user ns_uts ns_ipc ns_cgroup kernel_thread recorder unreadable").split()}
    out["login_uid"] = None if a["login_uid"] == 4294967295 else text(a["login_uid"])
    out["command_id"] = a["command"].hex().upper()
    out["exe_device"] = None if kernel else text(a["exe_device"])
    out["exe_inode"] = None if kernel else text(a["exe_inode"])
    out["arguments"] = text(a["arguments"]) if a["arguments"] else None
    for name in ("exe", "cwd", "cgroup", "container"):
        out[name + "_id"] = string_or_null(a[name])
    out["exit_status"] = text(v["exit_status"]) if v["exit_known"] else None
    out["cpu_us"] = text(v["cpu_us"])
    return out


def expected_row(row, anchor, tick):
    """The table and the columns of a row of decode.py."""
    e, slot, a, f, v = row["entity"], row["slot"], row["attributes"], row["fixed"], row["volatile"]
    out = {n: text(x) for n, x in list(slot.items()) + list(a.items()) + list(v.items()) + list(f.items())}
    if e in ("process", "file", "socket"):
        none = e == "socket" and slot["pid"] == 0
        out["started"] = "0" if none else started(anchor, slot["start_jiffies"], slot["start_number"])
        for name in ("start_jiffies", "start_number", "command"):
            out.pop(name, None)
    if e == "process":
        out = {"pid": text(slot["pid"]), "started": out["started"]}
        out.update(process_columns(a, v))
        out["ppid"] = text(f["ppid"])
        out["parent_started"] = started(anchor, f["parent_start_jiffies"], f["parent_start_number"]) if f["parent_known"] else None
    elif e == "file":
        out.update(path_id=a["path"].hex().upper(), command_id=f["command"].hex().upper(), access_mode=text(access(a["access_mode"])),
                   kind=text(KINDS[a["kind"]] if a["kind"] < len(KINDS) else "unknown"))
        del out["path"]
    elif e == "socket":
        known = v["bytes_known"]
        out.update(command_id=f["command"].hex().upper(), local_address=text(address(a["family"], a["local_address"])),
                   remote_address=text(address(a["family"], a["remote_address"])),
                   bytes_sent=text(v["bytes_sent"]) if known else None,
                   bytes_received=text(v["bytes_received"]) if known else None)
        del out["bytes_known"]
    elif e == "netint":
        out.update(address=text(address(slot["family"], slot["address"])), broadcast=text(address(slot["family"], a["broadcast"])),
                   hardware_address=text(a["hardware_address"].hex(":")))
    elif e == "netroute":
        out.update(destination=text(address(slot["family"], slot["destination"])),
                   gateway=text(address(slot["family"], slot["gateway"])), source=text(address(slot["family"], a["source"])),
                   route_table=out.pop("table"))
    elif e == "login":
        out["since"] = str(a["since_wall_us"]) if a["since_wall_us"] else None
        del out["since_wall_us"]
    is_open = row["ended"] is None
    out["first_seen"] = str(anchor + row["first_seen"])
    out["last_seen"] = str(anchor + (row["first_seen"] if is_open else row["last_seen"]))
    out["ended"] = str(OPEN if is_open else anchor + row["ended"])
    out["end_source"] = text(row["end_source"])
    out["end_inferred"] = text(int(row["inferred"]))
    out["start_unseen"] = text(int(bool(row["start_unseen"])))
    return TABLES[e], out


def as_key(columns):
    return json.dumps({k: v for k, v in columns.items() if k not in NOT_COMPARED}, sort_keys=True)


def reference(directory, files):
    host = decode.Host()
    bundles = sorted((decode.Bundle(decode.read_file(name), name) for name in files), key=lambda b: b.sequence)
    for b in bundles:
        host.apply(b)
    return host, bundles


def rebuilt(server, host_id):
    """sequence -> digest that the ledger's columns give when the statement is made of them again; see verify"""
    return {(int(r[0]), r[1].lower()) for r in server.query(
        "SELECT sequence, HEX(statement_digest) FROM bundle WHERE host_id = %d" % host_id)}


def boots_of(server, host_id):
    return {(r[0].lower(), int(r[1])): (int(r[2]), int(r[3])) for r in server.query(
        "SELECT HEX(boot_id), branch, boot, anchor_us FROM boot WHERE host_id = %d" % host_id)}


def compare_host(server, directory, only):
    uuid = decode.read_file(os.path.join(directory, "host")).decode().strip()
    files = sorted(glob.glob(os.path.join(directory, "*.bundle")))
    if only:
        wanted = set(only.split(","))
        files = [f for f in files if os.path.basename(f).split(".")[0].lstrip("0") in wanted]
    host, bundles = reference(directory, files)
    ids = server.query("SELECT host_id FROM host WHERE host_uuid = UNHEX('%s')" % uuid.replace("-", ""))
    if len(ids) != 1:
        print("host %s: %d rows in table host" % (uuid, len(ids)))
        return 1, 0
    host_id, bad, rows = int(ids[0][0]), 0, 0
    boots = boots_of(server, host_id)
    want, have = collections.Counter(), collections.Counter()
    for (boot_id, branch), boot in host.boots.items():
        number, anchor = boots.get((boot_id.replace("-", ""), branch), (None, None))
        if number is None:
            print("host %s: boot %s branch %d is not there" % (uuid, boot_id, branch))
            return 1, 0
        for row in host.rows(uuid):
            if row["entity"] in TABLES and (row["boot"], row["branch"]) == (boot_id, branch):
                table, columns = expected_row(row, anchor, boot.tick)
                want[(table, number, as_key(columns))] += 1
    for table in TABLES.values():
        for row in server.rows(table, host_id):
            have[(table, int(bytes.fromhex(row["boot"]).decode()), as_key(row))] += 1
            rows += 1
    for what, left in (("missing", want - have), ("too many", have - want)):
        for (table, boot, columns), count in sorted(left.items())[:20]:
            print("host %s boot %d: %s %d: %s %s" % (uuid, boot, what, count, table, columns))
        bad += sum(left.values())
    ledger, signed = rebuilt(server, host_id), {(b.sequence, b.digest) for b in bundles}
    if ledger != signed:
        print("host %s: ledger differs: missing %s, too many %s" % (uuid, sorted(signed - ledger)[:5], sorted(ledger - signed)[:5]))
        bad += 1
    gaps = sorted((int(r[0]), int(r[1]), int(r[2])) for r in server.query(
        "SELECT first_sequence, last_sequence, IFNULL(lost, -1) FROM gap WHERE host_id = %d AND kind = 'sequence' AND "
        "explained = 0" % host_id))
    missing = sorted((g["first_sequence"], g["last_sequence"], g["lost"]) for g in host.gaps)
    if bundles and bundles[0].sequence > 1:
        here = sum(n for n, _ in bundles[0].records_line.values())
        total = sum(t for _, t in bundles[0].records_line.values())
        missing.insert(0, (1, bundles[0].sequence - 1, total - here))
    if gaps != missing:
        print("host %s: gaps are %s, should be %s" % (uuid, gaps, missing))
        bad += 1
    return bad, rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dirs", nargs="+", metavar="DIR")
    parser.add_argument("--client", required=True)
    parser.add_argument("--only", help="sequences that were stored, comma between; else all")
    options = parser.parse_args()
    server, bad, rows = Server(options.client), 0, 0
    for directory in options.dirs:
        b, r = compare_host(server, directory, options.only)
        bad += b
        rows += r
    print("compare_rows: %d hosts, %d rows, %d differences" % (len(options.dirs), rows, bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
