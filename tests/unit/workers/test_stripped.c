/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "workers/stripped.h"

#include <string.h>

#include "tests/support/check.h"

static const struct slice told = { (const uint8_t *)"nmap\0-P0", 9 };

static struct record process(unsigned verb, uint64_t pid, uint64_t first_seen)
{
    struct record r = { .kind = REC_KIND(REC_PROCESS, verb), .entity = REC_PROCESS, .verb = (uint8_t)verb };

    r.process.pid = pid;
    r.iv.first_seen = first_seen;
    return r;
}

static struct record start_of(uint64_t pid, uint64_t first_seen)
{
    struct record r = process(REC_START, pid, first_seen);

    r.process.arguments = told;
    r.process.arguments_cut = 1;
    return r;
}

static struct record stripped_end_of(uint64_t pid, uint64_t first_seen)
{
    struct record r = process(REC_END, pid, first_seen);

    r.process.unreadable = REC_UNREADABLE_ARGUMENTS | REC_UNREADABLE_CWD;
    r.process.exit_known = 1;
    return r;
}

/* What the END at index end is once all of them were seen to. */
static const struct record *mended(struct arena *arena, const struct record *records, size_t count, size_t end,
                                   size_t left)
{
    struct decoded d = { 0 };

    arena_init(arena, 1 << 20);
    d.records = arena_array(arena, count, sizeof(*d.records));
    assert_non_null(d.records);
    for (d.count = 0; d.count < count; d.count++) {
        d.records[d.count] = (struct decoded_record){ &records[d.count], 0 };
        d.stripped_ends += stripped_is(&records[d.count]);
    }
    assert_int_equal(stripped_mend(&d, arena), 0);
    assert_int_equal(d.stripped_ends, left);
    return d.records[end].record;
}

static void an_end_takes_the_arguments_of_its_start_and_keeps_all_else(void **state)
{
    const struct record records[] = { start_of(7, 100), stripped_end_of(7, 100) };
    struct arena arena;
    const struct record *r = mended(&arena, records, 2, 1, 0);

    (void)state;
    assert_true(slice_eq(r->process.arguments, told));
    assert_int_equal(r->process.arguments_cut, 1);
    assert_int_equal(r->process.unreadable, REC_UNREADABLE_CWD);
    assert_int_equal(r->process.exit_known, 1);
    assert_int_equal(r->kind, REC_KIND(REC_PROCESS, REC_END));
    arena_free(&arena);
}

static void of_a_sight_as_well_whatever_stands_first(void **state)
{
    struct record records[] = { stripped_end_of(7, 100), start_of(7, 100) };
    struct arena arena;

    (void)state;
    records[1].kind = REC_KIND(REC_PROCESS, REC_SIGHT);
    records[1].verb = REC_SIGHT;
    assert_true(slice_eq(mended(&arena, records, 2, 0, 0)->process.arguments, told));
    arena_free(&arena);
}

static void another_interval_gives_it_none(void **state)
{
    const struct record records[] = { start_of(7, 101), start_of(8, 100), stripped_end_of(7, 100) };
    struct arena arena;
    const struct record *r = mended(&arena, records, 3, 2, 1);

    (void)state;
    assert_int_equal(r->process.arguments.len, 0);
    assert_int_equal(r->process.unreadable, REC_UNREADABLE_ARGUMENTS | REC_UNREADABLE_CWD);
    arena_free(&arena);
}

static void a_start_that_had_none_itself_leaves_the_mark(void **state)
{
    struct record records[] = { start_of(7, 100), stripped_end_of(7, 100) };
    struct arena arena;
    const struct record *r;

    (void)state;
    records[0].process.arguments = SLICE_EMPTY;
    records[0].process.arguments_cut = 0;
    records[0].process.unreadable = REC_UNREADABLE_ARGUMENTS;
    r = mended(&arena, records, 2, 1, 0);
    assert_int_equal(r->process.arguments.len, 0);
    assert_int_equal(r->process.unreadable, REC_UNREADABLE_ARGUMENTS | REC_UNREADABLE_CWD);
    arena_free(&arena);
}

static void only_an_end_without_arguments_that_says_so_is_one(void **state)
{
    struct record r = stripped_end_of(7, 100);

    (void)state;
    assert_true(stripped_is(&r));
    r.process.unreadable = REC_UNREADABLE_CWD; /* a thread of the kernel has none */
    assert_false(stripped_is(&r));
    r = stripped_end_of(7, 100);
    r.process.arguments = told;
    assert_false(stripped_is(&r));
    r = stripped_end_of(7, 100);
    r.kind = REC_KIND(REC_PROCESS, REC_START);
    assert_false(stripped_is(&r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_end_takes_the_arguments_of_its_start_and_keeps_all_else),
        cmocka_unit_test(of_a_sight_as_well_whatever_stands_first),
        cmocka_unit_test(another_interval_gives_it_none),
        cmocka_unit_test(a_start_that_had_none_itself_leaves_the_mark),
        cmocka_unit_test(only_an_end_without_arguments_that_says_so_is_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
