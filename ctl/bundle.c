/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bundle.c -- pofrctl bundle list|get: what the ledger names, and the bytes that the host signed.
 *
 * A bundle is looked for where it was set aside, then in Kafka at the place that its row names, and given away only if it
 * is that of the row: same digest, and signed by the key that the catalog has under that name. What Kafka no longer has
 * is still proven to have been: statement and signature are made again from the row.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/hex.h"
#include "common/base/parse_num.h"
#include "common/base/uuid.h"
#include "common/evidence/bundle.h"
#include "common/os/fsio.h"
#include "common/os/options.h"
#include "common/record/limits.h"
#include "ctl/fetch.h"
#include "ctl/ledger.h"
#include "ctl/lookup.h"
#include "ctl/nouns.h"
#include "ctl/table.h"

#define LAST_DEFAULT 20
#define LIST_MAX     100000
#define SEQUENCE_MAX (UINT64_MAX >> 1)

/* --- list ------------------------------------------------------------------------------------------------------ */

#define LIST_COLUMNS                                                                                                   \
    "sequence, captured_from, captured_to, stored, origin, keyframe, records, bytes, CONCAT(slot, ':', incarnation, "  \
    "':', kafka_offset) AS place, LOWER(HEX(statement_digest)) AS statement_digest"
#define LIST_MORE                                                                                                      \
    ", LOWER(HEX(previous_digest)) AS previous_digest, LOWER(HEX(payload_digest)) AS payload_digest, "                 \
    "LOWER(HEX(key_id)) AS key_id"
#define LIST_FROM                                                                                                      \
    " FROM (SELECT * FROM bundle WHERE host_id = ? AND sequence >= ? AND sequence <= ? ORDER BY sequence DESC "        \
    "LIMIT ?) b ORDER BY sequence, statement_digest"

int bundle_list(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { "from=", "to=", "last=", NULL };
    const char *v[4];
    char *args[1];
    size_t args_count;
    struct pofr_err err = { 0 };
    struct lookup_host h;
    struct db_result *r = NULL;
    struct db *catalog = NULL;
    struct db *shard = NULL;
    uint64_t from = 1;
    uint64_t to = SEQUENCE_MAX;
    uint64_t last;
    int code;

    if (!ctl_options(c, argc, argv, names, v, args, 1, &args_count)) {
        return POFR_EXIT_USAGE;
    }
    last = v[0] || v[1] ? LIST_MAX : LAST_DEFAULT;
    if (args_count != 1 || (v[0] && parse_u64(slice_str(v[0]), SEQUENCE_MAX, &from)) ||
        (v[1] && parse_u64(slice_str(v[1]), SEQUENCE_MAX, &to)) ||
        (v[2] && parse_u64(slice_str(v[2]), LIST_MAX, &last))) {
        return ctl_usage(c, "usage: bundle list HOST [--from SEQUENCE] [--to SEQUENCE] [--last N]; N is at most %d",
                         LIST_MAX);
    }
    code = lookup_host(c, args[0], &catalog, &h, &err);
    if (!code) {
        code = lookup_shard(c, catalog, h.slot, &shard, &err);
    }
    if (!code) {
        struct db_value values[] = { DB_V_U(h.host_id), DB_V_U(from), DB_V_U(to), DB_V_U(last) };

        code = db_run(shard, c->json ? "SELECT " LIST_COLUMNS LIST_MORE LIST_FROM : "SELECT " LIST_COLUMNS LIST_FROM,
                      values, 4, &r, &err);
    }
    if (!code) {
        table_print(r, c->json);
        if (db_rows(r) == LIST_MAX) {
            ctl_warn("only the last %d of them", LIST_MAX);
        }
    }
    db_result_free(r);
    db_close(shard);
    db_close(catalog);
    return code ? ctl_fail(&err) : POFR_EXIT_DONE;
}

/* --- get: the row ------------------------------------------------------------------------------------------------- */

struct wanted {
    struct lookup_host host;
    uint64_t sequence;
    bool one;           /* it is the one with this digest */
    uint8_t digest[32]; /* of the statement */
};

/* Why the ledger does not have it. */
static int not_stored(struct db *shard, const struct wanted *w, struct pofr_err *err)
{
    struct db_value values[] = { DB_V_U(w->host.host_id), DB_V_U(w->sequence), DB_V_U(w->host.host_id),
                                 DB_V_U(w->sequence), DB_V_U(w->sequence) };
    struct db_result *r = NULL;
    int code = db_run(shard,
                      "(SELECT reason, CONCAT(slot, ':', incarnation, ':', kafka_offset) FROM set_aside WHERE "
                      "host_id = ? AND sequence = ? LIMIT 1) UNION ALL (SELECT kind, NULL FROM gap WHERE host_id = ? "
                      "AND first_sequence <= ? AND last_sequence >= ? AND explained = 0 LIMIT 1)",
                      values, 5, &r, err);

    if (!code) {
        char why[160] = "";

        if (db_rows(r) && !db_is_null(r, 0, 1)) {
            snprintf(why, sizeof(why), ": set aside (%s), see pofrctl set-aside show %s",
                     (const char *)db_get(r, 0, 0).data, (const char *)db_get(r, 0, 1).data);
        } else if (db_rows(r)) {
            snprintf(why, sizeof(why), ": a gap (%s)", (const char *)db_get(r, 0, 0).data);
        }
        code = pofr_err_set(err, POFR_ENOTFOUND, "the ledger of host %.64s has no sequence %" PRIu64 "%s", w->host.name,
                            w->sequence, why);
    }
    db_result_free(r);
    return code;
}

static int find_row(struct db *shard, const struct wanted *w, struct ledger_row *out, struct buf *text,
                    struct pofr_err *err)
{
    struct db_value values[] = { DB_V_U(w->host.host_id), DB_V_U(w->sequence), DB_V_U(!w->one),
                                 DB_V_S(slice_of(w->digest, sizeof(w->digest))) };
    struct db_result *r = NULL;
    int code = db_run(shard,
                      "SELECT " LEDGER_COLUMNS LEDGER_FROM
                      "WHERE b.host_id = ? AND b.sequence = ? AND (? OR b.statement_digest = ?) LIMIT 2",
                      values, 4, &r, err);

    if (!code && db_rows(r) == 0) {
        code = not_stored(shard, w, err);
    }
    if (!code && db_rows(r) > 1) {
        code = pofr_err_set(err, POFR_EUSAGE,
                            "sequence %" PRIu64 " is there more than once (a branch): say which with --digest, as "
                            "pofrctl bundle list shows it",
                            w->sequence);
    }
    if (!code) {
        ledger_take(r, 0, out, text);
        if (out->damage != LEDGER_WHOLE) {
            code = pofr_err_set(err, POFR_ECONFLICT, "the ledger's row was altered: see pofrctl verify %.64s",
                                w->host.name);
        }
    }
    db_result_free(r);
    return code;
}

static int find_key(struct db *catalog, const struct wanted *w, const struct ledger_row *row, uint8_t out[32],
                    struct pofr_err *err)
{
    struct db_value values[] = { DB_V_U(w->host.host_id), DB_V_S(slice_of(row->statement.key_id, 32)) };
    struct db_result *r = NULL;
    int code = db_run(catalog, "SELECT public_key FROM host_key WHERE host_id = ? AND key_id = ?", values, 2, &r, err);

    if (!code && (db_rows(r) != 1 || db_get(r, 0, 0).len != 32)) {
        code = pofr_err_set(err, POFR_ESIGNATURE, "it is signed by a key that this host never had");
    }
    if (!code) {
        memcpy(out, db_get(r, 0, 0).data, 32);
    }
    db_result_free(r);
    return code;
}

/* --- get: the bytes -------------------------------------------------------------------------------------------------- */

static int from_set_aside(struct db *shard, const struct ledger_row *row, struct buf *block, bool *out_found,
                          struct pofr_err *err)
{
    struct db_value values[] = { DB_V_U(row->slot), DB_V_U(row->incarnation), DB_V_I(row->kafka_offset) };
    struct db_result *r = NULL;
    int code = db_run(shard, "SELECT message FROM set_aside WHERE slot = ? AND incarnation = ? AND kafka_offset = ?",
                      values, 3, &r, err);

    if (!code) {
        *out_found = db_rows(r) > 0;
        if (*out_found) {
            buf_append(block, db_get(r, 0, 0));
        }
        code = block->err ? pofr_err_set(err, block->err, "the message that was set aside") : 0;
    }
    db_result_free(r);
    return code;
}

/* An offset means something in the log that it was given in alone. */
static int from_kafka(struct ctl *c, struct db *shard, const struct ledger_row *row, struct buf *block,
                      struct pofr_err *err)
{
    struct db_value value = DB_V_U(row->slot);
    struct db_result *r = NULL;
    int code = db_run(shard, "SELECT incarnation FROM ingest_offset WHERE slot = ?", &value, 1, &r, err);

    if (!code && (db_rows(r) == 0 || db_get_u64(r, 0, 0) != row->incarnation)) {
        code = pofr_err_set(err, POFR_ENOTFOUND, "Kafka's log of slot %" PRIu64 " was replaced since then", row->slot);
    }
    db_result_free(r);
    if (!code) {
        code = fetch_message(c->conf, row->slot, row->kafka_offset, KAFKA_TIMEOUT_MS, block, err);
    }
    if (code == POFR_ENOTFOUND) {
        struct pofr_err why = *err;

        code = pofr_err_set(err, code, "%s; --without-payload gives statement and signature, which the ledger keeps",
                            why.text);
    }
    return code;
}

static int check(struct buf *block, const struct ledger_row *row, const uint8_t public_key[32], const char *source,
                 struct pofr_err *err)
{
    struct bundle_view view;
    int code = bundle_open(buf_slice(block), &view, err);

    if (code) {
        pofr_err_prefix(err, "what %s has at the bundle's place is none", source);
        return code;
    }
    if (memcmp(view.statement_digest, row->digest, sizeof(row->digest)) != 0) {
        return pofr_err_set(err, POFR_ECONFLICT, "what %s has at the bundle's place is another one than the ledger's",
                            source);
    }
    code = bundle_verify(&view, public_key);
    return code ? pofr_err_set(err, code, "its signature does not verify") : 0;
}

/* Statement and signature as they were: one key and one text have one signature, and it is in the row. */
static int without_payload(const struct ledger_row *row, struct slice text, const uint8_t public_key[32],
                           struct buf *block, struct pofr_err *err)
{
    int code = sshsig_verify(public_key, row->signature, text);

    if (!code) {
        buf_append(block, text);
        code = sshsig_armor(public_key, row->signature, block);
    }
    if (!code) {
        code = block->err;
    }
    return code ? pofr_err_set(err, code, "the ledger's statement and signature: %s", pofr_err_text(code)) : 0;
}

static int get(struct ctl *c, const struct wanted *w, bool no_payload, struct db *catalog, struct ledger_row *row,
               struct buf *block, const char **out_source, struct pofr_err *err)
{
    struct buf text = BUF_INIT(STATEMENT_MAX);
    uint8_t public_key[32];
    struct db *shard = NULL;
    bool found = false;
    int code = lookup_shard(c, catalog, w->host.slot, &shard, err);

    if (!code) {
        code = find_row(shard, w, row, &text, err);
    }
    if (!code) {
        code = find_key(catalog, w, row, public_key, err);
    }
    if (!code && no_payload) {
        *out_source = "ledger";
        code = without_payload(row, buf_slice(&text), public_key, block, err);
    } else if (!code) {
        *out_source = "set_aside";
        code = from_set_aside(shard, row, block, &found, err);
        if (!code && !found) {
            *out_source = "kafka";
            code = from_kafka(c, shard, row, block, err);
        }
        if (!code) {
            code = check(block, row, public_key, *out_source, err);
        }
    }
    db_close(shard);
    buf_free(&text);
    return code;
}

/* --- get: what is said of it ----------------------------------------------------------------------------------------- */

static void print_facts(const struct wanted *w, const struct ledger_row *row, size_t bytes, const char *source,
                        const char *file)
{
    struct buf path = BUF_INIT(65536);
    char uuid[UUID_TEXT_SIZE];
    char digest[HEX_TEXT_SIZE(32)];
    char payload[HEX_TEXT_SIZE(32)];
    char key[HEX_TEXT_SIZE(32)];

    table_json_string(slice_str(file), &path);
    printf("{\"host\": \"%s\", \"host_id\": %" PRIu64 ", \"host_uuid\": \"%s\", \"sequence\": %" PRIu64
           ", \"statement_digest\": \"%s\", \"payload_sha256\": \"%s\", \"key_id\": \"%s\", \"slot\": %" PRIu64
           ", \"incarnation\": %" PRIu64 ", \"kafka_offset\": %" PRId64 ", \"source\": \"%s\", \"bytes\": %zu, "
           "\"file\": %s}\n",
           w->host.name, w->host.host_id, uuid_format(&row->statement.host, uuid), w->sequence,
           hex_encode(slice_of(row->digest, 32), digest),
           hex_encode(slice_of(row->statement.payload_digest, 32), payload),
           hex_encode(slice_of(row->statement.key_id, 32), key), row->slot, row->incarnation, row->kafka_offset, source,
           bytes, path.err ? "null" : buf_cstr(&path));
    buf_free(&path);
}

static int put_out(const struct buf *block, const char *file, struct pofr_err *err)
{
    if (file) {
        return fsio_replace(file, buf_slice(block), 0600, err);
    }
    if (fwrite(block->data, 1, block->len, stdout) != block->len || fflush(stdout)) {
        return pofr_err_sys(err, POFR_ESYSTEM, "writing the bundle");
    }
    return 0;
}

/* False: wrong use, said so. */
static bool read_arguments(const struct ctl *c, size_t count, char **args, const char **v, struct wanted *out)
{
    if (count != 2 || parse_u64(slice_str(args[1]), SEQUENCE_MAX, &out->sequence)) {
        ctl_usage(c, "usage: bundle get HOST SEQUENCE --output FILE; pofrctl bundle list HOST shows the sequences");
        return false;
    }
    out->one = v[1] != NULL;
    if (v[1] && hex_decode(slice_str(v[1]), out->digest, sizeof(out->digest))) {
        ctl_usage(c, "bundle get: --digest is 64 hex digits, as pofrctl bundle list shows them");
        return false;
    }
    if (!v[0] && (c->json || isatty(STDOUT_FILENO))) {
        ctl_usage(c, "bundle get: a bundle is not text: give --output FILE%s", c->json ? "" : ", or redirect");
        return false;
    }
    return true;
}

int bundle_get(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { "output=", "digest=", "without-payload", "force", NULL };
    const char *v[5];
    char *args[2];
    size_t args_count;
    struct pofr_err err = { 0 };
    struct wanted w = { 0 };
    struct ledger_row row;
    struct buf block = BUF_INIT(MESSAGE_MAX);
    struct db *catalog = NULL;
    const char *source = "";
    int code = 0;

    if (!ctl_options(c, argc, argv, names, v, args, 2, &args_count) || !read_arguments(c, args_count, args, v, &w)) {
        return POFR_EXIT_USAGE;
    }
    if (v[0] && !v[3] && ctl_is_taken(v[0])) {
        code = pofr_err_set(&err, POFR_EREFUSED, "%s holds something already; --force overwrites it", v[0]);
    }
    if (!code) {
        code = lookup_host(c, args[0], &catalog, &w.host, &err);
    }
    if (!code) {
        code = get(c, &w, v[2] != NULL, catalog, &row, &block, &source, &err);
    }
    if (!code) {
        code = put_out(&block, v[0], &err);
    }
    if (!code && c->json) {
        print_facts(&w, &row, block.len, source, v[0]);
    } else if (!code) {
        ctl_say(c, "host %s, sequence %" PRIu64 ": %zu bytes, from %s; digest and signature are right", w.host.name,
                w.sequence, block.len, source);
    }
    buf_free(&block);
    db_close(catalog);
    return code ? ctl_fail(&err) : POFR_EXIT_DONE;
}
