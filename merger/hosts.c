/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hosts.c -- the shard's copy of the catalog's hosts, and the rows of hosts that were retired. */
#include "common/os/log.h"
#include "common/os/service.h"
#include "merger/stats.h"
#include "merger/step.h"

static int put_host(struct db *shard, const struct db_result *r, size_t row, struct pofr_err *err)
{
    struct db_value values[7];

    for (size_t i = 0; i < 7; i++) {
        values[i] = DB_V_S(db_get(r, row, i));
    }
    return db_run(shard,
                  "INSERT INTO pofr_store.host (host_id, host_uuid, host, host_group, state, slot, enrolled) "
                  "VALUES (?, ?, ?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE host = VALUES(host), "
                  "host_group = VALUES(host_group), state = VALUES(state)",
                  values, 7, NULL, err);
}

/* Once per pair: both enrolments have one time, the later one's. The columns: see copy_hosts(). */
static int note_twin(struct db *shard, const struct db_result *r, size_t row, struct pofr_err *err)
{
    struct db_value host_id = DB_V_S(db_get(r, row, 0)), at = DB_V_S(db_get(r, row, 9));
    struct db_value values[] = { host_id, at, DB_V_S(db_get(r, row, 8)), host_id, at };

    return db_run(
        shard,
        "INSERT INTO pofr_store.finding (host_id, boot, at_time, kind, detail) SELECT ?, 0, ?, 'machine_id', "
        "CONCAT('host ', ?, ' has the same machine id: one is a clone, or this machine was enrolled again') "
        "FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM pofr_store.finding f WHERE f.host_id = ? AND f.at_time = ? "
        "AND f.kind = 'machine_id')",
        values, pofr_countof(values), NULL, err);
}

/*
 * Rows of a slot that is on its way to another shard are changed by nobody. Where it came or stays in the end, what was changed
 * meanwhile is read, which may be older than what was read of other slots.
 */
static int look_at_map(const struct pass *p, struct shard *s, struct pofr_err *err)
{
    struct db_value value = DB_V_U(s->shard_id);
    struct db_result *r = NULL;
    int code =
        db_run(p->catalog,
               "SELECT COUNT(*), COALESCE(SUM(l.generation), 0), COUNT(m.slot) FROM slot l LEFT JOIN slot_move m "
               "ON m.slot = l.slot WHERE l.shard_id = ?",
               &value, 1, &r, err);

    for (size_t i = 0; !code && i < pofr_countof(s->map); i++) {
        uint64_t now = db_get_u64(r, 0, i);

        s->hosts_changed = now == s->map[i] ? s->hosts_changed : 0;
        s->map[i] = now;
    }
    db_result_free(r);
    return code;
}

static int copy_hosts(const struct pass *p, struct shard *s, struct pofr_err *err)
{
    struct db_value values[] = { DB_V_U(s->shard_id), DB_V_U(s->hosts_changed) };
    struct db_result *r = NULL;
    uint64_t newest = s->hosts_changed;
    int code =
        db_run(p->catalog,
               "SELECT h.host_id, h.host_uuid, h.host, h.host_group, h.state, h.slot, h.enrolled, h.changed, t.host, "
               "GREATEST(h.enrolled, t.enrolled) FROM host h JOIN slot l ON l.slot = h.slot LEFT JOIN host t ON "
               "h.state IN ('pending', 'active') AND t.number = (SELECT o.number FROM host o WHERE o.machine_id = "
               "h.machine_id AND o.machine_id <> '' AND o.number <> h.number AND o.state IN ('pending', 'active') "
               "ORDER BY o.number LIMIT 1) "
               "WHERE l.shard_id = ? AND h.changed > ? AND h.state <> 'erased' AND l.slot NOT IN (SELECT m.slot FROM "
               "slot_move m) ORDER BY h.changed",
               values, 2, &r, err);

    for (size_t i = 0; !code && i < db_rows(r); i++) {
        code = put_host(s->db, r, i, err);
        if (!code && !db_is_null(r, i, 8)) {
            code = note_twin(s->db, r, i, err);
        }
        newest = db_get_u64(r, i, 7);
    }
    if (!code) {
        s->hosts_changed = newest;
    }
    db_result_free(r);
    return code;
}

int step_hosts(const struct pass *p, struct shard *s, struct pofr_err *err)
{
    int code = look_at_map(p, s, err);

    return code ? code : copy_hosts(p, s, err);
}

#define CLOSE(table)                                                                                                   \
    "UPDATE pofr_store." table " x JOIN pofr_store.boot b ON b.host_id = x.host_id AND b.boot = x.boot SET "           \
    "x.last_seen = GREATEST(b.last_tick, x.first_seen), x.ended = GREATEST(b.last_tick, x.first_seen), "               \
    "x.end_source = 'retired', x.end_inferred = 1, x.end_before = NULL WHERE x.host_id = ? AND "                       \
    "x.ended = '9999-12-31 23:59:59.999999'"

static const char *const close_statements[] = {
    CLOSE("psinfo"),
    CLOSE("fileinfo"),
    CLOSE("netinfo"),
    CLOSE("userinfo"),
    CLOSE("groupinfo"),
    CLOSE("netint"),
    CLOSE("netroute"),
    CLOSE("hostinfo"),
    CLOSE("hwinfo"),
    CLOSE("login"),
    CLOSE("coverage"),
    "UPDATE pofr_store.boot SET closed = 'retired' WHERE host_id = ? AND closed = 'no'",
    "DELETE FROM pofr_store.open_state WHERE host_id = ?",
};

/* The slot's offset row is the lock that every worker takes first, and pofrctl slot move: nobody else changes this host meanwhile. */
static int close_host(struct shard *s, struct db_value host_id, struct db_value slot, struct pofr_err *err)
{
    struct pofr_err ignored;
    struct db_result *r = NULL;
    bool ours;
    int code = db_run(s->db, "START TRANSACTION", NULL, 0, NULL, err);

    if (!code) {
        code = db_run(s->db,
                      "SELECT next_offset FROM pofr_store.ingest_offset WHERE slot = ? AND state = 'owned' FOR UPDATE",
                      &slot, 1, &r, err);
    }
    ours = !code && db_rows(r) > 0;
    db_result_free(r);
    for (size_t i = 0; i < pofr_countof(close_statements) && !code && ours; i++) {
        code = db_run(s->db, close_statements[i], &host_id, 1, NULL, err);
    }
    if (!code && ours) { /* workers that remember this host's open rows read them anew */
        code = db_run(s->db, "UPDATE pofr_store.ingest_offset SET revision = revision + 1 WHERE slot = ?", &slot, 1,
                      NULL, err);
    }
    if (!code) {
        return db_run(s->db, "COMMIT", NULL, 0, NULL, err);
    }
    if (db_run(s->db, "ROLLBACK", NULL, 0, NULL, &ignored)) {
        log_warn("hosts", "rollback_failed", "shard=%s error=\"%s\"", s->name, ignored.text);
    }
    return code;
}

int step_retired(const struct pass *p, struct shard *s, struct pofr_err *err)
{
    struct db_result *r = NULL;
    int code =
        db_run(s->db,
               "SELECT h.host_id, h.slot FROM pofr_store.host h JOIN pofr_store.ingest_offset i ON i.slot = h.slot AND "
               "i.state = 'owned' WHERE h.state = 'retired' AND (EXISTS (SELECT 1 FROM pofr_store.open_state o WHERE "
               "o.host_id = h.host_id) OR EXISTS (SELECT 1 FROM pofr_store.boot b WHERE b.host_id = h.host_id AND "
               "b.closed = 'no'))",
               NULL, 0, &r, err);

    for (size_t i = 0; !code && i < db_rows(r); i++) {
        service_watchdog();
        code = close_host(s, DB_V_U(db_get_u64(r, i, 0)), DB_V_U(db_get_u64(r, i, 1)), err);
        if (!code) {
            stat_add(p->stats, STAT_merger_hosts_closed, 1);
            log_info("hosts", "retired_closed", "shard=%s host_id=%llu", s->name,
                     (unsigned long long)db_get_u64(r, i, 0));
        }
    }
    db_result_free(r);
    return code;
}
