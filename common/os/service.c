/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The notify protocol is one datagram of text (sd_notify(3) describes it as stable and shows it done by hand);
 * doing so spares every daemon libsystemd and the four libraries behind it.
 */
#include "common/os/service.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <sys/capability.h>

#include "common/base/err.h"
#include "common/base/parse_num.h"
#include "common/os/clock.h"
#include "common/os/fsio.h"

/* The leak checker attaches to its own process, which an undumpable one forbids. */
#if defined(__SANITIZE_ADDRESS__)
#define DUMPABLE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define DUMPABLE 1
#endif
#endif
#ifndef DUMPABLE
#define DUMPABLE 0
#endif

static int hide_memory(struct pofr_err *err)
{
    const struct rlimit none = { 0, 0 };

    if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, DUMPABLE, 0, 0, 0) != 0) {
        return pofr_err_sys(err, fsio_code(errno), "forbid core dumps");
    }
    return 0;
}

int service_setup(struct pofr_err *err)
{
    int fd;

    do { /* else a file of ours becomes stdout, and the log goes into it */
        fd = open("/dev/null", O_RDWR);
        if (fd < 0) {
            return pofr_err_sys(err, fsio_code(errno), "open /dev/null");
        }
    } while (fd <= STDERR_FILENO);
    fsio_close(&fd);
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) {
        return pofr_err_sys(err, POFR_ESYSTEM, "ignore SIGPIPE");
    }
    (void)umask(027); /* always succeeds */
    return hide_memory(err);
}

uint64_t service_raise_nofile(uint64_t wanted)
{
    struct rlimit now, more;

    if (getrlimit(RLIMIT_NOFILE, &now) != 0) {
        return 0;
    }
    if (now.rlim_cur >= wanted) {
        return now.rlim_cur;
    }
    more.rlim_cur = wanted;
    more.rlim_max = now.rlim_max > wanted ? now.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &more) != 0 && now.rlim_max > now.rlim_cur) { /* no right to raise the hard limit */
        more.rlim_cur = more.rlim_max = now.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &more); /* what holds is read below */
    }
    return getrlimit(RLIMIT_NOFILE, &now) == 0 ? now.rlim_cur : 0;
}

int service_lookup_user(const char *name, struct service_identity *out, struct pofr_err *err)
{
    char room[16384];
    struct passwd pw, *found = NULL;
    uint32_t uid;
    int sys;

    if (parse_u32(slice_str(name), UINT32_MAX - 1, &uid) == 0) {
        sys = getpwuid_r(uid, &pw, room, sizeof(room), &found);
        out->uid = uid;
        out->gid = sys == 0 && found ? pw.pw_gid : uid;
        return 0;
    }
    sys = getpwnam_r(name, &pw, room, sizeof(room), &found);
    if (sys != 0) {
        errno = sys;
        return pofr_err_sys(err, POFR_ESYSTEM, "look up user %s", name);
    }
    if (!found) {
        return pofr_err_set(err, POFR_ENOTFOUND, "there is no user %s", name);
    }
    out->uid = pw.pw_uid;
    out->gid = pw.pw_gid;
    return 0;
}

/* The listed capabilities that we are allowed now, permitted and effective; no inheritable ones. */
static int build_caps(const struct service_identity *id, cap_t have, cap_t keep, struct pofr_err *err)
{
    for (size_t i = 0; i < SERVICE_CAPS_MAX && id->keep_caps[i]; i++) {
        cap_flag_value_t on = CAP_CLEAR;
        cap_value_t cap;

        if (cap_from_name(id->keep_caps[i], &cap) != 0) {
            return pofr_err_set(err, POFR_EUSAGE, "there is no capability %s", id->keep_caps[i]);
        }
        if (cap_get_flag(have, cap, CAP_PERMITTED, &on) != 0 || on != CAP_SET) {
            continue; /* an older kernel, or a smaller bounding set: the caller asks service_has_cap() */
        }
        if (cap_set_flag(keep, CAP_PERMITTED, 1, &cap, CAP_SET) != 0 ||
            cap_set_flag(keep, CAP_EFFECTIVE, 1, &cap, CAP_SET) != 0) {
            return pofr_err_sys(err, POFR_ESYSTEM, "capability %s", id->keep_caps[i]);
        }
    }
    return 0;
}

static int change_ids(const struct service_identity *id, struct pofr_err *err)
{
    if (geteuid() != 0) {
        if (getuid() != id->uid || geteuid() != id->uid) {
            return pofr_err_set(err, POFR_EPERMISSION, "can't become uid %u: started as uid %u", id->uid, getuid());
        }
        return 0;
    }
    if (setgroups(0, NULL) != 0 || setresgid(id->gid, id->gid, id->gid) != 0) {
        return pofr_err_sys(err, POFR_EPERMISSION, "become gid %u", id->gid);
    }
    if (setresuid(id->uid, id->uid, id->uid) != 0) {
        return pofr_err_sys(err, POFR_EPERMISSION, "become uid %u", id->uid);
    }
    return 0;
}

/* Are these our capabilities by now? A change of uid may have taken some. */
static bool has_just(cap_t wanted)
{
    cap_t have = cap_get_proc();
    bool same = have && cap_compare(have, wanted) == 0;

    (void)cap_free(have); /* NULL or ours */
    return same;
}

int service_drop(const struct service_identity *id, struct pofr_err *err)
{
    cap_t have = cap_get_proc();
    cap_t keep = cap_init();
    int death_signal = 0; /* a change of uid clears it: pofr-agent run relies on it */
    int rc = 0;

    (void)prctl(PR_GET_PDEATHSIG, &death_signal, 0, 0, 0); /* 0 stays */
    if (!have || !keep) {
        rc = pofr_err_sys(err, POFR_ESYSTEM, "read capabilities");
    }
    if (rc == 0) {
        rc = build_caps(id, have, keep, err);
    }
    if (rc == 0 && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) {
        rc = pofr_err_sys(err, POFR_ESYSTEM, "keep capabilities");
    }
    if (rc == 0) {
        rc = change_ids(id, err);
    }
    /* nothing to give up: no call that a sandbox for programs without rights would have to allow */
    if (rc == 0 && !has_just(keep) && cap_set_proc(keep) != 0) {
        rc = pofr_err_sys(err, POFR_EPERMISSION, "give up capabilities");
    }
    (void)prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0); /* it ends with the next exec anyway */
    if (rc == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        rc = pofr_err_sys(err, POFR_ESYSTEM, "forbid new privileges");
    }
    if (rc == 0) {
        rc = hide_memory(err); /* a change of uid has touched it */
    }
    if (rc == 0 && death_signal != 0 && prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0) {
        rc = pofr_err_sys(err, POFR_ESYSTEM, "signal at the parent's death");
    }
    (void)cap_free(have); /* NULL or ours */
    (void)cap_free(keep);
    return rc;
}

bool service_has_cap(const char *name)
{
    cap_flag_value_t on = CAP_CLEAR;
    cap_value_t cap;
    cap_t have = cap_get_proc();
    bool has =
        have && cap_from_name(name, &cap) == 0 && cap_get_flag(have, cap, CAP_EFFECTIVE, &on) == 0 && on == CAP_SET;

    (void)cap_free(have); /* NULL or ours */
    return has;
}

static void notify(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    size_t len = path ? strlen(path) : 0;
    int fd;

    if (len < 2 || len >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@')) {
        return;
    }
    memcpy(to.sun_path, path, len);
    if (to.sun_path[0] == '@') {
        to.sun_path[0] = '\0'; /* the abstract name space */
    }
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        /* A manager that does not listen loses a hint; the work goes on. */
        (void)sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT, (const struct sockaddr *)&to,
                     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
        fsio_close(&fd);
    }
}

void service_ready(void)
{
    notify("READY=1");
}

void service_reloading(void)
{
    char text[80];

    (void)snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_mono_us());
    notify(text);
}

void service_stopping(void)
{
    notify("STOPPING=1");
}

void service_extend(int64_t within_us)
{
    char text[48];

    (void)snprintf(text, sizeof(text), "EXTEND_TIMEOUT_USEC=%lld", (long long)within_us);
    notify(text);
}

void service_status(const char *fmt, ...)
{
    char text[512] = "STATUS=";
    size_t len = strlen(text);
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text + len, sizeof(text) - len, fmt, ap); /* for people: it may be cut */
    va_end(ap);
    for (char *c = text; *c != '\0'; c++) {
        *c = *c == '\n' ? ' ' : *c; /* a newline would begin another assignment */
    }
    notify(text);
}

void service_watchdog(void)
{
    notify("WATCHDOG=1");
}

int64_t service_watchdog_us(void)
{
    const char *text = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    int64_t us, owner;

    if (!text || parse_i64(slice_str(text), 1, INT64_MAX, &us) != 0) {
        return 0;
    }
    if (pid && (parse_i64(slice_str(pid), 1, INT64_MAX, &owner) != 0 || owner != getpid())) {
        return 0; /* meant for our parent */
    }
    return us / 2;
}
