/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/kinds.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/watch/totals.h"

static int read_shard(struct ctl *c, const struct ctl_shard *s, struct totals *t, struct pofr_err *err)
{
    struct db *db = NULL;
    int code = ctl_shard_connect(c, s, "pofr_store", &db, err);

    if (!code) {
        code = totals_add_shard(t, db, err);
    }
    db_close(db);
    return code;
}

static void print_counts(const struct ctl *c, const char *title, const char *key, const char *word,
                         const uint64_t *counts, unsigned max, const char *(*name)(unsigned))
{
    bool any = false;

    printf(c->json ? "\"%s\": [" : "%s\n", c->json ? key : title);
    for (unsigned i = 0; i < max; i++) {
        if (counts[i] == 0) {
            continue;
        }
        if (c->json) {
            printf("%s\n {\"%s\": \"%s\", \"records\": %" PRIu64 "}", any ? "," : "", word, name(i), counts[i]);
        } else {
            printf("  %-18s %14" PRIu64 "\n", name(i), counts[i]);
        }
        any = true;
    }
    printf("%s", c->json ? "\n], " : any ? "\n" : "  none\n\n");
}

int kinds_part(struct ctl *c, bool catalog, struct pofr_err *err)
{
    struct totals t = { 0 };
    struct ctl_shard *shards = NULL;
    struct db *db = NULL;
    size_t count = 0;
    char title[128];
    int code = catalog ? ctl_catalog(c, &db, err) : 0;

    if (!code && catalog) {
        code = ctl_shards(db, &shards, &count, err);
    }
    for (size_t i = 0; i < count && !code; i++) {
        struct pofr_err ignored = { 0 };

        (void)read_shard(c, &shards[i], &t, &ignored);
    }
    if (code || !catalog) {
        printf(c->json ? "\"kinds\": null, \"lost_by_source\": null, " : "records by kind: not known\n");
    } else {
        snprintf(title, sizeof(title),
                 "records by kind, since each host's first, of %" PRIu64 " hosts of the last %d days", t.hosts,
                 TOTALS_DAYS);
        print_counts(c, title, "kinds", "kind", t.recorded, TOTALS_KINDS, totals_kind_name);
        print_counts(c, "of these hosts, counted as lost on the host, by source", "lost_by_source", "source", t.lost,
                     TOTALS_SOURCES, totals_source_name);
    }
    free(shards);
    db_close(db);
    return code;
}
