/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/head.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/os/fsio.h"
#include "ctl/expose.h"
#include "ctl/head_parts.h"
#include "ctl/migrate.h"
#include "ctl/script.h"

static int run(struct db *db, const char *sql, struct pofr_err *err)
{
    return db_run(db, sql, NULL, 0, NULL, err);
}

int head_limit_statements(const struct ctl *c, struct db *db, struct pofr_err *err)
{
    static const char *const accounts[] = { "pofr_analyst", "pofr_spider" };
    struct db_value seconds = DB_V_U(c->conf->analyst_max_statement / 1000000);

    for (size_t i = 0; i < pofr_countof(accounts); i++) {
        struct db_value values[] = { DB_V_C(accounts[i]), seconds };
        struct db_result *r = NULL;
        int code = db_run(db, "SELECT 1 FROM mysql.user WHERE user = ?", values, 1, &r, err);
        bool there = !code && db_rows(r) > 0;

        db_result_free(r);
        if (!code && there) {
            code = db_run(db, "SET @pofr_name = ?, @pofr_seconds = ?", values, 2, NULL, err);
            if (!code) {
                code = db_script(db,
                                 slice_str("EXECUTE IMMEDIATE CONCAT('ALTER USER ', QUOTE(@pofr_name), "
                                           "'@''%'' WITH MAX_STATEMENT_TIME ', CAST(@pofr_seconds AS UNSIGNED))"),
                                 err);
            }
        }
        if (code) {
            return code;
        }
    }
    return 0;
}

/*
 * With any of them otherwise, Spider silently gives wrong answers (docs/decisions/0003-spider-settings.md). The last is
 * not in every version.
 */
static const struct {
    const char *name;
    bool on;
    bool always;
} settings[] = {
    { "SPIDER_DIRECT_AGGREGATE", false, true },
    { "SPIDER_DIRECT_ORDER_LIMIT", false, true },
    { "SPIDER_SEMI_SPLIT_READ", false, true },
    { "SPIDER_DISABLE_GROUP_BY_HANDLER", true, false },
};

static int check_setting(struct db *head, size_t i, struct pofr_err *err)
{
    struct db_value name = DB_V_C(settings[i].name);
    struct db_result *r = NULL;
    int code = db_run(head,
                      "SELECT variable_value, variable_value IN ('0', 'OFF') FROM information_schema.global_variables "
                      "WHERE variable_name = ?",
                      &name, 1, &r, err);

    if (!code && db_rows(r) == 0 && settings[i].always) {
        code = pofr_err_set(err, POFR_ECONFIG, "the head has no Spider engine: load plugin ha_spider");
    }
    if (!code && db_rows(r) && (db_get_u64(r, 0, 1) == 0) != settings[i].on) {
        code = pofr_err_set(err, POFR_ECONFIG,
                            "the head has %s = %s: set it to %d in its configuration, or its answers are wrong",
                            settings[i].name, (const char *)db_get(r, 0, 0).data, settings[i].on);
    }
    db_result_free(r);
    return code;
}

static int check_settings(struct db *head, struct pofr_err *err)
{
    int code = 0;

    for (size_t i = 0; i < pofr_countof(settings) && !code; i++) {
        code = check_setting(head, i, err);
    }
    return code;
}

int head_make_server(struct ctl *c, struct db *head, const struct ctl_shard *s, struct pofr_err *err)
{
    struct buf password = BUF_INIT(65536);
    struct db_value values[5] = { DB_V_C(s->name), DB_V_C(s->address), DB_V_U(s->port), DB_V_C("pofr_spider"),
                                  DB_V_C("") };
    int code = 0;

    if (c->conf->spider_password_file[0]) {
        code = fsio_read_secret(c->conf->spider_password_file, &password, err);
        values[4] = DB_V_S(buf_slice(&password));
    }
    if (!code) {
        code = db_run(head, "SET @pofr_server = ?, @pofr_host = ?, @pofr_port = ?, @pofr_user = ?, @pofr_password = ?",
                      values, 5, NULL, err);
    }
    if (!code) {
        code = db_script(head,
                         slice_str("EXECUTE IMMEDIATE CONCAT('CREATE OR REPLACE SERVER `', @pofr_server, "
                                   "'` FOREIGN DATA WRAPPER mysql OPTIONS (HOST ', QUOTE(@pofr_host), ', PORT ', "
                                   "CAST(@pofr_port AS UNSIGNED), ', USER ', QUOTE(@pofr_user), ', PASSWORD ', "
                                   "QUOTE(@pofr_password), ')')"),
                         err);
    }
    if (!code) {
        code = db_script(head, slice_str("SET @pofr_password = NULL"), err);
    }
    if (password.data) {
        explicit_bzero(password.data, password.cap);
    }
    buf_free(&password);
    return code;
}

/* Servers of shards that were removed. Others that somebody made here are left alone: ours log in as pofr_spider. */
static int drop_servers(struct db *head, const struct ctl_shard *shards, size_t count, struct pofr_err *err)
{
    struct db_result *r = NULL;
    int code = db_run(
        head,
        "SELECT Server_name FROM mysql.servers WHERE Username = 'pofr_spider' AND Server_name <> '" HEAD_PROBE "'",
        NULL, 0, &r, err);

    for (size_t i = 0; !code && i < db_rows(r); i++) {
        struct db_value name = DB_V_S(db_get(r, i, 0));

        if (ctl_shard_named(shards, count, (const char *)name.bytes.data)) {
            continue;
        }
        code = db_run(head, "SET @pofr_server = ?", &name, 1, NULL, err);
        if (!code) {
            code = db_script(head,
                             slice_str("EXECUTE IMMEDIATE CONCAT('DROP SERVER IF EXISTS `', REPLACE(@pofr_server, '`', "
                                       "'``'), '`')"),
                             err);
        }
    }
    db_result_free(r);
    return code;
}

/* Keys that the shards really have behind the view; Spider is told of no others. */
static const struct {
    const char *table;
    const char *keys;
} keys[] = {
    { "psinfo", "KEY process (host_id, boot, pid, started, first_seen)" },
    { "process", "KEY process (host_id, boot, pid, started)" },
    { "fileinfo", "KEY process (host_id, boot, pid, started, thread, fd, first_seen)" },
    { "netinfo", "KEY host (host_id, boot)" },
    { "process_file", "KEY process (host_id, boot, pid, started)" },
    { "process_socket", "KEY process (host_id, boot, pid, started)" },
};

static bool plain_name(const char *name)
{
    return name[0] && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == strlen(name);
}

/* *out_slot: the expression that gives a row's slot, NULL: none does. */
static int add_columns(struct db *shard, const char *database, const char *view, struct buf *sql, const char **out_slot,
                       struct pofr_err *err)
{
    struct db_value values[] = { DB_V_C(database), DB_V_C(view) };
    struct db_result *r = NULL;
    int code = db_run(shard,
                      "SELECT column_name, column_type, character_set_name, collation_name FROM "
                      "information_schema.columns WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position",
                      values, 2, &r, err);

    *out_slot = NULL;
    for (size_t i = 0; !code && i < db_rows(r); i++) {
        const char *name = (const char *)db_get(r, i, 0).data;

        if (!plain_name(name)) {
            code = pofr_err_set(err, POFR_EFORMAT, "view %s has a column whose name can't be used", view);
            break;
        }
        if (strcmp(name, "host_id") == 0) {
            *out_slot = "host_id MOD 1024";
        } else if (strcmp(name, "slot") == 0 && !*out_slot) {
            *out_slot = "slot";
        }
        buf_printf(sql, "%s`%s` %s", i ? ", " : "", name, (const char *)db_get(r, i, 1).data);
        if (!db_is_null(r, i, 2)) {
            buf_printf(sql, " CHARACTER SET %s COLLATE %s", (const char *)db_get(r, i, 2).data,
                       (const char *)db_get(r, i, 3).data);
        }
    }
    db_result_free(r);
    return code ? code : sql->err;
}

struct build { /* what tables are built from */
    struct db *head, *shard, *catalog;
    const struct ctl_shard *shards;
    size_t count;
    struct buf protection; /* of connections to shards: Spider's parameters, with a comma before each */
};

/* The paths are of the head's machine, and stand in a comment, in quotes. */
static int add_file(struct buf *to, const char *parameter, const char *path, struct pofr_err *err)
{
    if (strpbrk(path, "\"'\\\n")) {
        return pofr_err_set(err, POFR_ECONFIG, "[head] %s: no quotes and backslashes, please", path);
    }
    buf_printf(to, ", %s \"%s\"", parameter, path);
    return to->err;
}

/*
 * Without the last of them Spider takes a certificate of any name; with it, a server without TLS is refused, too (tried on
 * 10.11 and 11.8; tests/suites/tls.sh).
 */
int head_protect(const struct ctl *c, struct buf *to, struct pofr_err *err)
{
    const struct tls_files *f = &c->conf->spider;
    int code = 0;

    if (!c->conf->shard_tls.on) {
        return 0;
    }
    code = add_file(to, "ssl_ca", f->ca_file, err);
    if (!code && f->certificate_file[0]) {
        code = add_file(to, "ssl_cert", f->certificate_file, err);
        code = code ? code : add_file(to, "ssl_key", f->certificate_file, err);
    }
    buf_str(to, ", ssl_verify_server_cert \"1\"");
    return code ? code : to->err;
}

static int add_partitions(const struct build *b, const char *database, const char *view, const char *slot,
                          struct buf *sql, struct pofr_err *err)
{
    bool any = false;

    buf_printf(sql, " PARTITION BY LIST (%s) (", slot);
    for (size_t i = 0; i < b->count; i++) {
        struct db_value id = DB_V_U(b->shards[i].shard_id);
        struct db_result *r = NULL;
        int code = db_run(b->catalog, "SELECT slot FROM slot WHERE shard_id = ? ORDER BY slot", &id, 1, &r, err);

        if (code) {
            return code;
        }
        for (size_t row = 0; row < db_rows(r); row++) {
            if (row == 0) {
                buf_printf(sql, "%sPARTITION `%s` VALUES IN (", any ? ", " : "", b->shards[i].name);
            }
            buf_printf(sql, "%s%llu", row ? "," : "", (unsigned long long)db_get_u64(r, row, 0));
        }
        if (db_rows(r)) {
            buf_printf(sql, ") COMMENT = 'srv \"%s\", database \"%s\", table \"%s\"", b->shards[i].name, database,
                       view);
            buf_append(sql, buf_slice(&b->protection));
            buf_str(sql, "'");
            any = true;
        }
        db_result_free(r);
    }
    buf_str(sql, ")");
    return any ? sql->err : POFR_ENOTFOUND;
}

static int build_table(const struct build *b, const char *database, const char *view, struct pofr_err *err)
{
    struct buf sql = BUF_INIT(1024U * 1024U);
    const char *slot = NULL;
    int code;

    if (!plain_name(view)) {
        return pofr_err_set(err, POFR_EFORMAT, "a view's name can't be used");
    }
    buf_printf(&sql, "CREATE OR REPLACE TABLE `%s`.`%s` (", database, view);
    code = add_columns(b->shard, database, view, &sql, &slot, err);
    if (!code && !slot) {
        buf_free(&sql);
        return 0; /* no row of it belongs to a slot: it has no place in the federation */
    }
    for (size_t i = 0; i < pofr_countof(keys); i++) {
        if (strcmp(database, "pofr") == 0 && strcmp(keys[i].table, view) == 0) {
            buf_printf(&sql, ", %s", keys[i].keys);
        }
    }
    buf_str(&sql, ") ENGINE=SPIDER COMMENT='wrapper \"mysql\"'");
    if (!code) {
        code = add_partitions(b, database, view, slot, &sql, err);
        if (code == POFR_ENOTFOUND) {
            code = pofr_err_set(err, POFR_ECONFIG, "no shard has a slot: pofrctl shard add NAME --slots ...");
        }
    }
    if (!code) {
        code = db_script(b->head, buf_slice(&sql), err);
    }
    buf_free(&sql);
    return code ? pofr_err_prefix(err, "head table %s.%s", database, view) : 0;
}

static int build_database(const struct build *b, const char *database, struct pofr_err *err)
{
    struct db_value value = DB_V_C(database);
    struct db_result *r = NULL;
    int code =
        db_run(b->shard, "SELECT table_name FROM information_schema.views WHERE table_schema = ? ORDER BY table_name",
               &value, 1, &r, err);

    for (size_t i = 0; !code && i < db_rows(r); i++) {
        code = build_table(b, database, (const char *)db_get(r, i, 0).data, err);
    }
    db_result_free(r);
    return code;
}

int head_check(struct ctl *c, struct pofr_err *err)
{
    struct db *head = NULL;
    int code = ctl_head(c, NULL, &head, err);

    if (!code) {
        code = check_settings(head, err);
    }
    db_close(head);
    return code;
}

/* Whatever its addresses are: a lock that one connection holds is seen by the other on the same server alone. */
int head_is_another(struct ctl *c, const struct ctl_shard *s, struct pofr_err *err)
{
    struct db *head = NULL;
    struct db *shard = NULL;
    struct db_result *name = NULL;
    struct db_result *r = NULL;
    int code = ctl_head(c, NULL, &head, err);

    if (!code) {
        code = ctl_shard_connect(c, s, NULL, &shard, err);
    }
    if (!code) {
        code = db_run(head, "SELECT CONCAT('pofr_', UUID())", NULL, 0, &name, err);
    }
    if (!code) {
        struct db_value value = DB_V_S(db_get(name, 0, 0));

        code = db_run(head, "SELECT GET_LOCK(?, 0)", &value, 1, &r, err);
        db_result_free(r);
        r = NULL;
        if (!code) {
            code = db_run(shard, "SELECT IS_FREE_LOCK(?)", &value, 1, &r, err);
        }
    }
    if (!code && db_get_u64(r, 0, 0) == 0) {
        code = pofr_err_set(err, POFR_EREFUSED,
                            "the server at %s:%u is the head: shard %s needs a server of its own (two may run on one "
                            "machine, each with its port and folder)",
                            s->address, s->port, s->name);
    }
    db_result_free(name);
    db_result_free(r);
    db_close(head);
    db_close(shard);
    return code;
}

int head_build(struct ctl *c, struct db *catalog, const struct ctl_shard *shards, size_t count, struct pofr_err *err)
{
    struct build b = { .catalog = catalog, .shards = shards, .count = count, .protection = BUF_INIT(16384) };
    char path[PATH_MAX];
    int code = ctl_head(c, NULL, &b.head, err);

    if (!code) {
        code = check_settings(b.head, err);
    }
    if (!code) {
        code = migrate_time_zones(c, b.head, err);
    }
    for (size_t i = 0; i < count && !code; i++) {
        code = head_make_server(c, b.head, &shards[i], err);
    }
    if (!code) {
        code = run(b.head, "CREATE DATABASE IF NOT EXISTS pofr CHARACTER SET utf8mb4", err);
    }
    if (!code) {
        code = run(b.head, "CREATE DATABASE IF NOT EXISTS pofr_compat CHARACTER SET utf8mb4", err);
    }
    if (!code) {
        code = ctl_shard_connect(c, &shards[0], NULL, &b.shard, err);
    }
    if (!code) {
        code = head_protect(c, &b.protection, err);
    }
    if (!code) {
        code = build_database(&b, "pofr", err);
    }
    if (!code) {
        code = build_database(&b, "pofr_compat", err);
    }
    if (!code) {
        code = drop_servers(b.head, shards, count, err);
    }
    if (!code) {
        code = migrate_account(c, b.head, "pofr_analyst", c->conf->analyst_password_file, err);
    }
    if (!code) {
        snprintf(path, sizeof(path), "%s/head/accounts.sql", ctl_sql_dir(c->conf));
        code = script_run_file(b.head, path, err);
    }
    if (!code) {
        code = head_limit_statements(c, b.head, err);
    }
    if (!code) {
        code = expose_all(c, catalog, b.head, err);
    }
    if (!code) {
        ctl_say(c, "migrate head: Spider tables over %zu shard%s", count, count == 1 ? "" : "s");
    }
    db_close(b.head);
    db_close(b.shard);
    buf_free(&b.protection);
    return code;
}
