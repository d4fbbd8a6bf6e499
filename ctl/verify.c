/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * verify.c -- pofrctl verify HOST: the ledger of a host, statement by statement.
 *
 * For each row: the statement is rebuilt byte for byte and its digest compared; the signature is checked
 * with the key that the catalog has under key_id; the chain is followed; running totals must add up; a
 * sequence that is missing must have a gap row, at the beginning too, unless the day it was stored is not kept any more; and
 * the newest that the host's state names must be there. Rows are read in order, a thousand at a time.
 *
 * The exit code is about what was found: a host that was enrolled a minute ago has nothing that could be wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/hex.h"
#include "common/base/parse_num.h"
#include "common/evidence/sshsig.h"
#include "common/os/options.h"
#include "common/record/limits.h"
#include "ctl/ledger.h"
#include "ctl/lookup.h"
#include "ctl/nouns.h"
#include "ctl/table.h"

#define PAGE      1000
#define KEYS_MAX  1024
#define SHOWN_MAX 1000
#define TIPS_MAX  8 /* statements of one sequence; of more the first ones are known */

struct key {
    uint8_t id[32];
    uint8_t public_key[32];
};

struct tip {
    uint8_t digest[32];
    uint64_t total;
};

struct check {
    struct ctl *c;
    struct db *shard;
    uint64_t host_id;
    struct key keys[KEYS_MAX];
    size_t keys_count;
    uint64_t bundles, problems, missing, branches;
    uint64_t dropped; /* sequences before the first that is there, of days that are not kept any more */
    uint64_t newest;  /* that is known to have been stored, and is kept still; 0: none */
    uint64_t first_sequence, last_sequence;
    struct tip before[TIPS_MAX]; /* the statements of the sequence before last_sequence: several where histories part */
    struct tip last[TIPS_MAX];   /* and those of last_sequence so far */
    size_t before_count, last_count;
    bool have_last;
    bool first_shown;
};

static void problem(struct check *k, uint64_t sequence, const char *kind, const char *text)
{
    k->problems++;
    if (k->problems > SHOWN_MAX) {
        return;
    }
    if (k->c->json) {
        printf("%s\n  {\"sequence\": %llu, \"kind\": \"%s\", \"text\": \"%s\"}", k->first_shown ? "," : "",
               (unsigned long long)sequence, kind, text);
    } else {
        printf("sequence %llu: %s: %s\n", (unsigned long long)sequence, kind, text);
    }
    k->first_shown = true;
}

static const struct key *key_of(const struct check *k, const uint8_t id[32])
{
    for (size_t i = 0; i < k->keys_count; i++) {
        if (memcmp(k->keys[i].id, id, 32) == 0) {
            return &k->keys[i];
        }
    }
    return NULL;
}

/* Gap rows may overlap: what counts is that none of the sequences lies between them. */
static int gap_covers(struct check *k, uint64_t first, uint64_t last, bool *out_covered, struct pofr_err *err)
{
    struct db_value values[] = { DB_V_U(k->host_id), DB_V_U(last), DB_V_U(first) };
    struct db_result *r = NULL;
    uint64_t at = first; /* the first that no row names yet */
    int code = db_run(k->shard,
                      "SELECT first_sequence, last_sequence FROM gap WHERE host_id = ? AND first_sequence <= ? AND "
                      "last_sequence >= ? "
                      "AND kind IN ('sequence', 'refused') AND explained = 0 ORDER BY first_sequence",
                      values, 3, &r, err);

    *out_covered = false;
    for (size_t i = 0; !code && !*out_covered && i < db_rows(r) && db_get_u64(r, i, 0) <= at; i++) {
        uint64_t to = db_get_u64(r, i, 1);

        *out_covered = to >= last;
        at = to >= at && to < last ? to + 1 : at;
    }
    db_result_free(r);
    return code;
}

/* Bundles that were stored before this are not kept any more: the merger drops days whole. NULL: all are kept. */
#define KEPT_FROM                                                                                                      \
    "(SELECT CAST(REPLACE(PARTITION_DESCRIPTION, '''', '') AS DATETIME) - INTERVAL 1 DAY FROM "                        \
    "information_schema.PARTITIONS WHERE TABLE_SCHEMA = 'pofr_store' AND TABLE_NAME = 'bundle' AND PARTITION_NAME "    \
    "<> 'future' ORDER BY PARTITION_ORDINAL_POSITION LIMIT 1)"

/* Is the host older than what is kept of the ledger? */
static int began_before(struct check *k, bool *out_before, struct pofr_err *err)
{
    struct db_value value = DB_V_U(k->host_id);
    struct db_result *r = NULL;
    int code = db_run(k->shard, "SELECT enrolled < " KEPT_FROM " FROM host WHERE host_id = ?", &value, 1, &r, err);

    *out_before = !code && db_rows(r) == 1 && db_get_u64(r, 0, 0) != 0;
    db_result_free(r);
    return code;
}

/* The first row that is there, of those from a sequence on. */
static int check_first(struct check *k, const struct statement *s, uint64_t from, struct pofr_err *err)
{
    bool covered = true, before = false;
    int code = 0;

    k->first_sequence = s->sequence;
    if (s->sequence > from) {
        code = gap_covers(k, from, s->sequence - 1, &covered, err);
    }
    if (!code && !covered) {
        code = began_before(k, &before, err);
    }
    if (!code && s->sequence > from) {
        *(before ? &k->dropped : &k->missing) += s->sequence - from;
    }
    if (!code && !covered && !before) {
        problem(k, s->sequence, "removed", "the bundles before it are missing and no gap row says so");
    }
    return code;
}

/* One of those before it must be named; none is known where bundles are missing between. */
static void check_previous(struct check *k, const struct statement *s, uint64_t total)
{
    for (size_t i = 0; i < k->before_count; i++) {
        if (memcmp(s->previous, k->before[i].digest, 32) == 0) {
            if (total != k->before[i].total + statement_records(s)) {
                problem(k, s->sequence, "totals", "its running totals are not those before it and its own counts");
            }
            return;
        }
    }
    if (k->before_count > 0 && k->before_count < TIPS_MAX) {
        problem(k, s->sequence, "chain", "it does not name the statement before it");
    }
}

static int check_chain(struct check *k, const struct statement *s, const uint8_t digest[32], struct pofr_err *err)
{
    uint64_t total = statement_records_total(s);
    bool covered = true;
    int code = 0;

    if (k->have_last && s->sequence == k->last_sequence) {
        k->branches++;
        problem(k, s->sequence, "branch",
                "two statements have this sequence: a cloned machine, or a disk that was put back");
    } else {
        memcpy(k->before, k->last, sizeof(k->before));
        k->before_count = k->last_count;
        k->last_count = 0;
    }
    if (k->have_last && s->sequence > k->last_sequence + 1) {
        k->before_count = 0;
        k->missing += s->sequence - k->last_sequence - 1;
        code = gap_covers(k, k->last_sequence + 1, s->sequence - 1, &covered, err);
        if (!code && !covered) {
            problem(k, s->sequence, "removed", "bundles before it are missing and no gap row says so");
        }
    }
    check_previous(k, s, total);
    k->have_last = true;
    k->last_sequence = s->sequence;
    if (k->last_count < TIPS_MAX) {
        memcpy(k->last[k->last_count].digest, digest, 32);
        k->last[k->last_count++].total = total;
    }
    return code;
}

static int check_row(struct check *k, const struct db_result *r, size_t row, struct buf *text, uint64_t from,
                     struct pofr_err *err)
{
    struct ledger_row l;
    const struct key *key;
    int code;

    k->bundles++;
    ledger_take(r, row, &l, text);
    if (l.damage == LEDGER_NO_STATEMENT) {
        problem(k, l.statement.sequence, "ledger", "the row makes no statement: it was altered");
        return 0;
    }
    if (l.damage == LEDGER_OTHER_DIGEST) {
        problem(k, l.statement.sequence, "ledger", "the row's statement has another digest: it was altered");
    }
    key = key_of(k, l.statement.key_id);
    if (!key) {
        problem(k, l.statement.sequence, "key", "it is signed by a key that this host never had");
    } else if (sshsig_verify(key->public_key, l.signature, buf_slice(text))) {
        problem(k, l.statement.sequence, "signature", "the signature does not verify");
    }
    code = k->have_last ? 0 : check_first(k, &l.statement, from, err);
    return code ? code : check_chain(k, &l.statement, l.digest, err);
}

static int verify_range(struct check *k, uint64_t from, uint64_t to, struct pofr_err *err)
{
    struct buf text = BUF_INIT(STATEMENT_MAX);
    uint8_t after[32] = { 0 };
    uint64_t at = from;
    size_t rows;
    int code = 0;

    do { /* several statements of one sequence may lie on both sides of a page's end */
        struct db_value values[] = { DB_V_U(k->host_id),          DB_V_U(at),  DB_V_U(to), DB_V_U(at),
                                     DB_V_S(slice_of(after, 32)), DB_V_U(PAGE) };
        struct db_result *r = NULL;

        code =
            db_run(k->shard,
                   "SELECT " LEDGER_COLUMNS LEDGER_FROM "WHERE b.host_id = ? AND b.sequence >= ? AND b.sequence <= ? "
                   "AND (b.sequence > ? OR b.statement_digest > ?) ORDER BY b.sequence, b.statement_digest LIMIT ?",
                   values, pofr_countof(values), &r, err);
        rows = code ? 0 : db_rows(r);
        for (size_t i = 0; i < rows && !code; i++) {
            code = check_row(k, r, i, &text, from, err);
        }
        if (rows > 0) { /* of the row itself: it may make no statement */
            at = db_get_u64(r, rows - 1, 2);
            ledger_bytes(db_get(r, rows - 1, 4), after, sizeof(after));
        }
        db_result_free(r);
        if (rows == PAGE) {
            ctl_say(k->c, "verified up to sequence %llu", (unsigned long long)k->last_sequence);
        }
    } while (!code && rows == PAGE);
    buf_free(&text);
    return code;
}

/* By the host's state, and by its boots where that is gone. */
static int read_newest(struct check *k, struct pofr_err *err)
{
    struct db_value values[] = { DB_V_U(k->host_id), DB_V_U(k->host_id) };
    struct db_result *r = NULL;
    int code =
        db_run(k->shard,
               "SELECT MAX(newest) FROM (SELECT newest_sequence AS newest, last_bundle AS at FROM host_state WHERE "
               "host_id = ? UNION ALL SELECT tip_sequence, last_tick FROM boot WHERE host_id = ?) x WHERE at >= "
               "COALESCE(" KEPT_FROM ", at)",
               values, 2, &r, err);

    k->newest = code ? 0 : db_get_u64(r, 0, 0);
    db_result_free(r);
    return code;
}

static int load_keys(struct check *k, struct db *catalog, struct pofr_err *err)
{
    struct db_value value = DB_V_U(k->host_id);
    struct db_result *r = NULL;
    int code = db_run(catalog, "SELECT key_id, public_key FROM host_key WHERE host_id = ? ORDER BY valid_from", &value,
                      1, &r, err);

    for (size_t i = 0; !code && i < db_rows(r) && i < KEYS_MAX; i++) {
        ledger_bytes(db_get(r, i, 0), k->keys[i].id, 32);
        ledger_bytes(db_get(r, i, 1), k->keys[i].public_key, 32);
        k->keys_count++;
    }
    db_result_free(r);
    return code;
}

/* Of every kind, as they are still. With a range: those that are not before its first bundle nor behind its last. */
static int read_gaps(struct check *k, uint64_t from, uint64_t to, bool all, struct db_result **out,
                     struct pofr_err *err)
{
    struct db_value values[] = { DB_V_U(k->host_id), DB_V_U(all),        DB_V_U(k->host_id), DB_V_U(from),
                                 DB_V_U(to),         DB_V_U(k->host_id), DB_V_U(from),       DB_V_U(to) };

    return db_run(
        k->shard,
        "SELECT kind, COUNT(*) AS gaps, SUM(lost) AS lost FROM gap WHERE host_id = ? AND explained = 0 AND (? "
        "OR (to_time >= (SELECT MIN(captured_from) FROM bundle WHERE host_id = ? AND sequence >= ? AND "
        "sequence <= ?) AND from_time <= (SELECT MAX(captured_to) FROM bundle WHERE host_id = ? AND sequence "
        ">= ? AND sequence <= ?))) GROUP BY kind ORDER BY kind",
        values, pofr_countof(values), out, err);
}

static void print_gaps(const struct db_result *gaps)
{
    printf("%s", db_rows(gaps) ? "; gaps:" : "; no gaps");
    for (size_t i = 0; i < db_rows(gaps); i++) {
        printf("%s %llu %s", i ? "," : "", (unsigned long long)db_get_u64(gaps, i, 1),
               (const char *)db_get(gaps, i, 0).data);
        if (db_get_u64(gaps, i, 2) > 0) {
            printf(" (%llu record%s)", (unsigned long long)db_get_u64(gaps, i, 2),
                   db_get_u64(gaps, i, 2) == 1 ? "" : "s");
        }
    }
    printf("\n");
}

static void print_people(const struct check *k, const char *host, const struct db_result *gaps)
{
    const char *s = k->problems == 1 ? "" : "s";

    if (k->dropped > 0) {
        printf("%llu before the first are of days that the ledger does not keep any more\n",
               (unsigned long long)k->dropped);
    }
    if (k->bundles > 0) {
        printf("%s: %llu bundles, sequence %llu to %llu: %llu problem%s, %llu missing (in gap rows)", host,
               (unsigned long long)k->bundles, (unsigned long long)k->first_sequence,
               (unsigned long long)k->last_sequence, (unsigned long long)k->problems, s,
               (unsigned long long)k->missing);
    } else if (k->newest > 0) {
        printf("%s: no bundle is stored in that range: %llu problem%s", host, (unsigned long long)k->problems, s);
    } else {
        printf("%s: no bundle is stored, nothing to verify", host);
    }
    print_gaps(gaps);
}

static void print_json(const struct check *k, const char *host, const struct db_result *gaps)
{
    printf("%s], \"host\": \"%s\", \"bundles\": %llu, \"problem_count\": %llu, \"missing\": %llu, \"branches\": %llu, "
           "\"dropped\": %llu, \"gaps\": ",
           k->first_shown ? "\n" : "", host, (unsigned long long)k->bundles, (unsigned long long)k->problems,
           (unsigned long long)k->missing, (unsigned long long)k->branches, (unsigned long long)k->dropped);
    table_print(gaps, true);
    printf("}\n");
}

int verify_main(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { "from=", "to=", NULL };
    const char *v[3];
    char *args[1];
    size_t args_count;
    struct pofr_err err = { 0 };
    struct check *k = NULL;
    struct lookup_host host;
    struct db_result *gaps = NULL;
    struct db *catalog = NULL;
    uint64_t from = 1;
    uint64_t to = UINT64_MAX >> 1;
    bool found;
    int code;

    if (!ctl_options(c, argc, argv, names, v, args, 1, &args_count)) {
        return POFR_EXIT_USAGE;
    }
    if (args_count != 1 || (v[0] && parse_u64(slice_str(v[0]), to, &from)) ||
        (v[1] && parse_u64(slice_str(v[1]), to, &to)) || from > to) {
        return ctl_usage(c, "usage: verify HOST [--from SEQUENCE] [--to SEQUENCE]");
    }
    k = calloc(1, sizeof(*k));
    if (!k) {
        return POFR_EXIT_RETRY;
    }
    k->c = c;
    code = lookup_host(c, args[0], &catalog, &host, &err);
    if (!code && strcmp(host.state, "erased") == 0) {
        code = pofr_err_set(&err, POFR_ENOTFOUND, "%s is erased: nothing of it is stored", args[0]);
    }
    if (!code) {
        k->host_id = host.host_id;
        code = lookup_shard(c, catalog, host.slot, &k->shard, &err);
    }
    if (!code) {
        code = load_keys(k, catalog, &err);
    }
    if (!code) {
        code = read_newest(k, &err); /* before the ledger: it only grows meanwhile */
    }
    if (!code) {
        printf("%s", c->json ? "{\"problems\": [" : "");
        code = verify_range(k, from, to, &err);
    }
    if (!code && k->newest > k->last_sequence && k->newest >= from && k->newest <= to) {
        problem(k, k->newest, "removed", "the host's state names it as the newest, and it is not there");
    }
    if (!code) {
        code = read_gaps(k, from, to, !v[0] && !v[1], &gaps, &err);
    }
    if (!code) {
        (c->json ? print_json : print_people)(k, host.name, gaps);
    }
    db_result_free(gaps);
    db_close(k->shard);
    db_close(catalog);
    found = k->problems > 0;
    free(k);
    return code ? ctl_fail(&err) : found ? POFR_EXIT_NO : POFR_EXIT_DONE;
}
