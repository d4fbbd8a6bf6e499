/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/collect/spool.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/collect/recover.h"
#include "agent/collect/refused.h"
#include "agent/collect/seal.h"
#include "common/os/fsio.h"
#include "common/os/log.h"
#include "common/os/stop_point.h"

#define MARK "host.recorded" /* in the state folder: this host has signed a bundle once */

static int mark_path(const struct spool *s, char out[PATH_MAX])
{
    int n = snprintf(out, PATH_MAX, "%s/%s", s->conf.state_dir, MARK);

    return n < 0 || n >= PATH_MAX ? POFR_ETOOBIG : 0;
}

bool spool_is_marked(const struct spool *s)
{
    char path[PATH_MAX];

    return mark_path(s, path) == 0 && access(path, F_OK) == 0;
}

static void mark(struct spool *s)
{
    struct pofr_err err = { 0 };
    char path[PATH_MAX];

    if (s->marked) {
        return;
    }
    if (mark_path(s, path) == 0 && fsio_replace(path, slice_str("recorded\n"), 0644, &err) == 0) {
        s->marked = true;
    } else {
        log_warn("spool", "mark_failed", "error=\"%s\"", err.text);
    }
}

static int open_parts(struct spool *s, struct spool_start *start, struct pofr_err *err)
{
    int rc = fsio_mkdirs(s->dir, 0750, err);

    if (rc == 0) {
        rc = chain_open(&s->chain, s->dir, err);
    }
    if (rc == 0 && s->chain.found && !uuid_eq(&s->chain.head.host, &s->conf.host)) {
        chain_close(&s->chain);
        rc = recover_set_aside(s->dir, &s->chain.head.host, err);
        if (rc == 0) {
            rc = fsio_mkdirs(s->dir, 0750, err);
        }
        if (rc == 0) {
            rc = chain_open(&s->chain, s->dir, err);
        }
    }
    if (rc == 0) {
        rc = segments_open(&s->segments, s->dir, &s->conf.limits, &s->chain.head, err);
    }
    if (rc == 0) {
        rc = journal_open(&s->journal, s->dir, err);
    }
    return rc != 0 ? rc : recover(s, start, err);
}

int spool_open(const struct spool_conf *conf, struct spool *out_spool, struct spool_start *out_start,
               struct pofr_err *err)
{
    struct spool_start start = { 0 };
    char dir[PATH_MAX];
    int rc;

    *out_spool = (struct spool){
        .conf = *conf, .chain = { .fd = -1 }, .segments = { .fd = -1, .read_fd = -1 }, .journal = { .fd = -1 }
    };
    buf_init(&out_spool->block, BUNDLE_MAX);
    if (snprintf(dir, sizeof(dir), "%s/%s", conf->state_dir, SPOOL_DIR) >= (int)sizeof(dir)) {
        return pofr_err_set(err, POFR_ETOOBIG, "%s: path too long", conf->state_dir);
    }
    out_spool->dir = strdup(dir);
    if (out_spool->dir == NULL) {
        return pofr_err_set(err, POFR_ENOMEM, "spool");
    }
    rc = open_parts(out_spool, &start, err);
    if (rc != 0) {
        spool_close(out_spool, false);
        return rc;
    }
    out_spool->past = start.past;
    out_spool->acked_seen = out_spool->chain.head.acked;
    if (start.past == SPOOL_PAST_FOUND || start.past == SPOOL_PAST_REBUILT) {
        mark(out_spool);
    }
    start.head = out_spool->chain.head;
    *out_start = start;
    return 0;
}

/* What may be called acked, and the refusals still to be remembered then. */
static uint64_t acked_with(const struct spool *s, const struct spool_refusal *list, unsigned len)
{
    uint64_t acked = s->acked_seen;

    for (unsigned i = 0; i < len; i++) {
        if (!list[i].noted && list[i].sequence <= acked) {
            acked = list[i].sequence - 1;
            break;
        }
        if (list[i].noted && list[i].sequence == acked + 1) {
            acked++;
        }
    }
    return acked > s->chain.head.acked ? acked : s->chain.head.acked;
}

static void forget_covered(struct spool *s, uint64_t acked)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < s->refused_len; i++) {
        if (!s->refused[i].noted || s->refused[i].sequence > acked) {
            s->refused[kept++] = s->refused[i];
        }
    }
    s->refused_len = kept;
}

static enum statement_origin origin_of(const struct spool *s, const struct draft *d)
{
    if (d->recovered) {
        return STATEMENT_RECOVERED;
    }
    if (s->begun) {
        return STATEMENT_CONTINUES;
    }
    if (s->chain.head.sequence > 0) {
        return STATEMENT_RESTART;
    }
    return s->past == SPOOL_PAST_LOST ? STATEMENT_LOST : STATEMENT_FIRST;
}

static void note(struct spool_refusal *list, unsigned len, const struct draft *d)
{
    for (unsigned i = 0; i < len; i++) {
        for (unsigned k = 0; k < d->notes_len; k++) {
            list[i].noted = list[i].noted || d->notes[k] == list[i].sequence;
        }
    }
}

/* The last step of a bundle that lies in its segment: from here on it counts. */
static int commit(struct spool *s, const struct draft *d, struct pofr_err *err)
{
    struct spool_refusal refused[pofr_countof(s->refused)];
    int rc;

    memcpy(refused, s->refused, sizeof(refused));
    if (d != NULL) {
        note(refused, s->refused_len, d);
    }
    s->pending.acked = acked_with(s, refused, s->refused_len);
    rc = chain_commit(&s->chain, &s->pending, err);
    if (rc != 0) {
        return rc;
    }
    STOP_POINT("spool_after_head");
    segments_committed(&s->segments, s->pending.segment, s->pending.sequence);
    segments_acked(&s->segments, s->pending.acked);
    memcpy(s->refused, refused, sizeof(refused));
    forget_covered(s, s->pending.acked);
    s->pending = (struct spool_head){ 0 };
    s->begun = s->begun || d == NULL || !d->recovered;
    mark(s);
    return 0;
}

void spool_close(struct spool *s, bool clean)
{
    struct spool_head head = s->chain.head;

    if (s->chain.fd < 0) {
        clean = false;
    } else if (s->pending.sequence != 0 && commit(s, NULL, NULL) == 0) {
        head = s->chain.head; /* else the next start adopts it */
    }
    clean = clean && s->pending.sequence == 0;
    head.acked = acked_with(s, s->refused, s->refused_len);
    clean = clean && journal_clear(&s->journal, NULL) == 0;
    head.clean = clean;
    if (s->chain.fd >= 0 && s->chain.found && s->pending.sequence == 0 && (clean || head.acked > s->chain.head.acked)) {
        if (chain_commit(&s->chain, &head, NULL) != 0) {
            log_warn("spool", "acks_not_kept", ""); /* harmless: these bundles are sent once more */
        }
    }
    chain_close(&s->chain);
    segments_close(&s->segments);
    journal_close(&s->journal);
    buf_free(&s->block);
    free(s->dir);
    s->dir = NULL;
}

static int seal_next(struct spool *s, const struct draft *d, struct spool_head *out_next, struct pofr_err *err)
{
    int rc;

    buf_reset(&s->block);
    rc = seal_bundle(d, &s->chain.head, origin_of(s, d), &s->conf.host, s->conf.key, &s->block, out_next);
    return rc != 0 ? pofr_err_set(err, rc, "seal: %s", pofr_err_text(rc)) : 0;
}

int spool_put(struct spool *s, const struct draft *d, bool last_resort, struct pofr_err *err)
{
    struct segments_place place;
    struct spool_head next;
    int rc = seal_next(s, d, &next, err);

    if (rc == 0 && s->pending.sequence != 0) {
        /* the same draft gives the same bytes: it is this one that waits for its head; else that one comes first */
        bool same = memcmp(next.digest, s->pending.digest, sizeof(next.digest)) == 0;

        rc = commit(s, same ? d : NULL, err);
        if (same || rc != 0) {
            return rc;
        }
        rc = seal_next(s, d, &next, err);
    }
    STOP_POINT("spool_after_seal");
    if (rc == 0) {
        rc = segments_append(&s->segments, next.sequence, next.digest, buf_slice(&s->block), last_resort, &place, err);
    }
    if (rc != 0) {
        return rc;
    }
    STOP_POINT("spool_before_head");
    next.segment = place.segment;
    next.offset = place.offset;
    s->pending = next;
    return commit(s, d, err);
}

int spool_journal_begin(struct spool *s, const struct draft *identity, struct pofr_err *err)
{
    const struct spool_head *before = s->pending.sequence != 0 ? &s->pending : &s->chain.head;
    struct spool_begin b = { .sequence = before->sequence + 1, .boot = identity->boot };

    memcpy(b.previous, before->digest, sizeof(b.previous));
    memcpy(b.run, identity->run, sizeof(b.run));
    memcpy(b.hash_key, identity->hash_key, sizeof(b.hash_key));
    b.lost_len = identity->lost_len;
    memcpy(b.lost, identity->lost, sizeof(b.lost));
    return journal_begin(&s->journal, &b, err);
}

int spool_journal_tick(struct spool *s, struct slice records, struct pofr_err *err)
{
    return journal_tick(&s->journal, records, err);
}

static int check_digest(struct spool *s, uint64_t sequence, const uint8_t digest[32], struct buf *block,
                        struct pofr_err *err)
{
    struct spool_entry e;
    int rc = segments_read(&s->segments, sequence, &e, block, err);

    if (rc == 0 && memcmp(e.digest, digest, 32) != 0) {
        rc = pofr_err_set(err, POFR_ECONFLICT, "bundle %llu has another digest", (unsigned long long)sequence);
    }
    return rc;
}

int spool_acked(struct spool *s, uint64_t sequence, const uint8_t digest[32], struct pofr_err *err)
{
    int rc = sequence <= s->acked_seen ? 0 : check_digest(s, sequence, digest, NULL, err);

    if (rc == 0 && sequence > s->acked_seen) {
        s->acked_seen = sequence;
        segments_acked(&s->segments, acked_with(s, s->refused, s->refused_len));
    }
    return rc;
}

int spool_refused(struct spool *s, uint64_t sequence, const uint8_t digest[32], uint64_t *out_records,
                  struct pofr_err *err)
{
    struct buf block = BUF_INIT(BUNDLE_MAX);
    struct bundle_view v;
    uint64_t dropped = 0;
    unsigned at = s->refused_len;
    int rc;

    for (unsigned i = 0; i < s->refused_len; i++) {
        if (s->refused[i].sequence == sequence) {
            return pofr_err_set(err, POFR_EEXISTS, "bundle %llu", (unsigned long long)sequence);
        }
    }
    if (sequence <= s->chain.head.acked) {
        return pofr_err_set(err, POFR_EEXISTS, "bundle %llu", (unsigned long long)sequence);
    }
    if (s->refused_len == pofr_countof(s->refused)) {
        return pofr_err_set(err, POFR_EFULL, "too many refused bundles wait for their gap records");
    }
    rc = check_digest(s, sequence, digest, &block, err);
    if (rc == POFR_EFORMAT) { /* it is rotten: the gateway was right, and there is nothing to keep */
        buf_reset(&block);
        rc = 0;
    }
    if (rc == 0 && block.len > 0) {
        rc = refused_keep(s->dir, sequence, buf_slice(&block), s->conf.refused_limit, &dropped, err);
    }
    if (rc == 0) {
        *out_records =
            block.len > 0 && bundle_open(buf_slice(&block), &v, NULL) == 0 ? statement_records(&v.statement) : 0;
        s->chain.head.refused_bytes_dropped += dropped;
        for (; at > 0 && s->refused[at - 1].sequence > sequence; at--) {
            s->refused[at] = s->refused[at - 1];
        }
        s->refused[at] = (struct spool_refusal){ .sequence = sequence };
        s->refused_len++;
    }
    buf_free(&block);
    return rc;
}
