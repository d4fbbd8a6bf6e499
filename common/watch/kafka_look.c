/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One question per kind for all slots at once: limits of all logs are two requests to each broker, not two per slot.
 */
#include "common/watch/kafka_look.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

#include "common/base/parse_num.h"
#include "common/base/slice.h"
#include "common/kafka/client.h"
#include "common/kafka/topic_rules.h"
#include "common/record/limits.h"
#include "common/watch/kafka_look_parts.h"

/* The simple consumer: no group, so none has to be allowed. A look at one message per slot needs no large fetches. */
static int set_all(rd_kafka_conf_t *conf, struct pofr_err *err)
{
    char most[32];
    const char *const pairs[][2] = {
        { "auto.offset.reset", "earliest" },
        { "enable.auto.commit", "false" },
        { "isolation.level", "read_uncommitted" },
        { "fetch.message.max.bytes", "65536" },
        { "queued.min.messages", "1" },
        { "queued.max.messages.kbytes", "1024" },
        { "message.max.bytes", most },
        { "fetch.wait.max.ms", "50" },
    };
    int code = 0;

    snprintf(most, sizeof(most), "%u", BUNDLE_MAX + 65536U);
    for (size_t i = 0; i < pofr_countof(pairs) && !code; i++) {
        code = kafka_conf_set(conf, pairs[i][0], pairs[i][1], err);
    }
    return code;
}

static int client_new(struct kafka_look *k, struct rd_kafka_s **out, struct pofr_err *err)
{
    rd_kafka_conf_t *conf = NULL;
    char why[256];
    int code = kafka_conf_new(k->brokers, k->access, k->program, &conf, err);

    if (code) {
        return code;
    }
    code = set_all(conf, err);
    if (!code) {
        kafka_notes_take(&k->notes, k->access, conf);
        *out = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
        code = *out ? 0 : pofr_err_set(err, POFR_ECONFIG, "Kafka client: %s", why);
    }
    if (code) {
        rd_kafka_conf_destroy(conf);
    }
    return code;
}

/*
 * librdkafka 2.0 keeps a question to a group's coordinator that has timed out, and asks it when the coordinator is back: what
 * it would answer to is freed by then, and the program ends (assertion of rd_kafka_enq_once_del_source_return). So these
 * don't time out, but end with the client that was asked.
 */
static void client_renew(struct kafka_look *k)
{
    struct rd_kafka_s *fresh = NULL;
    struct pofr_err why = { 0 };

    if (client_new(k, &fresh, &why) == 0) {
        rd_kafka_destroy(k->rk);
        k->rk = fresh;
    }
}

int kafka_look_open(const char *brokers, const struct kafka_access *access, const char *program,
                    struct kafka_look **out, struct pofr_err *err)
{
    struct kafka_look *k = calloc(1, sizeof(*k));
    int code;

    if (!k) {
        return pofr_err_set(err, POFR_ENOMEM, "Kafka client");
    }
    k->brokers = brokers;
    k->access = access;
    k->program = program;
    kafka_notes_init(&k->notes);
    code = client_new(k, &k->rk, err);
    if (code) {
        kafka_notes_fini(&k->notes);
        free(k);
        return code;
    }
    *out = k;
    return 0;
}

void kafka_look_close(struct kafka_look *k)
{
    if (k) {
        rd_kafka_destroy(k->rk);
        kafka_notes_fini(&k->notes);
        free(k);
    }
}

size_t kafka_look_peers(struct kafka_look *k, struct kafka_peer *out)
{
    return kafka_notes_peers(&k->notes, out);
}

void look_topic_free(struct look_topic *t)
{
    free(t->slots);
    free(t->members);
    memset(t, 0, sizeof(*t));
}

static int fail(struct pofr_err *err, const char *what, rd_kafka_resp_err_t e)
{
    return pofr_err_set(err, POFR_ETIMEOUT, "Kafka, %s: %s", what, rd_kafka_err2str(e));
}

/* --- partitions and replicas --------------------------------------------------------------------------------- */

static int take_shape(const struct rd_kafka_metadata *m, const char *topic, struct look_topic *out,
                      struct pofr_err *err)
{
    const struct rd_kafka_metadata_topic *t = NULL;

    for (int i = 0; i < m->topic_cnt && !t; i++) {
        t = strcmp(m->topics[i].topic, topic) == 0 ? &m->topics[i] : NULL;
    }
    if (!t || t->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
        return pofr_err_set(err, POFR_ENOTFOUND, "Kafka, %s: there is no such topic", topic);
    }
    if (t->err || t->partition_cnt <= 0 || (unsigned)t->partition_cnt > TOPIC_PARTITIONS_MAX) {
        return fail(err, topic, t->err);
    }
    out->brokers = (uint32_t)m->broker_cnt;
    out->slots_count = (size_t)t->partition_cnt;
    out->slots = calloc(out->slots_count, sizeof(*out->slots));
    if (!out->slots) {
        return pofr_err_set(err, POFR_ENOMEM, "slots");
    }
    for (size_t i = 0; i < out->slots_count; i++) {
        out->slots[i] =
            (struct look_slot){ .leader = -1, .low = -1, .high = -1, .committed = -1, .owner = LOOK_NO_OWNER };
    }
    for (int i = 0; i < t->partition_cnt; i++) {
        const struct rd_kafka_metadata_partition *p = &t->partitions[i];

        if (p->id >= 0 && (size_t)p->id < out->slots_count) {
            out->slots[p->id].leader = p->leader;
            out->slots[p->id].replicas = (uint32_t)p->replica_cnt;
            out->slots[p->id].in_sync = (uint32_t)p->isr_cnt;
        }
    }
    return 0;
}

/* All topics are asked for: to ask for one by name would make it where brokers create topics by themselves. */
static int read_shape(struct kafka_look *k, const char *topic, int timeout_ms, struct look_topic *out,
                      struct pofr_err *err)
{
    const struct rd_kafka_metadata *m = NULL;
    char why[200];
    rd_kafka_resp_err_t e =
        (rd_kafka_resp_err_t)kafka_metadata(&k->notes, k->rk, true, &m, timeout_ms, why, sizeof(why));
    int code = e && why[0] ? pofr_err_set(err, POFR_ETIMEOUT, "Kafka, %s: %s", topic, why)
               : e         ? fail(err, topic, e)
                           : take_shape(m, topic, out, err);

    if (m) {
        rd_kafka_metadata_destroy(m);
    }
    return code;
}

/* --- the ends of the logs ------------------------------------------------------------------------------------- */

/* which: RD_KAFKA_OFFSET_BEGINNING or _END, which the protocol takes in the place of a time */
static int read_ends(struct kafka_look *k, const char *topic, int64_t which, int timeout_ms, struct look_topic *out,
                     struct pofr_err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)out->slots_count);
    rd_kafka_resp_err_t e = RD_KAFKA_RESP_ERR_NO_ERROR;

    for (size_t i = 0; i < out->slots_count; i++) {
        if (out->slots[i].leader >= 0) {
            rd_kafka_topic_partition_list_add(list, topic, (int32_t)i)->offset = which;
        }
    }
    if (list->cnt > 0) {
        e = rd_kafka_offsets_for_times(k->rk, list, timeout_ms);
    }
    for (int i = 0; i < list->cnt && !e; i++) {
        struct look_slot *s = &out->slots[list->elems[i].partition];
        int64_t offset = list->elems[i].err ? -1 : list->elems[i].offset;

        if (which == RD_KAFKA_OFFSET_END) {
            s->high = offset >= 0 ? offset : -1;
        } else {
            s->low = offset >= 0 ? offset : -1;
        }
    }
    rd_kafka_topic_partition_list_destroy(list);
    return e ? fail(err, topic, e) : 0;
}

/* --- settings and group: the admin protocol -------------------------------------------------------------------- */

#define GROUP_ASK_MS 3600000 /* the longest there is: client_renew() */

struct question {
    rd_kafka_queue_t *queue;
    rd_kafka_AdminOptions_t *options;
    rd_kafka_event_t *event; /* the answer */
};

static void ask(struct kafka_look *k, rd_kafka_admin_op_t op, int timeout_ms, struct question *q)
{
    char why[160];

    q->queue = rd_kafka_queue_new(k->rk);
    q->options = rd_kafka_AdminOptions_new(k->rk, op);
    q->event = NULL;
    if (q->options) {
        (void)rd_kafka_AdminOptions_set_request_timeout(q->options, timeout_ms, why,
                                                        sizeof(why)); /* else its default */
    }
}

static int await(struct question *q, const char *what, int timeout_ms, struct pofr_err *err)
{
    q->event = rd_kafka_queue_poll(q->queue, timeout_ms + 1000);
    if (!q->event) {
        return pofr_err_set(err, POFR_ETIMEOUT, "Kafka, %s: no answer", what);
    }
    if (rd_kafka_event_error(q->event)) {
        return fail(err, what, rd_kafka_event_error(q->event));
    }
    return 0;
}

static void done(struct question *q)
{
    if (q->event) {
        rd_kafka_event_destroy(q->event);
    }
    if (q->options) {
        rd_kafka_AdminOptions_destroy(q->options);
    }
    rd_kafka_queue_destroy(q->queue);
}

static void take_setting(const rd_kafka_ConfigEntry_t *entry, struct look_topic *out)
{
    const char *name = rd_kafka_ConfigEntry_name(entry);
    const char *value = rd_kafka_ConfigEntry_value(entry);

    if (!value) {
        return;
    }
    if (strcmp(name, "min.insync.replicas") == 0 && parse_u32(slice_str(value), UINT32_MAX, &out->min_insync) != 0) {
        out->min_insync = 0;
    }
    if (strcmp(name, "retention.ms") == 0 &&
        parse_i64(slice_str(value), -1, INT64_MAX / 1000000, &out->retention_ms) != 0) {
        out->retention_ms = -1;
    }
}

static int read_settings(struct kafka_look *k, const char *topic, int timeout_ms, struct look_topic *out,
                         struct pofr_err *err)
{
    rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    struct question q;
    int code;

    ask(k, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout_ms, &q);
    rd_kafka_DescribeConfigs(k->rk, &resource, 1, q.options, q.queue);
    code = await(&q, topic, timeout_ms, err);
    out->retention_ms = -1;
    if (!code) {
        size_t count = 0;
        const rd_kafka_ConfigResource_t **told =
            rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(q.event), &count);
        const rd_kafka_ConfigEntry_t **entries;

        if (count != 1 || rd_kafka_ConfigResource_error(told[0])) {
            code = fail(err, topic, count == 1 ? rd_kafka_ConfigResource_error(told[0]) : RD_KAFKA_RESP_ERR__FAIL);
        } else {
            entries = rd_kafka_ConfigResource_configs(told[0], &count);
            for (size_t i = 0; i < count; i++) {
                take_setting(entries[i], out);
            }
        }
    }
    rd_kafka_ConfigResource_destroy(resource);
    done(&q);
    return code;
}

static void take_member(const rd_kafka_MemberDescription_t *from, const char *topic, struct look_topic *out)
{
    const rd_kafka_MemberAssignment_t *assignment = rd_kafka_MemberDescription_assignment(from);
    const rd_kafka_topic_partition_list_t *list = assignment ? rd_kafka_MemberAssignment_partitions(assignment) : NULL;
    const char *instance = rd_kafka_MemberDescription_group_instance_id(from);
    const char *host = rd_kafka_MemberDescription_host(from);
    int index = (int)out->members_count++;
    struct look_member *m = &out->members[index];

    snprintf(m->client, sizeof(m->client), "%s", rd_kafka_MemberDescription_client_id(from));
    snprintf(m->instance, sizeof(m->instance), "%s", instance ? instance : "");
    snprintf(m->host, sizeof(m->host), "%s", host && host[0] == '/' ? host + 1 : host ? host : "");
    for (int i = 0; list && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *p = &list->elems[i];

        if (strcmp(p->topic, topic) == 0 && p->partition >= 0 && (size_t)p->partition < out->slots_count) {
            out->slots[p->partition].owner = index;
            m->slots++;
        }
    }
}

static int take_group(const rd_kafka_ConsumerGroupDescription_t *group, const char *topic, struct look_topic *out,
                      struct pofr_err *err)
{
    const rd_kafka_error_t *error = rd_kafka_ConsumerGroupDescription_error(group);
    size_t count = rd_kafka_ConsumerGroupDescription_member_count(group);

    if (error) {
        return fail(err, "the group", rd_kafka_error_code(error));
    }
    snprintf(out->group_state, sizeof(out->group_state), "%s",
             rd_kafka_consumer_group_state_name(rd_kafka_ConsumerGroupDescription_state(group)));
    count = count > LOOK_MEMBERS_MAX ? LOOK_MEMBERS_MAX : count;
    out->members = calloc(count ? count : 1, sizeof(*out->members));
    if (!out->members) {
        return pofr_err_set(err, POFR_ENOMEM, "members");
    }
    for (size_t i = 0; i < count; i++) {
        take_member(rd_kafka_ConsumerGroupDescription_member(group, i), topic, out);
    }
    return 0;
}

static int read_group(struct kafka_look *k, const char *topic, const char *group, int timeout_ms,
                      struct look_topic *out, struct pofr_err *err)
{
    struct question q;
    int code;

    ask(k, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS, GROUP_ASK_MS, &q);
    rd_kafka_DescribeConsumerGroups(k->rk, &group, 1, q.options, q.queue);
    code = await(&q, group, timeout_ms, err);
    if (!code) {
        size_t count = 0;
        const rd_kafka_ConsumerGroupDescription_t **told = rd_kafka_DescribeConsumerGroups_result_groups(
            rd_kafka_event_DescribeConsumerGroups_result(q.event), &count);

        code = count == 1 ? take_group(told[0], topic, out, err) : fail(err, group, RD_KAFKA_RESP_ERR__FAIL);
    }
    done(&q);
    if (code == POFR_ETIMEOUT) {
        client_renew(k);
    }
    return code;
}

static void take_committed(const rd_kafka_topic_partition_list_t *list, struct look_topic *out)
{
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *p = &list->elems[i];

        if (!p->err && p->offset >= 0 && p->partition >= 0 && (size_t)p->partition < out->slots_count) {
            out->slots[p->partition].committed = p->offset;
        }
    }
}

int kafka_look_committed(struct kafka_look *k, const char *topic, const char *group, int timeout_ms,
                         struct look_topic *out, struct pofr_err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)out->slots_count);
    rd_kafka_ListConsumerGroupOffsets_t *wanted;
    struct question q;
    int code;

    rd_kafka_topic_partition_list_add_range(list, topic, 0, (int32_t)out->slots_count - 1);
    wanted = rd_kafka_ListConsumerGroupOffsets_new(group, list);
    ask(k, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, GROUP_ASK_MS, &q);
    rd_kafka_ListConsumerGroupOffsets(k->rk, &wanted, 1, q.options, q.queue);
    code = await(&q, group, timeout_ms, err);
    if (!code) {
        size_t count = 0;
        const rd_kafka_group_result_t **told = rd_kafka_ListConsumerGroupOffsets_result_groups(
            rd_kafka_event_ListConsumerGroupOffsets_result(q.event), &count);

        if (count == 1 && rd_kafka_group_result_partitions(told[0])) {
            take_committed(rd_kafka_group_result_partitions(told[0]), out);
        }
    }
    rd_kafka_ListConsumerGroupOffsets_destroy(wanted);
    rd_kafka_topic_partition_list_destroy(list);
    done(&q);
    if (code == POFR_ETIMEOUT) {
        client_renew(k);
    }
    return code;
}

/* One broker coordinates the group. Where that one is gone, what the others have is still to be seen. */
static int look_at_group(struct kafka_look *k, const char *topic, const char *group, int timeout_ms,
                         struct look_topic *out, struct pofr_err *err)
{
    struct pofr_err why = { 0 };
    int code = read_group(k, topic, group, timeout_ms, out, &why);

    if (!code) {
        code = kafka_look_committed(k, topic, group, timeout_ms, out, &why);
    }
    if (code && code != POFR_ETIMEOUT) {
        *err = why;
        return code;
    }
    if (code) {
        free(out->members);
        out->members = NULL;
        out->members_count = 0;
        out->group_state[0] = '\0';
        snprintf(out->group_error, sizeof(out->group_error), "%s", why.text);
        for (size_t i = 0; i < out->slots_count; i++) {
            out->slots[i].owner = LOOK_UNKNOWN_OWNER;
        }
    }
    return 0;
}

int kafka_look_at(struct kafka_look *k, const char *topic, const char *group, int timeout_ms, struct look_topic *out,
                  struct pofr_err *err)
{
    struct look_topic t = { 0 };
    int code = read_shape(k, topic, timeout_ms, &t, err);

    if (!code) {
        code = read_ends(k, topic, RD_KAFKA_OFFSET_BEGINNING, timeout_ms, &t, err);
    }
    if (!code) {
        code = read_ends(k, topic, RD_KAFKA_OFFSET_END, timeout_ms, &t, err);
    }
    if (!code) {
        code = read_settings(k, topic, timeout_ms, &t, err);
    }
    if (!code) {
        code = look_at_group(k, topic, group, timeout_ms, &t, err);
    }
    if (code) {
        look_topic_free(&t);
        return code;
    }
    *out = t;
    return 0;
}
