/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ORDER  catalog: slot_move        the slot is under way
 *        target:  arriving         nobody shows or stores it there
 *        source:  leaving          nothing is stored any more, its messages wait in Kafka; it is still shown
 *        target:  rows, offset     deleted, copied, compared; again from here after a cut
 *        source:  gone             from here on it can't be copied again, and need not be
 *        catalog: slot             the worker goes on at the target as soon as it is owned there
 *        head:    its partition    waits for every query that may have read the source before
 *        target:  owned
 *        catalog: slot_move        deleted
 *
 * VALID  A slot is shown where slot.state is owned, and stored where ingest_offset.state is: at no moment at two shards. One query
 *        asks one shard after the other, and would see it at both all the same, did the head not come between.
 */
#include "ctl/move.h"

#include <stdio.h>
#include <string.h>

#include "common/os/stop_point.h"
#include "ctl/head.h"
#include "ctl/move_rows.h"
#include "ctl/slots.h"

#define TRIES 3 /* somebody else changed rows of the slot at the source: pofrctl, a merger that had begun */

struct way { /* of one slot */
    unsigned slot;
    uint64_t generation; /* of the catalog */
    uint64_t has;        /* shard that has it, by the catalog */
    uint64_t from, to;   /* it is under way; 0: it is not */
    struct db *source, *target;
};

static int read_way(struct db *catalog, unsigned slot, struct way *out, struct pofr_err *err)
{
    struct db_value value = DB_V_U(slot);
    struct db_result *r = NULL;
    int code = db_run(catalog,
                      "SELECT l.shard_id, l.generation, COALESCE(m.from_shard, 0), COALESCE(m.to_shard, 0) FROM slot l "
                      "LEFT JOIN slot_move m ON m.slot = l.slot WHERE l.slot = ?",
                      &value, 1, &r, err);

    if (!code && db_rows(r) == 0) {
        code = pofr_err_set(err, POFR_ENOTFOUND, "slot %u is on no shard: pofrctl shard add NAME --slots", slot);
    }
    if (!code) {
        *out = (struct way){ .slot = slot,
                             .has = db_get_u64(r, 0, 0),
                             .generation = db_get_u64(r, 0, 1),
                             .from = db_get_u64(r, 0, 2),
                             .to = db_get_u64(r, 0, 3) };
    }
    db_result_free(r);
    return code;
}

static void lock_name(uint64_t slot, char out[32])
{
    snprintf(out, 32, "pofr_slot_%llu", (unsigned long long)slot);
}

int move_lock(struct db *catalog, uint64_t slot, struct pofr_err *err)
{
    char name[32];

    lock_name(slot, name);
    return ctl_lock(catalog, name, "another pofrctl moves this slot, or erases one of its hosts", err);
}

static void unlock(struct db *catalog, uint64_t slot)
{
    char name[32];
    struct db_value value;

    lock_name(slot, name);
    value = DB_V_C(name);
    POFR_IGNORE(
        db_run(catalog, "SELECT RELEASE_LOCK(?)", &value, 1, NULL, NULL)); /* else it goes with the connection */
}

int move_none(struct db *catalog, uint64_t slot, struct pofr_err *err)
{
    struct way w;
    int code = read_way(catalog, (unsigned)slot, &w, err);

    return !code && w.to ? pofr_err_set(err, POFR_EREFUSED,
                                        "slot %u is on its way to another shard: give pofrctl slot move again first",
                                        (unsigned)slot)
                         : code;
}

static int connect(const struct move *m, uint64_t id, struct db **out, struct pofr_err *err)
{
    const struct ctl_shard *s = slots_shard(m->shards, m->count, id);

    return s ? ctl_shard_connect(m->c, s, "pofr_store", out, err)
             : pofr_err_set(err, POFR_ENOTFOUND, "no shard %llu", (unsigned long long)id);
}

static int run(struct db *db, const char *sql, uint64_t value, struct pofr_err *err)
{
    struct db_value values[] = { DB_V_U(value) };

    return db_run(db, sql, values, 1, NULL, err);
}

/* The state of what the shard shows; "" where it has no such row. */
static int shown(struct db *shard, unsigned slot, char *out, size_t size, struct pofr_err *err)
{
    struct db_value value = DB_V_U(slot);
    struct db_result *r = NULL;
    int code = db_run(shard, "SELECT state FROM slot WHERE slot = ?", &value, 1, &r, err);

    if (!code) {
        snprintf(out, size, "%s", db_rows(r) ? (const char *)db_get(r, 0, 0).data : "");
    }
    db_result_free(r);
    return code;
}

/* Both rows of a shard, in one transaction. */
static int put_state(struct db *shard, unsigned slot, const char *word, uint64_t generation, struct pofr_err *err)
{
    struct db_value values[] = { DB_V_U(slot), DB_V_U(generation), DB_V_C(word) };
    int code = db_run(shard, "START TRANSACTION", NULL, 0, NULL, err);

    if (!code) {
        code =
            db_run(shard,
                   "INSERT INTO slot (slot, generation, state) VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE generation = "
                   "VALUES(generation), state = VALUES(state)",
                   values, 3, NULL, err);
    }
    if (!code) {
        code = db_run(shard,
                      "INSERT INTO ingest_offset (slot, generation, state, updated) VALUES (?, ?, ?, UTC_TIMESTAMP(6)) "
                      "ON DUPLICATE KEY UPDATE generation = VALUES(generation), state = VALUES(state)",
                      values, 3, NULL, err);
    }
    return code ? code : db_run(shard, "COMMIT", NULL, 0, NULL, err);
}

/* The compare-and-set of every worker asks for owned: from here on nothing is stored at the source. */
static int freeze(struct way *w, struct pofr_err *err)
{
    int code =
        run(w->source, "UPDATE ingest_offset SET state = 'leaving' WHERE slot = ? AND state = 'owned'", w->slot, err);

    STOP_POINT("move_frozen");
    return code;
}

/* The revision rises, so that a worker that had these hosts before reads them anew. */
static int copy_offset(const struct way *w, struct pofr_err *err)
{
    struct db_value value = DB_V_U(w->slot);
    struct db_result *r = NULL;
    int code = db_run(w->source,
                      "SELECT next_offset, incarnation, before_digest, revision + 1 FROM ingest_offset WHERE slot = ?",
                      &value, 1, &r, err);

    if (!code) {
        struct db_value values[] = { DB_V_S(db_get(r, 0, 0)), DB_V_S(db_get(r, 0, 1)), DB_V_S(db_get(r, 0, 2)),
                                     DB_V_S(db_get(r, 0, 3)), value };

        code = db_run(w->target,
                      "UPDATE ingest_offset SET next_offset = ?, incarnation = ?, before_digest = ?, revision = ?, "
                      "updated = UTC_TIMESTAMP(6) WHERE slot = ? AND state = 'arriving'",
                      values, pofr_countof(values), NULL, err);
    }
    db_result_free(r);
    return code;
}

static int copy_once(const struct way *w, const char **out_differs, uint64_t *out_rows, struct pofr_err *err)
{
    uint64_t deleted = 0;
    int code = move_rows_delete(w->target, w->source, w->slot, &deleted, err);

    if (!code) {
        code = move_rows_copy(w->source, w->target, w->slot, out_rows, err);
    }
    STOP_POINT("move_copied");
    return code ? code : move_rows_compare(w->source, w->target, w->slot, out_differs, err);
}

static int copy(const struct move *m, const struct way *w, struct pofr_err *err)
{
    const char *differs = "";
    uint64_t rows = 0;
    int code = move_rows_known(w->source, err);

    for (int i = 0; i < TRIES && !code && differs; i++) {
        code = copy_once(w, &differs, &rows, err);
    }
    if (!code && differs) {
        code = pofr_err_set(err, POFR_EDBREFUSED,
                            "slot %u: table %s differs after it was copied; the slot stays where it was", w->slot,
                            differs);
    }
    if (!code) {
        ctl_say(m->c, "slot %u: %llu rows copied", w->slot, (unsigned long long)rows);
        code = copy_offset(w, err);
    }
    return code;
}

/* The source has let it go: was that for this target? */
static int came(const struct way *w, struct pofr_err *err)
{
    struct db_value values[] = { DB_V_U(w->slot), DB_V_U(w->generation + 1) };
    struct db_result *r = NULL;
    int code =
        db_run(w->target, "SELECT EXISTS (SELECT 1 FROM slot WHERE slot = ? AND generation = ? AND state <> 'gone')",
               values, 2, &r, err);

    if (!code && db_get_u64(r, 0, 0) == 0) {
        code = pofr_err_set(
            err, POFR_EREFUSED,
            "neither shard has it: it went elsewhere since the catalog was saved (pofrctl recover), or the "
            "target lost what it got (pofrctl slot move back to where it was)");
    }
    db_result_free(r);
    return code;
}

/* From its being under way until the source does not show it any more. */
static int leave(const struct move *m, struct way *w, struct pofr_err *err)
{
    char is[16];
    int code = shown(w->source, w->slot, is, sizeof(is), err);

    if (!code && strcmp(is, "gone") == 0) {
        return came(w, err);
    }
    if (code) {
        return code;
    }
    if (strcmp(is, "owned") != 0) {
        return pofr_err_set(err, POFR_EREFUSED,
                            "slot %u is not owned by the shard that has it (\"%s\"): pofrctl shard add ... --if-exists "
                            "update",
                            w->slot, is);
    }
    code = shown(w->target, w->slot, is, sizeof(is), err);
    if (!code && strcmp(is, "owned") == 0) {
        code = pofr_err_set(err, POFR_EREFUSED, "slot %u is owned by both shards", w->slot);
    }
    if (!code) {
        code = put_state(w->target, w->slot, "arriving", w->generation + 1, err);
    }
    if (!code) {
        code = freeze(w, err);
    }
    if (!code) {
        code = copy(m, w, err);
    }
    if (!code) {
        code = put_state(w->source, w->slot, "gone", w->generation, err);
    }
    STOP_POINT("move_left");
    return code;
}

static int switch_over(const struct move *m, struct way *w, struct pofr_err *err)
{
    struct db_value values[] = { DB_V_U(w->to), DB_V_U(w->slot), DB_V_U(w->from), DB_V_U(w->generation) };
    int code = db_run(m->catalog,
                      "UPDATE slot SET shard_id = ?, generation = generation + 1 WHERE slot = ? AND shard_id = ? AND "
                      "generation = ?",
                      values, 4, NULL, err);

    if (!code && db_affected(m->catalog) != 1) {
        code = pofr_err_set(err, POFR_EBUSY, "slot %u: somebody else changed the catalog", w->slot);
    }
    w->generation += !code;
    STOP_POINT("move_switched");
    return code;
}

static int version(struct db *shard, struct db_result **out, struct pofr_err *err)
{
    return db_run(shard, "SELECT COUNT(*), COALESCE(MAX(name), '') FROM schema_version", NULL, 0, out, err);
}

/* Rows are inserted by the source's columns. Where one shard was migrated and the other not, nothing is begun. */
static int same_version(const struct way *w, struct pofr_err *err)
{
    struct db_result *source = NULL;
    struct db_result *target = NULL;
    int code = version(w->source, &source, err);

    code = code ? code : version(w->target, &target, err);
    if (!code && (db_get_u64(source, 0, 0) != db_get_u64(target, 0, 0) ||
                  strcmp((const char *)db_get(source, 0, 1).data, (const char *)db_get(target, 0, 1).data) != 0)) {
        code = pofr_err_set(err, POFR_EREFUSED, "the two shards have tables of different versions: pofrctl migrate");
    }
    db_result_free(source);
    db_result_free(target);
    return code;
}

static int begin(const struct move *m, struct way *w, struct pofr_err *err)
{
    struct db_value values[] = { DB_V_U(w->slot), DB_V_U(w->has), DB_V_U(m->to->shard_id) };
    int code = 0;

    if (!w->to) {
        code = db_run(m->catalog,
                      "INSERT INTO slot_move (slot, from_shard, to_shard, since) VALUES (?, ?, ?, UTC_TIMESTAMP(6))",
                      values, 3, NULL, err);
    }
    w->from = w->has;
    w->to = m->to->shard_id;
    STOP_POINT("move_begun");
    return code;
}

/* The source has all that it had; what the target got of it shows nobody. A target that is down is not needed. */
static int take_back(const struct move *m, struct way *w, struct pofr_err *err)
{
    struct pofr_err ignored = { 0 };
    int code = connect(m, w->from, &w->source, err);

    if (!code) {
        code = put_state(w->source, w->slot, "owned", w->generation, err);
    }
    if (!code &&
        (connect(m, w->to, &w->target, &ignored) || put_state(w->target, w->slot, "gone", w->generation, &ignored))) {
        ctl_warn("slot %u: %s", w->slot, ignored.text);
    }
    if (!code) {
        code = run(m->catalog, "DELETE FROM slot_move WHERE slot = ?", w->slot, err);
    }
    if (!code) {
        ctl_say(m->c, "slot %u: taken back", w->slot);
    }
    return code;
}

static int has_hosts(struct db *catalog, unsigned slot, bool *out, struct pofr_err *err)
{
    struct db_value value = DB_V_U(slot);
    struct db_result *r = NULL;
    int code = db_run(catalog, "SELECT EXISTS (SELECT 1 FROM host WHERE slot = ?)", &value, 1, &r, err);

    if (!code) {
        *out = db_get_u64(r, 0, 0) != 0;
    }
    db_result_free(r);
    return code;
}

/* The target has the rows, and the catalog says so. The head is built anew at once for a slot that has something to show. */
static int arrive(const struct move *m, const struct way *w, bool *out_unseen, struct pofr_err *err)
{
    bool hosts = true;
    int code = has_hosts(m->catalog, w->slot, &hosts, err);

    if (!code && hosts) {
        code = head_build(m->c, m->catalog, m->shards, m->count, err);
        STOP_POINT("move_built");
    }
    if (!code) {
        code = put_state(w->target, w->slot, "owned", w->generation, err);
        STOP_POINT("move_owned");
    }
    if (!code && hosts) {
        code = run(m->catalog, "DELETE FROM slot_move WHERE slot = ?", w->slot, err);
    }
    *out_unseen = !code && !hosts;
    return code;
}

static int go(const struct move *m, struct way *w, bool *out_unseen, struct pofr_err *err)
{
    int code = 0;

    if (w->has != m->to->shard_id) {
        code = connect(m, w->has, &w->source, err);
    }
    if (!code) {
        code = connect(m, m->to->shard_id, &w->target, err);
    }
    if (!code && w->source) {
        code = same_version(w, err);
        code = code ? code : begin(m, w, err);
        code = code ? code : leave(m, w, err);
        code = code ? code : switch_over(m, w, err);
    }
    return code ? code : arrive(m, w, out_unseen, err);
}

static int move_locked(const struct move *m, unsigned slot, bool *out_unseen, struct pofr_err *err)
{
    struct way w;
    int code = read_way(m->catalog, slot, &w, err);
    bool there = !code && w.has == m->to->shard_id;

    if (code) {
        return code;
    }
    *out_unseen = false;
    if (there && !w.to) {
        ctl_say(m->c, "slot %u: is there", slot);
        return 0;
    }
    if (there && w.from == w.has) {
        code = take_back(m, &w, err);
    } else if (w.to && w.to != m->to->shard_id) {
        code = pofr_err_set(err, POFR_EREFUSED, "slot %u is on its way to another shard: pofrctl slot list", slot);
    } else {
        code = go(m, &w, out_unseen, err);
    }
    db_close(w.source);
    db_close(w.target);
    return code ? pofr_err_prefix(err, "slot %u", slot) : 0;
}

int move_slot(const struct move *m, unsigned slot, bool *out_unseen, struct pofr_err *err)
{
    int code = move_lock(m->catalog, slot, err);

    if (!code) {
        code = move_locked(m, slot, out_unseen, err);
        unlock(m->catalog, slot);
    }
    return code;
}

int move_end(const struct move *m, struct pofr_err *err)
{
    int code = head_build(m->c, m->catalog, m->shards, m->count, err);

    return code ? code
                : run(m->catalog,
                      "DELETE m FROM slot_move m JOIN slot l ON l.slot = m.slot AND l.shard_id = m.to_shard WHERE "
                      "m.to_shard = ?",
                      m->to->shard_id, err);
}
