/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/look/gate_share.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/look/proc_io.h"
#include "common/base/err.h"

void gate_share_init(struct gate_share *s)
{
    *s = (struct gate_share){ .pids = NULL };
}

void gate_share_fini(struct gate_share *s)
{
    free(s->pids);
    gate_share_init(s);
}

static int insert(struct gate_share *s, size_t at, uint32_t pid)
{
    if (s->count == s->room) {
        size_t room = s->room ? s->room * 2 : 256;
        uint32_t *bigger = realloc(s->pids, room * sizeof(*bigger));

        if (!bigger) {
            return POFR_ENOMEM;
        }
        s->pids = bigger;
        s->room = room;
    }
    memmove(s->pids + at + 1, s->pids + at, (s->count - at) * sizeof(*s->pids));
    s->pids[at] = pid;
    s->count++;
    return 0;
}

static void drop(struct gate_share *s, size_t at)
{
    s->count--;
    memmove(s->pids + at, s->pids + at + 1, (s->count - at) * sizeof(*s->pids));
}

static void join(struct gate_share *s, struct gate_entry *a, struct gate_entry *b)
{
    if (b->group == 0) {
        b->group = a->group != 0 ? a->group : ++s->groups;
    }
    a->group = b->group;
}

/*
 * Where pid belongs: *out_equal is the process that it shares with, or 0. 0, -errno or PROC_LEFT. Those that are gone
 * are dropped on the way.
 */
static int search(struct gate_share *s, uint32_t pid, struct look_thread *t, size_t *out_at, uint32_t *out_equal)
{
    size_t low = 0, high = s->count;

    *out_equal = 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order;

        if (s->pids[middle] == pid) { /* of an earlier reading, or of one that had this pid before */
            drop(s, middle);
            high--;
            continue;
        }
        order = proc_kcmp_files(t, pid, s->pids[middle]);
        if (order == -ESRCH || order == -EPERM || order == -EACCES) {
            int self = proc_kcmp_files(t, pid, pid);

            if (self != 0) {
                return self; /* it is pid that is gone, or that we may not look at */
            }
            drop(s, middle);
            high--;
            continue;
        }
        if (order < 0) {
            return order;
        }
        if (order == 0) {
            *out_equal = s->pids[middle];
            *out_at = middle;
            return 0;
        }
        if (order == 1) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    *out_at = low;
    return 0;
}

/* One that was in a group still is, if it shares with any of it. */
static int still_shares(struct gate *g, struct gate_entry *e, struct look_thread *t, bool *out_shares)
{
    *out_shares = false;
    for (size_t i = 0; i < g->count && !*out_shares; i++) {
        const struct gate_entry *other = g->entries[i];
        int order;

        if (other == e || other->group != e->group) {
            continue;
        }
        order = proc_kcmp_files(t, e->pid, other->pid);
        if (order == PROC_LEFT) {
            return order;
        }
        *out_shares = order == 0;
    }
    return 0;
}

int gate_share_check(struct gate_share *s, struct gate *g, struct gate_entry *e, struct look_thread *t)
{
    struct gate_entry *other;
    uint32_t equal;
    bool shares;
    size_t at = 0;
    int code;

    if (s->off || e->kernel_thread || e->exited) {
        return 0;
    }
    if (e->reconcile && (s->round_begun == 0 || s->round_begun == e->pid || !gate_find(g, s->round_begun))) {
        s->count = 0; /* all had their turn: begin anew */
        s->round_begun = e->pid;
    }
    code = search(s, e->pid, t, &at, &equal);
    if (code == PROC_LEFT) {
        return code;
    }
    if (code != 0) {
        s->off = code == -ENOSYS;
        return 0;
    }
    if (equal != 0 && (other = gate_find(g, equal)) != NULL) {
        join(s, e, other);
        return 0;
    }
    if (e->group != 0) {
        if ((code = still_shares(g, e, t, &shares)) != 0) {
            return code;
        }
        e->group = shares ? e->group : 0;
    }
    return insert(s, at, e->pid);
}
