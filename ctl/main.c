/* SPDX-License-Identifier: GPL-2.0-or-later */
/* main.c -- pofrctl NOUN VERB: find the command, run it. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/compiler.h"
#include "common/os/options.h"
#include "ctl/ctl.h"
#include "ctl/help.h"

static const struct ctl_verb *find_verb(int argc, char **argv, int *out_used)
{
    for (const struct ctl_verb *v = ctl_verbs; v->noun; v++) {
        if (argc < 1 || strcmp(v->noun, argv[0]) != 0) {
            continue;
        }
        if (v->verb[0] == 0 || (argc > 1 && strcmp(v->verb, argv[1]) == 0)) {
            *out_used = v->verb[0] ? 1 : 0; /* what is left begins at the verb, or at the noun that has none */
            return v;
        }
    }
    return NULL;
}

/* What was closed by who started us is open again, to be written to in vain: else the first connection to a server could get
 * its number, and be told our page. */
static void hold_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open(fd == STDIN_FILENO ? "/dev/null" : "/dev/full", O_RDWR | O_CLOEXEC) != fd) {
            return; /* no /dev here */
        }
    }
}

/* A page that is not all there is no answer. Who closed a pipe has read enough. */
static int page_ends(int rc)
{
    struct pofr_err err = { 0 };
    bool failed = ferror(stdout) != 0;

    errno = 0;
    failed = fflush(stdout) != 0 || failed;
    if (!failed || errno == EPIPE) {
        return rc;
    }
    errno = errno ? errno : EIO; /* it failed earlier */
    (void)pofr_err_sys(&err, POFR_ESYSTEM, "what was to be shown can't be written");
    ctl_warn("%s", err.text);
    return rc == POFR_EXIT_DONE || rc == POFR_EXIT_NO ? POFR_EXIT_RETRY : rc;
}

int main(int argc, char **argv)
{
    static const struct options_extra extra[] = {
        { "json", NULL, "print JSON instead of tables" },
        { "quiet", NULL, "no progress lines" },
    };
    const char *libraries[] = { db_library(), NULL };
    struct options_spec spec = {
        .program = "pofrctl",
        .what = "The operator's and the analyst's tool of a POFR cluster.",
        .synopsis = "NOUN [VERB] [ARGUMENTS]",
        .conf = &ctl_conf_table,
        .extra = extra,
        .extra_count = pofr_countof(extra),
        .libraries = libraries,
    };
    struct options options = { 0 };
    struct ctl c = { .noun = "", .verb = "" };
    const struct ctl_verb *v;
    int used = 0;
    int rc;

    hold_streams();
    if (argc == 1) {
        return ctl_usage(&c, "a command is needed"); /* before a missing configuration is complained of */
    }
    if (help_answers(argc, argv, &rc)) {
        return page_ends(rc);
    }
    spec.conf_may_lack = help_noun_is(argc, argv, "size"); /* it comes before there is a cluster */
    setenv("POSIXLY_CORRECT", "1", 1);                     /* options after the noun are the verb's */
    if (!options_parse(&spec, argc, argv, &options, &rc)) {
        if (rc == POFR_EXIT_DONE && help_is_general(argc, argv)) {
            help_commands(stdout);
        }
        return page_ends(rc);
    }
    c.conf = options.conf ? conf_values(options.conf) : NULL;
    c.json = options.extra[0] != NULL;
    c.quiet = options.extra[1] != NULL;
    argc -= options.first;
    argv += options.first;
    /* --json is everywhere: also behind the verb. */
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            c.json = true;
            memmove(&argv[i], &argv[i + 1], (size_t)(argc - i) * sizeof(*argv));
            argc--;
            i--;
        }
    }
    v = find_verb(argc, argv, &used);
    if (!v) {
        c.noun = argc > 0 && help_is_noun(argv[0]) ? argv[0] : "";
        rc = argc < 1 ? ctl_usage(&c, "a command is needed")
                      : ctl_usage(&c, "no such command: %s%s%s", argv[0], argc > 1 ? " " : "", argc > 1 ? argv[1] : "");
    } else {
        c.noun = v->noun;
        c.verb = v->verb;
        rc = v->run(&c, argc - used, argv + used);
    }
    conf_free(options.conf);
    return page_ends(rc);
}
