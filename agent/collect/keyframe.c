/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A part must lie in one bundle, and its head must name its range, so each part is gathered first: the places in
 * order, with what they will take at most, and then written. What is gathered are copies of records whose texts lie in the
 * state: 500 bytes each, some hundreds at a time.
 */
#include "agent/collect/keyframe.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/err.h"

#define FIXED_BYTES 96u                   /* of a record, without its texts: more than they take */
#define PART_HARD   (REC_PAYLOAD_MAX / 2) /* a single process may make a part this large */

struct gather {
    struct state *s;
    struct pack *p;
    struct record head; /* KEYFRAME with counts, sums and key */
    struct record *list;
    size_t len, cap;
    size_t unit; /* where the process (socket) that is being gathered begins in list */
    uint64_t bytes, unit_bytes;
    uint64_t text, unit_text; /* rec_text(): many may name one large string */
    uint64_t part_bytes;
    uint32_t stamp;
    unsigned entity;
    uint64_t low, low_cookie;
    bool skip; /* the process that is being gathered is too large */
    struct keyframe_left *left;
};

static uint64_t text_bytes(struct gather *g, struct slice s)
{
    return state_string_new(s, g->stamp) ? s.len + 8 : 0;
}

static uint64_t bytes_of(struct gather *g, const struct record *r)
{
    uint64_t n = FIXED_BYTES;

    switch (r->entity) {
    case REC_PROCESS:
        return n + 160 + text_bytes(g, r->process.command) + text_bytes(g, r->process.exe) +
               text_bytes(g, r->process.arguments) + text_bytes(g, r->process.cwd) + text_bytes(g, r->process.cgroup) +
               text_bytes(g, r->process.container);
    case REC_FILE:
        return n + text_bytes(g, r->file.path) + text_bytes(g, r->file.command);
    case REC_SOCKET:
        return n + 64 + text_bytes(g, r->socket.local_address) + text_bytes(g, r->socket.remote_address) +
               text_bytes(g, r->socket.command);
    default:
        return n + 256; /* facts come all at once: no need to know */
    }
}

/* Write list[0..len) as a part that ends at (high, high_cookie); the next one begins behind that. */
static int write_part(struct gather *g, size_t len, uint64_t high, uint64_t high_cookie, bool last)
{
    struct rec_keyframe *k = &g->head.keyframe;
    int rc = pack_part(g->p, g->bytes, g->text);

    k->entity = g->entity;
    k->low = g->low;
    k->high = high;
    k->low_cookie = g->low_cookie;
    k->high_cookie = high_cookie;
    k->last = last;
    if (rc == 0) {
        rc = pack_put(g->p, &g->head);
    }
    for (size_t i = 0; i < len && rc == 0; i++) {
        rc = pack_put(g->p, &g->list[i]);
    }
    k->part++;
    return rc;
}

/* Enough for a part. */
static bool is_enough(const struct gather *g)
{
    return g->bytes >= g->part_bytes || g->text >= REC_CLOSE_TEXT / 2;
}

static void begin_unit(struct gather *g)
{
    g->unit_bytes = g->unit_text = 0;
}

static void keep_from(struct gather *g, size_t from)
{
    for (size_t i = from; i < g->len; i++) {
        g->list[i - from] = g->list[i];
    }
    g->len -= from;
    g->unit = 0;
    g->bytes = g->unit_bytes;
    g->text = g->unit_text;
    g->stamp = state_stamp(g->s);
}

static int add(struct gather *g, const struct record *r, uint64_t bytes)
{
    if (g->len == g->cap) {
        size_t cap = g->cap == 0 ? 512 : g->cap * 2;
        struct record *list = reallocarray(g->list, cap, sizeof(*list));

        if (list == NULL) {
            return POFR_ENOMEM;
        }
        g->list = list;
        g->cap = cap;
    }
    assert(g->list != NULL);
    g->list[g->len++] = *r;
    g->bytes += bytes;
    g->unit_bytes += bytes;
    bytes = rec_text(r);
    g->text += bytes;
    g->unit_text += bytes;
    return 0;
}

/* So many files of that process. */
static void leave_out(struct gather *g, uint64_t pid, uint64_t files)
{
    struct keyframe_left *l = g->left;

    if (l->processes == 0 || l->last_pid != pid) {
        l->last_pid = pid;
        l->processes++;
    }
    l->files += files;
    if (l->processes <= KEYFRAME_NAMED) {
        l->named[l->processes - 1].pid = pid;
        l->named[l->processes - 1].files += files;
    }
}

void keyframe_left_text(const struct keyframe_left *left, char *out, size_t size)
{
    uint64_t named = left->processes < KEYFRAME_NAMED ? left->processes : KEYFRAME_NAMED;
    int n = 0;

    for (uint64_t i = 0; i < named && n >= 0 && (size_t)n < size; i++) {
        n += snprintf(out + n, size - (size_t)n, "%spid %llu has %llu open files", i > 0 ? ", " : "",
                      (unsigned long long)left->named[i].pid, (unsigned long long)left->named[i].files);
    }
    if (n >= 0 && (size_t)n < size) {
        (void)snprintf(out + n, size - (size_t)n, ": %llu processes with %llu are in no part of the keyframe",
                       (unsigned long long)left->processes, (unsigned long long)left->files);
    }
}

static int on_process(void *ctx, const struct record *r)
{
    struct gather *g = ctx;
    uint64_t bytes;
    int rc = 0;

    if (r->entity == REC_PROCESS) {
        if (is_enough(g) && g->len > 0) {
            rc = write_part(g, g->len, r->process.pid - 1, 0, false);
            g->low = r->process.pid;
            begin_unit(g);
            keep_from(g, g->len);
        }
        g->unit = g->len;
        begin_unit(g);
        g->skip = false;
    }
    bytes = rc == 0 && !g->skip ? bytes_of(g, r) : 0;
    if (rc != 0) {
        return rc;
    }
    if (g->skip) {
        leave_out(g, r->file.pid, 1);
        return 0;
    }
    if (r->entity == REC_FILE && g->unit_bytes + bytes > PART_HARD) {
        uint64_t pid = r->file.pid;

        g->skip = true;
        leave_out(g, pid, g->len - g->unit); /* all but its own record, and this file */
        g->bytes -= g->unit_bytes;
        g->text -= g->unit_text;
        g->len = g->unit;
        if (pid > g->low) {
            rc = write_part(g, g->len, pid - 1, 0, false);
        }
        g->low = pid + 1;
        begin_unit(g);
        keep_from(g, g->len);
        return rc;
    }
    return add(g, r, bytes);
}

static int on_socket(void *ctx, const struct record *r)
{
    struct gather *g = ctx;
    const struct rec_socket *before = g->len > 0 ? &g->list[g->len - 1].socket : NULL;
    bool other = before != NULL && (before->netns != r->socket.netns || before->cookie != r->socket.cookie);
    int rc = 0;

    if (other && is_enough(g)) {
        rc = write_part(g, g->len, before->netns, before->cookie, false);
        g->low = before->netns;
        g->low_cookie = before->cookie + 1;
        if (before->cookie == UINT64_MAX) {
            g->low = before->netns + 1;
            g->low_cookie = 0;
        }
        begin_unit(g);
        keep_from(g, g->len);
    }
    return rc != 0 ? rc : add(g, r, bytes_of(g, r));
}

static int on_fact(void *ctx, const struct record *r)
{
    return add(ctx, r, bytes_of(ctx, r));
}

static void begin_group(struct gather *g, unsigned entity)
{
    g->entity = entity;
    g->low = g->low_cookie = 0;
    g->len = g->unit = 0;
    g->bytes = g->text = 0;
    begin_unit(g);
    g->skip = false;
    g->stamp = state_stamp(g->s);
}

int keyframe_put(struct state *s, struct pack *p, const uint8_t hash_key[16], enum rec_keyframe_reason reason,
                 uint64_t part_bytes, struct keyframe_left *out_left)
{
    struct gather g = { .s = s, .p = p, .part_bytes = part_bytes, .left = out_left, .head = { .kind = REC_KEYFRAME } };
    const struct state_sum *sums = state_sums(s);
    int rc;

    *out_left = (struct keyframe_left){ .processes = 0 };
    g.head.keyframe = (struct rec_keyframe){
        .reason = reason,
        .hash_key = slice_of(hash_key, 16),
        .process_count = sums[STATE_PROCESSES].count,
        .process_digest = sums[STATE_PROCESSES].digest,
        .file_count = sums[STATE_FILES].count,
        .file_digest = sums[STATE_FILES].digest,
        .socket_count = sums[STATE_SOCKETS].count,
        .socket_digest = sums[STATE_SOCKETS].digest,
        .fact_count = sums[STATE_FACTS].count,
        .fact_digest = sums[STATE_FACTS].digest,
    };
    begin_group(&g, REC_PROCESS);
    rc = state_each_process(s, on_process, &g);
    if (rc == 0) {
        rc = write_part(&g, g.len, UINT32_MAX, 0, false);
    }
    begin_group(&g, REC_SOCKET);
    if (rc == 0) {
        rc = state_each_socket(s, on_socket, &g);
    }
    if (rc == 0) {
        rc = write_part(&g, g.len, UINT64_MAX, UINT64_MAX, false);
    }
    begin_group(&g, REC_USER);
    if (rc == 0) {
        rc = state_each_fact(s, on_fact, &g);
    }
    if (rc == 0) {
        rc = write_part(&g, g.len, 0, 0, true);
    }
    free(g.list);
    return rc;
}
