/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctl.h -- what every noun of pofrctl gets: the configuration, how to print, how to connect, how to fail.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/db/db.h"
#include "ctl/ctl_conf.h"

struct ctl {
    const struct ctl_conf *conf;
    const char *noun, *verb; /* of the command that was given: "" where there is none such */
    bool json;
    bool quiet; /* no progress lines */
};

/* argv[0] is the verb. The exit code of INTERFACES: 0 done, 1 no, 2 wrong use, 3 try again, 4 refused. */
typedef int (*ctl_verb_fn)(struct ctl *c, int argc, char **argv);

struct ctl_option {
    const char *name;     /* "slots" for --slots */
    const char *argument; /* "LIST" where it takes one, else NULL */
    const char *what;     /* one line for --help and the manual page */
    bool required;
};

struct ctl_verb {
    const char *noun;
    const char *verb;      /* "": the noun has none */
    const char *arguments; /* what follows the verb, but options */
    const char *what;      /* one line for --help and the manual page */
    ctl_verb_fn run;
    const struct ctl_option *options; /* for help; ends with name NULL. NULL: none */
};

/* Every command, in the order of --help; ends with noun NULL. */
extern const struct ctl_verb ctl_verbs[];

/* Connections; the caller closes. ctl_catalog_server() is without a database: it may not be there yet. */
POFR_MUST_USE int ctl_catalog_server(const struct ctl *c, struct db **out_db, struct pofr_err *err);
POFR_MUST_USE int ctl_catalog(const struct ctl *c, struct db **out_db, struct pofr_err *err);
POFR_MUST_USE int ctl_head(const struct ctl *c, const char *database, struct db **out_db, struct pofr_err *err);

#define CTL_SHARDS_MAX 1024
struct ctl_shard {
    uint32_t shard_id;
    char name[65];
    char address[256];
    uint16_t port;
};
/* One at a time on that server, under this name; POFR_EBUSY with text where another has it for a minute. It goes with db. */
POFR_MUST_USE int ctl_lock(struct db *db, const char *name, const char *text, struct pofr_err *err);
/* The shards of the catalog by name; the array is the caller's to free(). */
POFR_MUST_USE int ctl_shards(struct db *catalog, struct ctl_shard **out_shards, size_t *out_count,
                             struct pofr_err *err);
/* NULL: none of them. */
const struct ctl_shard *ctl_shard_named(const struct ctl_shard *shards, size_t count, const char *name);
POFR_MUST_USE int ctl_shard_connect(const struct ctl *c, const struct ctl_shard *s, const char *database,
                                    struct db **out_db, struct pofr_err *err);

/* One question to the catalog, its answer on stdout; the command's exit code. */
int ctl_show_catalog(const struct ctl *c, const char *sql, const struct db_value *values, size_t count);
/* The whole of a command that takes neither options nor arguments, and shows one table. */
int ctl_list_catalog(struct ctl *c, int argc, char **argv, const char *sql);

/* Say what went wrong on stderr and give the exit code that fits. */
int ctl_fail(const struct pofr_err *err);
/* "pofrctl: text; see pofrctl NOUN VERB --help" on stderr, exit code 2. */
int ctl_usage(const struct ctl *c, const char *fmt, ...) POFR_PRINTF(2, 3);
/* "pofrctl: text" on stderr, whatever it may hold. */
void ctl_warn(const char *fmt, ...) POFR_PRINTF(1, 2);
/* A progress line on stderr, unless quiet. */
void ctl_say(const struct ctl *c, const char *fmt, ...) POFR_PRINTF(2, 3);

/*
 * Options after the verb: names ends with NULL; "name=" takes a value, "name" does not. values[i] is the
 * value, "" for a flag, NULL where not given. Positional arguments move to args (at most args_max). False:
 * wrong use, said so.
 */
bool ctl_options(const struct ctl *c, int argc, char **argv, const char *const *names, const char **values, char **args,
                 size_t args_max, size_t *out_args);

/* Is given one of the words (the list ends with NULL), or NULL? False: wrong use, said with the words that there are. */
bool ctl_choice(const struct ctl *c, const char *option, const char *given, const char *const *words);

/* Would a file at path take the place of something? An empty file, as mktemp makes it, is nothing that could be lost. */
bool ctl_is_taken(const char *path);
