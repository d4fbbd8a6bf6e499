/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "workers/sums.h"

#include <string.h>

#include "workers/keyframe.h"

void sums_count(struct host_boot *b, const struct record *r, struct buf *scratch)
{
    struct group_state *s;

    if (r->entity == 0 || r->entity == REC_COVERAGE || r->verb == REC_SIGHT || !b->has_key) {
        return;
    }
    s = &b->groups[group_of(r->entity)];
    if (r->verb == REC_START) {
        s->count++;
        s->digest += rec_hash(r, b->hash_key, scratch);
    } else {
        s->count--;
        s->digest -= r->iv.hash;
    }
}

void sums_take_key(struct host_boot *b, const uint8_t key[16], bool new_boot)
{
    if (b->has_key && memcmp(b->hash_key, key, 16) == 0) {
        return;
    }
    for (int g = GROUP_PROCESS; g < GROUP_COVERAGE && !new_boot; g++) {
        b->groups[g].clean = false;
    }
    memcpy(b->hash_key, key, 16);
    b->has_key = true;
}

void sums_doubt(struct host_boot *b)
{
    for (int g = GROUP_PROCESS; g < GROUP_END; g++) {
        b->groups[g].clean = false;
        b->groups[g].parts_us = 0;
    }
}

struct claim {
    uint64_t count, digest;
};

static struct claim claim_of(const struct rec_keyframe *k, int group)
{
    switch (group) {
    case GROUP_PROCESS:
        return (struct claim){ k->process_count, k->process_digest };
    case GROUP_FILE:
        return (struct claim){ k->file_count, k->file_digest };
    case GROUP_SOCKET:
        return (struct claim){ k->socket_count, k->socket_digest };
    default:
        return (struct claim){ k->fact_count, k->fact_digest };
    }
}

static bool group_fits(const struct group_state *s, const struct rec_keyframe *k, int group)
{
    struct claim c = claim_of(k, group);

    return s->count == c.count && s->digest == c.digest;
}

/* The groups of a part: first to last. */
static void groups_of_part(const struct rec_keyframe *k, int *first, int *last)
{
    switch (k->entity) {
    case REC_PROCESS:
        *first = GROUP_PROCESS;
        *last = GROUP_FILE;
        break;
    case REC_SOCKET:
        *first = *last = GROUP_SOCKET;
        break;
    case REC_USER:
        *first = *last = GROUP_FACT;
        break;
    default: /* a group of a later version */
        *first = 1;
        *last = 0;
        break;
    }
}

bool sums_part_fits(const struct host_boot *b, const struct rec_keyframe *k, int32_t day)
{
    int first, last;

    groups_of_part(k, &first, &last);
    for (int g = first; g <= last; g++) {
        const struct group_state *s = &b->groups[g];

        if (!s->clean || s->compared_day != day || !group_fits(s, k, g)) {
            return false;
        }
    }
    return true;
}

/* Where the next part has to begin. */
static void after_part(const struct rec_keyframe *k, uint64_t *low, uint64_t *cookie)
{
    bool same_netns = k->entity == REC_SOCKET && k->high_cookie < UINT64_MAX;

    *low = same_netns ? k->high : k->high + 1;
    *cookie = same_netns ? k->high_cookie + 1 : 0;
}

/* All parts of the group's keyframe are through. */
static void group_done(struct group_state *s, const struct rec_keyframe *k, int g, uint64_t at, bool fitted,
                       int32_t day, struct sums_result *result)
{
    struct claim c = claim_of(k, g);

    s->parts_us = 0;
    s->keyframe_us = at;
    if (fitted) {
        result->equal++;
        return;
    }
    result->compared++;
    result->wrong += s->clean && !group_fits(s, k, g);
    s->count = c.count;
    s->digest = c.digest;
    s->clean = true;
    s->compared_day = day;
}

void sums_part_done(struct host_boot *b, const struct rec_keyframe *k, uint64_t at, bool fitted, int32_t day,
                    struct sums_result *result)
{
    const struct keyframe_mark m = { .entity = (unsigned)k->entity,
                                     .low = k->low,
                                     .high = k->high,
                                     .low_cookie = k->low_cookie,
                                     .high_cookie = k->high_cookie };
    int first, last;

    groups_of_part(k, &first, &last);
    for (int g = first; g <= last; g++) {
        struct group_state *s = &b->groups[g];
        bool begins = g == GROUP_FACT || (k->low == 0 && k->low_cookie == 0);

        if (!begins && (s->parts_us != at || s->parts_low != k->low || s->parts_low_cookie != k->low_cookie)) {
            s->parts_us = 0; /* a part before it is missing */
        } else if (keyframe_is_last(&m)) {
            group_done(s, k, g, at, fitted, day, result);
        } else {
            s->parts_us = at;
            after_part(k, &s->parts_low, &s->parts_low_cookie);
        }
    }
}
