/* SPDX-License-Identifier: GPL-2.0-or-later */
/* slots.c -- a shard that was put back from a backup has as its own what was moved since; it shows that no longer. */
#include <string.h>

#include "common/kafka/topic_rules.h"
#include "common/os/log.h"
#include "merger/step.h"

/* The server's own rows of slots it would show, by generation; 0: it does not. */
struct own {
    uint64_t generation[TOPIC_PARTITIONS_MAX];
};

static int read_own(struct db *shard, struct own *out, struct pofr_err *err)
{
    struct db_result *r = NULL;
    int code = db_run(shard, "SELECT slot, generation FROM pofr_store.slot WHERE state = 'owned'", NULL, 0, &r, err);

    memset(out, 0, sizeof(*out));
    for (size_t i = 0; !code && i < db_rows(r); i++) {
        uint64_t slot = db_get_u64(r, i, 0);

        if (slot < TOPIC_PARTITIONS_MAX) {
            out->generation[slot] = db_get_u64(r, i, 1);
        }
    }
    db_result_free(r);
    return code;
}

/* Only what is older than the catalog's move: a catalog may have been put back, too. */
static int disown(const struct shard *s, uint64_t slot, uint64_t generation, struct pofr_err *err)
{
    static const char *const statements[] = {
        "UPDATE pofr_store.ingest_offset SET state = 'gone' WHERE slot = ? AND generation < ?",
        "UPDATE pofr_store.slot SET state = 'gone' WHERE slot = ? AND generation < ?",
    };
    struct db_value values[] = { DB_V_U(slot), DB_V_U(generation) };
    int code = 0;

    for (size_t i = 0; i < pofr_countof(statements) && !code; i++) {
        code = db_run(s->db, statements[i], values, 2, NULL, err);
    }
    if (!code) {
        log_warn("slots", "slot_gone", "shard=%s slot=%llu reason=\"moved since this shard's backup\"", s->name,
                 (unsigned long long)slot);
    }
    return code;
}

int step_slots(const struct pass *p, struct shard *s, struct pofr_err *err)
{
    struct db_value value = DB_V_U(s->shard_id);
    struct db_result *r = NULL;
    struct own own;
    int code;

    if (s->slots_known) {
        return 0;
    }
    code =
        db_run(p->catalog,
               "SELECT slot, generation FROM slot WHERE shard_id <> ? AND slot NOT IN (SELECT m.slot FROM slot_move m)",
               &value, 1, &r, err);
    if (!code) {
        code = read_own(s->db, &own, err);
    }
    for (size_t i = 0; !code && i < db_rows(r); i++) {
        uint64_t slot = db_get_u64(r, i, 0);
        uint64_t generation = db_get_u64(r, i, 1);

        if (slot < TOPIC_PARTITIONS_MAX && own.generation[slot] && own.generation[slot] < generation) {
            code = disown(s, slot, generation, err);
        }
    }
    s->slots_known = !code;
    db_result_free(r);
    return code;
}
