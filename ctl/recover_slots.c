/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/recover_slots.h"

#include <inttypes.h>
#include <string.h>

int recover_slots_begin(struct recover_slots *r, struct db *catalog, struct pofr_err *err)
{
    struct db_result *rows = NULL;
    int code = db_run(catalog, "SELECT slot, shard_id, generation FROM slot", NULL, 0, &rows, err);

    memset(r, 0, sizeof(*r));
    for (size_t i = 0; !code && i < db_rows(rows); i++) {
        uint64_t slot = db_get_u64(rows, i, 0);

        if (slot < SLOTS_MAX) {
            r->at[slot].shard_id = (uint32_t)db_get_u64(rows, i, 1);
            r->at[slot].generation = db_get_u64(rows, i, 2);
        }
    }
    db_result_free(rows);
    return code;
}

static int change(struct recover_slots *r, struct db *catalog, uint64_t slot, const struct ctl_shard *s,
                  uint64_t generation, struct pofr_err *err)
{
    struct db_value values[] = { DB_V_U(slot), DB_V_U(s->shard_id), DB_V_U(generation) };
    int code = db_run(catalog,
                      "INSERT INTO slot (slot, shard_id, generation) VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE "
                      "shard_id = VALUES(shard_id), generation = VALUES(generation)",
                      values, 3, NULL, err);

    if (!code) {
        code = db_run(catalog, "DELETE FROM slot_move WHERE slot = ?", values, 1, NULL, err);
    }
    if (!code) {
        r->at[slot].shard_id = s->shard_id;
        r->at[slot].generation = generation;
        r->changed++;
    }
    return code;
}

int recover_slots_take(struct recover_slots *r, struct db *catalog, struct db *shard, const struct ctl_shard *s,
                       struct pofr_err *err)
{
    struct db_result *rows = NULL;
    int code =
        db_run(shard, "SELECT slot, generation, state = 'owned' FROM slot WHERE state <> 'gone'", NULL, 0, &rows, err);

    for (size_t i = 0; !code && i < db_rows(rows); i++) {
        uint64_t slot = db_get_u64(rows, i, 0);
        uint64_t generation = db_get_u64(rows, i, 1);

        if (slot >= SLOTS_MAX) {
            continue;
        }
        if (db_get_u64(rows, i, 2) == 0) {
            r->at[slot].arriving = s->name;
            r->at[slot].arriving_generation = generation;
        } else if (generation > r->at[slot].generation) {
            code = change(r, catalog, slot, s, generation, err);
        }
    }
    db_result_free(rows);
    return code;
}

void recover_slots_warn(const struct recover_slots *r)
{
    for (unsigned slot = 0; slot < SLOTS_MAX; slot++) {
        const struct recover_slot *at = &r->at[slot];

        if (at->arriving && at->arriving_generation > at->generation) {
            ctl_warn("slot %u was on its way to shard %s: pofrctl slot move %u --to %s", slot, at->arriving, slot,
                     at->arriving);
        }
    }
}
