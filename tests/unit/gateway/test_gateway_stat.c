/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/check.h"

#include <string.h>

#include "common/base/buf.h"
#include "gateway/gateway_stat.h"

static void labels_stand_in_the_order_of_their_enums(void **state)
{
    static const struct {
        unsigned id;
        const char *word;
        int value;
    } cases[] = {
        { STAT_gateway_connections_refused, "memory", REFUSAL_MEMORY },
        { STAT_gateway_connections_refused, "sessions", REFUSAL_SESSIONS },
        { STAT_gateway_handshakes, "host", HANDSHAKE_HOST },
        { STAT_gateway_handshakes, "broken", HANDSHAKE_BROKEN },
        { STAT_gateway_logins_denied, "method", DENIAL_METHOD },
        { STAT_gateway_logins_denied, "signature", DENIAL_SIGNATURE },
        { STAT_gateway_requests_refused, "channel", REQUEST_CHANNEL },
        { STAT_gateway_requests_refused, "global", REQUEST_GLOBAL },
        { STAT_gateway_requests_refused, "other", REQUEST_OTHER },
        { STAT_gateway_peers_cut, "packets", CUT_PACKETS },
        { STAT_gateway_peers_cut, "pieces", CUT_PIECES },
        { STAT_gateway_enrolments, "new", ENROLMENT_NEW },
        { STAT_gateway_enrolments, "malformed", ENROLMENT_MALFORMED },
        { STAT_gateway_bundles, "acked", BUNDLE_ACKED },
        { STAT_gateway_bundles, "order", BUNDLE_ORDER },
        { STAT_gateway_bundles, "unasked", BUNDLE_UNASKED },
        { STAT_kafka_delivery_errors, "purged", DELIVERY_PURGED },
        { STAT_kafka_delivery_errors, "other", DELIVERY_OTHER },
        { STAT_gateway_lookups, "found", LOOKUP_FOUND },
        { STAT_gateway_lookups, "unavailable", LOOKUP_UNAVAILABLE },
    };
    struct stat_set *s = NULL;
    size_t i;

    (void)state;
    assert_int_equal(stat_new(gateway_stats, GATEWAY_STAT_COUNT, &s, NULL), 0);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(stat_value(s, cases[i].id, cases[i].word), cases[i].value);
    }
    for (i = END_PEER; i <= END_RESOURCES; i++) {
        assert_int_equal(stat_value(s, STAT_gateway_sessions_ended, session_end_name((enum session_end)i)), i);
    }
    stat_free(s);
}

static void names_are_those_that_dashboards_know(void **state)
{
    static const char *const names[] = {
        "pofr_gateway_sessions ",
        "pofr_gateway_handshakes_total{result=\"host\"}",
        "pofr_gateway_bundles_total{result=\"acked\"}",
        "pofr_gateway_bytes_total ",
        "pofr_gateway_ack_seconds_bucket",
        "pofr_kafka_producer_queue_bytes ",
        "pofr_kafka_delivery_errors_total",
        "pofr_gateway_backpressure_seconds_total ",
        "pofr_gateway_keys_age_seconds ",
    };
    struct buf out = BUF_INIT(1 << 20);
    struct stat_set *s = NULL;
    size_t i;

    (void)state;
    assert_int_equal(stat_new(gateway_stats, GATEWAY_STAT_COUNT, &s, NULL), 0);
    stat_write(s, &out);
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!strstr(buf_cstr(&out), names[i])) {
            fail_msg("%s is missing", names[i]);
        }
    }
    buf_free(&out);
    stat_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_stand_in_the_order_of_their_enums),
        cmocka_unit_test(names_are_those_that_dashboards_know),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
