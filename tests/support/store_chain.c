/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store_chain -- random hosts (tests/support/random_chain.h), their bundles in a random order, in transactions of random size
 * with several hosts in each, into a shard by store_batch(); and the rows that are then there. memory_chain gives what they must be.
 *
 *   store_chain PORT USER PASSWORD_FILE DATABASE FIRST COUNT
 *
 * The shard's slot 0 is used, which must be assigned; hosts are made.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/chain_rows.h"
#include "tests/support/random.h"
#include "workers/store_parts.h"

#define TOGETHER 4u /* hosts whose bundles come in the same transactions */
#define BATCH    24u

struct giving_host {
    uint64_t number;
    struct keys_host host;
    struct random_chain chain;
    struct chain_order order;
    size_t given;
};

struct giving {
    struct store *store;
    struct store_slot slot;
    struct random random;
    struct giving_host hosts[TOGETHER];
    size_t hosts_count;
};

struct given { /* one message */
    const struct giving_host *of;
    size_t bundle;
};

static void must(int code, const char *what, const struct pofr_err *err)
{
    if (code) {
        (void)fprintf(stderr, "store_chain: %s: %s\n", what, err->text);
        exit(1);
    }
}

int chain_arguments_of(struct world *w, const struct host_boot *b, const struct stored_row *s,
                       struct chain_arguments *out)
{
    static struct db_result *result; /* until the next call */
    const struct rec_process *p = &s->id->process;
    char started[32], first[32], ended[32];
    const struct db_value values[] = {
        DB_V_U(b->row.host_id),
        DB_V_U(b->row.number),
        DB_V_U(p->pid),
        world_time(row_wall(&b->row, p->start_jiffies * 10000 + p->start_number), started),
        world_time(s->key_first, first),
        s->key_ended == ROW_KEY_OPEN ? DB_V_C("9999-12-31 23:59:59.999999") : world_time(s->key_ended, ended),
    };
    int code;

    db_result_free(result);
    result = NULL;
    code = world_run(
        w,
        "SELECT IFNULL(arguments, ''), arguments_cut, unreadable FROM psinfo WHERE host_id = ? AND boot = ? AND "
        "pid = ? AND started = ? AND first_seen = ? AND ended = ?",
        values, pofr_countof(values), &result);
    if (code || db_rows(result) != 1) {
        return code ? code : POFR_EFORMAT;
    }
    *out = (struct chain_arguments){ db_get(result, 0, 0), db_get_u64(result, 0, 1), db_get_u64(result, 0, 2) };
    return 0;
}

/* A few bundles, one transaction; some come twice. */
static void give(struct giving *g, const struct given *list, size_t n)
{
    struct store_item items[BATCH] = { 0 }, *pointers[BATCH];
    struct store_report report = { 0 };
    struct pofr_err err = { 0 };
    bool doubt = false;

    for (size_t i = 0; i < n; i++) {
        const struct chain_bundle *b = list[i].of->chain.bundles[list[i].bundle];
        struct message *m = NULL;

        must(message_new(&m), "message", &err);
        m->incarnation = g->slot.at.incarnation;
        m->offset = g->slot.at.next_offset + (int64_t)i;
        m->received_us = m->appended_us = (int64_t)b->view.statement.to_wall_us;
        items[i].message = m;
        items[i].verdict = (struct verdict){
            .kind = VERDICT_GOOD, .signed_by_host = true, .view = b->view, .host_known = true, .host = list[i].of->host
        };
        items[i].decoded = b->decoded;
        pointers[i] = &items[i];
    }
    g->slot.items = pointers;
    g->slot.count = n;
    if (store_batch(g->store, &g->slot, 1, &report, &doubt, &err) != STORE_COMMITTED) {
        must(-1, "store_batch", &err);
    }
    for (size_t i = 0; i < n; i++) {
        message_free(items[i].message);
    }
}

static void host_begin(struct giving_host *h, uint64_t number)
{
    struct chain_case c;

    chain_case_of(&c, number);
    random_chain_make(&h->chain, c.seed, c.bundles, c.size, c.fates);
    chain_order_make(&h->order, &h->chain, c.seed, c.drop, c.reach);
    h->number = number;
    h->given = 0;
    h->host = (struct keys_host){ .host_id = number * 1024, .state = KEYS_ACTIVE, .enrolled_us = 1700000000000000 };
    memcpy(h->host.uuid.b, h->chain.bundles[0]->view.statement.host.b, sizeof(h->host.uuid.b));
    (void)snprintf(h->host.host, sizeof(h->host.host), "chain%llu", (unsigned long long)number);
}

static void host_end(struct giving *g, struct giving_host *h)
{
    struct pofr_err err = { 0 };
    struct store_host *touched = NULL, *stored = NULL;

    must(store_prepare(g->store, &err), "prepare", &err);
    must(store_host_of(g->store, &h->host, &touched, &stored), "host", &err);
    must(chain_rows_print(&g->store->w, &stored->h, h->number, stdout), "rows", &err);
    store_forget(g->store, 0);
    chain_order_free(&h->order);
    random_chain_free(&h->chain);
}

/* The next bundles of hosts that still have some, in each its order; fewer than n: there are no more. */
static size_t take(struct giving *g, struct given *list, size_t n)
{
    size_t left = 0, taken = 0;

    for (size_t i = 0; i < g->hosts_count; i++) {
        left += g->hosts[i].order.count - g->hosts[i].given;
    }
    while (taken < n && left > 0) {
        struct giving_host *h = &g->hosts[random_below(&g->random, g->hosts_count)];

        if (h->given < h->order.count) {
            list[taken++] = (struct given){ h, h->order.list[h->given++] };
            left--;
        }
    }
    return taken;
}

static void together(struct giving *g, uint64_t first, size_t count)
{
    struct given list[BATCH];
    size_t n;

    g->random.state = first;
    g->hosts_count = count;
    for (size_t i = 0; i < count; i++) {
        host_begin(&g->hosts[i], first + i);
    }
    while ((n = take(g, list, 1 + random_below(&g->random, random_chance(&g->random, 50) ? 4 : BATCH))) > 0) {
        give(g, list, n);
        if (random_chance(&g->random, 20)) {
            give(g, list, 1);
        }
        if (random_chance(&g->random, 30)) { /* and what is known of the hosts is read anew */
            store_forget(g->store, 0);
        }
    }
    store_forget(g->store, 0);
    for (size_t i = 0; i < count; i++) {
        host_end(g, &g->hosts[i]);
    }
}

int main(int argc, char **argv)
{
    struct giving g = { 0 };
    struct store_options o = { .worker = "store_chain", .strings_bytes = 1 << 20, .changes_max = 1000000 };
    struct pofr_err err = { 0 };
    uint64_t first, count;

    if (argc != 7) {
        return 2;
    }
    o.address = (struct db_address){ .host = "127.0.0.1",
                                     .port = (unsigned)strtoul(argv[1], NULL, 10),
                                     .user = argv[2],
                                     .password_file = argv[3],
                                     .database = argv[4] };
    first = strtoull(argv[5], NULL, 10);
    count = strtoull(argv[6], NULL, 10);
    must(store_new(&o, &g.store), "store", &err);
    must(store_connect(g.store, &err), "connect", &err);
    must(store_load(g.store, 0, &g.slot.at, &err), "slot", &err);
    for (uint64_t i = 0; i < count; i += TOGETHER) {
        together(&g, first + i, count - i < TOGETHER ? count - i : TOGETHER);
    }
    store_free(g.store);
    return 0;
}
