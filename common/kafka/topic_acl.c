/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/kafka/topic_acl.h"

#include <stdbool.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

#include "common/base/slice.h"
#include "common/kafka/topic_parts.h"

#define ACLS_MAX 16u

struct acls {
    rd_kafka_AclBinding_t *list[ACLS_MAX];
    size_t count;
};

/* To read or to write a topic is to see it, too. */
static int add(struct acls *acls, const char *principal, rd_kafka_ResourceType_t kind, const char *name,
               rd_kafka_AclOperation_t operation, struct pofr_err *err)
{
    char why[160];
    rd_kafka_AclBinding_t *one;

    if (!principal || !principal[0]) {
        return 0;
    }
    if (!slice_starts_with(slice_str(principal), slice_str("User:")) || !principal[5] || strchr(principal, '*')) {
        return pofr_err_set(err, POFR_EUSAGE, "principal \"%s\": User:NAME is wanted", principal);
    }
    one = rd_kafka_AclBinding_new(kind, name, RD_KAFKA_RESOURCE_PATTERN_LITERAL, principal, "*", operation,
                                  RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW, why, sizeof(why));
    if (!one) {
        return pofr_err_set(err, POFR_EUSAGE, "principal \"%s\": %s", principal, why);
    }
    acls->list[acls->count++] = one;
    return 0;
}

static int make(const struct topic_parties *p, struct acls *acls, struct pofr_err *err)
{
    const struct {
        const char *principal;
        rd_kafka_ResourceType_t kind;
        const char *name;
        rd_kafka_AclOperation_t operation;
    } rules[] = {
        { p->gateway, RD_KAFKA_RESOURCE_TOPIC, p->topic, RD_KAFKA_ACL_OPERATION_WRITE },
        { p->gateway, RD_KAFKA_RESOURCE_TOPIC, p->topic, RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS },
        { p->worker, RD_KAFKA_RESOURCE_TOPIC, p->topic, RD_KAFKA_ACL_OPERATION_READ },
        { p->worker, RD_KAFKA_RESOURCE_TOPIC, p->topic, RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS },
        { p->worker, RD_KAFKA_RESOURCE_GROUP, p->group, RD_KAFKA_ACL_OPERATION_READ },
        { p->worker, RD_KAFKA_RESOURCE_TOPIC, p->deadletter, RD_KAFKA_ACL_OPERATION_WRITE },
        { p->merger, RD_KAFKA_RESOURCE_TOPIC, p->topic, RD_KAFKA_ACL_OPERATION_READ },
        { p->merger, RD_KAFKA_RESOURCE_TOPIC, p->topic, RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS },
        { p->merger, RD_KAFKA_RESOURCE_GROUP, p->group, RD_KAFKA_ACL_OPERATION_DESCRIBE },
    };
    int code = 0;

    _Static_assert(sizeof(rules) / sizeof(rules[0]) <= ACLS_MAX, "room for all");
    for (size_t i = 0; i < pofr_countof(rules) && !code; i++) {
        code = add(acls, rules[i].principal, rules[i].kind, rules[i].name, rules[i].operation, err);
    }
    return code;
}

static int judge(rd_kafka_event_t *event, struct pofr_err *err)
{
    size_t count = 0;
    const rd_kafka_acl_result_t **results =
        rd_kafka_CreateAcls_result_acls(rd_kafka_event_CreateAcls_result(event), &count);

    for (size_t i = 0; i < count; i++) {
        const rd_kafka_error_t *e = rd_kafka_acl_result_error(results[i]);

        if (e) {
            return pofr_err_set(err, topic_code_of(rd_kafka_error_code(e)), "kafka, access rules: %s",
                                rd_kafka_error_string(e));
        }
    }
    return 0;
}

int topic_allow(struct topic_admin *a, const struct topic_parties *p, int timeout_ms, size_t *out_count,
                struct pofr_err *err)
{
    struct acls acls = { .count = 0 };
    rd_kafka_AdminOptions_t *options = NULL;
    rd_kafka_queue_t *queue = NULL;
    rd_kafka_event_t *event = NULL;
    struct pofr_err local;
    int code;

    err = err ? err : &local;
    code = make(p, &acls, err);
    if (!code && acls.count > 0) {
        queue = rd_kafka_queue_new(a->rk);
        options = topic_options(a, RD_KAFKA_ADMIN_OP_CREATEACLS, timeout_ms);
        rd_kafka_CreateAcls(a->rk, acls.list, acls.count, options, queue);
        event = topic_answer(a, queue, "access rules", timeout_ms, err);
        code = event ? judge(event, err) : err->code;
    }
    if (event) {
        rd_kafka_event_destroy(event);
    }
    if (options) {
        rd_kafka_AdminOptions_destroy(options);
    }
    if (queue) {
        rd_kafka_queue_destroy(queue);
    }
    rd_kafka_AclBinding_destroy_array(acls.list, acls.count);
    if (!code) {
        *out_count = acls.count;
    }
    return code;
}

static bool is_same(const rd_kafka_AclBinding_t *a, const rd_kafka_AclBinding_t *b)
{
    return rd_kafka_AclBinding_restype(a) == rd_kafka_AclBinding_restype(b) &&
           rd_kafka_AclBinding_operation(a) == rd_kafka_AclBinding_operation(b) &&
           rd_kafka_AclBinding_permission_type(a) == rd_kafka_AclBinding_permission_type(b) &&
           rd_kafka_AclBinding_resource_pattern_type(a) == rd_kafka_AclBinding_resource_pattern_type(b) &&
           strcmp(rd_kafka_AclBinding_name(a), rd_kafka_AclBinding_name(b)) == 0 &&
           strcmp(rd_kafka_AclBinding_principal(a), rd_kafka_AclBinding_principal(b)) == 0;
}

static int find_all(const struct acls *acls, rd_kafka_event_t *event, struct pofr_err *err)
{
    size_t count = 0;
    const rd_kafka_AclBinding_t **there =
        rd_kafka_DescribeAcls_result_acls(rd_kafka_event_DescribeAcls_result(event), &count);

    for (size_t i = 0; i < acls->count; i++) {
        size_t at = 0;

        while (at < count && !is_same(acls->list[i], there[at])) {
            at++;
        }
        if (at == count) {
            return pofr_err_set(err, POFR_ENOTFOUND, "what %s may do is not known there yet",
                                rd_kafka_AclBinding_principal(acls->list[i]));
        }
    }
    return 0;
}

int topic_allowed_at(struct topic_admin *a, int32_t broker, const struct topic_parties *p, int timeout_ms,
                     struct pofr_err *err)
{
    struct acls acls = { .count = 0 };
    rd_kafka_AclBindingFilter_t *any = NULL;
    rd_kafka_AdminOptions_t *options = NULL;
    rd_kafka_queue_t *queue = NULL;
    rd_kafka_event_t *event = NULL;
    char why[160];
    int code = make(p, &acls, err);

    if (!code && acls.count > 0) {
        any = rd_kafka_AclBindingFilter_new(RD_KAFKA_RESOURCE_ANY, NULL, RD_KAFKA_RESOURCE_PATTERN_ANY, NULL, NULL,
                                            RD_KAFKA_ACL_OPERATION_ANY, RD_KAFKA_ACL_PERMISSION_TYPE_ANY, why,
                                            sizeof(why));
        queue = rd_kafka_queue_new(a->rk);
        options = topic_options_at(a, RD_KAFKA_ADMIN_OP_DESCRIBEACLS, broker, timeout_ms);
        rd_kafka_DescribeAcls(a->rk, any, options, queue);
        event = topic_answer(a, queue, "access rules", timeout_ms, err);
        code = event ? find_all(&acls, event, err) : err->code;
    }
    if (event) {
        rd_kafka_event_destroy(event);
    }
    if (options) {
        rd_kafka_AdminOptions_destroy(options);
    }
    if (queue) {
        rd_kafka_queue_destroy(queue);
    }
    if (any) {
        rd_kafka_AclBinding_destroy(any);
    }
    rd_kafka_AclBinding_destroy_array(acls.list, acls.count);
    return code;
}
