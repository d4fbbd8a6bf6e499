/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Boots and runs: where one begins, and what is over with it. */
#include "workers/apply_parts.h"

#include <string.h>

#include "workers/gaps.h"
#include "workers/heal.h"
#include "workers/tables.h"

/* --- boots ------------------------------------------------------------------------------------------------ */

static int64_t host_anchor(const struct statement *st)
{
    uint64_t wall = st->from_wall_us < (uint64_t)INT64_MAX / 2 ? st->from_wall_us : (uint64_t)INT64_MAX / 2;
    uint64_t boot = st->from_boot_us < (uint64_t)INT64_MAX / 2 ? st->from_boot_us : (uint64_t)INT64_MAX / 2;

    return (int64_t)wall - (int64_t)boot;
}

int apply_new_boot(struct applying *a)
{
    const struct statement *st = a->st;
    struct host *h = a->h;
    struct host_boot *b = NULL;
    int code = world_new_boot(a->w, &b);

    if (code) {
        return code;
    }
    memset(b, 0, sizeof(*b));
    b->row.host_id = h->host_id;
    b->row.number = ++h->boots_given;
    b->boot_id = st->boot;
    b->branch = a->place.branch;
    b->host_anchor_us = host_anchor(st);
    b->gateway_anchor = a->meta->has_offset;
    b->row.anchor_us = a->meta->has_offset ? a->meta->offset_us : b->host_anchor_us;
    b->uncertainty_us = a->meta->has_offset ? a->meta->uncertainty_us : 0;
    b->first_sequence = b->tip_sequence = st->sequence;
    memcpy(b->first_digest, a->meta->view->statement_digest, 32);
    if (h->retired) {
        b->closed = BOOT_RETIRED;
    } else if (a->place.older) {
        b->closed = BOOT_REBOOT;
    }
    for (int g = GROUP_PROCESS; g < GROUP_END; g++) {
        b->groups[g].clean = a->d->begins_run && a->d->stateless; /* nothing is open but what it names */
        b->groups[g].compared_day = apply_day_of(a);
    }
    b->next = h->boots;
    h->boots = b;
    a->b = b;
    a->new_boot = true;
    return 0;
}

/* May something be open that was not shown any more for a while? */
static bool blind_since(const struct blind *blinds, size_t n, const struct host_boot *b)
{
    for (size_t i = 0; i < n; i++) {
        for (int g = GROUP_PROCESS; g < GROUP_COVERAGE; g++) {
            if (blinds[i].from >= b->groups[g].keyframe_us) {
                return true;
            }
        }
    }
    return n > 0 && !b->groups[GROUP_COVERAGE].clean;
}

int apply_close_boot(struct world *w, struct changes *changes, struct host_boot *b, enum boot_closed how)
{
    static const struct keyframe_mark all[] = {
        /* at moment 0: they only say which rows are read */
        { .entity = REC_PROCESS, .high = UINT64_MAX },
        { .entity = REC_SOCKET, .high = UINT64_MAX, .high_cookie = UINT64_MAX },
        { .entity = REC_USER },
        { .entity = REC_COVERAGE },
    };
    struct decoded none = { 0 };
    struct heal heal = { .w = w,
                         .boot = b,
                         .changes = changes,
                         .d = &none,
                         .marks = all,
                         .marks_count = pofr_countof(all),
                         .sequence = b->tip_sequence + 1 };
    struct blind *blinds = NULL;
    size_t n = 0;
    int code = world_flush_host(w, b, 0, changes);

    b->closed = how;
    b->changed = true;
    if (code == 0) {
        code = gaps_blind(w, b, &blinds, &n);
    }
    if (code || blind_since(blinds, n, b)) {
        return code ? code : heal_slots(&heal); /* each row by itself */
    }
    for (size_t e = 0; e < TABLES_COUNT && code == 0; e++) {
        code = world_close_open(w, b, tables[e].entity, b->last_tick_us, b->last_tick_us,
                                how == BOOT_REBOOT ? ROW_SOURCE_REBOOT : ROW_SOURCE_RETIRED);
    }
    return code;
}

/* The boot before this new one is over, if it was the one that ran. */
int apply_close_older(struct applying *a)
{
    struct host_boot *before = NULL;

    if (a->place.branched || a->place.older) {
        return 0;
    }
    for (struct host_boot *b = a->b->next; b; b = b->next) {
        if (b->tip_sequence + 1 == a->st->sequence && memcmp(b->tip_digest, a->st->previous, 32) == 0) {
            before = b;
            break;
        }
        if (b->tip_sequence < a->st->sequence && (!before || b->tip_sequence > before->tip_sequence)) {
            before = b;
        }
    }
    return before && before->closed == BOOT_RUNNING ? apply_close_boot(a->w, a->changes, before, BOOT_REBOOT) : 0;
}

/* --- runs --------------------------------------------------------------------------------------------------- */

/* A late bundle may be the newest before a run that began after it. */
static int move_run(struct applying *a, struct run_row *run)
{
    if (run->first_us <= a->st->to_boot_us || run->before_us >= a->st->to_boot_us) {
        return 0;
    }
    run->before_us = a->st->to_boot_us;
    return world_put_run(a->w, a->h, run);
}

int apply_note_run(struct applying *a)
{
    struct run_row *runs = NULL;
    struct run_row run = { .boot = a->b->row.number,
                           .first_sequence = a->st->sequence,
                           .first_us = a->st->from_boot_us,
                           .before_us = a->before };
    bool known = false, first = true, other = false;
    size_t n = 0;
    int code;

    if (!a->new_boot && a->place.kind == PLACE_NEXT && memcmp(a->b->tip_run, a->st->run, 16) == 0) {
        return 0;
    }
    code = world_runs_of_boot(a->w, a->b, &runs, &n);
    for (size_t i = 0; i < n && code == 0; i++) {
        if (memcmp(runs[i].run, a->st->run, 16) == 0) {
            known = true;
            first = runs[i].first_sequence > run.first_sequence;
        } else {
            other = true;
            code = move_run(a, &runs[i]);
        }
    }
    if (code || (known && !first)) {
        return code;
    }
    memcpy(run.run, a->st->run, 16);
    a->new_run = true;
    if (a->d->begins_run && a->d->stateless && other && run.first_us > a->b->resumed_us) {
        a->b->resumed_us = run.first_us;
    }
    return world_put_run(a->w, a->h, &run);
}
