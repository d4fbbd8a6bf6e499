/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/kafka/topic_settle.h"

#include <poll.h>
#include <string.h>

#include "common/kafka/topic_parts.h"
#include "common/os/clock.h"

#define PAUSE_MS  200
#define ANSWER_MS 2000 /* of one broker: the list of those that there are is read again after it */

static int is_led(const struct rd_kafka_metadata *m, const char *topic, struct pofr_err *err)
{
    const struct rd_kafka_metadata_topic *t = NULL;

    for (int i = 0; i < m->topic_cnt && !t; i++) {
        if (strcmp(m->topics[i].topic, topic) == 0) {
            t = &m->topics[i];
        }
    }
    if (!t || t->err != RD_KAFKA_RESP_ERR_NO_ERROR || t->partition_cnt <= 0) {
        return pofr_err_set(err, POFR_ENOTFOUND, "kafka topic %s: not all brokers have heard of it yet", topic);
    }
    for (int i = 0; i < t->partition_cnt; i++) {
        if (t->partitions[i].leader < 0) {
            return pofr_err_set(err, POFR_ENOTFOUND, "kafka topic %s: no broker leads partition %d", topic,
                                (int)t->partitions[i].id);
        }
    }
    return 0;
}

/* Metadata come from whichever broker answers first; for its settings a certain one can be asked. */
static int is_known_at(struct topic_admin *a, int32_t broker, const char *topic, struct pofr_err *err)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(a->rk);
    rd_kafka_AdminOptions_t *options = topic_options_at(a, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, broker, ANSWER_MS);
    rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    const rd_kafka_ConfigResource_t **resources;
    rd_kafka_event_t *event;
    rd_kafka_resp_err_t e;
    size_t count = 0;
    int rc;

    rd_kafka_DescribeConfigs(a->rk, &resource, 1, options, queue);
    event = topic_answer(a, queue, topic, ANSWER_MS, err);
    if (!event) {
        rc = err->code;
    } else {
        resources = rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &count);
        e = count == 1 ? rd_kafka_ConfigResource_error(resources[0]) : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
        rc = e ? pofr_err_set(err, topic_code_of(e), "kafka topic %s: %s", topic, rd_kafka_err2str(e)) : 0;
        rd_kafka_event_destroy(event);
    }
    rd_kafka_ConfigResource_destroy(resource);
    if (options) {
        rd_kafka_AdminOptions_destroy(options);
    }
    rd_kafka_queue_destroy(queue);
    return rc;
}

static int ask_all(struct topic_admin *a, const struct topic_parties *p, int timeout_ms, struct pofr_err *err)
{
    const struct rd_kafka_metadata *m = NULL;
    int rc = topic_metadata(a, true, p->topic, &m, timeout_ms, err);

    if (rc != 0) {
        return rc;
    }
    rc = is_led(m, p->topic, err);
    rc = rc ? rc : is_led(m, p->deadletter, err);
    for (int i = 0; i < m->broker_cnt && rc == 0; i++) {
        int32_t broker = m->brokers[i].id;

        rc = is_known_at(a, broker, p->topic, err);
        rc = rc ? rc : is_known_at(a, broker, p->deadletter, err);
        rc = rc ? rc : topic_allowed_at(a, broker, p, ANSWER_MS, err);
        if (rc != 0) {
            (void)pofr_err_prefix(err, "broker %d", (int)broker);
        }
    }
    rd_kafka_metadata_destroy(m);
    return rc;
}

int topic_settle(struct topic_admin *a, const struct topic_parties *p, int timeout_ms, struct pofr_err *err)
{
    int64_t limit_us = clock_mono_us() + (int64_t)timeout_ms * CLOCK_US_PER_MS;
    struct pofr_err local = { 0 };
    int rc;

    err = err ? err : &local;
    do {
        int left_ms = (int)((limit_us - clock_mono_us()) / CLOCK_US_PER_MS);

        *err = (struct pofr_err){ 0 };
        rc = ask_all(a, p, left_ms > ANSWER_MS ? left_ms : ANSWER_MS, err);
        if (rc != POFR_ENOTFOUND && rc != POFR_ETIMEOUT) {
            return rc;
        }
        POFR_IGNORE(poll(NULL, 0, PAUSE_MS));
    } while (clock_mono_us() < limit_us);
    err->code = POFR_ETIMEOUT;
    return POFR_ETIMEOUT;
}
