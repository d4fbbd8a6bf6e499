/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/clones.h"

#include <stdio.h>

#include "ctl/table.h"

int clones_of_keys(struct db *head, struct buf *out, struct pofr_err *err)
{
    struct db_result *r = NULL;
    int code = db_run(head,
                      "SELECT DISTINCT host_id FROM finding WHERE kind = 'clone' AND at_time >= UTC_TIMESTAMP(6) - "
                      "INTERVAL 1 DAY",
                      NULL, 0, &r, err);

    for (size_t i = 0; !code && i < db_rows(r); i++) {
        buf_printf(out, "%s%llu", i ? "," : "", (unsigned long long)db_get_u64(r, i, 0));
    }
    db_result_free(r);
    return code || !out->err ? code : pofr_err_set(err, out->err, "list of hosts");
}

static int ask(struct ctl *c, struct db *head, struct db_result **out, struct pofr_err *err)
{
    struct buf keys = BUF_INIT(16 << 20);
    struct db *catalog = NULL;
    int code = clones_of_keys(head, &keys, err);

    if (!code) {
        code = ctl_catalog(c, &catalog, err);
    }
    if (!code) {
        struct db_value value = DB_V_S(buf_slice(&keys));

        code = db_run(catalog,
                      "SELECT h.host, h.cloned, " CLONES_OTHERS " AS same_machine_id FROM (SELECT h.*, " CLONES_WORDS
                      " AS cloned FROM host h HAVING cloned IS NOT NULL ORDER BY h.host LIMIT 10) h ORDER BY h.host",
                      &value, 1, out, err);
    }
    db_close(catalog);
    buf_free(&keys);
    return code;
}

int clones_part(struct ctl *c, struct db *head, struct pofr_err *err)
{
    struct db_result *r = NULL;
    int code = head ? ask(c, head, &r, err) : 0;
    bool known = head && !code;

    if (c->json) {
        printf("\"cloned\": ");
        if (!known) {
            printf("null");
        } else {
            table_print(r, true);
        }
        printf(", ");
    } else if (!known || db_rows(r) == 0) {
        printf("cloned machines: %s\n", known ? "none" : "not known");
    } else {
        printf("cloned machines\n");
        table_print(r, false);
        printf("\n");
    }
    db_result_free(r);
    return code;
}
