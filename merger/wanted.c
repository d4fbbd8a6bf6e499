/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wanted.c -- bundles that are missing are asked of their hosts again: an agent keeps what was acked until it needs the room.
 *
 * gap (shard) -> wanted (catalog) -> the gateway's answer to HELLO -> the host sends them before anything new -> the worker
 * explains the gap. What the host has no more is known by what it sent after them; then the gap is not asked for again. While
 * a host is told that they are wanted it does not remove them, so no row may stay for ever.
 */
#include "common/base/buf.h"
#include "common/os/log.h"
#include "common/os/service.h"
#include "merger/stats.h"
#include "merger/step.h"

#define SETTLED_S 10           /* a gap that is younger may be a disorder on the way */
#define GAPS_MAX  1000         /* in one pass */
#define HOST_MAX  64           /* ranges of a host: MESSAGE_WANTED_MAX */
#define ALL_MAX   100000       /* of all hosts; the gateway takes 200,000 */
#define TOLD_S    60           /* by then every gateway has told it to a host that is connected */
#define GIVE_UP_S (30 * 86400) /* a host that has not come by then */

static int ask(struct db *catalog, const struct db_result *r, size_t row, struct pofr_err *err)
{
    struct db_value host = DB_V_U(db_get_u64(r, row, 0)), first = DB_V_U(db_get_u64(r, row, 1)),
                    last = DB_V_U(db_get_u64(r, row, 2));
    struct db_value values[] = { host, first, last, DB_V_U(ALL_MAX), host, DB_V_U(HOST_MAX), host, first, last };

    return db_run(
        catalog,
        "INSERT INTO wanted (host_id, first_sequence, last_sequence, since) SELECT ?, ?, ?, UTC_TIMESTAMP(6) "
        "FROM DUAL WHERE (SELECT COUNT(*) FROM wanted) < ? AND (SELECT COUNT(*) FROM wanted WHERE host_id = ?) "
        "< ? AND NOT EXISTS (SELECT 1 FROM wanted WHERE host_id = ? AND first_sequence <= ? AND last_sequence "
        ">= ?)",
        values, pofr_countof(values), NULL, err);
}

static int ask_for_missing(const struct pass *p, struct shard *s, struct pofr_err *err)
{
    struct db_value values[] = { DB_V_U(SETTLED_S), DB_V_U(GAPS_MAX) };
    struct db_result *r = NULL;
    int code =
        db_run(s->db,
               "SELECT g.host_id, g.first_sequence, g.last_sequence FROM pofr_store.gap g JOIN pofr_store.host h ON "
               "h.host_id = g.host_id JOIN pofr_store.slot l ON l.slot = h.slot AND l.state = 'owned' JOIN "
               "pofr_store.ingest_offset o ON o.slot = h.slot AND o.state = 'owned' WHERE g.kind = "
               "'sequence' AND g.explained = 0 AND g.asked IS NULL AND g.first_sequence > 0 AND h.state = 'active' AND "
               "g.noted < UTC_TIMESTAMP(6) - INTERVAL ? SECOND ORDER BY g.host_id, g.first_sequence LIMIT ?",
               values, pofr_countof(values), &r, err);

    for (size_t i = 0; !code && i < db_rows(r); i++) {
        code = ask(p->catalog, r, i, err);
        if (!code && db_affected(p->catalog) > 0) {
            stat_add(p->stats, STAT_merger_wanted, 1);
            log_info("wanted", "asked", "shard=%s host_id=%llu first=%llu last=%llu", s->name,
                     (unsigned long long)db_get_u64(r, i, 0), (unsigned long long)db_get_u64(r, i, 1),
                     (unsigned long long)db_get_u64(r, i, 2));
        }
    }
    db_result_free(r);
    return code;
}

enum wanted_answer { /* as look_at_answer() asks for it */
    WANTED_NONE,
    WANTED_CAME, /* no gap is left there */
    WANTED_GONE, /* the host came, and sent what it has */
};

/* The host sends them before anything new, and a slot keeps the order: what came in its session beyond them ends the waiting. */
static int look_at_answer(struct shard *s, const struct db_result *r, size_t row, enum wanted_answer *out,
                          struct pofr_err *err)
{
    struct db_value host = DB_V_U(db_get_u64(r, row, 0)), first = DB_V_U(db_get_u64(r, row, 1)),
                    last = DB_V_U(db_get_u64(r, row, 2)), since = DB_V_S(db_get(r, row, 3));
    struct db_value values[] = { host, last, first, host, since, last };
    struct db_result *answer = NULL;
    int code = db_run(
        s->db,
        "SELECT NOT EXISTS (SELECT 1 FROM pofr_store.gap WHERE host_id = ? AND kind = 'sequence' AND explained = 0 "
        "AND first_sequence <= ? AND last_sequence >= ?), EXISTS (SELECT 1 FROM pofr_store.spool_report r JOIN "
        "pofr_store.host_state t ON t.host_id = r.host_id WHERE r.host_id = ? AND r.hello > ? AND t.last_bundle > "
        "r.hello + INTERVAL 1 SECOND AND t.newest_sequence > ?)",
        values, pofr_countof(values), &answer, err);

    if (!code) {
        bool told = db_get_u64(r, row, 4) >= TOLD_S;
        bool over = db_get_u64(r, row, 5) == 0 || db_get_u64(r, row, 4) >= GIVE_UP_S;

        *out = db_get_u64(answer, 0, 0)                     ? WANTED_CAME
               : over || (told && db_get_u64(answer, 0, 1)) ? WANTED_GONE
                                                            : WANTED_NONE;
    }
    db_result_free(answer);
    return code;
}

static int settle(const struct pass *p, struct shard *s, const struct db_result *r, size_t row, struct pofr_err *err)
{
    struct db_value host = DB_V_U(db_get_u64(r, row, 0)), first = DB_V_U(db_get_u64(r, row, 1)),
                    last = DB_V_U(db_get_u64(r, row, 2));
    struct db_value range[] = { host, last, first }, key[] = { host, first };
    enum wanted_answer answer = WANTED_NONE;
    int code = look_at_answer(s, r, row, &answer, err);

    if (!code && answer == WANTED_GONE) {
        code = db_run(s->db,
                      "UPDATE pofr_store.gap SET asked = UTC_TIMESTAMP(6) WHERE host_id = ? AND kind = 'sequence' AND "
                      "explained = 0 AND asked IS NULL AND first_sequence <= ? AND last_sequence >= ?",
                      range, pofr_countof(range), NULL, err);
    }
    if (!code && answer != WANTED_NONE) {
        code = db_run(p->catalog, "DELETE FROM wanted WHERE host_id = ? AND first_sequence = ?", key, 2, NULL, err);
    }
    if (!code && answer != WANTED_NONE) {
        stat_add(p->stats, answer == WANTED_CAME ? STAT_merger_wanted_came : STAT_merger_wanted_gone, 1);
        log_info("wanted", answer == WANTED_CAME ? "came" : "gone", "shard=%s host_id=%llu first=%llu last=%llu",
                 s->name, (unsigned long long)db_get_u64(r, row, 0), (unsigned long long)db_get_u64(r, row, 1),
                 (unsigned long long)db_get_u64(r, row, 2));
    }
    return code;
}

static int settle_all(const struct pass *p, struct shard *s, struct pofr_err *err)
{
    struct db_value shard = DB_V_U(s->shard_id);
    struct db_result *r = NULL;
    int code =
        db_run(p->catalog,
               "SELECT w.host_id, w.first_sequence, w.last_sequence, w.since, GREATEST(TIMESTAMPDIFF(SECOND, w.since, "
               "UTC_TIMESTAMP(6)), 0), h.state = 'active' FROM wanted w JOIN host h ON h.host_id = w.host_id JOIN slot "
               "l ON l.slot = h.slot WHERE l.shard_id = ? AND l.slot NOT IN (SELECT m.slot FROM slot_move m)",
               &shard, 1, &r, err);

    for (size_t i = 0; !code && i < db_rows(r); i++) {
        service_watchdog();
        code = settle(p, s, r, i, err);
    }
    db_result_free(r);
    return code;
}

int step_wanted(const struct pass *p, struct shard *s, struct pofr_err *err)
{
    int code = settle_all(p, s, err); /* before: a range that is done makes room */

    return code ? code : ask_for_missing(p, s, err);
}
