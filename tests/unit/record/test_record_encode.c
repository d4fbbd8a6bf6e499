/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/record/payload.h"

/* --- round trips ---------------------------------------------------------------------------------- */

static bool may_stand_in_keyframe(unsigned entity)
{
    return entity != REC_COVERAGE;
}

/* One record of kind, behind a tick and, for a SIGHT, in a part; decoded, it must be what was put. */
static void round_trip(struct random *random, uint32_t kind, unsigned percent)
{
    struct rec_encoder *e = new_encoder();
    struct arena arena;
    struct rec_decoder d;
    struct record want, got;
    bool sight = rec_kind_is_entity(kind) && kind % 4 == REC_SIGHT;
    const struct rec_keyframe *part = sight ? part_of(kind / 4) : NULL;

    arena_init(&arena, REC_ARENA_MAX);
    put_tick(e, BOOT_US);
    if (part) {
        struct record k = keyframe_of(part);

        put(e, &k);
    }
    random_record(random, kind, BOOT_US + (kind == REC_TICK), percent, part, &want);
    if (sight && !may_stand_in_keyframe(kind / 4)) {
        assert_int_equal(rec_put(e, &want), POFR_EFORMAT);
        rec_encoder_free(e);
        return;
    }
    put(e, &want);
    assert_int_equal(rec_encoder_count(e, kind), 1 + (kind == REC_TICK));
    rec_decoder_init(&d, rec_encoder_payload(e), &arena);
    assert_int_equal(rec_next(&d, &got), 1);
    assert_int_equal(got.kind, REC_TICK);
    if (part) {
        assert_int_equal(rec_next(&d, &got), 1);
    }
    assert_int_equal(rec_next(&d, &got), 1);
    assert_true(random_record_equal(&want, &got));
    assert_int_equal(got.unknown_fields, 0);
    assert_int_equal(rec_next(&d, &got), 0);
    assert_int_equal(rec_next(&d, &got), 0);
    arena_free(&arena);
    rec_encoder_free(e);
}

static void every_kind_comes_back_with_all_none_and_some_fields_set(void **state)
{
    static const unsigned percents[] = { 0, 100, 50, 10, 90 };
    struct random random = { 1 };
    unsigned kinds = 0;

    (void)state;
    for (uint32_t kind = 0; (kind = random_record_kind(kinds)) != 0; kinds++) {
        for (size_t i = 0; i < pofr_countof(percents); i++) {
            for (int n = 0; n < 20; n++) {
                round_trip(&random, kind, percents[i]);
            }
        }
    }
    assert_int_equal(kinds, 6 + 11 * 3);
}

static void a_long_payload_comes_back_and_says_no_string_twice(void **state)
{
    struct random random = { 2 };
    struct rec_encoder *e = new_encoder();
    struct record *want = calloc(3000, sizeof(*want));
    struct arena arena;
    struct rec_decoder d;
    struct record got;
    size_t n = 0;
    uint64_t boot_us = 0;

    (void)state;
    assert_non_null(want);
    arena_init(&arena, REC_ARENA_MAX);
    while (n < 3000) {
        uint32_t kind = n % 100 == 0 ? REC_TICK : random_record_kind((unsigned)random_below(&random, 39));

        if ((rec_kind_is_entity(kind) && kind % 4 == REC_SIGHT) || kind == REC_KEYFRAME ||
            (kind == REC_TICK && n % 100)) {
            continue;
        }
        boot_us += kind == REC_TICK ? 1 + random_below(&random, 1000000) : 0;
        random_record(&random, kind, boot_us, 50, NULL, &want[n]);
        put(e, &want[n++]);
    }
    rec_decoder_init(&d, rec_encoder_payload(e), &arena);
    for (n = 0; n < 3000; n++) {
        assert_int_equal(rec_next(&d, &got), 1);
        assert_true(random_record_equal(&want[n], &got));
        assert_true(d.tick.boot_us <= boot_us);
    }
    assert_int_equal(rec_next(&d, &got), 0);
    assert_int_equal(d.records, 3000);
    for (uint32_t i = 0; i < d.strings_count; i++) {
        assert_false(slice_empty(d.strings[i]));
        for (uint32_t j = i + 1; j < d.strings_count; j++) {
            assert_false(slice_eq(d.strings[i], d.strings[j]));
        }
    }
    arena_free(&arena);
    free(want);
    rec_encoder_free(e);
}

static void a_reset_encoder_writes_what_a_new_one_writes(void **state)
{
    struct rec_encoder *used = new_encoder(), *fresh = new_encoder();
    struct record r = { .kind = REC_KIND(REC_USER, REC_START) };

    (void)state;
    for (int i = 0; i < 3; i++) {
        char name[32];

        put_tick(used, BOOT_US);
        for (int n = 0; n < 30000; n++) {
            (void)snprintf(name, sizeof(name), "%d.%d", i, n);
            r.user.name = slice_str(name);
            put(used, &r);
        }
        assert_int_equal(rec_encoder_count(used, r.kind), 30000);
        rec_encoder_reset(used);
        assert_int_equal(rec_encoder_count(used, r.kind), 0);
        assert_int_equal(rec_encoder_bytes(used), 0);
    }
    r.user.name = slice_str("0.0");
    assert_int_equal(rec_put(used, &r), POFR_EFORMAT); /* a tick comes first, again */
    put_tick(used, 1);
    put_tick(fresh, 1);
    put(used, &r);
    put(fresh, &r);
    assert_true(slice_eq(rec_encoder_payload(used), rec_encoder_payload(fresh)));
    rec_encoder_free(used);
    rec_encoder_free(fresh);
}

/* --- limits --------------------------------------------------------------------------------------- */

static void what_is_too_big_leaves_no_trace(void **state)
{
    struct rec_encoder *e = new_encoder();
    struct record r = { .kind = REC_KIND(REC_PROCESS, REC_START) };
    struct buf before = BUF_INIT(1U << 20);

    (void)state;
    put_tick(e, 10);
    r.process.command = slice_str("a new string");
    r.process.arguments = slice_of(big, REC_ARGUMENTS_MAX + 1);
    buf_append(&before, rec_encoder_payload(e));
    assert_int_equal(rec_put(e, &r), POFR_ETOOBIG);
    assert_true(slice_eq(buf_slice(&before), rec_encoder_payload(e)));
    r.process.arguments = slice_of(big, REC_ARGUMENTS_MAX);
    r.process.exe = slice_of(big, REC_TEXT_MAX + 1);
    assert_int_equal(rec_put(e, &r), POFR_ETOOBIG);
    assert_true(slice_eq(buf_slice(&before), rec_encoder_payload(e)));
    assert_int_equal(rec_encoder_count(e, r.kind), 0);
    r.process.exe = slice_of(big, REC_TEXT_MAX);
    put(e, &r);
    assert_int_equal(code_of(rec_encoder_payload(e)), 0);
    buf_free(&before);
    rec_encoder_free(e);
}

static void a_payload_never_grows_over_its_limit(void **state)
{
    struct rec_encoder *e = new_encoder();
    struct record r = { .kind = REC_KIND(REC_PROCESS, REC_START) };
    int rc = 0;
    size_t n = 0;

    (void)state;
    put_tick(e, 10);
    for (; rc == 0; n++) {
        memcpy(big, &n, sizeof(n));
        r.process.arguments = slice_of(big, REC_ARGUMENTS_MAX);
        rc = rec_put(e, &r);
    }
    assert_int_equal(rc, POFR_ETOOBIG);
    assert_true(n > REC_PAYLOAD_MAX / REC_ARGUMENTS_MAX - 2);
    assert_true(rec_encoder_bytes(e) <= REC_PAYLOAD_MAX);
    r.process.arguments = SLICE_EMPTY; /* a small one still goes in */
    put(e, &r);
    assert_int_equal(code_of(rec_encoder_payload(e)), 0);
    rec_encoder_free(e);
}

static void there_are_not_more_records_than_the_limit(void **state)
{
    struct rec_encoder *e = new_encoder();
    struct record r = { .kind = REC_KIND(REC_COVERAGE, REC_START), .coverage = { .iv = { .first_seen = 10 } } };

    (void)state;
    put_tick(e, 10);
    for (uint32_t n = 1; n < REC_RECORDS_MAX; n++) {
        put(e, &r);
    }
    assert_int_equal(rec_put(e, &r), POFR_ETOOBIG);
    assert_int_equal(code_of(rec_encoder_payload(e)), 0);
    rec_encoder_free(e);
}

/* --- moments -------------------------------------------------------------------------------------- */

static void moments_after_the_tick_are_the_tick_and_left_out_ones_too(void **state)
{
    struct rec_encoder *e = new_encoder();
    struct record r = { .kind = REC_KIND(REC_FILE, REC_END) };
    struct arena arena;
    struct rec_decoder d;
    struct record got;

    (void)state;
    arena_init(&arena, REC_ARENA_MAX);
    put_tick(e, 1000);
    r.file.iv = (struct rec_interval){ .first_seen = 0, .last_seen = 999, .ended = 5000 };
    put(e, &r);
    r.kind = REC_KIND(REC_FILE, REC_START);
    r.file.iv.first_seen = UINT64_MAX;
    put(e, &r);
    rec_decoder_init(&d, rec_encoder_payload(e), &arena);
    assert_int_equal(rec_next(&d, &got), 1);
    assert_int_equal(rec_next(&d, &got), 1);
    assert_int_equal(got.iv.first_seen, 0);
    assert_int_equal(got.iv.last_seen, 999);
    assert_int_equal(got.iv.ended, 1000);
    assert_int_equal(rec_next(&d, &got), 1);
    assert_int_equal(got.iv.first_seen, 1000);
    assert_int_equal(got.iv.last_seen, 0); /* START does not carry it */
    arena_free(&arena);
    rec_encoder_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_comes_back_with_all_none_and_some_fields_set),
        cmocka_unit_test(a_long_payload_comes_back_and_says_no_string_twice),
        cmocka_unit_test(a_reset_encoder_writes_what_a_new_one_writes),
        cmocka_unit_test(what_is_too_big_leaves_no_trace),
        cmocka_unit_test(a_payload_never_grows_over_its_limit),
        cmocka_unit_test(there_are_not_more_records_than_the_limit),
        cmocka_unit_test(moments_after_the_tick_are_the_tick_and_left_out_ones_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
