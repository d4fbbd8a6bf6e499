/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/help.h"

#include <string.h>

#include "common/os/options.h"
#include "ctl/ctl.h"

static void print_line(const struct ctl_verb *v, FILE *to)
{
    char name[64];

    snprintf(name, sizeof(name), "%s%s%s", v->noun, v->verb[0] ? " " : "", v->verb);
    fprintf(to, "  %-18s %s\n", name, v->what);
}

/* The arguments, then every option in brackets, but those that must be given. */
static void print_synopsis(const struct ctl_verb *v, FILE *to)
{
    fprintf(to, "%s%s%s", v->noun, v->verb[0] ? " " : "", v->verb);
    fprintf(to, "%s%s", v->arguments[0] ? " " : "", v->arguments);
    for (const struct ctl_option *o = v->options; o && o->name; o++) {
        fprintf(to, o->required ? " --%s%s%s" : " [--%s%s%s]", o->name, o->argument ? " " : "",
                o->argument ? o->argument : "");
    }
}

static void print_options(const struct ctl_verb *v, const char *margin, FILE *to)
{
    for (const struct ctl_option *o = v->options; o && o->name; o++) {
        char left[64];

        snprintf(left, sizeof(left), "--%s%s%s", o->name, o->argument ? " " : "", o->argument ? o->argument : "");
        fprintf(to, "%s%-23s  %s\n", margin, left, o->what);
    }
}

void help_commands(FILE *to)
{
    fputs("\nCommands:\n", to);
    for (const struct ctl_verb *v = ctl_verbs; v->noun; v++) {
        print_line(v, to);
    }
    fputs("\npofrctl NOUN VERB --help shows a command's arguments and options.\n", to);
}

static void print_all(void)
{
    for (const struct ctl_verb *v = ctl_verbs; v->noun; v++) {
        print_synopsis(v, stdout);
        printf("\n  %s\n", v->what);
        print_options(v, "    ", stdout);
    }
}

static void print_noun(const char *noun, FILE *to)
{
    fprintf(to, "Usage: pofrctl [options] %s VERB [ARGUMENTS]\n\nVerbs:\n", noun);
    for (const struct ctl_verb *v = ctl_verbs; v->noun; v++) {
        if (strcmp(v->noun, noun) == 0) {
            print_line(v, to);
        }
    }
}

static void print_verb(const struct ctl_verb *v)
{
    fputs("Usage: pofrctl [options] ", stdout);
    print_synopsis(v, stdout);
    printf("\n%s\n", v->what);
    if (v->options && v->options->name) {
        fputs("\nOptions:\n", stdout);
        print_options(v, "  ", stdout);
    }
}

/* The first of the noun's rows, and *out_verb the one of both words, or of the noun that has no verbs. */
static const struct ctl_verb *find(const char *noun, const char *verb, const struct ctl_verb **out_verb)
{
    const struct ctl_verb *first = NULL;

    *out_verb = NULL;
    for (const struct ctl_verb *v = ctl_verbs; v->noun; v++) {
        if (strcmp(v->noun, noun) != 0) {
            continue;
        }
        first = first ? first : v;
        if (v->verb[0] == 0 || (verb && strcmp(v->verb, verb) == 0)) {
            *out_verb = v;
        }
    }
    return first;
}

bool help_is_noun(const char *word)
{
    const struct ctl_verb *v;

    return find(word, NULL, &v) != NULL;
}

/* Where the noun is, behind the options of all; of these two take a value. */
static int first_word(int argc, char **argv)
{
    int i = 1;

    while (i < argc && argv[i][0] == '-' && strcmp(argv[i], "--") != 0) {
        i += strcmp(argv[i], "--config") == 0 || strcmp(argv[i], "--config-docs") == 0 ? 2 : 1;
    }
    return i < argc ? i : argc;
}

bool help_noun_is(int argc, char **argv, const char *word)
{
    int i = first_word(argc, argv);

    return i < argc && strcmp(argv[i], word) == 0;
}

bool help_is_general(int argc, char **argv)
{
    int end = first_word(argc, argv);

    for (int i = 1; i < end; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            return true;
        }
    }
    return false;
}

/* False: there is no such noun, or no such verb of it. */
static bool explain(const char *noun, const char *verb)
{
    const struct ctl_verb *v;

    if (!find(noun, verb, &v) || (verb && !v)) {
        return false;
    }
    if (v) {
        print_verb(v);
    } else {
        print_noun(noun, stdout);
    }
    return true;
}

bool help_answers(int argc, char **argv, int *out_exit)
{
    const struct ctl_verb *v;
    const struct ctl_verb *noun;
    bool asked = false;
    int words;

    if (help_is_general(argc, argv)) {
        return false; /* the options of all come first then */
    }
    words = argc - first_word(argc, argv);
    argv += argc - words;
    *out_exit = POFR_EXIT_DONE;
    if (words > 0 && strcmp(argv[0], "help") == 0) {
        if (words == 1) {
            fputs("Usage: pofrctl [options] NOUN [VERB] [ARGUMENTS]\n", stdout);
            help_commands(stdout);
        } else if (words == 2 && strcmp(argv[1], "all") == 0) {
            print_all();
        } else if (!explain(argv[1], words > 2 ? argv[2] : NULL)) {
            struct ctl c = { .noun = help_is_noun(argv[1]) ? argv[1] : "", .verb = "" };

            *out_exit =
                ctl_usage(&c, "no such command: %s%s%s", argv[1], words > 2 ? " " : "", words > 2 ? argv[2] : "");
        }
        return true;
    }
    for (int i = 1; i < words && strcmp(argv[i], "--") != 0; i++) {
        asked = asked || strcmp(argv[i], "--help") == 0;
    }
    noun = words > 0 ? find(argv[0], words > 1 ? argv[1] : NULL, &v) : NULL;
    if (!noun) {
        return false;
    }
    if (asked) {
        return explain(argv[0], v || argv[1][0] != '-' ? argv[1] : NULL);
    }
    if (!v && words == 1) {
        fprintf(stderr, "pofrctl: %s needs a verb\n", argv[0]);
        print_noun(argv[0], stderr);
        *out_exit = POFR_EXIT_USAGE;
        return true;
    }
    return false;
}
