/* SPDX-License-Identifier: GPL-2.0-or-later */
/* set_aside.c -- pofrctl set-aside list|show|replay: messages that could not be stored. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/parse_num.h"
#include "common/os/options.h"
#include "ctl/nouns.h"
#include "ctl/table.h"

struct place { /* SLOT:INCARNATION:OFFSET, as `list` shows it */
    uint64_t slot, incarnation, offset;
};

/* workers/verify.h has the list. */
static const char *const reasons[] = { "form",      "version",  "identity", "unknown_key",  "revoked", "slot",
                                       "signature", "conflict", "refused",  "unknown_kind", NULL };

static bool parse_place(const char *text, struct place *out)
{
    struct slice rest = slice_str(text);
    struct slice slot = slice_split(&rest, ':');
    struct slice incarnation = slice_split(&rest, ':');

    return !parse_u64(slot, 1023, &out->slot) && !parse_u64(incarnation, UINT32_MAX, &out->incarnation) &&
           !parse_u64(rest, INT64_MAX, &out->offset);
}

int set_aside_list(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { "host=", "reason=", "limit=", NULL };
    const char *v[4];
    char *args[1];
    size_t args_count;
    struct pofr_err err = { 0 };
    struct db_result *r = NULL;
    struct db *head = NULL;
    uint64_t limit = 100;
    int code;

    if (!ctl_options(c, argc, argv, names, v, args, 0, &args_count) ||
        !ctl_choice(c, "set-aside list: --reason", v[1], reasons)) {
        return POFR_EXIT_USAGE;
    }
    if (v[2] && parse_u64(slice_str(v[2]), 100000, &limit)) {
        return ctl_usage(c, "set-aside list: --limit is at most 100000");
    }
    code = ctl_head(c, "pofr", &head, &err);
    if (!code) {
        struct db_value values[] = { v[0] ? DB_V_C(v[0]) : DB_V_NULL, v[0] ? DB_V_C(v[0]) : DB_V_NULL,
                                     v[1] ? DB_V_C(v[1]) : DB_V_NULL, v[1] ? DB_V_C(v[1]) : DB_V_NULL, DB_V_U(limit) };

        code = db_run(
            head,
            "SELECT CONCAT(slot, ':', incarnation, ':', kafka_offset) AS place, host, reason, detail, records, noted, "
            "replayed "
            "FROM set_aside WHERE (? IS NULL OR host = ?) AND (? IS NULL OR reason = ?) ORDER BY noted DESC LIMIT ?",
            values, 5, &r, &err);
    }
    if (!code) {
        table_print(r, c->json);
    }
    db_result_free(r);
    db_close(head);
    return code ? ctl_fail(&err) : POFR_EXIT_DONE;
}

/* The whole message, raw, on stdout or in a file: a bundle that the tools of docs/RECORD.md take apart. */
int set_aside_show(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { "output=", NULL };
    const char *v[2];
    char *args[1];
    size_t args_count;
    struct pofr_err err = { 0 };
    struct db_result *r = NULL;
    struct db *head = NULL;
    struct place at;
    FILE *to = stdout;
    int code;

    if (!ctl_options(c, argc, argv, names, v, args, 1, &args_count)) {
        return POFR_EXIT_USAGE;
    }
    if (args_count != 1 || !parse_place(args[0], &at)) {
        return ctl_usage(
            c,
            "usage: set-aside show SLOT:INCARNATION:OFFSET [--output FILE]; pofrctl set-aside list shows the places");
    }
    code = ctl_head(c, "pofr", &head, &err);
    if (!code) {
        struct db_value values[] = { DB_V_U(at.slot), DB_V_U(at.incarnation), DB_V_U(at.offset) };

        code = db_run(head,
                      "SELECT host, reason, detail, noted, message FROM set_aside WHERE slot = ? AND incarnation = ? "
                      "AND kafka_offset = ?",
                      values, 3, &r, &err);
    }
    if (!code && db_rows(r) == 0) {
        code = pofr_err_set(&err, POFR_ENOTFOUND, "nothing is set aside at %s", args[0]);
    }
    if (!code && !v[0] && isatty(STDOUT_FILENO)) {
        code = pofr_err_set(&err, POFR_EUSAGE, "the message is not text: give --output FILE, or redirect");
    }
    if (!code && v[0]) {
        to = fopen(v[0], "wbe");
        if (!to) {
            code = pofr_err_sys(&err, POFR_ESYSTEM, "%s", v[0]);
        }
    }
    if (!code) {
        struct slice message = db_get(r, 0, 4);

        ctl_say(c, "host %s, %s: %s", db_is_null(r, 0, 0) ? "unknown" : (const char *)db_get(r, 0, 0).data,
                (const char *)db_get(r, 0, 1).data, (const char *)db_get(r, 0, 2).data);
        if (fwrite(message.data, 1, message.len, to) != message.len || fflush(to)) {
            code = pofr_err_sys(&err, POFR_ESYSTEM, "writing the message");
        }
    }
    if (to && to != stdout) {
        fclose(to);
    }
    db_result_free(r);
    db_close(head);
    return code ? ctl_fail(&err) : POFR_EXIT_DONE;
}

/* A slot that is on its way to another shard, and what it left where it was, is nobody's to try. */
#define REQUEST                                                                                                        \
    "UPDATE set_aside SET requested = UTC_TIMESTAMP(6) WHERE replayed IS NULL AND slot IN (SELECT slot FROM "          \
    "ingest_offset WHERE state = 'owned') AND "

static int request(struct db *shard, const struct place *at, const char *reason, uint64_t *out_count,
                   struct pofr_err *err)
{
    struct db_value one[] = { DB_V_U(at ? at->slot : 0), DB_V_U(at ? at->incarnation : 0),
                              DB_V_U(at ? at->offset : 0) };
    struct db_value all[] = { DB_V_C(reason ? reason : "") };
    int code = at ? db_run(shard, REQUEST "slot = ? AND incarnation = ? AND kafka_offset = ?", one, 3, NULL, err)
                  : db_run(shard, REQUEST "reason = ?", all, 1, NULL, err);

    *out_count += code ? 0 : db_affected(shard);
    return code;
}

static int count_arriving(struct db *shard, uint64_t *out_count, struct pofr_err *err)
{
    struct db_result *r = NULL;
    int code = db_run(shard, "SELECT COUNT(*) FROM ingest_offset WHERE state = 'arriving'", NULL, 0, &r, err);

    *out_count += code ? 0 : db_get_u64(r, 0, 0);
    db_result_free(r);
    return code;
}

int set_aside_replay(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { "reason=", NULL };
    const char *v[2];
    char *args[1];
    size_t args_count;
    struct pofr_err err = { 0 };
    struct ctl_shard *shards = NULL;
    struct db *catalog = NULL;
    struct place at;
    size_t count = 0;
    uint64_t requested = 0;
    uint64_t under_way = 0;
    int code;

    if (!ctl_options(c, argc, argv, names, v, args, 1, &args_count)) {
        return POFR_EXIT_USAGE;
    }
    if ((args_count == 1) == (v[0] != NULL) || (args_count == 1 && !parse_place(args[0], &at))) {
        return ctl_usage(c, "usage: set-aside replay SLOT:INCARNATION:OFFSET, or set-aside replay --reason REASON");
    }
    if (!ctl_choice(c, "set-aside replay: --reason", v[0], reasons)) {
        return POFR_EXIT_USAGE;
    }
    code = ctl_catalog(c, &catalog, &err);
    if (!code) {
        code = ctl_shards(catalog, &shards, &count, &err);
    }
    for (size_t i = 0; i < count && !code; i++) {
        struct db *shard = NULL;

        code = ctl_shard_connect(c, &shards[i], "pofr_store", &shard, &err);
        if (!code) {
            code = request(shard, args_count ? &at : NULL, v[0], &requested, &err);
        }
        if (!code) {
            code = count_arriving(shard, &under_way, &err);
        }
        db_close(shard);
    }
    free(shards);
    db_close(catalog);
    if (code) {
        return ctl_fail(&err);
    }
    if (c->json) {
        printf("{\"requested\": %llu}\n", (unsigned long long)requested);
    } else {
        printf("%llu message%s will be tried again by the workers; pofrctl set-aside list shows when\n",
               (unsigned long long)requested, requested == 1 ? "" : "s");
    }
    if (under_way && (v[0] || !requested)) {
        ctl_warn("%llu slot%s on the way to another shard: what is set aside there was not asked for; again later",
                 (unsigned long long)under_way, under_way == 1 ? " is" : "s are");
    }
    return requested ? POFR_EXIT_DONE : POFR_EXIT_NO;
}
