/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "workers/changes.h"

#include "tests/support/check.h"

#define MANY 3000u

static const struct row_boot boot_a = { .host_id = 1024, .number = 1 }, boot_b = { .host_id = 2048, .number = 1 };

static struct record process(uint64_t pid, unsigned verb)
{
    struct record r = { .kind = REC_KIND(REC_PROCESS, verb), .entity = REC_PROCESS, .verb = (uint8_t)verb };

    r.process.pid = pid;
    r.iv.first_seen = 1000;
    if (verb == REC_END) {
        r.iv.last_seen = r.iv.ended = 2000;
        r.iv.end_source = 1;
    }
    return r;
}

static struct record coverage(unsigned verb)
{
    struct record r = process(0, verb);

    r.kind = REC_KIND(REC_COVERAGE, verb);
    r.entity = REC_COVERAGE;
    r.coverage.source = slice_str("events");
    return r;
}

static size_t count_of(const struct changes *c, enum change_kind kind)
{
    size_t n = 0;

    for (size_t i = 0; i < c->count; i++) {
        n += c->list[i].kind == kind;
    }
    return n;
}

static void what_begins_and_ends_becomes_one_closed_row(void **state)
{
    struct record start = process(7, REC_START), end = process(7, REC_END);
    struct changes c;

    (void)state;
    changes_init(&c, 10);
    changes_start(&c, &boot_a, &start);
    changes_end(&c, &boot_a, &end);
    assert_int_equal(c.err, 0);
    assert_int_equal(c.count, 1);
    assert_int_equal(c.list[0].kind, CHANGE_INSERT);
    assert_int_equal(c.list[0].row.ended, 2000);
    changes_free(&c);
}

static void one_hosts_changes_go_and_the_others_still_fold(void **state)
{
    struct record start = process(7, REC_START), end = process(7, REC_END), other = process(8, REC_START);
    struct changes c, taken;

    (void)state;
    changes_init(&c, 10);
    changes_init(&taken, 10);
    changes_start(&c, &boot_a, &start);
    changes_start(&c, &boot_b, &start);
    changes_start(&c, &boot_a, &other);
    changes_take(&c, boot_a.host_id, 0, &taken);
    assert_int_equal(taken.count, 2);
    assert_int_equal(c.count, 1);
    assert_ptr_equal(c.list[0].boot, &boot_b);
    changes_end(&c, &boot_b, &end);
    assert_int_equal(c.count, 1);
    assert_int_equal(c.list[0].row.ended, 2000);
    changes_end(&c, &boot_a, &end); /* its beginning is in the table by now */
    assert_int_equal(c.count, 2);
    assert_int_equal(c.list[1].kind, CHANGE_END);
    changes_free(&c);
    changes_free(&taken);
}

static void of_one_entity_the_rest_of_the_host_waits(void **state)
{
    struct record start = process(7, REC_START), end = process(7, REC_END);
    struct record cover = coverage(REC_START);
    struct changes c, taken;

    (void)state;
    changes_init(&c, 10);
    changes_init(&taken, 10);
    changes_start(&c, &boot_a, &cover);
    changes_start(&c, &boot_a, &start);
    changes_take(&c, boot_a.host_id, REC_COVERAGE, &taken);
    assert_int_equal(taken.count, 1);
    assert_ptr_equal(taken.list[0].record, &cover);
    changes_end(&c, &boot_a, &end);
    assert_int_equal(c.count, 1);
    assert_int_equal(c.list[0].kind, CHANGE_INSERT);
    changes_free(&c);
    changes_free(&taken);
}

static void many_are_found_after_some_have_gone(void **state)
{
    static struct record starts[MANY], ends[MANY];
    struct changes c, taken;

    (void)state;
    changes_init(&c, 4 * MANY);
    changes_init(&taken, 4 * MANY);
    for (size_t i = 0; i < MANY; i++) {
        starts[i] = process(i, REC_START);
        ends[i] = process(i, REC_END);
        changes_start(&c, i % 3 ? &boot_a : &boot_b, &starts[i]);
        if (i == MANY / 3) { /* before the table of slots grows again */
            changes_take(&c, boot_b.host_id, 0, &taken);
        }
    }
    assert_int_equal(taken.count, MANY / 9 + 1);
    for (size_t i = 0; i < MANY; i++) {
        changes_end(&c, i % 3 ? &boot_a : &boot_b, &ends[i]);
    }
    assert_int_equal(c.err, 0);
    assert_int_equal(count_of(&c, CHANGE_END), taken.count);
    assert_int_equal(c.count, MANY);
    for (size_t i = 0; i < c.count; i++) {
        assert_int_equal(c.list[i].row.ended, 2000);
    }
    changes_free(&c);
    changes_free(&taken);
}

static void what_does_not_fit_is_said_by_both(void **state)
{
    struct record first = process(1, REC_START), second = process(2, REC_START);
    struct changes c, taken;

    (void)state;
    changes_init(&c, 1);
    changes_init(&taken, 1);
    c.max = 0;
    changes_start(&c, &boot_a, &first);
    changes_start(&c, &boot_a, &second);
    assert_int_not_equal(c.err, 0);
    changes_take(&c, boot_a.host_id, 0, &taken);
    assert_int_equal(taken.err, c.err);
    changes_free(&c);
    changes_free(&taken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_begins_and_ends_becomes_one_closed_row),
        cmocka_unit_test(one_hosts_changes_go_and_the_others_still_fold),
        cmocka_unit_test(of_one_entity_the_rest_of_the_host_waits),
        cmocka_unit_test(many_are_found_after_some_have_gone),
        cmocka_unit_test(what_does_not_fit_is_said_by_both),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
