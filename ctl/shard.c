/* SPDX-License-Identifier: GPL-2.0-or-later */
/* shard.c -- pofrctl shard list|add|remove. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/hostport.h"
#include "common/os/options.h"
#include "ctl/head.h"
#include "ctl/identity.h"
#include "ctl/migrate.h"
#include "ctl/nouns.h"
#include "ctl/recover_slots.h"
#include "ctl/slots.h"
#include "ctl/strangers.h"
#include "ctl/table.h"

int shard_list(struct ctl *c, int argc, char **argv)
{
    return ctl_list_catalog(
        c, argc, argv,
        "SELECT s.name AS shard, s.address, s.port, COUNT(DISTINCT l.slot) AS slots, "
        "COUNT(DISTINCT h.host_id) AS hosts, s.added FROM shard s LEFT JOIN slot l ON l.shard_id = s.shard_id "
        "LEFT JOIN host h ON h.slot = l.slot AND h.state IN ('pending', 'active') GROUP BY s.shard_id");
}

static bool name_ok(const char *name)
{
    size_t len = strlen(name);

    return len >= 1 && len <= 48 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == len;
}

/* Is the name in the catalog? out_id: 0 where it is not. */
static int find_shard(struct db *catalog, const char *name, uint32_t *out_id, struct pofr_err *err)
{
    struct db_value value = DB_V_C(name);
    struct db_result *r = NULL;
    int code = db_run(catalog, "SELECT shard_id FROM shard WHERE name = ?", &value, 1, &r, err);

    if (!code) {
        *out_id = db_rows(r) ? (uint32_t)db_get_u64(r, 0, 0) : 0;
    }
    db_result_free(r);
    return code;
}

/* One at a time adds or removes shards; the lock goes with the connection. */
static int lock(struct db *catalog, struct pofr_err *err)
{
    return ctl_lock(catalog, "pofr_shards", "another pofrctl is adding or removing a shard", err);
}

/* Enter it, or give it its new address and identity. */
static int enter(struct db *catalog, struct ctl_shard *s, const struct identity *id, struct pofr_err *err)
{
    struct db_value values[] = { DB_V_C(s->name), DB_V_C(s->address), DB_V_U(s->port),
                                 DB_V_S(slice_of(id->b, sizeof(id->b))) };
    int code = db_run(catalog,
                      "INSERT INTO shard (name, address, port, identity) VALUES (?, ?, ?, ?) ON DUPLICATE KEY UPDATE "
                      "address = VALUES(address), port = VALUES(port), identity = VALUES(identity)",
                      values, 4, NULL, err);

    return code ? code : find_shard(catalog, s->name, &s->shard_id, err);
}

/* What was entered and owns nothing yet. Where even this fails, `shard remove` does the same later. */
static void undo(struct db *catalog, uint32_t shard_id)
{
    struct db_value value = DB_V_U(shard_id);

    POFR_IGNORE(db_run(catalog,
                       "DELETE FROM shard WHERE shard_id = ? AND NOT EXISTS (SELECT 1 FROM slot l WHERE l.shard_id = "
                       "shard.shard_id)",
                       &value, 1, NULL, NULL));
}

/* Make its tables; refused where the same server has another name, if possible before it is touched. */
static int make_shard(struct ctl *c, struct db *catalog, const struct ctl_shard *s, struct identity *out_id,
                      struct pofr_err *err)
{
    int code = identity_read(c, s, out_id, err);

    if (!code) {
        code = identity_is_new(catalog, s, out_id, err);
    }
    if (!code) {
        code = migrate_shard(c, s, err);
    }
    if (!code) {
        code = identity_read(c, s, out_id, err);
    }
    if (!code) {
        code = identity_is_new(catalog, s, out_id, err);
    }
    return code;
}

static int with_slots(struct ctl *c, struct db *catalog, const struct ctl_shard *s, const struct slot_set *set,
                      struct pofr_err *err)
{
    struct ctl_shard *shards = NULL;
    size_t count = 0;
    int code = ctl_shards(catalog, &shards, &count, err);

    if (!code) {
        code = slots_give(c, catalog, s, shards, count, set, err);
    }
    if (!code) {
        code = head_build(c, catalog, shards, count, err);
    }
    free(shards);
    return code;
}

/* It is new to the catalog and has hosts: the catalog was lost. It keeps the slots that it owns, and gets no others. */
static int keep_slots(struct db *catalog, struct ctl *c, const struct ctl_shard *s, struct pofr_err *err)
{
    struct recover_slots slots;
    struct db *shard = NULL;
    int code = recover_slots_begin(&slots, catalog, err);

    if (!code) {
        code = ctl_shard_connect(c, s, "pofr_store", &shard, err);
    }
    if (!code) {
        code = recover_slots_take(&slots, catalog, shard, s, err);
    }
    db_close(shard);
    return code;
}

/* Head and server are asked first and the shard's tables are made: a name in the catalog is a shard that works. */
static int add(struct ctl *c, struct db *catalog, struct ctl_shard *s, bool update, const char *wanted,
               struct pofr_err *err)
{
    struct ctl_shard *shards = NULL;
    struct identity id;
    struct slot_set set;
    size_t count = 0;
    unsigned slots = 0;
    uint64_t strangers = 0;
    bool is_new;
    int code = lock(catalog, err);

    if (!code) {
        code = find_shard(catalog, s->name, &s->shard_id, err);
    }
    is_new = s->shard_id == 0;
    if (!code && !is_new && !update) {
        code = pofr_err_set(err, POFR_EEXISTS, "shard %s exists already (--if-exists update gives it another address)",
                            s->name);
    }
    if (!code) {
        code = slots_setting(c, catalog, &slots, err);
    }
    if (!code) {
        code = ctl_shards(catalog, &shards, &count, err);
        free(shards);
    }
    if (!code) {
        code = slots_plan(catalog, s, count + is_new, slots, wanted, &set, err);
    }
    if (!code) {
        code = head_check(c, err);
    }
    if (!code) {
        code = head_is_another(c, s, err);
    }
    if (!code) {
        code = make_shard(c, catalog, s, &id, err);
    }
    if (!code) {
        code = head_reaches(c, s, 1, err);
    }
    if (!code && is_new) {
        code = strangers_count(c, catalog, s, &strangers, err);
    }
    if (!code) {
        code = enter(catalog, s, &id, err);
    }
    if (!code && strangers) {
        ctl_warn("shard %s has %" PRIu64 " hosts " STRANGERS_ADVICE, s->name, strangers);
        code = keep_slots(catalog, c, s, err);
        set = wanted && strcmp(wanted, "even") != 0 ? set : (struct slot_set){ .count = 0 };
    }
    if (!code) {
        code = with_slots(c, catalog, s, &set, err);
        if (code && is_new) {
            undo(catalog, s->shard_id);
        }
    }
    return code;
}

int shard_add(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { "address=", "slots=", "if-exists=", NULL };
    const char *values[4];
    char *args[1];
    size_t args_count;
    struct pofr_err err = { 0 };
    struct hostport hp;
    struct ctl_shard s = { 0 };
    struct db *catalog = NULL;
    int code;

    if (!ctl_options(c, argc, argv, names, values, args, 1, &args_count)) {
        return POFR_EXIT_USAGE;
    }
    if (args_count != 1 || !name_ok(args[0]) || !values[0] || hostport_parse(slice_str(values[0]), 3306, &hp) ||
        (values[2] && strcmp(values[2], "update") != 0)) {
        return ctl_usage(c,
                         "usage: shard add NAME --address HOST:PORT [--slots even|none|0-31,40] [--if-exists update]; "
                         "a name is of a-z, 0-9, _ and -");
    }
    snprintf(s.name, sizeof(s.name), "%s", args[0]);
    snprintf(s.address, sizeof(s.address), "%s", hp.host);
    s.port = hp.port;
    code = ctl_catalog(c, &catalog, &err);
    if (!code) {
        code = add(c, catalog, &s, values[2] != NULL, values[1], &err);
    }
    if (!code) {
        ctl_say(c, "shard %s is in the catalog", s.name);
    }
    db_close(catalog);
    return code ? ctl_fail(&err) : POFR_EXIT_DONE;
}

/* POFR_EREFUSED where it owns slots, and what would give them away. */
static int owns_none(struct db *catalog, uint32_t shard_id, const char *name, struct pofr_err *err)
{
    struct db_value value = DB_V_U(shard_id);
    struct buf list = BUF_INIT(8192);
    struct db_result *r = NULL;
    int code = db_run(catalog, "SELECT slot FROM slot WHERE shard_id = ? ORDER BY slot", &value, 1, &r, err);
    size_t count = code ? 0 : db_rows(r);

    for (size_t i = 0; i < count; i++) {
        uint64_t first = db_get_u64(r, i, 0);

        while (i + 1 < count && db_get_u64(r, i + 1, 0) == db_get_u64(r, i, 0) + 1) {
            i++;
        }
        buf_printf(&list, "%s%llu", list.len ? "," : "", (unsigned long long)first);
        if (db_get_u64(r, i, 0) > first) {
            buf_printf(&list, "-%llu", (unsigned long long)db_get_u64(r, i, 0));
        }
    }
    if (count) {
        code = pofr_err_set(err, POFR_EREFUSED, "shard %s owns %zu slot%s: what is stored there would be lost to sight",
                            name, count, count == 1 ? "" : "s");
        ctl_warn("first they go to another shard, with their rows if they have any: pofrctl slot move %s --to SHARD",
                 buf_cstr(&list));
    }
    buf_free(&list);
    db_result_free(r);
    return code;
}

/* The head first: what owns no slot is in none of its tables, and a failure leaves something to repeat. */
static int take_out(struct ctl *c, struct db *catalog, uint32_t shard_id, struct pofr_err *err)
{
    struct db_value value = DB_V_U(shard_id);
    struct ctl_shard *shards = NULL;
    size_t count = 0;
    size_t left = 0;
    int code = ctl_shards(catalog, &shards, &count, err);

    for (size_t i = 0; i < count && !code; i++) {
        if (shards[i].shard_id != shard_id) {
            shards[left++] = shards[i];
        }
    }
    if (!code && left) {
        code = head_build(c, catalog, shards, left, err);
    }
    free(shards);
    if (!code) { /* slot.shard_id is a foreign key: one that got a slot meanwhile stays */
        code = db_run(catalog, "DELETE FROM shard WHERE shard_id = ?", &value, 1, NULL, err);
    }
    return code;
}

int shard_remove(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { NULL };
    const char *values[1];
    char *args[1];
    size_t args_count;
    struct pofr_err err = { 0 };
    struct db *catalog = NULL;
    uint32_t id = 0;
    int code;

    if (!ctl_options(c, argc, argv, names, values, args, 1, &args_count)) {
        return POFR_EXIT_USAGE;
    }
    if (args_count != 1) {
        return ctl_usage(c, "usage: shard remove NAME; pofrctl shard list shows them");
    }
    code = ctl_catalog(c, &catalog, &err);
    if (!code) {
        code = lock(catalog, &err);
    }
    if (!code) {
        code = find_shard(catalog, args[0], &id, &err);
    }
    if (!code && id == 0) {
        code = pofr_err_set(&err, POFR_ENOTFOUND, "no shard \"%s\"", args[0]);
    }
    if (!code) {
        code = owns_none(catalog, id, args[0], &err);
    }
    if (!code) {
        code = take_out(c, catalog, id, &err);
    }
    if (!code) {
        ctl_say(c, "shard %s is out of the catalog and the head; nothing on its server was changed", args[0]);
    }
    db_close(catalog);
    return code ? ctl_fail(&err) : POFR_EXIT_DONE;
}
