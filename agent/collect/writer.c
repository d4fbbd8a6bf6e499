/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads: w->lock protects the queue, the news and the figures; the spool is the thread's alone. It is never held during I/O.
 */
#include "agent/collect/writer_impl.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/os/clock.h"
#include "common/os/log.h"
#include "common/os/stop_point.h"

#define LEAN_ON       90u /* percent of the limit that can't be removed */
#define LEAN_OFF      85u
#define GAP_AGAIN_US  INT64_C(600000000)
#define LAST_TRIES_US INT64_C(1000000) /* of a disk that fails, once we are to end */

static void figures_take(struct writer *w, const struct pofr_err *err)
{
    const struct spool_head *h = &w->spool.chain.head;
    struct writer_figures *f = &w->figures;
    uint64_t held = segments_held(&w->spool.segments);
    uint64_t limit = w->spool.conf.limits.total;

    (void)pthread_mutex_lock(&w->lock);
    f->sequence = h->sequence;
    f->acked = h->acked;
    f->oldest = segments_oldest(&w->spool.segments);
    memcpy(f->digest, h->digest, sizeof(f->digest));
    f->ticks_total = h->ticks_total;
    f->records_total = f->lost_total = 0;
    for (unsigned i = 0; i < h->counts_len; i++) {
        f->records_total += h->counts[i].total;
    }
    for (unsigned i = 0; i < h->lost_len; i++) {
        f->lost_total += h->lost[i].total;
    }
    f->bytes = w->spool.segments.bytes;
    f->bytes_held = held;
    f->limit = limit;
    if (held * 100 > limit * LEAN_ON || w->disk_full) {
        f->lean = true;
    } else if (held * 100 < limit * LEAN_OFF) {
        f->lean = false;
    }
    f->failing = err != NULL;
    if (err != NULL) {
        f->errors++;
        snprintf(f->error, sizeof(f->error), "%.199s", err->text);
    }
    (void)pthread_mutex_unlock(&w->lock);
}

/* Wait for the disk to get better. false: the program ends. */
static bool wait_for_retry(struct writer *w)
{
    struct timespec until;
    bool go_on;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += w->conf.retry_us / CLOCK_US_PER_S;
    until.tv_nsec += (w->conf.retry_us % CLOCK_US_PER_S) * 1000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&w->lock);
    while (!w->stopping && pthread_cond_timedwait(&w->wake, &w->lock, &until) != ETIMEDOUT) {
    }
    go_on = !w->stopping || clock_mono_us() < w->last_tries_us;
    (void)pthread_mutex_unlock(&w->lock);
    if (go_on && w->stopping) { /* stopping: no more waiting for others, but no busy loop either */
        struct timespec pause = { .tv_nsec = 20000000 };

        (void)nanosleep(&pause, NULL); /* allowed: nothing to wait for but the disk; cut short: tried sooner */
    }
    return go_on;
}

/* Store d, whatever the disk says, until it does. 0; POFR_EFULL: no room; POFR_ECLOSED: the program ends. */
static int put(struct writer *w, const struct draft *d, bool last_resort)
{
    for (;;) {
        struct pofr_err err = { 0 };
        int rc = spool_put(&w->spool, d, last_resort, &err);

        w->disk_full = rc == POFR_EFULL;
        if (rc == 0) {
            (void)pthread_mutex_lock(&w->lock);
            w->figures.bundles++;
            w->figures.bundle_bytes += w->spool.block.len;
            (void)pthread_mutex_unlock(&w->lock);
        }
        if (rc == 0 || rc == POFR_EFULL) {
            figures_take(w, NULL);
            return rc;
        }
        log_error("spool", "write_failed", "error=\"%s\"", err.text);
        figures_take(w, &err);
        if (!wait_for_retry(w)) {
            return POFR_ECLOSED;
        }
    }
}

/* --- no room ------------------------------------------------------------------------------------------------ */

static void keep_untold(struct writer *w, const struct draft *d)
{
    uint64_t records = draft_records(d);

    untold_add(&w->untold, d);
    (void)pthread_mutex_lock(&w->lock);
    w->figures.refused_full += records;
    w->refused_any = true;
    (void)pthread_mutex_unlock(&w->lock);
    log_warn("spool", "full", "records=%llu", (unsigned long long)records);
}

static int tell_untold(struct writer *w, bool last_resort)
{
    struct draft *d;
    int rc;

    if (!w->untold.any) {
        return 0;
    }
    d = untold_draft(&w->untold);
    if (d == NULL) {
        return POFR_EFULL; /* no memory: told with the next */
    }
    rc = put(w, d, last_resort);
    draft_free(d);
    if (rc == 0) {
        w->untold = (struct untold){ 0 };
    }
    return rc;
}

static bool is_noted(const struct draft *d, uint64_t sequence)
{
    for (unsigned i = 0; i < d->notes_len; i++) {
        if (d->notes[i] == sequence) {
            return true;
        }
    }
    return false;
}

/* The gap records in d are durable; or they are to be made again. */
static void notes_settle(struct writer *w, const struct draft *d, bool durable)
{
    unsigned kept = 0;

    if (d->notes_len == 0) {
        return;
    }
    (void)pthread_mutex_lock(&w->lock);
    for (unsigned i = 0; i < w->refusals_len; i++) {
        bool noted = is_noted(d, w->refusals[i].refusal.sequence);

        if (noted && durable) {
            continue;
        }
        w->refusals[kept] = w->refusals[i];
        w->refusals[kept].given = w->refusals[kept].given && !noted;
        kept++;
    }
    w->refusals_len = kept;
    (void)pthread_mutex_unlock(&w->lock);
}

void writer_notes_back(struct writer *w, const struct draft *d)
{
    notes_settle(w, d, false);
}

static void seal(struct writer *w, const struct draft *d)
{
    int rc = tell_untold(w, false);

    if (rc == 0) {
        rc = put(w, d, false);
    }
    notes_settle(w, d, rc == 0);
    if (rc == 0) {
        w->gap_told_us = 0;
        if (w->conf.on_commit != NULL) {
            w->conf.on_commit(w->conf.ctx);
        }
        return;
    }
    keep_untold(w, d);
    if (rc == POFR_EFULL && (w->gap_told_us == 0 || clock_mono_us() - w->gap_told_us > GAP_AGAIN_US)) {
        w->gap_told_us = clock_mono_us();
        if (tell_untold(w, true) == 0 && w->conf.on_commit != NULL) {
            w->conf.on_commit(w->conf.ctx);
        }
    }
}

/* --- the thread --------------------------------------------------------------------------------------------- */

static void journal(struct writer *w, const struct job *j)
{
    struct pofr_err err = { 0 };
    int rc = j->draft != NULL ? spool_journal_begin(&w->spool, j->draft, &err) : 0;

    if (rc == 0) {
        rc = spool_journal_tick(&w->spool, slice_of(j->data, j->len), &err);
    }
    STOP_POINT("journal_after_tick");
    if (rc != 0) {
        (void)pthread_mutex_lock(&w->lock);
        w->figures.journal_missed++;
        (void)pthread_mutex_unlock(&w->lock);
        if (rc != POFR_ECLOSED) {
            log_warn("spool", "journal_failed", "error=\"%s\"", err.text);
        }
    }
}

static void acked(struct writer *w, const struct job *j)
{
    struct pofr_err err = { 0 };

    if (spool_acked(&w->spool, j->sequence, j->digest, &err) != 0) {
        log_warn("spool", "ack_unknown", "error=\"%s\"", err.text);
        (void)pthread_mutex_lock(&w->lock);
        w->figures.acks_unknown++;
        (void)pthread_mutex_unlock(&w->lock);
    }
    figures_take(w, NULL);
}

static void refused(struct writer *w, const struct job *j)
{
    struct pofr_err err = { 0 };
    struct writer_refusal *r;
    uint64_t records = 0;
    bool room;
    int rc;

    (void)pthread_mutex_lock(&w->lock);
    room = w->refusals_len < pofr_countof(w->refusals);
    (void)pthread_mutex_unlock(&w->lock);
    rc = room ? spool_refused(&w->spool, j->sequence, j->digest, &records, &err) : POFR_EFULL;
    if (rc == 0) {
        log_error("spool", "bundle_refused", "sequence=%llu reason=\"%s\"", (unsigned long long)j->sequence, j->reason);
        (void)pthread_mutex_lock(&w->lock);
        w->refusals[w->refusals_len] = (struct waiting){ .given = false };
        r = &w->refusals[w->refusals_len++].refusal;
        *r = (struct writer_refusal){ .sequence = j->sequence, .records = records };
        memcpy(r->digest, j->digest, sizeof(r->digest));
        memcpy(r->reason, j->reason, sizeof(r->reason));
        (void)pthread_mutex_unlock(&w->lock);
    }
    j->done(j->ctx, j->cookie, rc == POFR_EEXISTS ? 0 : rc);
}

static void run_job(struct writer *w, struct job *j)
{
    switch (j->kind) {
    case JOB_JOURNAL:
        journal(w, j);
        break;
    case JOB_SEAL:
        seal(w, j->draft);
        break;
    case JOB_ACKED:
        acked(w, j);
        break;
    case JOB_WANTED:
        segments_wanted(&w->spool.segments, j->ranges, j->ranges_len);
        break;
    case JOB_REFUSED:
        refused(w, j);
        break;
    case JOB_KEY:
        w->spool.conf.key = j->key;
        break;
    }
}

static void take_limits(struct writer *w)
{
    if (w->limits_set) {
        w->spool.segments.limits = w->spool.conf.limits = w->limits.segments;
        w->spool.conf.refused_limit = w->limits.refused;
        w->limits_set = false;
    }
}

static void *main_of_thread(void *arg)
{
    struct writer *w = arg;
    struct job *j;

    (void)pthread_mutex_lock(&w->lock);
    for (;;) {
        while (w->first == NULL && !w->stopping) {
            (void)pthread_cond_wait(&w->wake, &w->lock);
        }
        j = w->first;
        if (j == NULL || (w->stopping && clock_mono_us() > w->stop_at_us)) {
            break;
        }
        w->first = j->next;
        if (w->first == NULL) {
            w->last = &w->first;
        }
        take_limits(w);
        (void)pthread_mutex_unlock(&w->lock);
        run_job(w, j);
        (void)pthread_mutex_lock(&w->lock);
        w->queue_bytes -= j->bytes; /* only now: what is being written is memory too */
        w->controls -= j->kind >= JOB_ACKED;
        job_free(j);
    }
    w->stopped = true;
    (void)pthread_mutex_unlock(&w->lock);
    return NULL;
}

int writer_start(const struct writer_conf *conf, const struct spool *spool, struct writer **out_writer,
                 struct pofr_err *err)
{
    struct writer *w = calloc(1, sizeof(*w));
    pthread_condattr_t attr;
    int rc;

    if (w == NULL) {
        return pofr_err_set(err, POFR_ENOMEM, "writer");
    }
    w->conf = *conf;
    w->spool = *spool;
    w->last = &w->first;
    (void)pthread_mutex_init(&w->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&w->wake, &attr);
    (void)pthread_condattr_destroy(&attr);
    figures_take(w, NULL);
    rc = pthread_create(&w->thread, NULL, main_of_thread, w);
    if (rc != 0) {
        errno = rc;
        free(w);
        return pofr_err_sys(err, POFR_ESYSTEM, "writer thread");
    }
    *out_writer = w;
    return 0;
}

bool writer_stop(struct writer *w, int64_t limit_us)
{
    int64_t now = clock_mono_us();
    struct job *j;
    bool all;

    if (w == NULL) {
        return true;
    }
    (void)pthread_mutex_lock(&w->lock);
    w->stopping = true;
    w->stop_at_us = now + limit_us;
    w->last_tries_us = now + (limit_us < LAST_TRIES_US ? limit_us : LAST_TRIES_US);
    (void)pthread_cond_signal(&w->wake);
    (void)pthread_mutex_unlock(&w->lock);
    (void)pthread_join(w->thread, NULL);
    if (w->untold.any) {
        (void)tell_untold(w, false); /* else the next start's gap covers it */
    }
    all = w->first == NULL && !w->untold.any && !w->figures.failing;
    while ((j = w->first) != NULL) {
        w->first = j->next;
        job_free(j);
    }
    spool_close(&w->spool, all);
    (void)pthread_mutex_destroy(&w->lock);
    (void)pthread_cond_destroy(&w->wake);
    free(w);
    return all;
}
