/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/kinds.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/evidence/statement.h"
#include "common/record/record.h"

#define KINDS_MAX   256u
#define SOURCES_MAX 16u

static const char *const sources[SOURCES_MAX] = {
    [STATEMENT_LOST_SPOOL] = "spool",         [STATEMENT_LOST_WRITER] = "writer",   [STATEMENT_LOST_CRASH] = "crash",
    [STATEMENT_LOST_TICKS] = "ticks",         [STATEMENT_LOST_BLOCKED] = "blocked", [STATEMENT_LOST_EVENTS] = "events",
    [STATEMENT_LOST_ARGUMENTS] = "arguments", [STATEMENT_LOST_REFUSED] = "refused",
};

struct kinds {
    uint64_t hosts;
    uint64_t recorded[KINDS_MAX]; /* by kind; what later versions know is in 0 */
    uint64_t lost[SOURCES_MAX];
};

static void add(struct slice packed, struct statement *st, struct kinds *k)
{
    if (statement_unpack_counts(packed, st) != 0) {
        return;
    }
    k->hosts++;
    for (unsigned i = 0; i < st->counts_len; i++) {
        k->recorded[st->counts[i].kind < KINDS_MAX ? st->counts[i].kind : 0] += st->counts[i].total;
    }
    for (unsigned i = 0; i < st->lost_len; i++) {
        k->lost[st->lost[i].kind < SOURCES_MAX ? st->lost[i].kind : 0] += st->lost[i].total;
    }
}

static int read_shard(struct ctl *c, const struct ctl_shard *s, struct statement *st, struct kinds *k,
                      struct pofr_err *err)
{
    struct db_value days = DB_V_U(KINDS_DAYS);
    struct db_result *r = NULL;
    struct db *db = NULL;
    int code = ctl_shard_connect(c, s, "pofr_store", &db, err);

    if (!code) {
        code = db_run(
            db,
            "SELECT b.counts FROM host_state t JOIN host h ON h.host_id = t.host_id JOIN slot o ON o.slot = h.slot "
            "AND o.state = 'owned' JOIN bundle b ON b.host_id = t.host_id AND b.sequence = t.newest_sequence AND "
            "b.statement_digest = t.newest_digest WHERE b.stored >= UTC_DATE() - INTERVAL ? DAY",
            &days, 1, &r, err);
    }
    for (size_t i = 0; !code && i < db_rows(r); i++) {
        add(db_get(r, i, 0), st, k);
    }
    db_result_free(r);
    db_close(db);
    return code;
}

static const char *source_name(uint32_t source)
{
    return sources[source];
}

static void print_counts(const struct ctl *c, const char *title, const char *key, const char *word,
                         const uint64_t *counts, size_t max, const char *(*name)(uint32_t))
{
    bool any = false;

    printf(c->json ? "\"%s\": [" : "%s\n", c->json ? key : title);
    for (size_t i = 0; i < max; i++) {
        const char *text = i ? name((uint32_t)i) : NULL;

        if (counts[i] == 0) {
            continue;
        }
        text = text ? text : "other";
        if (c->json) {
            printf("%s\n {\"%s\": \"%s\", \"records\": %" PRIu64 "}", any ? "," : "", word, text, counts[i]);
        } else {
            printf("  %-18s %14" PRIu64 "\n", text, counts[i]);
        }
        any = true;
    }
    printf("%s", c->json ? "\n], " : any ? "\n" : "  none\n\n");
}

int kinds_part(struct ctl *c, struct pofr_err *err)
{
    struct kinds k = { 0 };
    struct statement *st = calloc(1, sizeof(*st));
    struct ctl_shard *shards = NULL;
    struct db *catalog = NULL;
    size_t count = 0;
    char title[128];
    int code = st ? ctl_catalog(c, &catalog, err) : pofr_err_set(err, POFR_ENOMEM, "statement");

    if (!code) {
        code = ctl_shards(catalog, &shards, &count, err);
    }
    for (size_t i = 0; i < count && !code; i++) {
        struct pofr_err ignored = { 0 };

        (void)read_shard(c, &shards[i], st, &k, &ignored);
    }
    if (code) {
        printf(c->json ? "\"kinds\": null, \"lost_by_source\": null, " : "records by kind: not known\n");
    } else {
        snprintf(title, sizeof(title),
                 "records by kind, since each host's first, of %" PRIu64 " hosts of the last %d days", k.hosts,
                 KINDS_DAYS);
        print_counts(c, title, "kinds", "kind", k.recorded, KINDS_MAX, rec_kind_name);
        print_counts(c, "of these hosts, counted as lost on the host, by source", "lost_by_source", "source", k.lost,
                     SOURCES_MAX, source_name);
    }
    free(shards);
    free(st);
    db_close(catalog);
    return code;
}
