# SPDX-License-Identifier: GPL-2.0-or-later
"""spool.py -- the bundles of an agent's state folder, as agent/spool/format.h describes them: read without our own code.

  spool.py STATE_DIR            head and bundles, for people
  spool.py --heads STATE_DIR... of each: the newest sequence that is sealed, and the newest acked
  spool.py STATE_DIR FOLDER     writes each bundle to FOLDER/<sequence, 6 digits>.bundle
"""
import os
import re
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "reference"))
import decode  # noqa: E402

ENTRY = struct.Struct("<4sIIIQ32s")
HEAD = struct.Struct("<QQ32sQQQ")
SLOT = 4096


def crc32c(data):
    table = crc32c.table
    if not table:
        for n in range(256):
            for _ in range(8):
                n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
            table.append(n)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


crc32c.table = []


class Head:
    def __init__(self, generation, sequence, digest, segment, offset, acked):
        self.generation, self.sequence, self.digest = generation, sequence, digest.hex()
        self.segment, self.offset, self.acked = segment, offset, acked


def read_head(state):
    """The slot that counts; None: there is none."""
    best = None
    try:
        data = decode.read_file(os.path.join(state, "spool", "head"))
    except FileNotFoundError:
        return None
    for at in range(0, len(data), SLOT):
        slot = data[at:at + SLOT]
        if len(slot) < 13 + HEAD.size:
            continue
        crc, length = struct.unpack_from("<II", slot, 4)
        if 12 < length <= len(slot) and crc32c(slot[8:length]) == crc and slot[12] == 1:
            head = Head(*HEAD.unpack_from(slot, 13))
            if best is None or head.generation > best.generation:
                best = head
    return best


def entries(data):
    """(sequence, digest, block) of a segment; ends where no whole entry begins."""
    at = 0
    while at + ENTRY.size <= len(data):
        magic, length, _, zero, sequence, digest = ENTRY.unpack_from(data, at)
        begin = at + ENTRY.size
        if magic != b"PoFs" or zero != 0 or begin + length > len(data):
            return
        yield sequence, digest.hex(), data[begin:begin + length]
        at = begin + length


class Rotten:
    """An entry that is not what was written."""

    def __init__(self, sequence):
        self.sequence = sequence


def read_bundles(state):
    """(head, [decode.Bundle or Rotten]) in order of sequence: what the host holds as sealed and durable."""
    folder = os.path.join(state, "spool")
    while True:
        head = read_head(state)
        if head is None:
            return None, []
        names = sorted(name for name in os.listdir(folder) if re.fullmatch(r"\d{20}\.seg", name))
        firsts = [int(name[:20]) for name in names]
        try:
            found = [b for i, name in enumerate(names)
                     for b in read_segment(os.path.join(folder, name), head.sequence,
                                           firsts[i + 1] if i + 1 < len(firsts) else 1 << 64)]
        except FileNotFoundError:
            continue  # room was made at this moment
        return head, found


def read_segment(path, committed, end):
    """A sequence at or behind the next segment's first lies there, and what is here is left over."""
    for sequence, digest, block in entries(decode.read_file(path)):
        if sequence > committed or sequence >= end:
            return
        try:
            b = decode.Bundle(block, path)
            decode.refuse_if(b.digest != digest or b.sequence != sequence, "another bundle's entry")
            b.block = block
        except (decode.Refused, ValueError, KeyError):
            b = Rotten(sequence)
        yield b


def read_refused(state):
    """Sequences of refused/"""
    folder = os.path.join(state, "spool", "refused")
    try:
        return sorted(int(name[:20]) for name in os.listdir(folder) if re.fullmatch(r"\d{20}\.bundle", name))
    except FileNotFoundError:
        return []


def main():
    if sys.argv[1] == "--heads":
        for state in sys.argv[2:]:
            head = read_head(state)
            print("%d %d" % (head.sequence, head.acked) if head else "0 0")
        return 0
    head, bundles = read_bundles(sys.argv[1])
    if head is None:
        print("no head", file=sys.stderr)
        return 1
    print("head: sequence %d, acked %d" % (head.sequence, head.acked))
    for b in bundles:
        if isinstance(b, Rotten):
            print("%6d rotten" % b.sequence)
            continue
        s = b.statement
        print("%6d %s run %s %-9s boot-us %s..%s keyframe %s payload %s" % (
            b.sequence, b.digest[:12], s["run"][:8], s["origin"], s["boot-from"], s["boot-to"], s["keyframe"], s["payload-size"]))
        if len(sys.argv) > 2:
            with open(os.path.join(sys.argv[2], "%06d.bundle" % b.sequence), "wb") as f:
                f.write(b.block)
    return 0


if __name__ == "__main__":
    sys.exit(main())
