/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/check.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "agent/collect/writer.h"
#include "spool_rig.h"

struct rig {
    struct spool_rig *g;
    struct writer *w;
    sem_t commits; /* posted at each */
    sem_t go_on;   /* waited for at each, where hold is set */
    atomic_bool hold;
    sem_t done;
    int done_code;
};

static void on_commit(void *ctx)
{
    struct rig *r = ctx;

    (void)sem_post(&r->commits);
    if (r->hold) {
        (void)sem_wait(&r->go_on);
    }
}

static void on_done(void *ctx, uint64_t cookie, int code)
{
    struct rig *r = ctx;

    assert_int_equal(cookie, 42);
    r->done_code = code;
    (void)sem_post(&r->done);
}

static void start(struct rig *r, uint64_t queue_limit)
{
    struct writer_conf wc = { .queue_limit = queue_limit, .retry_us = 1000, .on_commit = on_commit, .ctx = r };
    struct spool_start ss;
    struct spool s;

    spool_rig_open(r->g, &s, &ss);
    assert_int_equal(writer_start(&wc, &s, &r->w, NULL), 0);
}

static int setup(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    void *g;

    assert_non_null(r);
    assert_int_equal(spool_rig_setup(&g), 0);
    r->g = g;
    (void)sem_init(&r->commits, 0, 0);
    (void)sem_init(&r->go_on, 0, 0);
    (void)sem_init(&r->done, 0, 0);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;
    void *g = r->g;

    (void)spool_rig_teardown(&g);
    free(r);
    return 0;
}

static void what_is_queued_is_stored_before_the_end(void **state)
{
    struct rig *r = *state;

    start(r, 1u << 20);
    for (unsigned i = 0; i < 20; i++) {
        struct draft *d = spool_rig_draft(r->g, 2, 500);

        assert_true(writer_journal(r->w, d, slice_of(d->payload, d->payload_len)));
        assert_true(writer_seal(r->w, d));
    }
    assert_true(writer_stop(r->w, 10000000));
    spool_rig_expect_chain(r->g, 20);
}

static void what_does_not_fit_the_queue_stays_the_callers(void **state)
{
    struct rig *r = *state;
    struct draft *d;
    unsigned taken = 0;

    r->hold = true;
    start(r, 100000);
    assert_true(writer_seal(r->w, spool_rig_draft(r->g, 1, 0)));
    (void)sem_wait(&r->commits); /* the thread stands still from here on */
    for (;;) {
        d = spool_rig_draft(r->g, 1, 9000);
        if (!writer_seal(r->w, d)) {
            break;
        }
        taken++;
        assert_true(taken < 20);
    }
    draft_free(d);
    assert_true(taken > 3);
    r->hold = false;
    (void)sem_post(&r->go_on);
    assert_true(writer_stop(r->w, 10000000));
    spool_rig_expect_chain(r->g, 1 + taken);
}

static uint64_t lost_spool(const struct spool_rig *g)
{
    struct buf head = BUF_INIT(65536);
    struct spool_head h;
    uint64_t lost = 0;
    unsigned slot;

    spool_rig_read(g, SPOOL_HEAD, &head);
    assert_int_equal(spool_head_pick(buf_slice(&head), &h, &slot), 0);
    for (unsigned i = 0; i < h.lost_len; i++) {
        lost = h.lost[i].kind == STATEMENT_LOST_SPOOL ? h.lost[i].total : lost;
    }
    buf_free(&head);
    return lost;
}

static uint64_t stored_records(const struct spool_rig *g, uint64_t *out_gaps)
{
    struct buf head = BUF_INIT(65536);
    struct spool_head h;
    uint64_t n = 0;
    unsigned slot;

    *out_gaps = 0;
    spool_rig_read(g, SPOOL_HEAD, &head);
    assert_int_equal(spool_head_pick(buf_slice(&head), &h, &slot), 0);
    for (unsigned i = 0; i < h.counts_len; i++) {
        *out_gaps = h.counts[i].kind == REC_GAP ? h.counts[i].total : *out_gaps;
        n += h.counts[i].kind == REC_GAP ? 0 : h.counts[i].total;
    }
    buf_free(&head);
    return n;
}

static void a_full_spool_tells_every_record_it_refused(void **state)
{
    struct rig *r = *state;
    struct spool_report report;
    uint64_t made = 0, gaps;

    r->g->conf.limits = (struct segments_limits){ .total = 100000, .segment = 30000 };
    start(r, 1u << 24);
    for (unsigned i = 0; i < 40; i++) {
        struct draft *d = spool_rig_draft(r->g, 1, 9000);

        made += draft_records(d);
        assert_true(writer_seal(r->w, d));
    }
    /* one was told from the reserve at once; stop tells the rest if there is room, and there is none */
    (void)writer_stop(r->w, 10000000);
    assert_true(spool_rig_chain(r->g, &report));
    assert_true(report.gaps >= 1);

    /* the next run: the gateway has all by now, so there is room, and the gap is told */
    spool_rig_new_run(r->g);
    start(r, 1u << 24);
    {
        struct writer_figures f;

        writer_figures(r->w, &f);
        writer_acked(r->w, f.sequence, f.digest);
        for (unsigned i = 0; i < 20; i++) {
            struct draft *d = spool_rig_draft(r->g, 1, 100);

            made += draft_records(d);
            assert_true(writer_seal(r->w, d));
        }
        assert_true(writer_stop(r->w, 10000000));
    }
    if (!spool_rig_chain(r->g, &report)) {
        fail_msg("%s", report.problem);
    }
    assert_true(stored_records(r->g, &gaps) + lost_spool(r->g) <= made);
    assert_true(lost_spool(r->g) > 0);
}

static void acks_make_room_and_the_whole_loss_is_signed(void **state)
{
    struct rig *r = *state;
    struct writer_news news;
    struct writer_figures f;
    uint64_t made = 0, gaps;

    r->g->conf.limits = (struct segments_limits){ .total = 100000, .segment = 30000 };
    start(r, 1u << 24);
    for (unsigned i = 0; i < 30; i++) {
        struct draft *d = spool_rig_draft(r->g, 1, 9000);

        made += draft_records(d);
        assert_true(writer_seal(r->w, d));
    }
    r->hold = false;
    for (;;) { /* until the queue is through: each of these jobs is answered in turn */
        uint8_t no_digest[32] = { 0 };

        assert_true(writer_refused(r->w, 999999, no_digest, SLICE_EMPTY, on_done, r, 42));
        (void)sem_wait(&r->done);
        assert_int_equal(r->done_code, POFR_ENOTFOUND);
        break;
    }
    writer_news(r->w, &news);
    assert_true(news.refused_any);
    assert_true(news.lean);
    writer_figures(r->w, &f);
    assert_true(f.refused_full > 0);
    writer_acked(r->w, f.sequence, f.digest);
    {
        struct draft *d = spool_rig_draft(r->g, 1, 100);

        made += draft_records(d);
        assert_true(writer_seal(r->w, d));
    }
    assert_true(writer_stop(r->w, 10000000));
    /* recorded = signed + counted as lost, to the record */
    assert_int_equal(stored_records(r->g, &gaps) + lost_spool(r->g), made);
    assert_int_equal(gaps, 2); /* at once, from the reserve; and when there was room */
    {
        struct spool_report report;

        assert_true(spool_rig_chain(r->g, &report));
    }
}

static void a_refusal_is_told_until_its_gap_is_durable(void **state)
{
    struct rig *r = *state;
    struct writer_news news;
    struct writer_figures f;
    struct draft *d;

    start(r, 1u << 20);
    assert_true(writer_seal(r->w, spool_rig_draft(r->g, 1, 0)));
    (void)sem_wait(&r->commits);
    writer_figures(r->w, &f);
    assert_int_equal(f.sequence, 1);
    assert_true(writer_refused(r->w, 1, f.digest, slice_str("not \"yours\""), on_done, r, 42));
    (void)sem_wait(&r->done);
    assert_int_equal(r->done_code, 0);
    assert_true(writer_refused(r->w, 1, f.digest, slice_str("again"), on_done, r, 42));
    (void)sem_wait(&r->done);
    assert_int_equal(r->done_code, 0); /* known already: good */
    writer_news(r->w, &news);
    assert_int_equal(news.refusals_len, 1);
    assert_int_equal(news.refusals[0].sequence, 1);
    assert_int_equal(news.refusals[0].records, 1);
    assert_string_equal(news.refusals[0].reason, "not \\\"yours\\\"");
    writer_news(r->w, &news);
    assert_int_equal(news.refusals_len, 0);
    d = spool_rig_draft(r->g, 1, 0); /* the one that told it is lost */
    d->notes[d->notes_len++] = 1;
    writer_notes_back(r->w, d);
    draft_free(d);
    writer_news(r->w, &news);
    assert_int_equal(news.refusals_len, 1);
    d = spool_rig_draft(r->g, 1, 0);
    d->notes[d->notes_len++] = 1;
    assert_true(writer_seal(r->w, d));
    (void)sem_wait(&r->commits);
    writer_figures(r->w, &f);
    assert_int_equal(f.acked, 1);
    assert_true(writer_stop(r->w, 10000000));
}

static void bundles_after_the_next_key_are_signed_by_it(void **state)
{
    struct rig *r = *state;
    struct sshkey *old = r->g->key, *next;
    struct spool_report report;

    assert_int_equal(sshkey_generate(&next), 0);
    start(r, 1u << 20);
    assert_true(writer_seal(r->w, spool_rig_draft(r->g, 1, 0)));
    assert_true(writer_key(r->w, next));
    assert_true(writer_seal(r->w, spool_rig_draft(r->g, 1, 0)));
    assert_true(writer_stop(r->w, 10000000));
    assert_false(spool_rig_chain(r->g, &report));
    assert_string_equal(report.problem, "bundle 2: signature");
    r->g->key = next;
    assert_false(spool_rig_chain(r->g, &report));
    assert_string_equal(report.problem, "bundle 1: signature");
    r->g->key = old;
    sshkey_free(next);
}

#define WITH(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(what_is_queued_is_stored_before_the_end),    WITH(what_does_not_fit_the_queue_stays_the_callers),
        WITH(a_full_spool_tells_every_record_it_refused), WITH(acks_make_room_and_the_whole_loss_is_signed),
        WITH(a_refusal_is_told_until_its_gap_is_durable), WITH(bundles_after_the_next_key_are_signed_by_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
