/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/kafka/topic_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/parse_num.h"
#include "common/base/slice.h"
#include "common/kafka/client.h"
#include "common/kafka/topic_parts.h"
#include "common/tls/tls_expiry.h"

#define SETTINGS_MAX 128u
#define WHY_MAX      100 /* bytes of a reason, where more is to be said */

int topic_admin_open(const char *brokers, const struct kafka_access *access, struct topic_admin **out,
                     struct pofr_err *err)
{
    struct topic_admin *a;
    rd_kafka_conf_t *conf = NULL;
    char why[160];
    int rc;

    rc = kafka_conf_new(brokers, access, "pofr-admin", &conf, err);
    if (rc != 0) {
        return rc;
    }
    a = (struct topic_admin *)calloc(1, sizeof(*a));
    if (!a) {
        rd_kafka_conf_destroy(conf);
        return pofr_err_set(err, POFR_ENOMEM, "kafka client: out of memory");
    }
    kafka_notes_init(&a->notes);
    kafka_notes_take(&a->notes, access, conf);
    a->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    if (!a->rk) {
        rd_kafka_conf_destroy(conf);
        kafka_notes_fini(&a->notes);
        free(a);
        return pofr_err_set(err, POFR_ECONFIG, "kafka client: %s", why);
    }
    if (access) {
        a->tls = access->tls;
    }
    *out = a;
    return 0;
}

void topic_admin_close(struct topic_admin *a)
{
    if (a) {
        rd_kafka_destroy(a->rk);
        kafka_notes_fini(&a->notes);
        free(a);
    }
}

int topic_code_of(rd_kafka_resp_err_t e)
{
    switch (e) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return 0;
    case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
        return POFR_EEXISTS;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        return POFR_ENOTFOUND;
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
    case RD_KAFKA_RESP_ERR_NOT_CONTROLLER:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR: /* brokers are missing that may still come */
        return POFR_ETIMEOUT;
    default:
        return POFR_EREFUSED;
    }
}

static int no_answer(const struct topic_admin *a, struct pofr_err *err, const char *topic, const char *why)
{
    char ours[160] = "";

    if (!slice_starts_with(slice_str(why), slice_str(KAFKA_BROKERS_FAULT))) { /* ours was not looked at yet */
        tls_expiry_explain(&a->tls, ours, sizeof(ours));
    }
    if (!a->tls.on && !why[0]) { /* librdkafka says nothing of a listener that hangs up on who does not speak TLS */
        snprintf(ours, sizeof(ours), "; do the brokers want [kafka] tls = yes?");
    }
    return pofr_err_set(err, POFR_ETIMEOUT, "kafka, %s: no answer%s%.*s%s", topic, why[0] ? ": " : "",
                        ours[0] ? WHY_MAX : 200, why, ours);
}

static int fail(struct pofr_err *err, rd_kafka_resp_err_t e, const char *topic, const char *text)
{
    return pofr_err_set(err, topic_code_of(e), "kafka topic %s: %s", topic, text ? text : rd_kafka_err2str(e));
}

int topic_metadata(struct topic_admin *a, bool all, const char *topic, const struct rd_kafka_metadata **out,
                   int timeout_ms, struct pofr_err *err)
{
    char why[200];
    rd_kafka_resp_err_t e =
        (rd_kafka_resp_err_t)kafka_metadata(&a->notes, a->rk, all, out, timeout_ms, why, sizeof(why));

    if (e == RD_KAFKA_RESP_ERR_NO_ERROR) {
        return 0;
    }
    return topic_code_of(e) == POFR_ETIMEOUT ? no_answer(a, err, topic, why) : fail(err, e, topic, NULL);
}

/*
 * All topics are asked for: to ask for one by name would make it where the brokers create topics by
 * themselves.
 */
static int read_shape(struct topic_admin *a, const char *topic, int timeout_ms, struct topic_facts *out,
                      struct pofr_err *err)
{
    const struct rd_kafka_metadata *m = NULL;
    const struct rd_kafka_metadata_topic *t = NULL;
    int i, rc;

    rc = topic_metadata(a, true, topic, &m, timeout_ms, err);
    if (rc != 0) {
        return rc;
    }
    for (i = 0; i < m->topic_cnt && !t; i++) {
        if (strcmp(m->topics[i].topic, topic) == 0) {
            t = &m->topics[i];
        }
    }
    if (!t || t->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
        rc = pofr_err_set(err, POFR_ENOTFOUND, "kafka topic %s: there is no such topic, or we may not see it", topic);
    } else if (t->err != RD_KAFKA_RESP_ERR_NO_ERROR || t->partition_cnt <= 0) {
        rc = pofr_err_set(err, POFR_ETIMEOUT, "kafka topic %s: %s", topic, rd_kafka_err2str(t->err));
    } else {
        out->brokers = (uint32_t)m->broker_cnt;
        out->partitions = (uint32_t)t->partition_cnt;
        out->replication = UINT32_MAX;
        for (i = 0; i < t->partition_cnt; i++) {
            uint32_t n = (uint32_t)t->partitions[i].replica_cnt;

            out->replication = n < out->replication ? n : out->replication;
        }
        rc = 0;
    }
    rd_kafka_metadata_destroy(m);
    return rc;
}

static int take_settings(const rd_kafka_ConfigResource_t *resource, const char *topic, bool judge,
                         struct topic_facts *out, struct pofr_err *err)
{
    struct topic_setting settings[SETTINGS_MAX];
    const rd_kafka_ConfigEntry_t **entries;
    size_t count = 0, i;

    if (rd_kafka_ConfigResource_error(resource) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return fail(err, rd_kafka_ConfigResource_error(resource), topic,
                    rd_kafka_ConfigResource_error_string(resource));
    }
    entries = rd_kafka_ConfigResource_configs(resource, &count);
    count = count > SETTINGS_MAX ? SETTINGS_MAX : count;
    for (i = 0; i < count; i++) {
        settings[i].name = rd_kafka_ConfigEntry_name(entries[i]);
        settings[i].value = rd_kafka_ConfigEntry_value(entries[i]);
        if (strcmp(settings[i].name, "min.insync.replicas") == 0 && settings[i].value &&
            parse_u32(slice_str(settings[i].value), UINT32_MAX, &out->min_insync) != 0) {
            out->min_insync = 0;
        }
    }
    if (judge && topic_rules_judge(settings, count, out->replication, err) != 0) {
        return pofr_err_prefix(err, "kafka topic %s", topic);
    }
    return 0;
}

rd_kafka_event_t *topic_answer(struct topic_admin *a, rd_kafka_queue_t *queue, const char *topic, int timeout_ms,
                               struct pofr_err *err)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, timeout_ms + 1000);
    char why[200];

    if (!event) {
        (void)kafka_notes_read(&a->notes, a->rk, why, sizeof(why));
        (void)no_answer(a, err, topic, why);
        return NULL;
    }
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        fail(err, rd_kafka_event_error(event), topic, rd_kafka_event_error_string(event));
        rd_kafka_event_destroy(event);
        return NULL;
    }
    return event;
}

rd_kafka_AdminOptions_t *topic_options(struct topic_admin *a, rd_kafka_admin_op_t op, int timeout_ms)
{
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(a->rk, op);
    char why[160];

    if (options) {
        (void)rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, why, sizeof(why)); /* else its default */
    }
    return options;
}

rd_kafka_AdminOptions_t *topic_options_at(struct topic_admin *a, rd_kafka_admin_op_t op, int32_t broker, int timeout_ms)
{
    rd_kafka_AdminOptions_t *options = topic_options(a, op, timeout_ms);
    char why[160];

    if (options) {
        (void)rd_kafka_AdminOptions_set_broker(options, broker, why,
                                               sizeof(why)); /* each of these may be sent to any */
    }
    return options;
}

static int read_settings(struct topic_admin *a, const char *topic, bool judge, int timeout_ms, struct topic_facts *out,
                         struct pofr_err *err)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(a->rk);
    rd_kafka_AdminOptions_t *options = topic_options(a, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout_ms);
    rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    const rd_kafka_ConfigResource_t **resources;
    rd_kafka_event_t *event;
    size_t count = 0;
    int rc;

    rd_kafka_DescribeConfigs(a->rk, &resource, 1, options, queue);
    event = topic_answer(a, queue, topic, timeout_ms, err);
    if (!event) {
        rc = err ? err->code : POFR_ETIMEOUT;
    } else {
        resources = rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &count);
        rc = count == 1 ? take_settings(resources[0], topic, judge, out, err)
                        : pofr_err_set(err, POFR_EREFUSED, "kafka topic %s: no settings told", topic);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_ConfigResource_destroy(resource);
    if (options) {
        rd_kafka_AdminOptions_destroy(options);
    }
    rd_kafka_queue_destroy(queue);
    return rc;
}

static int look_at(struct topic_admin *a, const char *topic, bool judge, int timeout_ms, struct topic_facts *out,
                   struct pofr_err *err)
{
    struct topic_facts facts = { 0, 0, 0, 0 };
    struct pofr_err local;
    int rc;

    err = err ? err : &local;
    rc = read_shape(a, topic, timeout_ms, &facts, err);
    if (rc == 0) {
        rc = read_settings(a, topic, judge, timeout_ms, &facts, err);
    }
    if (rc == 0) {
        *out = facts;
    }
    return rc;
}

int topic_describe(struct topic_admin *a, const char *topic, int timeout_ms, struct topic_facts *out,
                   struct pofr_err *err)
{
    return look_at(a, topic, false, timeout_ms, out, err);
}

bool topic_may_come(int code)
{
    return code == POFR_ENOTFOUND || (code != 0 && pofr_err_class(code) == POFR_CLASS_RETRY);
}

int topic_check(struct topic_admin *a, const char *topic, int timeout_ms, struct topic_facts *out, struct pofr_err *err)
{
    return look_at(a, topic, true, timeout_ms, out, err);
}

static int topic_result(const rd_kafka_topic_result_t *const *results, size_t count, const char *topic,
                        struct pofr_err *err)
{
    if (count != 1) {
        return pofr_err_set(err, POFR_EREFUSED, "kafka topic %s: no answer about it", topic);
    }
    if (rd_kafka_topic_result_error(results[0]) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return fail(err, rd_kafka_topic_result_error(results[0]), topic,
                    rd_kafka_topic_result_error_string(results[0]));
    }
    return 0;
}

static int ask_create(struct topic_admin *a, rd_kafka_NewTopic_t *wanted, const char *topic, int timeout_ms,
                      struct pofr_err *err)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(a->rk);
    rd_kafka_AdminOptions_t *options = topic_options(a, RD_KAFKA_ADMIN_OP_CREATETOPICS, timeout_ms);
    const rd_kafka_topic_result_t **results;
    rd_kafka_event_t *event;
    size_t count = 0;
    int rc;

    rd_kafka_CreateTopics(a->rk, &wanted, 1, options, queue);
    event = topic_answer(a, queue, topic, timeout_ms, err);
    if (!event) {
        rc = err->code;
    } else {
        results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
        rc = topic_result(results, count, topic, err);
        rd_kafka_event_destroy(event);
    }
    if (options) {
        rd_kafka_AdminOptions_destroy(options);
    }
    rd_kafka_queue_destroy(queue);
    return rc;
}

int topic_create(struct topic_admin *a, const char *topic, uint32_t partitions, uint32_t replication, int timeout_ms,
                 struct pofr_err *err)
{
    const struct rd_kafka_metadata *m = NULL;
    rd_kafka_NewTopic_t *wanted;
    rd_kafka_resp_err_t e;
    struct pofr_err local;
    char why[160];
    size_t i;
    int rc;

    err = err ? err : &local;
    if (partitions == 0 || partitions > TOPIC_PARTITIONS_MAX) {
        return pofr_err_set(err, POFR_EUSAGE, "partitions must be 1 to %u", TOPIC_PARTITIONS_MAX);
    }
    rc = topic_metadata(a, false, topic, &m, timeout_ms, err);
    if (rc != 0) {
        return rc;
    }
    if (replication == 0) {
        replication = m->broker_cnt < 3 ? (uint32_t)m->broker_cnt : 3;
    }
    rd_kafka_metadata_destroy(m);
    wanted = rd_kafka_NewTopic_new(topic, (int)partitions, (int)replication, why, sizeof(why));
    if (!wanted) {
        return pofr_err_set(err, POFR_EUSAGE, "kafka topic %s: %s", topic, why);
    }
    e = RD_KAFKA_RESP_ERR_NO_ERROR;
    for (i = 0; i < topic_rules_count && e == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        if (topic_rules[i].only_replication == 0 || topic_rules[i].only_replication == replication) {
            e = rd_kafka_NewTopic_set_config(wanted, topic_rules[i].name, topic_rules[i].value);
        }
    }
    if (e == RD_KAFKA_RESP_ERR_NO_ERROR && replication >= 3) {
        e = rd_kafka_NewTopic_set_config(wanted, "min.insync.replicas", "2");
    }
    rc = e == RD_KAFKA_RESP_ERR_NO_ERROR ? ask_create(a, wanted, topic, timeout_ms, err) : fail(err, e, topic, NULL);
    rd_kafka_NewTopic_destroy(wanted);
    return rc;
}

int topic_grow(struct topic_admin *a, const char *topic, uint32_t partitions, int timeout_ms, struct pofr_err *err)
{
    rd_kafka_NewPartitions_t *wanted;
    rd_kafka_AdminOptions_t *options;
    const rd_kafka_topic_result_t **results;
    rd_kafka_queue_t *queue;
    rd_kafka_event_t *event;
    struct pofr_err local;
    char why[160];
    size_t count = 0;
    int rc;

    err = err ? err : &local;
    if (partitions == 0 || partitions > TOPIC_PARTITIONS_MAX) {
        return pofr_err_set(err, POFR_EUSAGE, "partitions must be 1 to %u", TOPIC_PARTITIONS_MAX);
    }
    wanted = rd_kafka_NewPartitions_new(topic, partitions, why, sizeof(why));
    if (!wanted) {
        return pofr_err_set(err, POFR_EUSAGE, "kafka topic %s: %s", topic, why);
    }
    queue = rd_kafka_queue_new(a->rk);
    options = topic_options(a, RD_KAFKA_ADMIN_OP_CREATEPARTITIONS, timeout_ms);
    rd_kafka_CreatePartitions(a->rk, &wanted, 1, options, queue);
    event = topic_answer(a, queue, topic, timeout_ms, err);
    if (!event) {
        rc = err->code;
    } else {
        results = rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(event), &count);
        rc = topic_result(results, count, topic, err);
        rd_kafka_event_destroy(event);
    }
    if (options) {
        rd_kafka_AdminOptions_destroy(options);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewPartitions_destroy(wanted);
    return rc;
}
