/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/check.h"

#include "ctl/size_plan.h"

/* Round figures, so that sums can be made by hand: 1 GB a day in Kafka and 1 GB of rows for 1,000 hosts. */
static const struct size_profile one = { .name = "one",
                                         .sent_mb = 1.08,
                                         .kafka_mb = 1,
                                         .rows_mb = 0.9,
                                         .ledger_mb = 0.1,
                                         .index_mb = 0.25,
                                         .open_mb = 1,
                                         .gateway_cpu = 0.1,
                                         .kafka_cpu = 0.1,
                                         .worker_cpu = 0.2,
                                         .shard_cpu = 0.1 };

static struct size_result plan(uint32_t hosts, uint32_t days, uint32_t replication)
{
    const struct size_wish w = {
        .hosts = hosts, .days = days, .replication = replication, .disk_tb = 4, .server_cores = 16
    };
    struct size_result r;

    size_plan(&one, &w, &r);
    return r;
}

static void expect_near(double got, double wanted)
{
    assert_true(got > wanted * 0.999 && got < wanted * 1.001);
}

static void disks_hold_what_is_kept_and_are_not_full(void **state)
{
    struct size_result r = plan(1000, 70, 3);

    (void)state;
    assert_int_equal(r.parts[SIZE_BROKER].count, 3);
    expect_near(r.parts[SIZE_BROKER].disk_gb, 10); /* 1 GB a day, 7 days, three times, on three brokers, 70 % */
    assert_int_equal(r.parts[SIZE_SHARD].count, 1);
    expect_near(r.parts[SIZE_SHARD].disk_gb, (70 + 1) / 0.7);
}

/* Twice 1 GB that is open, and a day's indexes of 0.25 GB; the same for one that keeps ten times as long. */
static void a_shards_memory_holds_what_is_changed_all_the_time(void **state)
{
    double base = size_base_mib[SIZE_SHARD] * 1048576 / 1e9;

    (void)state;
    expect_near(plan(1000, 70, 3).parts[SIZE_SHARD].memory_gb, base + 2.25);
    expect_near(plan(1000, 700, 3).parts[SIZE_SHARD].count, 1);
    expect_near(plan(1000, 700, 3).parts[SIZE_SHARD].memory_gb, base + 2.25);
}

static void cores_are_half_idle(void **state)
{
    struct size_result r = plan(1000, 70, 1);

    (void)state;
    assert_int_equal(r.parts[SIZE_WORKER].count, 4); /* 2 cores of work */
    assert_int_equal(r.parts[SIZE_SHARD].cores, 2);
    assert_int_equal(r.parts[SIZE_BROKER].count, 1);
    assert_int_equal(r.parts[SIZE_BROKER].cores, 2);
}

static void what_one_server_can_not_hold_is_shared(void **state)
{
    struct size_result r = plan(100000, 70, 3);

    (void)state;
    assert_int_equal(r.parts[SIZE_SHARD].count, 13); /* 100 cores of work, 200 cores, 16 each; 10 TB would be 3 */
    assert_true(r.parts[SIZE_SHARD].cores <= 16);
    assert_true(r.parts[SIZE_SHARD].disk_gb <= 4000);
    r = plan(1000, 36500, 3);
    assert_int_equal(r.parts[SIZE_SHARD].count, 14); /* 52 TB */
    assert_true(r.parts[SIZE_SHARD].disk_gb <= 4000);
}

/* 10,000 sessions in a minute and what the sessions carry: 0.16 + 10 cores are less than 20, of which half are idle. */
static void one_gateway_may_be_away(void **state)
{
    struct size_result r = plan(10000, 70, 3);

    (void)state;
    assert_int_equal(r.parts[SIZE_GATEWAY].count, 4);
    assert_int_equal(r.parts[SIZE_GATEWAY].cores, 7);
    expect_near(r.parts[SIZE_GATEWAY].in_mbit, 10000 * 1.08 * 8 / 86400);
    r = plan(1, 1, 3);
    assert_int_equal(r.parts[SIZE_GATEWAY].count, 2);
    assert_int_equal(r.parts[SIZE_GATEWAY].cores, 1);
}

static void each_worker_has_slots_enough(void **state)
{
    (void)state;
    assert_int_equal(plan(1, 1, 3).partitions, 64);
    assert_int_equal(plan(4000, 1, 3).partitions, 64);  /* 16 workers */
    assert_int_equal(plan(5000, 1, 3).partitions, 256); /* 20 */
    assert_int_equal(plan(50000, 1, 3).partitions, 1024);
    assert_int_equal(plan(1000000, 1, 3).partitions, 1024); /* there are no more */
}

static void each_shard_has_slots_enough_or_it_is_told(void **state)
{
    (void)state;
    assert_int_equal(plan(1000, 36500, 3).parts[SIZE_SHARD].count, 14);
    assert_int_equal(plan(1000, 36500, 3).partitions, 64);
    assert_int_equal(plan(2000, 36500, 3).parts[SIZE_SHARD].count, 27);
    assert_int_equal(plan(2000, 36500, 3).partitions, 256);
    assert_false(plan(2000, 36500, 3).too_large);
    assert_true(plan(20000, 36500, 3).too_large); /* 261 */
}

static void every_profile_is_whole(void **state)
{
    (void)state;
    assert_non_null(size_profile_find("typical"));
    assert_null(size_profile_find("none"));
    for (size_t i = 0; i < size_profiles_count; i++) {
        const struct size_profile *p = &size_profiles[i];

        assert_ptr_equal(size_profile_find(p->name), p);
        assert_true(p->sent_mb > 0 && p->kafka_mb > 0 && p->rows_mb > 0 && p->ledger_mb > 0 && p->index_mb > 0 &&
                    p->open_mb > 0);
        assert_true(p->gateway_cpu > 0 && p->kafka_cpu > 0 && p->worker_cpu > 0 && p->shard_cpu > 0);
    }
    for (unsigned i = 0; i < SIZE_PARTS; i++) {
        assert_true(size_base_mib[i] > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(disks_hold_what_is_kept_and_are_not_full),
        cmocka_unit_test(a_shards_memory_holds_what_is_changed_all_the_time),
        cmocka_unit_test(cores_are_half_idle),
        cmocka_unit_test(what_one_server_can_not_hold_is_shared),
        cmocka_unit_test(one_gateway_may_be_away),
        cmocka_unit_test(each_worker_has_slots_enough),
        cmocka_unit_test(each_shard_has_slots_enough_or_it_is_told),
        cmocka_unit_test(every_profile_is_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
