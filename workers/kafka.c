/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The eager `range` assignor with every version of librdkafka: cooperative-sticky crashed, hung and skipped offsets in 2.0.2.
 * Offsets are ours: a slot is assigned at some offset and paused, then sought where the shard says. Whoever counts offsets
 * (slots.c) takes none but the next one, so a jump of librdkafka's is never a silent one. It does jump, and is made to jump
 * to the log's beginning (auto.offset.reset=earliest), from where what was jumped over still comes:
 * - After a position that the log does not have. With auto.offset.reset=error fetching stops for good: rd_kafka_seek on a
 *   partition in that state does nothing (rd_kafka_toppar_seek of 2.0.2 and 2.8: FETCH_IS_STARTED).
 * - After a seek while an offset is asked for: the answer is out of date and asked for again half a second later, and then it
 *   replaces what was sought (rd_kafka_toppar_handle_Offset of both). So slots are not assigned at a logical offset either.
 *
 * A resumed partition may go on from an old position of librdkafka's own; so it is resumed first and sought afterwards.
 */
#include "workers/kafka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

#include "common/kafka/client.h"
#include "common/kafka/log_ends.h"
#include "common/os/clock.h"
#include "common/os/log.h"
#include "common/record/limits.h"

#define UNSUBSCRIBE_POLL_MS 50

struct kafka_consumer {
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    struct kafka_events events;
    char topic[250];
    bool owns;       /* has an assignment */
    bool was_member; /* had one ever */
};

struct kafka_producer {
    rd_kafka_t *rk;
};

const char *kafka_library(void)
{
    static char text[64];

    snprintf(text, sizeof(text), "librdkafka %s", rd_kafka_version_str());
    return text;
}

static void log_line(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    char clean[512];

    (void)rk;
    log_escape(slice_str(text), clean, sizeof(clean));
    if (level <= 4) {
        log_warn("kafka", "client", "facility=%s text=\"%s\"", facility, clean);
    } else {
        log_debug("kafka", "client", "facility=%s text=\"%s\"", facility, clean);
    }
}

/* --- assignment ------------------------------------------------------------------------------------------ */

static void take(struct kafka_consumer *k, rd_kafka_topic_partition_list_t *list)
{
    unsigned slots[1024];
    size_t n = 0;
    rd_kafka_resp_err_t rc;

    for (int i = 0; i < list->cnt && n < 1024; i++) {
        list->elems[i].offset = 0;
        slots[n++] = (unsigned)list->elems[i].partition;
    }
    rc = rd_kafka_assign(k->rk, list);
    if (rc) {
        log_error("kafka", "assign_failed", "error=\"%s\"", rd_kafka_err2str(rc));
        return;
    }
    rc = rd_kafka_pause_partitions(k->rk, list);
    if (rc) {
        log_warn("kafka", "pause_failed", "error=\"%s\"", rd_kafka_err2str(rc));
    }
    k->owns = true;
    k->was_member = true;
    k->events.assigned(k->events.arg, slots, n);
}

static void give_back(struct kafka_consumer *k, bool lost)
{
    k->owns = false;
    k->events.revoked(k->events.arg, lost);
    rd_kafka_assign(k->rk, NULL);
}

static void rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *list, void *opaque)
{
    struct kafka_consumer *k = opaque;

    if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        take(k, list);
    } else {
        give_back(k, rd_kafka_assignment_lost(rk) != 0);
    }
}

/* --- the consumer ----------------------------------------------------------------------------------------- */

static int set_all(rd_kafka_conf_t *conf, const char *const (*pairs)[2], size_t n, struct pofr_err *err)
{
    int code = 0;

    for (size_t i = 0; i < n && code == 0; i++) {
        code = kafka_conf_set(conf, pairs[i][0], pairs[i][1], err);
    }
    return code;
}

static int consumer_conf(const struct kafka_options *o, rd_kafka_conf_t *conf, struct pofr_err *err)
{
    char kbytes[32], fetch[32];
    const char *const pairs[][2] = {
        { "group.id", o->group },
        { "partition.assignment.strategy", "range" },
        { "session.timeout.ms", "10000" },
        { "heartbeat.interval.ms", "3000" },
        { "max.poll.interval.ms", "300000" },
        { "auto.offset.reset", "earliest" },
        { "enable.auto.commit", "true" },
        { "enable.auto.offset.store", "false" },
        { "auto.commit.interval.ms", "1000" },
        { "enable.partition.eof", "false" },
        { "check.crcs", "true" },
        { "isolation.level", "read_uncommitted" },
        { "queued.min.messages", "10000" },
        { "queued.max.messages.kbytes", kbytes },
        { "fetch.message.max.bytes", fetch },
        { "fetch.wait.max.ms", "50" },
        { "socket.nagle.disable", "true" },
        { "reconnect.backoff.max.ms", "2000" },
        { "group.instance.id", o->instance_id },
    };

    snprintf(kbytes, sizeof(kbytes), "%llu", (unsigned long long)(o->queue_bytes / 1024));
    snprintf(fetch, sizeof(fetch), "%u", BUNDLE_MAX + 65536u);
    return set_all(conf, pairs, pofr_countof(pairs) - (o->instance_id[0] ? 0 : 1), err);
}

int kafka_consumer_new(const struct kafka_options *o, const struct kafka_events *events, struct kafka_consumer **out,
                       struct pofr_err *err)
{
    struct kafka_consumer *k = calloc(1, sizeof(*k));
    rd_kafka_topic_partition_list_t *topics = NULL;
    struct rd_kafka_conf_s *conf = NULL;
    char text[256];
    int code = k ? 0 : pofr_err_set(err, POFR_ENOMEM, "consumer");

    if (code == 0) {
        k->events = *events;
        snprintf(k->topic, sizeof(k->topic), "%s", o->topic);
        code = kafka_conf_new(o->brokers, o->access, o->program, &conf, err);
    }
    if (code == 0) {
        rd_kafka_conf_set_opaque(conf, k);
        rd_kafka_conf_set_rebalance_cb(conf, rebalance);
        rd_kafka_conf_set_log_cb(conf, log_line);
        code = consumer_conf(o, conf, err);
    }
    if (code == 0) {
        k->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
        if (k->rk) {
            conf = NULL;
        } else {
            code = pofr_err_set(err, POFR_ECONFIG, "consumer: %s", text);
        }
    }
    if (code == 0) {
        rd_kafka_poll_set_consumer(k->rk);
        k->queue = rd_kafka_queue_get_consumer(k->rk);
        topics = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(topics, k->topic, RD_KAFKA_PARTITION_UA);
        if (rd_kafka_subscribe(k->rk, topics)) {
            code = pofr_err_set(err, POFR_ECONFIG, "can't subscribe to %s", k->topic);
        }
        rd_kafka_topic_partition_list_destroy(topics);
    }
    if (conf) {
        rd_kafka_conf_destroy(conf);
    }
    if (code) {
        kafka_consumer_close(k, 0);
        return code;
    }
    *out = k;
    return 0;
}

static void release(void *owner)
{
    rd_kafka_message_destroy(owner);
}

static void take_headers(const rd_kafka_message_t *rkm, struct message *m)
{
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t size;

    if (rd_kafka_message_headers(rkm, &headers)) {
        return;
    }
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == 0; i++) {
        message_put_header(m, slice_str(name), slice_of(value, value ? size : 0));
    }
}

/* rkm goes with it. */
static struct message *message_of(rd_kafka_message_t *rkm)
{
    rd_kafka_timestamp_type_t type;
    struct message *m = NULL;

    if (message_new(&m) != 0) {
        rd_kafka_message_destroy(rkm);
        return NULL;
    }
    m->owner = rkm;
    m->release = release;
    m->slot = (unsigned)rkm->partition;
    m->offset = rkm->offset;
    m->key = slice_of(rkm->key, rkm->key_len);
    m->value = slice_of(rkm->payload, rkm->len);
    take_headers(rkm, m);
    message_settle(m, rd_kafka_message_timestamp(rkm, &type) * 1000);
    return m;
}

static void take_error(struct kafka_consumer *k, const rd_kafka_message_t *rkm)
{
    switch (rkm->err) {
    case RD_KAFKA_RESP_ERR__FATAL: {
        char text[256];

        rd_kafka_fatal_error(k->rk, text, sizeof(text));
        k->events.fatal(k->events.arg, text);
        break;
    }
    default:
        log_warn("kafka", "consumer", "slot=%d error=\"%s\"", (int)rkm->partition, rd_kafka_message_errstr(rkm));
        break;
    }
}

void kafka_poll(struct kafka_consumer *k, int timeout_ms)
{
    int wait = timeout_ms;

    for (unsigned i = 0; i < 1000; i++) { /* then other work has its turn */
        rd_kafka_message_t *rkm = rd_kafka_consumer_poll(k->rk, wait);
        struct message *m;

        if (!rkm) {
            return;
        }
        wait = 0;
        if (rkm->err) {
            take_error(k, rkm);
            rd_kafka_message_destroy(rkm);
            continue;
        }
        m = message_of(rkm);
        if (!m) {
            k->events.fatal(k->events.arg, "out of memory");
            return;
        }
        k->events.message(k->events.arg, m);
    }
}

void kafka_wake(struct kafka_consumer *k)
{
    rd_kafka_queue_yield(k->queue);
}

static rd_kafka_topic_partition_list_t *one(struct kafka_consumer *k, unsigned slot, int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(list, k->topic, (int32_t)slot)->offset = offset;
    return list;
}

void kafka_pause(struct kafka_consumer *k, unsigned slot)
{
    rd_kafka_topic_partition_list_t *list = one(k, slot, 0);

    rd_kafka_pause_partitions(k->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
}

void kafka_resume(struct kafka_consumer *k, unsigned slot, int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = one(k, slot, offset);

    rd_kafka_resume_partitions(k->rk, list);
    if (offset >= 0) {
        rd_kafka_error_t *error = rd_kafka_seek_partitions(k->rk, list, 0); /* 0: does not wait */

        if (error) {
            log_warn("kafka", "seek_failed", "slot=%u error=\"%s\"", slot, rd_kafka_error_string(error));
            rd_kafka_error_destroy(error);
        }
    }
    rd_kafka_topic_partition_list_destroy(list);
}

void kafka_note_offset(struct kafka_consumer *k, unsigned slot, int64_t next_offset)
{
    rd_kafka_topic_partition_list_t *list = one(k, slot, next_offset);

    rd_kafka_offsets_store(k->rk, list); /* fails for a slot that is not ours any more: then it is the other's to say */
    rd_kafka_topic_partition_list_destroy(list);
}

int64_t kafka_end(struct kafka_consumer *k, unsigned slot)
{
    int64_t low = -1, high = -1;

    if (rd_kafka_get_watermark_offsets(k->rk, k->topic, (int32_t)slot, &low, &high)) {
        return -1;
    }
    return high;
}

void kafka_consumer_close(struct kafka_consumer *k, int limit_ms)
{
    int64_t limit_us = clock_mono_us() + (int64_t)limit_ms * 1000;

    if (!k) {
        return;
    }
    if (k->rk) {
        rd_kafka_unsubscribe(k->rk);
        while (k->owns && clock_mono_us() < limit_us) {
            kafka_poll(k, UNSUBSCRIBE_POLL_MS);
        }
        if (k->queue) {
            rd_kafka_queue_destroy(k->queue);
        }
        rd_kafka_consumer_close(k->rk);
        rd_kafka_destroy(k->rk);
    }
    free(k);
}

/* --- the producer ------------------------------------------------------------------------------------------- */

static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *rkm, void *opaque)
{
    (void)rk;
    (void)opaque;
    *(rd_kafka_resp_err_t *)rkm->_private = rkm->err;
}

int kafka_producer_new(const struct kafka_options *o, struct kafka_producer **out, struct pofr_err *err)
{
    static const char *const pairs[][2] = {
        { "acks", "all" },
        { "enable.idempotence", "true" },
        { "linger.ms", "0" },
        { "message.max.bytes", "16777216" },
        { "message.timeout.ms", "30000" },
        { "socket.nagle.disable", "true" },
        { "reconnect.backoff.max.ms", "2000" },
    };
    struct kafka_producer *p = calloc(1, sizeof(*p));
    struct rd_kafka_conf_s *conf = NULL;
    char text[256];
    int code = p ? 0 : pofr_err_set(err, POFR_ENOMEM, "producer");

    if (code == 0) {
        code = kafka_conf_new(o->brokers, o->access, o->program, &conf, err);
    }
    if (code == 0) {
        rd_kafka_conf_set_log_cb(conf, log_line);
        rd_kafka_conf_set_dr_msg_cb(conf, delivered);
        code = set_all(conf, pairs, pofr_countof(pairs), err);
    }
    if (code == 0) {
        p->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
        if (p->rk) {
            conf = NULL;
        } else {
            code = pofr_err_set(err, POFR_ECONFIG, "producer: %s", text);
        }
    }
    if (conf) {
        rd_kafka_conf_destroy(conf);
    }
    if (code) {
        free(p);
        return code;
    }
    *out = p;
    return 0;
}

void kafka_producer_close(struct kafka_producer *p)
{
    if (p) {
        rd_kafka_purge(p->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_flush(p->rk, 1000);
        rd_kafka_destroy(p->rk);
        free(p);
    }
}

static int publish_code(rd_kafka_resp_err_t rc)
{
    switch (rc) {
    case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
    case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
        return POFR_ETIMEOUT;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
        return POFR_ETOOBIG;
    default:
        return POFR_ESYSTEM;
    }
}

int kafka_publish(struct kafka_producer *p, const char *topic, const struct message *m, const struct slice (*more)[2],
                  size_t more_count, int timeout_ms, struct pofr_err *err)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(16);
    rd_kafka_resp_err_t result = RD_KAFKA_RESP_ERR__IN_PROGRESS, rc;
    int64_t limit_us = clock_mono_us() + (int64_t)timeout_ms * 1000;
    struct slice name, value;
    size_t at = 0;

    while (message_next_header(buf_slice(&m->headers), &at, &name, &value)) {
        rd_kafka_header_add(headers, (const char *)name.data, (ssize_t)name.len, value.data, (ssize_t)value.len);
    }
    for (size_t i = 0; i < more_count; i++) {
        rd_kafka_header_add(headers, (const char *)more[i][0].data, (ssize_t)more[i][0].len, more[i][1].data,
                            (ssize_t)more[i][1].len);
    }
    rc = rd_kafka_producev(p->rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_KEY(m->key.data, m->key.len),
                           RD_KAFKA_V_VALUE((void *)(uintptr_t)m->value.data, m->value.len),
                           RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_HEADERS(headers),
                           RD_KAFKA_V_OPAQUE(&result), RD_KAFKA_V_END);
    if (rc) {
        rd_kafka_headers_destroy(headers);
        return pofr_err_set(err, publish_code(rc), "%s: %s", topic, rd_kafka_err2str(rc));
    }
    while (result == RD_KAFKA_RESP_ERR__IN_PROGRESS && clock_mono_us() < limit_us) {
        rd_kafka_poll(p->rk, 100);
    }
    if (result == RD_KAFKA_RESP_ERR__IN_PROGRESS) { /* result is ours no longer when we return */
        rd_kafka_purge(p->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        while (result == RD_KAFKA_RESP_ERR__IN_PROGRESS) {
            rd_kafka_poll(p->rk, 100);
        }
    }
    if (result) {
        return pofr_err_set(err, publish_code(result), "%s: %s", topic, rd_kafka_err2str(result));
    }
    return 0;
}

int kafka_limits(struct kafka_producer *p, const char *topic, unsigned slot, int timeout_ms, int64_t *out_low,
                 int64_t *out_high, struct pofr_err *err)
{
    int rc = kafka_log_ends(p->rk, topic, slot, timeout_ms, out_low, out_high);

    return rc == 0 ? 0
                   : pofr_err_set(err, POFR_ETIMEOUT, "%s, slot %u: %s", topic, slot,
                                  rd_kafka_err2str((rd_kafka_resp_err_t)rc));
}

/* All topics are asked for: to ask for one by name would make it where the brokers create topics by themselves. */
int kafka_find_topic(struct kafka_producer *p, const char *topic, int timeout_ms)
{
    const struct rd_kafka_metadata *m = NULL;
    int code = POFR_ENOTFOUND;

    if (rd_kafka_metadata(p->rk, 1, NULL, &m, timeout_ms) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return POFR_ETIMEOUT;
    }
    for (int i = 0; i < m->topic_cnt && code; i++) {
        if (strcmp(m->topics[i].topic, topic) == 0 && m->topics[i].err != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
            code = 0;
        }
    }
    rd_kafka_metadata_destroy(m);
    return code;
}
