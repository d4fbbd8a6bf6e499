/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/check.h"

#include <string.h>

#include "common/kafka/topic_rules.h"

#define COUNT 7u

static void good_settings(struct topic_setting settings[COUNT])
{
    size_t i;

    assert_int_equal(topic_rules_count, COUNT);
    for (i = 0; i < COUNT; i++) {
        settings[i].name = topic_rules[i].name;
        settings[i].value = topic_rules[i].value;
    }
}

static void the_right_settings_pass(void **state)
{
    struct topic_setting settings[COUNT];

    (void)state;
    good_settings(settings);
    assert_int_equal(topic_rules_judge(settings, COUNT, 1, NULL), 0);
}

static void each_setting_that_differs_or_is_missing_is_named(void **state)
{
    struct topic_setting settings[COUNT];
    struct pofr_err err;
    size_t i, round;

    (void)state;
    for (i = 0; i < COUNT; i++) {
        for (round = 0; round < 3; round++) {
            good_settings(settings);
            if (round == 0) {
                settings[i].value = "12";
            } else if (round == 1) {
                settings[i].value = NULL;
            } else {
                settings[i].name = "something.else";
            }
            assert_int_equal(topic_rules_judge(settings, COUNT, 1, &err), POFR_ECONFLICT);
            assert_non_null(strstr(err.text, topic_rules[i].name));
            assert_non_null(strstr(err.text, topic_rules[i].value));
        }
    }
}

static void syncing_each_message_is_needed_only_where_nobody_else_has_it(void **state)
{
    struct topic_setting settings[COUNT];
    size_t i;

    (void)state;
    good_settings(settings);
    for (i = 0; i < COUNT; i++) {
        if (strcmp(settings[i].name, "flush.messages") == 0) {
            settings[i].value = "9223372036854775807";
        }
    }
    assert_int_equal(topic_rules_judge(settings, COUNT, 1, NULL), POFR_ECONFLICT);
    assert_int_equal(topic_rules_judge(settings, COUNT, 3, NULL), 0);
}

static void all_that_differ_at_once_fit_the_text(void **state)
{
    struct pofr_err err;

    (void)state;
    assert_int_equal(topic_rules_judge(NULL, 0, 1, &err), POFR_ECONFLICT);
    assert_true(strlen(err.text) < sizeof(err.text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_right_settings_pass),
        cmocka_unit_test(each_setting_that_differs_or_is_missing_is_named),
        cmocka_unit_test(syncing_each_message_is_needed_only_where_nobody_else_has_it),
        cmocka_unit_test(all_that_differ_at_once_fit_the_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
