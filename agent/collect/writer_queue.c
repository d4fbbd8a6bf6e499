/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What other threads do: put a job at the queue's end, or look at what is published. Short, and never waiting for the disk.
 */
#include "agent/collect/writer_impl.h"

#include <stdlib.h>
#include <string.h>

#include "common/os/log.h"

#define CONTROL_MAX 1024u /* jobs of the socket that wait */

void job_free(struct job *j)
{
    draft_free(j->draft);
    free(j->ranges);
    free(j);
}

static struct job *job_new(enum job_kind kind, struct slice data)
{
    struct job *j = malloc(sizeof(*j) + data.len);

    if (j != NULL) {
        *j = (struct job){ .kind = kind, .len = data.len };
        j->bytes = sizeof(*j) + data.len;
        if (data.len > 0) {
            memcpy(j->data, data.data, data.len);
        }
    }
    return j;
}

static bool push(struct writer *w, struct job *j)
{
    bool control = j->kind >= JOB_ACKED;
    bool fits;

    (void)pthread_mutex_lock(&w->lock);
    fits = !w->stopping && (control ? w->controls < CONTROL_MAX : w->queue_bytes + j->bytes <= w->conf.queue_limit);
    if (fits) {
        *w->last = j;
        w->last = &j->next;
        w->queue_bytes += j->bytes;
        w->controls += control;
        (void)pthread_cond_signal(&w->wake);
    }
    (void)pthread_mutex_unlock(&w->lock);
    return fits;
}

void writer_limits(struct writer *w, const struct writer_limits *limits)
{
    (void)pthread_mutex_lock(&w->lock);
    w->limits = *limits;
    w->limits_set = true;
    w->conf.queue_limit = limits->queue;
    (void)pthread_mutex_unlock(&w->lock);
}

bool writer_journal(struct writer *w, const struct draft *identity, struct slice records)
{
    struct job *j = job_new(JOB_JOURNAL, records);

    if (j == NULL) {
        return false;
    }
    if (identity != NULL) {
        j->draft = draft_new();
        if (j->draft == NULL) {
            job_free(j);
            return false;
        }
        *j->draft = *identity;
        j->draft->payload = NULL;
    }
    if (!push(w, j)) {
        job_free(j);
        return false;
    }
    return true;
}

bool writer_seal(struct writer *w, struct draft *d)
{
    struct job *j = job_new(JOB_SEAL, SLICE_EMPTY);

    if (j == NULL) {
        return false;
    }
    j->draft = d;
    j->bytes += sizeof(*d) + d->payload_len;
    if (!push(w, j)) {
        j->draft = NULL;
        job_free(j);
        return false;
    }
    return true;
}

void writer_news(struct writer *w, struct writer_news *out)
{
    *out = (struct writer_news){ 0 };
    (void)pthread_mutex_lock(&w->lock);
    out->lean = w->figures.lean;
    out->refused_any = w->refused_any;
    w->refused_any = false;
    for (unsigned i = 0; i < w->refusals_len && out->refusals_len < DRAFT_NOTES_MAX; i++) {
        if (!w->refusals[i].given) {
            w->refusals[i].given = true;
            out->refusals[out->refusals_len++] = w->refusals[i].refusal;
        }
    }
    (void)pthread_mutex_unlock(&w->lock);
}

void writer_acked(struct writer *w, uint64_t sequence, const uint8_t digest[32])
{
    struct job *j = job_new(JOB_ACKED, SLICE_EMPTY);

    if (j == NULL) {
        return; /* a later ack covers it */
    }
    j->sequence = sequence;
    memcpy(j->digest, digest, sizeof(j->digest));
    if (!push(w, j)) {
        job_free(j);
    }
}

void writer_wanted(struct writer *w, const struct ipc_range *ranges, unsigned len)
{
    struct job *j = job_new(JOB_WANTED, SLICE_EMPTY);

    if (j == NULL) {
        return;
    }
    j->ranges = calloc(len + 1, sizeof(*ranges));
    if (j->ranges != NULL) {
        memcpy(j->ranges, ranges, len * sizeof(*ranges));
        j->ranges_len = len;
    }
    if (j->ranges == NULL || !push(w, j)) {
        job_free(j);
    }
}

bool writer_refused(struct writer *w, uint64_t sequence, const uint8_t digest[32], struct slice reason,
                    writer_done_fn fn, void *ctx, uint64_t cookie)
{
    struct job *j = job_new(JOB_REFUSED, SLICE_EMPTY);

    if (j == NULL) {
        return false;
    }
    j->sequence = sequence;
    memcpy(j->digest, digest, sizeof(j->digest));
    (void)log_escape(reason, j->reason, sizeof(j->reason));
    j->done = fn;
    j->ctx = ctx;
    j->cookie = cookie;
    if (!push(w, j)) {
        job_free(j);
        return false;
    }
    return true;
}

bool writer_key(struct writer *w, const struct sshkey *key)
{
    struct job *j = job_new(JOB_KEY, SLICE_EMPTY);

    if (j == NULL) {
        return false;
    }
    j->key = key;
    if (!push(w, j)) {
        job_free(j);
        return false;
    }
    return true;
}

void writer_figures(struct writer *w, struct writer_figures *out)
{
    (void)pthread_mutex_lock(&w->lock);
    *out = w->figures;
    out->queue_bytes = w->queue_bytes;
    (void)pthread_mutex_unlock(&w->lock);
}
