/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status.c -- pofrctl status: does everything that was recorded arrive? One screen. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/os/options.h"
#include "ctl/lag.h"
#include "ctl/nouns.h"
#include "ctl/table.h"

#define SILENT_S 60 /* a host whose newest tick is older than this is silent */

struct part {
    const char *key; /* in JSON */
    const char *title;
    const char *sql; /* one parameter: SILENT_S, or none */
    bool silent;
};

/* Each runs on the head; none reads more than the small tables. */
static const struct part parts[] = {
    { "hosts", "hosts",
      "SELECT COUNT(*) AS hosts, COALESCE(SUM(state = 'active' AND last_tick >= UTC_TIMESTAMP(6) - INTERVAL ? SECOND), "
      "0) AS reporting, "
      "COALESCE(SUM(state = 'active' AND last_tick < UTC_TIMESTAMP(6) - INTERVAL ? SECOND), 0) AS silent, "
      "COALESCE(SUM(state = 'active' AND last_tick IS NULL), 0) AS never, COALESCE(SUM(state = 'pending'), 0) AS "
      "pending, "
      "COALESCE(SUM(state = 'retired'), 0) AS retired FROM host",
      true },
    { "freshness_seconds", "freshness of reporting hosts, seconds",
      "SELECT ROUND(MIN(age), 1) AS best, ROUND(AVG(age), 1) AS mean, ROUND(MAX(age), 1) AS worst FROM (SELECT "
      "TIMESTAMPDIFF(MICROSECOND, last_tick, UTC_TIMESTAMP(6)) / 1000000 AS age FROM host WHERE state = 'active' AND "
      "last_tick >= "
      "UTC_TIMESTAMP(6) - INTERVAL ? SECOND AND last_tick >= UTC_TIMESTAMP(6) - INTERVAL ? SECOND) x",
      true },
    { "records", "records",
      "SELECT COALESCE(SUM(records_total), 0) AS recorded, COALESCE(SUM(records), 0) AS stored, (SELECT "
      "COALESCE(SUM(records), 0) FROM "
      "set_aside WHERE replayed IS NULL) AS set_aside, (SELECT COALESCE(SUM(lost), 0) FROM gap WHERE explained = 0 AND "
      "kind IN "
      "('sequence', 'refused', 'retention')) AS in_gaps, COALESCE(SUM(lost_total), 0) AS lost_on_hosts FROM host",
      false },
    { "gaps_24h", "gaps not explained, last 24 h",
      "SELECT host, kind, COUNT(*) AS gaps, SUM(lost) AS lost, MAX(to_time) AS newest FROM gap WHERE explained = 0 AND "
      "to_time >= "
      "UTC_TIMESTAMP(6) - INTERVAL 1 DAY GROUP BY host, kind ORDER BY newest DESC LIMIT 10",
      false },
    { "slot_gaps_8d", "slots whose log was cut or replaced before it was stored, last 8 days",
      "SELECT slot, incarnation, kind, from_offset, to_offset, noted FROM slot_gap WHERE noted >= UTC_TIMESTAMP(6) - "
      "INTERVAL 8 DAY ORDER BY noted DESC LIMIT 10",
      false },
    { "findings_24h", "findings, last 24 h",
      "SELECT host, kind, COUNT(*) AS findings, MAX(at_time) AS newest FROM finding WHERE at_time >= UTC_TIMESTAMP(6) "
      "- INTERVAL 1 DAY "
      "GROUP BY host, kind ORDER BY newest DESC LIMIT 10",
      false },
    { "set_aside", "set aside",
      "SELECT reason, COUNT(*) AS messages, MAX(noted) AS newest FROM set_aside WHERE replayed IS NULL GROUP BY reason",
      false },
    { "silent_hosts", "silent hosts",
      "SELECT host, last_tick, last_bundle FROM host WHERE state = 'active' AND (last_tick < UTC_TIMESTAMP(6) - "
      "INTERVAL ? SECOND AND "
      "last_tick < UTC_TIMESTAMP(6) - INTERVAL ? SECOND) ORDER BY last_tick LIMIT 10",
      true },
};

static int one_part(struct ctl *c, struct db *head, const struct part *p, struct pofr_err *err)
{
    struct db_value values[] = { DB_V_U(SILENT_S), DB_V_U(SILENT_S) };
    struct db_result *r = NULL;
    int code = db_run(head, p->sql, values, p->silent ? 2 : 0, &r, err);

    if (!code && c->json) {
        printf("\"%s\": ", p->key);
        table_print(r, true);
        printf(", ");
    } else if (!code && db_rows(r) == 0) {
        printf("%s: none\n", p->title);
    } else if (!code) {
        printf("%s\n", p->title);
        table_print(r, false);
        printf("\n");
    }
    db_result_free(r);
    return code;
}

static int lag_part(struct ctl *c, struct pofr_err *err)
{
    struct lag_slot *slots = NULL;
    size_t count = 0;
    size_t behind = 0;
    int64_t sum = 0;
    int64_t worst = 0;
    unsigned worst_slot = 0;
    bool partial = false;
    int code = lag_read(c, &slots, &count, &partial, err);

    if (code) {
        printf(c->json ? "\"lag\": null}\n" : "lag: not known: %s\n", err->text);
        return code;
    }
    for (size_t i = 0; i < count; i++) {
        sum += slots[i].lag;
        behind += slots[i].lag > 0;
        if (slots[i].lag > worst) {
            worst = slots[i].lag;
            worst_slot = slots[i].slot;
        }
    }
    if (c->json) {
        printf("\"lag\": {\"slots\": %zu, \"behind\": %zu, \"messages\": %lld, \"worst\": %lld, \"worst_slot\": %u, "
               "\"complete\": %s}}\n",
               count, behind, (long long)sum, (long long)worst, worst_slot, partial ? "false" : "true");
    } else {
        printf("lag: %lld messages in %zu of %zu slots", (long long)sum, behind, count);
        printf(worst ? ", most in slot %u: %lld\n" : "\n", worst_slot, (long long)worst);
    }
    if (partial) {
        fprintf(stderr, "pofrctl: not complete: %s\n", err->text);
    }
    free(slots);
    return partial ? POFR_EDBBUSY : 0;
}

int status_main(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { NULL };
    const char *v[1];
    char *args[1];
    size_t args_count;
    struct pofr_err err = { 0 };
    struct db *head = NULL;
    int code;

    if (!ctl_options(argc, argv, names, v, args, 0, &args_count)) {
        return POFR_EXIT_USAGE;
    }
    code = ctl_head(c, "pofr", &head, &err);
    printf("%s", !code && c->json ? "{" : "");
    for (size_t i = 0; i < pofr_countof(parts) && !code; i++) {
        code = one_part(c, head, &parts[i], &err);
    }
    if (!code) {
        code = lag_part(c, &err);
    }
    db_close(head);
    return code ? ctl_fail(&err) : POFR_EXIT_DONE;
}
