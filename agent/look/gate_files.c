/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables of files of a gate entry: sorted by descriptor, replaced as a whole or a slice at a time. */
#include "agent/look/gate.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"

struct gate_table *gate_table(const struct gate_entry *e, uint32_t thread)
{
    for (struct gate_table *t = e->tables; t; t = t->next) {
        if (t->thread == thread) {
            return t;
        }
    }
    return NULL;
}

static struct gate_table **link_to(struct gate_entry *e, uint32_t thread)
{
    struct gate_table **at = &e->tables;

    while (*at && (*at)->thread != thread) {
        at = &(*at)->next;
    }
    return at;
}

void gate_drop_table(struct gate_entry *e, uint32_t thread)
{
    struct gate_table **at = link_to(e, thread);
    struct gate_table *t = *at;

    if (t) {
        *at = t->next;
        free(t);
    }
}

/* Files of t below low, and above high. */
static void count_outside(const struct gate_table *t, uint32_t low, uint32_t high, size_t *out_before,
                          size_t *out_after)
{
    size_t before = 0, upto;

    while (before < t->count && t->files[before].fd < low) {
        before++;
    }
    upto = before;
    while (upto < t->count && t->files[upto].fd <= high) {
        upto++;
    }
    *out_before = before;
    *out_after = t->count - upto;
}

int gate_set_files(struct gate_entry *e, uint32_t thread, const struct gate_file *files, size_t count, uint32_t low,
                   uint32_t high)
{
    struct gate_table **at = link_to(e, thread);
    struct gate_table *old = *at, *t = old;
    size_t before = 0, after = 0, total;

    if (old) {
        count_outside(old, low, high, &before, &after);
    }
    total = before + count + after;
    if (!old || total != old->count) {
        if (!(t = malloc(sizeof(*t) + total * sizeof(t->files[0])))) {
            gate_drop_table(e, thread);
            return POFR_ENOMEM;
        }
        *t = (struct gate_table){ .next = old ? old->next : NULL, .thread = thread };
        if (old) {
            t->from = old->from;
            t->more = old->more;
            t->stale = old->stale;
            memcpy(t->files, old->files, before * sizeof(t->files[0]));
            memcpy(t->files + before + count, old->files + old->count - after, after * sizeof(t->files[0]));
        }
    }
    if (count > 0) {
        memcpy(t->files + before, files, count * sizeof(t->files[0]));
    }
    t->count = (uint32_t)total;
    if (t != old) {
        *at = t;
        free(old);
    }
    return 0;
}
