/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/look/look_host.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/look/host_items.h"
#include "agent/look/nss_child.h"

#define ARENA_MAX   (16u * 1024u * 1024u)
#define IDS_DEFAULT 4096u
#define ASK_AGAIN_S 3600
#define NSS_LIMIT_S 5 /* of an answer */

/* An id that occurred and that no file may name. */
struct id {
    uint32_t id;
    bool is_group;
    bool found;
    int64_t asked_s; /* 0: not yet */
    char *text;      /* name, comment, home, shell (or members), one after the other, each with a NUL */
    uint32_t gid;
};

struct look_host {
    struct look_host_conf conf;
    struct nss_child *nss;
    struct id *ids;
    size_t ids_count;
    uint64_t digest[LOOK_FACTS];
    bool known[LOOK_FACTS];
    struct buf scratch;
};

/* --- items ------------------------------------------------------------------------------------------ */

struct record *host_items_add(struct host_items *h, enum rec_entity entity)
{
    if (h->count == h->room) {
        size_t room = h->room ? h->room * 2 : 32;
        struct record *items = room > HOST_ITEMS_MAX ? NULL : reallocarray(h->items, room, sizeof(*items));

        if (!items) {
            h->over_limit++;
            return NULL;
        }
        h->items = items;
        h->room = room;
    }
    memset(&h->items[h->count], 0, sizeof(h->items[0]));
    h->items[h->count].kind = REC_KIND(entity, REC_START);
    h->items[h->count].entity = (uint16_t)entity;
    return &h->items[h->count++];
}

struct slice host_items_text(struct host_items *h, struct slice text, size_t max)
{
    return slice_empty(text) ? SLICE_EMPTY : arena_dup(&h->arena, slice_sub(text, 0, max));
}

/* Files of procfs and sysfs tell no size: read until nothing comes. What is longer than b's maximum is cut. */
bool host_read(const char *root, const char *path, struct buf *b)
{
    char full[PATH_MAX];
    bool ok = false;
    int fd;

    buf_reset(b);
    snprintf(full, sizeof(full), "%s%s", root, path);
    fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return false;
    }
    for (;;) {
        size_t room = b->len + 4096 <= b->max ? 4096 : b->max - b->len;
        uint8_t *to = room ? buf_reserve(b, room) : NULL;
        ssize_t n = to ? read(fd, to, room) : 0;

        if (n <= 0) {
            ok = n == 0;
            break;
        }
        buf_advance(b, (size_t)n);
    }
    close(fd);
    return ok && b->len > 0;
}

static int by_id(const void *a, const void *b)
{
    return rec_compare_id(a, b);
}

/* In order and each slot once: a file may name the same user twice, and the first line counts (getpwnam(3)). */
static void put_in_order(struct host_items *h)
{
    size_t kept = 0;

    if (h->count) {
        qsort(h->items, h->count, sizeof(*h->items), by_id);
    }
    for (size_t i = 0; i < h->count; i++) {
        if (kept == 0 || rec_compare_id(&h->items[kept - 1], &h->items[i]) != 0) {
            h->items[kept++] = h->items[i];
        }
    }
    h->count = kept;
}

static uint64_t digest_of(struct look_host *l, const struct host_items *h)
{
    static const uint8_t key[16] = "pofr host facts";
    uint64_t sum = h->count;

    for (size_t i = 0; i < h->count; i++) {
        sum = sum * 31 + rec_hash(&h->items[i], key, &l->scratch);
    }
    return sum;
}

/* --- ids that no file names ------------------------------------------------------------------------- */

int look_host_new(const struct look_host_conf *conf, struct look_host **out_look, struct pofr_err *err)
{
    struct look_host *l = calloc(1, sizeof(*l));
    struct pofr_err ignored;

    if (!l) {
        return pofr_err_set(err, POFR_ENOMEM, "look at the host");
    }
    if (conf) {
        l->conf = *conf;
    }
    l->conf.root = l->conf.root ? l->conf.root : "";
    l->conf.ids_max = l->conf.ids_max ? l->conf.ids_max : IDS_DEFAULT;
    buf_init(&l->scratch, REC_BODY_MAX);
    if (nss_child_new(NSS_LIMIT_S, &l->nss, &ignored)) {
        l->nss = NULL; /* ids without a name in the files stay without one */
    }
    *out_look = l;
    return 0;
}

void look_host_free(struct look_host *l)
{
    if (!l) {
        return;
    }
    nss_child_free(l->nss);
    for (size_t i = 0; i < l->ids_count; i++) {
        free(l->ids[i].text);
    }
    free(l->ids);
    buf_free(&l->scratch);
    free(l);
}

static struct id *find_id(struct look_host *l, uint32_t id, bool is_group)
{
    size_t low = 0;
    size_t high = l->ids_count;

    while (low < high) { /* kept in order: is_group, then id */
        size_t mid = low + (high - low) / 2;
        const struct id *at = &l->ids[mid];

        if (at->is_group == is_group && at->id == id) {
            return &l->ids[mid];
        }
        if (at->is_group < is_group || (at->is_group == is_group && at->id < id)) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return NULL;
}

static void note_id(struct look_host *l, uint32_t id, bool is_group)
{
    struct id *ids;
    size_t at = l->ids_count;

    if (l->ids_count >= l->conf.ids_max || find_id(l, id, is_group)) {
        return;
    }
    ids = reallocarray(l->ids, l->ids_count + 1, sizeof(*ids));
    if (!ids) {
        return;
    }
    l->ids = ids;
    while (at > 0 && (ids[at - 1].is_group > is_group || (ids[at - 1].is_group == is_group && ids[at - 1].id > id))) {
        ids[at] = ids[at - 1];
        at--;
    }
    ids[at] = (struct id){ .id = id, .is_group = is_group };
    l->ids_count++;
}

void look_host_uid(struct look_host *l, uint32_t uid)
{
    note_id(l, uid, false);
}

void look_host_gid(struct look_host *l, uint32_t gid)
{
    note_id(l, gid, true);
}

static bool in_files(const struct host_items *h, const struct id *id)
{
    for (size_t i = 0; i < h->count; i++) {
        if (id->is_group ? h->items[i].group.gid == id->id : h->items[i].user.uid == id->id) {
            return true;
        }
    }
    return false;
}

static size_t put_text(char *to, struct slice s)
{
    size_t len = slice_find(s, 0);

    if (len) {
        memcpy(to, s.data, len);
    }
    to[len] = 0;
    return len + 1;
}

static void take_answers(struct look_host *l)
{
    struct nss_answer a;

    while (l->nss && nss_child_poll(l->nss, &a) == 1) {
        struct id *id = find_id(l, a.id, a.is_group);
        size_t at = 0;

        if (!id) {
            continue;
        }
        free(id->text);
        id->text = a.found ? malloc(a.name.len + a.comment.len + a.home.len + a.shell.len + a.members.len + 5) : NULL;
        id->found = id->text != NULL;
        id->gid = a.gid;
        if (id->text) {
            at += put_text(id->text + at, a.name);
            at += put_text(id->text + at, a.is_group ? a.members : a.comment);
            at += put_text(id->text + at, a.home);
            put_text(id->text + at, a.shell);
        }
    }
}

static struct slice next_text(const char **at)
{
    struct slice s = slice_str(*at);

    *at += s.len + 1;
    return s;
}

static void add_ids(struct look_host *l, bool is_group, struct host_items *h)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    take_answers(l);
    for (size_t i = 0; i < l->ids_count; i++) {
        struct id *id = &l->ids[i];
        const char *at = id->text;
        struct record *r;

        if (id->is_group != is_group || in_files(h, id)) {
            continue;
        }
        if (l->nss && (id->asked_s == 0 || now.tv_sec - id->asked_s > ASK_AGAIN_S) &&
            nss_child_ask(l->nss, is_group, id->id) == 0) {
            id->asked_s = now.tv_sec;
        }
        r = id->found ? host_items_add(h, is_group ? REC_GROUP : REC_USER) : NULL;
        if (r && is_group) {
            r->group.name = host_items_text(h, next_text(&at), 255);
            r->group.gid = id->id;
            r->group.members = host_items_text(h, next_text(&at), REC_STRING_MAX);
            r->group.origin = slice_str("nss");
        } else if (r) {
            r->user.name = host_items_text(h, next_text(&at), 255);
            r->user.uid = id->id;
            r->user.gid = id->gid;
            r->user.comment = host_items_text(h, next_text(&at), 4096);
            r->user.home = host_items_text(h, next_text(&at), 4096);
            r->user.shell = host_items_text(h, next_text(&at), 4096);
            r->user.origin = slice_str("nss");
        }
    }
}

/* --- a look ------------------------------------------------------------------------------------------ */

static void gather(struct look_host *l, enum look_fact what, struct host_items *h)
{
    switch (what) {
    case LOOK_USERS:
        host_gather_users(l->conf.root, h);
        add_ids(l, false, h);
        break;
    case LOOK_GROUPS:
        host_gather_groups(l->conf.root, h);
        add_ids(l, true, h);
        break;
    case LOOK_NETINT:
        host_gather_netint(h);
        break;
    case LOOK_NETROUTE:
        host_gather_netroute(h);
        break;
    case LOOK_HOSTINFO:
        host_gather_hostinfo(l->conf.root, h);
        break;
    case LOOK_HWINFO:
        host_gather_hwinfo(l->conf.root, h);
        break;
    case LOOK_LOGIN:
        host_gather_login(l->conf.root, h);
        break;
    case LOOK_FACTS:
        break;
    }
}

int look_host_run(struct look_host *l, enum look_fact what, bool force, look_fact_fn fn, void *ctx,
                  struct look_fact_result *out_result, struct pofr_err *err)
{
    struct host_items h = { 0 };
    uint64_t digest;
    int code = 0;

    memset(out_result, 0, sizeof(*out_result));
    if (what < 0 || what >= LOOK_FACTS) {
        return pofr_err_set(err, POFR_EUSAGE, "no such part of the host's facts");
    }
    arena_init(&h.arena, ARENA_MAX);
    gather(l, what, &h);
    put_in_order(&h);
    digest = digest_of(l, &h);
    if (h.arena.err == POFR_ENOMEM) {
        code = pofr_err_set(err, POFR_ENOMEM, "facts of the host");
    }
    out_result->items = (uint32_t)h.count;
    out_result->over_limit = h.over_limit;
    out_result->complete = h.reason == NULL && h.over_limit == 0 && h.arena.err == 0;
    out_result->reason = h.over_limit || h.arena.err ? "more than the limit" : h.reason;
    if (!code && (force || !l->known[what] || digest != l->digest[what])) {
        out_result->changed = true;
        l->known[what] = true;
        l->digest[what] = digest;
        for (size_t i = 0; i < h.count; i++) {
            fn(ctx, &h.items[i]);
        }
    }
    arena_free(&h.arena);
    free(h.items);
    return code;
}
