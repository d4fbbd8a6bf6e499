/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/os/stat.h"

#include <pthread.h>

#include "tests/support/check.h"

#include "common/base/buf.h"
#include "common/base/err.h"

#define STAT_DEF "tests/unit/os/test_stat.def"
enum test_stat {
#include "common/os/stat_ids.inc"
};
static const struct stat_def defs[] = {
#include "common/os/stat_defs.inc"
};

static int setup(void **state)
{
    struct stat_set *s = NULL;
    int rc = stat_new(defs, pofr_countof(defs), &s, NULL);

    *state = s;
    return rc;
}

static int teardown(void **state)
{
    stat_free(*state);
    stat_free(NULL);
    return 0;
}

static void numbers_are_what_was_recorded(void **state)
{
    struct stat_set *s = *state;

    stat_add(s, STAT_test_bundles, 2);
    stat_add(s, STAT_test_bundles, 3);
    stat_put(s, STAT_test_depth, -7);
    stat_change(s, STAT_test_depth, 3);
    stat_add_by(s, STAT_test_refused, 1, 4);
    stat_observe(s, STAT_test_commit, 1);
    stat_observe(s, STAT_test_commit, UINT64_C(1) << 40);
    assert_true(stat_get(s, STAT_test_bundles) == 5);
    assert_true((int64_t)stat_get(s, STAT_test_depth) == -4);
    assert_true(stat_get_by(s, STAT_test_refused, 0) == 0);
    assert_true(stat_get_by(s, STAT_test_refused, 1) == 4);
    assert_true(stat_get(s, STAT_test_commit) == 2);
}

static void a_label_out_of_range_counts_as_the_last(void **state)
{
    struct stat_set *s = *state;

    stat_add_by(s, STAT_test_refused, 99, 1);
    assert_true(stat_get_by(s, STAT_test_refused, 2) == 1);
    assert_int_equal(stat_value(s, STAT_test_refused, "identity"), 2);
    assert_int_equal(stat_value(s, STAT_test_refused, "sign"), -1);
    assert_int_equal(stat_value(s, STAT_test_bundles, "x"), -1);
}

static const char *written(struct stat_set *s, struct buf *b)
{
    buf_reset(b);
    stat_write(s, b);
    assert_int_equal(b->err, 0);
    return buf_cstr(b);
}

static void the_text_is_openmetrics(void **state)
{
    struct stat_set *s = *state;
    struct buf b = BUF_INIT(100000);
    const char *text;

    stat_add(s, STAT_test_bundles, 5);
    stat_add(s, STAT_test_read, 100);
    stat_put(s, STAT_test_depth, -2);
    stat_put(s, STAT_test_lag, -1500000);
    stat_add_by(s, STAT_test_refused, 1, 4);
    text = written(s, &b);
    assert_memory_equal(text, "# TYPE pofr_test_bundles counter\n", 33);
    assert_non_null(strstr(text, "# HELP pofr_test_bundles Bundles \\\"seen\\\".\npofr_test_bundles_total 5\n"));
    assert_non_null(strstr(text, "# TYPE pofr_test_read_bytes counter\n# UNIT pofr_test_read_bytes bytes\n"));
    assert_non_null(strstr(text, "\npofr_test_read_bytes_total 100\n"));
    assert_non_null(strstr(text, "\npofr_test_depth -2\n"));
    assert_non_null(strstr(text, "\npofr_test_lag_seconds -1.500000\n"));
    assert_non_null(strstr(text, "\npofr_test_refused_total{reason=\"signature\"} 0\n"
                                 "pofr_test_refused_total{reason=\"size\"} 4\n"
                                 "pofr_test_refused_total{reason=\"identity\"} 0\n"));
    assert_string_equal(text + b.len - 6, "# EOF\n");
    buf_free(&b);
}

static void histograms_are_cumulative_and_inclusive(void **state)
{
    struct stat_set *s = *state;
    struct buf b = BUF_INIT(100000);
    const char *text;

    stat_observe(s, STAT_test_commit, 100);
    stat_observe(s, STAT_test_commit, 101);
    stat_observe(s, STAT_test_commit, 70000000);
    stat_observe_by(s, STAT_test_rows, 1, 3);
    text = written(s, &b);
    assert_non_null(strstr(text, "pofr_test_commit_seconds_bucket{le=\"0.0001\"} 1\n"
                                 "pofr_test_commit_seconds_bucket{le=\"0.00025\"} 2\n"));
    assert_non_null(strstr(text, "pofr_test_commit_seconds_bucket{le=\"60.0\"} 2\n"
                                 "pofr_test_commit_seconds_bucket{le=\"+Inf\"} 3\n"
                                 "pofr_test_commit_seconds_count 3\n"
                                 "pofr_test_commit_seconds_sum 70.000201\n"));
    assert_non_null(strstr(text, "pofr_test_rows_bucket{kind=\"file\",le=\"2.0\"} 0\n"
                                 "pofr_test_rows_bucket{kind=\"file\",le=\"5.0\"} 1\n"));
    assert_non_null(strstr(text, "pofr_test_rows_count{kind=\"file\"} 1\npofr_test_rows_sum{kind=\"file\"} 3\n"));
    buf_free(&b);
}

static void write_lag(struct buf *out, void *arg)
{
    stat_write_head(out, "kafka_consumergroup_lag", STAT_TYPE_GAUGE, "", "Behind.");
    buf_printf(out, "kafka_consumergroup_lag{partition=\"0\"} %d\n", *(int *)arg);
}

static void a_program_adds_families_of_its_own(void **state)
{
    struct stat_set *s = *state;
    struct buf b = BUF_INIT(100000);
    int lag = 12;

    stat_set_extra(s, write_lag, &lag);
    assert_non_null(strstr(written(s, &b), "# TYPE kafka_consumergroup_lag gauge\n"
                                           "# HELP kafka_consumergroup_lag Behind.\n"
                                           "kafka_consumergroup_lag{partition=\"0\"} 12\n# EOF\n"));
    buf_free(&b);
}

static void bad_definitions_are_refused_at_the_start(void **state)
{
    static const struct stat_def bad[][2] = {
        { { STAT_TYPE_COUNTER, "Upper", "", NULL, NULL, "" } },
        { { STAT_TYPE_COUNTER, "9a", "", NULL, NULL, "" } },
        { { STAT_TYPE_COUNTER, "a", "furlongs", NULL, NULL, "" } },
        { { STAT_TYPE_COUNTER, "a", "", "l", "  ", "" } },
        { { STAT_TYPE_COUNTER, "a", "", "l-l", "x", "" } },
        { { STAT_TYPE_COUNTER, "a", "", "l", "a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a",
            "" } },
        { { STAT_TYPE_COUNTER, "a", "", NULL, NULL, "" }, { STAT_TYPE_GAUGE, "a", "", NULL, NULL, "" } },
    };
    struct stat_set *s = NULL;
    struct pofr_err err = { 0 };

    (void)state;
    for (size_t i = 0; i < pofr_countof(bad); i++) {
        assert_int_equal(stat_new(bad[i], bad[i][1].name ? 2 : 1, &s, &err), POFR_EUSAGE);
        assert_null(s);
    }
}

static void *count_up(void *arg)
{
    for (int i = 0; i < 10000; i++) {
        stat_add(arg, STAT_test_bundles, 1);
        stat_observe(arg, STAT_test_commit, 5);
    }
    return NULL;
}

static void threads_lose_no_count(void **state)
{
    struct stat_set *s = *state;
    pthread_t threads[4];

    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, s), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_true(stat_get(s, STAT_test_bundles) == 40000);
    assert_true(stat_get(s, STAT_test_commit) == 40000);
}

#define WITH_SET(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SET(numbers_are_what_was_recorded),
        WITH_SET(a_label_out_of_range_counts_as_the_last),
        WITH_SET(the_text_is_openmetrics),
        WITH_SET(histograms_are_cumulative_and_inclusive),
        WITH_SET(a_program_adds_families_of_its_own),
        cmocka_unit_test(bad_definitions_are_refused_at_the_start),
        WITH_SET(threads_lose_no_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
