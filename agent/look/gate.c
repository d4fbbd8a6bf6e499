/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/look/gate.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/err.h"

void gate_init(struct gate *g, size_t max)
{
    *g = (struct gate){ .max = max };
}

void gate_drop_tables(struct gate_entry *e)
{
    while (e->tables) {
        struct gate_table *next = e->tables->next;

        free(e->tables);
        e->tables = next;
    }
}

static void entry_free(struct gate_entry *e)
{
    gate_drop_tables(e);
    free(e);
}

void gate_fini(struct gate *g)
{
    for (size_t i = 0; i < g->count; i++) {
        entry_free(g->entries[i]);
    }
    free(g->entries);
    gate_init(g, g->max);
}

/* The clock id of a process's CPU clock, the scheduler's kind: the kernel's make_process_cpuclock(pid, CPUCLOCK_SCHED). */
static clockid_t clock_of(uint32_t pid)
{
    return (clockid_t)((~pid << 3) | 2u);
}

int gate_clock(uint32_t pid, uint64_t *out_ns)
{
    struct timespec now;

    if (clock_gettime(clock_of(pid), &now) != 0) {
        return errno == EINVAL ? POFR_ENOTFOUND : POFR_ESYSTEM;
    }
    *out_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    return 0;
}

/* Index of the first entry whose pid is not below. */
static size_t lower_bound(const struct gate *g, uint32_t pid)
{
    size_t low = 0, high = g->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (g->entries[middle]->pid < pid) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct gate_entry *gate_find(const struct gate *g, uint32_t pid)
{
    size_t at = lower_bound(g, pid);

    return at < g->count && g->entries[at]->pid == pid ? g->entries[at] : NULL;
}

static struct gate_entry *entry_new(uint32_t pid)
{
    struct gate_entry *e = calloc(1, sizeof(*e));

    if (e) {
        e->pid = pid;
    }
    return e;
}

/* How many of pids have no entry; *out_missing: how many entries have no pid. Both are ascending. */
static size_t count_new(const struct gate *g, const uint32_t *pids, size_t count, size_t *out_missing)
{
    size_t i = 0, fresh = 0, met = 0;

    for (size_t k = 0; k < count; k++) {
        while (i < g->count && g->entries[i]->pid < pids[k]) {
            i++;
        }
        if (i < g->count && g->entries[i]->pid == pids[k]) {
            met++;
        } else {
            fresh++;
        }
    }
    *out_missing = g->count - met;
    return fresh;
}

void gate_leader_ended(struct gate *g, const struct gate_entry *leader)
{
    if (!leader->known || leader->session != leader->pid) {
        return;
    }
    for (size_t i = 0; i < g->count; i++) {
        if (g->entries[i]->session == leader->pid) {
            g->entries[i]->hint_read = true;
        }
    }
}

void gate_drop_gone(struct gate *g)
{
    size_t kept = 0;

    for (size_t i = 0; i < g->count; i++) {
        if (g->entries[i]->gone) {
            gate_leader_ended(g, g->entries[i]);
        }
    }
    for (size_t i = 0; i < g->count; i++) {
        if (g->entries[i]->gone) {
            entry_free(g->entries[i]);
        } else {
            g->entries[kept++] = g->entries[i];
        }
    }
    g->count = kept;
}

/* Make room, and the new entries in order into a list of their own; then nothing can fail any more. */
static int make_new(struct gate *g, const uint32_t *pids, size_t count, size_t wanted, struct gate_entry ***out_list)
{
    struct gate_entry **list = calloc(wanted ? wanted : 1, sizeof(struct gate_entry *));
    size_t i = 0, made = 0;

    if (!list) {
        return POFR_ENOMEM;
    }
    if (g->count + wanted > g->room) {
        size_t room = g->count + wanted + 64;
        struct gate_entry **bigger = realloc(g->entries, room * sizeof(struct gate_entry *));

        if (!bigger) {
            free(list);
            return POFR_ENOMEM;
        }
        g->entries = bigger;
        g->room = room;
    }
    for (size_t k = 0; k < count && made < wanted; k++) {
        while (i < g->count && g->entries[i]->pid < pids[k]) {
            i++;
        }
        if (i < g->count && g->entries[i]->pid == pids[k]) {
            continue;
        }
        if (!(list[made] = entry_new(pids[k]))) {
            while (made > 0) {
                free(list[--made]);
            }
            free(list);
            return POFR_ENOMEM;
        }
        made++;
    }
    assert(made == wanted);
    *out_list = list;
    return 0;
}

static void mark_missing(struct gate *g, const uint32_t *pids, size_t count)
{
    size_t k = 0;

    for (size_t i = 0; i < g->count; i++) {
        while (k < count && pids[k] < g->entries[i]->pid) {
            k++;
        }
        g->entries[i]->gone = k == count || pids[k] != g->entries[i]->pid;
    }
    gate_drop_gone(g);
}

int gate_merge(struct gate *g, const uint32_t *pids, size_t count, bool whole, uint32_t *out_added, uint32_t *out_over)
{
    size_t missing, fresh, left, i, over = 0;
    struct gate_entry **list = NULL;
    int code;

    fresh = count_new(g, pids, count, &missing);
    if (whole && missing > 0) {
        mark_missing(g, pids, count);
    }
    if (g->count + fresh > g->max) {
        over = g->count + fresh - g->max;
        over = over < fresh ? over : fresh;
        fresh -= over;
    }
    if (fresh > 0) {
        if ((code = make_new(g, pids, count, fresh, &list)) != 0) {
            return code;
        }
        /* from the back, so that each entry moves once */
        left = fresh;
        i = g->count;
        g->count += fresh;
        for (size_t to = g->count; left > 0; to--) {
            if (i > 0 && g->entries[i - 1]->pid > list[left - 1]->pid) {
                g->entries[to - 1] = g->entries[--i];
            } else {
                g->entries[to - 1] = list[--left];
            }
        }
        free(list);
    }
    *out_added = (uint32_t)fresh;
    *out_over = (uint32_t)over;
    return 0;
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* Groups that moved, so that all of them are read. Few: a list. */
static void spread_groups(struct gate *g)
{
    uint32_t moved[64];
    size_t count = 0;
    bool all = false; /* more groups than the list holds: read every one that is in a group */

    for (size_t i = 0; i < g->count; i++) {
        const struct gate_entry *e = g->entries[i];

        if (e->group != 0 && (e->moved || !e->known)) {
            all = all || count == sizeof(moved) / sizeof(moved[0]);
            if (!all) {
                moved[count++] = e->group;
            }
        }
    }
    if (count == 0) {
        return;
    }
    qsort(moved, count, sizeof(moved[0]), compare_u32);
    for (size_t i = 0; i < g->count; i++) {
        struct gate_entry *e = g->entries[i];

        if (e->group != 0 && !e->moved && (all || bsearch(&e->group, moved, count, sizeof(moved[0]), compare_u32))) {
            e->group_moved = true;
        }
    }
}

void gate_read_clocks(struct gate *g)
{
    bool any_gone = false;

    for (size_t i = 0; i < g->count; i++) {
        struct gate_entry *e = g->entries[i];
        uint64_t now = 0;
        int code = gate_clock(e->pid, &now);

        e->gone = code == POFR_ENOTFOUND;
        any_gone = any_gone || e->gone;
        e->moved = code != 0 || !e->has_clock || now != e->clock_ns;
        if (code == 0 && e->has_clock && now < e->clock_ns) {
            gate_forget(e); /* another process by now */
        }
        e->now_ns = now;
        e->clock_works = code == 0;
        e->group_moved = false;
        e->reconcile = false;
    }
    if (any_gone) {
        gate_drop_gone(g);
    }
    spread_groups(g);
}

void gate_give_turns(struct gate *g, uint32_t part, int64_t reconcile_us, int64_t now_us)
{
    double due;
    size_t turns, at;

    if (g->count == 0) {
        return;
    }
    due = (double)g->count / (double)(part > 0 ? part : 100);
    if (g->reconciled_us != 0 && now_us > g->reconciled_us) {
        double apart = (double)(now_us - g->reconciled_us);
        double by_time = (double)g->count * apart / (double)reconcile_us;

        due = apart < GATE_PART_US ? due * apart / GATE_PART_US : due;
        due = by_time > due ? by_time : due;
    }
    g->reconciled_us = now_us;
    g->reconcile_due += due;
    turns = (size_t)g->reconcile_due;
    g->reconcile_due -= (double)turns;
    if (turns > g->count) {
        turns = g->count;
    }
    at = lower_bound(g, g->reconcile_pid + 1);
    for (; turns > 0; turns--, at++) {
        if (at >= g->count) {
            at = 0;
        }
        g->entries[at]->reconcile = true;
        g->reconcile_pid = g->entries[at]->pid;
    }
}

enum look_why gate_why(const struct gate_entry *e, bool full)
{
    bool more = false;

    for (const struct gate_table *t = e->tables; t; t = t->next) {
        more = more || t->more;
    }
    if (!e->known) {
        return LOOK_WHY_FIRST;
    }
    if (e->exited) { /* nothing is left to read of it; that it is another by now shows in its clock */
        return e->moved ? LOOK_WHY_CLOCK : 0;
    }
    if (full) {
        return LOOK_WHY_FULL;
    }
    if (e->hint_read || e->hint_thread) {
        return LOOK_WHY_HINT;
    }
    if (e->reconcile) {
        return LOOK_WHY_RECONCILE;
    }
    if (e->moved || more || e->threads_pending) {
        return LOOK_WHY_CLOCK;
    }
    return e->group_moved ? LOOK_WHY_GROUP : 0;
}

void gate_forget(struct gate_entry *e)
{
    gate_drop_tables(e);
    *e = (struct gate_entry){ .pid = e->pid, .now_ns = e->now_ns, .clock_works = e->clock_works, .moved = true };
}
