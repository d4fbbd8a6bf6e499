/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/cursor.h"

#include "tests/support/check.h"
#include "tests/support/mutate.h"

#include "common/base/buf.h"

static void write_all_types(struct buf *b)
{
    buf_u8(b, 0x81);
    buf_u16le(b, 0x1234);
    buf_u32le(b, 0x89abcdef);
    buf_u64le(b, UINT64_C(0x0123456789abcdef));
    buf_u16be(b, 0x1234);
    buf_u32be(b, 0x89abcdef);
    buf_u64be(b, UINT64_C(0x0123456789abcdef));
    buf_varint(b, 300);
    buf_svarint(b, -300);
    buf_varbytes(b, slice_str("name"));
    buf_str32be(b, slice_str("ssh-ed25519"));
    buf_str(b, "end");
}

static void reads_back_what_buf_wrote(void **state)
{
    struct buf b = BUF_INIT(1000);
    struct cursor c;

    (void)state;
    write_all_types(&b);
    assert_int_equal(b.err, 0);
    c = cursor_of(buf_slice(&b));
    assert_int_equal(cursor_peek_u8(&c), 0x81);
    assert_int_equal(cursor_u8(&c), 0x81);
    assert_int_equal(cursor_u16le(&c), 0x1234);
    assert_int_equal(cursor_u32le(&c), 0x89abcdef);
    assert_int_equal(cursor_u64le(&c), UINT64_C(0x0123456789abcdef));
    assert_int_equal(cursor_u16be(&c), 0x1234);
    assert_int_equal(cursor_u32be(&c), 0x89abcdef);
    assert_int_equal(cursor_u64be(&c), UINT64_C(0x0123456789abcdef));
    assert_int_equal(cursor_varint(&c), 300);
    assert_int_equal(cursor_svarint(&c), -300);
    assert_slice_str(cursor_varbytes(&c, 4), "name");
    assert_slice_str(cursor_str32be(&c, 100), "ssh-ed25519");
    assert_int_equal(cursor_done(&c), POFR_EFORMAT);
    assert_slice_str(cursor_rest(&c), "end");
    assert_int_equal(cursor_done(&c), 0);
    buf_free(&b);
}

static void the_error_is_sticky_and_moves_nothing(void **state)
{
    static const uint8_t bytes[3] = { 1, 2, 3 };
    struct cursor c = cursor_of(slice_of(bytes, 3));

    (void)state;
    assert_int_equal(cursor_u32le(&c), 0);
    assert_int_equal(c.err, POFR_ETRUNCATED);
    assert_int_equal(cursor_left(&c), 3);
    assert_int_equal(cursor_u8(&c), 0);
    assert_int_equal(cursor_peek_u8(&c), 0);
    assert_int_equal(cursor_varint(&c), 0);
    assert_true(slice_empty(cursor_rest(&c)));
    assert_true(slice_empty(cursor_bytes(&c, 0)));
    cursor_fail(&c, POFR_EFORMAT);
    assert_int_equal(cursor_done(&c), POFR_ETRUNCATED);
}

static void an_empty_input_is_no_error_until_it_is_read(void **state)
{
    struct cursor c = cursor_of(SLICE_EMPTY);

    (void)state;
    assert_int_equal(cursor_done(&c), 0);
    assert_true(slice_empty(cursor_rest(&c)));
    assert_int_equal(cursor_done(&c), 0);
    (void)cursor_u8(&c);
    assert_int_equal(cursor_done(&c), POFR_ETRUNCATED);
}

static void varints_at_the_edges_go_through(void **state)
{
    static const uint64_t values[] = {
        0, 1, 127, 128, 16383, 16384, UINT32_MAX, INT64_MAX, UINT64_MAX - 1, UINT64_MAX
    };

    (void)state;
    for (size_t i = 0; i < pofr_countof(values); i++) {
        struct buf b = BUF_INIT(32);
        struct cursor c;

        buf_varint(&b, values[i]);
        buf_svarint(&b, (int64_t)values[i]);
        buf_svarint(&b, -(int64_t)(values[i] / 2) - 1);
        c = cursor_of(buf_slice(&b));
        assert_true(cursor_varint(&c) == values[i]);
        assert_true(cursor_svarint(&c) == (int64_t)values[i]);
        assert_true(cursor_svarint(&c) == -(int64_t)(values[i] / 2) - 1);
        assert_int_equal(cursor_done(&c), 0);
        buf_free(&b);
    }
}

static void a_varint_has_one_encoding_and_64_bits(void **state)
{
    static const struct {
        uint8_t bytes[11];
        size_t len;
        int err;
    } cases[] = {
        { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01 }, 10, 0 },
        { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02 }, 10, POFR_EFORMAT },
        { { 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01 }, 11, POFR_EFORMAT },
        { { 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00 }, 10, POFR_EFORMAT },
        { { 0x80, 0x00 }, 2, POFR_EFORMAT },
        { { 0x80 }, 1, POFR_ETRUNCATED },
        { { 0 }, 0, POFR_ETRUNCATED },
    };

    (void)state;
    for (size_t i = 0; i < pofr_countof(cases); i++) {
        struct cursor c = cursor_of(slice_of(cases[i].bytes, cases[i].len));

        (void)cursor_varint(&c);
        assert_int_equal(c.err, cases[i].err);
        assert_int_equal(cursor_left(&c), cases[i].err ? cases[i].len : 0);
    }
}

static void a_length_above_the_limit_is_refused_before_it_is_believed(void **state)
{
    struct buf b = BUF_INIT(32);
    struct cursor c;

    (void)state;
    buf_varint(&b, 5);
    buf_str(&b, "12345");
    c = cursor_of(buf_slice(&b));
    assert_true(slice_empty(cursor_varbytes(&c, 4)));
    assert_int_equal(c.err, POFR_ETOOBIG);
    assert_int_equal(cursor_left(&c), 6);

    c = cursor_of(buf_slice(&b));
    assert_int_equal(cursor_varint_max(&c, 4), 0);
    assert_int_equal(c.err, POFR_ETOOBIG);

    buf_reset(&b);
    buf_u32be(&b, UINT32_MAX);
    c = cursor_of(buf_slice(&b));
    assert_true(slice_empty(cursor_str32be(&c, SIZE_MAX)));
    assert_int_equal(c.err, POFR_ETRUNCATED);
    buf_free(&b);
}

static void read_mutant(struct slice mutant, const char *what, size_t at, void *arg)
{
    struct cursor c = cursor_of(mutant);
    struct slice name, key, rest;

    (void)what;
    (void)at;
    (void)arg;
    (void)cursor_bytes(&c, 1 + 2 * (2 + 4 + 8));
    (void)cursor_varint(&c);
    (void)cursor_svarint(&c);
    name = cursor_varbytes(&c, SIZE_MAX);
    key = cursor_str32be(&c, SIZE_MAX);
    rest = cursor_rest(&c);
    if (cursor_done(&c) == 0) {
        assert_true(name.len + key.len + rest.len < mutant.len);
        assert_true(rest.data + rest.len == mutant.data + mutant.len);
    } else {
        assert_true(slice_empty(rest));
    }
}

static void no_mutant_is_read_beyond_its_end(void **state)
{
    struct buf b = BUF_INIT(1000);

    (void)state;
    write_all_types(&b);
    assert_int_equal(mutate_each(buf_slice(&b), read_mutant, NULL), b.len * 9);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_back_what_buf_wrote),
        cmocka_unit_test(the_error_is_sticky_and_moves_nothing),
        cmocka_unit_test(an_empty_input_is_no_error_until_it_is_read),
        cmocka_unit_test(varints_at_the_edges_go_through),
        cmocka_unit_test(a_varint_has_one_encoding_and_64_bits),
        cmocka_unit_test(a_length_above_the_limit_is_refused_before_it_is_believed),
        cmocka_unit_test(no_mutant_is_read_beyond_its_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
