# SPDX-License-Identifier: GPL-2.0-or-later
"""columns.py -- what each column of each analyst's view must hold for a row of the reference decoder.

Written from INTERFACES and sql/shard/0002_views.sql, not from the worker's code. A value is text as `mariadb --batch` prints
it; bytes are hex, in upper case, and their columns are in BYTES.
"""
import datetime
import socket

OPEN = "9999-12-31 23:59:59.999999"
EPOCH = datetime.datetime(1970, 1, 1)
FAMILIES = {1: "unix", 2: "inet", 10: "inet6", 16: "netlink", 17: "packet"}
INET = {6: "tcp", 17: "udp", 1: "icmp", 58: "icmpv6", 132: "sctp", 136: "udplite", 255: "raw"}
UNIX = {1: "stream", 2: "dgram", 5: "seqpacket"}
STATES = [None, "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT", "LAST_ACK",
          "LISTEN", "CLOSING", "NEW_SYN_RECV"]
KINDS = ["unknown", "regular", "directory", "character", "block", "fifo", "socket", "symlink", "anonymous"]
NULL = "NULL"


def moment(us):
    """Microseconds since 1970 as DATETIME(6)."""
    return (EPOCH + datetime.timedelta(microseconds=us)).strftime("%Y-%m-%d %H:%M:%S.%f")


def hexed(value):
    return value.hex().upper()


def or_null(value, known=True):
    return str(value) if known else NULL


def device(value):
    return "%d:%d" % (value >> 32, value & 0xFFFFFFFF)


def address(family, value):
    if (family, len(value)) in ((2, 4), (10, 16)):
        value = socket.inet_ntop(family, value).encode("ascii")
    return hexed(value)


def name_of(table, value):
    return table.get(value, str(value))


def protocol(v):
    if v["family"] in (2, 10):
        return name_of(INET, v["protocol"])
    return name_of(UNIX, v["type"]) if v["family"] == 1 else str(v["protocol"])


class Values:
    """A row's fields, whatever their role, and the boot that turns its clock into moments."""

    def __init__(self, row, volatile, boot, host):
        self.row, self.boot, self.host = row, boot, host
        self.fields = {**row.slot, **row.attributes, **row.fixed, **volatile}

    def __getitem__(self, name):
        return self.fields[name]

    def at(self, us):
        return moment(self.boot.anchor_us + us)

    def started(self, prefix=""):
        return self.at(self[prefix + "start_jiffies"] * 10000 + self[prefix + "start_number"])


def common(v):
    row, is_open = v.row, v.row.ended is None
    return {
        "host": v.host["host"], "host_id": v.host["host_id"], "boot": str(v.boot.number),
        "first_seen": v.at(row.first_seen),
        "last_seen": v.at(v.boot.tick if is_open else row.last_seen),
        "ended": OPEN if is_open else v.at(row.ended),
        "end_source": "open" if is_open else row.end_source, "end_inferred": str(int(row.inferred)),
        "time_source": "0", "own_first_seen": NULL, "own_ended": NULL,
    }


def plain(*names):
    return lambda v: {name: str(v[name]) for name in names}


def raw(*names):
    return lambda v: {name: hexed(v[name]) for name in names}


def psinfo(v):
    status, known, exe = v["exit_status"], v["exit_known"], v["exe"] != b""
    numbers = ("pid cpu_us ppid ruid euid suid fsuid rgid egid sgid fsgid session tty exe_deleted arguments_cut ns_mnt ns_pid "
               "ns_net ns_user ns_uts ns_ipc ns_cgroup kernel_thread recorder unreadable").split()
    return {
        **plain(*numbers)(v), "start_unseen": str(v.row.start_unseen), "started": v.started(),
        "exit_status": or_null(status, known), "exit_code": or_null(status >> 8, known and status & 127 == 0),
        "exit_signal": or_null(status & 127, known and status & 127),
        "parent_started": v.started("parent_") if v["parent_known"] else NULL,
        "login_uid": or_null(v["login_uid"], v["login_uid"] != 4294967295),
        "command": hexed(v["command"]), "exe": hexed(v["exe"]) if exe else NULL,
        "exe_device": device(v["exe_device"]) if exe else NULL, "exe_inode": or_null(v["exe_inode"], exe),
        **{name: hexed(v[name]) if v[name] else NULL for name in ("arguments", "cwd", "cgroup", "container")},
    }


def fileinfo(v):
    bits = v["access_mode"]
    return {
        **plain("pid", "thread", "fd", "path_cut", "inode", "deleted")(v), **raw("command", "path")(v), "started": v.started(),
        "kind": KINDS[v["kind"]] if v["kind"] < len(KINDS) else "unknown",
        "access_mode": "path" if bits & 4 else ("r" if bits & 1 else "") + ("w" if bits & 2 else ""),
        "device": device(v["device"]),
    }


def netinfo(v):
    owner = v["pid"] != 0
    return {
        **plain("netns", "cookie", "cookie_kind", "local_port", "remote_port", "inode", "uid", "interface", "peer_inode")(v),
        "pid": or_null(v["pid"], owner), "started": v.started() if owner else NULL,
        "command": hexed(v["command"]) if owner else NULL,
        "family": name_of(FAMILIES, v["family"]), "protocol": protocol(v),
        "local_address": address(v["family"], v["local_address"]),
        "remote_address": address(v["family"], v["remote_address"]),
        "state": (STATES[v["state"]] if v["state"] < len(STATES) else None) or NULL,
        "bytes_sent": or_null(v["bytes_sent"], v["bytes_known"]),
        "bytes_received": or_null(v["bytes_received"], v["bytes_known"]),
    }


def netint(v):
    return {
        **plain("netns", "interface", "prefix", "mtu", "flags")(v), "name": hexed(v["name"]),
        "family": name_of(FAMILIES, v["family"]), "address": address(v["family"], v["address"]),
        "broadcast": address(v["family"], v["broadcast"]), "hardware_address": hexed(v["hardware_address"].hex(":").encode()),
    }


def netroute(v):
    return {
        **plain("netns", "prefix", "interface", "metric", "type", "scope", "protocol")(v), "route_table": str(v["table"]),
        "family": name_of(FAMILIES, v["family"]), "interface_name": hexed(v["interface_name"]),
        **{name: address(v["family"], v[name]) for name in ("destination", "gateway", "source")},
    }


def userinfo(v):
    return {**plain("uid", "gid")(v), **raw("name", "comment", "home", "shell", "origin")(v)}


def groupinfo(v):
    return {**plain("gid")(v), **raw("name", "members", "origin")(v)}


def login(v):
    return {**plain("uid", "leader")(v), **raw("session", "user", "tty", "remote_host", "service", "origin")(v),
            "since": moment(v["since_wall_us"]) if v["since_wall_us"] else NULL}


VIEWS = {  # view -> (entity, function)
    "psinfo": ("process", psinfo), "fileinfo": ("file", fileinfo), "netinfo": ("socket", netinfo),
    "userinfo": ("user", userinfo), "groupinfo": ("group", groupinfo), "netint": ("netint", netint),
    "netroute": ("netroute", netroute), "hostinfo": ("hostinfo", raw("name", "value")),
    "hwinfo": ("hwinfo", raw("class", "name", "value")), "login": ("login", login),
    "coverage": ("coverage", lambda v: {**raw("source", "mode", "reason")(v), **plain("seen", "lost", "lost_at_least")(v)}),
}
BYTES = {
    "psinfo": "command exe arguments cwd cgroup container", "fileinfo": "command path",
    "netinfo": "command local_address remote_address", "userinfo": "name comment home shell origin",
    "groupinfo": "name members origin", "netint": "address name broadcast hardware_address",
    "netroute": "destination gateway interface_name source", "hostinfo": "name value", "hwinfo": "class name value",
    "login": "session user tty remote_host service origin", "coverage": "source mode reason",
    "bundle": "run statement_digest previous_digest payload_digest key_id signature boot_id counts recorder",
    "gap": "digest detail", "finding": "kind detail", "boot": "boot_id",
}
BYTES = {view: set(names.split()) for view, names in BYTES.items()}


def expected(view, row, volatile, boot, host):
    """column -> text"""
    v = Values(row, volatile, boot, host)
    found = {**common(v), **VIEWS[view][1](v)}
    if view == "coverage":
        found["from_time"], found["to_time"] = found.pop("first_seen"), found.pop("ended")
        for name in ("time_source", "own_first_seen", "own_ended"):
            del found[name]
    return found
