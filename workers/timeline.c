/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * WHO IS WHO  A mention names an interval by its first_seen. It means the open row if that has the name, or got it:
 *             a run that had lost its state names anew what it finds (start_unseen), and what is of the same
 *             identity and attributes is then the same thing.
 * OVER        An open row that is not ended by its END is over when another interval of the slot is mentioned, a keyframe
 *             does not show it, or the boot is over. It then ended at the last look that still showed it.
 * SEEN        What was ended by its END stays so: later mentions of it are ignored.
 */
#include "workers/timeline.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"

void timeline_init(struct timeline *t)
{
    memset(t, 0, sizeof(*t));
}

void timeline_free(struct timeline *t)
{
    free(t->mentions);
    free(t->rows);
    timeline_init(t);
}

void timeline_reset(struct timeline *t)
{
    t->count = t->rows_count = 0;
    t->err = 0;
}

static bool grown(struct timeline *t, void **list, size_t count, size_t *room, size_t size)
{
    size_t more = *room ? *room * 2 : 16;
    void *new;

    if (t->err) {
        return false;
    }
    if (count < *room) {
        return true;
    }
    if (count >= TIMELINE_MAX) {
        t->err = POFR_EFULL;
        return false;
    }
    new = reallocarray(*list, more, size);
    if (!new) {
        t->err = POFR_ENOMEM;
        return false;
    }
    *list = new;
    *room = more;
    return true;
}

void timeline_add(struct timeline *t, const struct mention *m)
{
    void *list = t->mentions;

    if (grown(t, &list, t->count, &t->room, sizeof(*t->mentions))) {
        t->mentions = list;
        t->mentions[t->count++] = *m;
    }
}

uint64_t timeline_last_look(const struct blind *blinds, size_t n, uint64_t from, uint64_t limit)
{
    uint64_t look = limit;

    for (size_t i = 0; i < n; i++) {
        if (blinds[i].from >= from && blinds[i].from < look) {
            look = blinds[i].from;
        }
    }
    return look > from ? look : from;
}

static int compare(const void *pa, const void *pb)
{
    const struct mention *a = pa, *b = pb;

    if (a->at != b->at) {
        return a->at < b->at ? -1 : 1;
    }
    if (a->kind != b->kind) {
        /* an interval that ends at the moment of its beginning begins first */
        if (a->kind + b->kind == MENTION_END + MENTION_START && a->name == b->name) {
            return a->kind == MENTION_START ? -1 : 1;
        }
        return a->kind < b->kind ? -1 : 1;
    }
    if (a->name != b->name) {
        return a->name < b->name ? -1 : 1;
    }
    return (a->row < b->row) - (a->row > b->row); /* stored rows first: a record then only confirms */
}

/* --- the fold -------------------------------------------------------------------------------------------- */

struct fold {
    struct timeline *t;
    const struct blind *blinds;
    size_t n;
    uint64_t newest;
    int open;       /* index in t->rows, -1: none */
    uint64_t alias; /* newest name of the open row, beside its first */
    uint64_t shown; /* newest mention of the open row */
    uint64_t told;  /* when it was first said */
};

static struct timeline_row *add_row(struct fold *f, const struct mention *m)
{
    struct timeline *t = f->t;
    void *list = t->rows;
    struct timeline_row *r;

    if (!grown(t, &list, t->rows_count, &t->rows_room, sizeof(*t->rows))) {
        return NULL;
    }
    t->rows = list;
    r = &t->rows[t->rows_count++];
    *r = (struct timeline_row){
        .row = { .first = m->name, .last = m->name, .ended = ROW_OPEN, .unseen = m->unseen, .hash = m->hash },
        .record = m->record,
        .began = m->record,
        .stored = m->row
    };
    return r;
}

static struct timeline_row *open_row(const struct fold *f)
{
    return f->open >= 0 ? &f->t->rows[f->open] : NULL;
}

/* Does m mean the open row? */
static bool means(const struct fold *f, const struct timeline_row *open, const struct mention *m)
{
    if (open->row.first == m->name || f->alias == m->name) {
        return true;
    }
    return m->unseen && open->row.first < m->name &&
           ((m->row >= 0 && m->row == open->stored) || (m->hash != 0 && m->hash == open->row.hash));
}

/* A row of that name that ended by its END. */
static struct timeline_row *closed_row(const struct fold *f, uint64_t name)
{
    for (size_t i = f->t->rows_count; i > 0; i--) {
        struct timeline_row *r = &f->t->rows[i - 1];

        if (r->row.first == name && r->row.ended != ROW_OPEN) {
            return r;
        }
    }
    return NULL;
}

/* limit: the look before the one that no longer showed it */
static void infer_end(struct fold *f, uint64_t limit, uint64_t before, enum row_source source)
{
    struct row *row = &open_row(f)->row;
    uint64_t look = timeline_last_look(f->blinds, f->n, f->shown, limit);

    row->ended = row->last = look;
    row->before = before;
    row->source = source;
    row->inferred = true;
    f->open = -1;
}

/* Another interval of the slot is mentioned: the open one is over. How it ended nobody saw. */
static void displace(struct fold *f, const struct mention *m)
{
    infer_end(f, m->name, m->name, ROW_SOURCE_UNKNOWN);
}

/* The mention is of the open row, which may have come from elsewhere. */
static void join(struct fold *f, const struct mention *m)
{
    struct timeline_row *open = open_row(f);

    if (m->name != open->row.first) {
        f->alias = m->name;
        open->row.renamed = m->name;
    }
    if (open->stored < 0) {
        open->stored = m->row; /* a late record goes before a row that is there: the row moves back */
    }
    if (open->row.hash == 0) {
        open->row.hash = m->hash;
    }
    f->shown = m->at > f->shown ? m->at : f->shown;
}

static void fold_beginning(struct fold *f, const struct mention *m)
{
    struct timeline_row *open = open_row(f);
    struct timeline_row *closed;

    if (open && means(f, open, m)) {
        join(f, m);
        return;
    }
    closed = closed_row(f, m->name);
    if (closed && !closed->row.inferred) {
        return;
    }
    if (closed && closed == &f->t->rows[f->t->rows_count - 1]) { /* shown again: an inferred end gives way */
        closed->row.ended = ROW_OPEN;
        closed->row.inferred = false;
        closed->row.before = 0;
        closed->row.source = ROW_SOURCE_OPEN;
        f->open = (int)f->t->rows_count - 1;
        join(f, m);
        return;
    }
    if (open && open->row.first > m->name) {
        return; /* of one that began before it: the host contradicts itself */
    }
    if (open) {
        displace(f, m);
    }
    if (!add_row(f, m)) {
        return;
    }
    f->open = (int)f->t->rows_count - 1;
    f->alias = m->name;
    f->shown = m->at;
    f->told = m->told;
}

static void see_end(struct timeline_row *r, const struct mention *m)
{
    r->row.ended = m->ended;
    r->row.last = m->last;
    r->row.source = m->source;
    r->row.inferred = false;
    r->row.before = 0;
    if (m->record) {
        r->record = m->record;
    }
    if (r->row.hash == 0) {
        r->row.hash = m->hash;
    }
    if (r->stored < 0) {
        r->stored = m->row;
    }
}

static void fold_end(struct fold *f, const struct mention *m)
{
    struct timeline_row *open = open_row(f);
    struct timeline_row *closed;

    if (open && means(f, open, m)) {
        if (m->name != open->row.first) {
            open->row.renamed = m->name;
        }
        see_end(open, m);
        f->open = -1;
        return;
    }
    closed = closed_row(f, m->name);
    if (closed) {
        if (closed->row.inferred) {
            see_end(closed, m);
        }
        return;
    }
    if (open && open->row.first < m->name) {
        displace(f, m);
    }
    closed = add_row(f, m);
    if (closed) {
        see_end(closed, m);
    }
}

static void fold_one(struct fold *f, const struct mention *m)
{
    const struct timeline_row *open = open_row(f);

    switch (m->kind) {
    case MENTION_START:
    case MENTION_SIGHT:
        fold_beginning(f, m);
        break;
    case MENTION_END:
        fold_end(f, m);
        break;
    case MENTION_NONE:
        if (open && open->row.first < m->at && f->told <= m->at) {
            infer_end(f, m->before ? m->before : m->at, m->over, ROW_SOURCE_UNKNOWN);
        }
        break;
    case MENTION_GONE:
        if (open) {
            infer_end(f, f->newest, 0, m->source);
        }
        break;
    }
}

int timeline_fold(struct timeline *t, const struct blind *blinds, size_t n, uint64_t newest)
{
    struct fold f = { .t = t, .blinds = blinds, .n = n, .newest = newest, .open = -1 };

    if (t->count > 1) {
        qsort(t->mentions, t->count, sizeof(*t->mentions), compare);
    }
    t->rows_count = 0;
    for (size_t i = 0; i < t->count && t->err == 0; i++) {
        fold_one(&f, &t->mentions[i]);
    }
    for (size_t i = 0; i < t->rows_count; i++) {
        if (!row_keeps_hash(&t->rows[i].row)) {
            t->rows[i].row.hash = 0;
        }
    }
    return t->err;
}
