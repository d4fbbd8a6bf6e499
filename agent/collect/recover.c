/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CRASH   between two steps of spool_put(), and what is done here:
 *   entry written in part           torn: cut off; the journal still has its records
 *   entry written, head not         adopted: nobody saw it, but it is whole, signed and next in the chain
 *   head written, journal as before the journal's sequence is not the next one: it is old, and ignored
 *   journal written in part         its whole chunks are sealed as "recovered", of the run that wrote them
 *   head written, its sync failed   it may be there or not: either way what it names is (spool.c, pending)
 * A head that is there is believed, even where its bundle is gone or rotten: going back behind what may have been sent
 * would make a branch. A head that is lost is what the last whole bundle's statement says; only acks are forgotten (sent once more, and known
 * there by their digests).
 */
#include "agent/collect/recover.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/collect/seal.h"
#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/os/fsio.h"
#include "common/os/log.h"

#define PAYLOAD_MEMORY (2u * REC_PAYLOAD_MAX)

int recover_set_aside(const char *dir, const struct uuid *host, struct pofr_err *err)
{
    char to[PATH_MAX], uuid[UUID_TEXT_SIZE];

    if (snprintf(to, sizeof(to), "%s.%s", dir, uuid_format(host, uuid)) >= (int)sizeof(to)) {
        return pofr_err_set(err, POFR_ETOOBIG, "%s: path too long", dir);
    }
    log_warn("spool", "other_host", "moved_to=%s", to);
    if (rename(dir, to) != 0) {
        return pofr_err_sys(err, POFR_ESYSTEM, "%s: rename", dir);
    }
    return fsio_sync_parent(dir, err);
}

/* The sums' key of the bundle's boot, where it has a keyframe; else as it was, for the same boot. */
static void find_hash_key(const struct bundle_view *v, struct spool_head *next, const struct spool_head *before)
{
    struct draft d = { 0 };
    struct slice payload;
    struct arena arena;
    size_t len;

    arena_init(&arena, PAYLOAD_MEMORY);
    if (v->statement.keyframe != 0 && bundle_payload(v, &arena, &payload) == 0 && draft_read(&d, payload, &len) == 0) {
        memcpy(next->hash_key, d.hash_key, sizeof(next->hash_key));
    } else if (!uuid_eq(&next->boot, &before->boot)) {
        memset(next->hash_key, 0,
               sizeof(next->hash_key)); /* unknown: the rebuilt state brings it, or a new one is made */
    }
    arena_free(&arena);
}

/* Is block a bundle of ours, and the one after head (head NULL: any)? */
static bool is_ours(const struct spool *s, struct slice block, const struct spool_head *head, struct bundle_view *out)
{
    if (bundle_open(block, out, NULL) != 0 || !uuid_eq(&out->statement.host, &s->conf.host) ||
        bundle_verify(out, sshkey_public(s->conf.key)) != 0) {
        return false;
    }
    return head == NULL || (out->statement.sequence == head->sequence + 1 &&
                            memcmp(out->statement.previous, head->digest, sizeof(head->digest)) == 0);
}

/* --- head lost ------------------------------------------------------------------------------------------- */

static bool last_of_segment(struct spool *s, const struct segment *seg, struct buf *block, struct spool_head *out)
{
    struct spool_head zero = { 0 };
    struct spool_entry e;
    struct bundle_view v;
    uint64_t at = 0, end;
    bool found = false;

    while (segments_read_at(&s->segments, seg->first, at, &e, block, &end, NULL) == 0) {
        if (is_ours(s, buf_slice(block), NULL, &v)) {
            seal_head_of(&v, &zero, out);
            find_hash_key(&v, out, &zero);
            out->segment = seg->first;
            out->offset = end;
            found = true;
        }
        at = end;
    }
    return found;
}

static int rebuild_head(struct spool *s, struct spool_start *start, struct pofr_err *err)
{
    struct buf block = BUF_INIT(BUNDLE_MAX);
    struct spool_head head = { 0 };
    bool found = false;
    int rc = 0;

    for (size_t i = s->segments.len; i > 0 && !found; i--) {
        found = last_of_segment(s, &s->segments.list[i - 1], &block, &head);
    }
    buf_free(&block);
    if (!found) {
        start->past = s->segments.len > 0 || spool_is_marked(s) ? SPOOL_PAST_LOST : SPOOL_PAST_NONE;
        return 0;
    }
    log_warn("spool", "head_rebuilt", "sequence=%llu", (unsigned long long)head.sequence);
    start->past = SPOOL_PAST_REBUILT;
    head.generation = s->chain.head.generation;
    rc = chain_commit(&s->chain, &head, err);
    if (rc == 0) {
        struct segments_limits limits = s->segments.limits;

        segments_close(&s->segments); /* it reads the head for what counts in each segment */
        rc = segments_open(&s->segments, s->dir, &limits, &s->chain.head, err);
    }
    return rc;
}

/* --- behind the head ------------------------------------------------------------------------------------- */

static int adopt(struct spool *s, struct spool_start *start, struct pofr_err *err)
{
    struct buf block = BUF_INIT(BUNDLE_MAX);
    int rc = 0;

    while (rc == 0) {
        const struct spool_head *head = &s->chain.head;
        struct spool_head next;
        struct spool_entry e;
        struct bundle_view v;
        uint64_t segment = head->segment, end;

        if (head->sequence == 0 || segments_read_at(&s->segments, segment, head->offset, &e, &block, &end, NULL) != 0 ||
            !is_ours(s, buf_slice(&block), head, &v)) {
            segment = head->sequence + 1;
            if (segments_read_at(&s->segments, segment, 0, &e, &block, &end, NULL) != 0 ||
                !is_ours(s, buf_slice(&block), head, &v)) {
                break;
            }
        }
        seal_head_of(&v, head, &next);
        find_hash_key(&v, &next, head);
        next.segment = segment;
        next.offset = end;
        rc = segments_sync(&s->segments, segment, err);
        if (rc == 0) {
            rc = chain_commit(&s->chain, &next, err);
        }
        if (rc == 0) {
            segments_committed(&s->segments, segment, next.sequence);
            start->adopted++;
            log_info("spool", "adopted", "sequence=%llu", (unsigned long long)next.sequence);
        }
    }
    buf_free(&block);
    return rc;
}

/* --- journal --------------------------------------------------------------------------------------------- */

static int seal_journal(struct spool *s, const struct spool_begin *begin, struct slice payload,
                        struct spool_start *start, struct pofr_err *err)
{
    struct draft *d = draft_new();
    size_t len;
    int rc;

    if (d == NULL) {
        return pofr_err_set(err, POFR_ENOMEM, "recover");
    }
    rc = draft_read(d, payload, &len);
    if (rc == POFR_ENOTFOUND) {
        draft_free(d);
        return 0; /* begun, and not a tick in it */
    }
    memcpy(d->run, begin->run, sizeof(d->run));
    memcpy(d->hash_key, begin->hash_key, sizeof(d->hash_key));
    d->boot = begin->boot;
    d->recovered = true;
    for (uint64_t i = 0; i < begin->lost_len; i++) {
        draft_lost(d, (enum statement_lost)begin->lost[i].kind, begin->lost[i].here);
    }
    d->payload = malloc(len);
    if (d->payload == NULL) {
        draft_free(d);
        return pofr_err_set(err, POFR_ENOMEM, "recover");
    }
    memcpy(d->payload, payload.data, len);
    d->payload_len = len;
    rc = spool_put(s, d, false, err);
    if (rc == 0) {
        start->recovered = s->chain.head.sequence;
        log_info("spool", "recovered", "sequence=%llu ticks=%llu", (unsigned long long)start->recovered,
                 (unsigned long long)d->ticks);
    } else if (rc == POFR_EFULL) {
        start->recovered_lost = true;
        start->lost_records = draft_records(d);
        rc = 0;
    }
    draft_free(d);
    return rc;
}

static int read_journal(struct spool *s, struct spool_start *start, struct pofr_err *err)
{
    struct buf file = BUF_INIT(64u << 20), payload = BUF_INIT(REC_PAYLOAD_MAX);
    struct spool_begin begin;
    int rc = journal_read(&s->journal, &file, err);

    start->clean = s->chain.head.clean || !s->chain.found;
    if (rc == 0 && spool_journal_read(buf_slice(&file), &begin, &payload) == 0) {
        start->clean = false;
        if (begin.sequence == s->chain.head.sequence + 1 &&
            memcmp(begin.previous, s->chain.head.digest, sizeof(begin.previous)) == 0) {
            rc = seal_journal(s, &begin, buf_slice(&payload), start, err);
        }
    }
    buf_free(&file);
    buf_free(&payload);
    return rc != 0 ? rc : journal_clear(&s->journal, err);
}

int recover(struct spool *s, struct spool_start *out_start, struct pofr_err *err)
{
    int rc = 0;

    out_start->past = SPOOL_PAST_FOUND;
    if (!s->chain.found) {
        rc = rebuild_head(s, out_start, err);
    }
    s->past = out_start->past;
    s->acked_seen = s->chain.head.acked;
    if (rc == 0) {
        rc = adopt(s, out_start, err);
    }
    if (rc == 0) {
        segments_trim(&s->segments, &s->chain.head);
        rc = read_journal(s, out_start, err);
    }
    return rc;
}
