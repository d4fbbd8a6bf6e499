/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a round asks and tells one shard. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/db/db.h"
#include "common/os/log.h"
#include "merger/watch_parts.h"

#define CONNECT_S   3
#define IO_S        30
#define REPORTS_MAX 1000 /* rows in one statement */
#define REPORT_MAX  4096 /* bytes of one, as JSON */

static int connect_shard(const struct merger_conf *conf, struct watch_shard_view *s, struct watch_own *own,
                         struct pofr_err *err)
{
    const struct db_address a = { .host = s->at.address,
                                  .port = s->at.port,
                                  .user = conf->shard_user,
                                  .password_file = conf->shard_password_file,
                                  .database = "pofr_store",
                                  .tls = conf->shard_tls,
                                  .connect_timeout_s = CONNECT_S,
                                  .io_timeout_s = IO_S };
    int code;

    if (own->db) {
        return 0;
    }
    code = db_connect(&a, &own->db, err);
    if (!code && conf->shard_tls.on) {
        s->ends_us = watch_certificate_end(own->db);
    }
    return code;
}

static int read_offsets(struct watch_view *v, size_t shard, struct watch_own *own, struct pofr_err *err)
{
    struct db_result *r = NULL;
    int code = db_run(own->db,
                      "SELECT slot, next_offset, GREATEST(TIMESTAMPDIFF(SECOND, updated, UTC_TIMESTAMP(6)), 0) FROM "
                      "ingest_offset WHERE state <> 'gone'",
                      NULL, 0, &r, err);

    for (size_t i = 0; !code && i < db_rows(r); i++) {
        uint64_t n = db_get_u64(r, i, 0);
        struct watch_slot *s = n < TOPIC_PARTITIONS_MAX ? &v->slots[n] : NULL;

        if (s && s->ours && s->shard == shard) {
            s->facts.known = true;
            s->facts.next_offset = (int64_t)db_get_u64(r, i, 1);
            s->facts.idle_s = (int64_t)db_get_u64(r, i, 2);
        }
    }
    db_result_free(r);
    return code;
}

static int put_reports(struct watch_own *own, const struct db_result *reports, struct pofr_err *err)
{
    size_t rows = db_rows(reports);
    int code = 0;

    for (size_t from = 0; from < rows && !code; from += REPORTS_MAX) {
        struct buf text = BUF_INIT(REPORTS_MAX * REPORT_MAX);
        struct db_value value;

        for (size_t i = from; i < rows && i < from + REPORTS_MAX; i++) {
            buf_u8(&text, i > from ? ',' : '[');
            buf_append(&text, db_get(reports, i, 0));
        }
        buf_u8(&text, ']');
        value = DB_V_S(buf_slice(&text));
        code =
            text.err
                ? pofr_err_set(err, text.err, "reports")
                : db_run(own->db,
                         "INSERT INTO spool_report (host_id, gateway, connected, hello, oldest, newest, acked, "
                         "acked_at, told) SELECT j.host_id, j.gateway, j.connected, j.hello, j.oldest, j.newest, "
                         "j.acked, j.acked_at, j.told FROM JSON_TABLE(?, '$[*]' COLUMNS (host_id BIGINT UNSIGNED "
                         "PATH '$[0]', gateway VARCHAR(190) PATH '$[1]', connected INT PATH '$[2]', hello "
                         "DATETIME(6) PATH '$[3]', oldest BIGINT UNSIGNED PATH '$[4]', newest BIGINT UNSIGNED PATH "
                         "'$[5]', acked BIGINT UNSIGNED PATH '$[6]', acked_at DATETIME(6) PATH '$[7]', told "
                         "DATETIME(6) PATH '$[8]')) j ON DUPLICATE KEY UPDATE gateway = VALUES(gateway), connected = "
                         "VALUES(connected), hello = VALUES(hello), oldest = VALUES(oldest), newest = "
                         "VALUES(newest), acked = VALUES(acked), acked_at = VALUES(acked_at), told = VALUES(told)",
                         &value, 1, NULL, err);
        buf_free(&text);
    }
    return code;
}

static int put_logs(const struct watch_view *v, size_t shard, struct watch_own *own, struct pofr_err *err)
{
    struct buf text = BUF_INIT(TOPIC_PARTITIONS_MAX * 64U);
    struct db_value value;
    int code;

    for (unsigned n = 0; n < v->partitions; n++) {
        const struct watch_slot *s = &v->slots[n];

        if (s->ours && s->shard == shard && s->facts.kafka.high >= 0) {
            buf_printf(&text, "%s[%u,%lld,%lld]", text.len ? "," : "[", n, (long long)s->facts.kafka.low,
                       (long long)s->facts.kafka.high);
        }
    }
    if (text.len == 0) {
        return 0;
    }
    buf_u8(&text, ']');
    value = DB_V_S(buf_slice(&text));
    code = text.err
               ? pofr_err_set(err, text.err, "slots")
               : db_run(own->db,
                        "INSERT INTO slot_watch (slot, log_start, log_end, looked) SELECT j.slot, j.log_start, "
                        "j.log_end, UTC_TIMESTAMP(6) FROM JSON_TABLE(?, '$[*]' COLUMNS (slot SMALLINT UNSIGNED PATH "
                        "'$[0]', log_start BIGINT PATH '$[1]', log_end BIGINT PATH '$[2]')) j ON DUPLICATE KEY UPDATE "
                        "log_start = VALUES(log_start), log_end = VALUES(log_end), looked = VALUES(looked)",
                        &value, 1, NULL, err);
    buf_free(&text);
    return code;
}

/* Without Kafka's word nothing is written: the reports of later would stand beside the log of before. */
static int put_round(struct watch_view *v, size_t shard, struct watch_own *own, const struct db_result *reports,
                     struct pofr_err *err)
{
    struct pofr_err ignored;
    int code;

    if (!v->kafka_up || !v->catalog_up) {
        return 0;
    }
    code = db_run(own->db, "START TRANSACTION", NULL, 0, NULL, err);
    if (!code) {
        code = put_reports(own, reports, err);
    }
    if (!code) {
        code = put_logs(v, shard, own, err);
    }
    if (!code) {
        code = db_run(own->db, "COMMIT", NULL, 0, NULL, err);
    }
    if (code && db_run(own->db, "ROLLBACK", NULL, 0, NULL, &ignored)) {
        log_debug("watch", "rollback_failed", "error=\"%s\"", ignored.text); /* the caller closes the connection */
    }
    if (!code && db_rows(reports)) {
        snprintf(own->told, sizeof(own->told), "%s", (const char *)db_get(reports, db_rows(reports) - 1, 1).data);
    }
    return code;
}

static int read_slots(struct watch_view *v, size_t shard, struct watch_own *own, struct pofr_err *err)
{
    struct db_result *r = NULL;
    int code = db_run(own->db,
                      "SELECT slot, hosts, in_spool, in_kafka, stored, set_aside, lost, unaccounted, "
                      "COALESCE(GREATEST(TIMESTAMPDIFF(SECOND, reported, UTC_TIMESTAMP(6)), 0), -1) FROM "
                      "pofr.conservation_slot",
                      NULL, 0, &r, err);

    for (size_t i = 0; !code && i < db_rows(r); i++) {
        uint64_t n = db_get_u64(r, i, 0);
        struct watch_slot *s = n < TOPIC_PARTITIONS_MAX ? &v->slots[n] : NULL;

        if (s && s->ours && s->shard == shard) {
            s->hosts = db_get_u64(r, i, 1);
            for (unsigned p = 0; p < PLACES; p++) {
                s->places[p] = (int64_t)strtoll((const char *)db_get(r, i, p + 2).data, NULL, 10);
            }
            s->report_s = (int64_t)strtoll((const char *)db_get(r, i, PLACES + 2).data, NULL, 10);
        }
    }
    db_result_free(r);
    return code;
}

#define ACTIVE(condition) "COALESCE(SUM(state = 'active' AND (" condition ")), 0), "

static int read_hosts(struct watch_shard_view *s, struct watch_own *own, struct pofr_err *err)
{
    struct db_result *r = NULL;
    int code = db_run(
        own->db,
        "SELECT " ACTIVE("last_tick >= UTC_TIMESTAMP(6) - INTERVAL 60 SECOND")
            ACTIVE("last_tick < UTC_TIMESTAMP(6) - INTERVAL 60 SECOND")
                ACTIVE("last_tick IS NULL") "COALESCE(SUM(state = 'pending'), 0), COALESCE(SUM(state = "
                                            "'retired'), 0), " ACTIVE("connected = 0 OR told IS NULL OR told < "
                                                                      "UTC_TIMESTAMP(6) - INTERVAL 60 SECOND")
                                                ACTIVE("gap_noted >= UTC_TIMESTAMP(6) - INTERVAL 1 DAY")
                                                    ACTIVE("spool_limit > 0 AND spool_bytes >= spool_limit * 0.8")
                                                        ACTIVE("ABS(clock_off_us) > 2000000 OR ABS(drift_us) > "
                                                               "2000000") "COALESCE(SUM(unaccounted <> 0), 0) FROM "
                                                                          "pofr.conservation",
        NULL, 0, &r, err);

    for (unsigned k = 0; !code && k < HOSTS_KINDS; k++) {
        s->hosts[k] = db_get_u64(r, 0, k);
    }
    db_result_free(r);
    return code;
}

static int read_reasons(struct watch_shard_view *s, struct watch_own *own, struct pofr_err *err)
{
    struct db_result *r = NULL;
    int code =
        db_run(own->db, "SELECT reason, COUNT(*) FROM set_aside WHERE replayed IS NULL GROUP BY reason ORDER BY reason",
               NULL, 0, &r, err);

    s->reasons_count = 0;
    for (size_t i = 0; !code && i < db_rows(r) && i < WATCH_REASONS_MAX; i++) {
        const char *reason = (const char *)db_get(r, i, 0).data;

        if (strspn(reason, "abcdefghijklmnopqrstuvwxyz_") == strlen(reason)) {
            snprintf(s->reasons[s->reasons_count], sizeof(s->reasons[0]), "%s", reason);
            s->reasons_messages[s->reasons_count++] = db_get_u64(r, i, 1);
        }
    }
    db_result_free(r);
    return code;
}

#define ENGINE(name) "COALESCE(MAX(CASE VARIABLE_NAME WHEN '" name "' THEN CAST(VARIABLE_VALUE AS UNSIGNED) END), 0)"

static int read_engine(struct watch_shard_view *s, struct watch_own *own, struct pofr_err *err)
{
    struct db_result *r = NULL;
    int code = db_run(own->db,
                      "SELECT " ENGINE("INNODB_CHECKPOINT_AGE") ", " ENGINE("INNODB_CHECKPOINT_MAX_AGE") ", " ENGINE(
                          "INNODB_HISTORY_LIST_LENGTH") " FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME IN "
                                                        "('INNODB_CHECKPOINT_AGE', 'INNODB_CHECKPOINT_MAX_AGE', "
                                                        "'INNODB_HISTORY_LIST_LENGTH')",
                      NULL, 0, &r, err);

    if (!code) {
        s->redo_age = db_get_u64(r, 0, 0);
        s->redo_limit = db_get_u64(r, 0, 1);
        s->history = db_get_u64(r, 0, 2);
    }
    db_result_free(r);
    return code;
}

static int read_totals(struct watch_shard_view *s, struct watch_own *own, struct pofr_err *err)
{
    struct totals t = { 0 };
    int code = own->until_totals > 0 ? 0 : totals_add_shard(&t, own->db, err);

    if (!code && own->until_totals == 0) {
        s->totals = t;
        own->until_totals = WATCH_TOTALS_ROUNDS;
    }
    own->until_totals -= own->until_totals > 0;
    return code;
}

int watch_shard_offsets(struct watch_view *v, size_t shard, const struct merger_conf *conf, struct watch_own *own,
                        struct pofr_err *err)
{
    int code = connect_shard(conf, &v->shards[shard], own, err);

    return code ? code : read_offsets(v, shard, own, err);
}

int watch_shard_round(struct watch_view *v, size_t shard, struct watch_own *own, const struct db_result *reports,
                      struct pofr_err *err)
{
    int code = put_round(v, shard, own, reports, err);

    if (!code) {
        code = read_slots(v, shard, own, err);
    }
    if (!code) {
        code = read_hosts(&v->shards[shard], own, err);
    }
    if (!code) {
        code = read_engine(&v->shards[shard], own, err);
    }
    if (!code) {
        code = read_totals(&v->shards[shard], own, err);
    }
    return code ? code : read_reasons(&v->shards[shard], own, err);
}
