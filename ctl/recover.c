/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * recover.c -- pofrctl recover: a catalog that was put back from a backup learns what it forgot.
 *
 * WHO KNOWS   Each gateway and worker keeps a copy of hosts and keys, newer than any backup: from it come hosts, names,
 *             states and keys as they were. The shards know numbers and names of hosts of which bundles are stored: one
 *             that no copy has is entered as retired, without its key, so that neither its number nor its name is given again.
 *             They know, too, which slots they own, and by which move: a later one than the catalog's is taken over.
 * WHO DOESN'T Nobody knows what tokens were used, so all that are good are revoked.
 * AFTER IT    Every host and key counts as changed, by a number above all that anybody has seen: all copies read them anew.
 *
 * One transaction: all of it or nothing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/catalog/keys.h"
#include "common/os/options.h"
#include "ctl/nouns.h"
#include "ctl/recover_slots.h"

/* Without a copy: more changes than come between two backups. */
#define CHANGES_UNKNOWN 1000000000u

struct recover {
    struct ctl *c;
    struct db *catalog;
    struct pofr_err *err;
    bool may_retire;
    uint64_t entered, changed, keys, retired, tokens;
    struct recover_slots slots;
};

/* --- from a copy ------------------------------------------------------------------------------------- */

/* Names first get out of each other's way: two hosts may have changed theirs. */
static int host_frees_name(void *arg, const struct keys_host *h)
{
    struct recover *r = arg;
    struct db_value values[] = { DB_V_U(h->host_id), DB_V_C(h->host) };

    return db_run(r->catalog,
                  "UPDATE host SET host = CONCAT('recover-', HEX(host_uuid)) WHERE host_id = ? AND host <> ?", values,
                  2, NULL, r->err);
}

static int enter_host(struct recover *r, const struct keys_host *h)
{
    struct db_value uuid = DB_V_S(slice_of(h->uuid.b, sizeof(h->uuid.b)));
    struct db_value values[] = { DB_V_U(h->host_id / KEYS_SLOTS_MAX),
                                 DB_V_U(h->host_id),
                                 uuid,
                                 DB_V_C(h->host),
                                 DB_V_C(h->host_group),
                                 DB_V_U(h->state),
                                 DB_V_U(h->slot),
                                 DB_V_I(h->enrolled_us) };
    int code = db_run(r->catalog,
                      "INSERT INTO host (number, host_id, host_uuid, host, host_group, state, slot, enrolled, "
                      "state_since) VALUES (?, ?, ?, ?, ?, ?, ?, TIMESTAMPADD(MICROSECOND, ?, '1970-01-01'), "
                      "UTC_TIMESTAMP(6))",
                      values, 8, NULL, r->err);

    if (!code) {
        r->entered++;
        ctl_say(r->c, "host %s: entered again", h->host);
    }
    return code;
}

static int change_host(struct recover *r, const struct keys_host *h)
{
    struct db_value values[] = { DB_V_U(h->state), DB_V_C(h->host), DB_V_C(h->host_group), DB_V_U(h->state),
                                 DB_V_U(h->host_id) };
    int code = db_run(r->catalog,
                      "UPDATE host SET state_since = IF(state + 0 = ?, state_since, UTC_TIMESTAMP(6)), host = ?, "
                      "host_group = ?, state = ? WHERE host_id = ?",
                      values, 5, NULL, r->err);

    if (!code && db_affected(r->catalog) > 0) {
        r->changed++;
        ctl_say(r->c, "host %s: as the copy has it", h->host);
    }
    return code;
}

static int host_is_entered(void *arg, const struct keys_host *h)
{
    struct recover *r = arg;
    struct db_value uuid = DB_V_S(slice_of(h->uuid.b, sizeof(h->uuid.b)));
    struct db_value id[] = { DB_V_U(h->host_id), uuid };
    struct db_result *found = NULL;
    bool is_there;
    int code;

    if (h->state == KEYS_ERASED) {
        struct db_value grave[] = { uuid, DB_V_U(h->host_id) };

        code = db_run(r->catalog,
                      "INSERT IGNORE INTO tombstone (host_uuid, host_id, erased) VALUES (?, ?, UTC_TIMESTAMP(6))",
                      grave, 2, NULL, r->err);
        if (code || !h->host[0]) {
            return code; /* of some that were erased the copy has no more than the tombstone */
        }
    }
    code = db_run(r->catalog, "SELECT host_uuid = ? FROM host WHERE host_id = ?", (struct db_value[]){ id[1], id[0] },
                  2, &found, r->err);
    is_there = !code && db_rows(found) > 0;
    if (is_there && db_get_u64(found, 0, 0) == 0) {
        code = pofr_err_set(r->err, POFR_EREFUSED,
                            "the number %" PRIu64 " of host %s was given to another host since the catalog was put "
                            "back: retire and erase that one, and enrol it anew",
                            h->host_id, h->host);
    }
    db_result_free(found);
    if (code) {
        return code;
    }
    return is_there ? change_host(r, h) : enter_host(r, h);
}

static int key_is_entered(void *arg, const struct keys_key *k)
{
    struct recover *r = arg;
    struct db_value to = k->valid_to_us == KEYS_FOREVER_US ? DB_V_NULL : DB_V_I(k->valid_to_us);
    struct db_value values[] = { DB_V_S(slice_of(k->key_id, 32)), DB_V_U(k->host_id),
                                 DB_V_S(slice_of(k->public_key, 32)), DB_V_I(k->valid_from_us), to };
    int code = db_run(r->catalog,
                      "INSERT INTO host_key (key_id, host_id, public_key, valid_from, valid_to) VALUES (?, ?, ?, "
                      "TIMESTAMPADD(MICROSECOND, ?, '1970-01-01'), COALESCE(TIMESTAMPADD(MICROSECOND, ?, "
                      "'1970-01-01'), '9999-12-31 23:59:59.999999')) ON DUPLICATE KEY UPDATE valid_to = "
                      "VALUES(valid_to)",
                      values, 5, NULL, r->err);

    r->keys += !code && db_affected(r->catalog) > 0;
    return code;
}

static int take_copy(struct recover *r, const struct keys *copy)
{
    int code = keys_each_host(copy, host_frees_name, r);

    if (!code) {
        code = keys_each_host(copy, host_is_entered, r);
    }
    return code ? code : keys_each_key(copy, key_is_entered, r);
}

/* --- from the shards ---------------------------------------------------------------------------------- */

/* A row of the shard's host, of which the catalog has none. */
static int retire_host(struct recover *r, const struct db_result *hosts, size_t row)
{
    struct db_value host_id = DB_V_S(db_get(hosts, row, 0)), name = DB_V_S(db_get(hosts, row, 2));
    struct db_value values[] = {
        DB_V_U(db_get_u64(hosts, row, 0) / KEYS_SLOTS_MAX),
        host_id,
        DB_V_S(db_get(hosts, row, 1)),
        name,
        name,
        host_id,
        name,
        DB_V_S(db_get(hosts, row, 3)),
        DB_V_S(db_get(hosts, row, 4)),
        DB_V_S(db_get(hosts, row, 5)),
    };
    int code = db_run(r->catalog,
                      "INSERT INTO host (number, host_id, host_uuid, host, host_group, state, slot, enrolled, "
                      "state_since) SELECT ?, ?, ?, IF(EXISTS (SELECT 1 FROM host h WHERE h.host = ?), "
                      "CONCAT(?, '-', ?), ?), ?, 'retired', ?, ?, UTC_TIMESTAMP(6)",
                      values, pofr_countof(values), NULL, r->err);

    if (!code) {
        r->retired++;
    }
    if (!code && r->may_retire) {
        ctl_warn("host %s: its key is in no copy; it is entered as retired, and its machine to be enrolled anew",
                 (const char *)db_get(hosts, row, 2).data);
    }
    return code;
}

static int take_shard(struct recover *r, const struct ctl_shard *s)
{
    struct db_result *hosts = NULL, *found = NULL;
    struct db *shard = NULL;
    int code = ctl_shard_connect(r->c, s, "pofr_store", &shard, r->err);

    if (!code) {
        code = db_run(shard, "SELECT host_id, host_uuid, host, host_group, slot, enrolled FROM host ORDER BY host_id",
                      NULL, 0, &hosts, r->err);
    }
    for (size_t i = 0; !code && i < db_rows(hosts); i++) {
        struct db_value id[] = { DB_V_S(db_get(hosts, i, 0)), DB_V_S(db_get(hosts, i, 1)) };

        code = db_run(r->catalog, "SELECT host_uuid = ? FROM host WHERE host_id = ?",
                      (struct db_value[]){ id[1], id[0] }, 2, &found, r->err);
        if (!code && db_rows(found) > 0 && db_get_u64(found, 0, 0) == 0) {
            code = pofr_err_set(r->err, POFR_EREFUSED,
                                "shard %s has rows of another host with the number %s: it was given again since the "
                                "catalog was put back",
                                s->name, (const char *)db_get(hosts, i, 0).data);
        } else if (!code && db_rows(found) == 0) {
            code = retire_host(r, hosts, i);
        }
        db_result_free(found);
        found = NULL;
    }
    if (!code) {
        code = recover_slots_take(&r->slots, r->catalog, shard, s, r->err);
    }
    db_result_free(hosts);
    db_close(shard);
    return code;
}

static int take_shards(struct recover *r)
{
    struct ctl_shard *shards = NULL;
    size_t count = 0;
    int code = ctl_shards(r->catalog, &shards, &count, r->err);

    if (!code) {
        code = recover_slots_begin(&r->slots, r->catalog, r->err);
    }
    for (size_t i = 0; !code && i < count; i++) {
        code = take_shard(r, &shards[i]);
    }
    if (!code) {
        recover_slots_warn(&r->slots);
    }
    free(shards);
    return code;
}

/* --- the whole ---------------------------------------------------------------------------------------- */

/* *out_change: the number of this change, above all that were seen. */
static int begin(struct recover *r, const struct keys *copy, uint64_t *out_change)
{
    struct db_result *seq = NULL;
    uint64_t here = 0;
    int code = db_run(r->catalog, "START TRANSACTION", NULL, 0, NULL, r->err);

    if (!code) {
        code = db_run(r->catalog, "SELECT value FROM change_seq WHERE one = 1 FOR UPDATE", NULL, 0, &seq, r->err);
    }
    if (!code) {
        here = db_rows(seq) ? db_get_u64(seq, 0, 0) : 0;
        *out_change = copy ? keys_change(copy) + 1 : here + CHANGES_UNKNOWN;
        if (copy && here > keys_change(copy)) {
            code = pofr_err_set(r->err, POFR_EREFUSED,
                                "this copy is older than the catalog (change %" PRIu64 ", the catalog has %" PRIu64
                                "): it knows nothing that the catalog does not",
                                keys_change(copy), here);
        }
    }
    db_result_free(seq);
    return code;
}

static int end(struct recover *r, uint64_t change)
{
    struct db_value value = DB_V_U(change);
    int code = db_run(r->catalog, "UPDATE host SET changed = ?", &value, 1, NULL, r->err);

    if (!code) {
        code = db_run(r->catalog, "UPDATE host_key SET changed = ?", &value, 1, NULL, r->err);
    }
    if (!code) {
        code = db_run(r->catalog, "UPDATE change_seq SET value = ? WHERE one = 1", &value, 1, NULL, r->err);
    }
    if (!code) {
        code = db_run(r->catalog,
                      "UPDATE token SET revoked = 1 WHERE revoked = 0 AND uses_left > 0 AND expires > UTC_TIMESTAMP(6)",
                      NULL, 0, NULL, r->err);
        r->tokens = db_affected(r->catalog);
    }
    return code ? code : db_run(r->catalog, "COMMIT", NULL, 0, NULL, r->err);
}

static int open_copy(const char *path, struct keys **out, struct pofr_err *err)
{
    struct keys_options o = { .file = path, .area = "recover" };
    int code = keys_open(&o, out, err);

    if (!code && !keys_loaded(*out)) {
        code = pofr_err_set(err, POFR_EFORMAT, "%s is no copy of the catalog that can be read", path);
    }
    return code;
}

int recover_main(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { "from=", "without-copy", NULL };
    const char *v[2];
    char *args[1];
    size_t args_count;
    struct pofr_err err = { 0 };
    struct recover r = { .c = c, .err = &err };
    struct keys *copy = NULL;
    uint64_t change = 0;
    int code = 0;

    if (!ctl_options(c, argc, argv, names, v, args, 0, &args_count)) {
        return POFR_EXIT_USAGE;
    }
    r.may_retire = v[0] || v[1];
    if (v[0]) {
        code = open_copy(v[0], &copy, &err);
    }
    if (!code) {
        code = ctl_catalog(c, &r.catalog, &err);
    }
    if (!code) {
        code = begin(&r, copy, &change);
    }
    if (!code && copy) {
        code = take_copy(&r, copy);
    }
    if (!code) {
        code = take_shards(&r);
    }
    if (!code && r.retired && !r.may_retire) {
        code =
            pofr_err_set(&err, POFR_EREFUSED,
                         "nothing was changed: %" PRIu64 " hosts would be retired, and their agents refused for good. "
                         "Give the copy that a gateway or a worker has (--from FILE), or --without-copy",
                         r.retired);
    }
    if (!code) {
        code = end(&r, change);
    }
    if (!code && c->json) {
        printf("{\"entered\": %" PRIu64 ", \"changed\": %" PRIu64 ", \"keys\": %" PRIu64 ", \"retired\": %" PRIu64
               ", \"tokens_revoked\": %" PRIu64 ", \"slots\": %" PRIu64 "}\n",
               r.entered, r.changed, r.keys, r.retired, r.tokens, r.slots.changed);
    } else if (!code) {
        printf("hosts: %" PRIu64 " entered again, %" PRIu64 " changed, %" PRIu64 " entered as retired; keys: %" PRIu64
               "; tokens revoked: %" PRIu64 "; slots found at another shard: %" PRIu64 "\n",
               r.entered, r.changed, r.retired, r.keys, r.tokens, r.slots.changed);
    }
    db_close(r.catalog); /* what was not committed is rolled back */
    keys_close(copy);
    return code ? ctl_fail(&err) : POFR_EXIT_DONE;
}
