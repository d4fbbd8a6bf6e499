/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/err.h"

#include <errno.h>
#include <string.h>

#include "tests/support/check.h"

static void each_code_has_a_name_a_text_and_a_class(void **state)
{
    (void)state;
    for (int code = -1; code > -(int)POFR_ERR_NUMBER_END; code--) {
        assert_string_not_equal(pofr_err_name(code), "UNKNOWN");
        assert_true(strlen(pofr_err_text(code)) > 3);
        assert_int_not_equal(pofr_err_class(code), POFR_CLASS_OK);
    }
    assert_string_equal(pofr_err_name(POFR_ETRUNCATED), "TRUNCATED");
    assert_int_equal(pofr_err_class(POFR_ETRUNCATED), POFR_CLASS_POISON);
    assert_int_equal(pofr_err_class(POFR_ETIMEOUT), POFR_CLASS_RETRY);
    assert_int_equal(pofr_err_class(0), POFR_CLASS_OK);
    assert_string_equal(pofr_err_class_name(POFR_CLASS_RETRY), "retry");
}

/* Codes appear in logs, metrics and set-aside rows: a new one goes to the end of err.def. */
static void numbers_of_codes_never_change(void **state)
{
    (void)state;
    assert_int_equal(POFR_ENOMEM, -1);
    assert_int_equal(POFR_ECONFIG, -10);
    assert_int_equal(POFR_EUSAGE, -21);
}

static void a_code_that_is_not_ours_stops_the_process(void **state)
{
    (void)state;
    assert_int_equal(pofr_err_class(1), POFR_CLASS_FATAL);
    assert_int_equal(pofr_err_class(-(int)POFR_ERR_NUMBER_END), POFR_CLASS_FATAL);
    assert_int_equal(pofr_err_class(INT32_MIN), POFR_CLASS_FATAL);
    assert_string_equal(pofr_err_name(1), "UNKNOWN");
}

static void set_fills_code_and_text_and_keeps_errno(void **state)
{
    struct pofr_err err;

    (void)state;
    errno = EAGAIN;
    assert_int_equal(pofr_err_set(&err, POFR_EFORMAT, "segment %s: length %u", "7", 3U), POFR_EFORMAT);
    assert_int_equal(err.code, POFR_EFORMAT);
    assert_int_equal(err.sys, 0);
    assert_string_equal(err.text, "segment 7: length 3");
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(pofr_err_set(NULL, POFR_EFORMAT, "x"), POFR_EFORMAT);
    assert_int_equal(pofr_err_sys(NULL, POFR_ESYSTEM, "x"), POFR_ESYSTEM);
}

static void sys_appends_what_errno_says(void **state)
{
    struct pofr_err err;

    (void)state;
    errno = ENOENT;
    assert_int_equal(pofr_err_sys(&err, POFR_ENOTFOUND, "open %s", "/x"), POFR_ENOTFOUND);
    assert_int_equal(err.sys, ENOENT);
    assert_string_equal(err.text, "open /x: No such file or directory");
}

static void context_goes_in_front_and_long_texts_are_cut(void **state)
{
    struct pofr_err err;

    (void)state;
    (void)pofr_err_set(&err, POFR_EFORMAT, "bad");
    assert_int_equal(pofr_err_prefix(&err, "file %s", "a"), POFR_EFORMAT);
    assert_string_equal(err.text, "file a: bad");
    assert_int_equal(pofr_err_set(&err, POFR_EFORMAT, "%s again", err.text), POFR_EFORMAT);
    assert_string_equal(err.text, "file a: bad again");
    for (int i = 0; i < 50; i++) {
        (void)pofr_err_prefix(&err, "level %d", i);
    }
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_code_has_a_name_a_text_and_a_class),
        cmocka_unit_test(numbers_of_codes_never_change),
        cmocka_unit_test(a_code_that_is_not_ours_stops_the_process),
        cmocka_unit_test(set_fills_code_and_text_and_keeps_errno),
        cmocka_unit_test(sys_appends_what_errno_says),
        cmocka_unit_test(context_goes_in_front_and_long_texts_are_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
