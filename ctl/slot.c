/* SPDX-License-Identifier: GPL-2.0-or-later */
/* slot.c -- pofrctl slot list|move|purge. */
#include <stdlib.h>
#include <string.h>

#include "common/os/options.h"
#include "ctl/head.h"
#include "ctl/move.h"
#include "ctl/move_rows.h"
#include "ctl/nouns.h"
#include "ctl/slots.h"

int slot_list(struct ctl *c, int argc, char **argv)
{
    return ctl_list_catalog(
        c, argc, argv,
        "SELECT l.slot, s.name AS shard, l.generation, COUNT(h.host_id) AS hosts, t.name AS moving_to, m.since FROM "
        "slot l "
        "JOIN shard s ON s.shard_id = l.shard_id LEFT JOIN slot_move m ON m.slot = l.slot LEFT JOIN shard t ON "
        "t.shard_id = "
        "m.to_shard LEFT JOIN host h ON h.slot = l.slot AND h.state <> 'erased' GROUP BY l.slot ORDER BY l.slot");
}

struct command { /* SLOTS, and the shard that the option names */
    struct slot_set set;
    struct ctl_shard *shards;
    size_t count;
    const struct ctl_shard *shard;
    struct db *catalog;
};

/* Wrong use is told here, *out_exit then says so. */
static int begin(struct ctl *c, int argc, char **argv, const char *option, struct command *out, bool *out_usage,
                 struct pofr_err *err)
{
    const char *names[] = { option, NULL };
    const char *v[2];
    char *args[1];
    size_t args_count;
    unsigned slots = 0;
    int code;

    *out_usage = !ctl_options(c, argc, argv, names, v, args, 1, &args_count);
    if (!*out_usage && (args_count != 1 || !v[0])) {
        ctl_usage(c, "usage: slot %s SLOTS --%sSHARD; SLOTS is a list like 0-31,40", argv[0], option);
        *out_usage = true;
    }
    code = *out_usage ? POFR_EUSAGE : ctl_catalog(c, &out->catalog, err);
    if (!code) {
        code = ctl_lock(out->catalog, "pofr_shards", "another pofrctl is moving slots, or changes the shards", err);
    }
    if (!code) {
        code = slots_setting(c, out->catalog, &slots, err);
    }
    if (!code && !slots_parse(args[0], slots, &out->set)) {
        code = pofr_err_set(err, POFR_EUSAGE, "\"%s\" is not a list like 0-31,40 below %u", args[0], slots);
    }
    if (!code) {
        code = ctl_shards(out->catalog, &out->shards, &out->count, err);
    }
    if (!code) {
        out->shard = ctl_shard_named(out->shards, out->count, v[0]);
        code = out->shard ? 0 : pofr_err_set(err, POFR_ENOTFOUND, "no shard \"%s\"", v[0]);
    }
    return code;
}

static int end(struct command *o, int code, bool usage, const struct pofr_err *err)
{
    db_close(o->catalog);
    free(o->shards);
    return usage ? POFR_EXIT_USAGE : code ? ctl_fail(err) : POFR_EXIT_DONE;
}

/* Both are needed in the end. A shard that is down is told from one that the head alone does not reach. */
static int may_be_begun(const struct move *m, struct pofr_err *err)
{
    struct db *to = NULL;
    int code = ctl_shard_connect(m->c, m->to, NULL, &to, err);

    db_close(to);
    if (!code) {
        code = head_check(m->c, err);
    }
    return code ? code : head_reaches(m->c, m->to, 1, err);
}

static int move_all(const struct move *m, const struct slot_set *set, struct pofr_err *err)
{
    bool unseen = false;
    int code = may_be_begun(m, err);

    for (unsigned s = 0; s < SLOTS_MAX && !code; s++) {
        bool more = false;

        code = set->in[s] ? move_slot(m, s, &more, err) : 0;
        unseen = unseen || more;
    }
    return !code && unseen ? move_end(m, err) : code;
}

int slot_move(struct ctl *c, int argc, char **argv)
{
    struct command o = { 0 };
    struct pofr_err err = { 0 };
    bool usage = false;
    int code = begin(c, argc, argv, "to=", &o, &usage, &err);

    if (!code) {
        struct move m = { .c = c, .catalog = o.catalog, .shards = o.shards, .count = o.count, .to = o.shard };

        code = move_all(&m, &o.set, &err);
        if (code) {
            ctl_warn("the same command again goes on; a slot that is under way (pofrctl slot list) is not stored until "
                     "then");
        } else {
            ctl_say(c, "shard %s has them; take a backup of it before pofrctl slot purge", o.shard->name);
        }
    }
    return end(&o, code, usage, &err);
}

/* Nobody shows or stores it here, and somebody else has it. */
static int may_be_purged(const struct command *o, struct db *shard, unsigned slot, bool *out_there,
                         struct pofr_err *err)
{
    struct db_value value = DB_V_U(slot);
    struct db_result *owner = NULL, *here = NULL;
    int code = move_none(o->catalog, slot, err);

    if (!code) {
        code = db_run(o->catalog, "SELECT shard_id FROM slot WHERE slot = ?", &value, 1, &owner, err);
    }
    if (!code && db_get_u64(owner, 0, 0) == o->shard->shard_id) {
        code = pofr_err_set(err, POFR_EREFUSED, "slot %u is shard %s's", slot, o->shard->name);
    }
    if (!code) {
        code =
            db_run(shard,
                   "SELECT s.state = 'gone' AND COALESCE(o.state, 'gone') = 'gone' FROM slot s LEFT JOIN ingest_offset "
                   "o ON o.slot = s.slot WHERE s.slot = ?",
                   &value, 1, &here, err);
    }
    if (!code) {
        *out_there = db_rows(here) > 0;
        if (*out_there && db_get_u64(here, 0, 0) == 0) {
            code = pofr_err_set(err, POFR_EREFUSED, "slot %u is not gone on shard %s", slot, o->shard->name);
        }
    }
    db_result_free(owner);
    db_result_free(here);
    return code;
}

static int purge(struct ctl *c, struct db *shard, unsigned slot, struct pofr_err *err)
{
    struct db_value value = DB_V_U(slot);
    uint64_t rows = 0;
    int code = move_rows_delete(shard, NULL, slot, &rows, err);

    if (!code) {
        code = db_run(shard, "DELETE FROM ingest_offset WHERE slot = ?", &value, 1, NULL, err);
    }
    if (!code) {
        code = db_run(shard, "DELETE FROM slot WHERE slot = ?", &value, 1, NULL, err);
    }
    if (!code) {
        ctl_say(c, "slot %u: %llu rows deleted", slot, (unsigned long long)rows);
    }
    return code;
}

int slot_purge(struct ctl *c, int argc, char **argv)
{
    struct command o = { 0 };
    struct pofr_err err = { 0 };
    struct db *shard = NULL;
    bool usage = false;
    int code = begin(c, argc, argv, "from=", &o, &usage, &err);

    if (!code) {
        code = ctl_shard_connect(c, o.shard, "pofr_store", &shard, &err);
    }
    for (unsigned s = 0; s < SLOTS_MAX && !code; s++) { /* all of them first: nothing is deleted where one is refused */
        bool there = false;

        code = o.set.in[s] ? may_be_purged(&o, shard, s, &there, &err) : 0;
        o.set.in[s] = there;
    }
    for (unsigned s = 0; s < SLOTS_MAX && !code; s++) {
        code = o.set.in[s] ? purge(c, shard, s, &err) : 0;
    }
    db_close(shard);
    return end(&o, code, usage, &err);
}
