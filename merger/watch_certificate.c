/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When the certificates end that servers show: brokers in the handshake, databases by their own word on it. */
#include <inttypes.h>

#include "common/base/buf.h"
#include "common/db/db.h"
#include "common/os/clock.h"
#include "common/os/stat.h"
#include "merger/watch_parts.h"

/* As OpenSSL writes a time: "Nov 23 06:51:35 2027 GMT". */
int64_t watch_certificate_end(struct db *db)
{
    struct db_result *r = NULL;
    int64_t end_us = 0;

    if (db_run(db,
               "SELECT COALESCE(TIMESTAMPDIFF(SECOND, '1970-01-01', STR_TO_DATE(VARIABLE_VALUE, '%b %e %H:%i:%s %Y "
               "GMT')), 0) FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'Ssl_server_not_after'",
               NULL, 0, &r, NULL) == 0 &&
        db_rows(r) > 0) {
        end_us = (int64_t)db_get_u64(r, 0, 0) * CLOCK_US_PER_S;
    }
    db_result_free(r);
    return end_us;
}

static void write_one(struct buf *out, bool *any, const char *use, const char *server, int64_t end_us)
{
    if (end_us == 0) {
        return;
    }
    if (!*any) {
        stat_write_head(out, "pofr_server_certificate_expiry_timestamp_seconds", STAT_TYPE_GAUGE, "seconds",
                        "When the certificates end that brokers, catalog and shards show.");
        *any = true;
    }
    buf_printf(out, "pofr_server_certificate_expiry_timestamp_seconds{use=\"%s\",server=\"", use);
    watch_write_label(out, server);
    buf_printf(out, "\"} %" PRId64 "\n", end_us / CLOCK_US_PER_S);
}

void watch_write_certificates(const struct watch_view *v, struct buf *out)
{
    bool any = false;

    for (size_t i = 0; i < v->kafka_count; i++) {
        write_one(out, &any, "kafka", v->kafka[i].name, v->kafka[i].ends_us);
    }
    write_one(out, &any, "catalog", "catalog", v->catalog_ends_us);
    for (size_t i = 0; i < v->shards_count; i++) {
        write_one(out, &any, "shard", v->shards[i].at.name, v->shards[i].ends_us);
    }
}
