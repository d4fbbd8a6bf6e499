/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NAMES  Each first_seen that the slot's intervals were given is an interval of its own, but that a run that had lost its
 *        state names anew what it finds: a name that was given unseen continues the one before it, if that was not over
 *        and is of the same identity and attributes.
 * OVER   What was ended by its END was over then. Else it was over at the first look that did not show it after the newest
 *        that did, or where the next name begins, or with its boot; it then ended at the last look that still showed it.
 *
 * PARTS  A look may fill several bundles. While its later ones are missing it is taken to have shown whatever the others do not
 *        end; what comes then is right: a name, or a look that shows nothing, at that look or before it.
 *
 * STRIPPED  The END of a process may lack the arguments that its START told (stripped.h): what a START or a SIGHT says of the
 *        attributes counts, whatever came first.
 *
 * WHY ANY ORDER GIVES THE SAME  Facts are only ever added. Between the newest look that showed a thing and its inferred end
 *        there is no gap in what is stored, so nothing can be learned later of that time, and the end may stand for the look.
 */
#include "workers/timeline.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "workers/stripped.h"

void timeline_init(struct timeline *t, struct arena *arena)
{
    memset(t, 0, sizeof(*t));
    t->arena = arena;
}

void timeline_free(struct timeline *t)
{
    free(t->names);
    free(t->nones);
    free(t->rows);
    timeline_init(t, NULL);
}

void timeline_reset(struct timeline *t)
{
    t->names_count = t->nones_count = t->rows_count = 0;
    t->err = 0;
}

/* Room for one more in a list; NULL: t->err says why. */
static void *grown(struct timeline *t, void *list, size_t count, size_t *room, size_t size)
{
    size_t more = *room ? *room * 2 : 16;
    void *new;

    if (t->err || count < *room) {
        return t->err ? NULL : list;
    }
    new = count < TIMELINE_MAX ? reallocarray(list, more, size) : NULL;
    if (!new) {
        t->err = count < TIMELINE_MAX ? POFR_ENOMEM : POFR_EFULL;
        return NULL;
    }
    *room = more;
    return new;
}

void timeline_add(struct timeline *t, const struct timeline_name *n)
{
    struct timeline_name *list = grown(t, t->names, t->names_count, &t->names_room, sizeof(*list));

    if (list) {
        t->names = list;
        list[t->names_count++] = *n;
    }
}

void timeline_add_none(struct timeline *t, const struct timeline_none *n)
{
    struct timeline_none *list = grown(t, t->nones, t->nones_count, &t->nones_room, sizeof(*list));

    if (list) {
        t->nones = list;
        list[t->nones_count++] = *n;
    }
}

uint64_t timeline_last_look(const struct blind *blinds, size_t n, uint64_t shown, uint64_t limit)
{
    uint64_t look = limit;

    for (size_t i = 0; i < n; i++) {
        if (blinds[i].from >= shown && blinds[i].from < look && blinds[i].from < blinds[i].to) {
            look = blinds[i].from;
        }
    }
    return look > shown ? look : shown;
}

/* --- facts in their order ------------------------------------------------------------------------------------- */

static int by_name(const void *pa, const void *pb)
{
    const struct timeline_name *a = pa, *b = pb;

    if (a->name != b->name) {
        return a->name < b->name ? -1 : 1;
    }
    return (a->stored < b->stored) - (a->stored > b->stored); /* what is stored first */
}

static int by_moment(const void *pa, const void *pb)
{
    const struct timeline_none *a = pa, *b = pb;

    if (a->at != b->at) {
        return a->at < b->at ? -1 : 1;
    }
    return (a->before < b->before) - (a->before > b->before); /* known before unknown */
}

static uint64_t newer(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* What another mention of the same name adds. */
static void unite(struct timeline_name *n, const struct timeline_name *more)
{
    n->shown = newer(n->shown, more->shown);
    n->hash = n->hash && !(n->seen && (more->begin || more->sight)) ? n->hash : more->hash;
    n->begin = n->begin ? n->begin : more->begin;
    n->sight = more->sight ? more->sight : n->sight;
    n->over = n->over ? n->over : more->over; /* only a stored row knows it */
    n->over_before = n->over_before ? n->over_before : more->over_before;
    n->stored = n->stored >= 0 ? n->stored : more->stored;
    if (!n->seen && more->seen) { /* of two ends the one that is stored: the host contradicts itself */
        n->seen = true;
        n->ended = more->ended;
        n->last = more->last;
        n->source = more->source;
        n->end = more->end;
    }
}

static void sort_facts(struct timeline *t)
{
    size_t kept = 0;

    if (t->names_count > 1) {
        qsort(t->names, t->names_count, sizeof(*t->names), by_name);
    }
    for (size_t i = 0; i < t->names_count; i++) {
        if (kept > 0 && t->names[kept - 1].name == t->names[i].name) {
            unite(&t->names[kept - 1], &t->names[i]);
        } else {
            t->names[kept++] = t->names[i];
        }
    }
    t->names_count = kept;
    if (t->nones_count > 1) {
        qsort(t->nones, t->nones_count, sizeof(*t->nones), by_moment);
    }
}

/* --- the fold ------------------------------------------------------------------------------------------------- */

/*
 * The first look that did not show a name any more, up to the next name; false: none. One look never does both; but what
 * began at it may be told after it (a socket that nobody owns), so that its keyframe could not show it.
 */
static bool first_none(const struct timeline *t, const struct timeline_name *n, uint64_t next,
                       struct timeline_none *out)
{
    bool known = n->over > n->shown && n->over <= next;

    *out = (struct timeline_none){ .at = n->over, .before = n->over_before, .over = n->over };
    for (size_t i = 0; i < t->nones_count; i++) {
        if (t->nones[i].at >= n->shown && t->nones[i].at > n->name && t->nones[i].at <= next) {
            if (!known || t->nones[i].at <= n->over) {
                *out = t->nones[i];
            }
            return true;
        }
    }
    return known;
}

static uint64_t next_name(const struct timeline *t, size_t i)
{
    return i + 1 < t->names_count ? t->names[i + 1].name : ROW_OPEN;
}

static bool goes_on(const struct timeline *t, size_t i)
{
    struct timeline_name n = t->names[i];
    const struct timeline_name *next = &t->names[i] + 1;
    struct timeline_none none;

    if (i + 1 >= t->names_count || !next->unseen || n.seen || n.hash == 0 || n.hash != next->hash) {
        return false;
    }
    if (n.over == next->name) { /* because of that name alone, when less was known of it: an END without arguments */
        n.over = 0;
    }
    return !first_none(t, &n, next->name, &none);
}

static void infer(struct row *row, const struct timeline_frame *f, uint64_t shown, uint64_t limit)
{
    row->ended = row->last = timeline_last_look(f->blinds, f->blinds_count, shown, limit);
    row->source = ROW_SOURCE_UNKNOWN;
    row->inferred = true;
}

/* How the last name of a row ended. */
static void end_row(const struct timeline *t, const struct timeline_frame *f, size_t i, struct row *row)
{
    const struct timeline_name *n = &t->names[i];
    uint64_t next = next_name(t, i);
    struct timeline_none none;

    if (n->seen) {
        row->ended = n->ended;
        row->last = n->last;
        row->source = n->source;
    } else if (first_none(t, n, next, &none)) {
        infer(row, f, n->shown < none.at ? n->shown : newer(none.before, n->name), none.before);
        row->before = none.over;
    } else if (next != ROW_OPEN) {
        infer(row, f, n->shown < next ? n->shown : next, next);
        row->before = next;
    } else if (f->over != ROW_SOURCE_OPEN) {
        infer(row, f, n->shown, f->newest);
        row->source = f->over;
    }
}

/* Names first to last -> a row. */
static void add_row(struct timeline *t, const struct timeline_frame *f, size_t first, size_t last)
{
    struct timeline_row *list = grown(t, t->rows, t->rows_count, &t->rows_room, sizeof(*list));
    const struct timeline_name *a = &t->names[first], *z = &t->names[last];
    struct timeline_row r = { .row = { .first = a->name, .last = a->name, .ended = ROW_OPEN, .unseen = a->unseen },
                              .stored = -1 };
    size_t more = last - first;

    if (!list) {
        return;
    }
    t->rows = list;
    if (more > 0) {
        size_t skip = more > ROW_NAMES_MAX ? more - ROW_NAMES_MAX : 0;
        uint64_t *names = arena_array(t->arena, more - skip, sizeof(*names));

        if (!names) {
            t->err = t->arena->err;
            return;
        }
        for (size_t i = 0; i < more - skip; i++) {
            names[i] = a[1 + skip + i].name;
        }
        r.row.names = names;
        r.row.names_count = (unsigned)(more - skip);
    }
    for (const struct timeline_name *n = a; n <= z; n++) {
        r.row.hash = r.row.hash ? r.row.hash : n->hash;
        r.stored = n->stored >= 0 ? n->stored : r.stored; /* the one that may hold what an END told */
        r.any = n->end ? n->end : n->begin ? n->begin : n->sight ? n->sight : r.any;
    }
    r.begin = a->begin;
    r.first = a->begin ? a->begin : a->sight ? a->sight : a->end;
    r.end = z->end;
    r.told = z->begin ? z->begin : z->sight;
    end_row(t, f, last, &r.row);
    r.row.hash = row_keeps_hash(&r.row) ? r.row.hash : 0;
    t->rows[t->rows_count++] = r;
}

int timeline_fold(struct timeline *t, const struct timeline_frame *f)
{
    t->rows_count = 0;
    if (t->err == 0) {
        sort_facts(t);
    }
    for (size_t i = 0, first = 0; i < t->names_count && t->err == 0; i++) {
        if (!goes_on(t, i)) {
            add_row(t, f, first, i);
            first = i + 1;
        }
    }
    return t->err;
}

bool timeline_is_heir(const struct timeline *t, size_t i)
{
    const struct timeline_row *r = t->rows;
    size_t last = i;

    for (size_t k = 0; k < t->rows_count; k++) {
        if (r[k].stored != r[i].stored) {
            continue;
        }
        if (r[k].end && stripped_is(r[k].end)) {
            return k == i;
        }
        last = k > last ? k : last;
    }
    return last == i;
}
