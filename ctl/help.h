/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * help.h -- what there is, from the one table of verbs.c: all commands, those of a noun, one with its options. It
 * needs no configuration and no server.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

/* Every command in one line each: what --help shows below the options. */
void help_commands(FILE *to);

/*
 * Was help asked for (help [NOUN [VERB]], NOUN [VERB] ... --help), or is a noun without its verb? Then that is
 * answered, and *out_exit is the exit code. "help all" is what the manual page is made of. argv is that of main().
 */
bool help_answers(int argc, char **argv, int *out_exit);

/* Are there commands of that noun? */
bool help_is_noun(const char *word);

/* Is that the noun of the command line? */
bool help_noun_is(int argc, char **argv, const char *word);

/* Was --help given before the noun? */
bool help_is_general(int argc, char **argv);
