/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A memory world as text, to compare two of them; and is it one that a shard would have? */
#include "tests/support/memory_world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hex.h"
#include "common/record/record_table.h"
#include "tests/support/check.h"

static const struct host_boot *boot_of(const struct world *w, const struct row_boot *b)
{
    return pofr_container_of(b, const struct host_boot, row);
    (void)w;
}

static void print_fields(const struct record *r, unsigned what, struct buf *out)
{
    struct buf bytes = BUF_INIT(REC_BODY_MAX);
    char *hex;

    rec_canonical(r, what, &bytes);
    hex = malloc(HEX_TEXT_SIZE(bytes.len));
    assert_non_null(hex);
    buf_str(out, hex_encode(buf_slice(&bytes), hex));
    free(hex);
    buf_free(&bytes);
}

static void print_volatiles(const struct record *r, struct buf *out)
{
    const struct rec_shape *shape = rec_shape(r->kind);

    for (const struct rec_field *f = shape->fields; f < shape->fields + shape->count; f++) {
        if (f->role == REC_ROLE_VO) { /* numbers, all of them */
            buf_printf(out, " %" PRIu64, rec_get_u64(r, f));
        }
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void print_sorted(char **lines, size_t n, struct buf *out)
{
    qsort(lines, n, sizeof(*lines), by_text);
    for (size_t i = 0; i < n; i++) {
        buf_printf(out, "%s\n", lines[i]);
        free(lines[i]);
    }
    free(lines);
}

void memory_world_print(struct world *w, struct buf *out)
{
    char **lines = calloc(w->rows_count + 1, sizeof(*lines));

    for (size_t i = 0; i < w->rows_count; i++) {
        const struct memory_row *r = &w->rows[i];
        const struct host_boot *b = boot_of(w, r->boot);
        struct buf line = BUF_INIT(REC_BODY_MAX);
        char uuid[UUID_TEXT_SIZE];

        buf_printf(&line, "%s/%u %s ", uuid_format(&b->boot_id, uuid), b->branch, rec_entity_name(r->record->entity));
        print_fields(r->record, REC_CANONICAL_ID, &line);
        buf_printf(&line, " first=%" PRIu64 " ended=%" PRId64 " source=%d inferred=%d unseen=%d", r->row.first,
                   (int64_t)r->row.ended, r->row.source, r->row.inferred, r->row.unseen);
        buf_printf(&line, " last=%" PRIu64 " hash=%" PRIx64 " ", r->row.last, r->row.hash);
        if (getenv("POFR_TEST_TRACE")) {
            buf_printf(&line, "before=%" PRIu64 " ", r->row.before);
        }
        print_fields(r->record, REC_CANONICAL_AT, &line);
        print_fields(r->fixed, REC_CANONICAL_FX, &line);
        if (r->row.ended != ROW_OPEN && !r->row.inferred) {
            print_volatiles(r->volatiles, &line);
        }
        lines[i] = strdup(buf_cstr(&line));
        buf_free(&line);
    }
    print_sorted(lines, w->rows_count, out);
}

void memory_world_print_gaps(struct world *w, struct buf *out)
{
    char **lines = calloc(w->gaps_count + 1, sizeof(*lines));
    size_t n = 0;

    for (size_t i = 0; i < w->gaps_count; i++) {
        const struct gap_row *g = &w->gaps[i];

        if (g->kind == GAP_KIND_SEQUENCE && !g->explained) {
            assert_true(
                asprintf(&lines[n++], "%08" PRIu64 "-%08" PRIu64 " lost=%d:%" PRIu64 " from=%" PRId64 " to=%" PRId64,
                         g->first_sequence, g->last_sequence, g->lost_known, g->lost, g->from_us, g->to_us) > 0);
        }
    }
    print_sorted(lines, n, out);
}

void memory_world_check(const struct world *w)
{
    for (size_t i = 0; i < w->rows_count; i++) {
        for (size_t k = i + 1; k < w->rows_count && w->rows[i].row.ended == ROW_OPEN; k++) {
            assert_false(w->rows[k].row.ended == ROW_OPEN && w->rows[k].boot == w->rows[i].boot &&
                         rec_compare_id(w->rows[k].record, w->rows[i].record) == 0);
        }
    }
}
