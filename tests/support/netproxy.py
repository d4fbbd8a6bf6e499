#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""netproxy.py -- a network of one's own for each host: a loopback port before the gateway, which can be cut.

  netproxy.py FOLDER TARGET N      listens on N ports; FOLDER/ports gets them, one a line; FOLDER/control is a unix
                                   datagram socket that takes "I MODE": of host I (from 1)
  netproxy.py FOLDER I MODE        tells a running one so; returns when it is done

MODE  open       what comes goes on
      cut        connections are reset, new ones too
      stall      nothing moves and nobody is told: half-open
      mute       what the host sends goes on, what the gateway answers does not: acks are lost
      slow N     N bytes a second, each way
      drip       one byte at a time, for what reads in pieces
"""
import asyncio
import os
import socket
import struct
import sys


class Line:
    """One host's: its mode, and its connections."""

    def __init__(self, target):
        self.target, self.mode, self.rate, self.changed = target, "open", 0, asyncio.Event()
        self.writers = set()

    def set(self, words):
        self.mode, self.rate = words[0], int(words[1]) if len(words) > 1 else 0
        if self.mode == "cut":
            for writer in list(self.writers):
                reset(writer)
        self.changed.set()
        self.changed = asyncio.Event()

    async def serve(self, reader, writer):
        if self.mode == "cut":
            reset(writer)
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        except OSError:
            reset(writer)
            return
        self.writers |= {writer, far_writer}
        await asyncio.gather(self.pump(reader, far_writer, "up"), self.pump(far_reader, writer, "down"))
        self.writers -= {writer, far_writer}

    async def pump(self, reader, writer, way):
        try:
            while True:
                while self.mode == "stall" or (self.mode == "mute" and way == "down"):
                    await self.changed.wait()
                data = await reader.read(65536)
                while self.mode == "stall" or (self.mode == "mute" and way == "down" and data):
                    await self.changed.wait()
                if not data:
                    break
                for piece in self.pieces(data):
                    writer.write(piece)
                    await writer.drain()
                    if self.mode == "slow":
                        await asyncio.sleep(len(piece) / self.rate)
                    elif self.mode == "drip":
                        await asyncio.sleep(0)
        except (OSError, ConnectionError):
            pass
        finally:
            writer.close()

    def pieces(self, data):
        size = {"slow": max(1, self.rate // 20), "drip": 1}.get(self.mode, len(data))
        return [data[i:i + size] for i in range(0, len(data), size)]


def reset(writer):
    """Not a polite end: RST."""
    try:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    except OSError:
        pass


async def run(folder, target, count):
    host, port = target.rsplit(":", 1)
    lines, servers = [Line((host, int(port))) for _ in range(count)], []
    for line in lines:
        servers.append(await asyncio.start_server(line.serve, "127.0.0.1", 0, limit=1 << 17))
    path = os.path.join(folder, "control")
    control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    if os.path.exists(path):
        os.unlink(path)
    control.bind(path)
    control.setblocking(False)

    def told():
        data, peer = control.recvfrom(200)
        words = data.decode().split()
        lines[int(words[0]) - 1].set(words[1:])
        control.sendto(b"ok", peer)
    asyncio.get_running_loop().add_reader(control.fileno(), told)
    with open(os.path.join(folder, "ports.new"), "w", encoding="ascii") as f:
        f.write("".join("%d\n" % s.sockets[0].getsockname()[1] for s in servers))
    os.rename(os.path.join(folder, "ports.new"), os.path.join(folder, "ports"))
    await asyncio.Event().wait()


def tell(folder, words):
    me = os.path.join(folder, "tell.%d" % os.getpid())
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(me)
    s.settimeout(10)
    try:
        s.sendto(" ".join(words).encode(), os.path.join(folder, "control"))
        s.recv(10)
    finally:
        os.unlink(me)


if __name__ == "__main__":
    if sys.argv[2].isdigit():
        tell(sys.argv[1], sys.argv[2:])
    else:
        asyncio.run(run(sys.argv[1], sys.argv[2], int(sys.argv[3])))
