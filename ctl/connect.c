/* SPDX-License-Identifier: GPL-2.0-or-later */
/* connect.c -- pofrctl's way to the catalog, the head and the shards. */
#include "ctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hostport.h"
#include "common/os/options.h"
#include "ctl/table.h"

#define LOCK_WAIT_S 60

/* What a connection lacks (a password's file, a database) is no answer, such as that there is no such host: exit code 2. */
static int not_connected(struct pofr_err *err)
{
    if (err->code == POFR_ENOTFOUND) {
        err->code = POFR_ECONFIG;
    }
    return err->code;
}

static int connect_to(const struct ctl_server *s, const char *what, const char *database, struct db **out_db,
                      struct pofr_err *err)
{
    struct hostport hp;
    struct db_address a = {
        .user = s->user, .password_file = s->password_file, .database = database, .tls = s->tls, .io_timeout_s = 3600
    };
    int code = hostport_parse(slice_str(s->address), 3306, &hp);

    if (code) {
        return pofr_err_set(err, POFR_ECONFIG, "%s address \"%s\" is not host:port", what, s->address);
    }
    a.host = hp.host;
    a.port = hp.port;
    code = db_connect(&a, out_db, err);
    if (code) {
        POFR_IGNORE(pofr_err_prefix(err, "%s at %s", what, s->address));
        return not_connected(err);
    }
    return 0;
}

int ctl_catalog_server(const struct ctl *c, struct db **out_db, struct pofr_err *err)
{
    return connect_to(&c->conf->catalog, "catalog", NULL, out_db, err);
}

int ctl_catalog(const struct ctl *c, struct db **out_db, struct pofr_err *err)
{
    return connect_to(&c->conf->catalog, "catalog", "pofr_catalog", out_db, err);
}

int ctl_show_catalog(const struct ctl *c, const char *sql, const struct db_value *values, size_t count)
{
    struct pofr_err err = { 0 };
    struct db_result *r = NULL;
    struct db *catalog = NULL;
    int code = ctl_catalog(c, &catalog, &err);

    if (!code) {
        code = db_run(catalog, sql, values, count, &r, &err);
    }
    if (!code) {
        table_print(r, c->json);
    }
    db_result_free(r);
    db_close(catalog);
    return code ? ctl_fail(&err) : POFR_EXIT_DONE;
}

int ctl_list_catalog(struct ctl *c, int argc, char **argv, const char *sql)
{
    static const char *const names[] = { NULL };
    const char *values[1];
    char *args[1];
    size_t args_count;

    return ctl_options(c, argc, argv, names, values, args, 0, &args_count) ? ctl_show_catalog(c, sql, NULL, 0)
                                                                           : POFR_EXIT_USAGE;
}

int ctl_head(const struct ctl *c, const char *database, struct db **out_db, struct pofr_err *err)
{
    return connect_to(&c->conf->head, "head", database, out_db, err);
}

int ctl_shard_connect(const struct ctl *c, const struct ctl_shard *s, const char *database, struct db **out_db,
                      struct pofr_err *err)
{
    struct db_address a = { .host = s->address,
                            .port = s->port,
                            .user = c->conf->shard_user,
                            .password_file = c->conf->shard_password_file,
                            .tls = c->conf->shard_tls,
                            .database = database,
                            .io_timeout_s = 3600 };
    int code = db_connect(&a, out_db, err);

    if (code) {
        POFR_IGNORE(pofr_err_prefix(err, "shard %s at %s:%u", s->name, s->address, s->port));
        return not_connected(err);
    }
    return 0;
}

int ctl_lock(struct db *db, const char *name, const char *text, struct pofr_err *err)
{
    struct db_value values[] = { DB_V_C(name), DB_V_U(LOCK_WAIT_S) };
    struct db_result *r = NULL;
    int code = db_run(db, "SELECT GET_LOCK(?, ?)", values, 2, &r, err);

    if (!code && db_get_u64(r, 0, 0) != 1) {
        code = pofr_err_set(err, POFR_EBUSY, "%s", text);
    }
    db_result_free(r);
    return code;
}

const struct ctl_shard *ctl_shard_named(const struct ctl_shard *shards, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(shards[i].name, name) == 0) {
            return &shards[i];
        }
    }
    return NULL;
}

int ctl_shards(struct db *catalog, struct ctl_shard **out_shards, size_t *out_count, struct pofr_err *err)
{
    struct db_result *r = NULL;
    struct ctl_shard *shards = NULL;
    int code = db_run(catalog, "SELECT shard_id, name, address, port FROM shard ORDER BY shard_id", NULL, 0, &r, err);

    if (code) {
        return code;
    }
    shards = calloc(db_rows(r) ? db_rows(r) : 1, sizeof(*shards));
    if (!shards) {
        db_result_free(r);
        return pofr_err_set(err, POFR_ENOMEM, "shards");
    }
    for (size_t i = 0; i < db_rows(r); i++) {
        shards[i].shard_id = (uint32_t)db_get_u64(r, i, 0);
        snprintf(shards[i].name, sizeof(shards[i].name), "%s", (const char *)db_get(r, i, 1).data);
        snprintf(shards[i].address, sizeof(shards[i].address), "%s", (const char *)db_get(r, i, 2).data);
        shards[i].port = (uint16_t)db_get_u64(r, i, 3);
    }
    *out_shards = shards;
    *out_count = db_rows(r);
    db_result_free(r);
    return 0;
}
