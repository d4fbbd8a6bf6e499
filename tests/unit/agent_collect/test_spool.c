/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/os/fsio.h"
#include "spool_rig.h"

static void put(struct spool_rig *g, struct spool *s, unsigned ticks, size_t bytes, int expected)
{
    struct draft *d = spool_rig_draft(g, ticks, bytes);
    struct pofr_err err = { 0 };
    int rc = spool_put(s, d, false, &err);

    if (rc != expected) {
        fail_msg("%d: %s", rc, err.text);
    }
    draft_free(d);
}

static void put_n(struct spool_rig *g, struct spool *s, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        put(g, s, 3, 0, 0);
    }
}

static uint64_t lost_of(const struct spool_head *h, enum statement_lost source)
{
    for (unsigned i = 0; i < h->lost_len; i++) {
        if (h->lost[i].kind == source) {
            return h->lost[i].total;
        }
    }
    return 0;
}

static void bundles_follow_one_another_through_runs(void **state)
{
    struct spool_rig *g = *state;
    struct spool_start start;
    struct spool s;

    spool_rig_open(g, &s, &start);
    assert_int_equal(start.past, SPOOL_PAST_NONE);
    put_n(g, &s, 5);
    spool_close(&s, true);
    spool_rig_new_run(g);
    spool_rig_open(g, &s, &start);
    assert_int_equal(start.past, SPOOL_PAST_FOUND);
    assert_true(start.clean);
    assert_int_equal(start.head.sequence, 5);
    put_n(g, &s, 2);
    spool_close(&s, false);
    spool_rig_expect_chain(g, 7);
    spool_rig_new_run(g);
    spool_rig_open(g, &s, &start);
    assert_false(start.clean);
    spool_close(&s, true);
}

static void segments_are_begun_by_size_and_read_by_sequence(void **state)
{
    struct spool_rig *g = *state;
    struct buf block = BUF_INIT(BUNDLE_MAX);
    struct spool_start start;
    struct spool_entry e;
    struct spool s;

    g->conf.limits.segment = 20000;
    spool_rig_open(g, &s, &start);
    for (unsigned i = 0; i < 12; i++) {
        put(g, &s, 1, 5000, 0);
    }
    assert_true(s.segments.len >= 3);
    for (uint64_t n = 12; n > 0; n--) {
        assert_int_equal(segments_read(&s.segments, n, &e, &block, NULL), 0);
        assert_int_equal(e.sequence, n);
    }
    assert_int_equal(segments_read(&s.segments, 13, &e, &block, NULL), POFR_ENOTFOUND);
    spool_close(&s, true);
    spool_rig_expect_chain(g, 12);
    buf_free(&block);
}

/* The entry is written, the head is not: whatever of the entry is there, the chain is valid, and no bundle that counted is gone. */
static void a_torn_last_entry_is_cut_off_at_every_byte(void **state)
{
    struct spool_rig *g = *state;
    struct buf segment = BUF_INIT(8u << 20), head = BUF_INIT(65536);
    struct spool_start start;
    struct spool_entry e;
    struct spool s;
    size_t before;

    spool_rig_open(g, &s, &start);
    put_n(g, &s, 2);
    spool_rig_read(g, SPOOL_HEAD, &head);
    before = s.segments.offset;
    put_n(g, &s, 1);
    spool_close(&s, false);
    spool_rig_read(g, "00000000000000000001.seg", &segment);
    for (size_t cut = before; cut <= segment.len; cut += cut < before + 70 || cut + 70 > segment.len ? 1 : 37) {
        spool_rig_write(g, SPOOL_HEAD, buf_slice(&head)); /* as it was before the third */
        spool_rig_write(g, "00000000000000000001.seg", slice_sub(buf_slice(&segment), 0, cut));
        spool_rig_open(g, &s, &start);
        assert_int_equal(start.adopted, cut == segment.len);
        assert_int_equal(s.chain.head.sequence, cut == segment.len ? 3 : 2);
        assert_int_equal(segments_read(&s.segments, s.chain.head.sequence, &e, NULL, NULL), 0);
        spool_close(&s, true);
        spool_rig_expect_chain(g, cut == segment.len ? 3 : 2);
    }
    buf_free(&segment);
    buf_free(&head);
}

/* The journal as written up to each byte: its whole ticks become a recovered bundle, of the run that wrote them. */
static void a_torn_journal_gives_its_whole_ticks(void **state)
{
    struct spool_rig *g = *state;
    struct buf journal = BUF_INIT(8u << 20), head = BUF_INIT(65536), segment = BUF_INIT(8u << 20);
    struct draft *d = spool_rig_draft(g, 1, 0);
    struct spool_start start;
    struct spool s;
    size_t begin, one, len;
    char path[TMPDIR_PATH_SIZE];

    spool_rig_open(g, &s, &start);
    put_n(g, &s, 2);
    draft_free(d);
    d = spool_rig_draft(g, 1, 0);
    assert_int_equal(spool_journal_begin(&s, d, NULL), 0);
    begin = s.journal.at;
    assert_int_equal(spool_journal_tick(&s, slice_of(d->payload, d->payload_len), NULL), 0);
    one = s.journal.at;
    draft_free(d);
    d = spool_rig_draft(g, 1, 0);
    /* texts of the second tick are in the first: as an encoder would write it */
    assert_int_equal(spool_journal_tick(&s, slice_of(d->payload, d->payload_len), NULL), 0);
    len = s.journal.at;
    draft_free(d);
    spool_close(&s, false);
    spool_rig_read(g, SPOOL_JOURNAL, &journal);
    spool_rig_read(g, SPOOL_HEAD, &head);
    spool_rig_read(g, "00000000000000000001.seg", &segment);
    for (size_t cut = 0; cut <= len; cut++) {
        struct spool_report r;

        spool_rig_write(g, SPOOL_JOURNAL, slice_sub(buf_slice(&journal), 0, cut));
        spool_rig_write(g, SPOOL_HEAD, buf_slice(&head));
        spool_rig_write(g, "00000000000000000001.seg", buf_slice(&segment));
        (void)unlink(tmpdir_join(g->spool_dir, "00000000000000000003.seg", path));
        spool_rig_open(g, &s, &start);
        if (start.recovered != (cut < one ? 0 : 3)) {
            print_error("cut %zu of %zu, first tick ends at %zu\n", cut, len, one);
        }
        assert_int_equal(start.recovered, cut < one ? 0 : 3);
        assert_int_equal(start.clean, false);
        assert_int_equal(s.chain.head.sequence, cut < one ? 2 : 3);
        spool_close(&s, true);
        assert_true(spool_rig_chain(g, &r));
        assert_int_equal(r.recovered, cut >= one);
        assert_int_equal(r.ticks, cut < one ? 6 : cut < len ? 7 : 8);
    }
    assert_true(begin < one);
    buf_free(&journal);
    buf_free(&head);
    buf_free(&segment);
}

static void a_journal_of_a_bundle_that_was_sealed_is_ignored(void **state)
{
    struct spool_rig *g = *state;
    struct draft *d;
    struct spool_start start;
    struct spool s;

    spool_rig_open(g, &s, &start);
    put_n(g, &s, 1);
    d = spool_rig_draft(g, 2, 0);
    assert_int_equal(spool_journal_begin(&s, d, NULL), 0);
    assert_int_equal(spool_journal_tick(&s, slice_of(d->payload, d->payload_len), NULL), 0);
    assert_int_equal(spool_put(&s, d, false, NULL), 0);
    draft_free(d);
    spool_close(&s, false); /* died behind the head, before the next begin */
    spool_rig_open(g, &s, &start);
    assert_int_equal(start.recovered, 0);
    assert_int_equal(s.chain.head.sequence, 2);
    spool_close(&s, true);
    spool_rig_expect_chain(g, 2);
}

static void a_lost_head_is_found_again_in_the_last_bundle(void **state)
{
    struct spool_rig *g = *state;
    struct buf zeros = BUF_INIT(SPOOL_HEAD_SIZE);
    struct spool_start start;
    struct spool_head before;
    struct spool s;

    g->conf.limits.segment = 5000;
    spool_rig_open(g, &s, &start);
    for (unsigned i = 0; i < 6; i++) {
        put(g, &s, 2, 2000, 0);
    }
    before = s.chain.head;
    spool_close(&s, true);
    (void)memset(buf_reserve(&zeros, SPOOL_HEAD_SIZE), 0xee, SPOOL_HEAD_SIZE);
    buf_advance(&zeros, SPOOL_HEAD_SIZE);
    spool_rig_write(g, SPOOL_HEAD, buf_slice(&zeros));
    spool_rig_new_run(g);
    spool_rig_open(g, &s, &start);
    assert_int_equal(start.past, SPOOL_PAST_REBUILT);
    assert_int_equal(s.chain.head.sequence, before.sequence);
    assert_memory_equal(s.chain.head.digest, before.digest, 32);
    assert_int_equal(s.chain.head.ticks_total, before.ticks_total);
    assert_int_equal(s.chain.head.counts_len, before.counts_len);
    put_n(g, &s, 1);
    spool_close(&s, true);
    spool_rig_expect_chain(g, 7);
    buf_free(&zeros);
}

static void one_bad_slot_of_the_head_costs_nothing_that_counted(void **state)
{
    struct spool_rig *g = *state;
    struct buf head = BUF_INIT(65536);
    struct spool_start start;
    struct spool s;

    spool_rig_open(g, &s, &start);
    put_n(g, &s, 4);
    spool_close(&s, false);
    spool_rig_read(g, SPOOL_HEAD, &head);
    for (unsigned slot = 0; slot < 2; slot++) {
        head.data[slot * SPOOL_SLOT_SIZE + 40] ^= 1;
        spool_rig_write(g, SPOOL_HEAD, buf_slice(&head));
        head.data[slot * SPOOL_SLOT_SIZE + 40] ^= 1;
        spool_rig_new_run(g);
        spool_rig_open(g, &s, &start);
        /* the newer slot bad: the last bundle lies behind the older one's end, and is adopted */
        assert_int_equal(s.chain.head.sequence, 4);
        spool_close(&s, false);
        spool_rig_expect_chain(g, 4);
    }
    buf_free(&head);
}

static void a_state_that_was_lost_is_told_from_a_first_start(void **state)
{
    struct spool_rig *g = *state;
    struct buf segment = BUF_INIT(8u << 20);
    struct spool_start start;
    struct spool s;

    spool_rig_open(g, &s, &start);
    put_n(g, &s, 3);
    spool_close(&s, true);
    tmpdir_remove(g->spool_dir);
    spool_rig_new_run(g);
    spool_rig_open(g, &s, &start);
    assert_int_equal(start.past, SPOOL_PAST_LOST);
    put_n(g, &s, 2);
    spool_close(&s, true);
    spool_rig_read(g, "00000000000000000001.seg", &segment);
    assert_non_null(memmem(segment.data, segment.len, "origin lost\n", 12));
    assert_non_null(memmem(segment.data, segment.len, "previous none\n", 14));
    spool_rig_expect_chain(g, 2);
    buf_free(&segment);
}

static void a_rotten_segment_does_not_send_the_chain_back(void **state)
{
    struct spool_rig *g = *state;
    struct buf segment = BUF_INIT(8u << 20);
    struct spool_start start;
    struct spool s;

    spool_rig_open(g, &s, &start);
    put_n(g, &s, 4);
    spool_close(&s, true);
    spool_rig_read(g, "00000000000000000001.seg", &segment);
    memset(segment.data, 0, segment.len); /* all of it */
    spool_rig_write(g, "00000000000000000001.seg", buf_slice(&segment));
    spool_rig_new_run(g);
    spool_rig_open(g, &s, &start);
    assert_int_equal(start.past, SPOOL_PAST_FOUND);
    assert_int_equal(s.chain.head.sequence, 4);
    put_n(g, &s, 1);
    assert_int_equal(s.chain.head.sequence, 5);
    spool_close(&s, true);
    buf_free(&segment);
}

static void another_hosts_spool_is_set_aside(void **state)
{
    struct spool_rig *g = *state;
    char uuid[UUID_TEXT_SIZE], path[TMPDIR_PATH_SIZE + 64];
    struct uuid before = g->conf.host;
    struct spool_start start;
    struct spool s;
    struct stat st;

    spool_rig_open(g, &s, &start);
    put_n(g, &s, 3);
    spool_close(&s, true);
    assert_int_equal(uuid_random(&g->conf.host), 0);
    spool_rig_open(g, &s, &start);
    put_n(g, &s, 1);
    assert_int_equal(s.chain.head.sequence, 1);
    spool_close(&s, true);
    spool_rig_expect_chain(g, 1);
    snprintf(path, sizeof(path), "%s.%s", g->spool_dir, uuid_format(&before, uuid));
    assert_int_equal(stat(path, &st), 0);
}

static void the_oldest_acked_segments_go_first_and_only_when_room_is_needed(void **state)
{
    struct spool_rig *g = *state;
    struct spool_start start;
    struct spool_entry e;
    struct spool s;
    uint64_t acked = 0;

    g->conf.limits = (struct segments_limits){ .total = 200000, .segment = 30000 };
    spool_rig_open(g, &s, &start);
    for (unsigned i = 0; i < 60; i++) {
        put(g, &s, 1, 9000, 0);
        if (i == 5) { /* all acked, and all still there: room was not needed */
            assert_int_equal(segments_oldest(&s.segments), 1);
        }
        acked = s.chain.head.sequence - 1;
        if (acked > 0) {
            assert_int_equal(segments_read(&s.segments, acked, &e, NULL, NULL), 0);
            assert_int_equal(spool_acked(&s, acked, e.digest, NULL), 0);
        }
        assert_true(s.segments.bytes <= 200000);
    }
    assert_true(segments_oldest(&s.segments) > 1);
    assert_int_equal(s.chain.head.sequence, 60);
    spool_close(&s, true);
    spool_rig_expect_chain(g, 60);
}

static void a_full_spool_refuses_the_newest_and_keeps_the_rest(void **state)
{
    struct spool_rig *g = *state;
    struct pofr_err err = { 0 };
    struct spool_start start;
    struct spool_entry e;
    struct draft *d;
    struct spool s;
    int rc = 0;

    g->conf.limits = (struct segments_limits){ .total = 100000, .segment = 30000 };
    spool_rig_open(g, &s, &start);
    for (unsigned i = 0; rc == 0 && i < 100; i++) {
        d = spool_rig_draft(g, 1, 9000);
        rc = spool_put(&s, d, false, &err);
        if (rc != 0) {
            assert_int_equal(rc, POFR_EFULL);
            assert_int_equal(spool_put(&s, d, true, &err), 0); /* the reserve */
        }
        draft_free(d);
    }
    assert_int_equal(rc, POFR_EFULL);
    assert_true(s.segments.bytes <= 100000 + SEGMENTS_RESERVE);
    assert_int_equal(segments_oldest(&s.segments), 1);
    spool_rig_expect_chain(g, s.chain.head.sequence);
    /* acks make room again */
    assert_int_equal(segments_read(&s.segments, 6, &e, NULL, NULL), 0);
    assert_int_equal(spool_acked(&s, 6, e.digest, NULL), 0);
    put(g, &s, 1, 9000, 0);
    assert_true(segments_oldest(&s.segments) > 1);
    spool_close(&s, true);
    spool_rig_expect_chain(g, s.chain.head.sequence);
}

static void what_the_gateway_wants_again_is_not_removed(void **state)
{
    struct spool_rig *g = *state;
    struct ipc_range range = { 1, 2 };
    struct spool_start start;
    struct spool_entry e;
    struct spool s;

    g->conf.limits = (struct segments_limits){ .total = 200000, .segment = 30000 };
    spool_rig_open(g, &s, &start);
    segments_wanted(&s.segments, &range, 1);
    for (unsigned i = 0; i < 60; i++) {
        put(g, &s, 1, 9000, 0);
        assert_int_equal(segments_read(&s.segments, s.chain.head.sequence, &e, NULL, NULL), 0);
        assert_int_equal(spool_acked(&s, s.chain.head.sequence, e.digest, NULL), 0);
    }
    assert_int_equal(segments_oldest(&s.segments), 1);
    assert_int_equal(segments_read(&s.segments, 2, &e, NULL, NULL), 0);
    assert_int_equal(segments_read(&s.segments, 20, &e, NULL, NULL), POFR_ENOTFOUND);
    spool_close(&s, true);
}

static void an_ack_counts_only_with_the_right_digest(void **state)
{
    struct spool_rig *g = *state;
    uint8_t wrong[32] = { 1 };
    struct spool_start start;
    struct spool_entry e;
    struct spool s;

    spool_rig_open(g, &s, &start);
    put_n(g, &s, 3);
    assert_int_equal(spool_acked(&s, 2, wrong, NULL), POFR_ECONFLICT);
    assert_int_equal(spool_acked(&s, 9, wrong, NULL), POFR_ENOTFOUND);
    assert_int_equal(segments_read(&s.segments, 2, &e, NULL, NULL), 0);
    assert_int_equal(spool_acked(&s, 2, e.digest, NULL), 0);
    spool_close(&s, true);
    spool_rig_open(g, &s, &start);
    assert_int_equal(start.head.acked, 2); /* kept at the end of the run */
    spool_close(&s, true);
}

static void a_refused_bundle_is_kept_and_acked_only_when_its_gap_is_durable(void **state)
{
    struct spool_rig *g = *state;
    struct buf kept = BUF_INIT(BUNDLE_MAX), block = BUF_INIT(BUNDLE_MAX);
    uint64_t records = 0;
    struct spool_start start;
    struct spool_entry e2, e4;
    struct draft *d;
    struct spool s;

    spool_rig_open(g, &s, &start);
    put_n(g, &s, 4);
    assert_int_equal(segments_read(&s.segments, 2, &e2, &block, NULL), 0);
    assert_int_equal(segments_read(&s.segments, 4, &e4, NULL, NULL), 0);
    assert_int_equal(spool_refused(&s, 2, e4.digest, &records, NULL), POFR_ECONFLICT);
    assert_int_equal(spool_refused(&s, 2, e2.digest, &records, NULL), 0);
    assert_int_equal(records, 3);
    assert_int_equal(spool_refused(&s, 2, e2.digest, &records, NULL), POFR_EEXISTS);
    spool_rig_read(g, "refused/00000000000000000002.bundle", &kept);
    assert_true(slice_eq(buf_slice(&kept), buf_slice(&block)));
    assert_int_equal(spool_acked(&s, 4, e4.digest, NULL), 0);
    put_n(g, &s, 1);
    assert_int_equal(s.chain.head.acked, 1); /* not beyond it: nothing signed tells of it yet */
    d = spool_rig_draft(g, 1, 0);
    d->notes[d->notes_len++] = 2;
    assert_int_equal(spool_put(&s, d, false, NULL), 0);
    draft_free(d);
    assert_int_equal(s.chain.head.acked, 4);
    spool_close(&s, true);
    buf_free(&kept);
    buf_free(&block);
}

static void totals_grow_with_every_bundle_and_outlive_the_run(void **state)
{
    struct spool_rig *g = *state;
    struct spool_start start;
    struct draft *d;
    struct spool s;

    spool_rig_open(g, &s, &start);
    put_n(g, &s, 2);
    d = spool_rig_draft(g, 3, 0);
    draft_lost(d, STATEMENT_LOST_TICKS, 5);
    draft_lost(d, STATEMENT_LOST_EVENTS, 7);
    assert_int_equal(spool_put(&s, d, false, NULL), 0);
    draft_free(d);
    spool_close(&s, true);
    spool_rig_new_run(g);
    spool_rig_open(g, &s, &start);
    assert_int_equal(start.head.ticks_total, 9);
    assert_int_equal(lost_of(&start.head, STATEMENT_LOST_TICKS), 5);
    d = spool_rig_draft(g, 1, 0);
    draft_lost(d, STATEMENT_LOST_TICKS, 1);
    assert_int_equal(spool_put(&s, d, false, NULL), 0);
    draft_free(d);
    assert_int_equal(lost_of(&s.chain.head, STATEMENT_LOST_TICKS), 6);
    assert_int_equal(lost_of(&s.chain.head, STATEMENT_LOST_EVENTS), 7);
    assert_int_equal(s.chain.head.ticks_total, 10);
    spool_close(&s, true);
    spool_rig_expect_chain(g, 4);
}

#define WITH_RIG(f) cmocka_unit_test_setup_teardown(f, spool_rig_setup, spool_rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(bundles_follow_one_another_through_runs),
        WITH_RIG(segments_are_begun_by_size_and_read_by_sequence),
        WITH_RIG(a_torn_last_entry_is_cut_off_at_every_byte),
        WITH_RIG(a_torn_journal_gives_its_whole_ticks),
        WITH_RIG(a_journal_of_a_bundle_that_was_sealed_is_ignored),
        WITH_RIG(a_lost_head_is_found_again_in_the_last_bundle),
        WITH_RIG(one_bad_slot_of_the_head_costs_nothing_that_counted),
        WITH_RIG(a_state_that_was_lost_is_told_from_a_first_start),
        WITH_RIG(a_rotten_segment_does_not_send_the_chain_back),
        WITH_RIG(another_hosts_spool_is_set_aside),
        WITH_RIG(the_oldest_acked_segments_go_first_and_only_when_room_is_needed),
        WITH_RIG(a_full_spool_refuses_the_newest_and_keeps_the_rest),
        WITH_RIG(what_the_gateway_wants_again_is_not_removed),
        WITH_RIG(an_ack_counts_only_with_the_right_digest),
        WITH_RIG(a_refused_bundle_is_kept_and_acked_only_when_its_gap_is_durable),
        WITH_RIG(totals_grow_with_every_bundle_and_outlive_the_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
