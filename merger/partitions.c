/* SPDX-License-Identifier: GPL-2.0-or-later */
/* partitions.c -- days made ahead, days dropped. CORRECTNESS 7.3: `open` is never touched, and DDL waits a second at most. */
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/os/log.h"
#include "common/os/service.h"
#include "merger/plan.h"
#include "merger/stats.h"
#include "merger/step.h"

static const struct {
    const char *table;
    bool ledger; /* partitioned by the day it was stored, kept for keep_bundle_days, no `open` */
} tables[] = {
    { "psinfo", false },    { "fileinfo", false }, { "netinfo", false },  { "userinfo", false },
    { "groupinfo", false }, { "netint", false },   { "netroute", false }, { "hostinfo", false },
    { "hwinfo", false },    { "login", false },    { "coverage", false }, { "bundle", true },
};

static int read_days(struct db *db, const char *table, int32_t **out_days, size_t *out_count, struct pofr_err *err)
{
    struct db_value value = DB_V_C(table);
    struct db_result *r = NULL;
    int32_t *days = NULL;
    size_t count = 0;
    int code = db_run(db,
                      "SELECT partition_name FROM information_schema.partitions WHERE table_schema = 'pofr_store' AND "
                      "table_name = ? AND partition_name IS NOT NULL ORDER BY partition_ordinal_position",
                      &value, 1, &r, err);

    if (code) {
        return code;
    }
    days = calloc(db_rows(r) ? db_rows(r) : 1, sizeof(*days));
    for (size_t i = 0; days && i < db_rows(r); i++) {
        count += plan_day_of_name(db_get(r, i, 0), &days[count]);
    }
    db_result_free(r);
    if (!days) {
        return pofr_err_set(err, POFR_ENOMEM, "partitions of %s", table);
    }
    *out_days = days;
    *out_count = count;
    return 0;
}

/* The text holds nothing but our own table names and numbers made of days. */
static int add_days(struct db *db, const char *table, bool ledger, int32_t from, int32_t to, struct pofr_err *err)
{
    struct buf sql = BUF_INIT(4U * 1024U * 1024U);
    int code;

    buf_printf(&sql, "ALTER TABLE pofr_store.%s REORGANIZE PARTITION future INTO (", table);
    for (int32_t day = from; day <= to; day++) {
        char name[10];
        char next[11];

        plan_name_of_day(day, name);
        plan_date_of_day(day + 1, next);
        buf_printf(&sql, "PARTITION %s VALUES LESS THAN ('%s 00:00:00'), ", name, next);
    }
    buf_printf(&sql, "PARTITION future VALUES LESS THAN (%s))", ledger ? "MAXVALUE" : "'9999-12-31 00:00:00'");
    code = sql.err ? sql.err : db_script(db, buf_slice(&sql), err);
    buf_free(&sql);
    return code;
}

static int drop_days(struct db *db, const char *table, const int32_t *days, size_t count, struct pofr_err *err)
{
    for (size_t i = 0; i < count; i++) {
        struct buf sql = BUF_INIT(256);
        char name[10];
        int code;

        plan_name_of_day(days[i], name);
        buf_printf(&sql, "ALTER TABLE pofr_store.%s DROP PARTITION %s", table, name);
        code = sql.err ? sql.err : db_script(db, buf_slice(&sql), err);
        buf_free(&sql);
        if (code) {
            return code;
        }
        log_info("partitions", "day_dropped", "table=%s partition=%s", table, name);
    }
    return 0;
}

static int one_table(const struct pass *p, struct shard *s, const char *table, bool ledger, struct pofr_err *err)
{
    struct plan_policy policy = { .today = p->today,
                                  .ahead_days = p->conf->ahead_days,
                                  .keep_days = ledger ? p->conf->keep_bundle_days : p->conf->keep_days };
    struct plan plan;
    int32_t *days = NULL;
    int32_t newest;
    size_t count = 0;
    int code = read_days(s->db, table, &days, &count, err);

    if (code) {
        return code;
    }
    plan_make(days, count, &policy, &plan);
    newest = count ? days[count - 1] : p->today - 1;
    if (plan.add_from <= plan.add_to) {
        code = add_days(s->db, table, ledger, plan.add_from, plan.add_to, err);
        if (!code) {
            newest = plan.add_to;
            stat_add(p->stats, STAT_merger_days_made, (uint64_t)plan.add_to - (uint64_t)plan.add_from + 1);
        }
    }
    if (!code && plan.drop_count) {
        code = drop_days(s->db, table, days, plan.drop_count, err);
        if (!code) {
            stat_add(p->stats, STAT_merger_days_dropped, plan.drop_count);
        }
    }
    s->days_ahead = newest - p->today < s->days_ahead ? newest - p->today : s->days_ahead;
    free(days);
    return code;
}

int step_partitions(const struct pass *p, struct shard *s, struct pofr_err *err)
{
    int code = db_run(s->db, "SET lock_wait_timeout = 1", NULL, 0, NULL, err);

    s->days_ahead = INT32_MAX;
    for (size_t i = 0; i < pofr_countof(tables) && !code; i++) {
        service_watchdog();
        code = one_table(p, s, tables[i].table, tables[i].ledger, err);
        if (code && db_last_error(s->db) == 1205) { /* somebody reads the table: not now */
            stat_add(p->stats, STAT_merger_ddl_postponed, 1);
            log_info("partitions", "postponed", "shard=%s table=%s", s->name, tables[i].table);
            code = 0;
        }
    }
    return code;
}
