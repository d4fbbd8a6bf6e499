/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/strangers.h"

#define HOST_IDS "SELECT host_id FROM host ORDER BY host_id"

int strangers_count(struct ctl *c, struct db *catalog, const struct ctl_shard *s, uint64_t *out_count,
                    struct pofr_err *err)
{
    struct db_result *known = NULL;
    struct db_result *here = NULL;
    struct db *shard = NULL;
    int code = ctl_shard_connect(c, s, "pofr_store", &shard, err);

    if (!code) {
        code = db_run(shard, HOST_IDS, NULL, 0, &here, err);
    }
    if (!code) {
        code = db_run(catalog, HOST_IDS, NULL, 0, &known, err);
    }
    for (size_t i = 0, k = 0; !code && i < db_rows(here); i++) {
        uint64_t id = db_get_u64(here, i, 0);

        while (k < db_rows(known) && db_get_u64(known, k, 0) < id) {
            k++;
        }
        *out_count += k == db_rows(known) || db_get_u64(known, k, 0) != id;
    }
    db_result_free(here);
    db_result_free(known);
    db_close(shard);
    return code;
}
