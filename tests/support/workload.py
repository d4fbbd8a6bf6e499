#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""workload.py -- a known workload, and the question whether SQL has all of it.

  workload.py run MANIFEST FOLDER HOLD     makes it, holds everything for HOLD seconds (longer than two ticks), ends it, and
                                           writes down what it was
  workload.py check MANIFEST SECONDS -- CLIENT...
                                           asks with that MariaDB client until all is found; 1: what is still missing is printed
"""
import json
import os
import signal
import socket
import subprocess
import sys
import time

DASH = os.path.realpath("/bin/dash")
ARGUMENTS_MAX = 128 * 1024
manifest = {"processes": [], "files": [], "sockets": [], "parents": []}


def hexed(value):
    return value.hex().upper()


# --- making it ------------------------------------------------------------------------------------------


class Children:
    """Processes that live until the pipe that they read from is closed."""

    def __init__(self):
        self.gate, self.end = os.pipe()
        self.pids = []

    def spawn(self, tail, argv0=b"dash", script=b"read x <&9", before=None):
        """dash -c SCRIPT tail..."""
        argv = [argv0, b"-c", script, *tail]
        pid = os.fork()
        if pid == 0:
            try:
                os.dup2(self.gate, 9)
                os.close(self.end)
                if before:
                    before()
                os.execve(DASH, argv, {})
            finally:
                os._exit(127)
        self.pids.append(pid)
        return pid, b"".join(a + b"\0" for a in argv)

    def expect(self, pid, arguments, **more):
        manifest["processes"].append({"pid": pid, "exe": DASH, "arguments": hexed(arguments[:ARGUMENTS_MAX]),
                                      "cut": int(len(arguments) > ARGUMENTS_MAX), **more})

    def finish(self):
        os.close(self.end)
        for pid in self.pids:
            os.waitpid(pid, 0)


ODD = [
    [b"it's", b'a "quoted"', b"`back`", b"$(x)", b"\\", b"%s%n", b"a;b|c&d"],
    [b"two\nlines", b"\ttab", b"\r\n", b" lead and trail "],
    [b"###", b"######", b"a###b"],
    [b"\xff\xfe\x80\xc3\x28", b"\xed\xa0\x80", bytes(range(1, 256))],
    [b"", b"", b"an empty one before, and after", b""],
    ["Grüße, 世界, \u202eright to left".encode()],
    [b"'; DROP TABLE psinfo; --", b"\" OR 1=1"],
    [b"NULL"], [b"null", b"0", b"-"],
]


def odd_arguments(children):
    for tail in ODD:
        children.expect(*children.spawn(tail))
    children.expect(*children.spawn([], argv0=b"(sd-pam) ) R 1 1"))


def long_arguments(children):
    below = b"x" * 60000
    children.expect(*children.spawn([below, below, b"y" * 11000]))  # just below the limit
    children.expect(*children.spawn([below, below, below, b"\xff" * 120000]))


def odd_names(children):
    """comm: what the kernel calls it, 15 bytes"""
    for name in (b"a) R (b", b"two\nlines", b"\xff\xfe", b"'\"###", b"fifteen_bytes__"):
        script = b"read x <&9"
        path = os.path.join(FOLDER, name)
        if not os.path.exists(path):
            os.link(DASH, path) if os.stat(DASH).st_dev == os.stat(FOLDER).st_dev else subprocess.run(["cp", DASH, path], check=True)
        pid = os.fork()
        if pid == 0:
            try:
                os.dup2(children.gate, 9)
                os.close(children.end)
                os.execve(path, [b"named", b"-c", script], {})
            finally:
                os._exit(127)
        children.pids.append(pid)
        manifest["processes"].append({"pid": pid, "exe": None, "command": hexed(name[:15]), "cut": 0,
                                      "arguments": hexed(b"named\0-c\0" + script + b"\0")})


def odd_owners(children):
    if os.geteuid() != 0:
        return
    for uid in (1 << 31, 4000000000, 4294967293):
        pid, arguments = children.spawn([b"%d" % uid], before=lambda uid=uid: (os.setgroups([]), os.setresgid(uid, uid, uid),
                                                                               os.setresuid(uid, uid, uid)))
        children.expect(pid, arguments, ruid=uid, rgid=uid)


def fork_tree(children, depth):
    """Each in turn starts the next, and waits."""
    read, write = os.pipe()

    def grow(left):
        os.write(write, b"%d %d\n" % (os.getpid(), os.getppid()))
        child = os.fork() if left else 0
        if left and child == 0:
            grow(left - 1)
        os.read(9, 1)
        os._exit(0)

    pid = os.fork()
    if pid == 0:
        os.dup2(children.gate, 9)
        os.close(children.end)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        grow(depth)
    children.pids.append(pid)
    os.close(write)
    with os.fdopen(read) as lines:
        for _ in range(depth + 1):
            child, parent = map(int, lines.readline().split())
            manifest["parents"].append({"pid": child, "ppid": parent})


def exec_chain(hold):
    """One process, three programs in turn."""
    third = b"third"
    second = b'sleep %d.%d; exec %s -c "$0" "$0" 2nd' % (int(hold), int(hold * 10) % 10, DASH.encode())
    first = b'sleep %d.%d; exec %s -c "$1" "$2"' % (int(hold), int(hold * 10) % 10, DASH.encode())
    last = b"sleep %d.%d; : %s" % (int(hold), int(hold * 10) % 10, third)
    argv = [b"chain", b"-c", first, b"1st", second, last]
    pid = os.fork()
    if pid == 0:
        os.execve(DASH, argv, {b"PATH": b"/usr/bin:/bin"})
    dash = DASH.encode()
    for args in (argv, [dash, b"-c", second, last], [dash, b"-c", last, last, b"2nd"]):
        manifest["processes"].append({"pid": pid, "exe": DASH, "cut": 0, "arguments": hexed(b"".join(a + b"\0" for a in args))})
    return pid


def owner_changes(hold):
    """One process, three owners in turn."""
    if os.geteuid() != 0:
        return None
    uids = (0, 3000000001, 3000000002)
    pid = os.fork()
    if pid == 0:
        for uid in uids[1:]:
            time.sleep(hold)
            os.setresuid(uid, uid, 0)
            if uid != uids[-1]:
                os.setresuid(-1, 0, -1)
                os.setresuid(uid, 0, 0)
        time.sleep(hold)
        os._exit(0)
    manifest["owners"] = {"pid": pid, "ruids": list(uids)}
    return pid


def open_file(path, flags, **more):
    fd = os.open(path, flags | os.O_CREAT if flags & os.O_ACCMODE else flags, 0o600)
    manifest["files"].append({"pid": os.getpid(), "fd": fd, "path": hexed(path), "deleted": 0, "mode": {
        os.O_RDONLY: "r", os.O_WRONLY: "w", os.O_RDWR: "rw"}[flags & os.O_ACCMODE], "kind": "regular", **more})
    return fd


def deep_folder(folder, length):
    """A folder in folder whose own path has length bytes; made step by step, for no path may be as long at once."""
    here = os.open(folder, os.O_RDONLY)
    path = folder
    while len(path) < length:
        name = b"d" * min(200, length - len(path) - 1)
        if len(path) + 1 + len(name) == length - 1:
            name = name[:-1]  # or the rest would be a slash alone
        os.mkdir(name, dir_fd=here)
        deeper = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here, path = deeper, path + b"/" + name
    return here, path


def files(folder):
    held = []
    for i, name in enumerate((b"plain", b"two\nlines", b"\xff\xfe", b"'quoted' \"###\"", b"ends (deleted)", b" ", b"tab\t", b"back\\slash")):
        held.append(open_file(os.path.join(folder, name), (os.O_RDWR, os.O_WRONLY)[i % 2]))
        held.append(open_file(os.path.join(folder, name), os.O_RDONLY))
    held.append(open_file(os.path.join(folder, b"gone"), os.O_RDWR))
    os.unlink(os.path.join(folder, b"gone"))
    manifest["files"][-1]["deleted"] = 1
    held.append(open_file(folder, os.O_RDONLY | os.O_DIRECTORY, kind="directory"))
    held.append(open_file(b"/dev/null", os.O_RDWR, kind="character"))
    os.mkfifo(os.path.join(folder, b"fifo"))
    held.append(open_file(os.path.join(folder, b"fifo"), os.O_RDWR, kind="fifo"))
    here, path = deep_folder(folder, 4095 - 6)
    held.append(here)
    held.append(os.open(b"lasts", os.O_RDWR | os.O_CREAT, 0o600, dir_fd=here))
    manifest["files"].append({"pid": os.getpid(), "fd": held[-1], "path": hexed(path + b"/lasts"), "deleted": 0, "mode": "rw",
                              "kind": "regular"})
    os.mkdir(b"beyond", dir_fd=here)  # its path has no room in 4,096 bytes
    beyond = os.open(b"beyond", os.O_RDONLY, dir_fd=here)
    held += [beyond, os.open(b"deeper", os.O_RDWR | os.O_CREAT, 0o600, dir_fd=beyond)]
    manifest["files"].append({"pid": os.getpid(), "fd": held[-1], "path": None, "deleted": 0, "mode": "rw", "kind": "regular"})
    return held


def sockets(folder):
    held = []

    def expect(s, family, protocol, state, path=None):
        if path is not None:
            ends = (path, 0, b"", 0)
        else:
            peer = s.getpeername() if state == "ESTABLISHED" else None
            local = s.getsockname()
            ends = (local[0].encode(), local[1], (peer[0] if peer else "").encode(), peer[1] if peer else 0)
        manifest["sockets"].append({"pid": os.getpid(), "family": family, "protocol": protocol, "state": state,
                                    "local": hexed(ends[0]), "local_port": ends[1], "remote": hexed(ends[2]), "remote_port": ends[3]})
        held.append(s)

    for family, name, loopback in ((socket.AF_INET, "inet", "127.0.0.1"), (socket.AF_INET6, "inet6", "::1")):
        if name == "inet6" and not os.path.exists("/proc/net/if_inet6"):
            continue
        listening = socket.create_server((loopback, 0), family=family)
        expect(listening, name, "tcp", "LISTEN")
        client = socket.create_connection(listening.getsockname()[:2])
        server, _ = listening.accept()
        expect(client, name, "tcp", "ESTABLISHED")
        expect(server, name, "tcp", "ESTABLISHED")
        for connected in (False, True):
            udp = socket.socket(family, socket.SOCK_DGRAM)
            udp.bind((loopback, 0))
            if connected:
                udp.connect((loopback, 9))
            expect(udp, name, "udp", "ESTABLISHED" if connected else "CLOSE")
    for kind, name in ((socket.SOCK_STREAM, "stream"), (socket.SOCK_DGRAM, "dgram"), (socket.SOCK_SEQPACKET, "seqpacket")):
        s = socket.socket(socket.AF_UNIX, kind)
        path = os.path.join(folder, b"s." + name.encode())
        s.bind(path)
        if kind != socket.SOCK_DGRAM:
            s.listen(1)
        expect(s, "unix", name, None, path)
    abstract = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    abstract.bind(b"\0pofr-workload-%d" % os.getpid())
    abstract.listen(1)
    expect(abstract, "unix", "stream", None, b"\0pofr-workload-%d" % os.getpid())
    return held


def dying(seconds):
    """Processes that are gone when they are looked at: nothing is expected of them but that nobody stumbles."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pid = os.fork()
        if pid == 0:
            for _ in range(50):
                os.open("/dev/null", os.O_RDONLY)
            os._exit(0)
        os.waitpid(pid, 0)
        time.sleep(0.002)


def run(path, hold):
    children = Children()
    ones = [exec_chain(hold), owner_changes(hold)]
    odd_arguments(children)
    long_arguments(children)
    odd_names(children)
    odd_owners(children)
    fork_tree(children, 6)
    folders = [os.path.join(FOLDER, name) for name in (b"files", b"sockets")]
    for folder in folders:
        os.mkdir(folder)
    held = files(folders[0])
    held_sockets = sockets(folders[1])
    dying(hold)
    for s in held_sockets:
        s.close()
    for fd in held:
        os.close(fd)
    children.finish()
    for pid in ones:
        if pid:
            os.waitpid(pid, 0)
    with open(path, "w", encoding="ascii") as f:
        json.dump(manifest, f, indent=1)


# --- is it all there? ---------------------------------------------------------------------------------------


def ask(client, statement):
    done = subprocess.run([*client, "--batch", "--skip-column-names"], input=statement.encode(), capture_output=True, check=False)
    if done.returncode != 0:
        print(done.stderr.decode("utf-8", "replace"), file=sys.stderr)
        return []
    return [tuple(line.split("\t")) for line in done.stdout.decode("utf-8").split("\n")[:-1]]


def pids(want):
    found = {x["pid"] for k in ("processes", "files", "sockets", "parents") for x in want[k]}
    return sorted(found | ({want["owners"]["pid"]} if "owners" in want else set()))


def tables(want, client):
    which = ", ".join(map(str, pids(want)))
    return (ask(client, "SELECT pid, HEX(command), HEX(exe), HEX(arguments), arguments_cut, ruid, rgid, ppid, started, "
                        "parent_started FROM psinfo WHERE pid IN (%s)" % which),
            ask(client, "SELECT pid, fd, HEX(path), deleted, access_mode, kind FROM fileinfo WHERE pid IN (%s)" % which),
            ask(client, "SELECT pid, family, protocol, COALESCE(state, ''), HEX(local_address), local_port, HEX(remote_address), "
                        "remote_port FROM netinfo WHERE pid IN (%s)" % which))


def missing(want, ps, files_, nets):
    for p in want["processes"]:
        rows = [r for r in ps if r[0] == str(p["pid"]) and r[3] == p["arguments"] and r[4] == str(p["cut"])]
        for i, name in ((5, "ruid"), (6, "rgid")):
            rows = [r for r in rows if name not in p or r[i] == str(p[name])]
        rows = [r for r in rows if p["exe"] is None or r[2] == hexed(p["exe"].encode())]
        rows = [r for r in rows if "command" not in p or r[1] == p["command"]]
        if not rows:
            yield "process", p, [r[:7] for r in ps if r[0] == str(p["pid"])]
    for p in want["parents"]:
        own = {r[8] for r in ps if r[0] == str(p["ppid"])}
        if not any(r[0] == str(p["pid"]) and r[7] == str(p["ppid"]) and (r[9] in own or not own) for r in ps):
            yield "parent", p, [r[7:] for r in ps if r[0] == str(p["pid"])]
    if "owners" in want:
        seen = {r[5] for r in ps if r[0] == str(want["owners"]["pid"])}
        if not set(map(str, want["owners"]["ruids"])) <= seen:
            yield "owner", want["owners"], seen
    for f in want["files"]:
        rows = [r for r in files_ if r[:2] == (str(f["pid"]), str(f["fd"])) and r[3:] == (str(f["deleted"]), f["mode"], f["kind"])]
        if not any(f["path"] is None or r[2] == f["path"] for r in rows):
            yield "file", f, [r for r in files_ if r[:2] == (str(f["pid"]), str(f["fd"]))]
    for s in want["sockets"]:
        key = (str(s["pid"]), s["family"], s["protocol"])
        rows = [r for r in nets if r[:3] == key and r[4:] == (s["local"], str(s["local_port"]), s["remote"], str(s["remote_port"]))]
        if not rows:
            yield "socket", s, [r for r in nets if r[:3] == key]


def check(path, seconds, client):
    with open(path, encoding="ascii") as f:
        want = json.load(f)
    until = time.monotonic() + seconds
    while True:
        lost = list(missing(want, *tables(want, client)))
        if not lost or time.monotonic() > until:
            break
        time.sleep(0.5)
    for kind, one, near in lost:
        print("not found: %s %s\n    near: %s" % (kind, str(one)[:600], str(near)[:600]))
    counts = ", ".join("%d %s" % (len(want[k]), k) for k in ("processes", "files", "sockets", "parents"))
    print("%s; %d not found" % (counts, len(lost)))
    return 1 if lost else 0


if __name__ == "__main__":
    if sys.argv[1] == "run":
        FOLDER = sys.argv[3].encode()
        run(sys.argv[2], float(sys.argv[4]))
    else:
        sys.exit(check(sys.argv[2], float(sys.argv[3]), sys.argv[5:]))
