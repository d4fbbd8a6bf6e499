/* SPDX-License-Identifier: GPL-2.0-or-later */
/* librdkafka's own mock cluster, of two brokers: one of them goes away. */
#include "tests/support/check.h"

#include <string.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "common/os/clock.h"
#include "ctl/fetch.h"

#define TOPIC   "pofr.snapshots"
#define LONG_MS 30000 /* for a machine under load */

static rd_kafka_t *rk; /* the cluster's, and the producer */
static rd_kafka_mock_cluster_t *cluster;
static struct ctl_conf conf;

static int produce(int32_t slot, char *text)
{
    return rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(TOPIC), RD_KAFKA_V_PARTITION(slot),
                             RD_KAFKA_V_VALUE(text, strlen(text)), RD_KAFKA_V_END) == RD_KAFKA_RESP_ERR_NO_ERROR
               ? 0
               : -1;
}

/* Broker 1 leads slot 0, broker 2 leads slot 1; each slot has one message. */
static int start_two(void **state)
{
    static char of_0[] = "of slot 0", of_1[] = "of slot 1";
    rd_kafka_conf_t *options = rd_kafka_conf_new();
    char text[256];

    (void)state;
    if (rd_kafka_conf_set(options, "test.mock.num.brokers", "2", text, sizeof(text))) {
        return -1;
    }
    rk = rd_kafka_new(RD_KAFKA_PRODUCER, options, text, sizeof(text));
    cluster = rk ? rd_kafka_handle_mock_cluster(rk) : NULL;
    if (!cluster || rd_kafka_mock_topic_create(cluster, TOPIC, 2, 1) ||
        rd_kafka_mock_partition_set_leader(cluster, TOPIC, 0, 1) ||
        rd_kafka_mock_partition_set_leader(cluster, TOPIC, 1, 2)) {
        return -1;
    }
    conf = (struct ctl_conf){ .kafka_brokers = rd_kafka_mock_cluster_bootstraps(cluster), .kafka_topic = TOPIC };
    return produce(0, of_0) || produce(1, of_1) || rd_kafka_flush(rk, LONG_MS) ? -1 : 0;
}

static int stop_cluster(void **state)
{
    (void)state;
    rd_kafka_destroy(rk);
    return 0;
}

static void expect_message(uint64_t slot, const char *text)
{
    struct buf b = BUF_INIT(1024);
    struct pofr_err err;

    assert_int_equal(fetch_message(&conf, slot, 0, LONG_MS, &b, &err), 0);
    assert_int_equal(b.len, strlen(text));
    assert_memory_equal(b.data, text, b.len);
    buf_free(&b);
}

static void a_message_is_had_by_its_place(void **state)
{
    struct buf b = BUF_INIT(1024);
    struct pofr_err err;

    (void)state;
    expect_message(0, "of slot 0");
    expect_message(1, "of slot 1");
    assert_int_equal(fetch_message(&conf, 0, 1, LONG_MS, &b, &err), POFR_ENOTFOUND);
    assert_int_equal(b.len, 0);
    buf_free(&b);
}

/* Whoever asks for the slot of a broker that is gone is told so in time, and the others' slots are given. */
static void a_broker_that_is_gone_is_not_waited_for(void **state)
{
    struct buf b = BUF_INIT(1024);
    struct pofr_err err;
    int64_t begun;

    (void)state;
    assert_int_equal(rd_kafka_mock_broker_set_down(cluster, 1), 0);
    begun = clock_mono_us();
    assert_int_equal(fetch_message(&conf, 0, 0, 500, &b, &err), POFR_ETIMEOUT);
    assert_true(clock_mono_us() - begun < 60 * CLOCK_US_PER_S); /* it would be for ever */
    assert_non_null(strstr(err.text, "partition 0"));
    expect_message(1, "of slot 1");
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_message_is_had_by_its_place, start_two, stop_cluster),
        cmocka_unit_test_setup_teardown(a_broker_that_is_gone_is_not_waited_for, start_two, stop_cluster),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
