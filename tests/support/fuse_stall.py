#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""fuse_stall.py -- a file system that answers until it is told to stop, and then never again.

  fuse_stall.py DIR       mounts it on DIR, with one file "file"; prints "mounted"; a line on standard input: no answer from
                          now on (prints "stalled"); the end of standard input ends it. Exit code 3: no FUSE here.
"""
import ctypes
import os
import select
import stat
import struct
import sys

IN, OUT = struct.Struct("<IIQQIIII"), struct.Struct("<IiQ")
LOOKUP, FORGET, GETATTR, OPEN, READ, STATFS, RELEASE, FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR, ACCESS, INTERRUPT, BATCH_FORGET = (
    1, 2, 3, 14, 15, 17, 18, 25, 26, 27, 28, 29, 34, 36, 42)
libc = ctypes.CDLL(None, use_errno=True)


def attributes(node):
    mode = stat.S_IFDIR | 0o755 if node == 1 else stat.S_IFREG | 0o644
    return struct.pack("<QQQQQQIIIIIIIIII", node, 4096, 8, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def answer(opcode, node, body):
    """(error, bytes); None: no answer is wanted"""
    if opcode == INIT:
        return 0, struct.pack("<IIIIHHIIHHIIII", 7, 31, 65536, 0, 12, 10, 65536, 1, 0, 0, 0, 0, 0, 0) + bytes(16)
    if opcode in (FORGET, BATCH_FORGET, INTERRUPT):
        return None
    if opcode == LOOKUP:
        if body.rstrip(b"\0") != b"file":
            return -2, b""
        return 0, struct.pack("<QQQQII", 2, 0, 0, 0, 0, 0) + attributes(2)
    if opcode == GETATTR:
        return 0, struct.pack("<QII", 0, 0, 0) + attributes(node)
    if opcode in (OPEN, OPENDIR):
        return 0, struct.pack("<QII", 1, 0, 0)
    if opcode == READ:
        return 0, b"x" * 4096
    if opcode == STATFS:
        return 0, bytes(80)
    if opcode in (RELEASE, FLUSH, RELEASEDIR, ACCESS, READDIR):
        return 0, b""
    return -38, b""


def main():
    folder = sys.argv[1].encode()
    try:
        device = os.open("/dev/fuse", os.O_RDWR)
    except OSError as e:
        print(e, file=sys.stderr)
        return 3
    options = b"fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other" % device
    if libc.mount(b"pofr-test", folder, b"fuse", 0, options):
        print(os.strerror(ctypes.get_errno()), file=sys.stderr)
        return 3
    try:
        stalled, told = False, False
        while True:
            ready, _, _ = select.select([0] if stalled else [0, device], [], [])
            if device in ready:
                data = os.read(device, 1 << 20)
                _, opcode, unique, node = IN.unpack_from(data)[:4]
                found = answer(opcode, node, data[IN.size:])
                if found is not None:
                    os.write(device, OUT.pack(OUT.size + len(found[1]), found[0], unique) + found[1])
                if not told:
                    print("mounted", flush=True)
                    told = True
            if 0 in ready:
                if not os.read(0, 100):
                    return 0
                stalled = True
                print("stalled", flush=True)
    finally:
        libc.umount2(folder, 2)  # MNT_DETACH; and all that waits is let go when the device is closed


if __name__ == "__main__":
    sys.exit(main())
