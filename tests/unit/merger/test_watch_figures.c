/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "merger/watch_parts.h"

static struct watch_view *view;
static struct watch_shard_view shard;

/* One shard, two slots of it; nothing is wrong. */
static int make_view(void **state)
{
    (void)state;
    view = calloc(1, sizeof(*view));
    if (!view) {
        return -1;
    }
    shard = (struct watch_shard_view){ .at = { .name = "shard1" }, .up = true, .counted = true };
    view->shards = &shard;
    view->shards_count = 1;
    view->partitions = 3; /* the third is another's */
    for (unsigned n = 0; n < 2; n++) {
        view->slots[n] = (struct watch_slot){ .ours = true, .hosts = 1, .report_s = 4, .owner = "worker1" };
    }
    return 0;
}

static int free_view(void **state)
{
    (void)state;
    free(view);
    return 0;
}

static void expect_lines(const char *family, const char *lines)
{
    struct buf out = BUF_INIT(1 << 20);
    char found[4096] = "";
    const char *at;

    watch_write(view, 0, &out);
    for (at = buf_cstr(&out); *at; at = strchr(at, '\n') + 1) {
        size_t len = strlen(found);

        if (strncmp(at, family, strlen(family)) == 0 && at[strlen(family)] == '{') {
            snprintf(found + len, sizeof(found) - len, "%.*s", (int)(strchr(at, '\n') + 1 - at), at);
        }
    }
    assert_string_equal(found, lines);
    buf_free(&out);
}

static void who_has_a_slot_is_told(void **state)
{
    (void)state;
    view->slots[1].owner[0] = 0;
    expect_lines("pofr_slot_owner", "pofr_slot_owner{slot=\"0\",worker=\"worker1\"} 1\n");
}

static void no_name_gets_out_of_its_quotes(void **state)
{
    (void)state;
    snprintf(view->slots[0].owner, sizeof(view->slots[0].owner), "%s", "a\"} 9\nb\\\xff");
    view->slots[1].ours = false;
    expect_lines("pofr_slot_owner", "pofr_slot_owner{slot=\"0\",worker=\"a?} 9?b??\"} 1\n");
}

static void only_what_is_wrong_has_a_series(void **state)
{
    (void)state;
    expect_lines("pofr_slot_problem", "");
    view->slots[0].result.problems = HEALTH_UNDER_REPLICATED | HEALTH_PAUSED;
    snprintf(view->slots[0].facts.cause, sizeof(view->slots[0].facts.cause), "shard");
    view->slots[2].result.problems = HEALTH_OFFLINE; /* its merger says so */
    expect_lines("pofr_slot_problem", "pofr_slot_problem{slot=\"0\",problem=\"under_replicated\",cause=\"\"} 1\n"
                                      "pofr_slot_problem{slot=\"0\",problem=\"paused\",cause=\"shard\"} 1\n");
}

static void a_cause_of_long_ago_is_not_told(void **state)
{
    (void)state;
    view->slots[0].result.problems = HEALTH_STUCK;
    snprintf(view->slots[0].facts.cause, sizeof(view->slots[0].facts.cause), "shard");
    view->slots[0].facts.told_s = -1;
    expect_lines("pofr_slot_problem", "pofr_slot_problem{slot=\"0\",problem=\"stuck\",cause=\"\"} 1\n");
}

static void a_slot_of_whose_hosts_nobody_told_has_no_age(void **state)
{
    (void)state;
    view->slots[1].report_s = -1;
    expect_lines("pofr_conservation_report_age_seconds", "pofr_conservation_report_age_seconds{slot=\"0\"} 4\n");
}

static void records_by_kind_are_told_once_they_are_counted(void **state)
{
    (void)state;
    shard.totals.recorded[2] = 7;
    shard.totals.lost[0] = 3;
    expect_lines("pofr_conservation_records", "pofr_conservation_records{shard=\"shard1\",kind=\"tick\"} 7\n");
    expect_lines("pofr_conservation_lost", "pofr_conservation_lost{shard=\"shard1\",source=\"other\"} 3\n");
    shard.counted = false;
    expect_lines("pofr_conservation_records", "");
}

static void servers_that_show_no_certificate_have_no_end(void **state)
{
    (void)state;
    expect_lines("pofr_server_certificate_expiry_timestamp_seconds", "");
    view->kafka_count = 1;
    snprintf(view->kafka[0].name, sizeof(view->kafka[0].name), "kafka1\"} 9");
    view->kafka[0].ends_us = INT64_C(5000000);
    shard.ends_us = INT64_C(1826000000000000);
    expect_lines("pofr_server_certificate_expiry_timestamp_seconds",
                 "pofr_server_certificate_expiry_timestamp_seconds{use=\"kafka\",server=\"kafka1?} 9\"} 5\n"
                 "pofr_server_certificate_expiry_timestamp_seconds{use=\"shard\",server=\"shard1\"} 1826000000\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_has_a_slot_is_told, make_view, free_view),
        cmocka_unit_test_setup_teardown(no_name_gets_out_of_its_quotes, make_view, free_view),
        cmocka_unit_test_setup_teardown(only_what_is_wrong_has_a_series, make_view, free_view),
        cmocka_unit_test_setup_teardown(a_cause_of_long_ago_is_not_told, make_view, free_view),
        cmocka_unit_test_setup_teardown(a_slot_of_whose_hosts_nobody_told_has_no_age, make_view, free_view),
        cmocka_unit_test_setup_teardown(records_by_kind_are_told_once_they_are_counted, make_view, free_view),
        cmocka_unit_test_setup_teardown(servers_that_show_no_certificate_have_no_end, make_view, free_view),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
