/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * options.h -- the command line that every daemon has:
 *   --config FILE  --instance NAME  --check-config  --print-config  --version  --help   (and --config-docs markdown|man|sample)
 * plus --health where its configuration has an option [metrics] listen (metrics_http.h), plus the program's own. Exit
 * codes of all our programs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/compiler.h"

struct conf;
struct conf_table;

enum pofr_exit {
    POFR_EXIT_DONE = 0,
    POFR_EXIT_NO = 1,      /* the answer is no: a check found something */
    POFR_EXIT_USAGE = 2,   /* wrong use, configuration included */
    POFR_EXIT_RETRY = 3,   /* could not be done now: try again */
    POFR_EXIT_REFUSED = 4, /* refused */
};

/* The exit code that fits an error code (0 -> DONE, RETRY class -> RETRY, CONFIG, USAGE -> USAGE, REFUSED, PERMISSION -> REFUSED, else NO). */
int options_exit_of(int code);

#define OPTIONS_EXTRA_MAX 16

struct options_extra {
    const char *name;     /* "state-dir" for --state-dir */
    const char *argument; /* "DIR" where it takes one, else NULL */
    const char *help;
};

struct options_spec {
    const char *program;           /* "pofr-gateway" */
    const char *what;              /* one sentence for --help */
    const char *synopsis;          /* arguments after the options, "[collect|ship]"; "" where none are taken */
    const struct conf_table *conf; /* NULL: no configuration options */
    const struct options_extra *extra;
    size_t extra_count; /* <= OPTIONS_EXTRA_MAX */
    /* Lines "name version" of the libraries in use, for --version; ends with NULL. May be NULL. */
    const char *const *libraries;
    bool conf_may_lack; /* the configuration need not be there: options.conf is NULL then */
};

struct options {
    const char *config_path; /* that of the table where none was given */
    struct conf *conf;       /* loaded and checked; the caller frees it */
    /* By index in spec->extra: the argument, "" for given without one, NULL not given. */
    const char *extra[OPTIONS_EXTRA_MAX];
    int first; /* index in argv of the first argument that is no option */
};

/*
 * Read argv, do what --help, --version, --check-config … ask, load the configuration. Options end at the first
 * argument that is none: a program with commands ("pofr-agent collect --config F") passes argv from the command on.
 * true: go on. false: *out_exit is the exit code, and all that is to be said was said on stdout or stderr.
 * Not thread-safe (getopt); before any thread.
 */
POFR_MUST_USE bool options_parse(const struct options_spec *spec, int argc, char **argv, struct options *out,
                                 int *out_exit);
