/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * service.h -- what a daemon does around its work: limits, rights, and telling systemd.
 *
 * Order at start: options, service_setup(), open what needs rights, service_drop(), loop, threads,
 * service_ready(). At the end: service_stopping(), then the same list backwards.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/compiler.h"

struct pofr_err;

/*
 * For every daemon, first of all: SIGPIPE ignored, umask 027, no core dumps and no ptrace by others (keys
 * and tokens are in memory), fds 0-2 open.
 */
POFR_MUST_USE int service_setup(struct pofr_err *err);

/* Try to have room for that many open files; a refusal is no error. Returns the limit that holds now. */
uint64_t service_raise_nofile(uint64_t wanted);

#define SERVICE_CAPS_MAX 16

struct service_identity {
    uid_t uid;
    gid_t gid;
    /* "cap_sys_ptrace" …, ends with NULL: permitted and effective afterwards. */
    const char *keep_caps[SERVICE_CAPS_MAX];
};

/* Uid and primary gid of a user name or number ("pofr", "998"; a number takes itself as gid where there is no such user). POFR_ENOTFOUND. */
POFR_MUST_USE int service_lookup_user(const char *name, struct service_identity *out, struct pofr_err *err);

/*
 * Become uid and gid with no other groups, keep only the listed capabilities (none inheritable, none ambient; those that
 * we lack ourselves are missing afterwards: service_has_cap()), forbid gaining any (no_new_privs).
 * Started without root: the uid must be ours already, and the rest is done. Before any thread is started.
 */
POFR_MUST_USE int service_drop(const struct service_identity *id, struct pofr_err *err);

/* Is it effective now? */
bool service_has_cap(const char *name);

/* sd_notify(3). Nothing happens, and no error, where NOTIFY_SOCKET is not set. */
void service_ready(void);
void service_reloading(void); /* then service_ready() again */
void service_stopping(void);
/* What is under way, a start or an end, may take so long from now on: longer than the unit says, and it is still well. */
void service_extend(int64_t within_us);
void service_status(const char *fmt, ...) POFR_PRINTF(1, 2);
void service_watchdog(void);
/* How often systemd wants to hear service_watchdog(), halved for safety; 0: never. */
int64_t service_watchdog_us(void);
