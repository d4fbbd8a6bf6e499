/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/spool/format.h"
#include "common/base/err.h"

static void entry_of(uint64_t sequence, const char *block, struct buf *out)
{
    uint8_t digest[32];

    memset(digest, (int)sequence, sizeof(digest));
    assert_int_equal(spool_entry_put(sequence, digest, slice_str(block), out), 0);
}

static void an_entry_comes_back_as_it_was_put(void **state)
{
    struct buf b = BUF_INIT(4096);
    struct spool_entry e;
    struct slice block;
    size_t used;

    (void)state;
    entry_of(7, "block seven", &b);
    entry_of(8, "", &b);
    assert_int_equal(spool_entry_get(buf_slice(&b), &e, &block, &used), 0);
    assert_int_equal(e.sequence, 7);
    assert_int_equal(e.digest[31], 7);
    assert_true(slice_eq_str(block, "block seven"));
    assert_int_equal(used, SPOOL_ENTRY_HEADER + 11);
    assert_int_equal(spool_entry_check(slice_sub(buf_slice(&b), 0, SPOOL_ENTRY_HEADER), block), 0);
    assert_int_equal(spool_entry_get(slice_sub(buf_slice(&b), used, SIZE_MAX), &e, &block, &used), 0);
    assert_int_equal(e.sequence, 8);
    assert_int_equal(block.len, 0);
    buf_free(&b);
}

static void every_cut_and_every_flipped_bit_of_an_entry_is_found(void **state)
{
    struct buf b = BUF_INIT(4096);
    struct spool_entry e;
    struct slice block;
    size_t used;

    (void)state;
    entry_of(7, "block seven", &b);
    for (size_t cut = 0; cut < b.len; cut++) {
        uint8_t *copy = malloc(cut + 1);

        memcpy(copy, b.data, cut);
        assert_int_equal(spool_entry_get(slice_of(copy, cut), &e, &block, &used), POFR_ETRUNCATED);
        free(copy);
    }
    for (size_t bit = 0; bit < b.len * 8; bit++) {
        b.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_int_not_equal(spool_entry_get(buf_slice(&b), &e, &block, &used), 0);
        b.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    buf_free(&b);
}

static void zeros_are_no_entry(void **state)
{
    uint8_t zeros[256] = { 0 };
    struct spool_entry e;

    (void)state;
    assert_int_equal(spool_entry_header(slice_of(zeros, sizeof(zeros)), &e), POFR_EFORMAT);
}

static void names_have_one_form(void **state)
{
    char name[SPOOL_NAME_SIZE];
    uint64_t n = 0;

    (void)state;
    assert_string_equal(spool_segment_name(42, name), "00000000000000000042.seg");
    assert_true(spool_segment_name_parse(name, &n));
    assert_int_equal(n, 42);
    assert_string_equal(spool_refused_name(UINT64_MAX, name), "18446744073709551615.bundle");
    assert_true(spool_refused_name_parse(name, &n));
    assert_true(n == UINT64_MAX);
    assert_false(spool_segment_name_parse("42.seg", &n));
    assert_false(spool_segment_name_parse("00000000000000000000.seg", &n));
    assert_false(spool_segment_name_parse("00000000000000000042.seg.tmp", &n));
    assert_false(spool_segment_name_parse("99999999999999999999.seg", &n));
    assert_false(spool_segment_name_parse("head", &n));
}

static struct spool_head head_of(uint64_t generation)
{
    struct spool_head h = { .generation = generation,
                            .sequence = 9,
                            .segment = 4,
                            .offset = 1234,
                            .acked = 3,
                            .ticks_total = 77,
                            .counts_len = 2,
                            .lost_len = 1 };

    memset(h.digest, 0xab, 32);
    memset(h.hash_key, 0xcd, 16);
    h.counts[0] = (struct statement_count){ 64, 0, 1000 };
    h.counts[1] = (struct statement_count){ 65, 0, UINT64_MAX };
    h.lost[0] = (struct statement_count){ 1, 0, 5 };
    return h;
}

static void the_newer_whole_slot_of_the_head_counts(void **state)
{
    uint8_t file[SPOOL_HEAD_SIZE] = { 0 };
    struct spool_head a = head_of(5), b = head_of(6), h;
    unsigned slot = 9;

    (void)state;
    assert_int_equal(spool_head_pick(slice_of(file, sizeof(file)), &h, &slot), POFR_EFORMAT);
    assert_int_equal(spool_head_put(&a, file), 0);
    assert_int_equal(spool_head_pick(slice_of(file, sizeof(file)), &h, &slot), 0);
    assert_int_equal(slot, 0);
    assert_int_equal(spool_head_put(&b, file + SPOOL_SLOT_SIZE), 0);
    assert_int_equal(spool_head_pick(slice_of(file, sizeof(file)), &h, &slot), 0);
    assert_int_equal(slot, 1);
    assert_int_equal(h.generation, 6);
    assert_memory_equal(&h, &b, sizeof(h));
    /* the newer one torn at each place: the older one holds */
    for (size_t i = SPOOL_SLOT_SIZE; i < SPOOL_SLOT_SIZE + 300; i++) {
        uint8_t kept = file[i];

        file[i] ^= 0x40;
        if (spool_head_get(slice_of(file + SPOOL_SLOT_SIZE, SPOOL_SLOT_SIZE), &h) != 0) {
            assert_int_equal(spool_head_pick(slice_of(file, sizeof(file)), &h, &slot), 0);
            assert_int_equal(h.generation, 5);
        } else {
            assert_memory_equal(&h, &b, sizeof(h)); /* padding */
        }
        file[i] = kept;
    }
    assert_int_equal(spool_head_pick(slice_of(file, 100), &h, &slot), POFR_EFORMAT);
}

static void a_head_with_all_counts_fits_its_slot(void **state)
{
    uint8_t slot[SPOOL_SLOT_SIZE];
    struct spool_head h = head_of(1), back;

    (void)state;
    h.counts_len = STATEMENT_COUNTS_MAX;
    for (unsigned i = 0; i < STATEMENT_COUNTS_MAX; i++) {
        h.counts[i] = (struct statement_count){ 64 + i, 0, UINT64_MAX };
    }
    h.lost_len = 64;
    for (unsigned i = 0; i < 64; i++) {
        h.lost[i] = (struct statement_count){ i + 1, 0, UINT64_MAX };
    }
    assert_int_equal(spool_head_put(&h, slot), 0);
    assert_int_equal(spool_head_get(slice_of(slot, sizeof(slot)), &back), 0);
    assert_memory_equal(&h, &back, sizeof(h));
}

static void journal_of(struct buf *b, uint8_t mark_byte, unsigned ticks, uint64_t sequence)
{
    struct spool_begin begin = { .sequence = sequence };
    struct buf body = BUF_INIT(4096);
    uint8_t mark[16];

    memset(mark, mark_byte, sizeof(mark));
    begin.lost_len = 1;
    begin.lost[0] = (struct statement_count){ 4, 11, 0 };
    spool_begin_put(&begin, &body);
    spool_chunk_put(SPOOL_CHUNK_BEGIN, mark, buf_slice(&body), b);
    for (unsigned i = 0; i < ticks; i++) {
        char text[8] = { 't', (char)('0' + i), '.', 0 };

        spool_chunk_put(SPOOL_CHUNK_TICK, mark, slice_str(text), b);
    }
    assert_int_equal(b->err, 0);
    buf_free(&body);
}

static void the_valid_prefix_of_a_journal_is_read_wherever_it_is_cut(void **state)
{
    struct buf file = BUF_INIT(65536);
    struct buf payload = BUF_INIT(65536);
    struct spool_begin begin;
    size_t first, chunk;

    (void)state;
    journal_of(&file, 1, 0, 5);
    first = file.len;
    buf_reset(&file);
    journal_of(&file, 1, 3, 5);
    chunk = (file.len - first) / 3;
    for (size_t cut = 0; cut <= file.len; cut++) {
        buf_reset(&payload);
        if (cut < first) {
            assert_int_equal(spool_journal_read(slice_sub(buf_slice(&file), 0, cut), &begin, &payload), POFR_ENOTFOUND);
            continue;
        }
        assert_int_equal(spool_journal_read(slice_sub(buf_slice(&file), 0, cut), &begin, &payload), 0);
        assert_int_equal(begin.sequence, 5);
        assert_int_equal(begin.lost[0].here, 11);
        assert_int_equal(payload.len, (cut - first) / chunk * 3);
    }
    buf_free(&file);
    buf_free(&payload);
}

static void what_an_earlier_bundle_left_behind_does_not_count(void **state)
{
    struct buf old = BUF_INIT(65536), fresh = BUF_INIT(65536), payload = BUF_INIT(65536);
    struct spool_begin begin;

    (void)state;
    journal_of(&old, 1, 4, 5);
    journal_of(&fresh, 2, 1, 6);
    memcpy(old.data, fresh.data, fresh.len); /* same lengths: the rest are whole chunks of the bundle before */
    assert_int_equal(spool_journal_read(buf_slice(&old), &begin, &payload), 0);
    assert_int_equal(begin.sequence, 6);
    assert_true(slice_eq_str(buf_slice(&payload), "t0."));
    buf_free(&old);
    buf_free(&fresh);
    buf_free(&payload);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_comes_back_as_it_was_put),
        cmocka_unit_test(every_cut_and_every_flipped_bit_of_an_entry_is_found),
        cmocka_unit_test(zeros_are_no_entry),
        cmocka_unit_test(names_have_one_form),
        cmocka_unit_test(the_newer_whole_slot_of_the_head_counts),
        cmocka_unit_test(a_head_with_all_counts_fits_its_slot),
        cmocka_unit_test(the_valid_prefix_of_a_journal_is_read_wherever_it_is_cut),
        cmocka_unit_test(what_an_earlier_bundle_left_behind_does_not_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
