/* SPDX-License-Identifier: GPL-2.0-or-later */
/* topic.c -- pofrctl topic create|check. */
#include <stdio.h>

#include "common/base/parse_num.h"
#include "common/kafka/client.h"
#include "common/kafka/topic_acl.h"
#include "common/kafka/topic_check.h"
#include "common/kafka/topic_settle.h"
#include "common/os/options.h"
#include "ctl/nouns.h"

#define REPLICATION_MAX 7     /* as of the option of the configuration */
#define SETTLE_MS       30000 /* a busy broker may take seconds */

static int create_one(struct ctl *c, struct topic_admin *a, const char *topic, uint32_t partitions,
                      uint32_t replication, struct pofr_err *err)
{
    struct topic_facts facts;
    int code = topic_check(a, topic, KAFKA_TIMEOUT_MS, &facts, err);

    if (code == POFR_ENOTFOUND) {
        code = topic_create(a, topic, partitions, replication, KAFKA_TIMEOUT_MS, err);
        if (code == 0 || code == POFR_EEXISTS) {
            ctl_say(c, "topic %s: made, %u partitions", topic, partitions);
            code = 0;
        }
    } else if (!code) {
        ctl_say(c, "topic %s: is there, %u partitions", topic, facts.partitions);
    }
    return code;
}

/* Who starts next may ask any broker: it must know of it. */
static int allow_and_settle(struct ctl *c, struct topic_admin *a, struct pofr_err *err)
{
    const struct topic_parties parties = { .gateway = c->conf->kafka_gateway_principal,
                                           .worker = c->conf->kafka_worker_principal,
                                           .merger = c->conf->kafka_merger_principal,
                                           .topic = c->conf->kafka_topic,
                                           .deadletter = c->conf->kafka_deadletter,
                                           .group = c->conf->kafka_group };
    size_t count = 0;
    int code = topic_allow(a, &parties, KAFKA_TIMEOUT_MS, &count, err);

    if (!code && count > 0) {
        ctl_say(c, "topics: %zu access rules are there", count);
    }
    return code ? code : topic_settle(a, &parties, SETTLE_MS, err);
}

int topic_create_main(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { "replication=", NULL };
    const char *values[2];
    char *args[1];
    size_t args_count;
    struct pofr_err err = { 0 };
    struct topic_admin *a = NULL;
    uint32_t replication = c->conf->kafka_replication;
    int code;

    if (!ctl_options(c, argc, argv, names, values, args, 0, &args_count)) {
        return POFR_EXIT_USAGE;
    }
    if (values[0] && (parse_u32(slice_str(values[0]), REPLICATION_MAX, &replication) || replication == 0)) {
        return ctl_usage(c, "--replication is 1 to %d", REPLICATION_MAX);
    }
    code = topic_admin_open(c->conf->kafka_brokers, &c->conf->kafka, &a, &err);
    if (!code) {
        code = create_one(c, a, c->conf->kafka_topic, c->conf->kafka_partitions, replication, &err);
    }
    if (!code) {
        code = create_one(c, a, c->conf->kafka_deadletter, 1, replication, &err);
    }
    if (!code) {
        code = allow_and_settle(c, a, &err);
    }
    topic_admin_close(a);
    return code ? ctl_fail(&err) : POFR_EXIT_DONE;
}

int topic_check_main(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { NULL };
    const char *const topics[] = { c->conf->kafka_topic, c->conf->kafka_deadletter };
    const char *values[1];
    char *args[1];
    size_t args_count;
    struct pofr_err err = { 0 };
    struct topic_admin *a = NULL;
    int worst = 0;
    int code;

    if (!ctl_options(c, argc, argv, names, values, args, 0, &args_count)) {
        return POFR_EXIT_USAGE;
    }
    code = topic_admin_open(c->conf->kafka_brokers, &c->conf->kafka, &a, &err);
    if (code) {
        return ctl_fail(&err);
    }
    if (c->json) {
        printf("[");
    }
    for (size_t i = 0; i < pofr_countof(topics); i++) {
        struct topic_facts f = { 0 };

        if (code != POFR_ETIMEOUT) { /* who does not answer is not asked again */
            err = (struct pofr_err){ 0 };
            code = topic_check(a, topics[i], KAFKA_TIMEOUT_MS, &f, &err);
        }
        if (c->json) {
            printf("%s\n {\"topic\": \"%s\", \"ok\": %s, \"partitions\": %u, \"replication\": %u, \"min_insync\": %u}",
                   i ? "," : "", topics[i], code ? "false" : "true", f.partitions, f.replication, f.min_insync);
        } else if (!code) {
            printf("%s: as it must be; %u partitions, replication %u, min.insync.replicas %u\n", topics[i],
                   f.partitions, f.replication, f.min_insync);
        }
        if (code) {
            ctl_warn("%s: %s", topics[i], err.text);
            worst = code == POFR_ETIMEOUT ? POFR_EXIT_RETRY : POFR_EXIT_NO;
        }
    }
    if (c->json) {
        printf("\n]\n");
    }
    topic_admin_close(a);
    return worst;
}
