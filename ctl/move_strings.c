/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/move_strings.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/hashmap.h"
#include "ctl/move_rows.h"

#define KNOWN_MAX 1000000u
#define AT_ONCE   500u

struct pair {
    uint64_t id, there; /* 0: not known (yet) */
};

struct strings {
    struct db *from, *to;
    struct hashmap known; /* by id; owns the pairs */
    struct pair *wanted[AT_ONCE];
    size_t wanted_count;
};

static bool drop(void *value, void *arg)
{
    (void)arg;
    free(value);
    return false;
}

int strings_new(struct db *from, struct db *to, struct strings **out, struct pofr_err *err)
{
    struct strings *s = calloc(1, sizeof(*s));

    if (!s) {
        return pofr_err_set(err, POFR_ENOMEM, "strings");
    }
    s->from = from;
    s->to = to;
    hashmap_init(&s->known, 2 * KNOWN_MAX, 0);
    *out = s;
    return 0;
}

void strings_free(struct strings *s)
{
    if (s) {
        (void)hashmap_retain(&s->known, drop, NULL);
        hashmap_free(&s->known);
        free(s);
    }
}

/* A statement with a list of count times each, with one value or three. */
static int ask(struct db *db, const char *before, const struct db_value *values, size_t count, const char *each,
               const char *behind, struct db_result **out, struct pofr_err *err)
{
    struct buf sql = BUF_INIT(65536);
    size_t all = count * (strlen(each) > 1 ? 3 : 1);
    int code;

    buf_str(&sql, before);
    for (size_t i = 0; i < count; i++) {
        buf_printf(&sql, "%s%s", i ? "," : "", each);
    }
    buf_str(&sql, behind);
    code = buf_cstr(&sql) ? move_run(db, (const char *)sql.data, values, all, out, err) : sql.err;
    buf_free(&sql);
    return code;
}

/* The newer last_used stays: a merger counts from it when the text may go. */
static int put(struct strings *s, const struct db_result *r, struct db_result **out, struct pofr_err *err)
{
    struct db_value values[3 * AT_ONCE];
    size_t n = db_rows(r);
    int code;

    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < 3; k++) {
            values[3 * i + k] = DB_V_S(db_get(r, i, k + 1));
        }
    }
    code = ask(s->to, "INSERT INTO string (digest, text, last_used) VALUES ", values, n, "(?,?,?)",
               " ON DUPLICATE KEY UPDATE last_used = GREATEST(last_used, VALUES(last_used))", NULL, err);
    for (size_t i = 0; i < n; i++) {
        values[i] = DB_V_S(db_get(r, i, 1));
    }
    return code ? code
                : ask(s->to, "SELECT id, digest FROM string WHERE digest IN (", values, n, "?", ") ORDER BY digest",
                      out, err);
}

/* All that is wanted now. Both answers are in the order of the digests. */
static int look_up(struct strings *s, struct pofr_err *err)
{
    struct db_value values[AT_ONCE];
    struct db_result *here = NULL, *there = NULL;
    int code;

    for (size_t i = 0; i < s->wanted_count; i++) {
        values[i] = DB_V_U(s->wanted[i]->id);
    }
    code = ask(s->from, "SELECT id, digest, text, last_used FROM string WHERE id IN (", values, s->wanted_count, "?",
               ") ORDER BY digest", &here, err);
    s->wanted_count = 0;
    if (!code && db_rows(here)) {
        code = put(s, here, &there, err);
    }
    if (!code && there && db_rows(there) != db_rows(here)) {
        code = pofr_err_set(err, POFR_EDBBUSY, "texts that were put there are gone");
    }
    for (size_t i = 0; !code && i < db_rows(here); i++) {
        struct pair *p = hashmap_get(&s->known, db_get_u64(here, i, 0), NULL, NULL);

        p->there = db_get_u64(there, i, 0);
    }
    db_result_free(here);
    db_result_free(there);
    return code;
}

void strings_begin(struct strings *s)
{
    if (s->known.count > KNOWN_MAX) {
        (void)hashmap_retain(&s->known, drop, NULL);
    }
}

int strings_want(struct strings *s, uint64_t id, struct pofr_err *err)
{
    struct pair *p;

    if (id == 0 || hashmap_get(&s->known, id, NULL, NULL)) {
        return 0;
    }
    p = calloc(1, sizeof(*p));
    if (!p || hashmap_insert(&s->known, id, p)) {
        free(p);
        return pofr_err_set(err, POFR_ENOMEM, "strings");
    }
    p->id = id;
    s->wanted[s->wanted_count++] = p;
    return s->wanted_count == AT_ONCE ? look_up(s, err) : 0;
}

int strings_learn(struct strings *s, struct pofr_err *err)
{
    return s->wanted_count ? look_up(s, err) : 0;
}

uint64_t strings_id(const struct strings *s, uint64_t id)
{
    const struct pair *p = hashmap_get(&s->known, id, NULL, NULL);

    return p ? p->there : 0;
}
