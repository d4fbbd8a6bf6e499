/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/ship/spool_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/spool/format.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/os/fsio.h"
#include "tests/support/check.h"
#include "tests/support/tmpdir.h"

static void digest_of(uint64_t sequence, uint8_t out[32])
{
    memset(out, (int)sequence, 32);
}

static void put(struct buf *out, uint64_t sequence, const char *text)
{
    uint8_t digest[32];

    digest_of(sequence, digest);
    assert_int_equal(spool_entry_put(sequence, digest, slice_str(text), out), 0);
}

static char *segment_path(const char *dir, uint64_t first, char out[TMPDIR_PATH_SIZE])
{
    char name[SPOOL_NAME_SIZE];

    return tmpdir_join(dir, spool_segment_name(first, name), out);
}

static void write_segment(const char *dir, uint64_t first, const struct buf *bytes)
{
    char path[TMPDIR_PATH_SIZE];

    assert_int_equal(fsio_replace(segment_path(dir, first, path), buf_slice(bytes), 0640, NULL), 0);
}

/* Sequences first..last with text "n<sequence><extra>". */
static void make_segment(const char *dir, uint64_t first, uint64_t last, const char *extra)
{
    struct buf b = BUF_INIT(1 << 20);

    for (uint64_t i = first; i <= last; i++) {
        char text[64];

        snprintf(text, sizeof(text), "n%llu%s", (unsigned long long)i, extra);
        put(&b, i, text);
    }
    write_segment(dir, first, &b);
    buf_free(&b);
}

static void expect(struct spool_read *r, uint64_t from, uint64_t last, uint64_t sequence, const char *text)
{
    struct spool_bundle b;
    uint8_t digest[32];

    assert_int_equal(spool_read_next(r, from, last, &b, NULL), 0);
    assert_int_equal(b.sequence, sequence);
    digest_of(sequence, digest);
    assert_memory_equal(b.digest, digest, 32);
    assert_slice_str(b.block, text);
}

static void expect_none(struct spool_read *r, uint64_t from, uint64_t last)
{
    struct spool_bundle b;

    assert_int_equal(spool_read_next(r, from, last, &b, NULL), POFR_ENOTFOUND);
}

static struct spool_read *open_spool(void **state)
{
    struct spool_read *r = NULL;

    assert_int_equal(spool_read_open(*state, &r, NULL), 0);
    return r;
}

static void bundles_come_in_sequence_over_segments(void **state)
{
    struct spool_read *r;

    make_segment(*state, 3, 5, "");
    make_segment(*state, 6, 6, "");
    make_segment(*state, 7, 9, "");
    r = open_spool(state);
    for (uint64_t i = 3; i <= 9; i++) {
        char text[16];

        snprintf(text, sizeof(text), "n%llu", (unsigned long long)i);
        expect(r, i, 9, i, text);
    }
    expect_none(r, 10, 12);
    spool_read_close(r);
}

static void reading_may_begin_anywhere_and_go_back(void **state)
{
    struct spool_read *r;

    make_segment(*state, 3, 5, "");
    make_segment(*state, 6, 9, "");
    r = open_spool(state);
    expect(r, 8, 9, 8, "n8");
    expect(r, 4, 9, 4, "n4");
    expect(r, 1, 9, 3, "n3"); /* nothing older is there any more */
    expect(r, 5, 5, 5, "n5");
    expect_none(r, 1, 2);
    spool_read_close(r);
}

static void nothing_above_what_is_committed_is_looked_at(void **state)
{
    struct spool_read *r;

    make_segment(*state, 3, 9, "");
    r = open_spool(state);
    expect(r, 4, 4, 4, "n4");
    expect_none(r, 5, 4);
    expect(r, 5, 6, 5, "n5");
    expect_none(r, 7, 6);
    spool_read_close(r);
}

static void a_segment_that_grows_is_followed(void **state)
{
    struct spool_read *r;

    make_segment(*state, 1, 2, "");
    r = open_spool(state);
    expect(r, 2, 2, 2, "n2");
    expect_none(r, 3, 3); /* committed, they say, but it is not there: no harm */
    {
        struct buf more = BUF_INIT(4096);
        char path[TMPDIR_PATH_SIZE];
        FILE *f = fopen(segment_path(*state, 1, path), "ab");

        assert_non_null(f);
        put(&more, 3, "n3");
        assert_int_equal(fwrite(more.data, 1, more.len, f), more.len);
        assert_int_equal(fclose(f), 0);
        buf_free(&more);
    }
    expect(r, 3, 3, 3, "n3");
    make_segment(*state, 4, 4, "");
    expect(r, 4, 4, 4, "n4");
    spool_read_close(r);
}

static void a_segment_that_vanished_is_stepped_over(void **state)
{
    char path[TMPDIR_PATH_SIZE];
    struct spool_read *r;

    make_segment(*state, 1, 2, "");
    make_segment(*state, 3, 4, "");
    make_segment(*state, 5, 6, "");
    r = open_spool(state);
    expect(r, 1, 6, 1, "n1");
    assert_int_equal(unlink(segment_path(*state, 1, path)), 0);
    assert_int_equal(unlink(segment_path(*state, 3, path)), 0);
    expect(r, 2, 6, 2, "n2"); /* its file is still open */
    expect(r, 3, 6, 5, "n5");
    spool_read_close(r);
}

static void what_a_newer_segment_holds_is_not_taken_from_an_older_one(void **state)
{
    struct spool_read *r;

    make_segment(*state, 1, 5, " old"); /* its sync failed at 4 */
    make_segment(*state, 4, 6, " new");
    r = open_spool(state);
    expect(r, 3, 6, 3, "n3 old");
    expect(r, 4, 6, 4, "n4 new");
    expect(r, 5, 6, 5, "n5 new");
    spool_read_close(r);
    make_segment(*state, 4, 4, " new");
    r = open_spool(state);
    expect(r, 3, 3, 3, "n3 old"); /* lists the folder */
    make_segment(*state, 5, 7, " newest");
    expect(r, 4, 7, 4, "n4 new");
    expect(r, 5, 7, 5, "n5 newest"); /* not n5 of the segment that was known */
    spool_read_close(r);
}

static void flip(const char *dir, uint64_t first, long at)
{
    char path[TMPDIR_PATH_SIZE];
    FILE *f = fopen(segment_path(dir, first, path), "r+b");
    int c;

    assert_non_null(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    c = fgetc(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    assert_int_equal(fputc(c ^ 0x10, f), c ^ 0x10);
    assert_int_equal(fclose(f), 0);
}

static void a_rotten_bundle_is_named_and_the_next_one_comes(void **state)
{
    struct spool_bundle b;
    struct spool_read *r;

    make_segment(*state, 1, 3, "");
    flip(*state, 1, SPOOL_ENTRY_HEADER + 1); /* in the block of 1 */
    r = open_spool(state);
    assert_int_equal(spool_read_next(r, 1, 3, &b, NULL), POFR_EFORMAT);
    assert_int_equal(b.sequence, 1);
    expect(r, 2, 3, 2, "n2");
    spool_read_close(r);
    flip(*state, 1, 2 * SPOOL_ENTRY_HEADER + 2 + 2 + 24); /* in the digest of 3 */
    r = open_spool(state);
    assert_int_equal(spool_read_next(r, 3, 3, &b, NULL), POFR_EFORMAT);
    assert_int_equal(b.sequence, 3);
    spool_read_close(r);
}

/* Whatever bit is flipped: never another bundle's bytes, and reading comes to an end. */
static void any_flipped_bit_is_noticed(void **state)
{
    long size = 3 * (SPOOL_ENTRY_HEADER + 2);

    make_segment(*state, 4, 4, "");
    for (long bit = 0; bit < size; bit++) {
        struct spool_bundle b;
        struct spool_read *r;
        uint64_t next = 1;
        int whole = 0;

        make_segment(*state, 1, 3, "");
        flip(*state, 1, bit);
        r = open_spool(state);
        for (int i = 0; i < 10 && next <= 4; i++) {
            int rc = spool_read_next(r, next, 4, &b, NULL);

            if (rc == 0) {
                char text[16];

                snprintf(text, sizeof(text), "n%llu", (unsigned long long)b.sequence);
                assert_slice_str(b.block, text);
                whole++;
            } else {
                assert_int_equal(rc, POFR_EFORMAT);
            }
            assert_true(b.sequence >= next);
            next = b.sequence + 1;
        }
        assert_true(next == 5 && whole >= 1 && whole <= 3);
        spool_read_close(r);
    }
}

static void other_files_do_not_matter(void **state)
{
    char path[TMPDIR_PATH_SIZE];
    struct buf b = BUF_INIT(64);
    struct spool_read *r;

    buf_str(&b, "x");
    assert_int_equal(fsio_replace(tmpdir_join(*state, "head", path), buf_slice(&b), 0600, NULL), 0);
    assert_int_equal(fsio_replace(tmpdir_join(*state, "1.seg", path), buf_slice(&b), 0600, NULL), 0);
    buf_free(&b);
    r = open_spool(state);
    expect_none(r, 1, 9);
    make_segment(*state, 2, 2, "");
    expect(r, 1, 10, 2, "n2");
    spool_read_close(r);
}

static void a_folder_that_is_not_there_yet_is_no_empty_spool(void **state)
{
    char path[TMPDIR_PATH_SIZE];
    struct spool_bundle b;
    struct spool_read *r = NULL;

    tmpdir_join(*state, "later", path);
    assert_int_equal(spool_read_open(path, &r, NULL), 0);
    assert_int_equal(spool_read_next(r, 1, 1, &b, NULL), POFR_ESYSTEM);
    assert_int_equal(mkdir(path, 0700), 0);
    expect_none(r, 1, 1);
    make_segment(path, 1, 1, "");
    expect(r, 1, 1, 1, "n1");
    spool_read_close(r);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, tmpdir_setup, tmpdir_teardown)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(bundles_come_in_sequence_over_segments),
        IN_FOLDER(reading_may_begin_anywhere_and_go_back),
        IN_FOLDER(nothing_above_what_is_committed_is_looked_at),
        IN_FOLDER(a_segment_that_grows_is_followed),
        IN_FOLDER(a_segment_that_vanished_is_stepped_over),
        IN_FOLDER(what_a_newer_segment_holds_is_not_taken_from_an_older_one),
        IN_FOLDER(a_rotten_bundle_is_named_and_the_next_one_comes),
        IN_FOLDER(any_flipped_bit_is_noticed),
        IN_FOLDER(other_files_do_not_matter),
        IN_FOLDER(a_folder_that_is_not_there_yet_is_no_empty_spool),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
