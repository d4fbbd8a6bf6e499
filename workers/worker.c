/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads: the main thread is the poll thread. Signals are blocked in all threads and taken by one of their own, which
 * sets flags and wakes the poll thread.
 */
#include "workers/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/hostport.h"
#include "common/catalog/keys.h"
#include "common/kafka/topic_check.h"
#include "common/os/clock.h"
#include "common/os/conf.h"
#include "common/os/fsio.h"
#include "common/os/log.h"
#include "common/os/metrics_http.h"
#include "common/os/service.h"
#include "common/tls/tls_expiry.h"
#include "workers/consume.h"
#include "workers/worker_conf.h"
#include "workers/worker_stats.h"

#define SLACK_US (60 * CLOCK_US_PER_S) /* what a start or an end takes beside the waiting that is configured */

struct worker {
    struct conf *conf;
    const struct worker_conf *c; /* of conf: who reads it does so all the time */
    struct conf *fresh;          /* what SIGHUP brought last; NULL: nothing yet. Of the signals' thread */
    _Atomic int64_t drain_us;    /* the one option that may change */
    char name[190];
    char brokers[1024];
    char copy_path[4096];
    struct hostport catalog;
    int lock_fd;
    struct stat_set *stats;
    struct keys *keys;
    pthread_mutex_t
        lock; /* protects consume, which the threads of catalog, metrics and signals look at, and stopping */
    struct consume *consume; /* NULL: being made */
    bool stopping;
    struct metrics_http *metrics;
    pthread_t signals;
    bool signals_run;
    atomic_bool ending;
};

static struct db_address catalog_address(const struct worker *w)
{
    return (struct db_address){ .host = w->catalog.host,
                                .port = w->catalog.port,
                                .user = w->c->catalog_user,
                                .password_file = w->c->catalog_password_file,
                                .database = w->c->catalog_database,
                                .tls = w->c->catalog_tls,
                                .connect_timeout_s = 3,
                                .io_timeout_s = 10 };
}

static void catalog_changed(void *arg)
{
    struct worker *w = arg;

    pthread_mutex_lock(&w->lock);
    if (w->consume) {
        consume_catalog_changed(w->consume);
    }
    pthread_mutex_unlock(&w->lock);
}

static bool is_healthy(void *arg, char *reason, size_t n)
{
    const struct worker *w = arg;

    snprintf(reason, n, "there is no topic %s: pofrctl topic create", w->c->topic);
    return stat_get(w->stats, STAT_ingest_topic_there) != 0;
}

static bool is_ready(void *arg, char *reason, size_t n)
{
    struct worker *w = arg;
    bool ready = false;

    pthread_mutex_lock(&w->lock);
    if (w->consume) {
        ready = consume_is_ready(w->consume, reason, n);
    } else {
        snprintf(reason, n, "takes a new certificate");
    }
    pthread_mutex_unlock(&w->lock);
    return ready && is_healthy(w, reason, n);
}

static void write_more(struct buf *out, void *arg)
{
    struct worker *w = arg;
    const struct tls_use uses[] = { { "kafka", &w->c->kafka.tls },
                                    { "catalog", &w->c->catalog_tls },
                                    { "shard", &w->c->shard_tls } };

    pthread_mutex_lock(&w->lock);
    if (w->consume) {
        consume_metrics(out, w->consume);
    }
    pthread_mutex_unlock(&w->lock);
    tls_expiry_write(uses, pofr_countof(uses), out);
}

/* --- start ---------------------------------------------------------------------------------------------------- */

static int name_worker(struct worker *w, struct pofr_err *err)
{
    char host[128] = "";

    if (w->c->name[0]) {
        snprintf(w->name, sizeof(w->name), "%s", w->c->name);
    } else if (gethostname(host, sizeof(host) - 1) == 0) {
        snprintf(w->name, sizeof(w->name), "%s/%ld", host, (long)getpid());
    }
    return hostport_parse(slice_str(w->c->catalog_address), 3306, &w->catalog) == 0
               ? 0
               : pofr_err_set(err, POFR_ECONFIG, "[catalog] address");
}

static int open_state(struct worker *w, struct pofr_err *err)
{
    char lock[4096];
    int code = fsio_mkdirs(w->c->state_dir, 0750, err);

    snprintf(lock, sizeof(lock), "%s/lock", w->c->state_dir);
    snprintf(w->copy_path, sizeof(w->copy_path), "%s/catalog.copy", w->c->state_dir);
    return code ? code : fsio_lock(lock, &w->lock_fd, err);
}

static int open_keys(struct worker *w, struct pofr_err *err)
{
    const struct keys_options o = { .catalog = catalog_address(w),
                                    .file = w->copy_path,
                                    .area = "catalog",
                                    .refresh_us = w->c->refresh_us,
                                    .changed = catalog_changed,
                                    .arg = w };
    struct pofr_err first = { 0 };
    int code = keys_open(&o, &w->keys, err);

    if (code == 0 && keys_refresh(w->keys, &first) != 0) { /* it goes on trying; the copy may do meanwhile */
        log_warn("catalog", "catalog_down", "error=\"%s\" copy=%s", first.text, keys_loaded(w->keys) ? "yes" : "no");
    }
    return code;
}

static bool is_told_to_stop(void)
{
    const struct timespec second = { 1, 0 };
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    return sigtimedwait(&set, NULL, &second) > 0;
}

/* A topic that could lose or reorder messages is not read. */
static int check_topic(struct worker *w, struct pofr_err *err)
{
    struct topic_admin *admin = NULL;
    struct topic_facts facts;
    int64_t limit = clock_mono_us() + w->c->start_wait_us;
    int code;

    w->brokers[0] = 0;
    for (size_t i = 0, at = 0; i < w->c->brokers.count && at < sizeof(w->brokers); i++) {
        at += (size_t)snprintf(w->brokers + at, sizeof(w->brokers) - at, "%s%s", i ? "," : "", w->c->brokers.items[i]);
    }
    code = topic_admin_open(w->brokers, &w->c->kafka, &admin, err);
    if (code) {
        return code;
    }
    service_extend(w->c->start_wait_us + SLACK_US);
    while (topic_may_come(code = topic_check(admin, w->c->topic, 5000, &facts, err)) && clock_mono_us() < limit) {
        log_warn("worker", "waits_for_kafka", "error=\"%s\"", err->text);
        if (is_told_to_stop()) {
            code = pofr_err_set(err, POFR_ECLOSED, "told to stop before Kafka was there");
            break;
        }
    }
    if (code == 0) {
        stat_put(w->stats, STAT_ingest_topic_there, 1);
        log_info("worker", "topic", "name=%s slots=%u replication=%u", w->c->topic, facts.partitions,
                 facts.replication);
    }
    topic_admin_close(admin);
    return code;
}

static int open_metrics(struct worker *w, struct pofr_err *err)
{
    const struct metrics_http_options o = {
        .address = w->c->metrics_listen, .stats = w->stats, .healthy = is_healthy, .ready = is_ready, .arg = w
    };

    stat_set_extra(w->stats, write_more, w);
    return w->c->metrics_listen[0] ? metrics_http_start(&o, &w->metrics, err) : 0;
}

static int open_consume(struct worker *w, struct pofr_err *err)
{
    const struct consume_options o = { w->c, w->name, w->keys, w->stats, catalog_address(w), &w->drain_us };
    struct consume *c = NULL;
    int code = consume_new(&o, &c, err);

    if (code) {
        return code;
    }
    pthread_mutex_lock(&w->lock);
    w->consume = c;
    if (w->stopping) {
        consume_stop(c);
    }
    pthread_mutex_unlock(&w->lock);
    return 0;
}

static void close_consume(struct worker *w)
{
    struct consume *c;

    pthread_mutex_lock(&w->lock);
    c = w->consume;
    w->consume = NULL;
    pthread_mutex_unlock(&w->lock);
    consume_free(c);
}

/* --- signals -------------------------------------------------------------------------------------------------- */

static void changed(const char *section, const char *name, const char *before, const char *after, void *arg)
{
    (void)arg;
    log_info("worker", "option_changed", "option=%s.%s before=\"%s\" after=\"%s\"", section, name, before, after);
}

static void reload(struct worker *w)
{
    struct pofr_err err = { 0 };
    struct conf *next = NULL;

    service_reloading();
    if (conf_reload(w->fresh ? w->fresh : w->conf, changed, NULL, &next, &err) != 0) {
        log_error("worker", "reload_refused", "error=\"%s\"", err.text);
    } else {
        atomic_store(&w->drain_us, ((const struct worker_conf *)conf_values(next))->drain_us);
        log_info("worker", "reloaded", "file=%s", conf_path(next));
        conf_free(w->fresh);
        w->fresh = next;
    }
    service_ready();
}

static void stop(struct worker *w)
{
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    if (w->consume) {
        consume_stop(w->consume);
    }
    pthread_mutex_unlock(&w->lock);
}

static void *take_signals(void *arg)
{
    struct worker *w = arg;
    sigset_t set;
    int signo;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    while (!atomic_load(&w->ending)) {
        struct timespec tick = { 1, 0 };

        signo = sigtimedwait(&set, NULL, &tick);
        if (signo == SIGHUP) {
            reload(w);
        } else if (signo == SIGTERM || signo == SIGINT) {
            log_info("worker", "stopping", "signal=%d", signo);
            stop(w);
        }
    }
    return NULL;
}

static void block_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int worker_start(struct conf *conf, struct worker **out, struct pofr_err *err)
{
    struct worker *w = calloc(1, sizeof(*w));
    int code;

    if (!w) {
        return pofr_err_set(err, POFR_ENOMEM, "worker");
    }
    pthread_mutex_init(&w->lock, NULL);
    block_signals(); /* before any thread */
    w->c = conf_values(conf);
    atomic_store(&w->drain_us, w->c->drain_us);
    w->lock_fd = -1;
    code = name_worker(w, err);
    if (code == 0) {
        code = open_state(w, err);
    }
    if (code == 0) {
        code = stat_new(worker_stats, WORKER_STATS, &w->stats, err);
    }
    if (code == 0) {
        code = check_topic(w, err);
    }
    if (code == 0) {
        code = open_keys(w, err);
    }
    if (code == 0) {
        code = open_consume(w, err);
    }
    if (code == 0) {
        code = keys_run(w->keys, err);
    }
    if (code == 0) {
        code = open_metrics(w, err);
    }
    if (code) {
        worker_free(w); /* not conf: the caller still has it */
        return code;
    }
    w->conf = conf;
    *out = w;
    return 0;
}

int worker_run(struct worker *w, struct pofr_err *err)
{
    int rc = pthread_create(&w->signals, NULL, take_signals, w);

    if (rc) {
        errno = rc;
        return pofr_err_sys(err, POFR_ESYSTEM, "signals' thread");
    }
    w->signals_run = true;
    log_info("worker", "started", "name=%s version=%s", w->name, POFR_VERSION);
    service_ready();
    rc = consume_run(w->consume, err);
    while (rc == 0 &&
           consume_wants_anew(w->consume)) { /* as at an end, and as at a start: no other part of it is new */
        service_watchdog();
        close_consume(w);
        service_watchdog();
        rc = open_consume(w, err);
        if (rc == 0) {
            log_info("worker", "clients_anew", "");
            rc = consume_run(w->consume, err);
        }
    }
    service_stopping();
    service_extend(atomic_load(&w->drain_us) + SLACK_US);
    return rc;
}

void worker_free(struct worker *w)
{
    if (!w) {
        return;
    }
    metrics_http_stop(w->metrics);
    if (w->stats) {
        stat_set_extra(w->stats, NULL, NULL);
    }
    atomic_store(&w->ending, true);
    if (w->signals_run) {
        pthread_join(w->signals, NULL);
    }
    close_consume(w);
    keys_close(w->keys);
    pthread_mutex_destroy(&w->lock);
    stat_free(w->stats);
    fsio_close(&w->lock_fd);
    if (w->conf) {
        log_info("worker", "stopped", "name=%s", w->name);
    }
    conf_free(w->fresh);
    conf_free(w->conf);
    free(w);
}
