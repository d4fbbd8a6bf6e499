/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One heap block per open thing: its record in packed form (record_pack.h), about 100 bytes for a file, in
 * a hash map by a keyed hash of its ID fields. Whatever needs fields unpacks one record to the stack.
 *
 * A keyframe part has a number of its own ("mark"); SIGHT gives it to what it names. When the part is over,
 * what lies in its range with another mark is gone. Nothing else is needed to heal.
 */
#include "common/record/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/hashmap.h"
#include "common/base/siphash.h"
#include "common/base/uuid.h"
#include "common/record/record_order.h"
#include "common/record/record_pack.h"

#define ENTITIES_MAX 128
#define BROKEN       UINT64_MAX /* next_part: a part of this keyframe is missing */

struct node {
    uint32_t mark;
    uint32_t len;
    uint8_t bytes[];
};

struct snapshot {
    struct hashmap map; /* struct node */
    struct uuid key;    /* of the map's hash */
    struct buf scratch;
    size_t counts[ENTITIES_MAX];
    bool strict, complete;
    bool part_open, part_last;
    struct rec_order part;         /* its range */
    uint32_t mark;                 /* of the newest part */
    uint64_t next_part;            /* that would go on with the keyframe */
    uint64_t tick_us, keyframe_us; /* boot clock: of this tick; of the keyframe's tick */
};

int snapshot_new(struct snapshot **out_snapshot)
{
    struct snapshot *s = calloc(1, sizeof(*s));
    int rc;

    if (!s) {
        return POFR_ENOMEM;
    }
    rc = uuid_random(&s->key);
    if (rc != 0) {
        free(s);
        return rc;
    }
    hashmap_init(&s->map, SNAPSHOT_MAX, 0);
    buf_init(&s->scratch, 2 * REC_BODY_MAX);
    s->next_part = BROKEN;
    *out_snapshot = s;
    return 0;
}

void snapshot_free(struct snapshot *s)
{
    size_t at = 0;
    void *node;

    if (!s) {
        return;
    }
    while ((node = hashmap_next(&s->map, &at)) != NULL) {
        free(node);
    }
    hashmap_free(&s->map);
    buf_free(&s->scratch);
    free(s);
}

void snapshot_strict(struct snapshot *s, bool on)
{
    s->strict = on;
}

bool snapshot_complete(const struct snapshot *s)
{
    return s->complete;
}

size_t snapshot_count(const struct snapshot *s, unsigned entity)
{
    return entity < ENTITIES_MAX ? s->counts[entity] : 0;
}

/* --- nodes ---------------------------------------------------------------------------------------- */

static void unpack(const struct node *n, struct record *out)
{
    rec_unpack(slice_of(n->bytes, n->len), out);
}

static bool is_slot(const void *value, const void *key)
{
    struct record open;

    unpack(value, &open);
    return rec_compare_id(&open, key) == 0;
}

static bool is_same(const void *value, const void *key)
{
    return value == key;
}

static void drop(struct snapshot *s, uint64_t hash, struct node *n, unsigned entity)
{
    free(hashmap_remove(&s->map, hash, is_same, n));
    s->counts[entity]--;
}

static int hash_slot(struct snapshot *s, const struct record *r, uint64_t *out_hash)
{
    buf_reset(&s->scratch);
    rec_canonical(r, REC_CANONICAL_ID, &s->scratch);
    *out_hash = siphash24(s->key.b, buf_slice(&s->scratch));
    return s->scratch.err;
}

/* Put r in the place of old (or NULL). */
static int put(struct snapshot *s, uint64_t hash, struct node *old, const struct record *r)
{
    struct node *n;
    int rc;

    buf_reset(&s->scratch);
    rec_pack(r, &s->scratch);
    if (s->scratch.err != 0) {
        return s->scratch.err;
    }
    if (old && slice_eq(slice_of(old->bytes, old->len), buf_slice(&s->scratch))) {
        old->mark = s->mark;
        return 0;
    }
    n = malloc(sizeof(*n) + s->scratch.len);
    if (!n) {
        return POFR_ENOMEM;
    }
    n->mark = s->mark;
    n->len = (uint32_t)s->scratch.len;
    memcpy(n->bytes, s->scratch.data, s->scratch.len);
    rc = hashmap_insert(&s->map, hash, n); /* first, because it can fail */
    if (rc != 0) {
        free(n);
        return rc;
    }
    s->counts[r->kind / 4]++;
    if (old) {
        drop(s, hash, old, r->kind / 4);
    }
    return 0;
}

/* --- keyframe parts ------------------------------------------------------------------------------- */

static bool was_sighted(void *value, void *arg)
{
    struct snapshot *s = arg;
    struct node *n = value;
    struct record open;

    unpack(n, &open);
    if (n->mark == s->mark || !rec_part_holds(&s->part, open.entity, &open)) {
        return true;
    }
    s->counts[open.entity]--;
    free(n);
    return false;
}

static void close_part(struct snapshot *s)
{
    if (!s->part_open) {
        return;
    }
    (void)hashmap_retain(&s->map, was_sighted, s); /* how many went is of no interest */
    s->part_open = false;
    if (s->part_last && s->next_part != BROKEN) {
        s->complete = true;
    }
}

static void open_part(struct snapshot *s, const struct rec_keyframe *k)
{
    if (k->part == 0) {
        s->next_part = 0;
        s->keyframe_us = s->tick_us;
    }
    if (s->next_part != BROKEN) {
        s->next_part = k->part == s->next_part && s->keyframe_us == s->tick_us ? k->part + 1 : BROKEN;
    }
    s->part = rec_part(k);
    s->part_open = true;
    s->part_last = k->last != 0;
    s->mark++;
}

int snapshot_end_tick(struct snapshot *s)
{
    close_part(s);
    return 0;
}

/* --- apply ---------------------------------------------------------------------------------------- */

static int apply_end(struct snapshot *s, uint64_t hash, struct node *old, const struct record *r)
{
    struct record open;

    if (old) {
        unpack(old, &open);
    }
    if (s->strict && (!old || open.iv.first_seen != r->iv.first_seen)) {
        return POFR_EFORMAT;
    }
    if (old && open.iv.first_seen <= r->iv.first_seen) {
        drop(s, hash, old, r->kind / 4);
    }
    return 0;
}

static int apply_entity(struct snapshot *s, const struct record *r)
{
    struct node *old;
    uint64_t hash;
    int rc = hash_slot(s, r, &hash);

    if (rc != 0) {
        return rc;
    }
    old = hashmap_get(&s->map, hash, is_slot, r);
    if (r->kind % 4 == REC_END) {
        return apply_end(s, hash, old, r);
    }
    if (s->strict && r->kind % 4 == REC_START && old && r->iv.start_unseen == 0) {
        return POFR_EFORMAT;
    }
    return put(s, hash, old, r);
}

static bool is_no_coverage(void *value, void *arg)
{
    struct record open;

    (void)arg;
    unpack(value, &open);
    if (open.entity != REC_COVERAGE) {
        return true;
    }
    free(value);
    return false;
}

/* What the run before it left open of its coverage, because it crashed, is over. */
static void begin_run(struct snapshot *s)
{
    if (s->counts[REC_COVERAGE] > 0) {
        s->counts[REC_COVERAGE] -= hashmap_retain(&s->map, is_no_coverage, NULL);
    }
}

int snapshot_apply(struct snapshot *s, const struct record *r)
{
    if (rec_kind_is_entity(r->kind)) {
        return apply_entity(s, r);
    }
    if (r->kind == REC_TICK) {
        close_part(s);
        if (r->tick.number == 0 && r->tick.boot_us != s->tick_us) {
            begin_run(s);
        }
        s->tick_us = r->tick.boot_us;
    } else if (r->kind == REC_KEYFRAME) {
        close_part(s);
        open_part(s, &r->keyframe);
    }
    return 0;
}

/* --- all of it ------------------------------------------------------------------------------------ */

uint64_t snapshot_digest(const struct snapshot *s, unsigned entity, const uint8_t key[16])
{
    struct buf scratch = BUF_INIT(2 * REC_BODY_MAX);
    uint64_t sum = 0;
    size_t at = 0;
    const struct node *n;

    while ((n = hashmap_next(&s->map, &at)) != NULL) {
        struct record open;

        unpack(n, &open);
        if (open.entity == entity) {
            sum += rec_hash(&open, key, &scratch);
        }
    }
    buf_free(&scratch);
    return sum;
}

struct place { /* in the order of rec_compare_id(): entity and first ID field tell most apart without unpacking */
    const struct node *node;
    uint64_t first; /* 0 where it is a text */
    unsigned entity;
};

static struct place place_of(const struct node *n)
{
    struct place p = { .node = n };
    struct record open;

    unpack(n, &open);
    p.entity = open.entity;
    if (open.entity == REC_PROCESS) {
        p.first = open.process.pid;
    } else if (open.entity == REC_FILE) {
        p.first = open.file.pid;
    } else if (open.entity == REC_SOCKET) {
        p.first = open.socket.netns;
    }
    return p;
}

static int compare_places(const void *a, const void *b)
{
    const struct place *p = a, *q = b;
    struct record x, y;

    if (p->entity != q->entity) {
        return p->entity < q->entity ? -1 : 1;
    }
    if (p->first != q->first) {
        return p->first < q->first ? -1 : 1;
    }
    unpack(p->node, &x);
    unpack(q->node, &y);
    return rec_compare_id(&x, &y);
}

int snapshot_each(const struct snapshot *s, unsigned entity, snapshot_each_fn fn, void *ctx)
{
    struct place *places = calloc(s->map.count + 1, sizeof(*places));
    const struct node *n;
    size_t count = 0, at = 0;
    int rc = 0;

    if (!places) {
        return POFR_ENOMEM;
    }
    while ((n = hashmap_next(&s->map, &at)) != NULL) {
        places[count] = place_of(n);
        count += entity == 0 || places[count].entity == entity;
    }
    qsort(places, count, sizeof(*places), compare_places);
    for (size_t i = 0; i < count && rc == 0; i++) {
        struct record open;

        unpack(places[i].node, &open);
        rc = fn(&open, ctx);
    }
    free(places);
    return rc;
}

static int append_one(const struct record *open, void *ctx)
{
    struct buf *out = ctx;

    rec_canonical(open, REC_CANONICAL_ID | REC_CANONICAL_AT | REC_CANONICAL_FX | REC_CANONICAL_FIRST_SEEN, out);
    return out->err;
}

int snapshot_bytes(const struct snapshot *s, struct buf *out)
{
    return snapshot_each(s, 0, append_one, out);
}
