/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/identity.h"

#include <string.h>

#define NO_SUCH_DATABASE 1049
#define NO_SUCH_TABLE    1146

int identity_read(struct ctl *c, const struct ctl_shard *s, struct identity *out, struct pofr_err *err)
{
    struct db_result *r = NULL;
    struct db *db = NULL;
    int code = ctl_shard_connect(c, s, NULL, &db, err);

    if (code) {
        return code;
    }
    *out = (struct identity){ 0 };
    code = db_run(db, "SELECT identity FROM pofr_store.identity", NULL, 0, &r, err);
    if (code && (db_last_error(db) == NO_SUCH_DATABASE || db_last_error(db) == NO_SUCH_TABLE)) {
        code = 0;
    } else if (!code && db_rows(r) == 1 && db_get(r, 0, 0).len == sizeof(out->b)) {
        out->known = true;
        memcpy(out->b, db_get(r, 0, 0).data, sizeof(out->b));
    } else if (!code) {
        code = pofr_err_set(err, POFR_EFORMAT, "shard %s: table identity has not its one row", s->name);
    }
    db_result_free(r);
    db_close(db);
    return code;
}

int identity_is_new(struct db *catalog, const struct ctl_shard *s, const struct identity *id, struct pofr_err *err)
{
    struct db_value values[] = { DB_V_C(s->name), id->known ? DB_V_S(slice_of(id->b, sizeof(id->b))) : DB_V_NULL,
                                 DB_V_C(s->address), DB_V_U(s->port) };
    struct db_result *r = NULL;
    int code = db_run(catalog,
                      "SELECT name FROM shard WHERE name <> ? AND (identity = ? OR (identity IS NULL AND address = ? "
                      "AND port = ?)) ORDER BY shard_id LIMIT 1",
                      values, 4, &r, err);

    if (!code && db_rows(r)) {
        code = pofr_err_set(err, POFR_EREFUSED, "the server at %s:%u is in the catalog already, as shard %s",
                            s->address, s->port, (const char *)db_get(r, 0, 0).data);
    }
    db_result_free(r);
    return code;
}

int identity_enter(struct db *catalog, uint32_t shard_id, const struct identity *id, struct pofr_err *err)
{
    struct db_value values[] = { DB_V_S(slice_of(id->b, sizeof(id->b))), DB_V_U(shard_id) };

    return db_run(catalog, "UPDATE shard SET identity = ? WHERE shard_id = ?", values, 2, NULL, err);
}
