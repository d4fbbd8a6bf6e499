/* SPDX-License-Identifier: GPL-2.0-or-later */
/* librdkafka's own mock cluster: a broker that is gone for exactly as long as the test wants. */
#include "tests/support/check.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "common/os/clock.h"
#include "common/watch/kafka_look_parts.h"

#define TOPIC "pofr.snapshots"
#define GROUP "pofr-ingest"

static rd_kafka_t *rk; /* the cluster's */
static rd_kafka_mock_cluster_t *cluster;

static int start(void **state)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    (void)state;
    if (rd_kafka_conf_set(conf, "test.mock.num.brokers", "2", text, sizeof(text))) {
        return -1;
    }
    rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    cluster = rk ? rd_kafka_handle_mock_cluster(rk) : NULL;
    return !cluster || rd_kafka_mock_topic_create(cluster, TOPIC, 1, 1) ||
                   rd_kafka_mock_coordinator_set(cluster, "group", GROUP, 2)
               ? -1
               : 0;
}

static int stop(void **state)
{
    (void)state;
    rd_kafka_destroy(rk);
    return 0;
}

static int ask(struct kafka_look *k, int timeout_ms)
{
    struct look_slot slot = { .owner = LOOK_NO_OWNER };
    struct look_topic t = { .slots = &slot, .slots_count = 1 };
    struct pofr_err err = { 0 };

    return kafka_look_committed(k, TOPIC, GROUP, timeout_ms, &t, &err);
}

static void a_coordinator_that_comes_back_is_asked_again(void **state)
{
    struct kafka_look *k = NULL;
    struct pofr_err err = { 0 };
    int64_t limit = clock_mono_us() + 60 * CLOCK_US_PER_S;
    int code;

    (void)state;
    assert_int_equal(kafka_look_open(rd_kafka_mock_cluster_bootstraps(cluster), NULL, "test", &k, &err), 0);
    rd_kafka_mock_broker_set_down(cluster, 2);
    assert_int_equal(ask(k, 1000), POFR_ETIMEOUT);
    assert_int_equal(ask(k, 1000), POFR_ETIMEOUT);
    rd_kafka_mock_broker_set_up(cluster, 2);
    while ((code = ask(k, 5000)) == POFR_ETIMEOUT && clock_mono_us() < limit) {
    }
    assert_int_equal(code, 0);
    kafka_look_close(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_coordinator_that_comes_back_is_asked_again, start, stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
