/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What makes lag a time: the first message that is not stored says when it was looked at. A message is fetched for each slot
 * that lags and for no other. Its bytes are from outside and not verified here: they give a figure, nothing else.
 */
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

#include "common/base/parse_num.h"
#include "common/base/slice.h"
#include "common/evidence/statement.h"
#include "common/os/clock.h"
#include "common/record/limits.h"
#include "common/watch/kafka_look_parts.h"

#define TURN_MS 100

static struct slice statement_of(struct slice message)
{
    static const struct slice end = SLICE_LITERAL("\nend\n");
    size_t most = message.len < STATEMENT_MAX ? message.len : STATEMENT_MAX;
    const uint8_t *at = most ? memmem(message.data, most, end.data, end.len) : NULL;

    return at ? slice_of(message.data, (size_t)(at - message.data) + end.len) : SLICE_EMPTY;
}

static void take_times(const rd_kafka_message_t *m, struct look_unread *u)
{
    struct statement *st = malloc(sizeof(*st));
    rd_kafka_headers_t *headers = NULL;
    const void *value = NULL;
    size_t len = 0;
    int64_t offset = 0;

    u->appended_ms = rd_kafka_message_timestamp(m, NULL);
    u->captured_us = u->appended_ms * 1000;
    if (st && statement_parse(statement_of(slice_of(m->payload, m->len)), st, NULL) == 0) {
        u->captured_us = (int64_t)(st->to_wall_us & INT64_MAX);
        if (rd_kafka_message_headers(m, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR &&
            rd_kafka_header_get_last(headers, "pofr-offset", &value, &len) == RD_KAFKA_RESP_ERR_NO_ERROR &&
            parse_i64(slice_of(value, len), -INT64_MAX / 4, INT64_MAX / 4, &offset) == 0 &&
            st->to_boot_us < INT64_MAX / 4) {
            u->captured_us = offset + (int64_t)st->to_boot_us;
            u->measured = true;
        }
    }
    free(st);
}

static bool take(const rd_kafka_message_t *m, struct look_unread *list, size_t count)
{
    for (size_t i = 0; i < count && !m->err; i++) {
        if (list[i].slot == m->partition && !list[i].found && m->offset >= list[i].offset) {
            list[i].offset = m->offset;
            list[i].found = true;
            take_times(m, &list[i]);
            return true;
        }
    }
    return false;
}

static size_t start(rd_kafka_topic_t *topic, rd_kafka_queue_t *queue, const struct look_unread *list, size_t count,
                    rd_kafka_resp_err_t *out_error)
{
    size_t started = 0;

    while (started < count) {
        if (rd_kafka_consume_start_queue(topic, list[started].slot, list[started].offset, queue)) {
            *out_error = rd_kafka_last_error();
            break;
        }
        started++;
    }
    return started;
}

int kafka_look_unread(struct kafka_look *k, const char *topic, struct look_unread *list, size_t count, int timeout_ms,
                      struct pofr_err *err)
{
    rd_kafka_topic_t *rkt = count ? rd_kafka_topic_new(k->rk, topic, NULL) : NULL;
    rd_kafka_queue_t *queue = count ? rd_kafka_queue_new(k->rk) : NULL;
    int64_t due = clock_mono_us() + (int64_t)timeout_ms * 1000;
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR__TIMED_OUT;
    size_t found = 0;
    size_t started;

    if (count == 0) {
        return 0;
    }
    started = rkt ? start(rkt, queue, list, count, &error) : 0;
    while (found < started && clock_mono_us() < due) {
        rd_kafka_message_t *m = rd_kafka_consume_queue(queue, TURN_MS);

        if (m) {
            if (take(m, list, count)) {
                found++;
            } else if (m->err) {
                error = m->err;
            }
            rd_kafka_message_destroy(m);
        }
    }
    for (size_t i = 0; i < started; i++) {
        rd_kafka_consume_stop(rkt, list[i].slot);
    }
    rd_kafka_queue_destroy(queue);
    if (rkt) {
        rd_kafka_topic_destroy(rkt);
    }
    return found > 0 ? 0 : pofr_err_set(err, POFR_ETIMEOUT, "Kafka, %s: %s", topic, rd_kafka_err2str(error));
}
