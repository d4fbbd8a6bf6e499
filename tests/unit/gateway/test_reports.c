/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "gateway/reports.h"
#include "tests/support/check.h"

static struct reports *fresh(void)
{
    struct reports *r = NULL;

    assert_int_equal(reports_new(&r, NULL), 0);
    return r;
}

/* What the catalog would be told now; and told: it is. */
static void assert_told(struct reports *r, const char *text, bool told)
{
    struct buf b = BUF_INIT(65536);
    struct report *list = NULL;
    size_t n = 0;

    assert_int_equal(reports_take(r, &list, &n), 0);
    reports_format(list, n, &b);
    assert_string_equal(buf_cstr(&b), text);
    if (told) {
        reports_told(r, list, n);
    }
    free(list);
    buf_free(&b);
}

static void what_a_host_said_and_what_was_acked_is_told(void **state)
{
    struct reports *r = fresh();

    (void)state;
    assert_told(r, "[]", true);
    reports_hello(r, 7, 3, 9, 1000);
    reports_hello(r, 5, 0, 0, 1001);
    reports_acked(r, 7, 3, 1500);
    reports_acked(r, 7, 4, 1600);
    assert_told(r, "[[5,1,1001,0,0,0,0],[7,1,1000,3,9,4,1600]]", true);
    assert_told(r, "[[5,1,1001,0,0,0,0],[7,1,1000,3,9,4,1600]]", true); /* as long as they are connected */
    reports_free(r);
}

static void a_bundle_that_was_wanted_again_takes_nothing_back(void **state)
{
    struct reports *r = fresh();

    (void)state;
    reports_hello(r, 7, 0, 0, 1000);
    reports_acked(r, 7, 20, 1500);
    reports_acked(r, 7, 4, 1600);
    assert_told(r, "[[7,1,1000,0,0,20,1600]]", true);
    reports_free(r);
}

static void who_left_is_told_once_more(void **state)
{
    struct reports *r = fresh();

    (void)state;
    reports_hello(r, 7, 1, 2, 1000);
    reports_left(r, 7);
    assert_told(r, "[[7,0,1000,1,2,0,0]]", false); /* the catalog did not answer */
    assert_told(r, "[[7,0,1000,1,2,0,0]]", true);
    assert_told(r, "[]", true);
    reports_left(r, 7); /* harmless */
    reports_acked(r, 7, 2, 2000);
    assert_told(r, "[]", true);
    reports_free(r);
}

static void who_is_back_is_not_forgotten(void **state)
{
    struct reports *r = fresh();
    struct report *list = NULL;
    size_t n = 0;

    (void)state;
    reports_hello(r, 7, 1, 2, 1000);
    reports_hello(r, 7, 2, 3, 1001); /* the newer session, before the older one has ended */
    reports_left(r, 7);
    assert_told(r, "[[7,1,1001,2,3,0,0]]", true);
    reports_left(r, 7);
    assert_int_equal(reports_take(r, &list, &n), 0);
    reports_hello(r, 7, 3, 4, 1002);
    reports_left(r, 7);
    reports_told(r, list, n);
    assert_told(r, "[[7,0,1002,3,4,0,0]]", true);
    free(list);
    reports_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_host_said_and_what_was_acked_is_told),
        cmocka_unit_test(a_bundle_that_was_wanted_again_takes_nothing_back),
        cmocka_unit_test(who_left_is_told_once_more),
        cmocka_unit_test(who_is_back_is_not_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
