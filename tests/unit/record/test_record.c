/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/record/record.h"

#include "tests/unit/record/payload.h"

/* --- compare, hash -------------------------------------------------------------------------------- */

static struct record some_user(void)
{
    struct record r = { .kind = REC_KIND(REC_USER, REC_END) };

    r.user = (struct rec_user){ .iv = { .first_seen = 77 },
                                .name = slice_str("ann"),
                                .uid = 1000,
                                .gid = 0x0102030405060708,
                                .comment = slice_str(""),
                                .home = slice_str("/h"),
                                .shell = slice_str("/bin/sh"),
                                .origin = slice_str("nss") };
    return r;
}

static void canonical_bytes_are_the_documented_ones(void **state)
{
    static const uint8_t want[] = "\x13\x00"
                                  "\x03\x00\x00\x00"
                                  "ann"
                                  "\xe8\x03\0\0\0\0\0\0"
                                  "\x08\x07\x06\x05\x04\x03\x02\x01"
                                  "\0\0\0\0"
                                  "\x02\0\0\0"
                                  "/h"
                                  "\x07\0\0\0"
                                  "/bin/sh"
                                  "\x03\0\0\0"
                                  "nss"
                                  "\x4d\0\0\0\0\0\0\0";
    struct record r = some_user();
    struct buf b = BUF_INIT(1000);
    struct buf scratch = BUF_INIT(REC_BODY_MAX);
    uint8_t key[16];

    (void)state;
    rec_canonical(&r, REC_CANONICAL_ID | REC_CANONICAL_AT | REC_CANONICAL_FX | REC_CANONICAL_FIRST_SEEN, &b);
    assert_int_equal(b.len, sizeof(want) - 1);
    assert_memory_equal(b.data, want, b.len);
    buf_reset(&b);
    rec_canonical(&r, REC_CANONICAL_ID, &b);
    assert_int_equal(b.len, 2 + 4 + 3 + 8);
    for (uint8_t i = 0; i < 16; i++) {
        key[i] = i;
    }
    assert_true(rec_hash(&r, key, &scratch) == UINT64_C(0x165603d296887a1b));
    buf_free(&b);
    buf_free(&scratch);
}

static void the_hash_covers_identity_and_attributes_and_nothing_else(void **state)
{
    static const uint8_t key[16] = { 1 };
    struct buf scratch = BUF_INIT(REC_BODY_MAX);
    struct record r = { .kind = REC_KIND(REC_PROCESS, REC_START) };
    struct record other;
    uint64_t hash = rec_hash(&r, key, &scratch);

    (void)state;
    other = r;
    other.kind = REC_KIND(REC_PROCESS, REC_END);
    other.process.iv = (struct rec_interval){ 1, 2, 3, 4, 5, 6 };
    other.process.ppid = 1;
    other.process.parent_known = 1;
    other.process.exit_status = 9;
    other.process.cpu_us = 9;
    assert_true(rec_hash(&other, key, &scratch) == hash);
    assert_true(rec_same_attributes(&r, &other));
    other.process.ns_cgroup = 1;
    assert_true(rec_hash(&other, key, &scratch) != hash);
    assert_false(rec_same_attributes(&r, &other));
    other = r;
    other.process.pid = 1;
    assert_true(rec_hash(&other, key, &scratch) != hash);
    assert_true(rec_same_attributes(&r, &other));
    other = r;
    other.process.command = slice_str("x");
    other.process.exe = slice_str("");
    hash = rec_hash(&other, key, &scratch);
    other.process.command = slice_str("");
    other.process.exe = slice_str("x"); /* where one text ends and the next begins is in the bytes */
    assert_true(rec_hash(&other, key, &scratch) != hash);
    buf_free(&scratch);
}

static void the_largest_record_fits_the_scratch(void **state)
{
    struct buf scratch = BUF_INIT(REC_BODY_MAX);
    struct record r = { .kind = REC_KIND(REC_PROCESS, REC_START) };

    (void)state;
    r.process.arguments = slice_of(big, REC_ARGUMENTS_MAX);
    r.process.command = r.process.exe = r.process.cwd = r.process.cgroup = r.process.container =
        slice_of(big, REC_TEXT_MAX);
    (void)rec_hash(&r, big, &scratch);
    assert_int_equal(scratch.err, 0);
    buf_free(&scratch);
}

static int sign(int v)
{
    return (v > 0) - (v < 0);
}

static void slots_are_ordered_by_entity_then_field_by_field(void **state)
{
    struct record list[] = {
        { .kind = REC_TICK },
        { .kind = REC_KIND(REC_PROCESS, REC_START), .process = { .pid = 2, .start_jiffies = 1 } },
        { .kind = REC_KIND(REC_PROCESS, REC_END), .process = { .pid = 2, .start_jiffies = 256 } },
        { .kind = REC_KIND(REC_PROCESS, REC_SIGHT), .process = { .pid = 300 } },
        { .kind = REC_KIND(REC_FILE, REC_START), .file = { .pid = 1 } },
        { .kind = REC_KIND(REC_USER, REC_START), .user = { .name = slice_str("a"), .uid = 9 } },
        { .kind = REC_KIND(REC_USER, REC_START), .user = { .name = slice_str("aa"), .uid = 1 } },
        { .kind = REC_KIND(REC_USER, REC_START), .user = { .name = slice_str("b") } },
    };

    (void)state;
    for (int i = 0; i < (int)pofr_countof(list); i++) {
        for (int j = 0; j < (int)pofr_countof(list); j++) {
            assert_int_equal(sign(rec_compare_id(&list[i], &list[j])), sign(i - j));
        }
    }
}

/* --- names and print ------------------------------------------------------------------------------ */

static void kinds_entities_and_enums_have_names(void **state)
{
    (void)state;
    assert_string_equal(rec_kind_name(REC_KIND(REC_PROCESS, REC_START)), "process.start");
    assert_string_equal(rec_kind_name(REC_KIND(REC_COVERAGE, REC_END)), "coverage.end");
    assert_string_equal(rec_kind_name(REC_RECORDER), "recorder");
    assert_string_equal(rec_kind_name(REC_STRING), "string");
    assert_null(rec_kind_name(0));
    assert_null(rec_kind_name(REC_KIND(REC_PROCESS, 3)));
    assert_null(rec_kind_name(UINT32_MAX));
    assert_string_equal(rec_entity_name(REC_NETROUTE), "netroute");
    assert_null(rec_entity_name(15));
    assert_string_equal(rec_end_source_name(REC_END_CLOSE), "close");
    assert_string_equal(rec_end_source_name(REC_END_RETIRED), "retired");
    assert_string_equal(rec_end_source_name(REC_END_UNKNOWN), "unknown");
    assert_string_equal(rec_end_source_name(999), "unknown");
    assert_string_equal(rec_gap_kind_name(REC_GAP_STATE), "state");
    assert_string_equal(rec_gap_kind_name(0), "unknown");
    assert_string_equal(rec_gap_kind_name(999), "unknown");
    assert_string_equal(rec_file_kind_name(REC_FILE_ANONYMOUS), "anonymous");
    assert_string_equal(rec_file_kind_name(999), "unknown");
}

static void print_escapes_bytes_and_leaves_out_what_is_empty(void **state)
{
    struct record r = some_user();
    struct buf b = BUF_INIT(1000);

    (void)state;
    r.user.home = slice_of("a\"\\\n\xff\0", 6);
    r.iv.hash = 0xabc;
    r.unknown_fields = 2;
    rec_print(&r, &b);
    assert_slice_str(buf_slice(&b),
                     "user.end first_seen=77 last_seen=0 ended=0 hash=0000000000000abc name=\"ann\" uid=1000 "
                     "gid=72623859790382856 home=\"a\\x22\\x5c\\x0a\\xff\\x00\" shell=\"/bin/sh\" origin=\"nss\" "
                     "unknown_fields=2");
    buf_reset(&b);
    rec_print(&(struct record){ .kind = 500, .unknown = true }, &b);
    assert_slice_str(buf_slice(&b), "unknown kind=500");
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical_bytes_are_the_documented_ones),
        cmocka_unit_test(the_hash_covers_identity_and_attributes_and_nothing_else),
        cmocka_unit_test(the_largest_record_fits_the_scratch),
        cmocka_unit_test(slots_are_ordered_by_entity_then_field_by_field),
        cmocka_unit_test(kinds_entities_and_enums_have_names),
        cmocka_unit_test(print_escapes_bytes_and_leaves_out_what_is_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
