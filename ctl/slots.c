/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/slots.h"

#include <stdio.h>
#include <string.h>

#include "common/base/parse_num.h"

bool slots_parse(const char *text, unsigned slots, struct slot_set *out)
{
    struct slice rest = slice_str(text);

    memset(out, 0, sizeof(*out));
    while (!slice_empty(rest)) {
        struct slice range = slice_split(&rest, ',');
        struct slice first = slice_split(&range, '-');
        uint64_t from = 0;
        uint64_t to = 0;

        if (parse_u64(first, slots, &from) || (slice_empty(range) ? (to = from, 0) : parse_u64(range, slots, &to)) ||
            from > to || to >= slots) {
            return false;
        }
        for (; from <= to; from++) {
            out->count += !out->in[from];
            out->in[from] = true;
        }
    }
    return out->count > 0;
}

/*
 * Which slots no host has: they can be given to another server without moving a row. And those that this shard owns. One that
 * is on its way (slot_move) is neither.
 */
static int free_slots(struct db *catalog, unsigned slots, uint32_t shard_id, struct slot_set *out,
                      struct slot_set *out_own, struct pofr_err *err)
{
    struct db_value values[] = { DB_V_U(shard_id) };
    struct db_result *r = NULL;
    int code =
        db_run(catalog,
               "SELECT l.slot, m.slot IS NOT NULL OR EXISTS (SELECT 1 FROM host h WHERE h.slot = l.slot) AS used, "
               "l.shard_id = ? AND m.slot IS NULL AS own FROM slot l LEFT JOIN slot_move m ON m.slot = l.slot",
               values, 1, &r, err);

    memset(out, 0, sizeof(*out));
    memset(out_own, 0, sizeof(*out_own));
    if (code) {
        return code;
    }
    for (unsigned s = 0; s < slots; s++) {
        out->in[s] = true;
    }
    for (size_t i = 0; i < db_rows(r); i++) {
        uint64_t s = db_get_u64(r, i, 0);
        bool own = db_get_u64(r, i, 2) != 0;

        if (s < slots && (db_get_u64(r, i, 1) || own)) {
            out->in[s] = false;
        }
        if (s < slots && own) {
            out_own->in[s] = true;
            out_own->count++;
        }
    }
    for (unsigned s = 0; s < slots; s++) {
        out->count += out->in[s];
    }
    db_result_free(r);
    return 0;
}

/* An even share: as many free slots as bring this shard to slots / shards, taken from all over the range. */
static void even_share(const struct slot_set *available, unsigned slots, unsigned own, size_t shards,
                       struct slot_set *out)
{
    unsigned want = slots / (unsigned)shards;
    unsigned seen = 0;

    memset(out, 0, sizeof(*out));
    want = want > own ? want - own : 0;
    want = want > available->count ? available->count : want;
    for (unsigned s = 0; s < slots && want; s++) {
        if (!available->in[s]) {
            continue;
        }
        /* the i-th available one is taken where i * want / count steps up */
        if ((uint64_t)(seen + 1) * want / available->count > (uint64_t)seen * want / available->count) {
            out->in[s] = true;
            out->count++;
        }
        seen++;
    }
}

static int run_slot(struct db *db, const char *sql, unsigned slot, uint64_t second, struct pofr_err *err)
{
    struct db_value values[] = { DB_V_U(slot), DB_V_U(second) };

    return db_run(db, sql, values, 2, NULL, err);
}

/* The slot leaves a shard where nothing of it was stored: no row is left behind. */
static int leave(struct ctl *c, const struct ctl_shard *from, unsigned slot, struct pofr_err *err)
{
    struct db *db = NULL;
    struct db_value value = DB_V_U(slot);
    int code = ctl_shard_connect(c, from, "pofr_store", &db, err);

    if (!code) {
        code = db_run(db, "DELETE FROM ingest_offset WHERE slot = ? AND next_offset = 0", &value, 1, NULL, err);
    }
    if (!code) {
        code = db_run(
            db,
            "DELETE FROM slot WHERE slot = ? AND NOT EXISTS (SELECT 1 FROM ingest_offset o WHERE o.slot = slot.slot)",
            &value, 1, NULL, err);
    }
    if (!code && db_affected(db) == 0) {
        code = db_run(db, "UPDATE slot SET state = 'gone' WHERE slot = ?", &value, 1, NULL, err);
    }
    db_close(db);
    return code;
}

const struct ctl_shard *slots_shard(const struct ctl_shard *shards, size_t count, uint64_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (shards[i].shard_id == id) {
            return &shards[i];
        }
    }
    return NULL;
}

/* The shard's own rows of a slot that it is given. */
static int own_slot(struct db *target, unsigned slot, uint64_t generation, struct pofr_err *err)
{
    int code = run_slot(target,
                        "INSERT INTO slot (slot, generation, state) VALUES (?, ?, 'owned') ON DUPLICATE KEY UPDATE "
                        "generation = VALUES(generation), state = 'owned'",
                        slot, generation, err);

    if (!code) {
        code = run_slot(target,
                        "INSERT INTO ingest_offset (slot, generation, state, updated) VALUES (?, ?, 'owned', "
                        "UTC_TIMESTAMP(6)) ON DUPLICATE KEY UPDATE generation = VALUES(generation), state = 'owned'",
                        slot, generation, err);
    }
    return code;
}

/* Give one slot to a shard: source first loses it, then the catalog changes, then the target has it. */
static int give_slot(struct ctl *c, struct db *catalog, struct db *target, const struct ctl_shard *to, unsigned slot,
                     const struct ctl_shard *shards, size_t count, struct pofr_err *err)
{
    struct db_value value = DB_V_U(slot);
    struct db_result *r = NULL;
    uint64_t generation = 1;
    int code = db_run(catalog, "SELECT shard_id, generation FROM slot WHERE slot = ?", &value, 1, &r, err);

    if (!code && db_rows(r)) {
        const struct ctl_shard *from = slots_shard(shards, count, db_get_u64(r, 0, 0));

        if (from && from->shard_id == to->shard_id) {
            db_result_free(r);
            return 0; /* settle_slots() */
        }
        generation = db_get_u64(r, 0, 1);
        if (from) {
            generation++;
            code = leave(c, from, slot, err);
        }
    }
    db_result_free(r);
    if (!code) {
        struct db_value values[] = { DB_V_U(slot), DB_V_U(to->shard_id), DB_V_U(generation) };

        code = db_run(catalog,
                      "INSERT INTO slot (slot, shard_id, generation) VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE "
                      "shard_id = VALUES(shard_id), generation = VALUES(generation)",
                      values, 3, NULL, err);
    }
    if (!code) {
        code = own_slot(target, slot, generation, err);
    }
    return code;
}

/* What the catalog gives to this shard, or to others, by generation; 0: not to them, or it is on its way. */
struct given {
    uint64_t own[SLOTS_MAX], others[SLOTS_MAX];
};

static int read_given(struct db *catalog, const struct ctl_shard *to, struct given *out, struct pofr_err *err)
{
    struct db_value id = DB_V_U(to->shard_id);
    struct db_result *r = NULL;
    int code = db_run(catalog,
                      "SELECT slot, generation, shard_id = ? FROM slot WHERE slot NOT IN (SELECT slot FROM slot_move)",
                      &id, 1, &r, err);

    memset(out, 0, sizeof(*out));
    for (size_t i = 0; !code && i < db_rows(r); i++) {
        uint64_t slot = db_get_u64(r, i, 0);

        if (slot < SLOTS_MAX) {
            (db_get_u64(r, i, 2) ? out->own : out->others)[slot] = db_get_u64(r, i, 1);
        }
    }
    db_result_free(r);
    return code;
}

static int disown_slot(struct db *target, uint64_t slot, struct pofr_err *err)
{
    struct db_value value = DB_V_U(slot);
    int code = db_run(target, "UPDATE slot SET state = 'gone' WHERE slot = ?", &value, 1, NULL, err);

    return code ? code : db_run(target, "UPDATE ingest_offset SET state = 'gone' WHERE slot = ?", &value, 1, NULL, err);
}

/*
 * The shard's rows become what the catalog says: one that was put back from a backup may still have as its own what was moved
 * since, one that was made anew has nothing. But a catalog that was put back is not believed: a slot whose generation is higher
 * here came here since, and one that is gone by the catalog's own generation left since.
 */
static int settle_slots(struct db *catalog, struct db *target, const struct ctl_shard *to, struct pofr_err *err)
{
    struct given given;
    struct db_result *r = NULL;
    unsigned unknown = 0;
    int code = read_given(catalog, to, &given, err);

    if (!code) {
        code = db_run(target, "SELECT slot, generation, state = 'gone' FROM slot", NULL, 0, &r, err);
    }
    for (size_t i = 0; !code && i < db_rows(r); i++) {
        uint64_t slot = db_get_u64(r, i, 0);
        uint64_t here = db_get_u64(r, i, 1);
        bool gone = db_get_u64(r, i, 2) != 0;

        if (slot >= SLOTS_MAX) {
            continue;
        }
        if (given.own[slot] && (here > given.own[slot] || (gone && here == given.own[slot]))) {
            given.own[slot] = 0;
            unknown++;
        } else if (given.others[slot] && !gone && here > given.others[slot]) {
            unknown++;
        } else if (given.others[slot] && !gone) {
            code = disown_slot(target, slot, err);
        }
    }
    db_result_free(r);
    for (unsigned slot = 0; !code && slot < SLOTS_MAX; slot++) {
        if (given.own[slot]) {
            code = own_slot(target, slot, given.own[slot], err);
        }
    }
    if (!code && unknown) {
        ctl_warn("%u slot%s of shard %s moved since the catalog was saved: pofrctl recover", unknown,
                 unknown == 1 ? "" : "s", to->name);
    }
    return code;
}

int slots_setting(struct ctl *c, struct db *catalog, unsigned *out_slots, struct pofr_err *err)
{
    struct db_value value = DB_V_U(c->conf->kafka_partitions);
    struct db_result *r = NULL;
    int code = db_run(catalog, "INSERT IGNORE INTO setting (name, value) VALUES ('slots', ?)", &value, 1, NULL, err);

    if (!code) {
        code = db_run(catalog, "SELECT value FROM setting WHERE name = 'slots'", NULL, 0, &r, err);
    }
    if (!code) {
        *out_slots = (unsigned)db_get_u64(r, 0, 0);
        if (*out_slots == 0 || *out_slots > SLOTS_MAX) {
            code = pofr_err_set(err, POFR_ECONFIG, "setting slots of the catalog is %u, not 1 to %u", *out_slots,
                                SLOTS_MAX);
        }
    }
    db_result_free(r);
    return code;
}

int slots_plan(struct db *catalog, const struct ctl_shard *to, size_t shards, unsigned slots, const char *wanted,
               struct slot_set *out, struct pofr_err *err)
{
    struct slot_set available;
    struct slot_set own;
    int code = free_slots(catalog, slots, to->shard_id, &available, &own, err);

    if (code) {
        return code;
    }
    memset(out, 0, sizeof(*out));
    if (!wanted || strcmp(wanted, "even") == 0) {
        even_share(&available, slots, own.count, shards, out);
    } else if (strcmp(wanted, "none") != 0 && !slots_parse(wanted, slots, out)) {
        return pofr_err_set(err, POFR_EUSAGE, "--slots \"%s\" is not a list like 0-31,40 below %u", wanted, slots);
    }
    for (unsigned s = 0; s < slots; s++) {
        if (out->in[s] && !available.in[s] && !own.in[s]) {
            return pofr_err_set(err, POFR_EREFUSED,
                                "slot %u has hosts on another shard, or is on its way: pofrctl slot move", s);
        }
    }
    if (shards == 1 && out->count + own.count == 0) {
        return pofr_err_set(err, POFR_EUSAGE, "the first shard needs slots: the head has nothing to show without");
    }
    return 0;
}

int slots_give(struct ctl *c, struct db *catalog, const struct ctl_shard *to, const struct ctl_shard *shards,
               size_t count, const struct slot_set *set, struct pofr_err *err)
{
    struct db *target = NULL;
    int code = ctl_shard_connect(c, to, "pofr_store", &target, err);

    if (!code) {
        code = settle_slots(catalog, target, to, err);
    }
    for (unsigned s = 0; s < SLOTS_MAX && !code; s++) {
        if (set->in[s]) {
            code = give_slot(c, catalog, target, to, s, shards, count, err);
        }
    }
    db_close(target);
    return code;
}
