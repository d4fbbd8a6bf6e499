/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/lag.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/parse_num.h"
#include "common/kafka/client.h"
#include "common/os/clock.h"
#include "common/os/log.h"
#include "common/os/options.h"
#include "ctl/nouns.h"
#include "ctl/table.h"

static void take_row(const struct db_result *r, size_t row, struct lag *l)
{
    uint64_t n = db_get_u64(r, row, 0);
    struct lag_slot *s = n < l->count ? &l->slots[n] : NULL;

    if (s) {
        s->facts.known = true;
        s->incarnation = (uint32_t)db_get_u64(r, row, 1);
        s->facts.next_offset = (int64_t)db_get_u64(r, row, 2);
        s->facts.idle_s = (int64_t)db_get_u64(r, row, 5);
        snprintf(s->worker, sizeof(s->worker), "%s", (const char *)db_get(r, row, 3).data);
        snprintf(s->state, sizeof(s->state), "%s", (const char *)db_get(r, row, 4).data);
    }
}

static int read_shard(struct ctl *c, const struct ctl_shard *s, struct lag *l, struct pofr_err *err)
{
    struct db_result *r = NULL;
    struct db *db = NULL;
    int code = ctl_shard_connect(c, s, "pofr_store", &db, err);

    if (!code) {
        code = db_run(db,
                      "SELECT slot, incarnation, next_offset, worker, state, GREATEST(TIMESTAMPDIFF(SECOND, updated, "
                      "UTC_TIMESTAMP(6)), 0) FROM ingest_offset WHERE state <> 'gone'",
                      NULL, 0, &r, err);
    }
    for (size_t i = 0; !code && i < db_rows(r); i++) {
        take_row(r, i, l);
    }
    db_result_free(r);
    db_close(db);
    return code;
}

/* Its shard by the catalog, and what its worker told the catalog last. */
static void take_word(const struct db_result *r, size_t row, struct lag_slot *s)
{
    struct slice told = db_get(r, row, 4);

    s->facts.mapped = true;
    snprintf(s->shard, sizeof(s->shard), "%s", (const char *)db_get(r, row, 1).data);
    snprintf(s->facts.cause, sizeof(s->facts.cause), "%s", (const char *)db_get(r, row, 2).data);
    if (strspn(s->facts.cause, "abcdefghijklmnopqrstuvwxyz_") != strlen(s->facts.cause)) {
        s->facts.cause[0] = 0; /* no word of ours */
    }
    s->facts.cause_s = (int64_t)db_get_u64(r, row, 3);
    if (parse_i64(told, -1, INT64_MAX, &s->facts.told_s) != 0) {
        s->facts.told_s = -1;
    }
    snprintf(s->teller, sizeof(s->teller), "%s", (const char *)db_get(r, row, 5).data);
}

static int read_map(struct db *catalog, struct lag *l, struct pofr_err *err)
{
    struct db_result *r = NULL;
    int code =
        db_run(catalog,
               "SELECT l.slot, s.name, COALESCE(w.cause, ''), COALESCE(TIMESTAMPDIFF(SECOND, w.since, "
               "UTC_TIMESTAMP(6)), 0), COALESCE(GREATEST(TIMESTAMPDIFF(SECOND, w.told, UTC_TIMESTAMP(6)), 0), -1), "
               "COALESCE(w.worker, '') FROM slot l JOIN shard s USING (shard_id) LEFT JOIN slot_worker w ON w.slot = "
               "l.slot",
               NULL, 0, &r, err);

    for (size_t i = 0; !code && i < db_rows(r); i++) {
        uint64_t n = db_get_u64(r, i, 0);

        if (n < l->count) {
            take_word(r, i, &l->slots[n]);
        }
    }
    db_result_free(r);
    return code;
}

static int read_shards(struct ctl *c, struct lag *l, struct pofr_err *err)
{
    struct ctl_shard *shards = NULL;
    struct db *catalog = NULL;
    size_t count = 0;
    int code = ctl_catalog(c, &catalog, err);

    if (!code) {
        code = ctl_shards(catalog, &shards, &count, err);
    }
    if (!code) {
        code = read_map(catalog, l, err);
    }
    for (size_t i = 0; i < count && !code; i++) {
        struct pofr_err why = { 0 };

        if (read_shard(c, &shards[i], l, &why) != 0) {
            l->partial = true;
            snprintf(l->missing, sizeof(l->missing), "%s", why.text);
        }
    }
    free(shards);
    db_close(catalog);
    return code;
}

/* A message that does not come leaves the slot's time unknown: the rest is shown all the same. */
static void read_unread(struct ctl *c, struct kafka_look *k, struct lag *l)
{
    struct look_unread *list = calloc(TOPIC_PARTITIONS_MAX, sizeof(*list));
    struct pofr_err err = { 0 };
    size_t n = 0;

    for (size_t i = 0; list && i < l->count; i++) {
        const struct health_slot *f = &l->slots[i].facts;

        if (f->known && f->kafka.leader >= 0 && f->kafka.high > f->next_offset && f->kafka.high > f->kafka.low) {
            list[n++] = (struct look_unread){ .slot = (uint16_t)i, .offset = f->next_offset };
        }
    }
    if (list && kafka_look_unread(k, c->conf->kafka_topic, list, n, KAFKA_TIMEOUT_MS, &err) != 0) {
        ctl_warn("how old the lag is can't be told: %s", err.text);
    }
    for (size_t i = 0; i < n; i++) {
        l->slots[list[i].slot].facts.unread = list[i];
    }
    free(list);
}

int lag_read(struct ctl *c, struct lag **out, struct pofr_err *err)
{
    struct lag *l = calloc(1, sizeof(*l));
    struct kafka_look *k = NULL;
    int code;

    if (!l) {
        return pofr_err_set(err, POFR_ENOMEM, "slots");
    }
    code = kafka_look_open(c->conf->kafka_brokers, &c->conf->kafka, "pofrctl", &k, err);
    if (!code) {
        l->looked_us = clock_mono_us();
        code = kafka_look_at(k, c->conf->kafka_topic, c->conf->kafka_group, KAFKA_TIMEOUT_MS, &l->topic, err);
        l->count = l->topic.slots_count;
    }
    if (!code) {
        code = read_shards(c, l, err);
    }
    if (!code) {
        for (size_t i = 0; i < l->count; i++) {
            l->slots[i].facts.kafka = l->topic.slots[i];
        }
        read_unread(c, k, l);
        for (size_t i = 0; i < l->count; i++) {
            l->slots[i].result =
                health_of(&l->slots[i].facts, l->topic.retention_ms, l->topic.min_insync, clock_wall_us());
        }
    }
    kafka_look_close(k);
    if (code) {
        lag_free(l);
        return code;
    }
    *out = l;
    return 0;
}

int lag_ask_kafka(struct ctl *c, struct lag_told *out, struct pofr_err *err)
{
    struct kafka_look *k = NULL;
    struct look_topic t = { 0 };
    int code = kafka_look_open(c->conf->kafka_brokers, &c->conf->kafka, "pofrctl", &k, err);

    if (!code) {
        code = kafka_look_at(k, c->conf->kafka_topic, c->conf->kafka_group, KAFKA_TIMEOUT_MS, &t, err);
    }
    kafka_look_close(k);
    if (code) {
        return code;
    }
    if (t.group_error[0]) {
        look_topic_free(&t);
        return pofr_err_set(err, POFR_ETIMEOUT, "consumer group %s: %s", c->conf->kafka_group, t.group_error);
    }
    *out = (struct lag_told){ .workers = t.members_count, .slots = t.slots_count };
    for (size_t i = 0; i < t.slots_count; i++) {
        const struct look_slot *s = &t.slots[i];
        int64_t next = s->committed > s->low ? s->committed : s->low;

        if (s->high > next) {
            out->messages += s->high - next;
            out->behind++;
        }
    }
    look_topic_free(&t);
    return 0;
}

void lag_free(struct lag *l)
{
    if (l) {
        look_topic_free(&l->topic);
        free(l);
    }
}

const struct look_member *lag_owner(const struct lag *l, const struct lag_slot *s)
{
    return s->facts.kafka.owner < 0 ? NULL : &l->topic.members[s->facts.kafka.owner];
}

static void print_slot(unsigned n, const struct lag_slot *s, bool json, bool first)
{
    const struct health_slot *f = &s->facts;
    struct buf worker = BUF_INIT(1024);
    char shown[256];

    if (json) {
        table_json_string(slice_str(s->worker), &worker); /* a worker's name for itself */
        printf("%s\n {\"slot\": %u, \"shard\": \"%s\", \"state\": \"%s\", \"worker\": %s, \"incarnation\": %u, "
               "\"next_offset\": %lld, \"log_start\": %lld, \"log_end\": %lld, \"lag\": %lld, \"lag_seconds\": %lld, "
               "\"kafka_seconds\": %lld, \"idle_seconds\": %lld}",
               first ? "" : ",", n, s->shard, s->state, buf_cstr(&worker), s->incarnation, (long long)f->next_offset,
               (long long)f->kafka.low, (long long)f->kafka.high, (long long)s->result.lag,
               (long long)s->result.lag_seconds, (long long)s->result.kafka_seconds, (long long)f->idle_s);
    } else {
        log_escape(slice_str(s->worker), shown, sizeof(shown));
        table_unquote(shown);
        printf("%4u  %-12s %-8s %-16s %11lld %11lld %11lld %9lld %11lld\n", n, s->shard, s->state,
               s->worker[0] ? shown : "-", (long long)f->next_offset, (long long)f->kafka.low, (long long)f->kafka.high,
               (long long)s->result.lag, (long long)s->result.lag_seconds);
    }
    buf_free(&worker);
}

int topic_lag_main(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { "all", NULL };
    const char *v[2];
    char *args[1];
    size_t args_count;
    struct pofr_err err = { 0 };
    struct lag *l = NULL;
    size_t known = 0;
    size_t shown = 0;
    int64_t sum = 0;
    int64_t oldest = 0;
    bool partial;
    int code;

    if (!ctl_options(c, argc, argv, names, v, args, 0, &args_count)) {
        return POFR_EXIT_USAGE;
    }
    code = lag_read(c, &l, &err);
    if (code) {
        return ctl_fail(&err);
    }
    printf("%s", c->json ? "["
                         : "slot  shard        state    worker           next_offset   log_start     log_end       lag "
                           "lag_seconds\n");
    for (size_t i = 0; i < l->count; i++) {
        const struct lag_slot *s = &l->slots[i];

        known += s->facts.known;
        sum += s->result.lag > 0 ? s->result.lag : 0;
        oldest = s->result.lag_seconds > oldest ? s->result.lag_seconds : oldest;
        if (s->facts.known && (c->json || v[0] || s->result.lag || s->facts.kafka.high)) {
            print_slot((unsigned)i, s, c->json, shown++ == 0);
        }
    }
    printf("%s", c->json ? "\n]\n" : "");
    partial = l->partial;
    if (!c->json) {
        printf(
            "%zu slots, %zu shown (with --all also those that never had a message); the oldest that waits is of %lld s "
            "ago; lag in all: %lld messages%s\n",
            known, shown, (long long)oldest, (long long)sum, partial ? " (not complete)" : "");
    }
    if (partial) {
        ctl_warn("not complete: %s", l->missing);
    }
    lag_free(l);
    return partial ? POFR_EXIT_RETRY : POFR_EXIT_DONE;
}
