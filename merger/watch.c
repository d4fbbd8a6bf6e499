/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ORDER of a round: what the catalog was told by gateways; then the ends of Kafka's logs; then both into the shard, in one
 * transaction. So what a gateway had acked lies within the log that is written beside it, and pofr.conservation_slot can say
 * that a bundle is nowhere without being wrong for a moment.
 *
 * Threads: lock guards view and stop; the rest is the thread's own.
 */
#include "merger/watch.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/buf.h"
#include "common/base/hostport.h"
#include "common/db/db.h"
#include "common/os/clock.h"
#include "common/os/log.h"
#include "common/tls/tls_files.h"
#include "merger/watch_parts.h"

#define CONNECT_S 3
#define IO_S      30
#define KAFKA_MS  5000
#define ALL_US    (600 * CLOCK_US_PER_S) /* so often all reports are copied, not the new ones alone: slots move */
#define FRESH_US  (600 * CLOCK_US_PER_S) /* so often a server's certificate is looked at: connections are made anew */

struct watch {
    struct watch_options o;
    struct merger_conf conf; /* its strings are in text */
    char *text;
    char brokers[4096];
    struct hostport catalog_at;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
    struct watch_view *view; /* what is shown */

    struct watch_view *next; /* the round's */
    struct db *catalog;
    struct kafka_look *kafka;
    struct tls_watch files;
    int64_t fresh_us; /* monotonic: when the connections were made */
    struct watch_own own[WATCH_SHARDS_MAX];
    size_t own_count;
    struct told {
        char why[240]; /* a struct pofr_err holds no more; "": it is well */
    } catalog_told, kafka_told, group_told;
};

/* Once for each reason: the first may be but the end of a connection, and the next says why. why: "" where all is well. */
static void tell(struct told *t, const char *event, const char *why)
{
    if (why[0] && strcmp(t->why, why) != 0) {
        log_warn("watch", event, "error=\"%s\"", why);
    }
    snprintf(t->why, sizeof(t->why), "%s", why);
}

static void forget(struct db **db)
{
    db_close(*db);
    *db = NULL;
}

/* --- the catalog --------------------------------------------------------------------------------------------- */

static int ask_catalog(struct watch *w, const char *sql, const struct db_value *values, size_t count,
                       struct db_result **out, struct pofr_err *err)
{
    const struct db_address a = { .host = w->catalog_at.host,
                                  .port = w->catalog_at.port,
                                  .user = w->conf.catalog_user,
                                  .password_file = w->conf.catalog_password_file,
                                  .database = "pofr_catalog",
                                  .tls = w->conf.catalog_tls,
                                  .connect_timeout_s = CONNECT_S,
                                  .io_timeout_s = IO_S };
    bool anew = !w->catalog;
    int code = anew ? db_connect(&a, &w->catalog, err) : 0;

    if (!code && anew && a.tls.on) {
        w->next->catalog_ends_us = watch_certificate_end(w->catalog);
    }
    if (!code) {
        code = db_run(w->catalog, sql, values, count, out, err);
    }
    if (code) {
        forget(&w->catalog);
    }
    return code;
}

/* Which partitions have a shard at all, and which are of ours. */
static int read_map(struct watch *w, struct pofr_err *err)
{
    struct db_value limit = DB_V_U(HEALTH_TOLD_S);
    struct watch_view *v = w->next;
    struct db_result *r = NULL;
    int code =
        ask_catalog(w,
                    "SELECT l.slot, l.shard_id, COALESCE(w.cause, ''), COALESCE(TIMESTAMPDIFF(SECOND, w.since, "
                    "UTC_TIMESTAMP(6)), 0), IF(w.told >= UTC_TIMESTAMP(6) - INTERVAL ? SECOND, 0, -1) FROM slot l LEFT "
                    "JOIN slot_worker w ON w.slot = l.slot",
                    &limit, 1, &r, err);

    for (unsigned n = 0; !code && n < TOPIC_PARTITIONS_MAX; n++) {
        v->slots[n].facts.mapped = v->slots[n].ours = false;
    }
    for (size_t i = 0; !code && i < db_rows(r); i++) {
        uint64_t n = db_get_u64(r, i, 0);

        for (size_t k = 0; k < v->shards_count && n < TOPIC_PARTITIONS_MAX; k++) {
            if (v->shards[k].at.shard_id == db_get_u64(r, i, 1)) {
                v->slots[n].ours = true;
                v->slots[n].shard = (uint32_t)k;
            }
        }
        if (n < TOPIC_PARTITIONS_MAX) {
            struct health_slot *f = &v->slots[n].facts;

            f->mapped = true;
            snprintf(f->cause, sizeof(f->cause), "%s", (const char *)db_get(r, i, 2).data);
            f->cause_s = (int64_t)db_get_u64(r, i, 3);
            f->told_s = slice_eq_str(db_get(r, i, 4), "0") ? 0 : -1;
        }
    }
    db_result_free(r);
    return code;
}

/* Reports as the catalog has them, each a JSON array: they go on as they are. */
static int read_reports(struct watch *w, const struct watch_shard *at, struct watch_own *own, struct db_result **out,
                        struct pofr_err *err)
{
    bool all = own->told[0] == 0 || clock_mono_us() - own->all_us >= ALL_US;
    struct db_value values[] = { DB_V_U(at->shard_id), DB_V_C(all ? "1970-01-01" : own->told) };

    if (all) {
        own->all_us = clock_mono_us();
    }
    return ask_catalog(
        w,
        "SELECT JSON_ARRAY(r.host_id, r.gateway, r.connected, r.hello, r.oldest, r.newest, r.acked, "
        "r.acked_at, r.told), r.told FROM spool_report r JOIN host h ON h.host_id = r.host_id JOIN slot l "
        "ON l.slot = h.slot WHERE l.shard_id = ? AND r.told >= ? AND h.state <> 'erased' ORDER BY r.told",
        values, 2, out, err);
}

/* --- Kafka ---------------------------------------------------------------------------------------------------- */

static void take_topic(struct watch_view *v, const struct look_topic *t)
{
    v->brokers = t->brokers;
    v->partitions = (uint32_t)t->slots_count;
    v->members_known = !t->group_error[0];
    v->members = (uint32_t)t->members_count;
    v->min_insync = t->min_insync;
    v->retention_ms = t->retention_ms;
    v->without_shard = 0;
    for (size_t n = 0; n < t->slots_count; n++) {
        const struct look_slot *k = &t->slots[n];

        v->slots[n].facts.kafka = *k;
        snprintf(v->slots[n].owner, sizeof(v->slots[n].owner), "%s", k->owner < 0 ? "" : t->members[k->owner].client);
        v->without_shard += !v->slots[n].facts.mapped;
    }
}

static int look_at_kafka(struct watch *w, struct pofr_err *err)
{
    struct look_topic t;
    int code = w->kafka ? 0 : kafka_look_open(w->brokers, &w->conf.kafka, "pofr-merger", &w->kafka, err);

    if (!code) {
        code = kafka_look_at(w->kafka, w->conf.kafka_topic, w->conf.kafka_group, KAFKA_MS, &t, err);
    }
    if (!code) {
        tell(&w->group_told, "group_unknown", t.group_error); /* Kafka is up, one of its brokers is not */
        take_topic(w->next, &t);
        look_topic_free(&t);
        w->next->kafka_count = kafka_look_peers(w->kafka, w->next->kafka);
    }
    return code;
}

/* A message that does not come leaves the slot's time unknown. One that was looked at before still says the same. */
static void look_at_unread(struct watch *w)
{
    struct look_unread *list = calloc(TOPIC_PARTITIONS_MAX, sizeof(*list));
    struct pofr_err err = { 0 };
    size_t count = 0;

    for (unsigned n = 0; list && n < w->next->partitions; n++) {
        struct health_slot *f = &w->next->slots[n].facts;
        bool waits = w->next->slots[n].ours && f->known && f->kafka.leader >= 0 && f->kafka.high > f->next_offset &&
                     f->kafka.high > f->kafka.low;

        if (!waits) {
            f->unread.found = false;
        } else if (!f->unread.found || f->unread.offset < f->next_offset || f->unread.offset < f->kafka.low) {
            f->unread = (struct look_unread){ .slot = (uint16_t)n, .offset = f->next_offset };
            list[count++] = f->unread;
        }
    }
    if (list && kafka_look_unread(w->kafka, w->conf.kafka_topic, list, count, KAFKA_MS, &err) != 0) {
        log_debug("watch", "unread_unknown", "error=\"%s\"", err.text);
    }
    for (size_t i = 0; i < count; i++) {
        w->next->slots[list[i].slot].facts.unread = list[i];
    }
    free(list);
}

/* --- a round --------------------------------------------------------------------------------------------------- */

static struct watch_own *own_of(struct watch *w, const char *name)
{
    for (size_t i = 0; i < w->own_count; i++) {
        if (strcmp(w->own[i].name, name) == 0) {
            return &w->own[i];
        }
    }
    if (w->own_count == WATCH_SHARDS_MAX) {
        return NULL;
    }
    snprintf(w->own[w->own_count].name, sizeof(w->own[0].name), "%s", name);
    return &w->own[w->own_count++];
}

/* Shards that are ours now; of those that were before, what was seen then stays. */
static void take_shards(struct watch *w)
{
    static struct watch_shard list[WATCH_SHARDS_MAX]; /* the thread's: there is one */
    struct watch_view *v = w->next;
    size_t count = w->o.shards(w->o.arg, list, WATCH_SHARDS_MAX);
    struct watch_shard_view *shards = calloc(count ? count : 1, sizeof(*shards));

    if (!shards) {
        return; /* as in the round before */
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < v->shards_count; k++) {
            if (v->shards[k].at.shard_id == list[i].shard_id) {
                shards[i] = v->shards[k];
            }
        }
        shards[i].at = list[i];
        shards[i].up = false;
    }
    for (size_t i = 0; i < w->own_count; i++) { /* what is somebody else's now needs no connection */
        bool ours = false;

        for (size_t k = 0; k < count && !ours; k++) {
            ours = strcmp(list[k].name, w->own[i].name) == 0;
        }
        if (!ours) {
            forget(&w->own[i].db);
            w->own[i].told[0] = 0;
            w->own[i].until_totals = 0;
        }
    }
    for (unsigned n = 0; n < TOPIC_PARTITIONS_MAX; n++) { /* if the catalog is down, what was read before still holds */
        struct watch_slot *s = &v->slots[n];
        uint64_t shard_id = s->ours ? v->shards[s->shard].at.shard_id : 0;

        for (size_t i = 0; i < count && s->ours; i++) {
            if (list[i].shard_id == shard_id) {
                s->shard = (uint32_t)i;
                break;
            }
        }
        s->ours = s->ours && s->shard < count && list[s->shard].shard_id == shard_id;
    }
    free(v->shards);
    v->shards = shards;
    v->shards_count = count;
}

static bool is_stopping(struct watch *w)
{
    bool stop;

    pthread_mutex_lock(&w->lock);
    stop = w->stop;
    pthread_mutex_unlock(&w->lock);
    return stop;
}

static int one_shard(struct watch *w, size_t shard, const struct db_result *reports, struct pofr_err *err)
{
    struct watch_shard_view *s = &w->next->shards[shard];
    struct watch_own *own = own_of(w, s->at.name);
    int code = own && own->db ? watch_shard_round(w->next, shard, own, reports, err)
                              : pofr_err_set(err, POFR_EDBBUSY, "not connected");

    if (code && own) {
        forget(&own->db);
    }
    s->up = code == 0;
    s->counted = s->counted || s->up;
    return code;
}

static void note_kafka(struct watch *w, int code, const struct pofr_err *err)
{
    w->next->kafka_up = code == 0;
    w->next->topic_missing = code == POFR_ENOTFOUND;
    tell(&w->kafka_told, w->next->topic_missing ? "topic_missing" : "kafka_down", code ? err->text : "");
}

static void note_catalog(struct watch *w, int code, const struct pofr_err *err)
{
    w->next->catalog_up = w->next->catalog_up && code == 0;
    if (code || w->next->catalog_up) {
        tell(&w->catalog_told, "catalog_down", code ? err->text : "");
    }
}

/* First what gateways told, of all shards; a shard that does not answer here is not asked again in this round. */
static void ask_first(struct watch *w, struct db_result **reports)
{
    struct watch_view *v = w->next;
    struct pofr_err err = { 0 };

    v->catalog_up = true;
    note_catalog(w, read_map(w, &err), &err);
    for (size_t i = 0; i < v->shards_count && !is_stopping(w); i++) {
        struct watch_own *own = own_of(w, v->shards[i].at.name);
        struct pofr_err why = { 0 };

        if (own && v->catalog_up) {
            note_catalog(w, read_reports(w, &v->shards[i].at, own, &reports[i], &why), &why);
        }
        if (own && watch_shard_offsets(v, i, &w->conf, own, &why) != 0) {
            log_debug("watch", "shard_down", "shard=%s error=\"%s\"", own->name, why.text);
            forget(&own->db);
        }
    }
}

/* Of a shard that is down the newest word stands, but that its slots were stored to a moment ago is of the past. */
static void judge(struct watch_view *v)
{
    for (unsigned n = 0; n < v->partitions; n++) {
        struct watch_slot *s = &v->slots[n];
        struct health_slot facts = s->facts;
        bool down = s->ours && !v->shards[s->shard].up;

        facts.idle_s = down ? INT64_MAX : facts.idle_s;
        s->result = health_of(&facts, v->retention_ms, v->min_insync, clock_wall_us());
        if (down) { /* it waits for its shard: its worker is not stuck */
            s->result.problems = (s->result.problems | HEALTH_SHARD_DOWN) & ~(unsigned)HEALTH_STUCK;
        }
    }
}

/* A connection keeps the certificates with which it was made, ours and the server's. */
static void connect_anew(struct watch *w)
{
    bool tls = w->conf.kafka.tls.on || w->conf.catalog_tls.on || w->conf.shard_tls.on;

    if (!tls || (!tls_watch_changed(&w->files, &w->conf.kafka.tls) && clock_mono_us() - w->fresh_us < FRESH_US)) {
        return;
    }
    w->fresh_us = clock_mono_us();
    forget(&w->catalog);
    for (size_t i = 0; i < w->own_count; i++) {
        forget(&w->own[i].db);
    }
    kafka_look_close(w->kafka);
    w->kafka = NULL;
}

static void one_round(struct watch *w)
{
    struct watch_view *v = w->next;
    struct db_result **reports;
    struct pofr_err err = { 0 };
    bool all = true;

    connect_anew(w);
    take_shards(w);
    reports = calloc(v->shards_count + 1, sizeof(struct db_result *));
    if (!reports) {
        return;
    }
    ask_first(w, reports);
    if (!is_stopping(w)) {
        note_kafka(w, look_at_kafka(w, &err), &err);
    }
    if (v->kafka_up && !is_stopping(w)) {
        look_at_unread(w);
    }
    for (size_t i = 0; i < v->shards_count; i++) {
        struct pofr_err why = { 0 };

        if (is_stopping(w)) {
            all = false;
        } else if (one_shard(w, i, reports[i], &why) != 0) {
            log_debug("watch", "shard_down", "shard=%s error=\"%s\"", v->shards[i].at.name, why.text);
            all = false;
        }
        db_result_free(reports[i]);
    }
    free(reports);
    judge(v);
    if (all && v->kafka_up && v->catalog_up) {
        v->complete_us = clock_mono_us();
    }
}

static void show(struct watch *w)
{
    struct watch_shard_view *shards = calloc(w->next->shards_count + 1, sizeof(*shards));

    if (!shards) {
        return; /* the round before is shown */
    }
    memcpy(shards, w->next->shards, w->next->shards_count * sizeof(*shards));
    pthread_mutex_lock(&w->lock);
    free(w->view->shards);
    *w->view = *w->next;
    w->view->shards = shards;
    pthread_mutex_unlock(&w->lock);
}

static bool wait_for_next(struct watch *w, int64_t due_us)
{
    struct timespec due = { due_us / CLOCK_US_PER_S, due_us % CLOCK_US_PER_S * 1000 };
    bool stop;

    pthread_mutex_lock(&w->lock);
    while (!w->stop && pthread_cond_timedwait(&w->wake, &w->lock, &due) != ETIMEDOUT) {
    }
    stop = w->stop;
    pthread_mutex_unlock(&w->lock);
    return !stop;
}

static void *run(void *arg)
{
    struct watch *w = arg;

    do {
        one_round(w);
        show(w);
    } while (wait_for_next(w, clock_mono_us() + w->conf.watch_period));
    return NULL;
}

/* --- start and end ----------------------------------------------------------------------------------------------- */

/* The strings of the configuration, in one piece of memory of our own. */
static int copy_conf(struct watch *w, const struct merger_conf *from)
{
    struct merger_conf *c = &w->conf;
    const char **const fields[] = { &c->catalog_user,
                                    &c->catalog_password_file,
                                    &c->catalog_tls.ca_file,
                                    &c->catalog_tls.certificate_file,
                                    &c->catalog_tls.key_file,
                                    &c->shard_user,
                                    &c->shard_password_file,
                                    &c->shard_tls.ca_file,
                                    &c->shard_tls.certificate_file,
                                    &c->shard_tls.key_file,
                                    &c->kafka.tls.ca_file,
                                    &c->kafka.tls.certificate_file,
                                    &c->kafka.tls.key_file,
                                    &c->kafka.user,
                                    &c->kafka.password_file,
                                    &c->kafka.properties_file,
                                    &c->kafka_topic,
                                    &c->kafka_group };
    size_t size = 1, at = 0;

    w->conf = *from;
    for (size_t i = 0; i < pofr_countof(fields); i++) {
        size += strlen(*fields[i]) + 1;
    }
    w->text = malloc(size);
    for (size_t i = 0; w->text && i < pofr_countof(fields); i++) {
        size_t len = strlen(*fields[i]) + 1;

        memcpy(w->text + at, *fields[i], len);
        *fields[i] = w->text + at;
        at += len;
    }
    for (size_t i = 0, used = 0; i < from->kafka_brokers.count && used < sizeof(w->brokers); i++) {
        used += (size_t)snprintf(w->brokers + used, sizeof(w->brokers) - used, "%s%s", i ? "," : "",
                                 from->kafka_brokers.items[i]);
    }
    return w->text ? 0 : POFR_ENOMEM;
}

static void free_all(struct watch *w)
{
    for (size_t i = 0; i < w->own_count; i++) {
        forget(&w->own[i].db);
    }
    forget(&w->catalog);
    kafka_look_close(w->kafka);
    if (w->view) {
        free(w->view->shards);
    }
    if (w->next) {
        free(w->next->shards);
    }
    free(w->view);
    free(w->next);
    free(w->text);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

int watch_start(const struct watch_options *o, struct watch **out, struct pofr_err *err)
{
    struct watch *w = calloc(1, sizeof(*w));
    pthread_condattr_t monotonic;
    int code = 0;

    if (!w) {
        return pofr_err_set(err, POFR_ENOMEM, "watch");
    }
    w->o = *o;
    (void)pthread_mutex_init(&w->lock, NULL); /* none of these can fail */
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&w->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    w->view = calloc(1, sizeof(*w->view));
    w->next = calloc(1, sizeof(*w->next));
    if (!w->view || !w->next || copy_conf(w, o->conf)) {
        code = pofr_err_set(err, POFR_ENOMEM, "watch");
    } else if (hostport_parse(slice_str(o->conf->catalog_address), 3306, &w->catalog_at)) {
        code = pofr_err_set(err, POFR_ECONFIG, "catalog address \"%s\" is not host:port", o->conf->catalog_address);
    } else {
        tls_watch_init(&w->files, &w->conf.kafka.tls);
        w->fresh_us = clock_mono_us();
        snprintf(w->next->topic, sizeof(w->next->topic), "%s", w->conf.kafka_topic);
        snprintf(w->next->group, sizeof(w->next->group), "%s", w->conf.kafka_group);
        errno = pthread_create(&w->thread, NULL, run, w);
        code = errno ? pofr_err_sys(err, POFR_ESYSTEM, "the watching thread") : 0;
    }
    if (code) {
        free_all(w);
        return code;
    }
    *out = w;
    return 0;
}

void watch_stop(struct watch *w)
{
    if (!w) {
        return;
    }
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    (void)pthread_join(w->thread, NULL); /* it ends by itself */
    free_all(w);
}

void watch_metrics(struct buf *out, void *watch)
{
    struct watch *w = watch;

    pthread_mutex_lock(&w->lock);
    watch_write(w->view, clock_mono_us(), out);
    pthread_mutex_unlock(&w->lock);
}
