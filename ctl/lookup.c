/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/lookup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int lookup_host(struct ctl *c, const char *what, struct db **out_catalog, struct lookup_host *out, struct pofr_err *err)
{
    struct db_value values[] = { DB_V_C(what), DB_V_C(what), DB_V_C(what) };
    struct db_result *r = NULL;
    int code = ctl_catalog(c, out_catalog, err);

    if (!code) {
        code = db_run(*out_catalog,
                      "SELECT host_id, slot, host, state, host_uuid FROM host WHERE host = ? OR CAST(host_id AS CHAR) "
                      "= ? OR host_uuid = UNHEX(REPLACE(?, '-', '')) LIMIT 2",
                      values, 3, &r, err);
    }
    if (!code && db_rows(r) == 0) {
        code = pofr_err_set(err, POFR_ENOTFOUND, "no host \"%s\" (give its name, host_id or uuid)", what);
    }
    if (!code && db_rows(r) > 1) {
        code = pofr_err_set(err, POFR_EUSAGE, "\"%s\" is the name of one host and the number of another: give the uuid",
                            what);
    }
    if (!code) {
        out->host_id = db_get_u64(r, 0, 0);
        out->slot = db_get_u64(r, 0, 1);
        snprintf(out->name, sizeof(out->name), "%s", (const char *)db_get(r, 0, 2).data);
        snprintf(out->state, sizeof(out->state), "%s", (const char *)db_get(r, 0, 3).data);
        memcpy(out->uuid, db_get(r, 0, 4).data, db_get(r, 0, 4).len == 16 ? 16 : 0);
    }
    db_result_free(r);
    return code;
}

int lookup_shard(struct ctl *c, struct db *catalog, uint64_t slot, struct db **out, struct pofr_err *err)
{
    struct db_value value = DB_V_U(slot);
    struct db_result *r = NULL;
    struct ctl_shard *shards = NULL;
    struct db *shard = NULL;
    size_t count = 0;
    int code = db_run(catalog, "SELECT shard_id FROM slot WHERE slot = ?", &value, 1, &r, err);
    uint64_t id = !code && db_rows(r) ? db_get_u64(r, 0, 0) : 0;

    db_result_free(r);
    if (!code) {
        code = ctl_shards(catalog, &shards, &count, err);
    }
    for (size_t i = 0; i < count && !code; i++) {
        if (shards[i].shard_id == id) {
            code = ctl_shard_connect(c, &shards[i], "pofr_store", &shard, err);
        }
    }
    if (!code && !shard) {
        code = pofr_err_set(err, POFR_ENOTFOUND, "slot %llu is on no shard", (unsigned long long)slot);
    }
    free(shards);
    if (!code) {
        *out = shard;
    }
    return code;
}
