/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/fetch.h"

#include <stdio.h>

#include <librdkafka/rdkafka.h>

#include "common/kafka/client.h"
#include "common/record/limits.h"

static int set_all(rd_kafka_conf_t *conf, struct pofr_err *err)
{
    char fetch[32];
    const char *const pairs[][2] = {
        { "auto.offset.reset", "error" },     { "enable.auto.commit", "false" },         { "check.crcs", "true" },
        { "fetch.message.max.bytes", fetch }, { "queued.max.messages.kbytes", "16384" },
    };
    int code = 0;

    snprintf(fetch, sizeof(fetch), "%u", BUNDLE_MAX + 65536U);
    for (size_t i = 0; i < pofr_countof(pairs) && !code; i++) {
        code = kafka_conf_set(conf, pairs[i][0], pairs[i][1], err);
    }
    return code;
}

static int open_client(struct ctl *c, rd_kafka_t **out, struct pofr_err *err)
{
    char why[256];
    rd_kafka_conf_t *conf = NULL;
    int code = kafka_conf_new(c->conf->kafka_brokers, &c->conf->kafka, "pofrctl", &conf, err);

    if (code) {
        return code;
    }
    rd_kafka_conf_set_log_cb(conf, NULL); /* what matters comes back as an error */
    code = set_all(conf, err);
    if (!code) {
        *out = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
        conf = *out ? NULL : conf;
        code = *out ? 0 : pofr_err_set(err, POFR_ECONFIG, "Kafka client: %s", why);
    }
    if (conf) {
        rd_kafka_conf_destroy(conf);
    }
    return code;
}

static int is_kept(rd_kafka_t *rk, const char *topic, int32_t slot, int64_t offset, struct pofr_err *err)
{
    int64_t low = 0;
    int64_t high = 0;
    rd_kafka_resp_err_t rc = rd_kafka_query_watermark_offsets(rk, topic, slot, &low, &high, KAFKA_TIMEOUT_MS);

    if (rc) {
        return pofr_err_set(err, POFR_ETIMEOUT, "Kafka, %s, partition %d: %s", topic, (int)slot, rd_kafka_err2str(rc));
    }
    if (offset < low || offset >= high) {
        return pofr_err_set(err, POFR_ENOTFOUND, "Kafka has offsets %lld to %lld of partition %d, and %lld no more",
                            (long long)low, (long long)high, (int)slot, (long long)offset);
    }
    return 0;
}

static int take(const rd_kafka_message_t *m, int64_t offset, struct buf *out, struct pofr_err *err)
{
    if (!m) {
        return pofr_err_set(err, POFR_ETIMEOUT, "Kafka did not give the message in time");
    }
    if (m->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || m->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE ||
        (!m->err && m->offset != offset)) {
        return pofr_err_set(err, POFR_ENOTFOUND, "Kafka has the message no more");
    }
    if (m->err) {
        return pofr_err_set(err, POFR_ETIMEOUT, "Kafka: %s", rd_kafka_message_errstr(m));
    }
    buf_bytes(out, m->payload, m->len);
    return out->err ? pofr_err_set(err, out->err, "the message") : 0;
}

/* The simple consumer: no group, so none has to be allowed. */
static int consume(rd_kafka_t *rk, const char *topic, int32_t slot, int64_t offset, struct buf *out,
                   struct pofr_err *err)
{
    rd_kafka_message_t *m = NULL;
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, topic, NULL);
    int code;

    if (!rkt || rd_kafka_consume_start(rkt, slot, offset)) {
        code = pofr_err_set(err, POFR_ETIMEOUT, "Kafka: %s", rd_kafka_err2str(rd_kafka_last_error()));
    } else {
        m = rd_kafka_consume(rkt, slot, KAFKA_TIMEOUT_MS);
        code = take(m, offset, out, err);
        if (m) {
            rd_kafka_message_destroy(m);
        }
        rd_kafka_consume_stop(rkt, slot);
    }
    if (rkt) {
        rd_kafka_topic_destroy(rkt);
    }
    return code;
}

int fetch_message(struct ctl *c, uint64_t slot, int64_t offset, struct buf *out, struct pofr_err *err)
{
    rd_kafka_t *rk = NULL;
    int code = open_client(c, &rk, err);

    if (!code) {
        code = is_kept(rk, c->conf->kafka_topic, (int32_t)slot, offset, err);
    }
    if (!code) {
        code = consume(rk, c->conf->kafka_topic, (int32_t)slot, offset, out, err);
    }
    if (rk) {
        rd_kafka_destroy(rk);
    }
    return code;
}
