/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host_accounts.c -- passwd(5), group(5), logind's session files, utmp(5). */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <utmp.h>

#include "agent/look/host_items.h"
#include "common/base/parse_num.h"

#define NAME_MAX_BYTES 255
#define TEXT_MAX_BYTES 4096
#define SESSIONS_MAX   4096

/* A line without its newline; the rest stays in *text. */
static struct slice line_of(struct slice *text)
{
    return slice_split(text, '\n');
}

void host_parse_passwd(struct slice text, struct host_items *h)
{
    while (!slice_empty(text)) {
        struct slice line = line_of(&text);
        struct slice name = slice_split(&line, ':');
        struct slice password = slice_split(&line, ':');
        struct slice uid_text = slice_split(&line, ':');
        struct slice gid_text = slice_split(&line, ':');
        struct slice comment = slice_split(&line, ':');
        struct slice home = slice_split(&line, ':');
        uint32_t uid;
        uint32_t gid;
        struct record *r;

        (void)password;
        if (slice_empty(name) || name.data[0] == '#' || parse_u32(uid_text, UINT32_MAX, &uid) ||
            parse_u32(gid_text, UINT32_MAX, &gid)) {
            continue;
        }
        r = host_items_add(h, REC_USER);
        if (!r) {
            return;
        }
        r->user.name = host_items_text(h, name, NAME_MAX_BYTES);
        r->user.uid = uid;
        r->user.gid = gid;
        r->user.comment = host_items_text(h, comment, TEXT_MAX_BYTES);
        r->user.home = host_items_text(h, home, TEXT_MAX_BYTES);
        r->user.shell = host_items_text(h, line, TEXT_MAX_BYTES);
        r->user.origin = slice_str("passwd");
    }
}

void host_parse_group(struct slice text, struct host_items *h)
{
    while (!slice_empty(text)) {
        struct slice line = line_of(&text);
        struct slice name = slice_split(&line, ':');
        struct slice password = slice_split(&line, ':');
        struct slice gid_text = slice_split(&line, ':');
        uint32_t gid;
        struct record *r;

        (void)password;
        if (slice_empty(name) || name.data[0] == '#' || parse_u32(gid_text, UINT32_MAX, &gid)) {
            continue;
        }
        r = host_items_add(h, REC_GROUP);
        if (!r) {
            return;
        }
        r->group.name = host_items_text(h, name, NAME_MAX_BYTES);
        r->group.gid = gid;
        r->group.members = host_items_text(h, line, REC_STRING_MAX);
        r->group.origin = slice_str("group");
    }
}

static void gather_file(const char *root, const char *path, void (*parse)(struct slice, struct host_items *),
                        struct host_items *h)
{
    struct buf b = BUF_INIT(HOST_FILE_MAX);

    if (host_read(root, path, &b)) {
        parse(buf_slice(&b), h);
    } else {
        h->reason = "the file can't be read";
    }
    buf_free(&b);
}

void host_gather_users(const char *root, struct host_items *h)
{
    gather_file(root, "/etc/passwd", host_parse_passwd, h);
}

void host_gather_groups(const char *root, struct host_items *h)
{
    gather_file(root, "/etc/group", host_parse_group, h);
}

/* --- who is logged in ------------------------------------------------------------------------------ */

/* /run/systemd/sessions/ID: lines KEY=VALUE (systemd, src/login/logind-session.c: session_save()). */
void host_parse_session(struct slice text, struct slice id, struct host_items *h)
{
    struct rec_login login = { .session = id };
    struct record *r;

    while (!slice_empty(text)) {
        struct slice value = line_of(&text);
        struct slice key = slice_split(&value, '=');
        uint64_t number = 0;

        if (slice_eq_str(key, "USER")) {
            login.user = value;
        } else if (slice_eq_str(key, "UID")) {
            login.uid = parse_u64(value, UINT32_MAX, &number) ? 0 : number;
        } else if (slice_eq_str(key, "TTY")) {
            login.tty = value;
        } else if (slice_eq_str(key, "REMOTE_HOST")) {
            login.remote_host = value;
        } else if (slice_eq_str(key, "SERVICE")) {
            login.service = value;
        } else if (slice_eq_str(key, "LEADER")) {
            login.leader = parse_u64(value, UINT32_MAX, &number) ? 0 : number;
        } else if (slice_eq_str(key, "REALTIME")) {
            login.since_wall_us = parse_u64(value, INT64_MAX, &number) ? 0 : number;
        }
    }
    r = host_items_add(h, REC_LOGIN);
    if (r) {
        r->login.session = host_items_text(h, login.session, NAME_MAX_BYTES);
        r->login.user = host_items_text(h, login.user, NAME_MAX_BYTES);
        r->login.uid = login.uid;
        r->login.tty = host_items_text(h, login.tty, NAME_MAX_BYTES);
        r->login.remote_host = host_items_text(h, login.remote_host, NAME_MAX_BYTES);
        r->login.service = host_items_text(h, login.service, NAME_MAX_BYTES);
        r->login.leader = login.leader;
        r->login.since_wall_us = login.since_wall_us;
        r->login.origin = slice_str("logind");
    }
}

static struct slice field(const char *text, size_t size)
{
    return slice_of(text, strnlen(text, size));
}

/* utmp(5): an array of struct utmp. The session's name is its line and its time. */
void host_parse_utmp(struct slice bytes, struct host_items *h)
{
    while (bytes.len >= sizeof(struct utmp)) {
        struct utmp u;
        struct record *r;
        char session[UT_LINESIZE + 24];

        memcpy(&u, bytes.data, sizeof(u));
        bytes = slice_sub(bytes, sizeof(u), SIZE_MAX);
        if (u.ut_type != USER_PROCESS || u.ut_user[0] == 0) {
            continue;
        }
        r = host_items_add(h, REC_LOGIN);
        if (!r) {
            return;
        }
        snprintf(session, sizeof(session), "%.*s@%ld", (int)sizeof(u.ut_line), u.ut_line, (long)u.ut_tv.tv_sec);
        r->login.session = host_items_text(h, slice_str(session), NAME_MAX_BYTES);
        r->login.user = host_items_text(h, field(u.ut_user, sizeof(u.ut_user)), NAME_MAX_BYTES);
        r->login.uid = REC_LOGIN_UID_UNSET;
        r->login.tty = host_items_text(h, field(u.ut_line, sizeof(u.ut_line)), NAME_MAX_BYTES);
        r->login.remote_host = host_items_text(h, field(u.ut_host, sizeof(u.ut_host)), NAME_MAX_BYTES);
        r->login.leader = u.ut_pid > 0 ? (uint64_t)u.ut_pid : 0;
        r->login.since_wall_us = u.ut_tv.tv_sec > 0 ? (uint64_t)u.ut_tv.tv_sec * 1000000u : 0;
        r->login.origin = slice_str("utmp");
    }
}

void host_gather_login(const char *root, struct host_items *h)
{
    struct buf b = BUF_INIT(HOST_FILE_MAX);
    char folder[PATH_MAX];
    unsigned count = 0;
    DIR *dir;

    snprintf(folder, sizeof(folder), "%s/run/systemd/sessions", root);
    dir = opendir(folder);
    if (dir) {
        struct dirent *d;

        while ((d = readdir(dir)) != NULL && count < SESSIONS_MAX) {
            char path[sizeof("/run/systemd/sessions/") + NAME_MAX];

            if (strchr(d->d_name, '.')) { /* ".", "..", and the FIFOs ID.ref */
                continue;
            }
            count++;
            snprintf(path, sizeof(path), "/run/systemd/sessions/%s", d->d_name);
            if (host_read(root, path, &b)) { /* else it ended meanwhile */
                host_parse_session(buf_slice(&b), slice_str(d->d_name), h);
            }
        }
        closedir(dir);
    } else if (host_read(root, "/run/utmp", &b) || host_read(root, "/var/run/utmp", &b)) {
        host_parse_utmp(buf_slice(&b), h);
    }
    buf_free(&b);
}
