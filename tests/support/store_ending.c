/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store_ending -- many open rows that end at once, on a shard: which rows go, after a roll-back, after a connection that died,
 * with the longest keys, and without the right that it takes (workers/ending.h).
 *
 *   store_ending PORT ADMIN_PASSWORD_FILE WORKER_PASSWORD_FILE
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/check.h"
#include "workers/ending.h"
#include "workers/store_parts.h"

#define ANCHOR_US INT64_C(1700000000000000)
#define MANY      200u
#define ROUND     (BULK_ROWS_MAX + 500u) /* more than one round trip */

static struct db_address admin_at, worker_at;

struct shard {
    struct store *store;
    struct db *admin;
    struct pofr_err err;
};

static uint64_t ask(struct shard *s, const char *sql)
{
    struct db_result *r = NULL;
    uint64_t n;

    assert_int_equal(db_run(s->admin, sql, NULL, 0, &r, &s->err), 0);
    n = db_rows(r) ? db_get_u64(r, 0, db_columns(r) - 1) : 0;
    db_result_free(r);
    return n;
}

static void tell(struct shard *s, const char *sql)
{
    assert_int_equal(db_script(s->admin, slice_str(sql), &s->err), 0);
}

static int setup(void **state)
{
    struct shard *s = calloc(1, sizeof(*s));
    struct store_options o = {
        .address = worker_at, .worker = "store_ending", .strings_bytes = 1 << 20, .changes_max = 100000
    };

    assert_non_null(s);
    assert_int_equal(db_connect(&admin_at, &s->admin, &s->err), 0);
    assert_int_equal(store_new(&o, &s->store), 0);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct shard *s = *state;

    store_free(s->store);
    db_close(s->admin);
    free(s);
    return 0;
}

static void connect_and_begin(struct shard *s)
{
    assert_int_equal(store_connect(s->store, &s->err), 0);
    assert_int_equal(store_prepare(s->store, &s->err), 0);
    assert_int_equal(store_begin(s->store, &s->err), 0);
    s->store->changes.received_us = s->store->w.now_us;
}

static void commit(struct shard *s)
{
    assert_int_equal(db_run(s->store->db, "COMMIT", NULL, 0, NULL, &s->err), 0);
}

static int write_all(struct shard *s)
{
    return rows_write(s->store->w.rows, &s->store->changes, &s->err);
}

static struct record *records_of(unsigned entity, unsigned verb, uint64_t first_seen, size_t n)
{
    struct record *list = calloc(n, sizeof(*list));

    assert_non_null(list);
    for (size_t i = 0; i < n; i++) {
        list[i].kind = REC_KIND(entity, verb);
        list[i].entity = (uint16_t)entity;
        list[i].verb = (uint8_t)verb;
        list[i].iv.first_seen = first_seen;
        if (verb == REC_END) {
            list[i].iv.last_seen = list[i].iv.ended = first_seen + 1000;
            list[i].iv.end_source = REC_END_GONE;
        }
    }
    return list;
}

/* Processes from to to begin, or end, as changes of the store; the records live until the caller frees them. */
static struct record *processes(struct shard *s, const struct row_boot *boot, unsigned verb, uint64_t first_seen,
                                uint64_t from, uint64_t to)
{
    struct record *list = records_of(REC_PROCESS, verb, first_seen, to - from + 1);

    for (uint64_t pid = from; pid <= to; pid++) {
        list[pid - from].process.pid = pid;
        if (verb == REC_END) {
            changes_end(&s->store->changes, boot, &list[pid - from]);
        } else {
            changes_start(&s->store->changes, boot, &list[pid - from]);
        }
    }
    return list;
}

/* What processes() makes, in a transaction of its own. */
static void store_processes(struct shard *s, const struct row_boot *boot, unsigned verb, uint64_t from, uint64_t to)
{
    struct record *list;

    connect_and_begin(s);
    list = processes(s, boot, verb, 1000, from, to);
    assert_int_equal(write_all(s), 0);
    commit(s);
    free(list);
}

#define OPEN " AND ended = '9999-12-31 23:59:59.999999'"

static void rows_that_end_at_once_go_and_no_others(void **state)
{
    static const struct row_boot boot = { 900001, 1, ANCHOR_US }, other_boot = { 900001, 2, ANCHOR_US },
                                 other_host = { 900002, 1, ANCHOR_US };
    struct shard *s = *state;
    struct record *known, *unknown;
    struct rows_figures figures;

    store_processes(s, &boot, REC_START, 1, MANY);
    store_processes(s, &other_boot, REC_START, 1, MANY);
    store_processes(s, &other_host, REC_START, 1, MANY);
    rows_figures(s->store->w.rows, &figures);
    connect_and_begin(s);
    known = processes(s, &boot, REC_END, 1000, 1, 100);
    unknown = processes(s, &boot, REC_END, 7, 101, 110); /* of these no such row is open */
    assert_int_equal(write_all(s), 0);
    commit(s);
    rows_figures(s->store->w.rows, &figures);
    assert_int_equal(figures.ended[0], 100);
    assert_int_equal(ask(s, "SELECT COUNT(*) FROM psinfo WHERE host_id = 900001 AND boot = 1 AND pid > 100" OPEN), 100);
    assert_int_equal(ask(s, "SELECT COUNT(*) FROM psinfo WHERE host_id = 900001 AND boot = 1" OPEN), 100);
    assert_int_equal(ask(s, "SELECT COUNT(*) FROM psinfo WHERE host_id = 900001 AND boot = 1"), 210);
    assert_int_equal(ask(s, "SELECT COUNT(*) FROM psinfo WHERE host_id = 900001 AND boot = 2" OPEN), MANY);
    assert_int_equal(ask(s, "SELECT COUNT(*) FROM psinfo WHERE host_id = 900002" OPEN), MANY);
    free(known);
    free(unknown);
}

static void what_was_rolled_back_does_not_end_with_the_next(void **state)
{
    static const struct row_boot boot = { 900003, 1, ANCHOR_US };
    struct shard *s = *state;
    struct record *list;

    store_processes(s, &boot, REC_START, 1, MANY);
    connect_and_begin(s);
    list = processes(s, &boot, REC_END, 1000, 1, 50);
    assert_int_equal(write_all(s), 0);
    store_roll_back(s->store);
    free(list);
    store_processes(s, &boot, REC_END, 51, 100);
    assert_int_equal(ask(s, "SELECT COUNT(*) FROM psinfo WHERE host_id = 900003 AND pid <= 50" OPEN), 50);
    assert_int_equal(ask(s, "SELECT COUNT(*) FROM psinfo WHERE host_id = 900003 AND pid <= 100" OPEN), 50);
    assert_int_equal(ask(s, "SELECT COUNT(*) FROM psinfo WHERE host_id = 900003"), MANY);
}

static void a_duplicate_of_a_row_that_ended_is_a_conflict_and_undone(void **state)
{
    static const struct row_boot boot = { 900004, 1, ANCHOR_US };
    struct shard *s = *state;
    struct store_report report = { 0 };
    struct record *list;
    int code;

    store_processes(s, &boot, REC_START, 1, MANY);
    store_processes(s, &boot, REC_END, 20, 40);
    connect_and_begin(s);
    list = processes(s, &boot, REC_END, 1000, 1, 100); /* 20 to 40 once more */
    code = write_all(s);
    assert_int_not_equal(code, 0);
    s->store->w.error = rows_error(s->store->w.rows);
    assert_int_equal(store_outcome_of(s->store, code, &report), STORE_POISON);
    assert_true(report.conflict);
    store_roll_back(s->store);
    free(list);
    store_processes(s, &boot, REC_END, 41, 60);
    assert_int_equal(ask(s, "SELECT COUNT(*) FROM psinfo WHERE host_id = 900004" OPEN), MANY - 41);
    assert_int_equal(ask(s, "SELECT COUNT(*) FROM psinfo WHERE host_id = 900004"), MANY);
}

static uint64_t prepared(struct shard *s)
{
    return ask(s, "SELECT CAST(VARIABLE_VALUE AS UNSIGNED) FROM information_schema.GLOBAL_STATUS WHERE "
                  "VARIABLE_NAME = 'PREPARED_STMT_COUNT'");
}

static bool comes_back_to(struct shard *s, uint64_t count)
{
    for (int i = 0; i < 2000; i++) { /* the server ends a connection some time after we did */
        if (prepared(s) <= count) {
            return true;
        }
        (void)ask(s, "SELECT SLEEP(0.01)");
    }
    return false;
}

static void a_connection_that_died_is_replaced_and_leaves_no_statements(void **state)
{
    static const struct row_boot boot = { 900005, 1, ANCHOR_US };
    struct shard *s = *state;
    struct store_report report = { 0 };
    struct db_result *r = NULL;
    uint64_t before = prepared(s);
    struct record *list;
    char kill[64];
    int code;

    store_processes(s, &boot, REC_START, 1, MANY);
    connect_and_begin(s);
    list = processes(s, &boot, REC_END, 1000, 1, 50);
    assert_int_equal(write_all(s), 0);
    free(list);
    assert_int_equal(db_run(s->store->db, "SELECT CONNECTION_ID()", NULL, 0, &r, &s->err), 0);
    (void)snprintf(kill, sizeof(kill), "KILL CONNECTION %llu", (unsigned long long)db_get_u64(r, 0, 0));
    db_result_free(r);
    tell(s, kill);
    list = processes(s, &boot, REC_END, 1000, 51, 100);
    code = write_all(s);
    assert_int_not_equal(code, 0);
    s->store->w.error = rows_error(s->store->w.rows);
    assert_int_equal(store_outcome_of(s->store, code, &report), STORE_RETRY);
    store_roll_back(s->store);
    assert_false(store_is_connected(s->store));
    free(list);
    store_processes(s, &boot, REC_END, 1, 100);
    assert_int_equal(ask(s, "SELECT COUNT(*) FROM psinfo WHERE host_id = 900005" OPEN), MANY - 100);
    assert_int_equal(ask(s, "SELECT COUNT(*) FROM psinfo WHERE host_id = 900005"), MANY);
    store_disconnect(s->store);
    assert_true(comes_back_to(s, before));
}

static void statements_that_are_kept_are_a_few_and_give_what_is_asked(void **state)
{
    struct shard *s = *state;
    uint64_t before;

    assert_int_equal(store_connect(s->store, &s->err), 0);
    before = prepared(s);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 120; i++) {
            struct db_value v = DB_V_U(round);
            struct db_result *r = NULL;
            char sql[64];

            (void)snprintf(sql, sizeof(sql), "SELECT %u + ?", i);
            assert_int_equal(db_run(s->store->db, sql, &v, 1, &r, &s->err), 0);
            assert_int_equal(db_get_u64(r, 0, 0), i + round);
            db_result_free(r);
        }
    }
    assert_in_range(prepared(s), before, before + 60);
    /* one that failed is made anew */
    assert_int_not_equal(db_run(s->store->db, "SELECT no_such_column", NULL, 0, NULL, &s->err), 0);
    assert_int_equal(db_run(s->store->db, "SELECT 1", NULL, 0, NULL, &s->err), 0);
}

/* The longest texts that identify a row, all of their columns full. */
static void lengthen(struct record *r, const uint8_t text[255])
{
    const struct table *t = table_of(r->entity);

    for (size_t i = 0; i < t->id_count; i++) {
        const struct table_column *c = &t->columns[i];
        bool short_one = t->entity == REC_NETINT || t->entity == REC_NETROUTE || t->entity == REC_COVERAGE ||
                         strcmp(c->name, "class") == 0;
        struct slice s = slice_of(text, short_one ? 64 : 255);

        if (c->fill == FILL_BYTES || c->fill == FILL_ADDRESS) {
            memcpy((uint8_t *)r + c->offset, &s, sizeof(s));
        }
    }
}

static void store_long(struct shard *s, struct record *list, const struct row_boot *boots, size_t n)
{
    uint8_t text[255];

    memset(text, 'x', sizeof(text));
    connect_and_begin(s);
    for (size_t i = 0; i < n; i++) {
        lengthen(&list[i], text);
        if (list[i].verb == REC_END) {
            changes_end(&s->store->changes, &boots[i], &list[i]);
        } else {
            changes_start(&s->store->changes, &boots[i], &list[i]);
        }
    }
    assert_int_equal(write_all(s), 0);
    commit(s);
}

static void keys_of_every_table_fit_however_little_the_server_allows(void **state)
{
    static struct row_boot boots[ROUND];
    struct shard *s = *state;
    uint64_t usual = ask(s, "SELECT @@GLOBAL.max_heap_table_size");
    char sql[256];

    tell(s, "SET GLOBAL max_heap_table_size = 16384");
    for (size_t i = 0; i < ROUND; i++) {
        boots[i] = (struct row_boot){ 900006, (uint32_t)i + 1, ANCHOR_US };
    }
    for (size_t t = 0; t < TABLES_COUNT; t++) {
        size_t n = tables[t].entity == REC_HWINFO ? ROUND : ENDING_MANY;
        struct record *starts = records_of(tables[t].entity, REC_START, 1000, n);
        struct record *ends = records_of(tables[t].entity, REC_END, 1000, n);

        store_long(s, starts, boots, n);
        (void)snprintf(sql, sizeof(sql), "SELECT COUNT(*) FROM %s WHERE host_id = 900006" OPEN, tables[t].name);
        assert_int_equal(ask(s, sql), n);
        store_long(s, ends, boots, n);
        assert_int_equal(ask(s, sql), 0);
        (void)snprintf(sql, sizeof(sql), "SELECT COUNT(*) FROM %s WHERE host_id = 900006", tables[t].name);
        assert_int_equal(ask(s, sql), n);
        free(starts);
        free(ends);
    }
    (void)snprintf(sql, sizeof(sql), "SET GLOBAL max_heap_table_size = %llu", (unsigned long long)usual);
    tell(s, sql);
}

static void without_its_right_it_says_what_to_do_and_goes_on_when_that_is_done(void **state)
{
    static const struct row_boot boot = { 900007, 1, ANCHOR_US };
    struct shard *s = *state;
    struct store_report report = { 0 };
    struct record *list;
    int code;

    tell(s, "REVOKE CREATE TEMPORARY TABLES ON pofr_store.* FROM 'pofr_worker'@'%'");
    store_processes(s, &boot, REC_START, 1, MANY);
    connect_and_begin(s);
    list = processes(s, &boot, REC_END, 1000, 1, 50);
    code = write_all(s);
    tell(s, "GRANT CREATE TEMPORARY TABLES ON pofr_store.* TO 'pofr_worker'@'%'");
    assert_int_not_equal(code, 0);
    s->store->w.error = rows_error(s->store->w.rows);
    assert_int_equal(store_outcome_of(s->store, code, &report), STORE_BROKEN);
    assert_non_null(strstr(s->err.text, "pofrctl migrate"));
    assert_non_null(strstr(s->err.text, "pofr_worker"));
    store_roll_back(s->store);
    store_disconnect(s->store); /* as the writer does (writer_batch.c) */
    free(list);
    store_processes(s, &boot, REC_END, 1, 50);
    assert_int_equal(ask(s, "SELECT COUNT(*) FROM psinfo WHERE host_id = 900007" OPEN), MANY - 50);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_that_end_at_once_go_and_no_others, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_rolled_back_does_not_end_with_the_next, setup, teardown),
        cmocka_unit_test_setup_teardown(a_duplicate_of_a_row_that_ended_is_a_conflict_and_undone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_connection_that_died_is_replaced_and_leaves_no_statements, setup, teardown),
        cmocka_unit_test_setup_teardown(statements_that_are_kept_are_a_few_and_give_what_is_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_of_every_table_fit_however_little_the_server_allows, setup, teardown),
        cmocka_unit_test_setup_teardown(without_its_right_it_says_what_to_do_and_goes_on_when_that_is_done, setup,
                                        teardown),
    };

    if (argc != 4) {
        return 2;
    }
    admin_at = (struct db_address){ .host = "127.0.0.1",
                                    .port = (unsigned)strtoul(argv[1], NULL, 10),
                                    .user = "pofr_admin",
                                    .password_file = argv[2],
                                    .database = "pofr_store" };
    worker_at = admin_at;
    worker_at.user = "pofr_worker";
    worker_at.password_file = argv[3];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
