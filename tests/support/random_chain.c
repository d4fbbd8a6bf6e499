/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/random_chain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/sha256.h"
#include "tests/support/check.h"
#include "tests/support/random_statement.h"
#include "tests/support/random_world.h"
#include "tests/support/random_world_dress.h"

struct maker {
    struct random_chain *chain;
    size_t room;
    struct random random;
    struct random strips; /* apart, so that the host's life is the same */
    bool full;
    struct random_world *world;
    struct rec_encoder *encoder;
    struct statement next; /* sequence and previous are those of the last one */
    uint64_t totals[STATEMENT_KINDS];
    struct record tick;
    uint64_t salt; /* so that two histories do not make the same statement */
};

static void seal(struct maker *m)
{
    struct statement *s = &m->next;
    struct chain_bundle *b = calloc(1, sizeof(*b));
    struct buf text = BUF_INIT(STATEMENT_MAX);
    struct slice payload;

    assert_non_null(b);
    arena_init(&b->arena, SIZE_MAX / 2);
    if (rec_encoder_bytes(m->encoder) == 0) {
        free(b);
        return;
    }
    s->sequence++;
    s->origin = s->sequence == 1 ? STATEMENT_FIRST : STATEMENT_CONTINUES;
    statement_count_records(s, m->encoder, m->totals);
    payload = arena_dup(&b->arena, rec_encoder_payload(m->encoder));
    s->payload_size = s->payload_bytes = payload.len;
    memcpy(s->payload_digest, &m->salt, sizeof(m->salt));
    assert_int_equal(statement_format(s, &text), 0);
    b->view.statement = *s;
    assert_int_equal(sha256(buf_slice(&text), b->view.statement_digest), 0);
    assert_int_equal(decode_payload(payload, s, 1000000, &b->arena, &b->decoded, NULL), 0);
    memcpy(s->previous, b->view.statement_digest, 32);
    buf_free(&text);
    if (m->chain->count == m->room) {
        m->room = m->room ? m->room * 2 : 64;
        m->chain->bundles = reallocarray(m->chain->bundles, m->room, sizeof(struct chain_bundle *));
        assert_non_null(m->chain->bundles);
    }
    m->chain->bundles[m->chain->count++] = b;
    rec_encoder_reset(m->encoder);
    statement_sealed(s);
}

static void put_tick(struct maker *m, const struct record *r)
{
    statement_tick(&m->next, &r->tick, rec_encoder_bytes(m->encoder) == 0);
    m->tick = *r;
    assert_int_equal(rec_put(m->encoder, r), 0);
}

static int take(const struct record *r, void *ctx)
{
    struct maker *m = ctx;
    struct record stripped;

    if (r->kind == REC_TICK) {
        put_tick(m, r);
        return 0;
    }
    if (statement_is_full(&m->random, r)) {
        seal(m);
        put_tick(m, &m->tick);
    }
    if (r->kind == REC_KEYFRAME) {
        m->next.keyframe = r->keyframe.last ? 2 : 1;
    }
    if (m->full && random_world_strips(&m->strips, r, &stripped)) {
        r = &stripped;
    }
    assert_int_equal(rec_put(m->encoder, r), 0);
    return 0;
}

/* What happens to the host between two bundles. */
static void fate(struct maker *m, unsigned fates)
{
    uint64_t dice = random_below(&m->random, 100);

    if (dice < 6 && (fates & CHAIN_RESTARTS)) {
        assert_int_equal(random_world_stop(m->world, take, m), 0);
        seal(m);
        random_world_start(m->world, true);
    } else if (dice < 12 && (fates & CHAIN_CRASHES)) {
        seal(m);
        random_world_start(m->world, !(fates & CHAIN_LOSES_STATE) || random_chance(&m->random, 50));
    } else if (dice < 15 && (fates & CHAIN_REBOOTS)) {
        seal(m);
        random_world_reboot(m->world);
        random_bytes(&m->random, m->next.boot.b, sizeof(m->next.boot.b));
    } else {
        seal(m);
        return;
    }
    random_bytes(&m->random, m->next.run, sizeof(m->next.run));
}

static void live(struct maker *m, size_t bundles, unsigned fates)
{
    while (m->chain->count < bundles) {
        uint64_t ticks = 1 + random_below(&m->random, 8);

        for (; ticks > 0; ticks--) {
            bool keyframe = random_chance(&m->random, 6);

            assert_int_equal(random_world_tick(m->world, keyframe, (unsigned)random_below(&m->random, 5), take, m), 0);
        }
        fate(m, fates);
    }
}

void random_chain_make(struct random_chain *c, uint64_t seed, size_t bundles, unsigned size, unsigned fates)
{
    struct maker *m = calloc(1, sizeof(*m));

    memset(c, 0, sizeof(*c));
    assert_non_null(m);
    m->world = calloc(1, sizeof(*m->world));
    assert_non_null(m->world);
    m->chain = c;
    m->random.state = ~seed;
    m->strips.state = seed + 1;
    m->full = (fates & CHAIN_FULL) != 0;
    m->next.version = 1;
    (void)snprintf(m->next.recorder, sizeof(m->next.recorder), "random_chain/1");
    random_bytes(&m->random, m->next.host.b, sizeof(m->next.host.b));
    random_bytes(&m->random, m->next.boot.b, sizeof(m->next.boot.b));
    random_bytes(&m->random, m->next.run, sizeof(m->next.run));
    assert_int_equal(rec_encoder_new(&m->encoder), 0);
    random_world_init(m->world, seed, size);
    if (fates & CHAIN_FORKS) {
        struct random_world *copy = malloc(sizeof(*copy));
        struct statement then;
        uint64_t totals[STATEMENT_KINDS];

        assert_non_null(copy);
        live(m, bundles / 3, fates & ~(unsigned)CHAIN_FORKS);
        *copy = *m->world;
        then = m->next;
        memcpy(totals, m->totals, sizeof(totals));
        live(m, bundles * 2 / 3, fates & ~(unsigned)CHAIN_FORKS);
        seal(m);
        *m->world = *copy;
        m->next = then;
        memcpy(m->totals, totals, sizeof(totals));
        m->salt = 1;
        m->world->random.state ^= 1;
        random_world_start(m->world, true);
        random_bytes(&m->random, m->next.run, sizeof(m->next.run));
        free(copy);
    }
    live(m, bundles, fates & ~(unsigned)CHAIN_FORKS);
    rec_encoder_free(m->encoder);
    free(m->world);
    free(m);
}

void random_chain_free(struct random_chain *c)
{
    for (size_t i = 0; i < c->count; i++) {
        arena_free(&c->bundles[i]->arena);
        free(c->bundles[i]);
    }
    free(c->bundles);
    memset(c, 0, sizeof(*c));
}

static void shuffle(struct random *random, size_t *order, size_t n, size_t reach)
{
    for (size_t i = n; i > 1; i--) {
        size_t far = i < reach ? i : reach;
        size_t j = i - 1 - random_below(random, far);
        size_t t = order[i - 1];

        order[i - 1] = order[j];
        order[j] = t;
    }
}

void chain_order_make(struct chain_order *o, const struct random_chain *c, uint64_t seed, unsigned drop, size_t reach)
{
    struct random random = { seed * 7 + 1 };

    o->list = calloc(c->count, sizeof(*o->list));
    assert_non_null(o->list);
    o->count = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (!random_chance(&random, drop)) {
            o->list[o->count++] = i;
        }
    }
    shuffle(&random, o->list, o->count, reach);
}

static int by_index(const void *pa, const void *pb)
{
    const size_t *a = pa, *b = pb;

    return (*a > *b) - (*a < *b);
}

void chain_order_sort(struct chain_order *o)
{
    qsort(o->list, o->count, sizeof(*o->list), by_index);
}

void chain_order_free(struct chain_order *o)
{
    free(o->list);
}
