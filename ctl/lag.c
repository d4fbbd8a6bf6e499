/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/lag.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

#include "common/kafka/client.h"
#include "common/kafka/topic_rules.h"
#include "common/os/options.h"
#include "ctl/nouns.h"

static int by_slot(const void *a, const void *b)
{
    const struct lag_slot *x = a;
    const struct lag_slot *y = b;

    return (x->slot > y->slot) - (x->slot < y->slot);
}

static int read_shard(struct ctl *c, const struct ctl_shard *s, struct lag_slot *slots, size_t *count,
                      struct pofr_err *err)
{
    struct db_result *r = NULL;
    struct db *db = NULL;
    int code = ctl_shard_connect(c, s, "pofr_store", &db, err);

    if (!code) {
        code = db_run(db,
                      "SELECT slot, incarnation, next_offset, worker, state, TIMESTAMPDIFF(SECOND, updated, "
                      "UTC_TIMESTAMP(6)) FROM "
                      "ingest_offset WHERE state <> 'gone'",
                      NULL, 0, &r, err);
    }
    for (size_t i = 0; !code && i < db_rows(r) && *count < TOPIC_PARTITIONS_MAX; i++) {
        struct lag_slot *l = &slots[(*count)++];

        l->slot = (uint16_t)db_get_u64(r, i, 0);
        l->incarnation = (uint32_t)db_get_u64(r, i, 1);
        l->next_offset = (int64_t)db_get_u64(r, i, 2);
        l->idle_s = (int64_t)db_get_u64(r, i, 5);
        snprintf(l->shard, sizeof(l->shard), "%s", s->name);
        snprintf(l->worker, sizeof(l->worker), "%s", (const char *)db_get(r, i, 3).data);
        snprintf(l->state, sizeof(l->state), "%s", (const char *)db_get(r, i, 4).data);
    }
    db_result_free(r);
    db_close(db);
    return code;
}

static int read_kafka(struct ctl *c, struct lag_slot *slots, size_t count, struct pofr_err *err)
{
    char errstr[256];
    rd_kafka_conf_t *conf = NULL;
    rd_kafka_t *rk = NULL;
    int code = kafka_conf_new(c->conf->kafka_brokers, c->conf->kafka_properties_file, "pofrctl", &conf, err);

    if (code) {
        return code;
    }
    rd_kafka_conf_set_log_cb(conf, NULL); /* what matters comes back as an error */
    rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, errstr, sizeof(errstr));
    if (!rk) {
        rd_kafka_conf_destroy(conf);
        return pofr_err_set(err, POFR_ECONFIG, "Kafka client: %s", errstr);
    }
    for (size_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t e = rd_kafka_query_watermark_offsets(rk, c->conf->kafka_topic, slots[i].slot, &slots[i].low,
                                                                 &slots[i].high, KAFKA_TIMEOUT_MS);

        if (e) {
            code = pofr_err_set(err, POFR_ETIMEOUT, "Kafka, partition %u: %s", slots[i].slot, rd_kafka_err2str(e));
            break;
        }
        slots[i].known = true;
        slots[i].lag = slots[i].high > slots[i].next_offset ? slots[i].high - slots[i].next_offset : 0;
    }
    rd_kafka_destroy(rk);
    return code;
}

int lag_read(struct ctl *c, struct lag_slot **out_slots, size_t *out_count, bool *out_partial, struct pofr_err *err)
{
    struct lag_slot *slots = calloc(TOPIC_PARTITIONS_MAX, sizeof(*slots));
    struct ctl_shard *shards = NULL;
    struct db *catalog = NULL;
    size_t shards_count = 0;
    size_t count = 0;
    int code;

    *out_partial = false;
    if (!slots) {
        return pofr_err_set(err, POFR_ENOMEM, "slots");
    }
    code = ctl_catalog(c, &catalog, err);
    if (!code) {
        code = ctl_shards(catalog, &shards, &shards_count, err);
    }
    for (size_t i = 0; i < shards_count && !code; i++) {
        *out_partial = read_shard(c, &shards[i], slots, &count, err) != 0 || *out_partial;
    }
    if (!code) {
        qsort(slots, count, sizeof(*slots), by_slot);
        code = read_kafka(c, slots, count, err);
    }
    free(shards);
    db_close(catalog);
    if (code) {
        free(slots);
        return code;
    }
    *out_slots = slots;
    *out_count = count;
    return 0;
}

static void print_slot(const struct lag_slot *l, bool json, bool first)
{
    if (json) {
        printf("%s\n {\"slot\": %u, \"shard\": \"%s\", \"state\": \"%s\", \"worker\": \"%s\", \"incarnation\": %u, "
               "\"next_offset\": %lld, "
               "\"log_start\": %lld, \"log_end\": %lld, \"lag\": %lld, \"idle_seconds\": %lld}",
               first ? "" : ",", l->slot, l->shard, l->state, l->worker, l->incarnation, (long long)l->next_offset,
               (long long)l->low, (long long)l->high, (long long)l->lag, (long long)l->idle_s);
    } else {
        printf("%4u  %-12s %-8s %-16s %11lld %11lld %11lld %9lld\n", l->slot, l->shard, l->state,
               l->worker[0] ? l->worker : "-", (long long)l->next_offset, (long long)l->low, (long long)l->high,
               (long long)l->lag);
    }
}

int topic_lag_main(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { "all", NULL };
    const char *v[2];
    char *args[1];
    size_t args_count;
    struct pofr_err err = { 0 };
    struct lag_slot *slots = NULL;
    size_t count = 0;
    size_t shown = 0;
    int64_t sum = 0;
    bool partial = false;
    int code;

    if (!ctl_options(c, argc, argv, names, v, args, 0, &args_count)) {
        return POFR_EXIT_USAGE;
    }
    code = lag_read(c, &slots, &count, &partial, &err);
    if (code) {
        return ctl_fail(&err);
    }
    printf("%s", c->json
                     ? "["
                     : "slot  shard        state    worker           next_offset   log_start     log_end       lag\n");
    for (size_t i = 0; i < count; i++) {
        sum += slots[i].lag;
        if (c->json || v[0] || slots[i].lag || slots[i].high) {
            print_slot(&slots[i], c->json, shown++ == 0);
        }
    }
    printf("%s", c->json ? "\n]\n" : "");
    if (!c->json) {
        printf("%zu slots, %zu shown (with --all also those that never had a message); lag in all: %lld messages%s\n",
               count, shown, (long long)sum, partial ? " (not complete)" : "");
    }
    if (partial) {
        ctl_warn("not complete: %s", err.text);
    }
    free(slots);
    return partial ? POFR_EXIT_RETRY : POFR_EXIT_DONE;
}
