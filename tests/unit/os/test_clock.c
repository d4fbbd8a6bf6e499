/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/os/clock.h"

#include <time.h>

#include "tests/support/check.h"

#include "common/base/compiler.h"

static void text_is_utc_with_microseconds(void **state)
{
    static const struct {
        int64_t us;
        const char *text;
    } cases[] = {
        { 0, "1970-01-01T00:00:00.000000Z" },
        { 1, "1970-01-01T00:00:00.000001Z" },
        { -1, "1969-12-31T23:59:59.999999Z" },
        { INT64_C(1767225600123456), "2026-01-01T00:00:00.123456Z" },
        { INT64_C(951782400000000), "2000-02-29T00:00:00.000000Z" },
        { INT64_C(253402300799999999), "9999-12-31T23:59:59.999999Z" },
        { INT64_MAX, "9999-12-31T23:59:59.999999Z" },
        { INT64_MIN, "0000-01-01T00:00:00.000000Z" },
    };
    char text[CLOCK_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < pofr_countof(cases); i++) {
        assert_string_equal(clock_format(cases[i].us, text), cases[i].text);
    }
}

static void clocks_go_on(void **state)
{
    int64_t mono = clock_mono_us(), boot = clock_boot_us(), wall = clock_wall_us(), cpu = clock_thread_cpu_us();

    (void)state;
    assert_true(wall > INT64_C(1500000000) * CLOCK_US_PER_S);
    assert_true(boot >= mono - CLOCK_US_PER_S);
    assert_true(clock_mono_us() >= mono);
    assert_true(clock_boot_us() >= boot);
    assert_true(clock_thread_cpu_us() >= cpu);
    assert_true(wall / CLOCK_US_PER_S - (int64_t)time(NULL) <= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_utc_with_microseconds),
        cmocka_unit_test(clocks_go_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
