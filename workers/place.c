/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The usual case costs nothing: the bundle names the digest of its boot's newest statement. All else asks the ledger.
 *
 * WHICH BOOT  of several with the boot_id (a branch): that of its stored child, of its run, of its parent, in this order;
 *             where none of them is stored, the one whose newest sequence is closest below.
 * BRANCH      a stored sibling (same sequence, same predecessor, another digest), another statement of the same sequence
 *             in the boot that was found, or a predecessor other than the one that is stored there.
 */
#include "workers/place.h"

#include <string.h>

static bool same_digest(const uint8_t a[32], const uint8_t b[32])
{
    return memcmp(a, b, 32) == 0;
}

static struct host_boot *boot_of_number(const struct host *h, uint32_t number)
{
    for (struct host_boot *b = h->boots; b; b = b->next) {
        if (b->row.number == number) {
            return b;
        }
    }
    return NULL;
}

struct around { /* what the ledger holds next to the bundle */
    struct ledger_row *same, *before, *after;
    size_t same_count, before_count, after_count;
};

static int look_around(struct world *w, const struct host *h, const struct statement *st, struct around *a)
{
    int code = 0;

    memset(a, 0, sizeof(*a));
    if (st->sequence <= h->max_sequence) {
        code = world_ledger_at(w, h, st->sequence, &a->same, &a->same_count);
    }
    if (code == 0 && st->sequence < h->max_sequence) {
        code = world_ledger_at(w, h, st->sequence + 1, &a->after, &a->after_count);
    }
    if (code == 0 && st->sequence > 1) {
        code = world_ledger_at(w, h, st->sequence - 1, &a->before, &a->before_count);
    }
    return code;
}

static const struct ledger_row *stored(const struct around *a, const uint8_t digest[32])
{
    for (size_t i = 0; i < a->same_count; i++) {
        if (same_digest(a->same[i].digest, digest)) {
            return &a->same[i];
        }
    }
    return NULL;
}

static bool has_sibling(const struct around *a, const struct statement *st)
{
    for (size_t i = 0; i < a->same_count; i++) {
        if (same_digest(a->same[i].previous, st->previous)) {
            return true;
        }
    }
    return false;
}

/* A candidate: a boot of the bundle's boot_id. */
static struct host_boot *candidate(const struct host *h, uint32_t number, const struct uuid *boot_id)
{
    struct host_boot *b = boot_of_number(h, number);

    return b && uuid_eq(&b->boot_id, boot_id) ? b : NULL;
}

static struct host_boot *boot_of_child(const struct host *h, const struct around *a, const struct bundle_view *v)
{
    for (size_t i = 0; i < a->after_count; i++) {
        if (same_digest(a->after[i].previous, v->statement_digest)) {
            return candidate(h, a->after[i].boot, &v->statement.boot);
        }
    }
    return NULL;
}

static struct host_boot *boot_of_parent(const struct host *h, const struct around *a, const struct statement *st)
{
    for (size_t i = 0; i < a->before_count; i++) {
        if (same_digest(a->before[i].digest, st->previous)) {
            return candidate(h, a->before[i].boot, &st->boot);
        }
    }
    return NULL;
}

static int boot_of_run(struct world *w, const struct host *h, const struct statement *st, struct host_boot **out)
{
    struct run_row *runs = NULL;
    size_t n = 0;
    int code = world_runs_of_run(w, h, st->run, &runs, &n);

    *out = NULL;
    for (size_t i = 0; i < n; i++) {
        struct host_boot *b = candidate(h, runs[i].boot, &st->boot);

        if (b && (!*out || b->row.number > (*out)->row.number)) {
            *out = b; /* a run in two branches: its later part is in the newer one */
        }
    }
    return code;
}

static struct host_boot *closest_boot(const struct host *h, const struct statement *st)
{
    struct host_boot *best = NULL;

    for (struct host_boot *b = h->boots; b; b = b->next) {
        bool below = b->tip_sequence < st->sequence;

        if (!uuid_eq(&b->boot_id, &st->boot)) {
            continue;
        }
        if (!best || (below && (best->tip_sequence >= st->sequence || b->tip_sequence > best->tip_sequence))) {
            best = b;
        }
    }
    return best;
}

static uint32_t next_branch(const struct host *h, const struct uuid *boot_id)
{
    uint32_t branch = 0;

    for (const struct host_boot *b = h->boots; b; b = b->next) {
        if (uuid_eq(&b->boot_id, boot_id) && b->branch >= branch) {
            branch = b->branch + 1;
        }
    }
    return branch;
}

/* Does what is stored of boot b contradict the bundle? */
static bool contradicts(const struct around *a, const struct host_boot *b, const struct statement *st)
{
    for (size_t i = 0; i < a->same_count; i++) {
        if (a->same[i].boot == b->row.number) {
            return true;
        }
    }
    for (size_t i = 0; i < a->before_count; i++) {
        if (a->before[i].boot == b->row.number && !same_digest(a->before[i].digest, st->previous)) {
            return true;
        }
    }
    return false;
}

/* A new boot: what is missing between the history so far and its first bundle. */
static void place_new(const struct host *h, const struct around *a, const struct statement *st, struct place *out)
{
    struct host_boot *before = NULL;

    out->kind = PLACE_NEXT;
    for (struct host_boot *b = h->boots; b; b = b->next) {
        if (b->tip_sequence < st->sequence && (!before || b->tip_sequence > before->tip_sequence)) {
            before = b;
        }
        out->older |= b->first_sequence > st->sequence && !out->branched;
    }
    for (size_t i = 0; i < a->before_count; i++) {
        if (same_digest(a->before[i].digest, st->previous)) {
            return; /* its predecessor is stored */
        }
    }
    if (out->branched || st->sequence == 1 || (before && before->tip_sequence + 1 == st->sequence)) {
        return;
    }
    out->gap = true;
    out->gap_after = before;
    out->gap_first = before ? before->tip_sequence + 1 : 1;
    out->gap_last = st->sequence - 1;
}

static void place_in(struct host_boot *b, const struct statement *st, struct place *out)
{
    out->boot = b;
    if (st->sequence < b->tip_sequence) {
        out->kind = PLACE_LATE;
    } else if (st->sequence == b->tip_sequence + 1) {
        out->kind = PLACE_NEXT;
    } else {
        out->kind = PLACE_GAP;
        out->gap = true;
        out->gap_after = b;
        out->gap_first = b->tip_sequence + 1;
        out->gap_last = st->sequence - 1;
    }
}

int place_find(struct world *w, const struct host *h, const struct bundle_view *v, struct place *out)
{
    const struct statement *st = &v->statement;
    struct around a;
    const struct ledger_row *same;
    struct host_boot *b;
    bool sibling;
    int code;

    memset(out, 0, sizeof(*out));
    for (b = h->boots; b; b = b->next) {
        if (uuid_eq(&b->boot_id, &st->boot) && st->sequence == b->tip_sequence + 1 &&
            same_digest(b->tip_digest, st->previous) && st->sequence > h->max_sequence) {
            out->kind = PLACE_NEXT;
            out->boot = b;
            return 0;
        }
    }
    code = look_around(w, h, st, &a);
    if (code) {
        return code;
    }
    same = stored(&a, v->statement_digest);
    if (same) {
        out->kind = PLACE_DUPLICATE;
        out->stored = *same;
        out->boot = boot_of_number(h, same->boot);
        return 0;
    }
    sibling = has_sibling(&a, st);
    b = boot_of_child(h, &a, v);
    if (!b && !sibling) {
        b = boot_of_parent(h, &a, st);
    }
    if (!b) {
        code = boot_of_run(w, h, st, &b);
        if (code) {
            return code;
        }
    }
    if (!b) {
        b = closest_boot(h, st);
    }
    out->branched = sibling || (b && contradicts(&a, b, st));
    if (b && !contradicts(&a, b, st)) {
        place_in(b, st, out);
        return 0;
    }
    out->branch = next_branch(h, &st->boot);
    place_new(h, &a, st, out);
    return 0;
}
