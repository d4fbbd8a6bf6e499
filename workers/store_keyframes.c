/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keyframes in the ledger: pages of bundles away from a sequence, until a whole keyframe is in them; and the looks before. */
#include "workers/store_parts.h"

#include <stdlib.h>
#include <string.h>

#define KEYFRAME_PAGE  16
#define KEYFRAME_PAGES 64u

struct keyframe_bundle {
    uint64_t sequence, look; /* the newest one before its first tick */
    struct slice marks;
};

struct keyframe_bundles {
    struct keyframe_bundle *list;
    size_t count;
};

static int take_page(struct world *w, const struct db_result *r, struct keyframe_bundles *to)
{
    struct keyframe_bundle *list = arena_array(&w->arena, to->count + db_rows(r) + 1, sizeof(*list));

    if (!list) {
        return pofr_err_set(w->err, w->arena.err, "keyframes");
    }
    if (to->count) {
        memcpy(list, to->list, to->count * sizeof(*list));
    }
    for (size_t i = 0; i < db_rows(r); i++) {
        list[to->count++] =
            (struct keyframe_bundle){ db_get_u64(r, i, 0), db_get_u64(r, i, 2), arena_dup(&w->arena, db_get(r, i, 1)) };
    }
    to->list = list;
    return w->arena.err;
}

static int by_sequence(const void *pa, const void *pb)
{
    const struct keyframe_bundle *a = pa, *b = pb;

    return (a->sequence > b->sequence) - (a->sequence < b->sequence);
}

/* Those of from, behind what is there. */
static int read_marks(struct world *w, struct keyframe_bundles *from, struct keyframe_mark **out, size_t *out_count)
{
    int code = 0;

    if (from->count) {
        qsort(from->list, from->count, sizeof(*from->list), by_sequence);
    }
    for (size_t i = 0; i < from->count && code == 0; i++) {
        size_t first = *out_count;

        code = keyframe_marks_read(from->list[i].marks, &w->arena, out, out_count);
        keyframe_marks_settle(*out, first, *out_count, from->list[i].look);
    }
    return code ? pofr_err_set(w->err, code, "keyframes of the ledger") : 0;
}

/* world_look_before(), of host, boot, sequence and tick. */
#define LOOK_BEFORE(host, boot, sequence, at)                                                                          \
    "SELECT IF(p.to_boot_us < " at ", p.to_boot_us, p.before_boot_us) FROM bundle p WHERE p.host_id = " host           \
    " AND p.boot = " boot " AND p.sequence < " sequence " AND (p.to_boot_us < " at " OR p.before_boot_us > 0) "        \
    "ORDER BY p.sequence DESC LIMIT 1"

#define KEYFRAME_READ                                                                                                  \
    "SELECT sequence, marks, (" LOOK_BEFORE(                                                                           \
        "b.host_id", "b.boot", "b.sequence",                                                                           \
        "b.from_boot_us") ") FROM bundle b "                                                                           \
                          "WHERE host_id = ? AND boot = ? AND keyframe <> 'no' AND "

/* One side of sequence. */
static int read_side(struct world *w, const struct host_boot *b, uint64_t sequence, bool down,
                     struct keyframe_bundles *side)
{
    struct keyframe_mark *marks = NULL;
    size_t count = 0;
    int code = 0;

    for (unsigned page = 0; page < KEYFRAME_PAGES && code == 0 && !keyframe_marks_whole(marks, count); page++) {
        struct db_value v[] = { DB_V_U(b->row.host_id), DB_V_U(b->row.number), DB_V_U(sequence) };
        struct db_result *r = NULL;
        size_t before = side->count;

        code = world_run(w,
                         down ? KEYFRAME_READ "sequence < ? ORDER BY sequence DESC LIMIT 16"
                              : KEYFRAME_READ "sequence >= ? ORDER BY sequence LIMIT 16",
                         v, 3, &r);
        if (code == 0) {
            code = take_page(w, r, side);
        }
        db_result_free(r);
        if (code == 0) {
            marks = NULL;
            count = 0;
            code = read_marks(w, side, &marks, &count);
        }
        if (side->count < before + KEYFRAME_PAGE) {
            break;
        }
        sequence = down ? side->list[0].sequence : side->list[side->count - 1].sequence + 1;
    }
    return code;
}

int world_keyframes(struct world *w, const struct host_boot *b, uint64_t sequence, struct keyframe_mark **out,
                    size_t *out_count)
{
    struct keyframe_bundles before = { 0 }, after = { 0 };
    int code = world_write_ledger(w);

    *out = NULL;
    *out_count = 0;
    if (code == 0) {
        code = read_side(w, b, sequence, true, &before);
    }
    if (code == 0 && sequence <= b->tip_sequence) {
        code = read_side(w, b, sequence, false, &after);
    }
    if (code == 0) {
        code = read_marks(w, &before, out, out_count);
    }
    return code ? code : read_marks(w, &after, out, out_count);
}

int world_look_before(struct world *w, const struct host_boot *b, uint64_t sequence, uint64_t at, uint64_t *out)
{
    struct db_value v[] = { DB_V_U(at), DB_V_U(b->row.host_id), DB_V_U(b->row.number), DB_V_U(sequence), DB_V_U(at) };
    struct db_result *r = NULL;
    int code = world_write_ledger(w);

    if (code == 0) {
        code = world_run(w, LOOK_BEFORE("?", "?", "?", "?"), v, 5, &r);
    }
    *out = r && db_rows(r) ? db_get_u64(r, 0, 0) : 0;
    db_result_free(r);
    return code;
}
