/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/collect/pack.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/os/log.h"

#define HELD_BACK 256 /* records: about 130 KB while a tick is made */

struct pack {
    struct pack_conf conf;
    struct rec_encoder *encoder;
    struct draft draft; /* of the open bundle, but payload and counts */
    bool open;          /* it has a tick */
    size_t journaled;   /* bytes of it */
    bool journal_begun;
    struct rec_tick tick; /* the one that is being made */
    bool tick_written;
    struct record *held;
    unsigned held_len;
    unsigned keyframe; /* in the open bundle */
    struct pack_loss loss;
    struct pack_figures figures;
};

int pack_new(const struct pack_conf *conf, struct pack **out_pack)
{
    struct pack *p = calloc(1, sizeof(*p));
    int rc = p != NULL ? rec_encoder_new(&p->encoder) : POFR_ENOMEM;

    if (rc != 0) {
        free(p);
        return rc;
    }
    p->conf = *conf;
    p->held = calloc(HELD_BACK, sizeof(*p->held));
    if (p->held == NULL) {
        pack_free(p);
        return POFR_ENOMEM;
    }
    *out_pack = p;
    return 0;
}

void pack_free(struct pack *p)
{
    if (p != NULL) {
        rec_encoder_free(p->encoder);
        free(p->held);
        free(p);
    }
}

void pack_limits(struct pack *p, uint64_t close_bytes, uint64_t close_us)
{
    p->conf.close_bytes = close_bytes;
    p->conf.close_us = close_us;
}

static void identity(struct pack *p)
{
    struct draft *d = &p->draft;

    memcpy(d->run, p->conf.run, sizeof(d->run));
    memcpy(d->hash_key, p->conf.hash_key, sizeof(d->hash_key));
    d->boot = p->conf.boot;
}

/* The bundle is lost: what it would have told is told by the next one. */
static void lose(struct pack *p, struct draft *d)
{
    uint64_t records = draft_records(d);

    if (p->loss.records == 0) {
        p->loss.from_boot_us = d->from_boot_us;
    }
    p->loss.records += records > 0 ? records : 1;
    p->loss.to_boot_us = d->to_boot_us;
    p->figures.lost_records += records;
    draft_lost(&p->draft, STATEMENT_LOST_WRITER, records);
    for (unsigned i = 0; i < d->lost_len; i++) {
        draft_lost(&p->draft, (enum statement_lost)d->lost[i].kind, d->lost[i].here);
    }
    if (p->conf.writer != NULL) {
        writer_notes_back(p->conf.writer, d);
    }
    draft_free(d);
}

int pack_close(struct pack *p)
{
    struct slice payload = rec_encoder_payload(p->encoder);
    struct draft *d;
    bool taken;

    if (!p->open) {
        return 0;
    }
    d = draft_new();
    if (d == NULL) {
        return POFR_ENOMEM;
    }
    identity(p);
    *d = p->draft;
    d->keyframe = p->keyframe;
    d->payload = malloc(payload.len);
    if (d->payload == NULL) {
        draft_free(d);
        return POFR_ENOMEM;
    }
    memcpy(d->payload, payload.data, payload.len);
    d->payload_len = payload.len;
    draft_count(d, p->encoder);
    rec_encoder_reset(p->encoder);
    p->draft = (struct draft){ 0 };
    p->open = p->journal_begun = false;
    p->journaled = 0;
    p->keyframe = 0;
    p->figures.bundles++;
    taken = p->conf.writer != NULL ? writer_seal(p->conf.writer, d) : p->conf.sink(p->conf.ctx, d);
    if (!taken) {
        lose(p, d);
    }
    return 0;
}

/* The tick's own record, in front of the first of its records in this bundle. */
static int write_tick(struct pack *p)
{
    struct record r = { .kind = REC_TICK, .tick = p->tick };
    int rc = rec_put(p->encoder, &r);

    if (rc != 0) {
        return rc;
    }
    if (!p->open) {
        p->draft.from_boot_us = p->tick.boot_us;
        p->draft.from_wall_us = p->tick.wall_us;
    }
    p->draft.to_boot_us = p->tick.boot_us;
    p->draft.to_wall_us = p->tick.wall_us;
    p->draft.ticks++;
    p->open = true;
    p->tick_written = true;
    return 0;
}

/* Large enough to be closed. */
static bool is_full(const struct pack *p)
{
    return rec_encoder_bytes(p->encoder) >= p->conf.close_bytes || rec_encoder_text(p->encoder) >= REC_CLOSE_TEXT;
}

/* A bug, or a record beyond its limit: without it the rest is still true. */
static void unsound(struct pack *p, const struct record *r, int code)
{
    struct buf text = BUF_INIT(2 * REC_BODY_MAX);

    rec_print(r, &text);
    log_error("pack", "record_unsound", "kind=%s code=%s tick=%llu record=\"%.*s\"", rec_kind_name(r->kind),
              pofr_err_name(code), (unsigned long long)p->tick.boot_us, SLICE_FMT(buf_slice(&text)));
    buf_free(&text);
    p->figures.unsound++;
    pack_lost(p, STATEMENT_LOST_WRITER, 1);
}

static int put_now(struct pack *p, const struct record *r)
{
    int rc = p->tick_written ? 0 : write_tick(p);

    if (rc == 0) {
        rc = rec_put(p->encoder, r);
    }
    if (rc == POFR_EFORMAT || rc == POFR_ETOOBIG) {
        unsound(p, r, rc);
        return 0;
    }
    p->figures.records += rc == 0;
    if (rc == 0 && r->kind == REC_KEYFRAME) {
        p->keyframe = r->keyframe.last ? 2 : p->keyframe == 2 ? 2 : 1;
    }
    return rc;
}

static int reopen(struct pack *p)
{
    int rc = pack_close(p);

    p->tick_written = false; /* the next bundle begins with this tick again */
    return rc;
}

/* In a keyframe part nothing may come between: pack_part() has made room. */
static int put_and_close(struct pack *p, const struct record *r)
{
    int rc = put_now(p, r);

    return rc == 0 && r->verb != REC_SIGHT && r->kind != REC_KEYFRAME && is_full(p) ? reopen(p) : rc;
}

static int flush(struct pack *p)
{
    int rc = 0;

    for (unsigned i = 0; i < p->held_len && rc == 0; i++) {
        rc = put_and_close(p, &p->held[i]);
    }
    p->held_len = 0;
    return rc;
}

void pack_tick(struct pack *p, uint64_t boot_us, uint64_t wall_us, uint64_t skipped)
{
    p->tick =
        (struct rec_tick){ .boot_us = boot_us, .wall_us = wall_us, .skipped = skipped, .number = p->figures.ticks };
    p->tick_written = false;
    p->held_len = 0;
    p->figures.ticks++;
}

int pack_put(void *pack, const struct record *r)
{
    struct pack *p = pack;
    int rc = 0;

    if (!p->tick_written && p->held_len < HELD_BACK) {
        p->held[p->held_len++] = *r;
        return 0;
    }
    if (!p->tick_written) {
        rc = flush(p);
    }
    return rc != 0 ? rc : put_and_close(p, r);
}

int pack_part(struct pack *p, uint64_t bytes, uint64_t text)
{
    int rc = flush(p);

    if (rc == 0 && p->open && p->draft.ticks > 0 &&
        (rec_encoder_bytes(p->encoder) + bytes > p->conf.close_bytes ||
         rec_encoder_text(p->encoder) + text > REC_CLOSE_TEXT)) {
        rc = reopen(p);
    }
    return rc;
}

void pack_lost(struct pack *p, enum statement_lost source, uint64_t n)
{
    draft_lost(&p->draft, source, n);
}

void pack_note(struct pack *p, uint64_t sequence)
{
    if (p->draft.notes_len < DRAFT_NOTES_MAX) {
        p->draft.notes[p->draft.notes_len++] = sequence;
    }
}

static void journal(struct pack *p)
{
    struct slice payload = rec_encoder_payload(p->encoder);
    struct slice fresh = slice_sub(payload, p->journaled, SIZE_MAX);

    if (p->conf.writer == NULL || fresh.len == 0) {
        return;
    }
    identity(p);
    if (p->journaled > 0 && !p->journal_begun) {
        return; /* its first ticks did not fit into the queue: the rest would have no beginning */
    }
    p->journal_begun = writer_journal(p->conf.writer, p->journaled == 0 ? &p->draft : NULL, fresh);
    p->journaled = payload.len;
}

static bool is_due(const struct pack *p)
{
    return is_full(p) || p->tick.boot_us - p->draft.from_boot_us >= p->conf.close_us;
}

bool pack_due(const struct pack *p)
{
    return p->open && p->tick.boot_us - p->draft.from_boot_us >= p->conf.close_us;
}

int pack_tick_end(struct pack *p, uint64_t look_us)
{
    int rc;

    p->tick.look_us = look_us;
    rc = flush(p);
    if (rc == 0 && !p->tick_written) {
        rc = write_tick(p);
    }
    if (rc != 0) {
        return rc;
    }
    if (is_due(p)) {
        return pack_close(p);
    }
    journal(p);
    return 0;
}

bool pack_take_loss(struct pack *p, struct pack_loss *out)
{
    *out = p->loss;
    p->loss = (struct pack_loss){ 0 };
    return out->records > 0;
}

void pack_figures(const struct pack *p, struct pack_figures *out)
{
    *out = p->figures;
    out->bytes = rec_encoder_bytes(p->encoder);
}
