#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""equal.py -- are the rows of a host in SQL exactly what it recorded and signed? (CORRECTNESS part 8.3)

  equal.py [options] STATE_DIR...     one agent's state folder each; exit 0: equal, 1: not (the first differences are shown)

Truth: the bundles in the agent's own spool, read by the reference decoder (tests/reference/decode.py). Compared, in one
consistent snapshot of the host's shard and with every column: all interval views, the ledger (each statement rebuilt byte for
byte), gaps, findings, boots, and the sums of the host's row. What arrival alone decides is taken from the shard and checked
by itself. A host may go on recording meanwhile: the ledger of the snapshot says how far it is compared.
"""
import argparse
import base64
import collections
import hashlib
import multiprocessing
import os
import random
import re
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import columns  # noqa: E402

import spool  # noqa: E402  (it also puts the reference decoder into the path)
import decode  # noqa: E402

SHOWN = 5  # differences of each kind that are printed in full
SERVER_FINDINGS = {"branch", "clock_differs", "clock_drift", "machine_id"}  # "clone" is none: in no test that compares there is one
GAPS = {1: "stopped", 2: "crash", 3: "spool", 4: "refused", 5: "writer", 6: "ticks", 7: "state"}


class Wrong(Exception):
    """Cannot even be compared."""


# --- the reference decoder, which here also keeps what only --rows leaves out -----------------------------


class Boot(decode.Boot):
    def __init__(self):
        super().__init__()
        self.singles = []  # GAP, FINDING

    def apply(self, r):
        if r.kind is not None and r.kind.name in ("gap", "finding"):
            self.singles.append(r)
        super().apply(r)

    def goes_on(self, row, r):
        before = row.volatile
        if not super().goes_on(row, r):
            return False
        row.said = getattr(row, "said", []) + [before]
        return True


decode.Boot = Boot


def volatiles(row):
    """An END tells the last values; of what has none, any value that was told is right: nothing is written for what goes on."""
    alternatives = [row.volatile]
    if row.ended is None or row.inferred:
        alternatives += [v for v in getattr(row, "said", []) if v != row.volatile]
    return alternatives


# --- SQL -------------------------------------------------------------------------------------------------


class Shard:
    def __init__(self, options, address):
        self.address = address
        host, port = address.rsplit(":", 1)
        self.command = ["mariadb", "--defaults-file=" + options.options, "--host=" + host, "--port=" + port, "--batch",
                        "--skip-column-names", "--database=pofr"]

    def run(self, statements):
        """One list of rows for each statement, all of them in one consistent snapshot."""
        text = ["SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION WITH CONSISTENT SNAPSHOT"]
        for i, statement in enumerate(statements):
            text += ["SELECT '=== %d'" % i, statement]
        done = subprocess.run(self.command, input=(";\n".join(text) + ";\n").encode(), capture_output=True, check=False)
        if done.returncode != 0:
            raise Wrong("shard %s: %s" % (self.address, done.stderr.decode("utf-8", "replace").strip()))
        results = []
        for line in done.stdout.decode("utf-8").split("\n")[:-1]:
            if line == "=== %d" % len(results):
                results.append([])
            else:
                results[-1].append(line.split("\t"))
        return results

    def columns(self):
        rows = self.run(["SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'pofr' "
                         "ORDER BY table_name, ordinal_position"])[0]
        found = collections.defaultdict(list)
        for view, column in rows:
            found[view].append(column)
        return found


LEDGER = ["bundle", "gap", "finding", "boot"]


class Snapshot:
    """All rows of one host at one moment."""

    def __init__(self, shard, uuid):
        names = shard.columns()
        wanted = list(columns.VIEWS) + LEDGER
        which = "host_id = (SELECT host_id FROM host WHERE host_uuid = '%s')" % uuid
        statements = ["SELECT %s FROM %s WHERE %s" % (", ".join(
            "HEX(`%s`)" % c if c in columns.BYTES[view] else "`%s`" % c for c in names[view]), view, which) for view in wanted]
        statements.append("SELECT %s FROM host WHERE host_uuid = '%s'" % (", ".join(
            "HEX(recorder)" if c == "recorder" else "`%s`" % c for c in names["host"]), uuid))
        statements.append("SELECT slot, incarnation, kafka_offset, records, replayed, reason, HEX(message) FROM set_aside WHERE " + which)
        statements.append("SELECT COUNT(*) FROM process WHERE " + which)
        results = shard.run(statements)
        self.columns = names
        self.rows = {view: [dict(zip(names[view], row)) for row in rows] for view, rows in zip(wanted, results)}
        self.set_aside, self.processes = results[-2], int(results[-1][0][0])
        if len(results[-3]) != 1:
            raise Wrong("%d rows in the view host" % len(results[-3]))
        self.host = dict(zip(names["host"], results[-3][0]))


def find_shard(shards, uuid):
    found = [s for s in shards if s.run(["SELECT COUNT(*) FROM host WHERE host_uuid = '%s'" % uuid])[0][0][0] != "0"]
    if len(found) != 1:
        raise Wrong("host %s is on %d shards" % (uuid, len(found)))
    return found[0]


# --- the ledger ------------------------------------------------------------------------------------------


def unpack_counts(blob):
    reader, lists = decode.Reader(blob), []
    for _ in range(2):
        triples = [(reader.varint(), reader.varint(), reader.varint()) for _ in range(reader.varint())]
        lists.append(" ".join("%d:%d:%d" % t for t in triples) or "-")
    if reader.left():
        raise Wrong("counts of the ledger: bytes left over")
    return lists


def dashed(text):
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:])).lower()


def rebuild(row, uuid):
    """The statement of a ledger row."""
    records, lost = unpack_counts(bytes.fromhex(row["counts"]))
    previous = "none" if set(row["previous_digest"]) == {"0"} else row["previous_digest"].lower()
    values = [("pofr-bundle", "1"), ("host", uuid), ("run", row["run"].lower()), ("sequence", row["sequence"]),
              ("previous", previous), ("origin", row["origin"]), ("boot", dashed(row["boot_id"])),
              ("boot-from", row["from_boot_us"]), ("boot-to", row["to_boot_us"]), ("wall-from", row["from_wall_us"]),
              ("wall-to", row["to_wall_us"]), ("ticks", row["ticks"] + " " + row["ticks_total"]), ("keyframe", row["keyframe"]),
              ("records", records), ("lost", lost), ("payload-size", row["payload_size"]), ("payload-bytes", row["payload_bytes"]),
              ("payload-sha256", row["payload_digest"].lower()), ("key", row["key_id"].lower()),
              ("recorder", bytes.fromhex(row["recorder"]).decode("latin-1"))]
    return "".join("%s %s\n" % pair for pair in values) + "end\n"


def string(data):
    return struct.pack(">I", len(data)) + data


def armored(public, signature):
    """SSHSIG as OpenSSH's PROTOCOL.sshsig has it."""
    kind = b"ssh-ed25519"
    blob = (b"SSHSIG" + struct.pack(">I", 1) + string(string(kind) + string(public)) + string(b"pofr-bundle") + string(b"") +
            string(b"sha512") + string(string(kind) + string(signature)))
    text = base64.b64encode(blob).decode()
    return "-----BEGIN SSH SIGNATURE-----\n%s\n-----END SSH SIGNATURE-----\n" % "\n".join(
        text[i:i + 70] for i in range(0, len(text), 70))


def ssh_keygen_verifies(text, signature, public, uuid):
    with tempfile.TemporaryDirectory() as folder:
        signers, sig = os.path.join(folder, "signers"), os.path.join(folder, "sig")
        with open(signers, "w", encoding="ascii") as f:
            f.write('%s namespaces="pofr-bundle" ssh-ed25519 %s\n' % (
                uuid, base64.b64encode(string(b"ssh-ed25519") + string(public)).decode()))
        with open(sig, "w", encoding="ascii") as f:
            f.write(armored(public, signature))
        return subprocess.run(["ssh-keygen", "-Y", "verify", "-f", signers, "-I", uuid, "-n", "pofr-bundle", "-s", sig],
                              input=text.encode(), capture_output=True, check=False).returncode == 0


# --- one host ----------------------------------------------------------------------------------------------


def public_keys(state):
    """The host's key, and those of before that the test has put beside it as host.key.1 and so on."""
    return [public_key(os.path.join(state, name)) for name in os.listdir(state) if re.fullmatch(r"host\.key(\.\d+)?", name)]


def public_key(file):
    """Of the file that OpenSSH calls a private key: its public half stands in it in clear."""
    text = decode.read_file(file).decode("ascii")
    blob = base64.b64decode("".join(text.split("\n")[1:-2]))
    at = blob.index(struct.pack(">I", 11) + b"ssh-ed25519" + struct.pack(">I", 32))
    return blob[at + 19:at + 51]


class Comparison:
    def __init__(self, options, states):
        self.options = options
        with open(os.path.join(states[0], "host.uuid"), encoding="ascii") as f:
            self.uuid = f.read().strip()
        self.lines, self.shown = [], collections.Counter()
        self.states = states
        self.reference = decode.Host()

    def wrong(self, what, text):
        self.shown[what] += 1
        if self.shown[what] <= SHOWN:
            self.lines.append("%s: %s" % (what, text))

    def equal(self, what, got, want, of=""):
        if got != want:
            self.wrong(what, "%sSQL has %s, it is %s" % (of and of + ": ", got, want))

    def snapshot(self):
        """First SQL, then the spool, then Kafka: what is stored is in the two others."""
        shard = find_shard([Shard(self.options, a) for a in self.options.shards.split(",")], self.uuid)
        self.sql = Snapshot(shard, self.uuid)
        self.spools = [spool.read_bundles(state) for state in self.states]

    def run(self, kafka):
        self.bundles = {b.digest: b for _, bundles in self.spools for b in bundles if isinstance(b, decode.Bundle)}
        self.check_ledger(kafka)
        self.check_missing()
        self.apply()
        self.check_boots()
        for view, (entity, _) in columns.VIEWS.items():
            self.check_view(view, entity)
        self.check_gaps()
        self.check_findings()
        self.check_sums()
        for what, count in sorted(self.shown.items()):
            if count > SHOWN:
                self.lines.append("%s: %d differences in all" % (what, count))
        rows = sum(len(self.sql.rows[view]) for view in columns.VIEWS)
        return "%s: %s, %d bundles up to %s, %d rows, %d gaps" % (
            self.sql.host["host"], "equal" if not self.lines else "DIFFERS", len(self.ledger),
            max((b.sequence for b in self.ledger.values()), default="-"), rows, len(self.sql.rows["gap"]))

    # -- every stored statement is one that the host has signed, and is stored once

    def check_ledger(self, kafka):
        self.ledger, self.ledger_rows = {}, {}
        keys = {hashlib.sha256(k).hexdigest(): k for state in self.states for k in public_keys(state)}
        sample = set(random.Random(self.options.seed).sample(
            sorted(r["statement_digest"] for r in self.sql.rows["bundle"]),
            min(self.options.sample, len(self.sql.rows["bundle"]))))
        for row in self.sql.rows["bundle"]:
            digest, of = row["statement_digest"].lower(), "sequence " + row["sequence"]
            b = self.bundles.get(digest)
            if b is None:
                self.wrong("ledger", of + ": stored, and the host does not hold such a bundle")
                continue
            if digest in self.ledger:
                self.wrong("ledger", of + ": stored twice")
            self.ledger[digest], self.ledger_rows[digest] = b, row
            text = rebuild(row, self.uuid)
            self.equal("ledger, statement", text, b.text.decode("ascii"), of)
            self.equal("ledger, digest", hashlib.sha256(text.encode()).hexdigest(), digest, of)
            key = keys.get(row["key_id"].lower())
            if key is None:
                self.wrong("ledger", of + ": signed by a key that the host does not have")
                continue
            signature = bytes.fromhex(row["signature"])
            self.equal("ledger, signature", armored(key, signature).encode(), b.signature, of)
            if row["statement_digest"] in sample and not ssh_keygen_verifies(text, signature, key, self.uuid):
                self.wrong("ledger", of + ": ssh-keygen -Y verify says no")
            self.equal("ledger, bytes", row["bytes"], str(len(b.block)), of)
            here = sum(here for here, _ in b.records_line.values())
            self.equal("ledger, records", row["records"], str(here), of)
            self.equal("ledger, records_total", row["records_total"], str(sum(t for _, t in b.records_line.values())), of)
            lost = decode.read_counts(b.statement["lost"])
            self.equal("ledger, lost_total", row["lost_total"], str(sum(t for _, t in lost.values())), of)
            self.equal("ledger, unknown_records", row["unknown_records"], "0", of)
            self.equal("ledger, slot", row["slot"], str(int(row["host_id"]) % 1024), of)
            self.check_message(row, kafka, of)

    def check_message(self, row, kafka, of):
        """What the gateway's headers said is what the ledger keeps, and nothing else does."""
        if kafka is None:
            return
        found = kafka.get((int(row["slot"]), int(row["kafka_offset"])))
        if found is None:
            self.wrong("ledger, kafka_offset", of + ": no such message")
            return
        key, size, headers = found
        self.equal("message, key", key, self.uuid, of)
        self.equal("message, bytes", row["bytes"], size, of)
        self.equal("ledger, received", row["received"], columns.moment(int(headers["pofr-received"])), of)
        same_boot = headers.get("pofr-boot") == dashed(row["boot_id"]) and "pofr-offset" in headers
        self.equal("ledger, clock_offset", row["clock_offset"], headers["pofr-offset"] if same_boot else columns.NULL, of)
        self.equal("ledger, clock_uncertainty", row["clock_uncertainty"],
                   headers["pofr-uncertainty"] if same_boot else columns.NULL, of)

    def check_missing(self):
        """What the host sealed and SQL does not have is finally refused, set aside, or not here yet."""
        newest = max((b.sequence for b in self.ledger.values()), default=0)
        aside = {sequence_of(message) for _, _, _, _, _, _, message in self.sql.set_aside}
        gone = {s for state in self.states for s in spool.read_refused(state)} | gone_of(self.options, self.uuid)
        for digest, b in self.bundles.items():
            if digest in self.ledger or b.sequence in aside or b.sequence in gone:
                continue
            if b.sequence < newest:
                self.wrong("lost", "sequence %d is not stored, although later ones are" % b.sequence)
        for state, (head, bundles) in zip(self.states, self.spools):
            if head is None:
                raise Wrong("%s has no head" % state)
            last = bundles[-1] if bundles else None
            if head.sequence and (last is None or last.sequence != head.sequence or getattr(last, "digest", head.digest) != head.digest):
                self.wrong("spool", "the head names sequence %d, and its bundle is not there" % head.sequence)
            for before, b in zip(bundles, bundles[1:]):
                rotten = isinstance(before, spool.Rotten) or isinstance(b, spool.Rotten)
                if b.sequence != before.sequence + 1 or not (rotten or b.previous == before.digest):
                    self.wrong("spool", "sequence %d does not follow the one before" % b.sequence)
            if self.options.min and len(bundles) < self.options.min:
                self.wrong("spool", "only %d bundles: too few to mean anything" % len(bundles))

    # -- rows

    def apply(self):
        for b in sorted(self.ledger.values(), key=lambda b: (b.sequence, int(self.ledger_rows[b.digest]["kafka_offset"]))):
            self.reference.apply(b)

    def check_boots(self):
        """One number for each boot_id and branch; one anchor, which the first stored bundle's message gave."""
        rows, firsts, number_of = {int(r["boot"]): r for r in self.sql.rows["boot"]}, {}, {}
        for digest, row in self.ledger_rows.items():
            key = (self.ledger[digest].statement["boot"], self.reference.branch_of[digest])
            number = int(row["boot"])
            if number_of.setdefault(key, number) != number:
                self.wrong("boot", "boot_id %s has the numbers %d and %d" % (key[0], number_of[key], number))
            place = (int(row["replayed"]), int(row["incarnation"]), int(row["kafka_offset"]))
            if number not in firsts or place < firsts[number][0]:
                firsts[number] = (place, row)
        if len(set(number_of.values())) != len(number_of) or set(rows) != set(number_of.values()):
            self.wrong("boot", "numbers %s for %d boots; rows of %s" % (sorted(number_of.values()), len(number_of), sorted(rows)))
        for key, boot in self.reference.boots.items():
            row = rows.get(number_of[key])
            if row is None:
                raise Wrong("no row of boot %s" % (key,))
            boot.number, boot.anchor_us = number_of[key], int(row["anchor_us"])
            self.equal("boot, boot_id", dashed(row["boot_id"]), key[0])
            first = firsts[boot.number][1]
            own = int(first["from_wall_us"]) - int(first["from_boot_us"])
            by_gateway = first["clock_offset"] != columns.NULL
            self.equal("boot, anchor", (row["anchor_us"], row["anchor_source"]),
                       (first["clock_offset"] if by_gateway else str(own), "gateway" if by_gateway else "host"))
            self.equal("boot, host_anchor_us", row["host_anchor_us"], str(own))
            self.equal("boot, last_tick", row["last_tick"], columns.moment(boot.anchor_us + boot.tick))
        for digest, row in self.ledger_rows.items():
            anchor = int(rows[int(row["boot"])]["anchor_us"])
            for name, at in (("captured_from", "from_boot_us"), ("captured_to", "to_boot_us")):
                self.equal("ledger, " + name, row[name], columns.moment(anchor + int(row[at])), "sequence " + row["sequence"])

    def check_view(self, view, entity):
        names = self.sql.columns[view]
        have = collections.Counter(tuple(row[name] for name in names) for row in self.sql.rows[view])
        missing = []
        for boot in self.reference.boots.values():
            for row in boot.closed + list(boot.open.values()):
                if row.entity == entity:
                    found = [columns.expected(view, row, v, boot, self.sql.host) for v in volatiles(row)]
                    if set(found[0]) != set(names):
                        raise Wrong("view %s: columns %s are not compared" % (view, sorted(set(found[0]) ^ set(names))))
                    if not self.take(have, [tuple(f[name] for name in names) for f in found]):
                        missing.append(found[0])
        extra = [dict(zip(names, row)) for row, n in have.items() for _ in range(n)]
        self.show(view, names, missing, extra)
        if view == "psinfo":
            count = sum(row["end_source"] not in ("exec", "change") for row in self.sql.rows[view])
            self.equal("process", self.sql.processes, count, "rows")

    @staticmethod
    def take(have, alternatives):
        for one in alternatives:
            if have[one] > 0:
                have[one] -= 1
                if have[one] == 0:
                    del have[one]
                return True
        return False

    def show(self, view, names, missing, extra):
        """Rows that seem to be meant for each other are shown by what differs."""
        for i, want in enumerate(missing):
            if self.shown[view] >= SHOWN:
                self.shown[view] += max(len(missing) - i, len(extra))
                return
            near = min(extra, key=lambda got: sum(got[n] != want[n] for n in names), default=None)
            if near is not None and sum(near[n] != want[n] for n in names) <= 6:
                extra.remove(near)
                self.wrong(view, "%s: %s" % (brief(want, names), "; ".join(
                    "%s is %s in SQL, not %s" % (n, readable(view, n, near[n]), readable(view, n, want[n]))
                    for n in names if near[n] != want[n])))
            else:
                self.wrong(view, "missing in SQL: " + in_full(view, want, names))
        for got in extra:
            self.wrong(view, "only in SQL: " + in_full(view, got, names))

    # -- what is known to be missing, and what should not be

    def check_gaps(self):
        want = collections.Counter()
        for boot in self.reference.boots.values():
            for r in boot.singles:
                if r.kind.name == "gap":
                    want[self.told_gap(boot, r)] += 1
        refused = {int(gap[1]) for gap in want if gap[0] == "refused" and gap[1]}
        for gap in self.reference.gaps:
            if set(range(gap["first_sequence"], gap["last_sequence"] + 1)) <= refused:
                continue  # the host itself has told what is missing, and why: one row
            want[("sequence", str(gap["first_sequence"]), str(gap["last_sequence"]), "", "", "", str(gap["lost"]), "")] += 1
        have = collections.Counter()
        for g in self.sql.rows["gap"]:
            first, last = (g[n] if g[n] != columns.NULL else "" for n in ("first_sequence", "last_sequence"))
            if g["explained"] == "1":
                stored = {b.sequence for b in self.ledger.values()}
                if g["kind"] != "sequence" or not set(range(int(first), int(last) + 1)) <= stored:
                    self.wrong("gap", "explained, and it is not: %s" % g)
                continue
            lost, times = g["lost"] if g["lost"] != columns.NULL else "", ("", "")
            if g["kind"] not in ("sequence", "refused"):
                times = (g["from_time"], g["to_time"])
            if g["kind"] == "refused":
                lost = ""
            have[(g["kind"], first, last, *times, bytes.fromhex(g["detail"]).decode("latin-1"), lost,
                  "" if g["digest"] == columns.NULL else g["digest"])] += 1
        for gap in (want - have).elements():
            self.wrong("gap", "missing in SQL: %s" % (gap,))
        for gap in (have - want).elements():
            self.wrong("gap", "only in SQL: %s" % (gap,))

    @staticmethod
    def told_gap(boot, r):
        sequence = str(r["sequence"]) if r["kind"] == 4 and r["sequence"] else ""
        begin, end = boot.anchor_us + r["from"], boot.anchor_us + r["to"]
        if r["from_boot"] or r["from_wall_us"]:
            begin = min(r["from_wall_us"], end) if r["from_wall_us"] else end
        times = ("", "") if r["kind"] == 4 else (columns.moment(begin), columns.moment(end))
        return (GAPS[r["kind"]], sequence, sequence, *times, r["reason"].decode("latin-1"),
                "" if r["kind"] == 4 or not r["lost"] else str(r["lost"]), columns.hexed(r["digest"]))

    def check_findings(self):
        want = collections.Counter()
        for boot in self.reference.boots.values():
            for r in boot.singles:
                if r.kind.name == "finding":
                    want[(str(boot.number), columns.moment(boot.anchor_us + r["at"]), columns.hexed(r["kind"]),
                          columns.hexed(r["detail"]))] += 1
        have = collections.Counter((f["boot"], f["at_time"], f["kind"], f["detail"]) for f in self.sql.rows["finding"])
        for what, found in (("missing in SQL", want - have), ("only in SQL", have - want)):
            for f in found.elements():
                text = " ".join((f[0], f[1], *(bytes.fromhex(x).decode("latin-1") for x in f[2:])))
                if what == "missing in SQL" or bytes.fromhex(f[2]).decode() not in SERVER_FINDINGS - set(self.options.refuse_finding):
                    self.wrong("finding", "%s: %s" % (what, text))

    def check_sums(self):
        """recorded = stored + set aside + counted as lost, and the host's row says so."""
        host, rows = self.sql.host, self.sql.rows
        stored = sum(int(r["records"]) for r in rows["bundle"])
        self.equal("host", host["bundles"], str(len(rows["bundle"])), "bundles")
        self.equal("host", host["records"], str(stored), "records")
        if not rows["bundle"] or len(self.reference.boots) > len({boot for boot, _ in self.reference.boots}):
            return  # of two histories there is no one total
        newest = max(rows["bundle"], key=lambda r: int(r["sequence"]))
        self.equal("host", host["records_total"], newest["records_total"], "records_total")
        self.equal("host", host["lost_total"], newest["lost_total"], "lost_total")
        self.equal("host", host["last_tick"], newest["captured_to"], "last_tick")
        sequences = {b.sequence for b in self.ledger.values()}  # what took one of these names was forged
        aside = sum(int(r[3]) for r in self.sql.set_aside
                    if r[3] != columns.NULL and r[4] == columns.NULL and sequence_of(r[6]) not in sequences)
        lost = sum(int(g["lost"]) for g in rows["gap"]
                   if g["kind"] in ("sequence", "refused") and g["explained"] == "0" and g["lost"] != columns.NULL)
        self.equal("sums", stored + aside + lost, int(newest["records_total"]), "stored %d, set aside %d, lost %d" % (
            stored, aside, lost))


def sequence_of(message):
    """What a message that was set aside says of itself; 0: nothing."""
    found = re.search(rb"\nsequence (\d+)\n", bytes.fromhex(message)[:4096])
    return int(found[1]) if found else 0


def readable(view, name, value):
    if name in columns.BYTES[view] and value != columns.NULL:
        return repr(bytes.fromhex(value))[1:][:120]
    return value


def brief(row, names):
    return " ".join("%s %s" % (n, row[n]) for n in ("boot", "pid", "fd", "cookie", "name", "source", "started", "first_seen", "from_time")
                    if n in names)


def in_full(view, row, names):
    return " ".join("%s=%s" % (n, readable(view, n, row[n])) for n in names if n not in ("host", "host_id"))


# --- all hosts ------------------------------------------------------------------------------------------------


def read_kafka(brokers):
    """(partition, offset) -> (key, bytes, headers)"""
    done = subprocess.run(["kcat", "-C", "-q", "-e", "-b", brokers, "-t", "pofr.snapshots", "-o", "beginning", "-f",
                           "%p\t%o\t%k\t%S\t%h\n"], capture_output=True, check=False)
    if done.returncode != 0:
        raise Wrong("kcat: " + done.stderr.decode("utf-8", "replace"))
    found = {}
    for line in done.stdout.decode("utf-8", "replace").split("\n")[:-1]:
        fields = line.split("\t")
        if len(fields) == 5 and fields[0].isdigit():
            found[int(fields[0]), int(fields[1])] = (fields[2], fields[3], dict(
                pair.split("=", 1) for pair in fields[4].split(",") if "=" in pair))
    return found


def gone_of(options, uuid):
    """Sequences that the test itself has taken away before they were stored."""
    gone = set()
    for text in options.gone:
        host, sequences = text.split(":")
        first, last = sequences.split("-")
        if host == uuid:
            gone |= set(range(int(first), int(last) + 1))
    return gone


def wait_until_stored(options, groups):
    """Until every bundle that is sealed now is in SQL: the newest of each host, and none before it is missing."""
    deadline = time.monotonic() + options.wait
    shards = [Shard(options, a) for a in options.shards.split(",")]
    left = {}
    for states in groups:
        with open(os.path.join(states[0], "host.uuid"), encoding="ascii") as f:
            head, uuid = spool.read_head(states[0]), f.read().strip()
            left[uuid] = (head.sequence if head else 0, len(spool.read_refused(states[0])) + len(gone_of(options, uuid)))
    while True:
        for shard in shards:
            try:
                rows = shard.run(["SELECT h.host_uuid, MAX(b.sequence), COUNT(DISTINCT b.sequence) FROM host h "
                                  "JOIN bundle b ON b.host_id = h.host_id GROUP BY h.host_id"])[0]
            except Wrong:
                rows = []  # it starts
            for uuid, newest, count in rows:
                if uuid in left and int(newest) >= left[uuid][0] and int(count) + left[uuid][1] >= left[uuid][0]:
                    del left[uuid]
        if not left:
            return
        if time.monotonic() > deadline:
            raise Wrong("not stored after %d s: %s" % (options.wait, ", ".join("%s up to %d" % (u, t[0]) for u, t in left.items())))
        time.sleep(0.1)


COMPARISONS, KAFKA = [], None  # what the processes of the pool are born with


def compare(i):
    comparison = COMPARISONS[i]
    try:
        result = comparison.run(KAFKA)
    except (Wrong, decode.Refused, OSError) as e:
        return comparison.states[0], ["%s: %s" % (comparison.uuid, e)], ""
    return comparison.states[0], comparison.lines, result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("states", nargs="+", metavar="STATE_DIR",
                        help="of one host; several of one host (its histories) with commas between")
    parser.add_argument("--shards", required=True, help="host:port, with commas between")
    parser.add_argument("--options", required=True, metavar="FILE", help="option file of the MariaDB client")
    parser.add_argument("--kafka", metavar="BROKERS", help="compare with the messages, too")
    parser.add_argument("--wait", type=int, default=0, metavar="SECONDS", help="first, until all that is sealed now is stored")
    parser.add_argument("--sample", type=int, default=2, help="signatures of each host that ssh-keygen verifies")
    parser.add_argument("--min", type=int, default=0, help="bundles that each host must have")
    parser.add_argument("--refuse-finding", action="append", default=[], metavar="KIND", help="a server's finding that must not be")
    parser.add_argument("--gone", action="append", default=[], metavar="UUID:N-M", help="sequences that can't be in SQL, and must be a gap")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    global KAFKA  # pylint: disable=global-statement
    bad = False
    try:
        groups = [text.split(",") for text in options.states]
        if options.wait:
            wait_until_stored(options, groups)
        for states in groups:
            COMPARISONS.append(Comparison(options, states))
            COMPARISONS[-1].snapshot()
        KAFKA = read_kafka(options.kafka) if options.kafka else None
    except (Wrong, OSError) as e:
        print("equal.py: %s" % e, file=sys.stderr)
        return 1
    with multiprocessing.Pool(2) as pool:
        for state, lines, result in pool.imap(compare, range(len(groups))):
            print(result or state)
            for line in lines:
                print("  " + line)
            bad = bad or bool(lines)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
