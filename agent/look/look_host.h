/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * look_host.h -- one look at the host's facts: users, groups, interfaces, routes, what it is, what it is made of, who
 * is logged in.
 *
 * Each part says whether it is the same as the last time it was asked; where it is not, all of it is delivered, and what
 * is not delivered is not there any more. Slices are valid during the call of the sink function. One owner.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/record/record.h"

struct look_host;

enum look_fact {
    LOOK_USERS,    /* /etc/passwd, and other ids through nss_child.h:  rec_user */
    LOOK_GROUPS,   /* /etc/group, and other ids:                       rec_group */
    LOOK_NETINT,   /* interfaces and addresses of the own namespace:   rec_netint */
    LOOK_NETROUTE, /* its routes:                                      rec_netroute */
    LOOK_HOSTINFO, /* name, kernel, os, zone, ...:                     rec_hostinfo */
    LOOK_HWINFO,   /* cpu, memory, disks, pci, dmi, ...:               rec_hwinfo */
    LOOK_LOGIN,    /* logind's sessions, else utmp:                    rec_login */
    LOOK_FACTS
};

struct look_host_conf { /* NULL: the default */
    const char *root;   /* "": in front of every path (agent/machine.h, tests); lives as long as the look */
    uint32_t ids_max;   /* 4096: ids asked of NSS that are remembered */
};

struct look_fact_result {
    bool changed;  /* it was delivered */
    bool complete; /* changed: what was not delivered is not there any more */
    uint32_t items;
    uint32_t over_limit;
    const char *reason; /* why not complete; static text or NULL */
};

/* One of these per part; r->kind is REC_KIND(entity, REC_START), interval fields are 0. */
typedef void (*look_fact_fn)(void *ctx, const struct record *r);

POFR_MUST_USE int look_host_new(const struct look_host_conf *conf, struct look_host **out_look, struct pofr_err *err);
void look_host_free(struct look_host *l);

/* Ids that occur (of a process, a file's owner): if no file names them, NSS is asked once an hour. */
void look_host_uid(struct look_host *l, uint32_t uid);
void look_host_gid(struct look_host *l, uint32_t gid);

/* force: deliver although nothing changed (first look, keyframe after a loss). */
POFR_MUST_USE int look_host_run(struct look_host *l, enum look_fact what, bool force, look_fact_fn fn, void *ctx,
                                struct look_fact_result *out_result, struct pofr_err *err);
