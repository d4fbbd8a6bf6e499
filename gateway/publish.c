/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads: librdkafka's own threads work behind it; they wake the loop through an eventfd when the queue of
 * events is no longer empty, so each wake reads until it is empty again.
 *
 * The payload is not copied: the message lends it until the report.
 */
#include "gateway/publish.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

#include "common/base/err.h"
#include "common/kafka/client.h"
#include "common/os/clock.h"
#include "common/os/log.h"
#include "common/os/loop.h"
#include "common/os/stop_point.h"
#include "gateway/gateway_stat.h"

#define MESSAGES_MAX "1000000"
#define AGAIN_US     CLOCK_US_PER_S
#define LOOK_US      (5 * CLOCK_US_PER_S)  /* how often files of certificates are looked at */
#define RENEW_US     (10 * CLOCK_US_PER_S) /* for reports of the client of before */

struct publisher {
    struct publisher_options o;
    rd_kafka_t *rk;
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *queue;
    struct loop_event *event;
    size_t unreported;
    bool broken;   /* a fatal error: nothing is sent until the client is new */
    bool renewing; /* the same, for a new certificate */
    struct loop_timer again;
    struct tls_watch watch;
    struct loop_timer look;
};

/* Runs in librdkafka's threads. */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    char clean[512];

    (void)rk;
    log_warn("publish", "kafka_client", "level=%d facility=%s text=\"%s\"", level, facility,
             log_escape(slice_str(text), clean, sizeof(clean)));
}

static int configure(struct rd_kafka_conf_s *conf, const struct publisher_options *o, struct pofr_err *err)
{
    char queue_kbytes[24];
    const struct {
        const char *name, *value;
    } properties[] = {
        { "enable.idempotence", "true" },
        { "acks", "all" },
        { "message.timeout.ms", "0" }, /* never: a host's bundles must not overtake one that was given up */
        { "linger.ms", "5" },
        { "socket.nagle.disable", "true" },
        { "compression.codec", "none" }, /* payloads are compressed */
        { "message.max.bytes", "16777216" },
        { "queue.buffering.max.messages", MESSAGES_MAX },
        { "queue.buffering.max.kbytes", queue_kbytes },
    };
    size_t i;
    int rc = 0;

    snprintf(queue_kbytes, sizeof(queue_kbytes), "%" PRIu64,
             o->queue_bytes / 1024 < INT32_MAX ? o->queue_bytes / 1024 + 1 : (uint64_t)INT32_MAX);
    for (i = 0; i < pofr_countof(properties) && rc == 0; i++) {
        rc = kafka_conf_set(conf, properties[i].name, properties[i].value, err);
    }
    return rc;
}

static int client_new(struct publisher *p, struct pofr_err *err)
{
    static const uint64_t one = 1;
    struct rd_kafka_conf_s *conf = NULL;
    char why[160];
    int rc;

    rc = kafka_conf_new(p->o.brokers, p->o.access, "pofr-gateway", &conf, err);
    if (rc != 0) {
        return rc;
    }
    rc = configure(conf, &p->o, err);
    if (rc != 0) {
        rd_kafka_conf_destroy(conf);
        return rc;
    }
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
    p->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    if (!p->rk) {
        rd_kafka_conf_destroy(conf);
        return pofr_err_set(err, POFR_ECONFIG, "kafka client: %s", why);
    }
    p->topic = rd_kafka_topic_new(p->rk, p->o.topic, NULL);
    if (!p->topic) {
        rd_kafka_destroy(p->rk);
        p->rk = NULL;
        return pofr_err_set(err, POFR_ECONFIG, "kafka topic %s: %s", p->o.topic,
                            rd_kafka_err2str(rd_kafka_last_error()));
    }
    p->queue = rd_kafka_queue_get_main(p->rk);
    rd_kafka_queue_io_event_enable(p->queue, loop_event_fd(p->event), &one, sizeof(one));
    p->broken = p->renewing = false;
    return 0;
}

static void client_free(struct publisher *p)
{
    if (p->rk) {
        rd_kafka_queue_io_event_enable(p->queue, -1, NULL, 0);
        rd_kafka_queue_destroy(p->queue);
        rd_kafka_topic_destroy(p->topic);
        rd_kafka_destroy(p->rk);
        p->rk = NULL;
    }
}

/* --- reports ------------------------------------------------------------------------------------------ */

static enum delivery_error class_of(rd_kafka_resp_err_t e)
{
    switch (e) {
    case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
    case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
    case RD_KAFKA_RESP_ERR__DESTROY:
        return DELIVERY_PURGED;
    case RD_KAFKA_RESP_ERR__FATAL:
    case RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE:
    case RD_KAFKA_RESP_ERR__INCONSISTENT:
    case RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER:
    case RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID:
    case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
        return DELIVERY_FATAL;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        return DELIVERY_TOPIC;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
        return DELIVERY_SIZE;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        return DELIVERY_AUTHORIZATION;
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
        return DELIVERY_TIMEOUT;
    default:
        return DELIVERY_OTHER;
    }
}

static void report(struct publisher *p, const rd_kafka_message_t *m)
{
    bool delivered =
        m->err == RD_KAFKA_RESP_ERR_NO_ERROR && rd_kafka_message_status(m) == RD_KAFKA_MSG_STATUS_PERSISTED;

    assert(p->unreported > 0);
    p->unreported--;
    if (delivered) {
        STOP_POINT("gateway_before_ack");
        stat_put(p->o.stats, STAT_gateway_kafka_up, 1);
    } else {
        stat_add_by(p->o.stats, STAT_kafka_delivery_errors, class_of(m->err), 1);
        log_warn("publish", "not_delivered", "partition=%d error=\"%s\"", m->partition, rd_kafka_err2str(m->err));
    }
    p->o.reported(p->o.arg, m->_private, delivered);
}

static void set_timer(struct publisher *p, struct loop_timer *timer, int64_t after_us, loop_timer_fn fn)
{
    if (loop_timer_after(p->o.loop, timer, after_us, fn, p) != 0) {
        log_error("publish", "no_timer", "");
    }
}

/*
 * The brokers take nothing of the client of before: agents send again what it has. Once is not enough: after a fatal
 * error librdkafka gives up what is queued, and keeps for ever what an answer that comes later puts back.
 */
static void give_up(void *arg)
{
    struct publisher *p = (struct publisher *)arg;

    set_timer(p, &p->again, AGAIN_US, give_up);
    log_warn("publish", "gives_up", "why=%s unreported=%zu", p->broken ? "fatal" : "certificate", p->unreported);
    (void)rd_kafka_purge(p->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT); /* reports say what it did */
}

/* A fatal error: its reports come, and then a new client. */
static void breaks(struct publisher *p)
{
    p->broken = true;
    set_timer(p, &p->again, AGAIN_US, give_up);
}

/* librdkafka names the cause in the event, not RD_KAFKA_RESP_ERR__FATAL: so the handle is asked. */
static void take_error(struct publisher *p, rd_kafka_event_t *event)
{
    char why[256] = "";
    rd_kafka_resp_err_t fatal = rd_kafka_fatal_error(p->rk, why, sizeof(why));

    if (fatal != RD_KAFKA_RESP_ERR_NO_ERROR && !p->broken) {
        log_error("publish", "fatal", "code=%d error=\"%s\" unreported=%zu", (int)fatal, why, p->unreported);
        breaks(p);
    } else if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        log_warn("publish", "kafka_down", "error=\"%s\"", rd_kafka_event_error_string(event));
        stat_put(p->o.stats, STAT_gateway_kafka_up, 0);
    }
}

/* All that is there; stops when the queue gave nothing within wait_ms. */
static void take_events(struct publisher *p, int wait_ms)
{
    rd_kafka_event_t *event;
    const rd_kafka_message_t *m;

    while ((event = rd_kafka_queue_poll(p->queue, wait_ms)) != NULL) {
        switch (rd_kafka_event_type(event)) {
        case RD_KAFKA_EVENT_DR:
            while ((m = rd_kafka_event_message_next(event)) != NULL) {
                report(p, m);
            }
            break;
        case RD_KAFKA_EVENT_ERROR:
            take_error(p, event);
            break;
        default:
            break;
        }
        rd_kafka_event_destroy(event);
    }
}

static void make_anew(void *arg)
{
    struct publisher *p = (struct publisher *)arg;
    bool renewed = p->renewing && !p->broken;
    struct pofr_err err;

    loop_timer_cancel(p->o.loop, &p->again);
    client_free(p);
    if (client_new(p, &err) != 0) { /* it worked at the start: the file of properties may be gone for a moment */
        log_error("publish", "no_client", "error=\"%s\"", err.text);
        set_timer(p, &p->again, AGAIN_US, make_anew);
        return;
    }
    stat_add(p->o.stats, STAT_gateway_producer_restarts, renewed ? 0 : 1);
    log_info("publish", "client_anew", "why=%s", renewed ? "certificate" : "fatal");
    p->o.progressed(p->o.arg);
}

/* librdkafka reads certificate and key once: a new one needs a new client, when the old one has reported what it took. */
static void look_at_files(void *arg)
{
    struct publisher *p = (struct publisher *)arg;
    struct pofr_err err;

    set_timer(p, &p->look, LOOK_US, look_at_files);
    if (p->broken || p->renewing || !tls_watch_changed(&p->watch, &p->o.access->tls)) {
        return;
    }
    if (kafka_access_try(p->o.access, &err) != 0) {
        log_error("publish", "certificate_unusable", "error=\"%s\"", err.text);
        return;
    }
    log_info("publish", "certificate_changed", "unreported=%zu", p->unreported);
    p->renewing = true;
    set_timer(p, &p->again, RENEW_US, give_up);
    loop_event_post(p->event);
}

static void on_event(void *arg)
{
    struct publisher *p = (struct publisher *)arg;

    if (p->rk) {
        take_events(p, 0);
    }
    if ((p->broken || p->renewing) && p->unreported == 0) {
        make_anew(p);
    } else {
        p->o.progressed(p->o.arg);
    }
}

const char *publisher_library_version(void)
{
    return rd_kafka_version_str();
}

int publisher_open(const struct publisher_options *o, struct publisher **out, struct pofr_err *err)
{
    struct publisher *p = (struct publisher *)calloc(1, sizeof(*p));
    int rc;

    if (!p) {
        return pofr_err_set(err, POFR_ENOMEM, "publisher: out of memory");
    }
    p->o = *o;
    if (o->access && o->access->tls.on) {
        tls_watch_init(&p->watch, &o->access->tls); /* before they are read: what comes after is noticed */
        set_timer(p, &p->look, LOOK_US, look_at_files);
    }
    rc = loop_event_new(o->loop, on_event, p, &p->event, err);
    if (rc == 0) {
        rc = client_new(p, err);
    }
    if (rc != 0) {
        loop_timer_cancel(o->loop, &p->look);
        loop_event_free(p->event);
        free(p);
        return rc;
    }
    *out = p;
    return 0;
}

void publisher_close(struct publisher *p)
{
    if (!p) {
        return;
    }
    loop_timer_cancel(p->o.loop, &p->look);
    while (p->unreported > 0) {
        (void)rd_kafka_purge(p->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT); /* reports say what it did */
        take_events(p, 100);
    }
    client_free(p);
    loop_timer_cancel(p->o.loop, &p->again);
    loop_event_free(p->event);
    free(p);
}

/* --- sending ------------------------------------------------------------------------------------------ */

static bool add_header(rd_kafka_headers_t *headers, const char *name, const char *value)
{
    return rd_kafka_header_add(headers, name, -1, value, -1) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

static bool add_number(rd_kafka_headers_t *headers, const char *name, int64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRId64, value);
    return add_header(headers, name, text);
}

static rd_kafka_headers_t *headers_of(const struct publisher *p, const struct publish_message *m)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(8);
    char boot[UUID_TEXT_SIZE];

    if (headers && add_header(headers, "pofr-version", "1") &&
        add_number(headers, "pofr-received", m->received_wall_us) &&
        add_header(headers, "pofr-gateway", p->o.gateway) && add_header(headers, "pofr-peer", m->peer) &&
        add_header(headers, "pofr-boot", uuid_format(m->boot, boot)) &&
        (!m->with_offset || (add_number(headers, "pofr-offset", m->offset_us) &&
                             add_number(headers, "pofr-uncertainty", m->uncertainty_us))) &&
        (!m->doubt || add_header(headers, "pofr-doubt", "chain"))) {
        return headers;
    }
    if (headers) {
        rd_kafka_headers_destroy(headers);
    }
    return NULL;
}

static int code_of(struct publisher *p, rd_kafka_resp_err_t e)
{
    switch (e) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return 0;
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
        return POFR_EFULL;
    case RD_KAFKA_RESP_ERR__FATAL:
        if (!p->broken) {
            breaks(p);
        }
        loop_event_post(p->event); /* it may be that there is nothing left to report */
        return POFR_EFULL;
    default:
        log_error("publish", "not_taken", "error=\"%s\"", rd_kafka_err2str(e));
        stat_add_by(p->o.stats, STAT_kafka_delivery_errors, class_of(e), 1);
        return POFR_EREFUSED;
    }
}

int publisher_send(struct publisher *p, const struct publish_message *m)
{
    char key[UUID_TEXT_SIZE];
    rd_kafka_headers_t *headers;
    rd_kafka_resp_err_t e;

    if (p->broken || p->renewing) {
        return POFR_EFULL;
    }
    headers = headers_of(p, m);
    if (!headers) {
        return POFR_ENOMEM;
    }
    uuid_format(m->host, key);
    e = rd_kafka_producev(p->rk, RD_KAFKA_V_RKT(p->topic), RD_KAFKA_V_PARTITION((int32_t)m->slot),
                          RD_KAFKA_V_MSGFLAGS(0), RD_KAFKA_V_KEY(key, UUID_TEXT_LEN),
                          RD_KAFKA_V_VALUE((void *)(uintptr_t)m->block.data, m->block.len), RD_KAFKA_V_HEADERS(headers),
                          RD_KAFKA_V_OPAQUE(m->opaque), RD_KAFKA_V_END);
    if (e != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_headers_destroy(headers);
        return code_of(p, e);
    }
    p->unreported++;
    STOP_POINT("gateway_after_produce");
    return 0;
}

size_t publisher_unreported(const struct publisher *p)
{
    return p->unreported;
}
