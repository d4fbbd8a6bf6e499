/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/record/payload.h"

/* --- what is refused ------------------------------------------------------------------------------ */

static void what_contradicts_the_format_is_refused(void **state)
{
    static const struct {
        const char *payload;
        int code;
        const char *why;
    } cases[] = {
        { "", 0, "nothing" },
        { "!", 0, "a tick" },
        { "03 02 04", POFR_ETRUNCATED, "ends inside a record" },
        { "80", POFR_ETRUNCATED, "ends inside the length" },
        { "00", POFR_EFORMAT, "no kind" },
        { "! 8100 40", POFR_EFORMAT, "length longer than needed" },
        { "ffffffffff01", POFR_ETOOBIG, "length over every limit" },
        { "! 06 ffffffff7f 00", POFR_EFORMAT, "kind over 32 bits" },
        { "01 40", POFR_EFORMAT, "an entity before the first tick" },
        { "01 06", POFR_EFORMAT, "a single before the first tick" },
        { "02 01 61", 0, "a string before the first tick" },
        { "02 09 61", 0, "an unknown kind before the first tick" },
        { "! !", POFR_EFORMAT, "the clock stands still" },
        { "! 03 02 04 63", POFR_EFORMAT, "the clock goes back" },
        { "! 03 02 04 65", 0, "the clock goes on" },
        { "01 02", 0, "a tick at 0" },
        { "! 05 40 40 01 44 05", 0, "two fields in order" },
        { "! 05 40 44 05 40 01", POFR_EFORMAT, "fields out of order" },
        { "! 05 40 40 01 40 01", POFR_EFORMAT, "a field twice" },
        { "! 03 40 00 01", POFR_EFORMAT, "field number 0" },
        { "! 03 40 41 01", POFR_EFORMAT, "another wire type" },
        { "! 02 40 40", POFR_EFORMAT, "no value" },
        { "! 04 40 40 80 00", POFR_EFORMAT, "a value longer than needed" },
        { "! 04 40 40 80 80", POFR_EFORMAT, "a value that does not end" },
        { "! 0d 40 40 ff ff ff ff ff ff ff ff ff 01", POFR_ETRUNCATED, "shorter than it says" },
        { "! 0c 40 40 ff ff ff ff ff ff ff ff ff 01", 0, "64 bits" },
        { "! 0c 40 40 ff ff ff ff ff ff ff ff ff 02", POFR_EFORMAT, "65 bits" },
        { "! 04 40 88 01 01", POFR_EFORMAT, "a string index not yet defined" },
        { "! 02 01 61 04 40 88 01 01", 0, "a string index" },
        { "! 02 01 61 04 40 88 01 02", POFR_EFORMAT, "the next index" },
        { "! 04 40 88 01 00", 0, "the empty string" },
        { "! 03 40 04 64", 0, "first seen at 0" },
        { "! 03 40 04 65", POFR_EFORMAT, "a moment before the boot" },
        { "! 03 42 40 05", POFR_EFORMAT, "a sight outside of a keyframe" },
        { "! 05 41 04 05 10 06", POFR_EFORMAT, "ended before it was first seen" },
        { "! 05 41 04 05 10 05", POFR_EFORMAT, "last seen after its end" },
        { "! 07 41 04 05 0c 05 10 05", 0, "an end as long as nothing" },
        { "! 07 41 04 05 0c 06 10 05", POFR_EFORMAT, "last seen before it was first seen" },
        { "! 05 04 04 05 08 06", POFR_EFORMAT, "a gap that ends before it begins" },
        { "! 02 05 05", POFR_EFORMAT, "a field without value" },
        { "! 01 05", POFR_EFORMAT, "no public key" },
        { "! 05 05 06 02 61 61", POFR_EFORMAT, "a short public key" },
        { "! 04 04 1a 01 61", POFR_EFORMAT, "a short digest" },
        { "! 01 03", POFR_EFORMAT, "a keyframe without key" },
    };

    (void)state;
    for (size_t i = 0; i < pofr_countof(cases); i++) {
        struct buf b = BUF_INIT(1000);
        int code;

        bytes_of(cases[i].payload, &b);
        code = code_of(buf_slice(&b));
        if (code != cases[i].code) {
            fail_msg("%s (%s): %d, not %d", cases[i].payload, cases[i].why, code, cases[i].code);
        }
        buf_free(&b);
    }
}

static int put_two(const struct record *a, const struct record *b)
{
    struct rec_encoder *e = new_encoder();
    int rc;

    put_tick(e, BOOT_US);
    put(e, a);
    rc = rec_put(e, b);
    rec_encoder_free(e);
    return rc;
}

static void a_sight_lies_in_the_range_of_its_part(void **state)
{
    struct rec_keyframe pids = { .entity = REC_PROCESS, .low = 10, .high = 20 };
    struct rec_keyframe cookies = { .entity = REC_SOCKET, .low = 5, .low_cookie = 7, .high = 6, .high_cookie = 3 };
    struct rec_keyframe last = { .entity = REC_PROCESS, .low = 0, .high = UINT32_MAX };
    struct record k = keyframe_of(&pids), s = keyframe_of(&cookies), facts = keyframe_of(&all_facts),
                  l = keyframe_of(&last);
    struct record p = { .kind = REC_KIND(REC_PROCESS, REC_SIGHT) };
    struct record f = { .kind = REC_KIND(REC_FILE, REC_SIGHT) };
    struct record c = { .kind = REC_KIND(REC_SOCKET, REC_SIGHT) };
    struct record u = { .kind = REC_KIND(REC_LOGIN, REC_SIGHT) };
    static const struct {
        uint64_t pid;
        int code;
    } pid_cases[] = { { 9, POFR_EFORMAT }, { 10, 0 }, { 20, 0 }, { 21, POFR_EFORMAT } };
    static const struct {
        uint64_t netns, cookie;
        int code;
    } cookie_cases[] = {
        { 4, 100, POFR_EFORMAT }, { 5, 6, POFR_EFORMAT }, { 5, 7, 0 }, { 5, UINT64_MAX, 0 }, { 6, 0, 0 }, { 6, 3, 0 },
        { 6, 4, POFR_EFORMAT },   { 7, 0, POFR_EFORMAT }
    };

    (void)state;
    for (size_t i = 0; i < pofr_countof(pid_cases); i++) {
        p.process.pid = pid_cases[i].pid;
        assert_int_equal(put_two(&k, &p), pid_cases[i].code);
        f.file.pid = pid_cases[i].pid;
        assert_int_equal(put_two(&k, &f), pid_cases[i].code);
    }
    for (size_t i = 0; i < pofr_countof(cookie_cases); i++) {
        c.socket.netns = cookie_cases[i].netns;
        c.socket.cookie = cookie_cases[i].cookie;
        assert_int_equal(put_two(&s, &c), cookie_cases[i].code);
    }
    assert_int_equal(put_two(&facts, &u), 0);
    assert_int_equal(put_two(&k, &u), POFR_EFORMAT);
    p.process.pid = 15;
    assert_int_equal(put_two(&facts, &p), POFR_EFORMAT);
    p.process.pid = UINT32_MAX - 1;
    assert_int_equal(put_two(&l, &p), 0);
    p.process.pid = UINT32_MAX;
    assert_int_equal(put_two(&l, &p), POFR_EFORMAT);
    k.keyframe.low = 21;
    assert_int_equal(put_two(&facts, &k), POFR_EFORMAT);
    s.keyframe.high = 5;
    assert_int_equal(put_two(&facts, &s), POFR_EFORMAT);
}

static void after_a_keyframe_nothing_begins_or_ends_in_its_tick(void **state)
{
    struct record k = keyframe_of(&all_processes);
    struct record start = { .kind = REC_KIND(REC_FILE, REC_START) };
    struct record coverage = { .kind = REC_KIND(REC_COVERAGE, REC_END) };
    struct record later = tick_at(BOOT_US + 1);
    struct rec_encoder *e = new_encoder();

    (void)state;
    assert_int_equal(put_two(&k, &start), POFR_EFORMAT);
    assert_int_equal(put_two(&k, &coverage), 0);
    put_tick(e, BOOT_US);
    put(e, &k);
    put(e, &later);
    put(e, &start);
    start.kind = REC_KIND(REC_FILE, REC_SIGHT); /* the part went with its tick */
    assert_int_equal(rec_put(e, &start), POFR_EFORMAT);
    rec_encoder_free(e);
}

static void a_pid_stands_once_in_a_part_and_again_in_the_next(void **state)
{
    struct rec_encoder *e = new_encoder();
    struct record k = keyframe_of(&all_processes);
    struct record p = { .kind = REC_KIND(REC_PROCESS, REC_SIGHT) };

    (void)state;
    put_tick(e, BOOT_US);
    for (int part = 0; part < 2; part++) {
        put(e, &k);
        for (uint64_t pid = 0; pid < 2000; pid++) {
            p.process.pid = pid * 7919 % 2000; /* in no order */
            put(e, &p);
        }
    }
    assert_int_equal(code_of(rec_encoder_payload(e)), 0);
    p.process.pid = 1234;
    p.process.start_jiffies = 1; /* another process, but one pid */
    put(e, &p);
    assert_int_equal(code_of(rec_encoder_payload(e)), POFR_EFORMAT);
    rec_encoder_free(e);
}

static void texts_over_their_limit_are_refused_where_they_are_used(void **state)
{
    struct buf b = BUF_INIT(1U << 20);

    (void)state;
    bytes_of("!", &b);
    buf_varint(&b, 1 + REC_TEXT_MAX + 1);
    buf_u8(&b, REC_STRING);
    buf_bytes(&b, big, REC_TEXT_MAX + 1);
    assert_int_equal(code_of(buf_slice(&b)), 0);
    bytes_of("04 40 9c01 01", &b); /* arguments */
    assert_int_equal(code_of(buf_slice(&b)), 0);
    bytes_of("04 40 8801 01", &b); /* command */
    assert_int_equal(code_of(buf_slice(&b)), POFR_ETOOBIG);

    buf_reset(&b);
    buf_varint(&b, 1 + REC_STRING_MAX + 1);
    buf_u8(&b, REC_STRING);
    buf_bytes(&b, big, REC_STRING_MAX + 1);
    assert_int_equal(code_of(buf_slice(&b)), POFR_ETOOBIG);

    buf_reset(&b);
    bytes_of("!", &b);
    buf_varint(&b, 1 + 1 + 2 + REC_BYTES_MAX + 1);
    buf_u8(&b, REC_GAP);
    buf_u8(&b, 0x1a);
    buf_varint(&b, REC_BYTES_MAX + 1);
    buf_bytes(&b, big, REC_BYTES_MAX + 1);
    assert_int_equal(code_of(buf_slice(&b)), POFR_ETOOBIG);
    buf_free(&b);
}

/* A kilobyte of payload could otherwise be 32 GB of rows: one string of 128 KiB, and a quarter of a million records that name it. */
static void what_one_string_can_swell_to_has_a_limit(void **state)
{
    const unsigned fit = REC_TEXTS_MAX / REC_ARGUMENTS_MAX;
    struct record r = { .kind = REC_KIND(REC_PROCESS, REC_START), .entity = REC_PROCESS, .verb = REC_START };
    struct rec_encoder *e = new_encoder();
    struct buf one_more = BUF_INIT(REC_PAYLOAD_MAX);
    size_t before;

    (void)state;
    r.process.arguments = slice_of(big, REC_ARGUMENTS_MAX);
    put_tick(e, BOOT_US);
    for (unsigned i = 0; i < fit; i++) {
        r.process.pid = i + 1;
        before = rec_encoder_bytes(e);
        put(e, &r);
    }
    assert_true(rec_encoder_text(e) == REC_TEXTS_MAX);
    assert_int_equal(code_of(rec_encoder_payload(e)), 0);
    buf_append(&one_more, rec_encoder_payload(e));
    buf_append(&one_more, slice_sub(rec_encoder_payload(e), before, SIZE_MAX));
    assert_int_equal(code_of(buf_slice(&one_more)), POFR_ETOOBIG);
    assert_int_equal(rec_put(e, &r), POFR_ETOOBIG);
    r.process.arguments = SLICE_EMPTY;
    put(e, &r); /* it was taken back whole */
    assert_int_equal(code_of(rec_encoder_payload(e)), 0);
    buf_free(&one_more);
    rec_encoder_free(e);
}

static void the_error_stays(void **state)
{
    struct buf b = BUF_INIT(100);
    struct arena arena;
    struct rec_decoder d;
    struct record r;

    (void)state;
    arena_init(&arena, REC_ARENA_MAX);
    bytes_of("! 00 !", &b);
    rec_decoder_init(&d, buf_slice(&b), &arena);
    assert_int_equal(rec_next(&d, &r), 1);
    assert_int_equal(rec_next(&d, &r), POFR_EFORMAT);
    assert_int_equal(rec_next(&d, &r), POFR_EFORMAT);
    assert_int_equal(d.records, 1);
    arena_free(&arena);
    buf_free(&b);
}

static void a_small_arena_bounds_what_a_payload_can_cost(void **state)
{
    struct buf b = BUF_INIT(1U << 20);
    struct arena arena;
    struct rec_decoder d;
    uint64_t n;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        bytes_of("01 01", &b);
    }
    arena_init(&arena, 100000);
    assert_int_equal(read_all(buf_slice(&b), &n, &d, &arena), POFR_ETOOBIG);
    arena_free(&arena);
    buf_free(&b);
}

/* --- unknown kinds and fields --------------------------------------------------------------------- */

static void what_a_newer_version_wrote_is_skipped_and_counted(void **state)
{
    struct buf b = BUF_INIT(1000);
    struct arena arena;
    struct rec_decoder d;
    struct record r;

    (void)state;
    arena_init(&arena, REC_ARENA_MAX);
    bytes_of("! 04 3f 01 02 03", &b); /* single 63 */
    bytes_of("02 6c ff 01 43", &b);   /* entity 27; verb 3 of process */
    bytes_of("1d 40 40 07 bc02 01 c102 02 c602 03 010203 cb02 0807060504030201 f8ff03 00", &b);
    bytes_of("05 40 18 05 40 08", &b); /* hash, which a START does not carry */
    rec_decoder_init(&d, buf_slice(&b), &arena);
    assert_int_equal(rec_next(&d, &r), 1);
    for (int i = 0; i < 3; i++) {
        static const uint32_t kinds[] = { 63, 108, 67 };

        assert_int_equal(rec_next(&d, &r), 1);
        assert_true(r.unknown);
        assert_int_equal(r.kind, kinds[i]);
        assert_int_equal(r.entity, 0);
        assert_null(rec_kind_name(r.kind));
    }
    assert_int_equal(rec_next(&d, &r), 1);
    assert_int_equal(r.kind, REC_KIND(REC_PROCESS, REC_START));
    assert_int_equal(r.process.pid, 7);
    assert_int_equal(r.unknown_fields, 5);
    assert_int_equal(rec_next(&d, &r), 1);
    assert_int_equal(r.process.pid, 8);
    assert_int_equal(r.unknown_fields, 1);
    assert_int_equal(r.iv.hash, 0);
    assert_int_equal(rec_next(&d, &r), 0);
    assert_int_equal(d.unknown_kinds, 3);
    assert_int_equal(d.unknown_fields, 6);
    arena_free(&arena);
    buf_free(&b);
}

/* --- damage --------------------------------------------------------------------------------------- */

struct damage {
    size_t good;
    size_t boundaries;
};

static void read_damaged(struct slice mutant, const char *what, size_t at, void *arg)
{
    struct damage *damage = arg;
    int code = code_of(mutant);

    (void)at;
    assert_true(code == 0 || code == POFR_ETRUNCATED || code == POFR_EFORMAT || code == POFR_ETOOBIG);
    damage->good += code == 0;
    if (what[0] == 'c') {
        assert_true(code == 0 || code == POFR_ETRUNCATED);
        damage->boundaries += code == 0;
    }
}

static void no_damage_is_read_beyond_its_end(void **state)
{
    struct random random = { 3 };
    struct rec_encoder *e = new_encoder();
    struct damage damage = { 0 };
    struct record r;
    size_t records = 1;

    (void)state;
    put_tick(e, BOOT_US);
    for (unsigned i = 0; i < 39; i++) {
        uint32_t kind = random_record_kind(i);

        if (kind != REC_TICK && kind != REC_KEYFRAME && !(rec_kind_is_entity(kind) && kind % 4 == REC_SIGHT)) {
            random_record(&random, kind, BOOT_US, 30, NULL, &r);
            put(e, &r);
            records++;
        }
    }
    r = keyframe_of(&all_processes);
    put(e, &r);
    random_record(&random, REC_KIND(REC_PROCESS, REC_SIGHT), BOOT_US, 90, &all_processes, &r);
    put(e, &r);
    records += 2;
    assert_true(mutate_each(rec_encoder_payload(e), read_damaged, &damage) == rec_encoder_bytes(e) * 9);
    assert_true(damage.boundaries >= records);
    rec_encoder_free(e);
}

static void random_bytes_are_read_to_an_end(void **state)
{
    struct random random = { 4 };

    (void)state;
    for (int i = 0; i < 20000; i++) {
        uint8_t bytes[64];
        size_t len = random_below(&random, sizeof(bytes));

        for (size_t n = 0; n < len; n++) {
            bytes[n] = (uint8_t)(random_u64(&random) >> random_below(&random, 8));
        }
        assert_true(code_of(slice_of(bytes, len)) <= 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_contradicts_the_format_is_refused),
        cmocka_unit_test(a_sight_lies_in_the_range_of_its_part),
        cmocka_unit_test(after_a_keyframe_nothing_begins_or_ends_in_its_tick),
        cmocka_unit_test(a_pid_stands_once_in_a_part_and_again_in_the_next),
        cmocka_unit_test(texts_over_their_limit_are_refused_where_they_are_used),
        cmocka_unit_test(what_one_string_can_swell_to_has_a_limit),
        cmocka_unit_test(the_error_stays),
        cmocka_unit_test(a_small_arena_bounds_what_a_payload_can_cost),
        cmocka_unit_test(what_a_newer_version_wrote_is_skipped_and_counted),
        cmocka_unit_test(no_damage_is_read_beyond_its_end),
        cmocka_unit_test(random_bytes_are_read_to_an_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
