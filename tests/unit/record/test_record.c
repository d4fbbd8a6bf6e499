/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/record/record.h"

#include "tests/support/check.h"
#include "tests/support/mutate.h"

#include "common/base/err.h"
#include "tests/support/random_record.h"

#define BOOT_US 5000000000U

static const struct rec_keyframe all_processes = { .entity = REC_PROCESS, .high = UINT32_MAX - 1 };
static const struct rec_keyframe all_sockets = { .entity = REC_SOCKET, .high = UINT64_MAX, .high_cookie = UINT64_MAX };
static const struct rec_keyframe all_facts = { .entity = REC_USER };

static const struct rec_keyframe *part_of(unsigned entity)
{
    return entity == REC_PROCESS || entity == REC_FILE ? &all_processes
           : entity == REC_SOCKET                      ? &all_sockets
                                                       : &all_facts;
}

static struct record tick_at(uint64_t boot_us)
{
    return (struct record){ .kind = REC_TICK, .tick = { .boot_us = boot_us, .wall_us = 1 } };
}

static struct record keyframe_of(const struct rec_keyframe *part)
{
    struct record r = { .kind = REC_KEYFRAME, .keyframe = *part };

    r.keyframe.hash_key = slice_str("0123456789abcdef");
    return r;
}

static struct rec_encoder *new_encoder(void)
{
    struct rec_encoder *e = NULL;

    assert_int_equal(rec_encoder_new(&e), 0);
    return e;
}

static void put(struct rec_encoder *e, const struct record *r)
{
    assert_int_equal(rec_put(e, r), 0);
}

static void put_tick(struct rec_encoder *e, uint64_t boot_us)
{
    struct record r = tick_at(boot_us);

    put(e, &r);
}

/* Read all; returns the end's code and how many records came. */
static int read_all(struct slice payload, uint64_t *out_records, struct rec_decoder *d, struct arena *arena)
{
    struct record r;
    int rc;

    rec_decoder_init(d, payload, arena);
    while ((rc = rec_next(d, &r)) == 1) {
    }
    *out_records = d->records;
    return rc;
}

static int code_of(struct slice payload)
{
    struct arena arena;
    struct rec_decoder d;
    uint64_t n;
    int rc;

    arena_init(&arena, REC_ARENA_MAX);
    rc = read_all(payload, &n, &d, &arena);
    arena_free(&arena);
    return rc;
}

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_comes_back_with_all_none_and_some_fields_set),
    };
    (void)code_of;

    return cmocka_run_group_tests(tests, NULL, NULL);
}
