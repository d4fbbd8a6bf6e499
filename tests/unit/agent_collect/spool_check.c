/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool_check.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/spool/format.h"
#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/evidence/bundle.h"
#include "common/os/fsio.h"

#define FILE_MAX (1u << 30)

struct check {
    struct spool_report *out;
    const uint8_t *key;
    bool expect;
    FILE *dump; /* each record as text; or NULL */
    struct spool_head head;
    struct statement before;
    uint8_t before_digest[32];
    bool any, whole; /* whole: the snapshot holds a whole keyframe of this boot, and everything since */
    uint8_t hash_key[16];
    uint64_t tick_us;
};

static bool fail(struct check *c, const char *what, uint64_t n)
{
    snprintf(c->out->problem, sizeof(c->out->problem), "bundle %llu: %s", (unsigned long long)n, what);
    return false;
}

static bool totals_rise(const struct statement_count *a, unsigned a_len, const struct statement_count *b,
                        unsigned b_len)
{
    for (unsigned i = 0; i < b_len; i++) {
        uint64_t before = 0;

        for (unsigned k = 0; k < a_len; k++) {
            before = a[k].kind == b[i].kind ? a[k].total : before;
        }
        if (before + b[i].here != b[i].total) {
            return false;
        }
    }
    return b_len >= a_len;
}

static bool check_statement(struct check *c, const struct bundle_view *v)
{
    const struct statement *s = &v->statement, *b = &c->before;

    if (bundle_verify(v, c->key) != 0) {
        return fail(c, "signature", s->sequence);
    }
    if (c->any) {
        if (s->sequence != b->sequence + 1 || memcmp(s->previous, c->before_digest, 32) != 0) {
            return fail(c, "does not follow the one before", s->sequence);
        }
        if (s->ticks_total != b->ticks_total + s->ticks ||
            !totals_rise(b->counts, b->counts_len, s->counts, s->counts_len) ||
            !totals_rise(b->lost, b->lost_len, s->lost, s->lost_len)) {
            return fail(c, "totals", s->sequence);
        }
        if ((s->origin == STATEMENT_CONTINUES) != (memcmp(s->run, b->run, 16) == 0) &&
            s->origin != STATEMENT_RECOVERED) {
            return fail(c, "origin and run", s->sequence);
        }
        if (uuid_eq(&s->boot, &b->boot) && s->from_boot_us < b->to_boot_us) {
            return fail(c, "begins before the last one ended", s->sequence);
        }
    }
    c->out->runs += !c->any || memcmp(s->run, b->run, 16) != 0;
    c->out->recovered += s->origin == STATEMENT_RECOVERED;
    c->out->lost_total = 0;
    for (unsigned i = 0; i < s->lost_len; i++) {
        c->out->lost_total += s->lost[i].total;
    }
    return true;
}

static bool other_sum(struct check *c, unsigned low, unsigned high, uint64_t count, uint64_t digest)
{
    for (unsigned e = low; e <= high; e++) {
        count -= snapshot_count(c->out->snapshot, e);
        digest -= snapshot_digest(c->out->snapshot, e, c->hash_key);
    }
    return count != 0 || digest != 0;
}

static void check_sums(struct check *c, const struct rec_keyframe *k)
{
    uint64_t facts = 0;

    for (unsigned e = REC_USER; e <= REC_LOGIN; e++) {
        facts += snapshot_count(c->out->snapshot, e);
    }
    snprintf(c->out->sums, sizeof(c->out->sums), "tick %llu: told %llu %llu %llu %llu, open %zu %zu %zu %llu",
             (unsigned long long)c->tick_us, (unsigned long long)k->process_count, (unsigned long long)k->file_count,
             (unsigned long long)k->socket_count, (unsigned long long)k->fact_count,
             snapshot_count(c->out->snapshot, REC_PROCESS), snapshot_count(c->out->snapshot, REC_FILE),
             snapshot_count(c->out->snapshot, REC_SOCKET), (unsigned long long)facts);
    if (other_sum(c, REC_PROCESS, REC_PROCESS, k->process_count, k->process_digest) ||
        other_sum(c, REC_FILE, REC_FILE, k->file_count, k->file_digest) ||
        other_sum(c, REC_SOCKET, REC_SOCKET, k->socket_count, k->socket_digest) ||
        other_sum(c, REC_USER, REC_LOGIN, k->fact_count, k->fact_digest)) {
        c->out->sum_errors++;
        c->whole = false; /* this keyframe heals it: the next one is judged anew */
        memcpy(c->out->bad_sums, c->out->sums, sizeof(c->out->bad_sums));
    }
}

static void contradiction(struct check *c, const struct record *r)
{
    struct buf text = BUF_INIT(65536);

    c->out->snapshot_errors++;
    if (c->expect && c->out->problem[0] == '\0') {
        rec_print(r, &text);
        snprintf(c->out->problem, sizeof(c->out->problem), "contradicts: %s %.200s", rec_kind_name(r->kind),
                 buf_cstr(&text));
    }
    buf_free(&text);
}

static void dump_record(struct check *c, const struct record *r)
{
    struct buf text = BUF_INIT(2 * REC_BODY_MAX);

    rec_print(r, &text);
    (void)fprintf(c->dump, "%llu %llu %s\n", (unsigned long long)c->before.sequence + 1, (unsigned long long)c->tick_us,
                  buf_cstr(&text));
    buf_free(&text);
}

static bool take_record(struct check *c, const struct record *r)
{
    if (c->dump != NULL) {
        dump_record(c, r);
    }
    if (r->kind == REC_TICK) {
        c->out->ticks += r->tick.boot_us != c->tick_us;
        c->tick_us = r->tick.boot_us;
    }
    c->out->gaps += r->kind == REC_GAP;
    if (r->kind == REC_FINDING && slice_eq_str(r->finding.kind, "state_lost")) {
        c->out->states_lost += c->whole; /* before the first whole keyframe there is none to lose */
        c->whole = false;
    }
    if (r->kind == REC_GAP && (r->gap.kind == REC_GAP_SPOOL || r->gap.kind == REC_GAP_WRITER)) {
        c->whole = false;
    }
    if (r->kind == REC_KEYFRAME) {
        c->out->keyframes += r->keyframe.last != 0;
        memcpy(c->hash_key, r->keyframe.hash_key.data, 16);
        if (c->whole && r->keyframe.part == 0) {
            check_sums(c, &r->keyframe);
        }
    }
    snapshot_strict(c->out->snapshot, c->whole);
    if (snapshot_apply(c->out->snapshot, r) != 0) {
        contradiction(c, r);
        return !c->expect;
    }
    if (r->kind == REC_KEYFRAME && r->keyframe.last) {
        c->whole = true;
    }
    return true;
}

static bool take_bundle(struct check *c, struct slice block)
{
    struct bundle_view v;
    struct rec_decoder d;
    struct slice payload;
    struct record r;
    struct arena arena;
    uint64_t counted = 0;
    int rc;

    if (bundle_open(block, &v, NULL) != 0) {
        return fail(c, "the one behind can't be opened", c->out->last);
    }
    if (!check_statement(c, &v)) {
        return false;
    }
    if (!c->any || !uuid_eq(&c->before.boot, &v.statement.boot)) {
        snapshot_free(c->out->snapshot);
        c->out->snapshot = NULL;
        c->whole = false;
        if (snapshot_new(&c->out->snapshot) != 0) {
            return fail(c, "memory", v.statement.sequence);
        }
    }
    arena_init(&arena, 64u << 20);
    rc = bundle_payload(&v, &arena, &payload);
    if (rc == 0) {
        rec_decoder_init(&d, payload, &arena);
    }
    while (rc == 0 && (rc = rec_next(&d, &r)) == 1) {
        counted += r.kind != REC_TICK && r.kind != REC_KEYFRAME;
        c->out->records++;
        rc = take_record(c, &r) ? 0 : POFR_ECONFLICT;
    }
    arena_free(&arena);
    if (rc != 0) {
        return c->out->problem[0] != '\0' ? false : fail(c, "records", v.statement.sequence);
    }
    if (counted != statement_records(&v.statement)) {
        return fail(c, "counts", v.statement.sequence);
    }
    c->before = v.statement;
    memcpy(c->before_digest, v.statement_digest, 32);
    c->out->first = c->any ? c->out->first : v.statement.sequence;
    c->out->last = v.statement.sequence;
    c->out->bundles++;
    c->any = true;
    return true;
}

static int seq_cmp(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static size_t list_segments(const char *dir, uint64_t *firsts, size_t max)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    size_t n = 0;

    while (d != NULL && n < max && (e = readdir(d)) != NULL) {
        n += spool_segment_name_parse(e->d_name, &firsts[n]);
    }
    if (d != NULL) {
        closedir(d);
    }
    qsort(firsts, n, sizeof(*firsts), seq_cmp);
    return n;
}

static bool take_segment(struct check *c, const char *dir, uint64_t first, uint64_t next)
{
    struct buf file = BUF_INIT(FILE_MAX);
    char path[4096], name[SPOOL_NAME_SIZE];
    struct spool_entry e;
    struct slice block, rest;
    size_t used;
    bool good = true;

    snprintf(path, sizeof(path), "%s/%s", dir, spool_segment_name(first, name));
    if (fsio_read(path, &file, NULL) != 0) {
        buf_free(&file);
        return fail(c, "its segment can't be read", first);
    }
    rest = buf_slice(&file);
    while (good && spool_entry_get(rest, &e, &block, &used) == 0 && e.sequence < next &&
           e.sequence <= c->head.sequence) {
        good = take_bundle(c, block);
        rest = slice_sub(rest, used, SIZE_MAX);
    }
    buf_free(&file);
    return good;
}

bool spool_check(const char *spool_dir, const uint8_t public_key[32], bool expect_snapshots, struct spool_report *out)
{
    return spool_check_dump(spool_dir, public_key, expect_snapshots, NULL, out);
}

bool spool_check_dump(const char *spool_dir, const uint8_t public_key[32], bool expect_snapshots, FILE *dump,
                      struct spool_report *out)
{
    static uint64_t firsts[65536];
    struct check c = { .out = out, .key = public_key, .expect = expect_snapshots, .dump = dump };
    struct buf file = BUF_INIT(SPOOL_HEAD_SIZE);
    char path[4096];
    unsigned slot;
    size_t n;
    bool head;

    memset(out, 0, sizeof(*out));
    snprintf(path, sizeof(path), "%s/%s", spool_dir, SPOOL_HEAD);
    head = fsio_read(path, &file, NULL) == 0 && spool_head_pick(buf_slice(&file), &c.head, &slot) == 0;
    buf_free(&file);
    if (!head) {
        return fail(&c, "no head", 0);
    }
    out->acked = c.head.acked;
    out->committed = c.head.sequence;
    n = list_segments(spool_dir, firsts, 65536);
    for (size_t i = 0; i < n; i++) {
        if (!take_segment(&c, spool_dir, firsts[i], i + 1 < n ? firsts[i + 1] : UINT64_MAX)) {
            return false;
        }
    }
    if (out->last != c.head.sequence || memcmp(c.before_digest, c.head.digest, 32) != 0) {
        return fail(&c, "is named by the head, and is not the last", c.head.sequence);
    }
    if (expect_snapshots && out->sum_errors > 0) {
        snprintf(out->problem, sizeof(out->problem), "%llu keyframes with other sums, %s",
                 (unsigned long long)out->sum_errors, out->bad_sums);
        return false;
    }
    return true;
}
