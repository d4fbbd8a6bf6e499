#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""decode.py -- bundles as docs/RECORD.md describes them, read the slow and simple way.

Written from that document, apart from the C code that it is compared with; the table of fields is the one in
common/record/record.def. Needs Python 3, and the programs zstd and (for --verify) ssh-keygen.

  decode.py FILE...                  every record as a line of JSON (bytes as text of U+0000 to U+00FF)
  decode.py --text FILE...           the form of rec_print(), as tests/support/print_bundle.c gives it
  decode.py --rows FILE...           the interval rows that a perfect server holds after these bundles, in order
                                     of sequence (docs/RECORD.md, part 4); moments in microseconds of the boot clock
  decode.py --payload FILE...        the files are bare payloads, not compressed; with --text
  --verify ALLOWED_SIGNERS           check every signature too, by ssh-keygen

A bundle that is not to be believed, and a break in the chain, is a line on standard error, and exit code 1.
"""
import argparse
import base64
import hashlib
import json
import math
import os
import re
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TABLE = os.path.join(HERE, "..", "..", "common", "record", "record.def")
LIMITS = os.path.join(HERE, "..", "..", "common", "record", "limits.h")
START, END, SIGHT = 0, 1, 2
VERBS = ["start", "end", "sight"]
UNREADABLE_ARGUMENTS = 2
GAP_TICKS = 6  # looks that were due and not made: what is open is shown by the next one
END_SOURCES = {1: "exit", 2: "gone", 3: "exec", 4: "change", 5: "close", 17: "reboot", 18: "retired"}


class Refused(Exception):
    """Not to be believed."""


def read_file(name):
    with open(name, "rb") as f:
        return f.read()


def refuse_if(wrong, why):
    if wrong:
        raise Refused(why)


# --- the table ------------------------------------------------------------------------------------------


class Field:
    def __init__(self, number, name, type_, role):
        self.number, self.name, self.type, self.role = int(number), name, type_, role
        self.wire = {"U": 0, "T": 0, "A": 0, "S": 1, "B": 2, "H": 3}[type_]


class Kind:
    def __init__(self, name, entity, verb, fields):
        self.name, self.entity, self.verb = name, entity, verb
        self.fields = {f.number: f for f in fields}
        self.empty = {f.name: b"" if f.type in "TB" else 0 for f in fields}
        self.moments = [f.name for f in fields if f.type == "A"]
        self.names = {role: [f.name for f in fields if f.role == role] for role in ("ID", "AT", "FX", "VO")}


def read_limits():
    """name -> value; each is a number, or numbers with * between"""
    text = read_file(LIMITS).decode("ascii")
    found = re.findall(r"#define (REC_\w+) +\(?(\d+u(?: \* \d+u)*)\)?", text)
    return {name: math.prod(int(n) for n in re.findall(r"\d+", value)) for name, value in found}


def read_table():
    """kind on the wire -> Kind, and name of an entity -> its fields"""
    text = re.sub(r"/\*.*?\*/", "", read_file(TABLE).decode("ascii"), flags=re.S).replace("\\\n", "\n")
    fields = {}
    for name, body in re.findall(r"#define POFR_(\w+)_FIELDS\(FIELD\)\s*\n(.*?)\n\n", text + "\n\n", re.S):
        fields[name] = [Field(*m) for m in re.findall(r"FIELD\((\d+), (\w+), (\w), (\w+)\)", body)]
    interval = fields["INTERVAL"]
    kinds = {}
    for number, name, upper in re.findall(r"\bENTITY\((\d+), (\w+), (\w+)\)", text):
        for verb in (START, END, SIGHT):
            iv = interval if verb == END else [f for f in interval if f.name in ("first_seen", "start_unseen")]
            kinds[int(number) * 4 + verb] = Kind(name + "." + VERBS[verb], name, verb, iv + fields[upper])
    for number, name, upper in re.findall(r"\bSINGLE\((\d+), (\w+), (\w+)\)", text):
        kinds[int(number)] = Kind(name, None, None, fields[upper])
    return kinds


MAX = read_limits()
KINDS = read_table()
ENTITY_NUMBER = {kind.entity: number // 4 for number, kind in KINDS.items() if kind.entity}

# --- bytes ----------------------------------------------------------------------------------------------


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def left(self):
        return len(self.data) - self.at

    def bytes(self, n):
        refuse_if(n > self.left(), "ends inside a field")
        self.at += n
        return self.data[self.at - n:self.at]

    def varint(self):
        at = self.at
        if at < len(self.data) and self.data[at] < 0x80:  # nearly all of them
            self.at = at + 1
            return self.data[at]
        value = 0
        for i in range(10):
            byte = self.bytes(1)[0]
            value |= (byte & 0x7F) << (7 * i)
            if byte < 0x80:
                refuse_if(byte == 0 and i > 0, "varint longer than it needs to be")
                refuse_if(value >= 1 << 64, "varint does not fit")
                return value
        raise Refused("varint does not end")

    def value(self, wire):
        if wire == 0:
            return self.varint()
        if wire == 1:
            n = self.varint()
            return (n >> 1) ^ -(n & 1)
        if wire == 2:
            return self.bytes(self.varint())
        return struct.unpack("<Q", self.bytes(8))[0]


# --- bundles (part 1) and statements (part 2) --------------------------------------------------------------

LINES = ("pofr-bundle host run sequence previous origin boot boot-from boot-to wall-from wall-to ticks keyframe "
         "records lost payload-size payload-bytes payload-sha256 key recorder").split()
BEGIN, FINISH = b"-----BEGIN SSH SIGNATURE-----\n", b"-----END SSH SIGNATURE-----\n"


def read_counts(value):
    if value == "-":
        return {}
    return {int(kind): (int(here), int(total)) for kind, here, total in (one.split(":") for one in value.split(" "))}


class Bundle:
    def __init__(self, block, source):
        self.source = source
        begin = block.find(b"\n" + BEGIN) + 1
        finish = block.find(b"\n" + FINISH) + 1
        refuse_if(begin == 0 or finish == 0, "no signature")
        self.text, self.signature = block[:begin], block[begin:finish + len(FINISH)]
        self.packed = block[finish + len(FINISH):]
        self.digest = hashlib.sha256(self.text).hexdigest()
        self.read_statement()
        self.check()

    def read_statement(self):
        lines = self.text.decode("ascii", "replace").split("\n")
        refuse_if(lines[-2:] != ["end", ""] or [line.split(" ")[0] for line in lines[:-2]] != LINES,
                  "the statement's lines are not these, in this order")
        s = self.statement = dict(line.split(" ", 1) for line in lines[:-2])
        refuse_if(s["pofr-bundle"] != "1", "another version")
        self.sequence = int(s["sequence"])
        self.previous = s["previous"]
        self.records_line = read_counts(s["records"])

    def check(self):
        s = self.statement
        refuse_if(len(self.packed) != int(s["payload-bytes"]), "payload-bytes")
        refuse_if(hashlib.sha256(self.packed).hexdigest() != s["payload-sha256"], "payload-sha256")
        body = base64.b64decode(b"".join(self.signature.split(b"\n")[1:-2]))
        refuse_if(body[:10] != b"SSHSIG\0\0\0\1" or body[14:33] != b"\0\0\0\x0bssh-ed25519\0\0\0\x20", "signature's form")
        refuse_if(hashlib.sha256(body[33:65]).hexdigest() != s["key"], "signed by another key than the statement names")

    def verify(self, allowed):
        with tempfile.NamedTemporaryFile() as f:
            f.write(self.signature)
            f.flush()
            done = subprocess.run(["ssh-keygen", "-Y", "verify", "-f", allowed, "-I", self.statement["host"],
                                   "-n", "pofr-bundle", "-s", f.name], input=self.text, capture_output=True, check=False)
        refuse_if(done.returncode != 0, "signature: " + done.stderr.decode("ascii", "replace").strip())

    def payload(self):
        done = subprocess.run(["zstd", "-d", "-c"], input=self.packed, capture_output=True, check=False)
        refuse_if(done.returncode != 0, "zstd: " + done.stderr.decode("ascii", "replace").strip())
        refuse_if(len(done.stdout) != int(self.statement["payload-size"]), "payload-size")
        return done.stdout


# --- records (part 3) ---------------------------------------------------------------------------------------


class Record:
    def __init__(self, number, kind):
        self.number, self.kind, self.unknown_fields = number, kind, 0
        self.values = {}

    def __getitem__(self, name):
        return self.values[name]


class Payload:
    """Iterate over it: every record but STRINGs."""

    def __init__(self, data):
        refuse_if(len(data) > MAX["REC_PAYLOAD_MAX"], "payload too large")
        self.reader = Reader(data)
        self.strings = [b""]
        self.boot_us = None  # of the current tick
        self.part = None     # the current KEYFRAME
        self.pids = set()
        self.count = self.unknown_kinds = self.unknown_fields = 0

    def __iter__(self):
        while self.reader.left() > 0:
            length = self.reader.varint()
            refuse_if(length > MAX["REC_BODY_MAX"], "record too long")
            body = Reader(self.reader.bytes(length))
            number = body.varint()
            refuse_if(number >= 1 << 32, "kind")
            if number == 1:
                self.add_string(body.bytes(body.left()))
                continue
            self.count += 1
            refuse_if(self.count > MAX["REC_RECORDS_MAX"], "too many records")
            record = Record(number, KINDS.get(number))
            if record.kind:
                self.read_fields(record, body)
                self.check(record)
            else:
                self.unknown_kinds += 1
            yield record

    def add_string(self, text):
        refuse_if(len(text) > MAX["REC_STRING_MAX"] or len(self.strings) > MAX["REC_STRINGS_MAX"], "string table")
        self.strings.append(text)

    def read_fields(self, record, body):
        record.values = dict(record.kind.empty)
        for name in record.kind.moments:
            record.values[name] = self.boot_us or 0
        last, end = 0, len(body.data)
        while body.at < end:
            tag = body.varint()
            number, wire = tag >> 2, tag & 3
            refuse_if(number <= last, "field out of order")
            last = number
            field = record.kind.fields.get(number)
            if field is None:
                body.value(wire)
                record.unknown_fields += 1
                self.unknown_fields += 1
                continue
            refuse_if(wire != field.wire, "wire type")
            value = body.value(wire)
            record.values[field.name] = value if field.type == "U" else self.meaning(record.kind, field, value)

    def meaning(self, kind, field, value):
        if field.type == "A":
            refuse_if(value > (self.boot_us or 0), "a moment before the boot")
            return (self.boot_us or 0) - value
        if field.type == "T":
            refuse_if(value >= len(self.strings), "string index")
            value = self.strings[value]
            long = kind.entity == "process" and field.name == "arguments"
            refuse_if(len(value) > MAX["REC_ARGUMENTS_MAX" if long else "REC_TEXT_MAX"], "text too long")
        if field.type == "B":
            refuse_if(len(value) > MAX["REC_BYTES_MAX"], "bytes too long")
        return value

    def check(self, r):
        if r.kind.name == "tick":
            refuse_if(self.boot_us is not None and r["boot_us"] <= self.boot_us, "the clock does not rise")
            self.boot_us, self.part = r["boot_us"], None
            return
        refuse_if(self.boot_us is None, "before the first tick")
        if r.kind.entity:
            self.check_entity(r)
        elif r.kind.name == "keyframe":
            refuse_if(len(r["hash_key"]) != 16, "hash_key")
            refuse_if((r["low"], r["low_cookie"]) > (r["high"], r["high_cookie"]), "range")
            self.part, self.pids = r, set()
        elif r.kind.name == "gap":
            refuse_if(len(r["digest"]) not in (0, 32) or len(r["from_boot"]) not in (0, 16), "gap")
            refuse_if(not r["from_boot"] and r["from"] > r["to"], "gap ends before it begins")
        elif r.kind.name == "keychange":
            refuse_if(len(r["public_key"]) != 32, "public_key")

    def check_entity(self, r):
        if r.kind.verb == END:
            refuse_if(not r["first_seen"] <= r["last_seen"] <= r["ended"], "moments of an end")
        if r.kind.verb == SIGHT:
            refuse_if(self.part is None or not in_part(self.part, r), "sight outside of a part")
            if r.kind.entity == "process":
                refuse_if(r["pid"] in self.pids or r["pid"] >= (1 << 32) - 1, "pid in a part")
                self.pids.add(r["pid"])
        else:
            refuse_if(self.part is not None and r.kind.entity != "coverage", "after a keyframe")


def in_part(part, r):
    """Is this entity record in the range of that KEYFRAME?"""
    if r.kind.entity in ("process", "file"):
        return part["entity"] == 16 and part["low"] <= r["pid"] <= part["high"]
    if r.kind.entity == "socket":
        return part["entity"] == 18 and (part["low"], part["low_cookie"]) <= (r["netns"], r["cookie"]) <= (
            part["high"], part["high_cookie"])
    return part["entity"] == 19 and r.kind.entity != "coverage"


# --- intervals (part 4) -------------------------------------------------------------------------------------


class Row:
    """One interval. VO fields are those of its beginning until an END brings the last ones."""

    def __init__(self, r):
        def pick(role):
            return {name: r.values[name] for name in r.kind.names[role]}
        self.entity, self.slot, self.attributes, self.fixed, self.volatile = (
            r.kind.entity, pick("ID"), pick("AT"), pick("FX"), pick("VO"))
        self.first_seen, self.start_unseen = r["first_seen"], r["start_unseen"]
        self.names = {self.first_seen}  # every first_seen by which records name it
        self.shown = self.first_seen    # the newest moment at which a record showed it
        self.last_seen = self.ended = self.end_source = None
        self.inferred = False
        self.part = None                # the keyframe part that sighted it last

    def is_meant_by(self, r):
        """Does r speak of this interval? A run that had lost its state names anew what it finds (start_unseen)."""
        if r["first_seen"] in self.names:
            return True
        anew = r["start_unseen"] and self.first_seen < r["first_seen"] and self.attributes == Row(r).attributes
        if anew:
            self.names.add(r["first_seen"])
        return anew

    def take_arguments(self, begun):
        """The END of a process may lack the arguments that its START told."""
        if self.entity == "process" and not self.attributes["arguments"] and self.attributes["unreadable"] & UNREADABLE_ARGUMENTS:
            self.attributes.update((name, begun.attributes[name]) for name in ("arguments", "arguments_cut", "unreadable"))

    def close(self, last_seen, ended, source, inferred):
        self.last_seen, self.ended, self.end_source, self.inferred = last_seen, ended, source, inferred


def slot_of(r):
    return (r.kind.entity,) + tuple(r.values[name] for name in r.kind.names["ID"])


class Boot:
    """One boot of a host (one branch of it): its rows, open ones by slot."""

    def __init__(self):
        self.open, self.closed = {}, []
        self.tick = self.tick_before = 0
        self.blind = []  # moments after which, for a while, no look reached us
        self.run = self.part = None

    def close_inferred(self, slot, source, limit):
        """The server says so: it ended at the last look that showed it, of those before limit."""
        row = self.open.pop(slot)
        at = max(row.shown, min([limit] + [moment for moment in self.blind if moment >= row.shown]))
        row.close(at, at, source, True)
        self.closed.append(row)

    def displace(self, slot, r):
        """Another interval of the slot is spoken of, so the open one is over. How it ended nobody saw."""
        self.close_inferred(slot, "unknown", r["first_seen"])

    def close_all(self, source, wanted=lambda row: True):
        for slot in [slot for slot, row in self.open.items() if wanted(row)]:
            self.close_inferred(slot, source, self.tick)

    def begin_run(self, run):
        if self.run not in (None, run):
            self.blind.append(self.tick)
            self.close_all("unknown", lambda row: row.entity == "coverage")
        self.run = run

    def apply(self, r):
        if r.kind is None:
            return
        if r.kind.name in ("tick", "keyframe"):
            self.finish_part()
        if r.kind.name == "tick" and r["boot_us"] != self.tick:
            self.tick_before, self.tick = self.tick, r["boot_us"]
        if r.kind.name == "keyframe":
            self.part = r
        if r.kind.entity:
            [self.begin, self.end, self.sight][r.kind.verb](slot_of(r), r)

    def begin(self, slot, r):
        row = self.open.get(slot)
        if row and not row.is_meant_by(r):
            if row.first_seen > r["first_seen"]:
                return  # the host contradicts itself
            self.displace(slot, r)
            row = None
        if not row:
            self.open[slot] = Row(r)
        self.open[slot].shown = max(self.open[slot].shown, r["first_seen"])

    def sight(self, slot, r):
        self.begin(slot, r)
        self.open[slot].part, self.open[slot].shown = self.part, self.tick

    def finish_part(self):
        """What lies in the part's range and was not sighted is over."""
        for slot, row in list(self.open.items()) if self.part else []:
            shown = Record(0, KINDS[ENTITY_NUMBER[row.entity] * 4 + SIGHT])
            shown.values = row.slot
            if row.part is not self.part and in_part(self.part, shown):
                self.close_inferred(slot, "unknown", self.tick_before)
        self.part = None

    def end(self, slot, r):
        row, begun = Row(r), self.open.get(slot)
        if begun and begun.is_meant_by(r):
            del self.open[slot]
            row.first_seen, row.start_unseen, row.fixed = begun.first_seen, begun.start_unseen, begun.fixed
            row.take_arguments(begun)
        elif begun and begun.first_seen < r["first_seen"]:
            self.displace(slot, r)
        row.close(r["last_seen"], r["ended"], END_SOURCES.get(r["end_source"], "unknown"), False)
        self.closed.append(row)


class Host:
    """All boots of one host. A branch within a boot is a boot of its own."""

    def __init__(self):
        self.boots = {}     # (boot id, branch) -> Boot, in order
        self.branch_of = {}  # digest -> branch
        self.followed = set()  # digests that some bundle names as the one before it
        self.newest = None
        self.branches = 0
        self.gaps = []

    def branch(self, b):
        if b.previous != "none" and b.previous in self.followed or b.previous == "none" and self.newest:
            self.branches += 1
            return self.branches
        return self.branch_of.get(b.previous, self.branches)

    def apply(self, b):
        records = list(Payload(b.payload()))  # all of it is believed, or nothing
        branch = self.branch(b)
        self.followed.add(b.previous)
        self.branch_of[b.digest] = branch
        key = (b.statement["boot"], branch)
        if key not in self.boots:
            for (boot_id, other), boot in self.boots.items():
                if boot_id != key[0] and other == branch:
                    boot.close_all("reboot")
            self.boots[key] = Boot()
        boot = self.boots[key]
        if self.newest and b.sequence > self.newest.sequence + 1:
            self.miss(b)
        boot.begin_run(b.statement["run"])
        boot.blind += [r["from"] for r in records if r.kind and r.kind.name == "gap" and r["kind"] != GAP_TICKS
                       and not r["from_boot"]]
        for r in records:
            boot.apply(r)
        boot.finish_part()
        self.newest = b

    def miss(self, b):
        def total(x):
            return sum(total for _, total in x.records_line.values())
        here = sum(here for here, _ in b.records_line.values())
        self.gaps.append({"entity": "gap", "kind": "sequence", "first_sequence": self.newest.sequence + 1,
                          "last_sequence": b.sequence - 1, "lost": total(b) - here - total(self.newest)})
        for boot in self.boots.values():
            boot.blind.append(boot.tick)

    def rows(self, name):
        for (boot_id, branch), boot in self.boots.items():
            for row in boot.closed + list(boot.open.values()):
                still_open = row.ended is None
                yield {"host": name, "boot": boot_id, "branch": branch, "entity": row.entity, "slot": row.slot,
                       "attributes": row.attributes, "fixed": row.fixed, "volatile": row.volatile,
                       "first_seen": row.first_seen, "last_seen": boot.tick if still_open else row.last_seen,
                       "ended": row.ended, "end_source": "open" if still_open else row.end_source,
                       "inferred": row.inferred, "start_unseen": row.start_unseen}
        for gap in self.gaps:
            yield dict(gap, host=name)


# --- output -------------------------------------------------------------------------------------------------


def escape(text):
    return '"' + "".join(chr(c) if 0x20 <= c <= 0x7E and c not in b'"\\' else "\\x%02x" % c for c in text) + '"'


def print_text(r):
    """As rec_print() does."""
    if r.kind is None:
        return "unknown kind=%d" % r.number
    words = [r.kind.name]
    for field in r.kind.fields.values():
        value = r[field.name]
        if field.type == "A" or value:
            shown = {"T": escape, "B": bytes.hex, "H": "{:016x}".format}.get(field.type, str)(value)
            words.append(field.name + "=" + shown)
    if r.unknown_fields:
        words.append("unknown_fields=%d" % r.unknown_fields)
    return " ".join(words)


def as_json(value):
    return json.dumps(value, default=lambda x: x.decode("latin-1"))  # bytes


def print_payload(payload, as_text):
    for r in payload:
        if as_text:
            print(print_text(r))
        else:
            print(as_json({"kind": r.kind.name, **r.values, "unknown_fields": r.unknown_fields} if r.kind else
                          {"kind": r.number, "unknown": True}))
    if as_text:
        print("end records=%d unknown_kinds=%d unknown_fields=%d" % (
            payload.count, payload.unknown_kinds, payload.unknown_fields))


def check_chain(bundles):
    """bundles: of one host, in order of sequence. Lines about what is missing or branched."""
    known = {b.digest for b in bundles}
    followed = {}
    for b in bundles:
        if b.previous == "none" and b is not bundles[0]:
            yield "%s: begins a new chain at sequence %d" % (b.source, b.sequence)
        elif b.previous != "none" and b.previous not in known and b is not bundles[0]:
            yield "%s: sequence %d: the bundle before it is missing" % (b.source, b.sequence)
        elif b.previous in followed:
            yield "%s: a branch: %s names the same bundle before it" % (b.source, followed[b.previous])
        followed[b.previous] = b.source


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--text", action="store_true")
    parser.add_argument("--rows", action="store_true")
    parser.add_argument("--payload", action="store_true")
    parser.add_argument("--verify", metavar="ALLOWED_SIGNERS")
    options = parser.parse_args()
    bundles, bad = {}, False

    for name in options.files:
        try:
            data = read_file(name)
            if options.payload:
                print_payload(Payload(data), options.text)
                continue
            b = Bundle(data, name)
            if options.verify:
                b.verify(options.verify)
            if options.text:
                sys.stdout.write(b.text.decode("ascii"))
            if not options.rows:
                print_payload(Payload(b.payload()), options.text)
            bundles.setdefault(b.statement["host"], []).append(b)
        except Refused as e:
            if options.text:
                print("refused")
            sys.stdout.flush()
            print("%s: refused: %s" % (name, e), file=sys.stderr)
            bad = True
    for name, list_ in sorted(bundles.items()):
        list_.sort(key=lambda b: b.sequence)
        for line in check_chain(list_):
            print(line, file=sys.stderr)
            bad = True
        if options.rows:
            host = Host()
            for b in list_:
                try:
                    host.apply(b)
                except Refused as e:  # set aside: as if it were missing
                    print("%s: refused: %s" % (b.source, e), file=sys.stderr)
                    bad = True
            for row in host.rows(name):
                print(as_json(row))
    sys.stdout.flush()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
