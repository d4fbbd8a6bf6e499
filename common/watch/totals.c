/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/watch/totals.h"

#include <stdlib.h>

#include "common/db/db.h"
#include "common/evidence/statement.h"
#include "common/record/record.h"

static const char *const sources[TOTALS_SOURCES] = {
    [STATEMENT_LOST_SPOOL] = "spool",         [STATEMENT_LOST_WRITER] = "writer",   [STATEMENT_LOST_CRASH] = "crash",
    [STATEMENT_LOST_TICKS] = "ticks",         [STATEMENT_LOST_BLOCKED] = "blocked", [STATEMENT_LOST_EVENTS] = "events",
    [STATEMENT_LOST_ARGUMENTS] = "arguments", [STATEMENT_LOST_REFUSED] = "refused",
};

static void add(uint64_t *sum, uint64_t n)
{
    *sum = n > UINT64_MAX - *sum ? UINT64_MAX : *sum + n;
}

static void add_counts(struct totals *t, struct slice counts, struct statement *st)
{
    if (statement_unpack_counts(counts, st) != 0) {
        return;
    }
    t->hosts++;
    for (unsigned i = 0; i < st->counts_len; i++) {
        add(&t->recorded[st->counts[i].kind < TOTALS_KINDS ? st->counts[i].kind : 0], st->counts[i].total);
    }
    for (unsigned i = 0; i < st->lost_len; i++) {
        add(&t->lost[st->lost[i].kind < TOTALS_SOURCES ? st->lost[i].kind : 0], st->lost[i].total);
    }
}

void totals_add(struct totals *t, struct slice counts)
{
    struct statement *st = calloc(1, sizeof(*st));

    if (st) {
        add_counts(t, counts, st);
    }
    free(st);
}

int totals_add_shard(struct totals *t, struct db *store, struct pofr_err *err)
{
    struct statement *st = calloc(1, sizeof(*st));
    struct db_value days = DB_V_U(TOTALS_DAYS);
    struct db_result *r = NULL;
    int code =
        st ? db_run(
                 store,
                 "SELECT b.counts FROM host_state t JOIN host h ON h.host_id = t.host_id JOIN slot o ON o.slot = "
                 "h.slot AND o.state = 'owned' JOIN bundle b ON b.host_id = t.host_id AND b.sequence = "
                 "t.newest_sequence AND b.statement_digest = t.newest_digest WHERE b.stored >= UTC_DATE() - INTERVAL "
                 "? DAY",
                 &days, 1, &r, err)
           : pofr_err_set(err, POFR_ENOMEM, "statement");

    for (size_t i = 0; !code && i < db_rows(r); i++) {
        add_counts(t, db_get(r, i, 0), st);
    }
    db_result_free(r);
    free(st);
    return code;
}

const char *totals_kind_name(unsigned kind)
{
    const char *name = kind ? rec_kind_name(kind) : NULL;

    return name ? name : "other";
}

const char *totals_source_name(unsigned source)
{
    const char *name = source < TOTALS_SOURCES ? sources[source] : NULL;

    return name ? name : "other";
}
