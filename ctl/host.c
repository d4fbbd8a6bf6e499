/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host.c -- pofrctl host list|show|key|approve|rename|retire|erase. */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/os/options.h"
#include "ctl/clones.h"
#include "ctl/expose.h"
#include "ctl/lookup.h"
#include "ctl/move.h"
#include "ctl/name.h"
#include "ctl/nouns.h"
#include "ctl/table.h"

/* The public key as SSH writes it on the wire: what `ssh-keygen -l` digests, and in base64 what its files hold. */
#define KEY_BLOB        "CONCAT(UNHEX('0000000B'), 'ssh-ed25519', UNHEX('00000020'), public_key)"
#define KEY_LINE        "CONCAT('ssh-ed25519 ', TO_BASE64(" KEY_BLOB "))"
#define KEY_FINGERPRINT "CONCAT('SHA256:', TRIM(TRAILING '=' FROM TO_BASE64(UNHEX(SHA2(" KEY_BLOB ", 256)))))"

#define NOTICE_S 10 /* every worker and gateway has taken notice of a change in the catalog after this */

static bool one_argument(const struct ctl *c, int argc, char **argv, const char *const *names, const char **values,
                         char **out_arg)
{
    size_t count;

    if (!ctl_options(c, argc, argv, names, values, out_arg, 1, &count)) {
        return false;
    }
    if (count != 1) {
        ctl_usage(c, "host %s needs a host: its name, host_id or uuid", argv[0]);
        return false;
    }
    return true;
}

/* What only shards know; the list comes without it where they don't answer. */
static void ask_for_clones(struct ctl *c, struct buf *out)
{
    struct pofr_err err = { 0 };
    struct db *head = NULL;
    int code = ctl_head(c, "pofr", &head, &err);

    if (!code) {
        code = clones_of_keys(head, out, &err);
    }
    if (code) {
        ctl_warn("cloned keys are not known: %s", err.text);
    }
    db_close(head);
}

int host_list(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { "state=", "group=", NULL };
    static const char *const states[] = { "pending", "active", "retired", "erased", NULL };
    const char *v[3];
    char *args[1];
    size_t args_count;
    struct buf keys = BUF_INIT(16 << 20);
    int exit_code;

    if (!ctl_options(c, argc, argv, names, v, args, 0, &args_count) ||
        !ctl_choice(c, "host list: --state", v[0], states)) {
        return POFR_EXIT_USAGE;
    }
    ask_for_clones(c, &keys);
    {
        struct db_value values[] = { DB_V_S(buf_slice(&keys)), v[0] ? DB_V_C(v[0]) : DB_V_NULL,
                                     v[1] ? DB_V_C(v[1]) : DB_V_NULL };

        exit_code = ctl_show_catalog(
            c,
            "SELECT h.host, h.host_id, " LOOKUP_UUID_TEXT(
                "h.host_uuid") " AS host_uuid, h.host_group, h.state, s.name AS shard, "
                               "h.slot, h.enrolled, h.os, h.agent_version, " CLONES_WORDS " AS cloned FROM host h LEFT "
                               "JOIN slot l ON l.slot = h.slot LEFT JOIN shard s ON "
                               "s.shard_id = l.shard_id WHERE h.state = COALESCE(?, h.state) AND "
                               "h.host_group = COALESCE(?, h.host_group) "
                               "ORDER BY h.host",
            values, pofr_countof(values));
    }
    buf_free(&keys);
    return exit_code;
}

static int show_part(struct ctl *c, struct db *db, const char *title, const char *sql, uint64_t host_id, bool last,
                     struct pofr_err *err)
{
    struct db_value value = DB_V_U(host_id);
    struct db_result *r = NULL;
    int code = db_run(db, sql, &value, 1, &r, err);

    if (!code) {
        printf(c->json ? "\"%s\": " : "%s\n", title);
        table_print_nested(r, c->json, "recorder");
        printf("%s", c->json ? (last ? "" : ", ") : last ? "" : "\n");
    }
    db_result_free(r);
    return code;
}

int host_show(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { NULL };
    const char *v[1];
    char *arg;
    struct pofr_err err = { 0 };
    struct lookup_host h;
    struct db *catalog = NULL;
    struct db *head = NULL;
    int code;

    if (!one_argument(c, argc, argv, names, v, &arg)) {
        return POFR_EXIT_USAGE;
    }
    code = lookup_host(c, arg, &catalog, &h, &err);
    if (!code) {
        code = ctl_head(c, "pofr", &head, &err);
    }
    if (!code) {
        printf("%s", c->json ? "{" : "");
        code = show_part(
            c, catalog, "host",
            "SELECT host, host_id, " LOOKUP_UUID_TEXT(
                "host_uuid") " AS host_uuid, host_group, state, state_since, slot, enrolled, "
                             "hostname, machine_id, " CLONES_OTHERS
                             " AS same_machine_id, os, kernel, agent_version, peer FROM host h WHERE host_id = ?",
            h.host_id, false, &err);
    }
    if (!code) {
        code =
            show_part(c, catalog, "keys",
                      "SELECT HEX(key_id) AS key_id, valid_from, valid_to, " KEY_FINGERPRINT
                      " AS fingerprint, " KEY_LINE " AS public_key FROM host_key WHERE host_id = ? ORDER BY valid_from",
                      h.host_id, false, &err);
    }
    if (!code) {
        code = show_part(c, catalog, "exposed", "SELECT database_name, since FROM exposed WHERE host_id = ?", h.host_id,
                         false, &err);
    }
    if (!code) { /* not JSON_VALID(): Spider leaves the function out of what it asks the shard */
        code = show_part(c, head, "stored",
                         "SELECT last_bundle, last_tick, complete_to, bundles, records, records_total, lost_total, "
                         "IF(JSON_TYPE(recorder) = 'OBJECT', recorder, NULL) AS recorder "
                         "FROM host WHERE host_id = ?",
                         h.host_id, false, &err);
    }
    if (!code) {
        code = show_part(c, head, "boots",
                         "SELECT boot, HEX(boot_id) AS boot_id, branch, anchor_source, first_sequence, tip_sequence, "
                         "last_tick, drift_us "
                         "FROM boot WHERE host_id = ? ORDER BY boot DESC LIMIT 10",
                         h.host_id, false, &err);
    }
    if (!code) {
        code = show_part(c, head, "gaps",
                         "SELECT from_time, to_time, kind, lost, explained, detail FROM gap WHERE host_id = ? ORDER BY "
                         "from_time DESC LIMIT 10",
                         h.host_id, false, &err);
    }
    if (!code) {
        code = show_part(
            c, head, "findings",
            "SELECT at_time, kind, boot, detail FROM finding WHERE host_id = ? ORDER BY at_time DESC LIMIT 10",
            h.host_id, true, &err);
    }
    if (!code && c->json) {
        printf("}\n");
    }
    db_close(catalog);
    db_close(head);
    return code ? ctl_fail(&err) : POFR_EXIT_DONE;
}

/* Every key that it ever had, each in a line as ssh-keygen -Y verify takes it: docs/RECORD.md, part 1. */
int host_key(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { NULL };
    const char *v[1];
    char *arg;
    struct pofr_err err = { 0 };
    struct lookup_host h;
    struct db_result *r = NULL;
    struct db *catalog = NULL;
    int code;

    if (!one_argument(c, argc, argv, names, v, &arg)) {
        return POFR_EXIT_USAGE;
    }
    code = lookup_host(c, arg, &catalog, &h, &err);
    if (!code) {
        struct db_value value = DB_V_U(h.host_id);

        code = db_run(catalog,
                      "SELECT " KEY_FINGERPRINT " AS fingerprint, LOWER(HEX(key_id)) AS key_id, valid_from, valid_to, "
                      "CONCAT(host, ',', " LOOKUP_UUID_TEXT(
                          "host_uuid") ", ' namespaces=\"pofr-bundle\" ', " KEY_LINE
                                       ") AS allowed_signers FROM host_key JOIN host USING (host_id) WHERE host_id = ? "
                                       "ORDER BY valid_from",
                      &value, 1, &r, &err);
    }
    if (!code && c->json) {
        table_print(r, true);
    }
    for (size_t i = 0; !code && !c->json && i < db_rows(r); i++) {
        printf("# %s, from %s to %s\n%s\n", (const char *)db_get(r, i, 0).data, (const char *)db_get(r, i, 2).data,
               (const char *)db_get(r, i, 3).data, (const char *)db_get(r, i, 4).data);
    }
    db_result_free(r);
    db_close(catalog);
    return code ? ctl_fail(&err) : POFR_EXIT_DONE;
}

/* Raise change_seq and leave the new value in @change: copies of the catalog ask for what is newer. */
static int begin_change(struct db *catalog, struct pofr_err *err)
{
    int code = db_run(catalog, "START TRANSACTION", NULL, 0, NULL, err);

    if (!code) {
        code = db_run(catalog, "UPDATE change_seq SET value = value + 1 WHERE one = 1", NULL, 0, NULL, err);
    }
    if (!code) {
        code = db_run(catalog, "SET @change = (SELECT value FROM change_seq WHERE one = 1)", NULL, 0, NULL, err);
    }
    return code;
}

static int set_state(struct db *catalog, uint64_t host_id, const char *state, bool end_keys, struct pofr_err *err)
{
    struct db_value values[] = { DB_V_C(state), DB_V_U(host_id) };
    int code = begin_change(catalog, err);

    if (!code) {
        code = db_run(catalog,
                      "UPDATE host SET state = ?, state_since = UTC_TIMESTAMP(6), changed = @change WHERE host_id = ?",
                      values, 2, NULL, err);
    }
    if (!code && end_keys) {
        code = db_run(
            catalog,
            "UPDATE host_key SET valid_to = UTC_TIMESTAMP(6), changed = @change WHERE host_id = ? AND valid_to > "
            "UTC_TIMESTAMP(6)",
            &values[1], 1, NULL, err);
    }
    if (!code) {
        code = db_run(catalog, "COMMIT", NULL, 0, NULL, err);
    }
    return code;
}

int host_approve(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { NULL };
    const char *v[1];
    char *arg;
    struct pofr_err err = { 0 };
    struct lookup_host h;
    struct db *catalog = NULL;
    int code;

    if (!one_argument(c, argc, argv, names, v, &arg)) {
        return POFR_EXIT_USAGE;
    }
    code = lookup_host(c, arg, &catalog, &h, &err);
    if (!code && strcmp(h.state, "pending") != 0 && strcmp(h.state, "active") != 0) {
        code = pofr_err_set(&err, POFR_EREFUSED, "host %s is %s", h.name, h.state);
    }
    if (!code && strcmp(h.state, "pending") == 0) {
        code = set_state(catalog, h.host_id, "active", false, &err);
    }
    if (!code) {
        ctl_say(c, "host %s is active", h.name);
    }
    db_close(catalog);
    return code ? ctl_fail(&err) : POFR_EXIT_DONE;
}

int host_rename(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { "group=", NULL };
    const char *v[2];
    char *args[2];
    size_t count;
    struct pofr_err err = { 0 };
    struct lookup_host h;
    struct db *catalog = NULL;
    int code;

    if (!ctl_options(c, argc, argv, names, v, args, 2, &count)) {
        return POFR_EXIT_USAGE;
    }
    if (count < 1 || (count == 1 && !v[0]) || (count == 2 && args[1][0] == 0)) {
        return ctl_usage(c, "usage: host rename HOST NEW_NAME [--group GROUP], or host rename HOST --group GROUP");
    }
    if (count == 2 && !name_is_host(args[1])) {
        return ctl_usage(c, "host rename: a name is of " NAME_GRAMMAR);
    }
    code = lookup_host(c, args[0], &catalog, &h, &err);
    if (!code) {
        code = begin_change(catalog, &err);
    }
    if (!code) {
        struct db_value values[] = { DB_V_C(count == 2 ? args[1] : h.name), v[0] ? DB_V_C(v[0]) : DB_V_NULL,
                                     DB_V_U(h.host_id) };

        code = db_run(
            catalog,
            "UPDATE host SET host = ?, host_group = COALESCE(?, host_group), changed = @change WHERE host_id = ?",
            values, 3, NULL, &err);
    }
    if (!code) {
        code = db_run(catalog, "COMMIT", NULL, 0, NULL, &err);
    }
    if (code == POFR_EDBREFUSED && db_last_error(catalog) == 1062) {
        code = pofr_err_set(&err, POFR_EREFUSED, "another host has that name");
    }
    if (!code) {
        ctl_say(c, "shards show it within half a minute");
    }
    db_close(catalog);
    return code ? ctl_fail(&err) : POFR_EXIT_DONE;
}

int host_retire(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { NULL };
    const char *v[1];
    char *arg;
    struct pofr_err err = { 0 };
    struct lookup_host h;
    struct db *catalog = NULL;
    int code;

    if (!one_argument(c, argc, argv, names, v, &arg)) {
        return POFR_EXIT_USAGE;
    }
    code = lookup_host(c, arg, &catalog, &h, &err);
    if (!code && strcmp(h.state, "erased") == 0) {
        code = pofr_err_set(&err, POFR_EREFUSED, "host %s is erased", h.name);
    }
    if (!code && strcmp(h.state, "retired") != 0) {
        code = set_state(catalog, h.host_id, "retired", true, &err);
    }
    if (!code) {
        ctl_say(c,
                "host %s is retired: gateways cut it off within %d s; what was acked before is still stored, then its "
                "open rows are "
                "closed by the merger",
                h.name, NOTICE_S);
    }
    db_close(catalog);
    return code ? ctl_fail(&err) : POFR_EXIT_DONE;
}

static const char *const erase_statements[] = {
    "DELETE FROM psinfo WHERE host_id = ? LIMIT 10000",       "DELETE FROM fileinfo WHERE host_id = ? LIMIT 10000",
    "DELETE FROM netinfo WHERE host_id = ? LIMIT 10000",      "DELETE FROM userinfo WHERE host_id = ? LIMIT 10000",
    "DELETE FROM groupinfo WHERE host_id = ? LIMIT 10000",    "DELETE FROM netint WHERE host_id = ? LIMIT 10000",
    "DELETE FROM netroute WHERE host_id = ? LIMIT 10000",     "DELETE FROM hostinfo WHERE host_id = ? LIMIT 10000",
    "DELETE FROM hwinfo WHERE host_id = ? LIMIT 10000",       "DELETE FROM login WHERE host_id = ? LIMIT 10000",
    "DELETE FROM coverage WHERE host_id = ? LIMIT 10000",     "DELETE FROM gap WHERE host_id = ? LIMIT 10000",
    "DELETE FROM finding WHERE host_id = ? LIMIT 10000",      "DELETE FROM set_aside WHERE host_id = ? LIMIT 1000",
    "DELETE FROM bundle WHERE host_id = ? LIMIT 10000",       "DELETE FROM open_state WHERE host_id = ? LIMIT 10000",
    "DELETE FROM run WHERE host_id = ? LIMIT 10000",          "DELETE FROM boot WHERE host_id = ? LIMIT 10000",
    "DELETE FROM spool_report WHERE host_id = ? LIMIT 10000", "DELETE FROM host_state WHERE host_id = ? LIMIT 10000",
    "DELETE FROM host WHERE host_id = ? LIMIT 10000",
};

static int delete_rows(struct ctl *c, struct db *shard, const struct lookup_host *h, struct pofr_err *err)
{
    struct db_value value = DB_V_U(h->host_id);
    struct db_value slot = DB_V_U(h->slot);
    uint64_t rows = 0;
    int code = 0;

    for (size_t i = 0; i < pofr_countof(erase_statements) && !code; i++) {
        do {
            code = db_run(shard, erase_statements[i], &value, 1, NULL, err);
            rows += code ? 0 : db_affected(shard);
        } while (!code && db_affected(shard) > 0);
    }
    if (!code) {
        code = db_run(shard, "UPDATE ingest_offset SET revision = revision + 1 WHERE slot = ?", &slot, 1, NULL, err);
    }
    if (!code) {
        ctl_say(c, "%llu rows deleted", (unsigned long long)rows);
    }
    return code;
}

static int bury(struct db *db, const struct lookup_host *h, struct pofr_err *err)
{
    struct db_value values[] = { DB_V_S(slice_of(h->uuid, 16)), DB_V_U(h->host_id) };

    return db_run(db, "INSERT IGNORE INTO tombstone (host_uuid, host_id, erased) VALUES (?, ?, UTC_TIMESTAMP(6))",
                  values, 2, NULL, err);
}

static int lock_slot(struct db *catalog, uint64_t slot, struct pofr_err *err)
{
    int code = move_lock(catalog, slot, err);

    return code ? code : move_none(catalog, slot, err);
}

/*
 * Tombstones first, then a pause in which every worker and gateway takes notice, then the rows: what a
 * worker still had in its hands is deleted with the rest, what comes later is dropped and counted.
 */
int host_erase(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { "yes", NULL };
    const char *v[2];
    char *arg;
    struct pofr_err err = { 0 };
    struct lookup_host h;
    struct db *catalog = NULL;
    struct db *shard = NULL;
    char database[NAME_DATABASE_SIZE];
    int code;

    if (!one_argument(c, argc, argv, names, v, &arg)) {
        return POFR_EXIT_USAGE;
    }
    code = lookup_host(c, arg, &catalog, &h, &err);
    if (!code && !v[0]) {
        db_close(catalog);
        return ctl_usage(c, "host erase deletes all rows of host %s for ever; say so with --yes", h.name);
    }
    if (!code) { /* no slot is moved meanwhile, so that no rows of it are in two places */
        code = lock_slot(catalog, h.slot, &err);
    }
    if (!code) {
        code = lookup_shard(c, catalog, h.slot, &shard, &err);
    }
    if (!code) { /* before anything is changed: it may be refused */
        code = expose_end(c, catalog, h.host_id, database, &err);
    }
    if (!code) {
        code = bury(shard, &h, &err);
    }
    if (!code) {
        code = bury(catalog, &h, &err);
    }
    if (!code && strcmp(h.state, "erased") != 0) {
        code = set_state(catalog, h.host_id, "erased", true, &err);
    }
    if (!code) {
        ctl_say(c, "host %s: waiting %d s until every worker knows", h.name, NOTICE_S);
        POFR_IGNORE(poll(NULL, 0, NOTICE_S * 1000));
        code = delete_rows(c, shard, &h, &err);
    }
    if (!code) {
        struct db_value id = DB_V_U(h.host_id);

        code = db_run(catalog, "DELETE FROM spool_report WHERE host_id = ?", &id, 1, NULL, &err);
    }
    if (!code) {
        printf(
            "host %s is erased from its shard. Copies are still in:\n"
            "  Kafka topic %s, until 7 days after its last bundle\n"
            "  Kafka topic %s, where bundles of it were set aside, as long\n"
            "  the shard's table of names and paths, without any link to the host, until the merger finds them unused\n"
            "  backups of the shard and the catalog, as long as you keep them\n"
            "  the host's own spool, until it is deleted there\n",
            h.name, c->conf->kafka_topic, c->conf->kafka_deadletter);
    }
    db_close(shard);
    db_close(catalog);
    return code ? ctl_fail(&err) : POFR_EXIT_DONE;
}
