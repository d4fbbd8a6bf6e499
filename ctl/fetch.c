/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/fetch.h"

#include <stdio.h>

#include <librdkafka/rdkafka.h>

#include "common/kafka/client.h"
#include "common/kafka/log_ends.h"
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

static int open_client(const struct ctl_conf *conf, rd_kafka_t **out, struct pofr_err *err)
{
    char why[256];
    rd_kafka_conf_t *options = NULL;
    int code = kafka_conf_new(conf->kafka_brokers, &conf->kafka, "pofrctl", &options, err);

    if (code) {
        return code;
    }
    rd_kafka_conf_set_log_cb(options, NULL); /* what matters comes back as an error */
    code = set_all(options, err);
    if (!code) {
        *out = rd_kafka_new(RD_KAFKA_CONSUMER, options, why, sizeof(why));
        options = *out ? NULL : options;
        code = *out ? 0 : pofr_err_set(err, POFR_ECONFIG, "Kafka client: %s", why);
    }
    if (options) {
        rd_kafka_conf_destroy(options);
    }
    return code;
}

static int is_kept(rd_kafka_t *rk, const char *topic, unsigned slot, int64_t offset, int timeout_ms,
                   struct pofr_err *err)
{
    int64_t low = 0;
    int64_t high = 0;
    int rc = kafka_log_ends(rk, topic, slot, timeout_ms, &low, &high);

    if (rc) {
        return pofr_err_set(err, POFR_ETIMEOUT, "Kafka, %s, partition %u: %s", topic, slot,
                            rd_kafka_err2str((rd_kafka_resp_err_t)rc));
    }
    if (offset < low || offset >= high) {
        return pofr_err_set(err, POFR_ENOTFOUND, "Kafka has offsets %lld to %lld of partition %u, and %lld no more",
                            (long long)low, (long long)high, slot, (long long)offset);
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
static int consume(rd_kafka_t *rk, const char *topic, int32_t slot, int64_t offset, int timeout_ms, struct buf *out,
                   struct pofr_err *err)
{
    rd_kafka_message_t *m = NULL;
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, topic, NULL);
    int code;

    if (!rkt || rd_kafka_consume_start(rkt, slot, offset)) {
        code = pofr_err_set(err, POFR_ETIMEOUT, "Kafka: %s", rd_kafka_err2str(rd_kafka_last_error()));
    } else {
        m = rd_kafka_consume(rkt, slot, timeout_ms);
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

int fetch_message(const struct ctl_conf *conf, uint64_t slot, int64_t offset, int timeout_ms, struct buf *out,
                  struct pofr_err *err)
{
    rd_kafka_t *rk = NULL;
    int code = open_client(conf, &rk, err);

    if (!code) {
        code = is_kept(rk, conf->kafka_topic, (unsigned)slot, offset, timeout_ms, err);
    }
    if (!code) {
        code = consume(rk, conf->kafka_topic, (int32_t)slot, offset, timeout_ms, out, err);
    }
    if (rk) {
        rd_kafka_destroy(rk);
    }
    return code;
}
