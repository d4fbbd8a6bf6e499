/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The client against librdkafka's own mock of a broker: for faults that a real one can't be made to show.
 * tests/suites/gateway.sh has the rest.
 */
#include "tests/support/check.h"

#include <stdio.h>
#include <string.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "common/base/err.h"
#include "common/os/clock.h"
#include "common/os/loop.h"
#include "gateway/gateway_stat.h"
#include "gateway/publish.h"

#define TOPIC      "t"
#define PRODUCE    0 /* Kafka's number of the request */
#define WAIT_US    (20 * CLOCK_US_PER_S)
#define BLOCK_SIZE 1000

static rd_kafka_t *mock_handle;
static rd_kafka_mock_cluster_t *mock;
static struct loop *loop;
static struct stat_set *stats;
static struct publisher *publisher;
static uint8_t block[BLOCK_SIZE];
static int delivered, failed, progressed;

static void on_reported(void *arg, void *opaque, bool ok)
{
    (void)arg;
    assert_ptr_equal(opaque, block);
    delivered += ok ? 1 : 0;
    failed += ok ? 0 : 1;
}

static void on_progressed(void *arg)
{
    (void)arg;
    progressed++;
}

static void open_publisher(uint64_t queue_bytes)
{
    struct publisher_options o;

    memset(&o, 0, sizeof(o));
    o.brokers = rd_kafka_mock_cluster_bootstraps(mock);
    o.topic = TOPIC;
    o.gateway = "test";
    o.queue_bytes = queue_bytes;
    o.loop = loop;
    o.stats = stats;
    o.reported = on_reported;
    o.progressed = on_progressed;
    assert_int_equal(publisher_open(&o, &publisher, NULL), 0);
}

static int set_up(void **state)
{
    char why[128];

    (void)state;
    delivered = failed = progressed = 0;
    memset(block, 'b', sizeof(block));
    mock_handle = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why, sizeof(why));
    assert_non_null(mock_handle);
    mock = rd_kafka_mock_cluster_new(mock_handle, 1);
    assert_int_equal(rd_kafka_mock_topic_create(mock, TOPIC, 4, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(loop_new(&loop, NULL), 0);
    assert_int_equal(stat_new(gateway_stats, GATEWAY_STAT_COUNT, &stats, NULL), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    publisher_close(publisher);
    publisher = NULL;
    loop_free(loop);
    stat_free(stats);
    rd_kafka_mock_cluster_destroy(mock);
    rd_kafka_destroy(mock_handle);
    return 0;
}

static int send_to(uint32_t slot)
{
    static const struct uuid host = { { 1 } }, boot = { { 2 } };
    struct publish_message m;

    memset(&m, 0, sizeof(m));
    m.host = &host;
    m.slot = slot;
    m.block = slice_of(block, sizeof(block));
    m.received_wall_us = 1;
    m.peer = "127.0.0.1:1";
    m.boot = &boot;
    m.with_offset = true;
    m.doubt = true;
    m.opaque = block;
    return publisher_send(publisher, &m);
}

/* Turn the loop until so many are reported. */
static void wait_for(int reports)
{
    int64_t deadline = clock_mono_us() + WAIT_US;

    while (delivered + failed < reports && clock_mono_us() < deadline) {
        assert_int_equal(loop_once(loop, 100000, NULL), 0);
    }
    assert_int_equal(delivered + failed, reports);
}

static void each_message_is_reported_once_when_kafka_has_it(void **state)
{
    int i;

    (void)state;
    open_publisher(1u << 20);
    for (i = 0; i < 50; i++) {
        assert_int_equal(send_to((uint32_t)i % 4), 0);
    }
    assert_int_equal(publisher_unreported(publisher), 50);
    wait_for(50);
    assert_int_equal(delivered, 50);
    assert_int_equal(publisher_unreported(publisher), 0);
    assert_true(progressed > 0);
    assert_int_equal(stat_get(stats, STAT_gateway_kafka_up), 1);
}

static void a_passing_error_of_the_broker_is_tried_again(void **state)
{
    (void)state;
    open_publisher(1u << 20);
    rd_kafka_mock_push_request_errors(mock, PRODUCE, 3, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
                                      RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
    assert_int_equal(send_to(0), 0);
    wait_for(1);
    assert_int_equal(delivered, 1);
}

static void a_message_that_the_broker_refuses_is_reported_as_not_delivered(void **state)
{
    (void)state;
    open_publisher(1u << 20);
    rd_kafka_mock_push_request_errors(mock, PRODUCE, 1, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    assert_int_equal(send_to(0), 0);
    wait_for(1);
    assert_int_equal(failed, 1);
    assert_int_equal(stat_get_by(stats, STAT_kafka_delivery_errors, DELIVERY_AUTHORIZATION), 1);
}

static void after_a_fatal_error_all_are_reported_and_the_client_is_new(void **state)
{
    int i, code = POFR_EFULL;
    int64_t deadline = clock_mono_us() + WAIT_US;

    (void)state;
    open_publisher(1u << 20);
    assert_int_equal(send_to(0), 0);
    wait_for(1);
    rd_kafka_mock_push_request_errors(mock, PRODUCE, 1, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    for (i = 0; i < 4; i++) {
        assert_int_equal(send_to(0), 0);
    }
    wait_for(5);
    assert_true(failed >= 1);
    while (stat_get(stats, STAT_gateway_producer_restarts) == 0 && clock_mono_us() < deadline) {
        assert_int_equal(loop_once(loop, 100000, NULL), 0);
    }
    assert_int_equal(stat_get(stats, STAT_gateway_producer_restarts), 1);
    delivered = failed = 0;
    while (code == POFR_EFULL && clock_mono_us() < deadline) {
        code = send_to(1);
    }
    assert_int_equal(code, 0);
    wait_for(1);
    assert_int_equal(delivered, 1);
}

/* Of two requests under way the first is answered with the end of this client, the second with a word that says: try again. */
static void what_is_put_back_after_a_fatal_error_is_reported_too(void **state)
{
    int64_t deadline = clock_mono_us() + WAIT_US;
    int64_t later;

    (void)state;
    open_publisher(1u << 20);
    assert_int_equal(send_to(0), 0);
    assert_int_equal(send_to(1), 0);
    wait_for(2);
    assert_int_equal(rd_kafka_mock_broker_set_rtt(mock, 1, 1000), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_mock_push_request_errors(mock, PRODUCE, 2, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
                                      RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
    assert_int_equal(send_to(0), 0);
    for (later = clock_mono_us() + CLOCK_US_PER_S / 2; clock_mono_us() < later;) {
        assert_int_equal(loop_once(loop, 10000, NULL), 0);
    }
    assert_int_equal(send_to(1), 0);
    wait_for(4);
    while (stat_get(stats, STAT_gateway_producer_restarts) == 0 && clock_mono_us() < deadline) {
        assert_int_equal(loop_once(loop, 100000, NULL), 0);
    }
    assert_int_equal(stat_get(stats, STAT_gateway_producer_restarts), 1);
}

static void a_full_queue_says_so_and_tells_when_there_is_room(void **state)
{
    int taken = 0, code;

    (void)state;
    open_publisher(100 * 1024);
    rd_kafka_mock_broker_set_down(mock, 1);
    while ((code = send_to(0)) == 0 && taken < 1000) {
        taken++;
    }
    assert_int_equal(code, POFR_EFULL);
    assert_true(taken >= 90 && taken < 120);
    progressed = 0;
    rd_kafka_mock_broker_set_up(mock, 1);
    wait_for(taken);
    assert_int_equal(delivered, taken);
    assert_true(progressed > 0);
    assert_int_equal(send_to(0), 0);
    wait_for(taken + 1);
}

static void closing_reports_what_was_not_delivered(void **state)
{
    (void)state;
    open_publisher(1u << 20);
    rd_kafka_mock_broker_set_down(mock, 1);
    assert_int_equal(send_to(0), 0);
    assert_int_equal(send_to(1), 0);
    publisher_close(publisher);
    publisher = NULL;
    assert_int_equal(failed, 2);
    assert_int_equal(delivered, 0);
}

static void a_partition_that_is_not_there_is_no_message_lost(void **state)
{
    (void)state;
    open_publisher(1u << 20);
    assert_int_equal(send_to(0), 0);
    wait_for(1); /* now it knows the topic */
    if (send_to(9) == 0) {
        wait_for(2);
        assert_int_equal(failed, 1);
    }
    assert_int_equal(publisher_unreported(publisher), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(each_message_is_reported_once_when_kafka_has_it),
        T(a_passing_error_of_the_broker_is_tried_again),
        T(a_message_that_the_broker_refuses_is_reported_as_not_delivered),
        T(after_a_fatal_error_all_are_reported_and_the_client_is_new),
        T(what_is_put_back_after_a_fatal_error_is_reported_too),
        T(a_full_queue_says_so_and_tells_when_there_is_room),
        T(closing_reports_what_was_not_delivered),
        T(a_partition_that_is_not_there_is_no_message_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
