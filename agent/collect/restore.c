/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/collect/restore.h"

#include <stdlib.h>
#include <string.h>

#include "agent/collect/draft.h"
#include "common/base/arena.h"
#include "common/evidence/bundle.h"

#define MEMORY      (64u << 20)
#define BUNDLES_MAX 262144u /* looked through for a keyframe: more than a day of them */

struct seen { /* of one bundle */
    uint64_t sequence, keyframe;
    bool this_boot;
};

/* What the bundles of one segment say, appended to list. */
static int survey(struct segments *s, const struct segment *seg, const struct spool_head *head, struct seen **list,
                  size_t *len, struct buf *block)
{
    uint64_t at = 0, end;
    struct spool_entry e;
    struct bundle_view v;
    size_t room = *len;

    while (*len < BUNDLES_MAX && segments_read_at(s, seg->first, at, &e, block, &end, NULL) == 0 &&
           e.sequence <= seg->last) {
        if (*len >= room) {
            struct seen *more = reallocarray(*list, room = room + 1024, sizeof(*more));

            if (more == NULL) {
                return POFR_ENOMEM;
            }
            *list = more;
        }
        if (bundle_open(buf_slice(block), &v, NULL) != 0) {
            return POFR_ENOTFOUND;
        }
        (*list)[(*len)++] = (struct seen){ e.sequence, v.statement.keyframe, uuid_eq(&v.statement.boot, &head->boot) };
        at = end;
    }
    return 0;
}

/* Index in list (ascending) where the last whole keyframe begins; len: there is none. */
static size_t keyframe_begin(const struct seen *list, size_t len)
{
    size_t at = len;

    while (at > 0 && list[at - 1].this_boot && list[at - 1].keyframe != 2) {
        at--;
    }
    if (at == 0 || !list[at - 1].this_boot) {
        return len;
    }
    at--;
    while (at > 0 && list[at - 1].this_boot && list[at - 1].keyframe == 1) {
        at--;
    }
    return at;
}

static int apply(struct snapshot *snap, const struct bundle_view *v, uint8_t out_key[16])
{
    struct rec_decoder d;
    struct slice payload;
    struct record r;
    struct arena arena;
    int rc;

    arena_init(&arena, MEMORY);
    rc = bundle_payload(v, &arena, &payload);
    if (rc == 0) {
        rec_decoder_init(&d, payload, &arena);
    }
    while (rc == 0 && (rc = rec_next(&d, &r)) == 1) {
        if (r.kind == REC_KEYFRAME && r.keyframe.hash_key.len == 16) {
            memcpy(out_key, r.keyframe.hash_key.data, 16);
        }
        rc = snapshot_apply(snap, &r);
    }
    arena_free(&arena);
    return rc;
}

/* The first sequence to apply; 0: none. */
static int find_start(struct segments *s, const struct spool_head *head, uint64_t *out_first)
{
    struct buf block = BUF_INIT(BUNDLE_MAX);
    struct seen *list = NULL;
    size_t len = 0;
    int rc = 0;

    *out_first = 0;
    /* Segment by segment, backwards; a keyframe that begins in the one before needs that one too. */
    for (size_t i = s->len; i > 0 && rc == 0 && *out_first == 0; i--) {
        struct seen *part = NULL;
        size_t part_len = 0, begin;

        if (s->list[i - 1].last < s->list[i - 1].first) {
            continue;
        }
        rc = survey(s, &s->list[i - 1], head, &part, &part_len, &block);
        if (rc == 0 && part_len + len > 0) {
            struct seen *all = reallocarray(part, part_len + len, sizeof(*all));

            if (all == NULL) {
                free(part);
                rc = POFR_ENOMEM;
                break;
            }
            if (len > 0) {
                memcpy(all + part_len, list, len * sizeof(*all));
            }
            free(list);
            list = all;
            len += part_len;
            begin = keyframe_begin(list, len);
            if (begin < len && (begin > 0 || i == 1 || list[begin].sequence == 1)) {
                *out_first = list[begin].sequence;
            } else if (len > 0 && (!list[0].this_boot || len >= BUNDLES_MAX)) {
                break;
            }
        } else {
            free(part);
        }
    }
    free(list);
    buf_free(&block);
    return rc;
}

int restore_snapshot(struct segments *s, const struct spool_head *head, struct snapshot **out_snapshot,
                     uint8_t out_key[16], struct pofr_err *err)
{
    struct buf block = BUF_INIT(BUNDLE_MAX);
    struct snapshot *snap = NULL;
    struct bundle_view v;
    struct spool_entry e;
    uint64_t first = 0;
    int rc = find_start(s, head, &first);

    if (rc == 0 && first == 0) {
        rc = POFR_ENOTFOUND;
    }
    if (rc == 0) {
        rc = snapshot_new(&snap);
    }
    for (uint64_t sequence = first; rc == 0 && sequence <= head->sequence; sequence++) {
        rc = segments_read(s, sequence, &e, &block, err);
        if (rc == 0) {
            rc = bundle_open(buf_slice(&block), &v, err);
        }
        if (rc == 0) {
            rc = apply(snap, &v, out_key);
        }
    }
    if (rc == 0) {
        rc = snapshot_end_tick(snap);
    }
    if (rc == 0 && !snapshot_complete(snap)) {
        rc = POFR_ENOTFOUND;
    }
    buf_free(&block);
    if (rc != 0) {
        snapshot_free(snap);
        return pofr_err_set(err, rc == POFR_ENOMEM ? rc : POFR_ENOTFOUND, "last state: %s", pofr_err_text(rc));
    }
    *out_snapshot = snap;
    return 0;
}
