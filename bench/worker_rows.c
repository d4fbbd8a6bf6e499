/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * worker_rows -- what a worker's thread does with bundles, as fast as it can, against a bare insert of the rows that they give.
 *
 *   worker_rows PORT USER PASSWORD_FILE SERVER_PID DIR...
 *
 * Each DIR holds the bundles of one host (tests/support/random_bundle). They are taken in turn, each is opened, its
 * signature verified, decoded, and stored in transactions as large as a worker's, in slot 0 of pofr_store. Then the same
 * final rows go into empty tables made LIKE theirs, over one connection, with the same bulk statements' size. Prints figures as
 * bench/run wants them.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/os/clock.h"
#include "workers/store_parts.h"

#define BATCH_ITEMS   256u
#define BATCH_RECORDS 10000u

struct host_bundles {
    struct keys_host host;
    struct slice *blocks;
    size_t count;
};

struct figures {
    int64_t wall_us, own_us, server_us;
};

static void must(int code, const char *what, const struct pofr_err *err)
{
    if (code) {
        (void)fprintf(stderr, "worker_rows: %s: %s\n", what, err ? err->text : pofr_err_text(code));
        exit(1);
    }
}

/* --- input ---------------------------------------------------------------------------------------------------- */

static int is_bundle(const struct dirent *d)
{
    size_t len = strlen(d->d_name);

    return len > 7 && strcmp(d->d_name + len - 7, ".bundle") == 0;
}

static struct slice read_all(const char *dir, const char *name)
{
    char path[4096];
    long size;
    uint8_t *bytes;
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "rb");
    must(f && fseek(f, 0, SEEK_END) == 0 ? 0 : POFR_ESYSTEM, path, NULL);
    size = ftell(f);
    rewind(f);
    bytes = malloc((size_t)size + 1);
    must(bytes && fread(bytes, 1, (size_t)size, f) == (size_t)size ? 0 : POFR_ESYSTEM, path, NULL);
    (void)fclose(f);
    return slice_of(bytes, (size_t)size);
}

static void read_host(struct host_bundles *h, const char *dir, unsigned number)
{
    struct dirent **names;
    struct bundle_view view;
    struct pofr_err err = { 0 };
    int n = scandir(dir, &names, is_bundle, alphasort);

    must(n > 0 ? 0 : POFR_ENOTFOUND, dir, NULL);
    h->blocks = calloc(n > 0 ? (size_t)n : 1, sizeof(*h->blocks));
    must(h->blocks ? 0 : POFR_ENOMEM, dir, NULL);
    for (int i = 0; i < n; i++) {
        h->blocks[h->count++] = read_all(dir, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    must(bundle_open(h->blocks[0], &view, &err), dir, &err);
    h->host = (struct keys_host){ .host_id = (uint64_t)number * 1024,
                                  .uuid = view.statement.host,
                                  .state = KEYS_ACTIVE,
                                  .enrolled_us = 1700000000000000 };
    (void)snprintf(h->host.host, sizeof(h->host.host), "bench%u", number);
}

/* --- time ------------------------------------------------------------------------------------------------------- */

static int64_t server_us(const char *pid)
{
    char path[64], line[1024], *at, *rest = NULL;
    unsigned long long ticks = 0;
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%s/stat", pid);
    f = fopen(path, "r");
    at = f && fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
    at = at ? strtok_r(at + 1, " ", &rest) : NULL; /* the third field: the state */
    for (int field = 3; at; field++, at = strtok_r(NULL, " ", &rest)) {
        ticks += field == 14 || field == 15 ? strtoull(at, NULL, 10) : 0; /* proc_pid_stat(5): utime, stime */
    }
    if (f) {
        (void)fclose(f);
    }
    return (int64_t)ticks * 1000000 / sysconf(_SC_CLK_TCK);
}

static int64_t own_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static struct figures now(const char *pid)
{
    return (struct figures){ clock_mono_us(), own_us(), server_us(pid) };
}

static struct figures since(const struct figures *from, const char *pid)
{
    struct figures f = now(pid);

    return (struct figures){ f.wall_us - from->wall_us, f.own_us - from->own_us, f.server_us - from->server_us };
}

/* --- the worker's way ---------------------------------------------------------------------------------------------- */

struct giving {
    struct store *store;
    struct store_slot slot;
    struct store_item items[BATCH_ITEMS], *pointers[BATCH_ITEMS];
    struct arena arenas[BATCH_ITEMS];
    size_t count, records;
    int64_t prepare_us, store_us, bundles;
};

static void flush(struct giving *g)
{
    struct store_report report = { 0 };
    struct pofr_err err = { 0 };
    int64_t from = clock_mono_us();
    bool doubt = false;

    g->slot.items = g->pointers;
    g->slot.count = g->count;
    if (g->count == 0) {
        return;
    }
    must(store_batch(g->store, &g->slot, 1, &report, &doubt, &err) == STORE_COMMITTED ? 0 : POFR_EDBBUSY, "store_batch",
         &err);
    g->store_us += clock_mono_us() - from;
    g->bundles += (int64_t)report.bundles;
    for (size_t i = 0; i < g->count; i++) {
        message_free(g->items[i].message);
        arena_reset(&g->arenas[i]);
    }
    g->count = g->records = 0;
}

static void give(struct giving *g, const struct host_bundles *h, struct slice block)
{
    struct store_item *item = &g->items[g->count];
    struct verdict *v = &item->verdict;
    struct pofr_err err = { 0 };
    struct slice payload;
    int64_t from = clock_mono_us();

    memset(item, 0, sizeof(*item));
    must(message_new(&item->message), "message", NULL);
    item->message->offset = g->slot.at.next_offset + (int64_t)g->count;
    item->message->incarnation = g->slot.at.incarnation;
    item->message->value = block;
    must(bundle_open(block, &v->view, &err), "bundle", &err);
    must(bundle_verify(&v->view, v->view.public_key), "signature", NULL);
    must(bundle_payload(&v->view, &g->arenas[g->count], &payload), "payload", NULL);
    must(decode_payload(payload, &v->view.statement, 1000000, &g->arenas[g->count], &item->decoded, &err), "decode",
         &err);
    v->kind = VERDICT_GOOD;
    v->signed_by_host = v->host_known = true;
    v->host = h->host;
    item->message->received_us = item->message->appended_us = (int64_t)v->view.statement.to_wall_us;
    item->records = item->decoded.count;
    g->pointers[g->count] = item;
    g->records += item->records;
    g->prepare_us += clock_mono_us() - from;
    if (++g->count == BATCH_ITEMS || g->records >= BATCH_RECORDS) {
        flush(g);
    }
}

static void give_all(struct giving *g, const struct host_bundles *hosts, size_t count)
{
    bool any = true;

    for (size_t i = 0; any; i++) {
        any = false;
        for (size_t h = 0; h < count; h++) {
            if (i < hosts[h].count) {
                give(g, &hosts[h], hosts[h].blocks[i]);
                any = true;
            }
        }
    }
    flush(g);
}

/* --- the bare way ----------------------------------------------------------------------------------------------------- */

static void sql(struct db *db, struct db_result **out, const char *before, const char *table, const char *after)
{
    char text[1024];
    struct pofr_err err = { 0 };

    (void)snprintf(text, sizeof(text), "%s%s%s", before, table, after);
    must(db_run(db, text, NULL, 0, out, &err), text, &err);
}

struct copy { /* of one table */
    struct db_result *rows;
    struct bulk *insert;
    size_t columns;
};

/* All rows as text, and a statement that inserts such. */
static void prepare_copy(struct db *db, const char *table, struct copy *c)
{
    static enum bulk_type types[BULK_COLUMNS_MAX];
    char select[8192] = "SELECT ", insert[8192];
    struct db_result *names = NULL;
    struct pofr_err err = { 0 };
    size_t at = strlen(select), in;

    sql(db, NULL, "DROP TABLE IF EXISTS bare_", table, "");
    (void)snprintf(insert, sizeof(insert), "CREATE TABLE bare_%s LIKE ", table);
    sql(db, NULL, insert, table, "");
    sql(db, &names,
        "SELECT column_name FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = '", table,
        "' ORDER BY ordinal_position");
    c->columns = db_rows(names);
    in = (size_t)snprintf(insert, sizeof(insert), "INSERT INTO bare_%s VALUES (", table);
    for (size_t i = 0; i < c->columns; i++) {
        struct slice name = db_get(names, i, 0);

        types[i] = BULK_BYTES;
        at += (size_t)snprintf(select + at, sizeof(select) - at, "%sCONCAT(`%.*s`)", i ? ", " : "", (int)name.len,
                               (const char *)name.data);
        in += (size_t)snprintf(insert + in, sizeof(insert) - in, "%s", i ? ", ?" : "?");
    }
    (void)snprintf(select + at, sizeof(select) - at, " FROM %s", table);
    (void)snprintf(insert + in, sizeof(insert) - in, ")");
    must(db_run(db, select, NULL, 0, &c->rows, &err), "rows", &err);
    must(bulk_new(db, insert, types, c->columns, &c->insert, &err), "insert", &err);
    db_result_free(names);
}

static void insert_copy(struct db *db, struct copy *c)
{
    struct pofr_err err = { 0 };

    must(db_run(db, "START TRANSACTION", NULL, 0, NULL, &err), "transaction", &err);
    for (size_t i = 0; i < db_rows(c->rows); i++) {
        for (size_t k = 0; k < c->columns; k++) {
            if (db_is_null(c->rows, i, k)) {
                bulk_null(c->insert, k);
            } else {
                bulk_bytes(c->insert, k, db_get(c->rows, i, k));
            }
        }
        bulk_next(c->insert);
        if (bulk_full(c->insert)) {
            must(bulk_run(c->insert, NULL, &err), "bare insert", &err);
            must(db_run(db, "COMMIT", NULL, 0, NULL, &err), "commit", &err);
            must(db_run(db, "START TRANSACTION", NULL, 0, NULL, &err), "transaction", &err);
        }
    }
    must(bulk_run(c->insert, NULL, &err), "bare insert", &err);
    must(db_run(db, "COMMIT", NULL, 0, NULL, &err), "commit", &err);
}

static uint64_t bare(const struct db_address *address, const char *pid, struct figures *out)
{
    struct copy copies[TABLES_COUNT] = { 0 };
    struct db *db = NULL;
    struct figures from;
    struct pofr_err err = { 0 };
    uint64_t rows = 0;

    must(db_connect(address, &db, &err), "connect", &err);
    for (size_t t = 0; t < TABLES_COUNT; t++) {
        prepare_copy(db, tables[t].name, &copies[t]);
        rows += db_rows(copies[t].rows);
    }
    from = now(pid);
    for (size_t t = 0; t < TABLES_COUNT; t++) {
        insert_copy(db, &copies[t]);
    }
    *out = since(&from, pid);
    for (size_t t = 0; t < TABLES_COUNT; t++) {
        db_result_free(copies[t].rows);
        bulk_free(copies[t].insert);
        sql(db, NULL, "DROP TABLE bare_", tables[t].name, "");
    }
    db_close(db);
    return rows;
}

static double per_s(uint64_t n, int64_t us)
{
    return us > 0 ? (double)n * 1e6 / (double)us : 0;
}

int main(int argc, char **argv)
{
    static struct giving g;
    struct store_options o = { .worker = "bench", .strings_bytes = 64 << 20, .changes_max = 1000000 };
    struct host_bundles *hosts;
    struct figures from, worker, plain;
    struct pofr_err err = { 0 };
    size_t count;
    uint64_t rows;

    if (argc < 6) {
        return 2;
    }
    o.address = (struct db_address){ .host = "127.0.0.1",
                                     .port = (unsigned)strtoul(argv[1], NULL, 10),
                                     .user = argv[2],
                                     .password_file = argv[3],
                                     .database = "pofr_store" };
    count = (size_t)argc - 5;
    hosts = calloc(count, sizeof(*hosts));
    must(hosts ? 0 : POFR_ENOMEM, "hosts", NULL);
    for (size_t i = 0; i < count; i++) {
        read_host(&hosts[i], argv[5 + i], (unsigned)i + 1);
    }
    for (size_t i = 0; i < BATCH_ITEMS; i++) {
        arena_init(&g.arenas[i], SIZE_MAX / 2);
    }
    must(store_new(&o, &g.store), "store", NULL);
    must(store_connect(g.store, &err), "connect", &err);
    must(store_load(g.store, 0, &g.slot.at, &err), "slot", &err);
    from = now(argv[4]);
    give_all(&g, hosts, count);
    worker = since(&from, argv[4]);
    store_free(g.store);
    rows = bare(&o.address, argv[4], &plain);
    (void)fprintf(stderr,
                  "worker_rows: %llu rows of %lld bundles; %lld ms, of it %lld preparing, %lld storing; bare %lld ms\n",
                  (unsigned long long)rows, (long long)g.bundles, (long long)worker.wall_us / 1000,
                  (long long)g.prepare_us / 1000, (long long)g.store_us / 1000, (long long)plain.wall_us / 1000);
    printf("final rows, one worker\t%.0f\trows/s\t%.0f\tbare insert of the same rows\n", per_s(rows, worker.wall_us),
           per_s(rows, plain.wall_us));
    printf("final rows, by CPU of worker and server\t%.0f\trows/s\t%.0f\tbare insert of the same rows\n",
           per_s(rows, worker.own_us + worker.server_us), per_s(rows, plain.own_us + plain.server_us));
    printf("bundles, verified, decoded, stored\t%.0f\tbundles/s\n", per_s((uint64_t)g.bundles, worker.wall_us));
    printf("worker's own CPU\t%.2f\tus/row\t%.2f\tbare insert of the same rows\n", (double)worker.own_us / (double)rows,
           (double)plain.own_us / (double)rows);
    printf("server's CPU\t%.2f\tus/row\t%.2f\tbare insert of the same rows\n", (double)worker.server_us / (double)rows,
           (double)plain.server_us / (double)rows);
    return 0;
}
