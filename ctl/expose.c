/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ORDER   The catalog's row comes before the database and goes after it: whatever is interrupted, `migrate` makes what is
 *         missing and `conceal` finds what is left. All of it under one lock of the catalog's server.
 */
#include "ctl/expose.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/os/options.h"
#include "ctl/lookup.h"
#include "ctl/name.h"
#include "ctl/nouns.h"

#define LOCK "pofr_expose"

#define NO_SUCH_GRANT 1141

struct exposed {
    uint64_t host_id;
    char database[NAME_DATABASE_SIZE]; /* name_is_database(), so it stands between backticks as it is */
};

enum mark {
    MARK_NONE, /* no such database */
    MARK_OURS,
    MARK_FOREIGN
};

static int lock(struct db *catalog, struct pofr_err *err)
{
    return ctl_lock(catalog, LOCK, "another pofrctl is exposing or concealing hosts", err);
}

/* For those who keep the connection. Where it fails, the lock goes with the connection. */
static void unlock(struct db *catalog)
{
    POFR_IGNORE(db_run(catalog, "DO RELEASE_LOCK('" LOCK "')", NULL, 0, NULL, NULL));
}

static int take(const struct db_result *r, size_t row, struct exposed *out, struct pofr_err *err)
{
    out->host_id = db_get_u64(r, row, 0);
    snprintf(out->database, sizeof(out->database), "%s", (const char *)db_get(r, row, 1).data);
    if (!name_is_database(out->database)) {
        return pofr_err_set(err, POFR_EFORMAT, "the catalog's table exposed has a name that can't be used");
    }
    return 0;
}

/* database "": the host has none. */
static int find(struct db *catalog, uint64_t host_id, struct exposed *out, struct pofr_err *err)
{
    struct db_value value = DB_V_U(host_id);
    struct db_result *r = NULL;
    int code = db_run(catalog, "SELECT host_id, database_name FROM exposed WHERE host_id = ?", &value, 1, &r, err);

    *out = (struct exposed){ .host_id = host_id };
    if (!code && db_rows(r)) {
        code = take(r, 0, out, err);
    }
    db_result_free(r);
    return code;
}

static int enter(struct db *catalog, const struct exposed *e, struct pofr_err *err)
{
    struct db_value values[] = { DB_V_U(e->host_id), DB_V_C(e->database) };
    int code = db_run(catalog, "INSERT INTO exposed (host_id, database_name, since) VALUES (?, ?, UTC_TIMESTAMP(6))",
                      values, 2, NULL, err);

    if (code == POFR_EDBREFUSED && db_last_error(catalog) == 1062) {
        code =
            pofr_err_set(err, POFR_EREFUSED, "database %s is another host's: give a name with --database", e->database);
    }
    return code;
}

static int leave(struct db *catalog, const struct exposed *e, struct pofr_err *err)
{
    struct db_value value = DB_V_U(e->host_id);

    return db_run(catalog, "DELETE FROM exposed WHERE host_id = ?", &value, 1, NULL, err);
}

/* --- on the head ------------------------------------------------------------------------------------------- */

static void mark_text(const struct exposed *e, char *out, size_t size)
{
    snprintf(out, size, "pofrctl host expose, host_id %" PRIu64, e->host_id);
}

static int read_mark(struct db *head, const struct exposed *e, enum mark *out, struct pofr_err *err)
{
    struct db_value value = DB_V_C(e->database);
    struct db_result *r = NULL;
    char mark[64];
    int code = db_run(head, "SELECT schema_comment FROM information_schema.schemata WHERE schema_name = ?", &value, 1,
                      &r, err);

    if (!code) {
        mark_text(e, mark, sizeof(mark));
        *out = db_rows(r) == 0 ? MARK_NONE : slice_eq_str(db_get(r, 0, 0), mark) ? MARK_OURS : MARK_FOREIGN;
    }
    db_result_free(r);
    return code;
}

static int run(struct db *head, struct buf *sql, struct pofr_err *err)
{
    int code = sql->err ? pofr_err_set(err, sql->err, "a statement") : db_script(head, buf_slice(sql), err);

    buf_reset(sql);
    return code;
}

static int claim(struct db *head, const struct exposed *e, struct buf *sql, struct pofr_err *err)
{
    enum mark mark = MARK_NONE;
    char text[64];
    int code;

    mark_text(e, text, sizeof(text));
    buf_printf(sql, "CREATE DATABASE IF NOT EXISTS `%s` CHARACTER SET utf8mb4 COMMENT '%s'", e->database, text);
    code = run(head, sql, err);
    if (!code) {
        code = read_mark(head, e, &mark, err);
    }
    if (!code && mark != MARK_OURS) {
        code = pofr_err_set(err, POFR_EREFUSED,
                            "database %s is on the head already, and not made by pofrctl for this host: give another "
                            "name with --database",
                            e->database);
    }
    return code;
}

/* One view per table of pofr_compat: its columns without those that tell hosts apart. */
static int make_views(struct db *head, const struct exposed *e, struct buf *sql, struct pofr_err *err)
{
    struct db_result *r = NULL;
    int code = db_run(head,
                      "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = "
                      "'pofr_compat' AND column_name NOT IN ('host', 'host_id') ORDER BY table_name, ordinal_position",
                      NULL, 0, &r, err);

    if (!code && db_rows(r) == 0) {
        code = pofr_err_set(err, POFR_ECONFIG, "the head has no tables of pofr_compat: pofrctl migrate makes them");
    }
    for (size_t i = 0; !code && i < db_rows(r);) {
        struct slice table = db_get(r, i, 0);
        const char *comma = "";

        buf_printf(sql, "CREATE OR REPLACE ALGORITHM=MERGE SQL SECURITY DEFINER VIEW `%s`.`%s` AS SELECT ", e->database,
                   (const char *)table.data);
        for (; i < db_rows(r) && slice_eq(db_get(r, i, 0), table); i++) {
            buf_printf(sql, "%s`%s`", comma, (const char *)db_get(r, i, 1).data);
            comma = ", ";
        }
        buf_printf(sql, " FROM `pofr_compat`.`%s` WHERE `host_id` = %" PRIu64, (const char *)table.data, e->host_id);
        code = run(head, sql, err);
    }
    db_result_free(r);
    return code;
}

/* "_" stands for any character in a grant, or else host_a_b would open host_aXb too. */
static void grant_name(const struct exposed *e, struct buf *sql)
{
    buf_u8(sql, '`');
    for (const char *p = e->database; *p; p++) {
        buf_printf(sql, "%s%c", *p == '_' ? "\\" : "", *p);
    }
    buf_str(sql, "`.*");
}

static int make(struct db *head, const struct exposed *e, struct pofr_err *err)
{
    struct buf sql = BUF_INIT(65536);
    int code = claim(head, e, &sql, err);

    if (!code) {
        code = make_views(head, e, &sql, err);
    }
    if (!code) { /* an account that is not there is not made by the way, without a password */
        buf_str(&sql, "SET STATEMENT sql_mode = 'NO_AUTO_CREATE_USER' FOR GRANT SELECT ON ");
        grant_name(e, &sql);
        buf_str(&sql, " TO 'pofr_analyst'@'%'");
        code = run(head, &sql, err);
    }
    buf_free(&sql);
    return code;
}

static int holds_tables(struct db *head, const struct exposed *e, struct pofr_err *err)
{
    struct db_value value = DB_V_C(e->database);
    struct db_result *r = NULL;
    int code =
        db_run(head, "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = ? AND table_type <> 'VIEW'",
               &value, 1, &r, err);

    if (!code && db_get_u64(r, 0, 0)) {
        code = pofr_err_set(err, POFR_EREFUSED, "database %s on the head holds tables that pofrctl did not make",
                            e->database);
    }
    db_result_free(r);
    return code;
}

static int drop(struct db *head, const struct exposed *e, struct pofr_err *err)
{
    struct buf sql = BUF_INIT(1024);
    int code = holds_tables(head, e, err);

    if (!code) {
        buf_printf(&sql, "DROP DATABASE IF EXISTS `%s`", e->database);
        code = run(head, &sql, err);
    }
    buf_free(&sql);
    return code;
}

/* A grant outlives its database, and would open the next of that name. */
static int revoke(struct db *head, const struct exposed *e, struct pofr_err *err)
{
    struct buf sql = BUF_INIT(1024);
    int code;

    buf_str(&sql, "REVOKE SELECT ON ");
    grant_name(e, &sql);
    buf_str(&sql, " FROM 'pofr_analyst'@'%'");
    code = run(head, &sql, err);
    if (code && db_last_error(head) == NO_SUCH_GRANT) {
        code = 0;
    }
    buf_free(&sql);
    return code;
}

static int unmake(struct ctl *c, struct db *head, const struct exposed *e, struct pofr_err *err)
{
    enum mark mark = MARK_NONE;
    int code = read_mark(head, e, &mark, err);

    if (!code && mark == MARK_FOREIGN) {
        ctl_say(c, "database %s on the head is not the one that pofrctl made: left alone", e->database);
    } else if (!code) {
        code = drop(head, e, err);
    }
    return code ? code : revoke(head, e, err);
}

/* --- one host, all hosts ---------------------------------------------------------------------------------------- */

/* wanted: a name, or NULL. A host that is exposed already keeps its database; its views are made again. */
static int begin(struct db *catalog, struct db *head, const struct lookup_host *h, const char *wanted,
                 struct exposed *out, struct pofr_err *err)
{
    struct exposed e;
    bool is_new;
    int code = find(catalog, h->host_id, &e, err);

    if (code) {
        return code;
    }
    is_new = e.database[0] == 0;
    if (!is_new && wanted && strcmp(wanted, e.database) != 0) {
        return pofr_err_set(err, POFR_EREFUSED, "host %s is exposed as %s already: pofrctl host conceal %s first",
                            h->name, e.database, h->name);
    }
    if (is_new && wanted) {
        snprintf(e.database, sizeof(e.database), "%s", wanted);
    } else if (is_new) {
        name_database(h->name, h->host_id, e.database);
    }
    if (is_new) {
        code = enter(catalog, &e, err);
    }
    if (!code) {
        code = make(head, &e, err);
        if (code == POFR_EREFUSED && is_new) {
            POFR_IGNORE(leave(catalog, &e, NULL)); /* else `conceal` takes the row away, and leaves the database */
        }
    }
    if (!code) {
        *out = e;
    }
    return code;
}

int expose_end(struct ctl *c, struct db *catalog, uint64_t host_id, char out_database[65], struct pofr_err *err)
{
    struct db *head = NULL;
    struct exposed e;
    int code = lock(catalog, err);

    if (code) {
        return code;
    }
    code = find(catalog, host_id, &e, err);
    if (!code && e.database[0]) {
        code = ctl_head(c, NULL, &head, err);
        if (!code) {
            code = unmake(c, head, &e, err);
        }
        if (!code) {
            code = leave(catalog, &e, err);
        }
    }
    db_close(head);
    unlock(catalog);
    if (!code) {
        memcpy(out_database, e.database, sizeof(e.database));
    }
    return code;
}

int expose_all(struct ctl *c, struct db *catalog, struct db *head, struct pofr_err *err)
{
    struct db_result *r = NULL;
    int code = lock(catalog, err);

    if (!code) {
        code = db_run(catalog, "SELECT host_id, database_name FROM exposed ORDER BY host_id", NULL, 0, &r, err);
    }
    for (size_t i = 0; !code && i < db_rows(r); i++) {
        struct exposed e;

        code = take(r, i, &e, err);
        if (!code) {
            code = make(head, &e, err);
        }
        if (code == POFR_EREFUSED) {
            ctl_warn("host_id %" PRIu64 ": %s", e.host_id, err->text);
            *err = (struct pofr_err){ 0 };
            code = 0;
        }
    }
    if (!code && db_rows(r)) {
        ctl_say(c, "migrate head: %zu database%s of one host", db_rows(r), db_rows(r) == 1 ? "" : "s");
    }
    db_result_free(r);
    unlock(catalog);
    return code;
}

/* --- verbs --------------------------------------------------------------------------------------------------- */

static void print_json(const struct lookup_host *h, const char *database)
{
    const char *quote = database[0] ? "\"" : "";

    printf("{\"host\": \"%s\", \"host_id\": %" PRIu64 ", \"database\": %s%s%s}\n", h->name, h->host_id, quote,
           database[0] ? database : "null", quote);
}

int host_expose(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { "database=", NULL };
    const char *v[2];
    char *args[1];
    size_t count;
    struct pofr_err err = { 0 };
    struct lookup_host h;
    struct exposed e;
    struct db *catalog = NULL;
    struct db *head = NULL;
    int code;

    if (!ctl_options(c, argc, argv, names, v, args, 1, &count)) {
        return POFR_EXIT_USAGE;
    }
    if (count != 1) {
        return ctl_usage(c, "usage: host expose HOST [--database NAME]");
    }
    if (v[0] && !name_is_database(v[0])) {
        return ctl_usage(c, "host expose: a database's name is of " NAME_DATABASE_GRAMMAR);
    }
    code = lookup_host(c, args[0], &catalog, &h, &err);
    if (!code && strcmp(h.state, "erased") == 0) {
        code = pofr_err_set(&err, POFR_EREFUSED, "host %s is erased", h.name);
    }
    if (!code) {
        code = lock(catalog, &err);
    }
    if (!code) {
        code = ctl_head(c, NULL, &head, &err);
    }
    if (!code) {
        code = begin(catalog, head, &h, v[0], &e, &err);
    }
    if (!code && c->json) {
        print_json(&h, e.database);
    } else if (!code) {
        printf("host %s is database %s on the head\n", h.name, e.database);
    }
    db_close(head);
    db_close(catalog);
    return code ? ctl_fail(&err) : POFR_EXIT_DONE;
}

int host_conceal(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { NULL };
    char database[NAME_DATABASE_SIZE];
    const char *v[1];
    char *args[1];
    size_t count;
    struct pofr_err err = { 0 };
    struct lookup_host h;
    struct db *catalog = NULL;
    int code;

    if (!ctl_options(c, argc, argv, names, v, args, 1, &count)) {
        return POFR_EXIT_USAGE;
    }
    if (count != 1) {
        return ctl_usage(c, "usage: host conceal HOST");
    }
    code = lookup_host(c, args[0], &catalog, &h, &err);
    if (!code) {
        code = expose_end(c, catalog, h.host_id, database, &err);
    }
    if (!code && c->json) {
        print_json(&h, database);
    } else if (!code && database[0]) {
        printf("host %s: database %s is gone from the head\n", h.name, database);
    } else if (!code) {
        printf("host %s has no database of its own\n", h.name);
    }
    db_close(catalog);
    return code ? ctl_fail(&err) : POFR_EXIT_DONE;
}
