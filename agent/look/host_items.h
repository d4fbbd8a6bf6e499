/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * host_items.h -- the items of one part of a look at the host: gathered, put in order, compared with the last time.
 * Private to the look.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "agent/look/look_host.h"
#include "common/base/arena.h"
#include "common/base/buf.h"

#define HOST_ITEMS_MAX 16384u
#define HOST_FILE_MAX  (8u * 1024u * 1024u)

struct host_items {
    struct arena arena; /* their bytes */
    struct record *items;
    size_t count, room;
    uint32_t over_limit;
    const char *reason; /* why not complete; NULL: it is */
};

/* A cleared record of an entity, to be filled in; NULL: one too many, or no memory (counted in over_limit). */
struct record *host_items_add(struct host_items *h, enum rec_entity entity);
/* A copy that lives as long as the items, at most max bytes of it. */
struct slice host_items_text(struct host_items *h, struct slice text, size_t max);

/* Read a small file under root into b, which is reset first. False: not there, or not readable. */
bool host_read(const char *root, const char *path, struct buf *b);

/* What gathers each part. root is in front of every path. */
void host_gather_users(const char *root, struct host_items *h);
void host_gather_groups(const char *root, struct host_items *h);
void host_gather_netint(struct host_items *h);
void host_gather_netroute(struct host_items *h);
void host_gather_hostinfo(const char *root, struct host_items *h);
void host_gather_hwinfo(const char *root, struct host_items *h);
void host_gather_login(const char *root, struct host_items *h);

/* Pure parsers of one file's text, for the fuzz target. */
void host_parse_passwd(struct slice text, struct host_items *h);
void host_parse_group(struct slice text, struct host_items *h);
void host_parse_session(struct slice text, struct slice id, struct host_items *h);
void host_parse_utmp(struct slice bytes, struct host_items *h);
