/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "workers/db_class.h"

#include "common/db/db.h"
#include "tests/support/check.h"

#define BEHIND_SPIDER 1429u /* of heads, not of shards */

static void what_goes_away_by_itself_never_sets_a_bundle_aside(void **state)
{
    (void)state;
    for (unsigned error = 1; error < 5000; error++) {
        if (db_code_of(error) == POFR_EDBBUSY && error != BEHIND_SPIDER) {
            assert_int_equal(db_class_of(error), DB_CLASS_RETRY);
        }
    }
}

static void rights_and_tables_are_no_bundles_fault(void **state)
{
    static const unsigned errors[] = { 1044, 1045, 1142, 1146, 1054, 1064 };

    (void)state;
    for (size_t i = 0; i < pofr_countof(errors); i++) {
        assert_int_equal(db_class_of(errors[i]), DB_CLASS_BROKEN);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_away_by_itself_never_sets_a_bundle_aside),
        cmocka_unit_test(rights_and_tables_are_no_bundles_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
