/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/look/netns_turns.h"

#include <stdlib.h>

void netns_turns_init(struct netns_turns *t, size_t max)
{
    *t = (struct netns_turns){ .max = max };
}

void netns_turns_fini(struct netns_turns *t)
{
    free(t->list);
    *t = (struct netns_turns){ .count = 0 };
}

static int by_inode(const void *a, const void *b)
{
    const struct netns_turn *x = a, *y = b;

    return (x->netns.inode > y->netns.inode) - (x->netns.inode < y->netns.inode);
}

static const struct netns_turn *find(const struct netns_turns *t, uint64_t inode)
{
    const struct netns_turn key = { .netns = { .inode = inode } };

    return t->count > 0 ? bsearch(&key, t->list, t->count, sizeof(key), by_inode) : NULL;
}

int netns_turns_update(struct netns_turns *t, const struct look_netns *now, size_t count, uint64_t own, int64_t now_us)
{
    struct netns_turn *list = calloc(count > 0 ? count : 1, sizeof(*list));
    size_t len = 0, kept = 0, fresh = 0, places;

    if (!list) {
        return POFR_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        if (now[i].inode != own && now[i].inode != 0) {
            list[len++] = (struct netns_turn){ .netns = now[i], .since_us = now_us };
        }
    }
    qsort(list, len, sizeof(*list), by_inode);
    for (size_t i = 0; i < len; i++) { /* each once, with what is known of it */
        const struct netns_turn *before = find(t, list[i].netns.inode);

        if (kept > 0 && list[kept - 1].netns.inode == list[i].netns.inode) {
            continue;
        }
        list[kept] = list[i];
        if (before) {
            list[kept].since_us = before->since_us;
            list[kept].looked_us = before->looked_us;
        }
        fresh += before == NULL;
        kept++;
    }
    places = t->max > kept - fresh ? t->max - (kept - fresh) : 0;
    len = kept;
    kept = 0;
    for (size_t i = 0; i < len; i++) {
        if (find(t, list[i].netns.inode) || places > 0) {
            places -= find(t, list[i].netns.inode) ? 0 : 1;
            list[kept++] = list[i];
        }
    }
    free(t->list);
    t->list = list;
    t->count = kept;
    t->over = (uint32_t)(len - kept);
    return 0;
}

struct netns_turn *netns_turns_next(struct netns_turns *t, int64_t since_us)
{
    struct netns_turn *best = NULL;

    for (size_t i = 0; i < t->count; i++) {
        if (t->list[i].looked_us < (best ? best->looked_us : since_us)) {
            best = &t->list[i];
        }
    }
    return best;
}

uint32_t netns_turns_waiting(const struct netns_turns *t, int64_t since_us)
{
    uint32_t waiting = 0;

    for (size_t i = 0; i < t->count; i++) {
        waiting += t->list[i].looked_us == 0 && t->list[i].since_us <= since_us;
    }
    return waiting;
}
