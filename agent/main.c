/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pofr-agent: one program, a word says which part of it.
 */
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "agent/commands.h"
#include "common/base/compiler.h"
#include "common/os/options.h"

static const struct {
    const char *word;
    int (*run)(int argc, char **argv);
    const char *what;
} commands[] = {
    { "run", run_main, "collector and shipper, each under its own user" },
    { "collect", collect_main, "record: capture, sign, keep" },
    { "ship", ship_main, "send to the gateway what is recorded" },
    { "enrol", enrol_main, "make this host's key and register it" },
    { "rekey", rekey_main, "a new key for this host, announced by the old one" },
    { "status", status_main, "what the running agent is doing" },
    { "doctor", doctor_main, "what can be recorded here, and what is missing for the rest" },
};

static void usage(FILE *to)
{
    fprintf(to, "usage: pofr-agent COMMAND [OPTIONS]\n\n");
    for (size_t i = 0; i < pofr_countof(commands); i++) {
        fprintf(to, "  %-8s %s\n", commands[i].word, commands[i].what);
    }
    fprintf(to, "\nEach takes --help.\n");
}

/*
 * A recorder is to be small for weeks. Its threads hardly ever allocate at the same time, so one arena serves them, and
 * what one frees another can use; what is large (bundles, buffers of zstd) goes back at once and leaves no holes.
 */
static void keep_memory_small(void)
{
    (void)mallopt(M_ARENA_MAX, 1); /* what is refused stays as it is */
    (void)mallopt(M_MMAP_THRESHOLD, 64 * 1024);
    (void)mallopt(M_TRIM_THRESHOLD, 128 * 1024);
}

int main(int argc, char **argv)
{
    static char name[32]; /* argv[0] of the command, for its messages */

    keep_memory_small();
    for (size_t i = 0; argc > 1 && i < pofr_countof(commands); i++) {
        if (strcmp(argv[1], commands[i].word) == 0) {
            snprintf(name, sizeof(name), "pofr-agent %s", commands[i].word);
            argv[1] = name;
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        printf("pofr-agent %s\n", POFR_VERSION);
        return POFR_EXIT_DONE;
    }
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        usage(stdout);
        return POFR_EXIT_DONE;
    }
    usage(stderr); /* what was wrong comes last, where it is read */
    if (argc < 2) {
        fprintf(stderr, "\npofr-agent: no command is given\n");
    } else if (argv[1][0] == '-') {
        fprintf(stderr, "\npofr-agent: a command comes first, then its options (%s)\n", argv[1]);
    } else {
        fprintf(stderr, "\npofr-agent: there is no command \"%s\"\n", argv[1]);
    }
    return POFR_EXIT_USAGE;
}
