/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CACHE  Two generations: what is used moves to the young one; when that is full the old one goes and the young one
 *        becomes it. So a flood of new names costs at most the cache, never memory.
 * ORDER  Digests ascending in every statement, so that two workers that store the same new texts wait for each other
 *        and do not deadlock.
 */
#include "workers/strings.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/hashmap.h"
#include "common/base/sha256.h"
#include "common/base/siphash.h"
#include "common/db/db.h"
#include "common/os/fsio.h"
#include "common/os/stop_point.h"
#include "workers/bulk.h"

#define DAY_US INT64_C(86400000000)
#define CHUNK  256u /* digests of one SELECT */

struct entry {
    uint64_t hash;
    uint64_t id;
    int32_t day; /* last_used, as the table has it */
    bool wanted; /* in the list */
    uint32_t len;
    uint8_t text[];
};

struct generation {
    struct hashmap map;
    size_t bytes;
};

struct strings {
    struct db *db;
    struct bulk *insert;
    size_t max_bytes;
    uint8_t key[SIPHASH_KEY_SIZE];
    struct generation young, old;
    struct entry **wanted; /* not in the cache, or of another day */
    size_t wanted_count, wanted_room;
    struct strings_figures figures;
    int32_t today;
};

int strings_new(struct db *db, size_t max_bytes, struct strings **out)
{
    struct strings *s = calloc(1, sizeof(*s));
    int code;

    if (!s) {
        return POFR_ENOMEM;
    }
    code = fsio_random(s->key, sizeof(s->key), NULL);
    if (code) {
        free(s);
        return code;
    }
    s->db = db;
    s->max_bytes = max_bytes;
    s->today = -1;
    hashmap_init(&s->young.map, SIZE_MAX / 64, 0);
    hashmap_init(&s->old.map, SIZE_MAX / 64, 0);
    *out = s;
    return 0;
}

static void generation_free(struct generation *g)
{
    struct entry *e;
    size_t at = 0;

    while ((e = hashmap_next(&g->map, &at)) != NULL) {
        free(e);
    }
    hashmap_free(&g->map);
    g->bytes = 0;
}

void strings_free(struct strings *s)
{
    if (!s) {
        return;
    }
    bulk_free(s->insert);
    generation_free(&s->young);
    generation_free(&s->old);
    free(s->wanted);
    free(s);
}

static bool same_text(const void *value, const void *key)
{
    const struct entry *e = value;
    const struct slice *text = key;

    return slice_eq(slice_of(e->text, e->len), *text);
}

static uint64_t hash_of(const struct strings *s, struct slice text)
{
    return siphash24(s->key, text);
}

static int keep(struct strings *s, struct entry *e)
{
    int code = hashmap_insert(&s->young.map, e->hash, e);

    if (code) {
        free(e);
        return code;
    }
    s->young.bytes += sizeof(*e) + e->len;
    return 0;
}

/* In the young generation, moved there from the old one, or new without an id. */
static int find(struct strings *s, struct slice text, struct entry **out)
{
    uint64_t hash = hash_of(s, text);
    struct entry *e = hashmap_get(&s->young.map, hash, same_text, &text);

    if (!e) {
        e = hashmap_remove(&s->old.map, hash, same_text, &text);
        if (e) {
            s->old.bytes -= sizeof(*e) + e->len;
        } else {
            e = malloc(sizeof(*e) + text.len);
            if (!e) {
                return POFR_ENOMEM;
            }
            *e = (struct entry){ .hash = hash, .day = -1, .len = (uint32_t)text.len };
            if (text.len) {
                memcpy(e->text, text.data, text.len);
            }
        }
        if (keep(s, e)) {
            return POFR_ENOMEM;
        }
    }
    *out = e;
    return 0;
}

static void age(struct strings *s)
{
    if (s->young.bytes <= s->max_bytes / 2) {
        return;
    }
    generation_free(&s->old);
    s->old = s->young;
    s->young.bytes = 0;
    hashmap_init(&s->young.map, SIZE_MAX / 64, 0);
}

void strings_begin(struct strings *s, int32_t today)
{
    s->today = today;
    age(s);
}

int strings_want(struct strings *s, struct slice text)
{
    struct entry *e;
    int code = find(s, text, &e);

    if (code) {
        return code;
    }
    if (e->wanted || (e->id && e->day >= s->today)) {
        s->figures.hits++;
        return 0;
    }
    if (s->wanted_count == s->wanted_room) {
        size_t room = s->wanted_room ? s->wanted_room * 2 : 256;
        struct entry **wanted = reallocarray(s->wanted, room, sizeof(*wanted));

        if (!wanted) {
            return POFR_ENOMEM;
        }
        s->wanted = wanted;
        s->wanted_room = room;
    }
    e->wanted = true;
    s->wanted[s->wanted_count++] = e;
    return 0;
}

/* --- the table --------------------------------------------------------------------------------------------- */

struct sorted {
    uint8_t digest[SHA256_SIZE];
    struct entry *e;
    bool stored; /* with last_used of today */
};

static int by_digest(const void *a, const void *b)
{
    return memcmp(((const struct sorted *)a)->digest, ((const struct sorted *)b)->digest, SHA256_SIZE);
}

static int read_ids(struct strings *s, struct sorted *list, size_t n, struct pofr_err *err)
{
    struct buf sql = BUF_INIT(65536);
    struct db_value values[CHUNK];
    struct db_result *r = NULL;
    int code;

    buf_str(&sql, "SELECT id, digest, TO_DAYS(last_used) - TO_DAYS('1970-01-01') FROM string WHERE digest IN (?");
    for (size_t i = 1; i < CHUNK; i++) {
        buf_str(&sql, ", ?");
    }
    buf_str(&sql, ")");
    for (size_t i = 0; i < CHUNK; i++) { /* one text of one length: the last digest fills it up */
        values[i] = DB_V_S(slice_of(list[i < n ? i : n - 1].digest, SHA256_SIZE));
    }
    code = buf_cstr(&sql) ? db_run(s->db, buf_cstr(&sql), values, CHUNK, &r, err) : POFR_ENOMEM;
    for (size_t row = 0; code == 0 && row < db_rows(r); row++) {
        struct sorted key;
        struct sorted *found;
        struct slice digest = db_get(r, row, 1);

        if (digest.len != SHA256_SIZE) {
            continue;
        }
        memcpy(key.digest, digest.data, SHA256_SIZE);
        found = bsearch(&key, list, n, sizeof(*list), by_digest);
        if (found) {
            found->e->id = db_get_u64(r, row, 0);
            found->e->day = (int32_t)db_get_u64(r, row, 2);
            found->stored = found->e->day >= s->today;
        }
    }
    db_result_free(r);
    buf_free(&sql);
    return code;
}

static int read_all_ids(struct strings *s, struct sorted *list, size_t n, bool all, struct pofr_err *err)
{
    int code = 0;

    for (size_t i = 0; i < n && code == 0; i += CHUNK) {
        size_t end = i + CHUNK < n ? i + CHUNK : n;
        bool needed = all;

        for (size_t j = i; j < end; j++) {
            needed |= !list[j].stored;
        }
        code = needed ? read_ids(s, &list[i], end - i, err) : 0;
    }
    return code;
}

/* New texts, and a new day for those of an older one. A worker that stores the same ones at the same time harms nobody. */
static int write_new(struct strings *s, struct sorted *list, size_t n, struct pofr_err *err)
{
    static const enum bulk_type types[] = { BULK_BYTES, BULK_BYTES, BULK_TIME };
    int code = 0;

    if (!s->insert) {
        code = bulk_new(s->db,
                        "INSERT INTO string (digest, text, last_used) VALUES (?, ?, ?) "
                        "ON DUPLICATE KEY UPDATE last_used = GREATEST(last_used, VALUES(last_used))",
                        types, pofr_countof(types), &s->insert, err);
    }
    for (size_t i = 0; i < n && code == 0; i++) {
        if (list[i].stored) {
            continue;
        }
        bulk_bytes(s->insert, 0, slice_of(list[i].digest, SHA256_SIZE));
        bulk_bytes(s->insert, 1, slice_of(list[i].e->text, list[i].e->len));
        bulk_time(s->insert, 2, (int64_t)s->today * DAY_US);
        bulk_next(s->insert);
        s->figures.stored++;
        if (bulk_full(s->insert)) {
            code = bulk_run(s->insert, NULL, err);
        }
    }
    return code ? code : s->insert ? bulk_run(s->insert, NULL, err) : 0;
}

static int store(struct strings *s, struct sorted *list, size_t n, struct pofr_err *err)
{
    bool missing = false;
    int code = read_all_ids(s, list, n, true, err);

    for (size_t i = 0; i < n && code == 0; i++) {
        missing |= !list[i].stored;
    }
    if (code || !missing) {
        return code;
    }
    code = db_run(s->db, "START TRANSACTION", NULL, 0, NULL, err);
    if (code == 0) {
        code = write_new(s, list, n, err);
    }
    if (code == 0) {
        code = db_run(s->db, "COMMIT", NULL, 0, NULL, err);
    } else if (db_run(s->db, "ROLLBACK", NULL, 0, NULL, NULL) != 0) {
        /* the connection is gone, and the transaction with it: the first error says so */
    }
    if (code == 0) {
        STOP_POINT("worker.after_strings");
        code = read_all_ids(s, list, n, false, err);
    }
    return code;
}

/* Nothing without an id may stay in the cache. */
static bool has_id(void *value, void *arg)
{
    struct entry *e = value;
    struct strings *s = arg;

    e->wanted = false;
    if (e->id) {
        return true;
    }
    s->young.bytes -= sizeof(*e) + e->len;
    free(e);
    return false;
}

int strings_resolve(struct strings *s, struct pofr_err *err)
{
    struct sorted *list;
    size_t n = s->wanted_count;
    int code = 0;

    s->wanted_count = 0;
    if (n == 0) {
        return 0;
    }
    list = calloc(n, sizeof(*list));
    if (!list) {
        code = pofr_err_set(err, POFR_ENOMEM, "texts");
    }
    for (size_t i = 0; i < n && code == 0; i++) {
        list[i].e = s->wanted[i];
        code = sha256(slice_of(list[i].e->text, list[i].e->len), list[i].digest);
    }
    if (code == 0) {
        qsort(list, n, sizeof(*list), by_digest);
        code = store(s, list, n, err);
    }
    for (size_t i = 0; i < n; i++) {
        s->wanted[i]->wanted = false;
        if (code == 0 && !list[i].e->id) {
            code = pofr_err_set(err, POFR_EDBBUSY, "a text was stored and is not there");
        }
    }
    if (code) {
        (void)hashmap_retain(&s->young.map, has_id, s);
    }
    free(list);
    return code;
}

uint64_t strings_id(const struct strings *s, struct slice text)
{
    const struct entry *e = hashmap_get(&s->young.map, hash_of(s, text), same_text, &text);

    return e ? e->id : 0;
}

void strings_figures(const struct strings *s, struct strings_figures *out)
{
    *out = s->figures;
    out->cached_bytes = s->young.bytes + s->old.bytes;
}
