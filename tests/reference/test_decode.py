#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The reference decoder against our own: same text for the same bytes, and rows that are the made-up host's truth.

  test_decode.py FOLDER_OF_PROGRAMS      where print_bundle and random_bundle are
"""
import glob
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "..", "data", "format")
sys.path.insert(0, HERE)
import decode  # noqa: E402

PROGRAMS = None


def run(program, *arguments, code=0):
    done = subprocess.run([program, *arguments], capture_output=True, check=False)
    if code is not None and done.returncode != code:
        raise AssertionError("%s: %d: %s" % (program, done.returncode, done.stderr.decode()))
    return done.stdout.decode("ascii")


def ours(*arguments, code=0):
    return run(os.path.join(PROGRAMS, "print_bundle"), *arguments, code=code)


def reference(*arguments, code=0):
    return run(os.path.join(HERE, "decode.py"), *arguments, code=code)


def read(name):
    with open(name, "rb") as f:
        return f.read()


def make(folder, *arguments):
    run(os.path.join(PROGRAMS, "random_bundle"), *arguments, folder)
    return sorted(glob.glob(os.path.join(folder, "*.bundle")))


def rows_of(files, code=0):
    return [json.loads(line) for line in reference("--rows", *files, code=code).splitlines()]


def unescape(text):
    return re.sub(r"\\x(..)", lambda m: chr(int(m[1], 16)), text)


def read_truth(folder):
    """truth: lines of rec_print() -> (kind, {name: value})"""
    for line in read(os.path.join(folder, "truth")).decode("ascii").splitlines():
        kind, rest = line.split(" ", 1)
        yield kind, {name: unescape(text) if value.startswith('"') else int(value, 16 if name == "hash" else 10)
                     for name, value, text in re.findall(r'(\w+)=("([^"]*)"|\w+)', rest)}


def fields_of(row):
    return {name: value for part in ("slot", "attributes", "fixed", "volatile") for name, value in row[part].items()
            if value not in (0, "")}


def sorted_rows(rows):
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


class Decode(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.dir = os.path.join(self.folder.name, "d")

    def test_golden_files_of_every_version_decode_to_their_text(self):
        found = sorted(glob.glob(os.path.join(DATA, "v*", "*.txt")))
        self.assertGreaterEqual(len(found), 3)
        for text in found:
            files = sorted(glob.glob(text[:-4] + "*.bundle"))
            want = read(text).decode("ascii")
            self.assertEqual(reference("--text", *files), want, text)
            self.assertEqual(ours(*files), want, text)

    def test_a_living_host_reads_the_same_in_both(self):
        for seed in range(3):
            files = make(self.dir + str(seed), "--seed", str(seed), "--bundles", "25", "--size", str(5 + 10 * seed))
            self.assertEqual(reference("--text", "--verify", self.dir + str(seed) + "/allowed_signers", *files), ours(*files))

    def test_records_of_every_kind_read_the_same_in_both(self):
        for seed in range(3):
            files = make(self.dir + str(seed), "--kinds", "--seed", str(seed), "--bundles", "8")
            self.assertEqual(reference("--text", *files), ours(*files))

    def test_damaged_payloads_are_refused_by_both_or_by_none(self):
        dice = random.Random(1)
        os.mkdir(self.dir)
        sources = make(self.dir + "k", "--kinds", "--bundles", "12") + make(self.dir + "w", "--bundles", "12", "--size", "2")
        files = []
        for source in sources:
            payload = decode.Bundle(read(source), source).payload()[:3000]
            for _ in range(60):
                data = bytearray(payload[:dice.randrange(len(payload) + 1)] if dice.random() < 0.3 else payload)
                for _ in range(dice.choice((0, 1, 1, 2, 4))):
                    if data:
                        data[dice.randrange(len(data))] ^= dice.choice((1 << dice.randrange(8), dice.randrange(256)))
                files.append(os.path.join(self.dir, "%05d" % len(files)))
                with open(files[-1], "wb") as f:
                    f.write(data)
        want = re.sub(r"refused .*", "refused", ours("--payload", *files, code=None))
        got = reference("--payload", "--text", *files, code=1)
        self.assertEqual(got, want)
        self.assertGreater(want.count("refused"), 200)
        self.assertGreater(want.count("end records"), 100)

    def test_rows_of_a_calm_host_are_its_truth(self):
        for seed in range(3):
            folder = self.dir + str(seed)
            files = make(folder, "--calm", "--seed", str(seed), "--bundles", "40", "--size", "25", *(["--full"] if seed else []))
            got, want = [], []
            for row in rows_of(files):
                times = [row["first_seen"]] + ([row["last_seen"], row["ended"], row["end_source"]] if row["ended"] else [])
                got.append([row["entity"], times, row["start_unseen"], fields_of(row)])
            for kind, values in read_truth(folder):
                entity, verb = kind.split(".")
                times = [values.pop("first_seen")]
                if verb == "end":
                    times += [values.pop("last_seen"), values.pop("ended"), decode.END_SOURCES[values.pop("end_source")]]
                    values.pop("hash")
                want.append([entity, times, values.pop("start_unseen", 0), values])
            self.assertGreater(len(want), 300)
            self.assertEqual(sorted_rows(got), sorted_rows(want))

    def test_what_is_open_at_the_end_of_any_life_is_what_the_host_has(self):
        for seed in range(4):
            folder = self.dir + str(seed)
            files = make(folder, "--seed", str(seed), "--bundles", "40", "--size", "15")
            got = [[row["entity"], fields_of(row)] for row in rows_of(files) if row["end_source"] == "open"]
            want = []
            for kind, values in read_truth(folder):
                if kind.endswith(".start"):
                    del values["first_seen"]
                    values.pop("start_unseen", 0)
                    want.append([kind.split(".")[0], values])
            self.assertEqual(sorted_rows(got), sorted_rows(want))

    def test_intervals_of_a_slot_never_overlap(self):
        for seed in range(4):
            files = make(self.dir + str(seed), "--seed", str(seed), "--bundles", "40", "--size", "15")
            del files[10:13], files[20]
            slots = {}
            for row in rows_of(files, code=1):
                if row["entity"] != "gap":
                    key = json.dumps([row["boot"], row["entity"], row["slot"]])
                    slots.setdefault(key, []).append((row["first_seen"], row["ended"] or 1 << 64))
                    self.assertLessEqual(row["first_seen"], row["last_seen"])
            for key, times in slots.items():
                times.sort()
                for (_, ended), (first_seen, _) in zip(times, times[1:]):
                    self.assertLessEqual(ended, first_seen, key)

    def test_a_missing_bundle_is_a_gap_with_its_count_and_a_line(self):
        files = make(self.dir, "--seed", "3", "--bundles", "12")
        lost = sum(here for here, _ in decode.Bundle(read(files[5]), "").records_line.values())
        rest = files[:5] + files[6:]
        gaps = [row for row in rows_of(rest, code=1) if row["entity"] == "gap"]
        self.assertEqual([(g["first_sequence"], g["last_sequence"], g["lost"]) for g in gaps], [(6, 6, lost)])

    def test_a_change_without_the_key_is_found(self):
        files = make(self.dir, "--bundles", "3")
        signers = os.path.join(self.dir, "allowed_signers")
        reference("--text", "--verify", signers, *files)
        data = read(files[1])
        for old, new in ((b"\nticks ", b"\nticks 1"), (b"\nwall-to 1", b"\nwall-to 2"), (data[-5:], b"\0\0\0\0\0")):
            with open(files[1], "wb") as f:
                f.write(data.replace(old, new))
            reference("--text", "--verify", signers, *files, code=1)


if __name__ == "__main__":
    PROGRAMS = sys.argv.pop(1)
    unittest.main()
