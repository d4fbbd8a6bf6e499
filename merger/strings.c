/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * strings.c -- strings that no row can refer to any more.
 *
 * A worker raises last_used to the day before it lets a row refer to a string. A row that is open may be
 * older than that, and when the server closes it by inference nobody raises anything; so each day the
 * strings of open rows are marked used first. Then a closed row's strings were used at most a day before
 * its end, and its day is dropped before the strings' time comes.
 */
#include "common/os/log.h"
#include "common/os/service.h"
#include "merger/plan.h"
#include "merger/stats.h"
#include "merger/step.h"

#define MARGIN_DAYS 3
#define CHUNK       5000

#define MARK(table, column)                                                                                            \
    "UPDATE pofr_store.string s JOIN (SELECT DISTINCT " column " AS id FROM pofr_store." table                         \
    " PARTITION (open) WHERE " column " IS NOT NULL) r ON r.id = s.id SET s.last_used = ? WHERE s.last_used < ?"

static const char *const mark_statements[] = {
    MARK("psinfo", "command_id"), MARK("psinfo", "exe_id"),       MARK("psinfo", "cwd_id"),
    MARK("psinfo", "cgroup_id"),  MARK("psinfo", "container_id"), MARK("fileinfo", "command_id"),
    MARK("fileinfo", "path_id"),  MARK("netinfo", "command_id"),
};

static int drop_unused(const struct pass *p, struct shard *s, const char *before, struct pofr_err *err)
{
    struct db_value values[] = { DB_V_C(before), DB_V_U(CHUNK) };
    uint64_t gone = 0;
    int code;

    do {
        service_watchdog();
        code = db_run(s->db, "DELETE FROM pofr_store.string WHERE last_used < ? LIMIT ?", values, 2, NULL, err);
        gone += code ? 0 : db_affected(s->db);
    } while (!code && db_affected(s->db) == CHUNK);
    if (gone) {
        stat_add(p->stats, STAT_merger_strings_dropped, gone);
        log_info("strings", "unused_dropped", "shard=%s count=%llu before=%s", s->name, (unsigned long long)gone,
                 before);
    }
    return code;
}

int step_strings(const struct pass *p, struct shard *s, struct pofr_err *err)
{
    char today[11];
    char before[11];
    int code = 0;

    if (s->strings_day == p->today) {
        return 0;
    }
    plan_date_of_day(p->today, today);
    plan_date_of_day(p->today - (int32_t)p->conf->keep_days - MARGIN_DAYS, before);
    for (size_t i = 0; i < pofr_countof(mark_statements) && !code; i++) {
        struct db_value values[] = { DB_V_C(today), DB_V_C(today) };

        service_watchdog();
        code = db_run(s->db, mark_statements[i], values, 2, NULL, err);
    }
    if (!code) {
        code = drop_unused(p, s, before, err);
    }
    if (!code) {
        s->strings_day = p->today;
    }
    return code;
}
