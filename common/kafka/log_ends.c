/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/kafka/log_ends.h"

#include <stddef.h>

#include <librdkafka/rdkafka.h>

/* Ask who leads which slot. The library does so for topics that it writes, and remembers else for a quarter of an hour. */
static void learn_leaders(rd_kafka_t *rk, const char *topic, int timeout_ms)
{
    rd_kafka_topic_t *t = rd_kafka_topic_new(rk, topic, NULL);
    const struct rd_kafka_metadata *m = NULL;

    if (t && rd_kafka_metadata(rk, 0, t, &m, timeout_ms) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_metadata_destroy(m);
    }
    if (t) {
        rd_kafka_topic_destroy(t);
    }
}

/*
 * which: RD_KAFKA_OFFSET_BEGINNING or _END, that the brokers' request takes in place of a time. Not
 * rd_kafka_query_watermark_offsets(): that waits for a leader which is gone until it is back, whatever its time limit (2.0.2).
 */
static rd_kafka_resp_err_t ask_end(rd_kafka_t *rk, const char *topic, unsigned slot, int64_t which, int timeout_ms,
                                   int64_t *out)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *end = rd_kafka_topic_partition_list_add(list, topic, (int32_t)slot);
    rd_kafka_resp_err_t rc;

    end->offset = which;
    rc = rd_kafka_offsets_for_times(rk, list, timeout_ms);
    if (rc == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rc = end->err != RD_KAFKA_RESP_ERR_NO_ERROR ? end->err : end->offset < 0 ? RD_KAFKA_RESP_ERR__BAD_MSG : rc;
    }
    if (rc == RD_KAFKA_RESP_ERR_NO_ERROR) {
        *out = end->offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return rc;
}

int kafka_log_ends(struct rd_kafka_s *rk, const char *topic, unsigned slot, int timeout_ms, int64_t *out_low,
                   int64_t *out_high)
{
    int64_t low = 0, high = 0;
    rd_kafka_resp_err_t rc = ask_end(rk, topic, slot, RD_KAFKA_OFFSET_BEGINNING, timeout_ms, &low);

    if (rc == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rc = ask_end(rk, topic, slot, RD_KAFKA_OFFSET_END, timeout_ms, &high);
    }
    if (rc != RD_KAFKA_RESP_ERR_NO_ERROR) {
        learn_leaders(rk, topic, timeout_ms);
        return (int)rc;
    }
    *out_low = low;
    *out_high = high;
    return 0;
}
