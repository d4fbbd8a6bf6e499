/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/migrate.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/os/fsio.h"
#include "common/os/options.h"
#include "ctl/head.h"
#include "ctl/identity.h"
#include "ctl/script.h"

static int run(struct db *db, const char *sql, struct pofr_err *err)
{
    return db_run(db, sql, NULL, 0, NULL, err);
}

static int is_migration(const struct dirent *d)
{
    size_t len = strlen(d->d_name);

    return len > 8 && strspn(d->d_name, "0123456789") == 4 && d->d_name[4] == '_' &&
           strcmp(d->d_name + len - 4, ".sql") == 0;
}

static int is_applied(struct db *db, const char *name, bool *out_applied, struct pofr_err *err)
{
    struct db_value value = DB_V_C(name);
    struct db_result *r = NULL;
    int code = db_run(db, "SELECT 1 FROM schema_version WHERE name = ?", &value, 1, &r, err);

    if (!code) {
        *out_applied = db_rows(r) > 0;
        db_result_free(r);
    }
    return code;
}

int migrate_files(struct ctl *c, struct db *db, const char *part, const char *database, unsigned *out_applied,
                  struct pofr_err *err)
{
    struct dirent **files = NULL;
    char folder[PATH_MAX];
    int count;
    int code;

    *out_applied = 0;
    snprintf(folder, sizeof(folder), "%s/%s", ctl_sql_dir(c->conf), part);
    count = scandir(folder, &files, is_migration, alphasort);
    if (count <= 0) {
        return pofr_err_set(err, POFR_ECONFIG, "no migrations in %s (option sql_dir)", folder);
    }
    code = run(db,
               "CREATE TABLE IF NOT EXISTS schema_version (name VARCHAR(128) NOT NULL PRIMARY KEY, "
               "applied DATETIME(6) NOT NULL, version VARCHAR(32) NOT NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
               err);
    for (int i = 0; i < count && !code; i++) {
        struct db_value values[] = { DB_V_C(files[i]->d_name), DB_V_C(POFR_VERSION) };
        char path[PATH_MAX + 256];
        bool applied = false;

        code = is_applied(db, files[i]->d_name, &applied, err);
        if (code || applied) {
            continue;
        }
        ctl_say(c, "migrate %s: %s", database, files[i]->d_name);
        snprintf(path, sizeof(path), "%s/%s", folder, files[i]->d_name);
        code = script_run_file(db, path, err);
        if (!code) {
            code = db_run(db, "INSERT INTO schema_version VALUES (?, UTC_TIMESTAMP(6), ?)", values, 2, NULL, err);
            (*out_applied)++;
        }
    }
    for (int i = 0; i < count; i++) {
        free(files[i]);
    }
    free(files);
    return code;
}

static int zones_loaded(struct db *db, bool *out_loaded, struct pofr_err *err)
{
    struct db_result *r = NULL;
    int code = db_run(db, "SELECT CONVERT_TZ('2026-07-01 12:00:00', 'UTC', 'Europe/Athens')", NULL, 0, &r, err);

    if (!code) {
        *out_loaded = !db_is_null(r, 0, 0);
        db_result_free(r);
    }
    return code;
}

/* The text that mariadb-tzinfo-to-sql (MariaDB's own program) makes of /usr/share/zoneinfo. */
static int zones_text(struct buf *out, struct pofr_err *err)
{
    int fds[2];
    pid_t pid;
    int status = -1;
    int code = 0;

    if (pipe(fds)) {
        return pofr_err_sys(err, POFR_ESYSTEM, "pipe");
    }
    pid = fork();
    if (pid == 0) {
        dup2(fds[1], STDOUT_FILENO);
        close(fds[0]);
        close(fds[1]);
        if (!freopen("/dev/null", "w", stderr)) {
            _exit(127);
        }
        execlp("mariadb-tzinfo-to-sql", "mariadb-tzinfo-to-sql", "--skip-write-binlog", "/usr/share/zoneinfo",
               (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
    if (pid > 0) {
        code = fsio_read_fd(fds[0], "mariadb-tzinfo-to-sql", out, err);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
    }
    close(fds[0]);
    if (!code && (status != 0 || out->len == 0)) {
        code = pofr_err_set(err, POFR_ECONFIG,
                            "it has no time zones, and here is nothing to make them of. On its machine: "
                            "mariadb-tzinfo-to-sql /usr/share/zoneinfo | mariadb mysql; or here: install "
                            "mariadb-server and tzdata");
    }
    return code;
}

int migrate_time_zones(struct ctl *c, struct db *db, struct pofr_err *err)
{
    struct buf text = BUF_INIT(64U * 1024U * 1024U);
    bool loaded = false;
    int code = zones_loaded(db, &loaded, err);

    if (code || loaded) {
        return code;
    }
    ctl_say(c, "migrate: loading time zones");
    code = zones_text(&text, err);
    if (!code) {
        code = run(db, "USE mysql", err);
    }
    if (!code) {
        code = script_run(db, buf_slice(&text), "time zones", err);
    }
    buf_free(&text);
    if (!code) {
        code = zones_loaded(db, &loaded, err);
    }
    if (!code && !loaded) {
        code = pofr_err_set(err, POFR_ENOTFOUND, "the time zone tables are still empty after loading them");
    }
    return code;
}

/* How its connections must come. Analysts are people: a password inside TLS does, whatever is asked of programs. */
static int require(const struct ctl *c, struct db *db, const char *name, struct pofr_err *err)
{
    static const char *const words[] = {
        [CTL_REQUIRE_NOTHING] = "NONE", [CTL_REQUIRE_TLS] = "SSL", [CTL_REQUIRE_CERTIFICATE] = "X509"
    };
    int what = c->conf->require;
    struct db_value values[2] = { DB_V_C(name), DB_V_NULL };
    int code;

    if (what == CTL_REQUIRE_AS_IS) {
        return 0;
    }
    if (what == CTL_REQUIRE_CERTIFICATE && strcmp(name, "pofr_analyst") == 0) {
        what = CTL_REQUIRE_TLS;
    }
    values[1] = DB_V_C(words[what]);
    code = db_run(db, "SET @pofr_name = ?, @pofr_require = ?", values, 2, NULL, err);
    return code ? code
                : db_script(db,
                            slice_str("EXECUTE IMMEDIATE CONCAT('ALTER USER ', QUOTE(@pofr_name), '@''%'' REQUIRE ', "
                                      "@pofr_require)"),
                            err);
}

/* The server itself puts name and password together, quoted: they are values for us. */
int migrate_account(const struct ctl *c, struct db *db, const char *name, const char *password_file,
                    struct pofr_err *err)
{
    struct buf password = BUF_INIT(65536);
    struct db_value values[2] = { DB_V_C(name), DB_V_NULL };
    int code = 0;

    if (password_file[0]) {
        code = fsio_read_secret(password_file, &password, err);
        if (!code && !password.len) {
            code = pofr_err_set(err, POFR_ECONFIG, "%s is empty: everybody could be %s", password_file, name);
        }
        values[1] = DB_V_S(buf_slice(&password));
    }
    if (!code) {
        code = db_run(db, "SET @pofr_name = ?, @pofr_password = ?", values, 2, NULL, err);
    }
    if (!code) {
        code = db_script(
            db, slice_str("EXECUTE IMMEDIATE CONCAT('CREATE USER IF NOT EXISTS ', QUOTE(@pofr_name), '@''%''')"), err);
    }
    if (!code && password_file[0]) {
        code =
            db_script(db,
                      slice_str("EXECUTE IMMEDIATE CONCAT('ALTER USER ', QUOTE(@pofr_name), '@''%'' IDENTIFIED BY ', "
                                "QUOTE(@pofr_password))"),
                      err);
    }
    if (!code) {
        code = db_script(db, slice_str("SET @pofr_password = NULL"), err);
    }
    if (!code) {
        code = require(c, db, name, err);
    }
    if (password.data) {
        explicit_bzero(password.data, password.cap);
    }
    buf_free(&password);
    return code;
}

static int lock(struct db *db, struct pofr_err *err)
{
    return ctl_lock(db, "pofr_migrate", "another migration is running on this server", err);
}

static int accounts(struct db *db, const struct ctl *c, const char *part, struct pofr_err *err)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s/accounts.sql", ctl_sql_dir(c->conf), part);
    return script_run_file(db, path, err);
}

int migrate_catalog(struct ctl *c, struct pofr_err *err)
{
    const struct ctl_conf *f = c->conf;
    struct db *db = NULL;
    unsigned applied = 0;
    int code;

    code = ctl_catalog_server(c, &db, err);
    if (!code) {
        code = lock(db, err);
    }
    if (!code) {
        code = run(db, "CREATE DATABASE IF NOT EXISTS pofr_catalog CHARACTER SET utf8mb4", err);
    }
    if (!code) {
        code = run(db, "USE pofr_catalog", err);
    }
    if (!code) {
        code = migrate_files(c, db, "catalog", "pofr_catalog", &applied, err);
    }
    if (!code) {
        code = migrate_account(c, db, "pofr_gateway", f->gateway_password_file, err);
    }
    if (!code) {
        code = migrate_account(c, db, "pofr_worker", f->worker_password_file, err);
    }
    if (!code) {
        code = migrate_account(c, db, "pofr_merger", f->merger_password_file, err);
    }
    if (!code) {
        code = accounts(db, c, "catalog", err);
    }
    db_close(db);
    return code;
}

int migrate_shard(struct ctl *c, const struct ctl_shard *s, struct pofr_err *err)
{
    const struct ctl_conf *f = c->conf;
    struct db *db = NULL;
    unsigned applied = 0;
    int code = ctl_shard_connect(c, s, NULL, &db, err);

    if (!code) {
        code = lock(db, err);
    }
    if (!code) {
        code = migrate_time_zones(c, db, err);
    }
    if (!code) {
        code = run(db, "CREATE DATABASE IF NOT EXISTS pofr_store CHARACTER SET binary", err);
    }
    if (!code) {
        code = run(db, "CREATE DATABASE IF NOT EXISTS pofr CHARACTER SET utf8mb4", err);
    }
    if (!code) {
        code = run(db, "CREATE DATABASE IF NOT EXISTS pofr_compat CHARACTER SET utf8mb4", err);
    }
    if (!code) {
        code = run(db, "USE pofr_store", err);
    }
    if (!code) {
        code = migrate_files(c, db, "shard", s->name, &applied, err);
    }
    if (!code) {
        code = migrate_account(c, db, "pofr_worker", f->worker_password_file, err);
    }
    if (!code) {
        code = migrate_account(c, db, "pofr_merger", f->merger_password_file, err);
    }
    if (!code) {
        code = migrate_account(c, db, "pofr_spider", f->spider_password_file, err);
    }
    if (!code) {
        code = migrate_account(c, db, "pofr_analyst", f->analyst_password_file, err);
    }
    if (!code) {
        code = accounts(db, c, "shard", err);
    }
    if (!code) {
        code = head_limit_statements(c, db, err);
    }
    db_close(db);
    return code ? pofr_err_prefix(err, "shard %s", s->name) : 0;
}

/* One server under two names was possible before it had an identity: said, and left to `shard remove`. */
static int note_identity(struct ctl *c, struct db *catalog, const struct ctl_shard *s, struct pofr_err *err)
{
    struct identity id;
    int code = identity_read(c, s, &id, err);

    if (!code) {
        code = identity_is_new(catalog, s, &id, err);
        if (code == POFR_EREFUSED) {
            ctl_warn("shard %s: %s", s->name, err->text);
            *err = (struct pofr_err){ 0 };
            code = 0;
        }
    }
    return code ? code : identity_enter(catalog, s->shard_id, &id, err);
}

int migrate_main(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { NULL };
    const char *values[1];
    char *args[1];
    size_t args_count;
    struct pofr_err err = { 0 };
    struct ctl_shard *shards = NULL;
    struct db *catalog = NULL;
    size_t count = 0;
    int code;

    if (!ctl_options(c, argc, argv, names, values, args, 0, &args_count)) {
        return POFR_EXIT_USAGE;
    }
    code = migrate_catalog(c, &err);
    if (!code) {
        code = ctl_catalog(c, &catalog, &err);
    }
    if (!code) {
        code = ctl_shards(catalog, &shards, &count, &err);
    }
    for (size_t i = 0; i < count && !code; i++) {
        code = migrate_shard(c, &shards[i], &err);
        if (!code) {
            code = note_identity(c, catalog, &shards[i], &err);
        }
    }
    if (!code && count) {
        code = head_build(c, catalog, shards, count, &err);
    }
    if (!code && count) {
        code = head_reaches(c, shards, count, &err);
    }
    if (!code) {
        ctl_say(c, "migrate: catalog, %zu shard%s%s are at version %s", count, count == 1 ? "" : "s",
                count ? " and head" : "", POFR_VERSION);
    }
    db_close(catalog);
    free(shards);
    return code ? ctl_fail(&err) : POFR_EXIT_DONE;
}
