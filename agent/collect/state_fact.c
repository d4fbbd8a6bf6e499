/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Facts of the host: few, slow to change, all treated alike by the tables of record.def.
 */
#include "agent/collect/state_impl.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/siphash.h"

/* Every text field of the fact entities. */
struct text_field {
    uint16_t entity;
    uint16_t offset; /* in struct record */
};

#define TEXT_T(entity, offset) { (entity), (uint16_t)(offset) },
#define TEXT_U(entity, offset)
#define TEXT_S(entity, offset)
#define TEXT_H(entity, offset)
#define TEXT_A(entity, offset)

#define USER_F(number, name, type, role)     TEXT_##type(REC_USER, offsetof(struct record, user.name))
#define GROUP_F(number, name, type, role)    TEXT_##type(REC_GROUP, offsetof(struct record, group.name))
#define NETINT_F(number, name, type, role)   TEXT_##type(REC_NETINT, offsetof(struct record, netint.name))
#define NETROUTE_F(number, name, type, role) TEXT_##type(REC_NETROUTE, offsetof(struct record, netroute.name))
#define HOSTINFO_F(number, name, type, role) TEXT_##type(REC_HOSTINFO, offsetof(struct record, hostinfo.name))
#define HWINFO_F(number, name, type, role)   TEXT_##type(REC_HWINFO, offsetof(struct record, hwinfo.name))
#define LOGIN_F(number, name, type, role)    TEXT_##type(REC_LOGIN, offsetof(struct record, login.name))

static const struct text_field texts[] = { POFR_USER_FIELDS(USER_F) POFR_GROUP_FIELDS(GROUP_F)
                                               POFR_NETINT_FIELDS(NETINT_F) POFR_NETROUTE_FIELDS(NETROUTE_F)
                                                   POFR_HOSTINFO_FIELDS(HOSTINFO_F) POFR_HWINFO_FIELDS(HWINFO_F)
                                                       POFR_LOGIN_FIELDS(LOGIN_F) };

static struct slice *text_at(struct record *r, size_t i)
{
    return (struct slice *)(void *)((char *)r + texts[i].offset);
}

static void texts_take(struct state *s, struct record *r)
{
    for (size_t i = 0; i < pofr_countof(texts); i++) {
        if (texts[i].entity == r->entity) {
            *text_at(r, i) = str_slice(strpool_get(&s->strings, *text_at(r, i)));
        }
    }
    if (s->strings.err != 0) {
        state_fail(s, s->strings.err);
    }
}

static void texts_drop(struct state *s, struct record *r)
{
    for (size_t i = 0; i < pofr_countof(texts); i++) {
        struct slice *at = text_at(r, i);

        if (texts[i].entity == r->entity && at->len > 0) {
            strpool_drop(&s->strings,
                         (struct str *)(void *)((uint8_t *)(uintptr_t)at->data - offsetof(struct str, bytes)));
        }
    }
}

static bool fact_eq(const void *value, const void *key)
{
    return rec_compare_id(&((const struct fact *)value)->r, key) == 0;
}

static uint64_t id_hash(struct state *s, const struct record *r)
{
    buf_reset(&s->scratch);
    rec_canonical(r, REC_CANONICAL_ID, &s->scratch);
    return siphash24(s->conf.string_key, buf_slice(&s->scratch));
}

void fact_free(struct state *s, struct fact *f)
{
    texts_drop(s, &f->r);
    free(f);
}

static void fact_start(struct state *s, struct fact *f, bool unseen)
{
    f->r.verb = REC_START;
    f->r.kind = REC_KIND(f->r.entity, REC_START);
    f->r.iv = (struct rec_interval){ .first_seen = s->t, .start_unseen = unseen };
    f->hash = rec_hash(&f->r, s->conf.hash_key, &s->scratch);
    state_opened(s, STATE_FACTS, f->hash);
    state_emit(s, &f->r);
}

static void fact_end(struct state *s, const struct fact *f, uint64_t source)
{
    struct record r = f->r;
    uint64_t last_seen = s->facts_seen[r.entity - REC_USER];

    r.verb = REC_END;
    r.kind = REC_KIND(r.entity, REC_END);
    r.iv.ended = s->t;
    r.iv.last_seen = last_seen < r.iv.first_seen ? r.iv.first_seen : last_seen;
    r.iv.end_source = source;
    r.iv.hash = f->hash;
    state_closed(s, STATE_FACTS, f->hash);
    state_emit(s, &r);
}

static struct fact *fact_make(struct state *s, const struct record *r)
{
    struct fact *f = calloc(1, sizeof(*f));
    int rc = f != NULL ? hashmap_insert(&s->facts, id_hash(s, r), f) : POFR_ENOMEM;

    if (rc != 0) {
        state_fail(s, rc);
        free(f);
        return NULL;
    }
    f->r = *r;
    texts_take(s, &f->r);
    return f;
}

static bool is_fact(const struct record *r)
{
    return r->entity >= REC_USER && r->entity <= REC_LOGIN;
}

void state_fact(struct state *s, const struct record *r, bool first)
{
    struct fact *f;

    if (!is_fact(r)) {
        return;
    }
    f = hashmap_get(&s->facts, id_hash(s, r), fact_eq, r);
    if (f == NULL) {
        f = fact_make(s, r);
        if (f != NULL) {
            fact_start(s, f, first);
        }
    } else if (f->look != s->t && !rec_same_attributes(&f->r, r)) {
        struct record old = f->r;

        fact_end(s, f, REC_END_CHANGE);
        f->r = *r;
        texts_take(s, &f->r);
        texts_drop(s, &old); /* the record of its end still points there: swept with the tick */
        fact_start(s, f, false);
    }
    if (f != NULL) {
        f->look = s->t;
    }
}

struct shown {
    struct state *s;
    unsigned entity;
};

static bool keep_shown(void *value, void *arg)
{
    struct shown *shown = arg;
    struct fact *f = value;

    if (f->r.entity != shown->entity || f->look == shown->s->t) {
        return true;
    }
    fact_end(shown->s, f, REC_END_GONE);
    fact_free(shown->s, f);
    return false;
}

void state_facts_end(struct state *s, unsigned entity, bool complete)
{
    struct shown shown = { s, entity };

    if (complete) {
        (void)hashmap_retain(&s->facts, keep_shown, &shown);
    }
    state_facts_held(s, entity);
}

void state_facts_held(struct state *s, unsigned entity)
{
    if (entity >= REC_USER && entity <= REC_LOGIN) {
        s->facts_seen[entity - REC_USER] = s->t;
    }
}

int fact_restore(struct state *s, const struct record *r)
{
    struct fact *f;

    if (!is_fact(r) || hashmap_get(&s->facts, id_hash(s, r), fact_eq, r) != NULL) {
        return 0;
    }
    f = fact_make(s, r);
    if (f == NULL) {
        return s->err;
    }
    f->r.verb = REC_START;
    f->r.kind = REC_KIND(r->entity, REC_START);
    f->hash = rec_hash(&f->r, s->conf.hash_key, &s->scratch);
    state_opened(s, STATE_FACTS, f->hash);
    return 0;
}
