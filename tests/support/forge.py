#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""forge.py -- a bundle that is not what its host made, from one that is; signed by any key. For tests of what is refused.

  forge.py [options] BLOCK OUT

  --key FILE         sign with this private key (OpenSSH's form); else the old signature stays
  --set NAME=VALUE   another value of a line of the statement (repeatable); "previous" and "sequence" too
  --next             the bundle that follows BLOCK: one look at which nothing had changed; needs --key
  --later            the bundle that follows BLOCK, of a later version: one look, with a record of an unknown kind and an
                     unknown field; needs --key
  --swell BYTES      with --later: so many bytes of it are nothing, and take no room on the wire
  --payload FILE     these bytes instead (compressed here)
  --raw FILE         these bytes as the compressed payload, as they are
  --flip OFFSET      flip one bit of the block's byte at OFFSET (negative: from the end), last of all
  --truncate BYTES   keep only so many bytes of the block
"""
import argparse
import hashlib
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "reference"))
import decode  # noqa: E402


def varint(n):
    out = b""
    while n > 0x7F:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def run(command, data=b""):
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def sign(text, key):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "key")
        with open(path, "wb", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
            f.write(decode.read_file(key))
        return run(["ssh-keygen", "-q", "-Y", "sign", "-f", path, "-n", "pofr-bundle"], text)


def record(kind, *fields):
    """fields: (number, wire type, bytes)"""
    body = varint(kind) + b"".join(varint(number * 4 + wire) + value for number, wire, value in fields)
    return varint(len(body)) + body


def follow(b, swell, later):
    """(payload, lines of the statement) of the bundle after b"""
    s, period = b.statement, 300000
    boot, wall = int(s["boot-to"]) + period, int(s["wall-to"]) + period
    totals = {kind: (0, total) for kind, (_, total) in b.records_line.items()}
    payload = record(2, (1, 0, varint(boot)), (2, 0, varint(wall)))
    if later:
        payload = (record(2, (1, 0, varint(boot)), (2, 0, varint(wall)), (63, 0, varint(7))) +
                   record(61, (1, 2, varint(5) + b"later")))
        for _ in range(0, swell, 150000):
            payload += record(61, (1, 2, varint(149000) + bytes(149000)))
        here = 1 + (swell + 149999) // 150000
        totals[61] = (here, totals.get(61, (0, 0))[1] + here)
    lost = decode.read_counts(s["lost"])
    return payload, {
        "sequence": str(b.sequence + 1), "previous": b.digest, "origin": "continues", "keyframe": "no",
        "boot-from": str(boot), "boot-to": str(boot), "wall-from": str(wall), "wall-to": str(wall),
        "ticks": "1 %d" % (int(s["ticks"].split(" ")[1]) + 1),
        "records": " ".join("%d:%d:%d" % (kind, *totals[kind]) for kind in sorted(totals)),
        "lost": " ".join("%d:0:%d" % (source, lost[source][1]) for source in sorted(lost)) or "-"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("block")
    parser.add_argument("out")
    parser.add_argument("--key")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--next", action="store_true")
    parser.add_argument("--later", action="store_true")
    parser.add_argument("--swell", type=int, default=0)
    parser.add_argument("--payload")
    parser.add_argument("--raw")
    parser.add_argument("--flip", type=int)
    parser.add_argument("--truncate", type=int)
    options = parser.parse_args()
    b = decode.Bundle(decode.read_file(options.block), options.block)
    packed, size, values, payload = b.packed, int(b.statement["payload-size"]), {}, None
    if options.later or options.next:
        payload, values = follow(b, options.swell, options.later)
    if options.payload:
        payload = decode.read_file(options.payload)
    if payload is not None:
        packed = run(["zstd", "-q", "-c", "--stream-size=%d" % len(payload)], payload)
        size = len(payload)
    if options.raw:
        packed = decode.read_file(options.raw)
    values.update({"payload-size": str(size), "payload-bytes": str(len(packed)),
                   "payload-sha256": hashlib.sha256(packed).hexdigest()})
    if options.key:
        public = run(["ssh-keygen", "-y", "-f", options.key]).split()[1]
        values["key"] = hashlib.sha256(decode.base64.b64decode(public)[-32:]).hexdigest()
    values.update(one.split("=", 1) for one in options.set)
    text = b.text
    if options.key or options.set or options.raw or payload is not None:
        lines = [line.split(" ", 1) for line in b.text.decode("ascii").split("\n")[:-2]]
        text = "".join("%s %s\n" % (name, values.get(name, value)) for name, value in lines).encode() + b"end\n"
    block = bytearray(text + (sign(text, options.key) if options.key else b.signature) + packed)
    if options.truncate is not None:
        del block[options.truncate:]
    if options.flip is not None:
        block[options.flip] ^= 1
    with open(options.out, "wb") as f:
        f.write(block)
    print(hashlib.sha256(text).hexdigest())


if __name__ == "__main__":
    sys.exit(main())
