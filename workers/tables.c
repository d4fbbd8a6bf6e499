/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "workers/tables.h"

#include <stdio.h>
#include <arpa/inet.h>
#include <sys/socket.h>

#define COLUMN(sql, entity, field, kind, role)                                                                         \
    {                                                                                                                  \
        sql, FILL_##kind, COLUMN_##role, offsetof(struct record, entity.field)                                         \
    }

#define P(sql, field, kind, role) COLUMN(sql, process, field, kind, role)
static const struct table_column psinfo[] = {
    P("pid", pid, U, ID),
    P("started", start_jiffies, STARTED, ID),
    P("exit_status", exit_status, EXIT, VOLATILE),
    P("cpu_us", cpu_us, U, VOLATILE),
    P("ppid", ppid, U, FIXED),
    P("parent_started", parent_start_jiffies, PARENT, FIXED),
    P("ruid", ruid, U, ATTRIBUTE),
    P("euid", euid, U, ATTRIBUTE),
    P("suid", suid, U, ATTRIBUTE),
    P("fsuid", fsuid, U, ATTRIBUTE),
    P("rgid", rgid, U, ATTRIBUTE),
    P("egid", egid, U, ATTRIBUTE),
    P("sgid", sgid, U, ATTRIBUTE),
    P("fsgid", fsgid, U, ATTRIBUTE),
    P("login_uid", login_uid, UID, ATTRIBUTE),
    P("session", session, U, ATTRIBUTE),
    P("tty", tty, U, ATTRIBUTE),
    P("command_id", command, STRING, ATTRIBUTE),
    P("exe_id", exe, STRING_NULL, ATTRIBUTE),
    P("exe_device", exe_device, UNLESS_EXE, ATTRIBUTE),
    P("exe_inode", exe_inode, UNLESS_EXE, ATTRIBUTE),
    P("exe_deleted", exe_deleted, U, ATTRIBUTE),
    P("arguments", arguments, BYTES_NULL, ARGUMENTS),
    P("arguments_cut", arguments_cut, U, ARGUMENTS),
    P("cwd_id", cwd, STRING_NULL, ATTRIBUTE),
    P("cgroup_id", cgroup, STRING_NULL, ATTRIBUTE),
    P("container_id", container, STRING_NULL, ATTRIBUTE),
    P("ns_mnt", ns_mnt, U, ATTRIBUTE),
    P("ns_pid", ns_pid, U, ATTRIBUTE),
    P("ns_net", ns_net, U, ATTRIBUTE),
    P("ns_user", ns_user, U, ATTRIBUTE),
    P("ns_uts", ns_uts, U, ATTRIBUTE),
    P("ns_ipc", ns_ipc, U, ATTRIBUTE),
    P("ns_cgroup", ns_cgroup, U, ATTRIBUTE),
    P("kernel_thread", kernel_thread, U, ATTRIBUTE),
    P("recorder", recorder, U, ATTRIBUTE),
    P("unreadable", unreadable, U, ARGUMENTS),
};

#define F(sql, field, kind, role) COLUMN(sql, file, field, kind, role)
static const struct table_column fileinfo[] = {
    F("pid", pid, U, ID),
    F("started", start_jiffies, STARTED, ID),
    F("thread", thread, U, ID),
    F("fd", fd, U, ID),
    F("command_id", command, STRING, FIXED),
    F("path_id", path, STRING, ATTRIBUTE),
    F("path_cut", path_cut, U, ATTRIBUTE),
    F("kind", kind, KIND, ATTRIBUTE),
    F("access_mode", access_mode, ACCESS, ATTRIBUTE),
    F("device", device, U, ATTRIBUTE),
    F("inode", inode, U, ATTRIBUTE),
    F("deleted", deleted, U, ATTRIBUTE),
};

#define S(sql, field, kind, role) COLUMN(sql, socket, field, kind, role)
static const struct table_column netinfo[] = {
    S("netns", netns, U, ID),
    S("cookie", cookie, U, ID),
    S("cookie_kind", cookie_kind, U, ID),
    S("pid", pid, U, ID),
    S("started", start_jiffies, STARTED, ID),
    S("command_id", command, STRING, FIXED),
    S("family", family, U, ATTRIBUTE),
    S("protocol", protocol, U, ATTRIBUTE),
    S("type", type, U, ATTRIBUTE),
    S("local_address", local_address, ADDRESS, ATTRIBUTE),
    S("local_port", local_port, U, ATTRIBUTE),
    S("remote_address", remote_address, ADDRESS, ATTRIBUTE),
    S("remote_port", remote_port, U, ATTRIBUTE),
    S("uid", uid, U, ATTRIBUTE),
    S("inode", inode, U, FIXED),
    S("interface", interface, U, ATTRIBUTE),
    S("peer_inode", peer_inode, U, FIXED),
    S("state", state, U, VOLATILE),
    S("bytes_sent", bytes_sent, TRAFFIC, VOLATILE),
    S("bytes_received", bytes_received, TRAFFIC, VOLATILE),
};

static const struct table_column userinfo[] = {
    COLUMN("name", user, name, BYTES, ID),
    COLUMN("uid", user, uid, U, ID),
    COLUMN("gid", user, gid, U, ATTRIBUTE),
    COLUMN("comment", user, comment, BYTES, ATTRIBUTE),
    COLUMN("home", user, home, BYTES, ATTRIBUTE),
    COLUMN("shell", user, shell, BYTES, ATTRIBUTE),
    COLUMN("origin", user, origin, BYTES, ATTRIBUTE),
};

static const struct table_column groupinfo[] = {
    COLUMN("name", group, name, BYTES, ID),
    COLUMN("gid", group, gid, U, ID),
    COLUMN("members", group, members, BYTES, ATTRIBUTE),
    COLUMN("origin", group, origin, BYTES, ATTRIBUTE),
};

#define I(sql, field, kind, role) COLUMN(sql, netint, field, kind, role)
static const struct table_column netint[] = {
    I("netns", netns, U, ID),
    I("interface", interface, U, ID),
    I("family", family, U, ID),
    I("address", address, ADDRESS, ID),
    I("prefix", prefix, U, ID),
    I("name", name, BYTES, ATTRIBUTE),
    I("hardware_address", hardware_address, HARDWARE, ATTRIBUTE),
    I("mtu", mtu, U, ATTRIBUTE),
    I("flags", flags, U, ATTRIBUTE),
    I("broadcast", broadcast, ADDRESS, ATTRIBUTE),
};

#define R(sql, field, kind, role) COLUMN(sql, netroute, field, kind, role)
static const struct table_column netroute[] = {
    R("netns", netns, U, ID),
    R("family", family, U, ID),
    R("route_table", table, U, ID),
    R("destination", destination, ADDRESS, ID),
    R("prefix", prefix, U, ID),
    R("gateway", gateway, ADDRESS, ID),
    R("interface", interface, U, ID),
    R("metric", metric, U, ID),
    R("interface_name", interface_name, BYTES, ATTRIBUTE),
    R("type", type, U, ATTRIBUTE),
    R("scope", scope, U, ATTRIBUTE),
    R("protocol", protocol, U, ATTRIBUTE),
    R("source", source, ADDRESS, ATTRIBUTE),
};

static const struct table_column hostinfo[] = {
    COLUMN("name", hostinfo, name, BYTES, ID),
    COLUMN("value", hostinfo, value, BYTES, ATTRIBUTE),
};

static const struct table_column hwinfo[] = {
    COLUMN("class", hwinfo, class, BYTES, ID),
    COLUMN("name", hwinfo, name, BYTES, ID),
    COLUMN("value", hwinfo, value, BYTES, ATTRIBUTE),
};

#define L(sql, field, kind, role) COLUMN(sql, login, field, kind, role)
static const struct table_column login[] = {
    L("session", session, BYTES, ID),
    L("user", user, BYTES, ATTRIBUTE),
    L("uid", uid, U, ATTRIBUTE),
    L("tty", tty, BYTES, ATTRIBUTE),
    L("remote_host", remote_host, BYTES, ATTRIBUTE),
    L("service", service, BYTES, ATTRIBUTE),
    L("leader", leader, U, ATTRIBUTE),
    L("since", since_wall_us, WALL, ATTRIBUTE),
    L("origin", origin, BYTES, ATTRIBUTE),
};

#define C(sql, field, kind, role) COLUMN(sql, coverage, field, kind, role)
static const struct table_column coverage[] = {
    C("source", source, BYTES, ID), C("mode", mode, BYTES, ATTRIBUTE), C("reason", reason, BYTES, ATTRIBUTE),
    C("seen", seen, U, VOLATILE),   C("lost", lost, U, VOLATILE),      C("lost_at_least", lost_at_least, U, VOLATILE),
};

#define TABLE(number, name, ids)                                                                                       \
    {                                                                                                                  \
        number, #name, name, pofr_countof(name), ids                                                                   \
    }
const struct table tables[TABLES_COUNT] = {
    TABLE(REC_PROCESS, psinfo, 2),    TABLE(REC_FILE, fileinfo, 4),     TABLE(REC_SOCKET, netinfo, 5),
    TABLE(REC_USER, userinfo, 2),     TABLE(REC_GROUP, groupinfo, 2),   TABLE(REC_NETINT, netint, 5),
    TABLE(REC_NETROUTE, netroute, 8), TABLE(REC_HOSTINFO, hostinfo, 1), TABLE(REC_HWINFO, hwinfo, 2),
    TABLE(REC_LOGIN, login, 1),       TABLE(REC_COVERAGE, coverage, 1),
};

const struct table *table_of(unsigned entity)
{
    return entity >= REC_PROCESS && entity < REC_PROCESS + TABLES_COUNT ? &tables[entity - REC_PROCESS] : NULL;
}

enum bulk_type table_type(enum fill fill)
{
    switch (fill) {
    case FILL_STARTED:
    case FILL_PARENT:
    case FILL_WALL:
        return BULK_TIME;
    case FILL_BYTES:
    case FILL_BYTES_NULL:
    case FILL_ADDRESS:
    case FILL_HARDWARE:
        return BULK_BYTES;
    default:
        return BULK_U64;
    }
}

/* --- statements ------------------------------------------------------------------------------------------- */

static const enum bulk_type row_types[TABLE_ROW_COLUMNS_COUNT] = { BULK_TIME, BULK_TIME, BULK_TIME,  BULK_U64,
                                                                   BULK_U64,  BULK_U64,  BULK_U64,   BULK_TIME,
                                                                   BULK_TIME, BULK_TIME, BULK_BYTES, BULK_U64 };
static const char *const row_names[TABLE_ROW_COLUMNS_COUNT] = { "first_seen",  "last_seen",      "ended",
                                                                "end_source",  "end_inferred",   "start_unseen",
                                                                "time_source", "own_first_seen", "own_ended",
                                                                "end_before",  "names",          "hash" };

struct text {
    struct buf *sql;
    enum bulk_type *types;
    size_t count;
};

static void value(struct text *t, enum bulk_type type)
{
    t->types[t->count++] = type;
}

static void key_values(struct text *x, const struct table *t, bool ended)
{
    buf_printf(x->sql, " WHERE host_id = ? AND boot = ?");
    value(x, BULK_U64);
    value(x, BULK_U64);
    for (size_t i = 0; i < t->id_count; i++) {
        buf_printf(x->sql, " AND %s = ?", t->columns[i].name);
        value(x, table_type(t->columns[i].fill));
    }
    buf_printf(x->sql, " AND first_seen = ? AND ended = %s", ended ? "?" : "'9999-12-31 23:59:59.999999'");
    value(x, BULK_TIME);
    if (ended) {
        value(x, BULK_TIME);
    }
}

static void insert_text(struct text *x, const struct table *t)
{
    buf_printf(x->sql, "INSERT INTO %s (host_id, boot", t->name);
    value(x, BULK_U64);
    value(x, BULK_U64);
    for (size_t i = 0; i < t->id_count; i++) {
        buf_printf(x->sql, ", %s", t->columns[i].name);
        value(x, table_type(t->columns[i].fill));
    }
    buf_str(x->sql, ", " TABLE_ROW_COLUMNS);
    for (size_t i = 0; i < TABLE_ROW_COLUMNS_COUNT; i++) {
        value(x, row_types[i]);
    }
    for (size_t i = t->id_count; i < t->count; i++) {
        buf_printf(x->sql, ", %s", t->columns[i].name);
        value(x, table_type(t->columns[i].fill));
    }
    buf_str(x->sql, ") VALUES (?");
    for (size_t i = 1; i < x->count; i++) {
        buf_str(x->sql, ", ?");
    }
    buf_str(x->sql, ")");
}

static void update_text(struct text *x, const struct table *t)
{
    buf_printf(x->sql, "UPDATE %s SET ", t->name);
    for (size_t i = 0; i < TABLE_ROW_COLUMNS_COUNT; i++) {
        buf_printf(x->sql, "%s%s = ?", i ? ", " : "", row_names[i]);
        value(x, row_types[i]);
    }
    key_values(x, t, true);
}

static void role_text(struct text *x, const struct table *t, enum column_role role)
{
    buf_printf(x->sql, "UPDATE %s SET ", t->name);
    for (size_t i = 0; i < t->count; i++) {
        if (t->columns[i].role == role) {
            buf_printf(x->sql, "%s%s = ?", x->count ? ", " : "", t->columns[i].name);
            value(x, table_type(t->columns[i].fill));
        }
    }
    key_values(x, t, true);
}

static void copy_text(struct text *x, const struct table *t)
{
    buf_printf(x->sql, "INSERT INTO %s (" TABLE_ROW_COLUMNS ", host_id, boot", t->name);
    for (size_t i = 0; i < t->count; i++) {
        buf_printf(x->sql, ", %s", t->columns[i].name);
    }
    buf_str(x->sql, ") SELECT ?");
    for (size_t i = 0; i < TABLE_ROW_COLUMNS_COUNT; i++) {
        buf_str(x->sql, i ? ", ?" : "");
        value(x, row_types[i]);
    }
    buf_str(x->sql, ", host_id, boot");
    for (size_t i = 0; i < t->count; i++) {
        buf_printf(x->sql, ", %s", t->columns[i].name);
    }
    buf_printf(x->sql, " FROM %s", t->name);
    key_values(x, t, true);
}

size_t table_statement(const struct table *t, enum table_statement s, struct buf *sql,
                       enum bulk_type types[BULK_COLUMNS_MAX])
{
    struct text x = { sql, types, 0 };

    switch (s) {
    case TABLE_INSERT:
        insert_text(&x, t);
        break;
    case TABLE_END:
    case TABLE_DELETE:
        buf_printf(sql, "DELETE FROM %s", t->name);
        key_values(&x, t, s == TABLE_DELETE);
        break;
    case TABLE_UPDATE:
        update_text(&x, t);
        break;
    case TABLE_VOLATILE:
        role_text(&x, t, COLUMN_VOLATILE);
        break;
    case TABLE_FIXED:
        role_text(&x, t, COLUMN_FIXED);
        break;
    case TABLE_ARGUMENTS:
        role_text(&x, t, COLUMN_ARGUMENTS);
        break;
    default:
        copy_text(&x, t);
        break;
    }
    return x.count;
}

#define AS_US(column) "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', " column ")"

void table_select(const struct table *t, struct buf *sql)
{
    buf_str(sql, "SELECT ");
    for (size_t i = 0; i < t->id_count; i++) {
        if (t->columns[i].fill == FILL_STARTED) {
            buf_printf(sql, AS_US("%s") ", ", t->columns[i].name);
        } else {
            buf_printf(sql, "%s, ", t->columns[i].name);
        }
    }
    buf_printf(sql,
               AS_US("first_seen") ", " AS_US("last_seen") ", " AS_US(
                   "ended") ", end_source + 0, end_inferred, "
                            "start_unseen, " AS_US("own_first_seen") ", " AS_US("own_ended") ", " AS_US(
                                "end_before") ", names, hash FROM %s",
               t->name);
}

/* --- addresses ----------------------------------------------------------------------------------------------- */

struct slice address_text(uint64_t family, struct slice bytes, char *buffer)
{
    if ((family == AF_INET && bytes.len == 4) || (family == AF_INET6 && bytes.len == 16)) {
        if (inet_ntop((int)family, bytes.data, buffer, ADDRESS_TEXT_MAX)) {
            return slice_str(buffer);
        }
    }
    return bytes;
}

struct slice address_bytes(uint64_t family, struct slice text, uint8_t *buffer)
{
    char copy[ADDRESS_TEXT_MAX];

    if ((family == AF_INET || family == AF_INET6) && text.len > 0 && text.len < sizeof(copy)) {
        memcpy(copy, text.data, text.len);
        copy[text.len] = 0;
        if (inet_pton((int)family, copy, buffer) == 1) {
            return slice_of(buffer, family == AF_INET ? 4 : 16);
        }
    }
    return text;
}
