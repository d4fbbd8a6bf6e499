#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""resets.py -- connections that are reset while others come: all of it lies before the server at one moment.

  resets.py HOST:PORT PID ROUNDS      PID is stopped while the old ones are reset and the new ones are opened
"""
import os
import signal
import socket
import struct
import sys
import time

COUNT = 40


def banner(s):
    """Until the server has taken it; half of them say something, too."""
    s.settimeout(10)
    s.recv(20)


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def main():
    host, port = sys.argv[1].rsplit(":", 1)
    pid, rounds = int(sys.argv[2]), int(sys.argv[3])
    old = []
    for _ in range(rounds):
        os.kill(pid, signal.SIGSTOP)
        while open("/proc/%d/stat" % pid, encoding="latin-1").read().rsplit(")", 1)[1].split()[0] != "T":
            time.sleep(0.001)
        for i, s in enumerate(old):
            if i % 3 == 0:
                s.send(b"SSH-2.0-x\r\n" + os.urandom(100))
            if i % 5 != 0:
                reset(s)
            else:
                s.close()
        new = [socket.create_connection((host, int(port))) for _ in range(COUNT)]
        os.kill(pid, signal.SIGCONT)
        for s in new:
            banner(s)
        old = new
    for s in old:
        s.close()


if __name__ == "__main__":
    main()
