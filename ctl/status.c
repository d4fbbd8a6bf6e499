/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status.c -- pofrctl status: does everything that was recorded arrive? One screen. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/os/options.h"
#include "ctl/clones.h"
#include "ctl/lag.h"
#include "ctl/kinds.h"
#include "ctl/nouns.h"
#include "ctl/status_parts.h"
#include "ctl/table.h"

#define WATCHED_S 60 /* mergers look every 10 s */

/* Which shards answer: the head's tables have a partition for each shard that owns slots, of the shard's name. */
struct reach {
    struct buf partitions; /* those that answer, for PARTITION () */
    struct buf down;       /* JSON: the names of the others */
    struct buf watched;    /* JSON: how long ago a merger has looked */
    size_t up_count, down_count;
};

/* What is told of bundles is as old as its merger's last look at Kafka and the catalog. */
static int read_watched(const struct ctl_shard *s, struct db *shard, struct reach *k, struct pofr_err *err)
{
    struct db_result *r = NULL;
    int code = db_run(shard, "SELECT GREATEST(TIMESTAMPDIFF(SECOND, MAX(looked), UTC_TIMESTAMP(6)), 0) FROM slot_watch",
                      NULL, 0, &r, err);
    bool never = code || db_is_null(r, 0, 0);
    unsigned long long ago = never ? 0 : db_get_u64(r, 0, 0);

    db_result_free(r);
    buf_printf(&k->watched, "%s{\"shard\": \"%s\", \"seconds\": ", k->watched.len ? ", " : "", s->name);
    buf_printf(&k->watched, never ? "null}" : "%llu}", ago);
    if (code) {
        return code;
    }
    if (never) {
        ctl_warn(
            "shard %s: no merger has looked yet, so what is told of its bundles is not all: is one running that has "
            "it in [merger] shards?",
            s->name);
    } else if (ago > WATCHED_S) {
        ctl_warn(
            "shard %s: what is told of its bundles is of %llu s ago, when its merger looked last: that one, or Kafka "
            "or the catalog for it, is away; its log says",
            s->name, ago);
    }
    return 0;
}

static int reach_read(struct ctl *c, struct reach *k, struct pofr_err *err)
{
    struct ctl_shard *shards = NULL;
    struct db_result *r = NULL;
    struct db *catalog = NULL;
    size_t count = 0;
    int code = ctl_catalog(c, &catalog, err);

    if (!code) {
        code = ctl_shards(catalog, &shards, &count, err);
    }
    for (size_t i = 0; i < count && !code; i++) {
        struct db_value value = DB_V_U(shards[i].shard_id);
        struct pofr_err why = { 0 };
        struct db *shard = NULL;

        code = db_run(catalog, "SELECT 1 FROM slot WHERE shard_id = ? LIMIT 1", &value, 1, &r, err);
        if (!code && db_rows(r) == 0) {
            /* it owns no slots, so the head does not ask it */
        } else if (!code && ctl_shard_connect(c, &shards[i], "pofr_store", &shard, &why) == 0) {
            buf_printf(&k->partitions, "%s`%s`", k->up_count++ ? ", " : "", shards[i].name);
            code = read_watched(&shards[i], shard, k, err);
        } else if (!code) {
            buf_printf(&k->down, "%s\"%s\"", k->down_count++ ? ", " : "", shards[i].name);
            ctl_warn("not complete: %s", why.text);
        }
        db_close(shard);
        db_result_free(r);
        r = NULL;
    }
    free(shards);
    db_close(catalog);
    return code;
}

static int run_part(struct db *head, const char *text, size_t parameters, const struct reach *k,
                    struct db_result **out_r, struct pofr_err *err)
{
    struct db_value values[] = { DB_V_U(STATUS_SILENT_S), DB_V_U(STATUS_SILENT_S) };
    struct buf sql = BUF_INIT(1 << 20);
    int code;

    for (const char *at = text; *at; at++) {
        if (*at != '@') {
            buf_u8(&sql, (uint8_t)*at);
        } else if (k->down_count > 0) {
            buf_str(&sql, " PARTITION (");
            buf_append(&sql, buf_slice(&k->partitions));
            buf_str(&sql, ")");
        }
    }
    code = k->partitions.err || !buf_cstr(&sql) ? pofr_err_set(err, POFR_ENOMEM, "statement")
                                                : db_run(head, buf_cstr(&sql), values, parameters, out_r, err);
    buf_free(&sql);
    return code;
}

static int one_part(struct ctl *c, struct db *head, const struct status_part *p, bool hosts, const struct reach *k,
                    struct pofr_err *err)
{
    const char *note = k->down_count > 0 ? " (not complete)" : "";
    bool none_up = !head || (k->down_count > 0 && k->up_count == 0);
    struct db_result *r = NULL;
    int code = none_up ? 0 : run_part(head, hosts && p->sql_hosts ? p->sql_hosts : p->sql, p->parameters, k, &r, err);

    if (c->json) {
        printf("\"%s\": ", p->key);
        if (code || none_up) {
            printf("null");
        } else {
            table_print(r, true);
        }
        printf(", ");
    } else if (code || none_up) {
        printf("%s: not known\n", p->title);
    } else if (db_rows(r) == 0) {
        printf("%s: none%s\n", p->title, note);
    } else {
        printf("%s%s\n", p->title, note);
        table_print(r, false);
        printf("\n");
    }
    db_result_free(r);
    return code;
}

static int lag_by_kafka(struct ctl *c, struct pofr_err *err)
{
    struct lag_told t;
    int code = lag_ask_kafka(c, &t, err);

    if (code) {
        printf(c->json ? "\"lag\": null}\n" : "lag: not known\n");
    } else if (c->json) {
        printf(
            "\"lag\": {\"slots\": %zu, \"behind\": %zu, \"messages\": %lld, \"workers\": %zu, \"complete\": false}}\n",
            t.slots, t.behind, (long long)t.messages, t.workers);
    } else {
        printf("lag: %lld messages in %zu of %zu slots, by what %zu worker%s told Kafka\n", (long long)t.messages,
               t.behind, t.slots, t.workers, t.workers == 1 ? "" : "s");
    }
    return code;
}

static int lag_part(struct ctl *c, bool told, struct pofr_err *err)
{
    struct lag *l = NULL;
    size_t known = 0;
    size_t behind = 0;
    int64_t sum = 0;
    int64_t worst = 0;
    int64_t oldest = 0;
    unsigned worst_slot = 0;
    bool partial;
    int code = lag_read(c, &l, err);

    if (code) {
        printf(c->json ? "\"lag\": null}\n" : "lag: not known\n");
        return code;
    }
    for (size_t i = 0; i < l->count; i++) {
        const struct health_result *r = &l->slots[i].result;

        known += l->slots[i].facts.known;
        sum += r->lag > 0 ? r->lag : 0;
        behind += r->lag > 0;
        oldest = r->lag_seconds > oldest ? r->lag_seconds : oldest;
        if (r->lag > worst) {
            worst = r->lag;
            worst_slot = (unsigned)i;
        }
    }
    partial = l->partial;
    if (c->json) {
        printf("\"lag\": {\"slots\": %zu, \"behind\": %zu, \"messages\": %lld, \"seconds\": %lld, \"worst\": %lld, "
               "\"worst_slot\": %u, \"complete\": %s}}\n",
               known, behind, (long long)sum, (long long)oldest, (long long)worst, worst_slot,
               partial ? "false" : "true");
    } else {
        printf("lag: %lld messages in %zu of %zu slots", (long long)sum, behind, known);
        printf(worst ? ", most in slot %u: %lld; the oldest is of %lld s ago" : "", worst_slot, (long long)worst,
               (long long)oldest);
        printf("%s\n", partial ? " (not complete)" : "");
    }
    if (partial && !told) {
        ctl_warn("not complete: %s", l->missing);
    }
    lag_free(l);
    return partial ? pofr_err_set(err, POFR_EDBBUSY, "a shard does not answer") : 0;
}

/* What goes on all the same is said, too: the page that follows is nearly empty. */
static bool has_catalog_alone(struct ctl *c)
{
    struct pofr_err ignored = { 0 };
    struct db *catalog = NULL;
    bool there = ctl_catalog(c, &catalog, &ignored) == 0;

    db_close(catalog);
    ctl_warn(
        there
            ? "without the head nothing is known here of hosts, bundles and gaps. They are recorded and stored all the "
              "same"
            : "without head and catalog nothing is known here of hosts, bundles, gaps and shards. They are recorded "
              "and stored all the same, by copies of the catalog; no machine can enrol");
    return there;
}

/* The parts that need the catalog; false: not all is known, and it was said. */
static bool parts(struct ctl *c, struct db *head, bool hosts, const struct reach *k)
{
    struct pofr_err why = { 0 };
    bool all = head != NULL;

    for (size_t i = 0; i < status_parts_count; i++) {
        if (one_part(c, head, &status_parts[i], hosts, k, &why)) {
            ctl_warn("%s: %s", status_parts[i].title, why.text);
            all = false;
        }
    }
    if (clones_part(c, head, &why)) {
        ctl_warn("cloned machines: %s", why.text);
        all = false;
    }
    return all;
}

static int page(struct ctl *c, struct db *head, bool catalog, bool hosts, struct reach *k)
{
    struct pofr_err err = { 0 };
    bool all;
    int code = catalog ? reach_read(c, k, &err) : 0;

    if (code) {
        ctl_warn("which shards answer is not known: %s", err.text);
    }
    if (c->json) {
        printf("{\"complete\": %s, \"unreachable\": [%.*s], \"watched\": [%.*s], ",
               k->down_count || !head ? "false" : "true", (int)k->down.len,
               k->down.len ? (const char *)k->down.data : "", (int)k->watched.len,
               k->watched.len ? (const char *)k->watched.data : "");
    }
    all = parts(c, head, hosts, k);
    err = (struct pofr_err){ 0 };
    code = kinds_part(c, catalog, &err);
    if (code) {
        ctl_warn("records by kind: %s", err.text);
        all = false;
    }
    err = (struct pofr_err){ 0 };
    code = catalog ? lag_part(c, k->down_count > 0, &err) : lag_by_kafka(c, &err);
    if (k->down_count > 0 || !all) {
        if (code && !catalog) {
            ctl_warn("lag: %s", err.text);
        }
        return POFR_EXIT_RETRY;
    }
    return code ? ctl_fail(&err) : POFR_EXIT_DONE;
}

int status_main(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { "hosts", NULL };
    const char *v[2];
    char *args[1];
    size_t args_count;
    struct pofr_err err = { 0 };
    struct reach k = { BUF_INIT(1 << 18), BUF_INIT(1 << 18), BUF_INIT(1 << 18), 0, 0 };
    struct db *head = NULL;
    int exit_code = POFR_EXIT_DONE;

    if (!ctl_options(c, argc, argv, names, v, args, 0, &args_count)) {
        return POFR_EXIT_USAGE;
    }
    if (ctl_head(c, "pofr", &head, &err)) {
        exit_code = ctl_fail(&err);
    }
    if (exit_code == POFR_EXIT_DONE || exit_code == POFR_EXIT_RETRY) {
        exit_code = page(c, head, head || has_catalog_alone(c), v[0] != NULL, &k);
    }
    db_close(head);
    buf_free(&k.partitions);
    buf_free(&k.down);
    buf_free(&k.watched);
    return exit_code;
}
