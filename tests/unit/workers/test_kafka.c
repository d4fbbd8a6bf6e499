/* SPDX-License-Identifier: GPL-2.0-or-later */
/* librdkafka's own mock cluster: no real broker answers as late as these tests need, at the moment when they need it. */
#include "tests/support/check.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "common/os/clock.h"
#include "workers/kafka.h"

#define TOPIC    "pofr.snapshots"
#define SLOTS    32u
#define RTT_MS   150
#define LIMIT_US (60 * CLOCK_US_PER_S)

static rd_kafka_t *rk; /* the cluster's, and the producer */
static rd_kafka_mock_cluster_t *cluster;
static struct kafka_consumer *consumer;
static struct kafka_producer *asker;
static unsigned seen[SLOTS];
static bool is_assigned;

static int produce(unsigned slot)
{
    static char value[] = "a bundle";

    return rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(TOPIC), RD_KAFKA_V_PARTITION((int32_t)slot),
                             RD_KAFKA_V_VALUE(value, sizeof(value)), RD_KAFKA_V_END);
}

static int start(const char *brokers)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    if (rd_kafka_conf_set(conf, "test.mock.num.brokers", brokers, text, sizeof(text))) {
        return -1;
    }
    rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    cluster = rk ? rd_kafka_handle_mock_cluster(rk) : NULL;
    if (!cluster || rd_kafka_mock_topic_create(cluster, TOPIC, (int)SLOTS + 1, 1)) {
        return -1;
    }
    return produce(SLOTS) || rd_kafka_flush(rk, 10000) ? -1 : 0; /* it knows its way from now on */
}

static int start_cluster(void **state)
{
    (void)state;
    return start("1");
}

static int start_two(void **state)
{
    (void)state;
    return start("2");
}

static int stop_cluster(void **state)
{
    (void)state;
    kafka_consumer_close(consumer, 1000);
    consumer = NULL;
    kafka_producer_close(asker);
    asker = NULL;
    rd_kafka_destroy(rk);
    return 0;
}

/* All positions are known at once, before the broker has answered anything. */
static void assigned(void *arg, const unsigned *slots, size_t count)
{
    (void)arg;
    for (size_t i = 0; i < count; i++) {
        kafka_resume(consumer, slots[i], 0);
    }
    is_assigned = true;
}

static void revoked(void *arg, bool lost)
{
    (void)arg;
    (void)lost;
}

static void message(void *arg, struct message *m)
{
    (void)arg;
    if (m->slot < SLOTS && m->offset == 0) {
        seen[m->slot]++;
    }
    message_free(m);
}

static void fatal(void *arg, const char *text)
{
    (void)arg;
    fail_msg("%s", text);
}

static size_t slots_seen(void)
{
    size_t n = 0;

    for (unsigned i = 0; i < SLOTS; i++) {
        n += seen[i] > 0;
    }
    return n;
}

/* One message each, all the time in which librdkafka settles where it stands. */
static void what_comes_while_a_position_is_looked_up_is_read(void **state)
{
    const struct kafka_events events = { NULL, assigned, revoked, message, fatal };
    struct kafka_options o = { .brokers = rd_kafka_mock_cluster_bootstraps(cluster),
                               .topic = TOPIC,
                               .group = "pofr-ingest",
                               .instance_id = "",
                               .program = "test",
                               .queue_bytes = 1 << 20 };
    int64_t end = clock_mono_us() + LIMIT_US;
    struct pofr_err err;

    (void)state;
    assert_int_equal(kafka_consumer_new(&o, &events, &consumer, &err), 0);
    assert_int_equal(rd_kafka_mock_broker_set_rtt(cluster, -1, RTT_MS), 0);
    while (!is_assigned && clock_mono_us() < end) {
        kafka_poll(consumer, 10);
    }
    assert_true(is_assigned);
    for (unsigned i = 0; i < SLOTS; i++) {
        assert_int_equal(produce(i), 0);
        for (int64_t until = clock_mono_us() + 40 * 1000; clock_mono_us() < until;) {
            kafka_poll(consumer, 5);
            rd_kafka_poll(rk, 0);
        }
    }
    while (slots_seen() < SLOTS && clock_mono_us() < end) {
        kafka_poll(consumer, 10);
        rd_kafka_poll(rk, 0);
    }
    assert_int_equal(slots_seen(), SLOTS);
}

/* A broker is gone and another leads: whoever asked the first one before must not ask it for ever. */
static void limits_are_asked_of_who_leads_now(void **state)
{
    struct kafka_options o = { .brokers = rd_kafka_mock_cluster_bootstraps(cluster),
                               .topic = TOPIC,
                               .group = "pofr-ingest",
                               .instance_id = "",
                               .program = "test" };
    int64_t end = clock_mono_us() + LIMIT_US;
    int64_t low = -1, high = -1;
    struct pofr_err err;
    int rc;

    (void)state;
    assert_int_equal(rd_kafka_mock_partition_set_leader(cluster, TOPIC, 0, 1), 0);
    assert_int_equal(rd_kafka_mock_partition_set_leader(cluster, TOPIC, 1, 1), 0);
    assert_int_equal(kafka_producer_new(&o, &asker, &err), 0);
    while ((rc = kafka_limits(asker, TOPIC, 0, 1000, &low, &high, &err)) != 0 && clock_mono_us() < end) {
    }
    assert_int_equal(rc, 0);
    assert_int_equal(rd_kafka_mock_partition_set_leader(cluster, TOPIC, 0, 2), 0);
    assert_int_equal(rd_kafka_mock_partition_set_leader(cluster, TOPIC, 1, 2), 0);
    assert_int_equal(rd_kafka_mock_broker_set_down(cluster, 1), 0);
    while ((rc = kafka_limits(asker, TOPIC, 0, 1000, &low, &high, &err)) != 0 && clock_mono_us() < end) {
    }
    assert_int_equal(rc, 0);
    assert_int_equal(kafka_limits(asker, TOPIC, 1, 10000, &low, &high, &err), 0); /* one error was enough for all */
    assert_int_equal(high, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_comes_while_a_position_is_looked_up_is_read, start_cluster, stop_cluster),
        cmocka_unit_test_setup_teardown(limits_are_asked_of_who_leads_now, start_two, stop_cluster),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
