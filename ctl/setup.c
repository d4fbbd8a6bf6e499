/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * setup.c -- pofrctl setup: everything that the servers must hold before gateways, workers and mergers start, in one
 * command that may be repeated at any time. It is what those who can't look between the steps run (deploy/compose).
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hostport.h"
#include "common/base/parse_num.h"
#include "common/os/clock.h"
#include "common/os/options.h"
#include "ctl/migrate.h"
#include "ctl/nouns.h"
#include "ctl/strangers.h"

#define SETUP_SHARDS_MAX 64
#define WAIT_MAX_S       86400
#define PAUSE_MS         2000

struct setup {
    struct ctl *c;
    char *shards[SETUP_SHARDS_MAX]; /* "name=host:port" */
    size_t shards_count;
    const char *replication; /* NULL: that of the configuration */
    int64_t until_us;
};

static char *word(const char *text)
{
    return (char *)(uintptr_t)text; /* a verb does not write to its arguments */
}

/* Is it in the catalog, at this address? Then migrate has brought it up to date. */
static int is_entered(const struct ctl *c, struct slice name, const char *address, bool *out, struct pofr_err *err)
{
    struct hostport hp;
    struct db_result *r = NULL;
    struct db *catalog = NULL;
    int code = hostport_parse(slice_str(address), 3306, &hp);

    if (code) {
        return pofr_err_set(err, POFR_EUSAGE, "\"%s\" is not host:port", address);
    }
    code = ctl_catalog(c, &catalog, err);
    if (!code) {
        struct db_value values[] = { DB_V_S(name), DB_V_C(hp.host), DB_V_U(hp.port) };

        code = db_run(catalog,
                      "SELECT 1 FROM shard s WHERE s.name = ? AND s.address = ? AND s.port = ? AND EXISTS (SELECT 1 "
                      "FROM slot l WHERE l.shard_id = s.shard_id)",
                      values, 3, &r, err);
    }
    if (!code) {
        *out = db_rows(r) > 0;
    }
    db_result_free(r);
    db_close(catalog);
    return code;
}

/* The exit code of one attempt at one shard. */
static int enter_shard(struct setup *s, const char *text)
{
    const char *address = strchr(text, '=') + 1;
    struct slice name = slice_of(text, (size_t)(address - 1 - text));
    struct pofr_err err = { 0 };
    char copy[65];
    bool entered = false;
    int code = is_entered(s->c, name, address, &entered, &err);
    char *argv[] = { word("add"), copy, word("--address"), word(address), word("--if-exists"), word("update"), NULL };

    if (code) {
        return ctl_fail(&err);
    }
    if (entered) {
        return POFR_EXIT_DONE;
    }
    snprintf(copy, sizeof(copy), "%.*s", SLICE_FMT(name));
    return shard_add(s->c, 6, argv);
}

static int migrate(struct setup *s, size_t step)
{
    char *argv[] = { word("migrate"), NULL };

    (void)step;
    return migrate_main(s->c, 1, argv);
}

static int shard(struct setup *s, size_t step)
{
    return enter_shard(s, s->shards[step]);
}

static int topics(struct setup *s, size_t step)
{
    char *argv[] = { word("create"), word("--replication"), word(s->replication), NULL };

    (void)step;
    return topic_create_main(s->c, s->replication ? 3 : 1, argv);
}

/* Nobody who looks for it would find these hosts; gateways refuse them once their copies are those of this catalog. */
static int hosts_are_known(struct setup *s, size_t step)
{
    struct pofr_err err = { 0 };
    struct ctl_shard *shards = NULL;
    struct db *catalog = NULL;
    size_t count = 0;
    uint64_t strangers = 0;
    int code = ctl_catalog(s->c, &catalog, &err);

    (void)step;
    if (!code) {
        code = ctl_shards(catalog, &shards, &count, &err);
    }
    for (size_t i = 0; !code && i < count; i++) {
        code = strangers_count(s->c, catalog, &shards[i], &strangers, &err);
    }
    if (!code && strangers) {
        code = pofr_err_set(&err, POFR_EREFUSED, "the shards have %" PRIu64 " hosts " STRANGERS_ADVICE, strangers);
    }
    free(shards);
    db_close(catalog);
    return code ? ctl_fail(&err) : POFR_EXIT_DONE;
}

/* What can't be done now is tried again until the time is over; it said itself what was missing. */
static int repeat(struct setup *s, int (*run)(struct setup *s, size_t step), size_t step)
{
    int exit_code = run(s, step);

    while (exit_code == POFR_EXIT_RETRY && clock_mono_us() < s->until_us) {
        POFR_IGNORE(poll(NULL, 0, PAUSE_MS));
        exit_code = run(s, step);
    }
    return exit_code;
}

int setup_main(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { "wait=", "replication=", NULL };
    struct setup s = { .c = c };
    const char *v[3];
    uint64_t wait_s = 0;
    int exit_code;

    if (!ctl_options(c, argc, argv, names, v, s.shards, SETUP_SHARDS_MAX, &s.shards_count)) {
        return POFR_EXIT_USAGE;
    }
    if (v[0] && parse_u64(slice_str(v[0]), WAIT_MAX_S, &wait_s)) {
        return ctl_usage(c, "--wait is a number of seconds, at most %d", WAIT_MAX_S);
    }
    for (size_t i = 0; i < s.shards_count; i++) {
        const char *equals = strchr(s.shards[i], '=');

        if (!equals || equals == s.shards[i] || equals - s.shards[i] > 64 || !equals[1]) {
            return ctl_usage(c, "\"%s\" is not NAME=HOST:PORT", s.shards[i]);
        }
    }
    s.replication = v[1];
    s.until_us = clock_mono_us() + (int64_t)wait_s * 1000000;
    exit_code = repeat(&s, migrate, 0);
    for (size_t i = 0; i < s.shards_count && exit_code == POFR_EXIT_DONE; i++) {
        exit_code = repeat(&s, shard, i);
    }
    if (exit_code == POFR_EXIT_DONE) {
        exit_code = repeat(&s, topics, 0);
    }
    return exit_code == POFR_EXIT_DONE ? repeat(&s, hosts_are_known, 0) : exit_code;
}
