/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/db/db.h"

/* The numbers that decide what happens to data; from MariaDB's mysqld_error.h and errmsg.h. */
static void errors_that_go_away_are_busy_and_others_are_not(void **state)
{
    static const unsigned busy[] = { 1205, 1213, 1020, 1290, 1114, 1021, 2002, 2003, 2006, 2013, 1040, 1053, 1429 };
    static const unsigned refused[] = { 1062, 1264, 1366, 1406, 1048, 1064, 1146, 1054 };

    (void)state;
    for (size_t i = 0; i < sizeof(busy) / sizeof(busy[0]); i++) {
        assert_int_equal(db_code_of(busy[i]), POFR_EDBBUSY);
        assert_int_equal(pofr_err_class(db_code_of(busy[i])), POFR_CLASS_RETRY);
    }
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        assert_int_equal(db_code_of(refused[i]), POFR_EDBREFUSED);
    }
    assert_int_equal(db_code_of(1045), POFR_EPERMISSION);
}

static void a_server_that_is_not_there_is_busy(void **state)
{
    const struct db_address a = { .host = "127.0.0.1", .port = 1, .user = "nobody", .connect_timeout_s = 1 };
    struct pofr_err err = { 0 };
    struct db *db = NULL;

    (void)state;
    assert_int_equal(db_connect(&a, &db, &err), POFR_EDBBUSY);
    assert_null(db);
    assert_true(err.text[0] != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_that_go_away_are_busy_and_others_are_not),
        cmocka_unit_test(a_server_that_is_not_there_is_busy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
