/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Threads: lock guards both lists and stop. */
#include "workers/errands.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/sha256.h"
#include "common/kafka/topic_sight.h"
#include "common/os/clock.h"
#include "common/os/log.h"
#include "workers/worker_stats.h"

#define AGAIN_US   (1 * CLOCK_US_PER_S)
#define LIMITS_MS  3000
#define PUBLISH_MS 10000
#define TOPIC_MS   3000

struct errands {
    struct errands_options o;
    struct kafka_producer *producer;
    struct db *catalog;
    struct topic_sight sight; /* the thread's */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct errand *todo, **todo_end;
    struct errand *done, **done_end;
    bool stop;
};

static void put(struct errands *e, struct errand ***end, const struct errand *what)
{
    struct errand *node = malloc(sizeof(*node));

    if (!node) {
        log_error("errands", "no_memory", "errno=%d", errno);
        abort();
    }
    *node = *what;
    node->next = NULL;
    pthread_mutex_lock(&e->lock);
    **end = node;
    *end = &node->next;
    pthread_cond_signal(&e->wake);
    pthread_mutex_unlock(&e->lock);
}

void errands_limits(struct errands *e, unsigned slot, uint64_t epoch)
{
    put(e, &e->todo_end, &(struct errand){ .kind = ERRAND_LIMITS, .slot = slot, .epoch = epoch });
}

void errands_relay(struct errands *e, void *writer, struct store_aside *list)
{
    put(e, &e->todo_end, &(struct errand){ .kind = ERRAND_RELAY, .writer = writer, .list = list });
}

void errands_key(struct errands *e, const struct store_key *key)
{
    put(e, &e->todo_end, &(struct errand){ .kind = ERRAND_KEY, .key = *key });
}

bool errands_answer(struct errands *e, struct errand *out)
{
    struct errand *node;

    pthread_mutex_lock(&e->lock);
    node = e->done;
    if (node) {
        e->done = node->next;
        if (!e->done) {
            e->done_end = &e->done;
        }
    }
    pthread_mutex_unlock(&e->lock);
    if (node) {
        *out = *node;
        free(node);
    }
    return node != NULL;
}

/* --- the thread --------------------------------------------------------------------------------------------- */

static bool ask_limits(struct errands *e, struct errand *what)
{
    struct pofr_err err = { 0 };

    if (kafka_limits(e->producer, e->o.kafka.topic, what->slot, LIMITS_MS, &what->low, &what->high, &err) != 0) {
        log_warn("errands", "limits_unknown", "error=\"%s\"", err.text);
        return false;
    }
    return true;
}

static int publish(struct errands *e, const struct store_aside *a, struct pofr_err *err)
{
    char slot[16], incarnation[16], offset[24];
    const struct message *m = a->message;
    struct slice more[4][2] = { { SLICE_LITERAL("pofr-reason"), SLICE_EMPTY },
                                { SLICE_LITERAL("pofr-slot"), SLICE_EMPTY },
                                { SLICE_LITERAL("pofr-incarnation"), SLICE_EMPTY },
                                { SLICE_LITERAL("pofr-kafka-offset"), SLICE_EMPTY } };

    snprintf(slot, sizeof(slot), "%u", m->slot);
    snprintf(incarnation, sizeof(incarnation), "%u", m->incarnation);
    snprintf(offset, sizeof(offset), "%lld", (long long)m->offset);
    more[0][1] = slice_str(a->reason);
    more[1][1] = slice_str(slot);
    more[2][1] = slice_str(incarnation);
    more[3][1] = slice_str(offset);
    return kafka_publish(e->producer, e->o.deadletter, m, (const struct slice(*)[2])more, pofr_countof(more),
                         PUBLISH_MS, err);
}

/*
 * What can't be published now is marked, and found again by the writer. What the topic does not take, ever, counts as done: the
 * row in set_aside has all of it, and nothing behind it may wait for it.
 */
static void relay(struct errands *e, struct errand *what)
{
    bool down = false;

    for (struct store_aside *a = what->list; a; a = a->next) {
        struct pofr_err err = { 0 };
        int code = down ? 0 : publish(e, a, &err);

        if (code == POFR_ETOOBIG) {
            log_error("errands", "relay_too_large", "slot=%u offset=%lld bytes=%zu", a->message->slot,
                      (long long)a->message->offset, a->message->value.len);
        } else if (code != 0) {
            log_warn("errands", "relay_failed", "slot=%u offset=%lld error=\"%s\"", a->message->slot,
                     (long long)a->message->offset, err.text);
            down = true;
        }
        if (down) {
            a->reason[0] = 0;
        }
    }
}

static bool enter_key(struct errands *e, const struct store_key *key)
{
    struct pofr_err err = { 0 };
    uint8_t id[SHA256_SIZE];
    struct db_value v[3];
    int code = sha256(slice_of(key->public_key, 32), id);

    if (code == 0 && !e->catalog) {
        code = db_connect(&e->o.catalog, &e->catalog, &err);
    }
    if (code == 0) {
        v[0] = DB_V_U(key->host_id);
        v[1] = DB_V_S(slice_of(id, sizeof(id)));
        v[2] = DB_V_S(slice_of(key->public_key, 32));
        code = db_run(e->catalog, "CALL enter_key(?, ?, ?)", v, 3, NULL, &err);
    }
    if (code) {
        log_warn("errands", "key_not_entered", "host_id=%llu error=\"%s\"", (unsigned long long)key->host_id, err.text);
        db_close(e->catalog);
        e->catalog = NULL;
        return false;
    }
    log_info("errands", "key_entered", "host_id=%llu", (unsigned long long)key->host_id);
    return true;
}

static bool look_for_topic(struct errands *e)
{
    int code = kafka_find_topic(e->producer, e->o.kafka.topic, TOPIC_MS);

    if (topic_sight_take(&e->sight, code, clock_mono_us())) {
        stat_put(e->o.stats, STAT_ingest_topic_there, !e->sight.missing);
        if (e->sight.missing) {
            log_error("errands", "topic_missing", "name=%s", e->o.kafka.topic);
        } else {
            log_info("errands", "topic_back", "name=%s", e->o.kafka.topic);
        }
    }
    return false;
}

/* false: once more, later. */
static bool run_errand(struct errands *e, struct errand *what)
{
    switch (what->kind) {
    case ERRAND_LIMITS:
        return ask_limits(e, what);
    case ERRAND_RELAY:
        relay(e, what);
        return true;
    case ERRAND_TOPIC:
        return look_for_topic(e);
    default:
        return enter_key(e, &what->key);
    }
}

/* The first one that is due, taken out; else NULL and when the next one is. With the lock held. */
static struct errand *take_due(struct errands *e, int64_t now, int64_t *due)
{
    *due = now + 60 * CLOCK_US_PER_S;
    for (struct errand **at = &e->todo; *at; at = &(*at)->next) {
        struct errand *what = *at;

        if (what->due_us <= now) {
            *at = what->next;
            if (!*at) {
                e->todo_end = at;
            }
            return what;
        }
        *due = what->due_us < *due ? what->due_us : *due;
    }
    return NULL;
}

static struct errand *next_errand(struct errands *e)
{
    struct errand *what = NULL;

    pthread_mutex_lock(&e->lock);
    while (!e->stop) {
        int64_t due;
        struct timespec t;

        what = take_due(e, clock_mono_us(), &due);
        if (what) {
            break;
        }
        t = (struct timespec){ due / CLOCK_US_PER_S, due % CLOCK_US_PER_S * 1000 };
        pthread_cond_timedwait(&e->wake, &e->lock, &t);
    }
    pthread_mutex_unlock(&e->lock);
    return what;
}

static void *run(void *arg)
{
    struct errands *e = arg;
    struct errand *what;

    while ((what = next_errand(e)) != NULL) {
        if (!run_errand(e, what)) {
            what->due_us = what->kind == ERRAND_TOPIC ? e->sight.due_us : clock_mono_us() + AGAIN_US;
            put(e, &e->todo_end, what);
        } else if (what->kind != ERRAND_KEY) {
            put(e, &e->done_end, what);
            e->o.wake(e->o.arg);
        }
        free(what);
    }
    return NULL;
}

int errands_start(const struct errands_options *o, struct errands **out, struct pofr_err *err)
{
    struct errands *e = calloc(1, sizeof(*e));
    pthread_condattr_t monotonic;
    int code;

    if (!e) {
        return pofr_err_set(err, POFR_ENOMEM, "errands");
    }
    e->o = *o;
    e->todo_end = &e->todo;
    e->done_end = &e->done;
    code = kafka_producer_new(&o->kafka, &e->producer, err);
    if (code) {
        free(e);
        return code;
    }
    pthread_mutex_init(&e->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&e->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    code = pthread_create(&e->thread, NULL, run, e);
    if (code) {
        kafka_producer_close(e->producer);
        free(e);
        errno = code;
        return pofr_err_sys(err, POFR_ESYSTEM, "errands' thread");
    }
    put(e, &e->todo_end, &(struct errand){ .kind = ERRAND_TOPIC });
    *out = e;
    return 0;
}

static void free_list(struct errand *list)
{
    while (list) {
        struct errand *next = list->next;

        store_aside_free(list->kind == ERRAND_RELAY ? list->list : NULL);
        free(list);
        list = next;
    }
}

void errands_stop(struct errands *e)
{
    if (!e) {
        return;
    }
    pthread_mutex_lock(&e->lock);
    e->stop = true;
    pthread_cond_signal(&e->wake);
    pthread_mutex_unlock(&e->lock);
    pthread_join(e->thread, NULL);
    free_list(e->todo);
    free_list(e->done);
    kafka_producer_close(e->producer);
    db_close(e->catalog);
    pthread_cond_destroy(&e->wake);
    pthread_mutex_destroy(&e->lock);
    free(e);
}
