/* SPDX-License-Identifier: GPL-2.0-or-later */
/* arguments.c -- the options behind a verb: see ctl_options() in ctl.h. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl/ctl.h"

static size_t option_index(const char *const *names, const char *given, size_t given_len, bool *out_takes_value)
{
    size_t i;

    for (i = 0; names[i]; i++) {
        size_t len = strlen(names[i]);
        bool takes = names[i][len - 1] == '=';

        len -= takes;
        if (len == given_len && strncmp(names[i], given, len) == 0) {
            *out_takes_value = takes;
            break;
        }
    }
    return i;
}

/* What is wrong with the option; NULL: nothing. */
static const char *fault(bool known, bool takes, bool has_equals, bool has_next)
{
    if (!known) {
        return "there is no option";
    }
    if (has_equals && !takes) {
        return "no value belongs to";
    }
    return takes && !has_equals && !has_next ? "a value is missing behind" : NULL;
}

bool ctl_options(const struct ctl *c, int argc, char **argv, const char *const *names, const char **values, char **args,
                 size_t args_max, size_t *out_args)
{
    size_t count = 0;
    bool only_args = false;

    for (size_t i = 0; names[i]; i++) {
        values[i] = NULL;
    }
    for (int i = 1; i < argc; i++) {
        const char *equals;
        const char *wrong;
        bool takes = false;
        size_t len;
        size_t at;

        if (only_args || strncmp(argv[i], "--", 2) != 0) {
            if (count == args_max) {
                ctl_usage(c, "\"%s\" is one argument too many", argv[i]);
                return false;
            }
            args[count++] = argv[i];
            continue;
        }
        if (argv[i][2] == 0) {
            only_args = true;
            continue;
        }
        equals = strchr(argv[i], '=');
        len = equals ? (size_t)(equals - argv[i]) - 2 : strlen(argv[i]) - 2;
        at = option_index(names, argv[i] + 2, len, &takes);
        wrong = fault(names[at] != NULL, takes, equals != NULL, i + 1 < argc);
        if (wrong) {
            ctl_usage(c, "%s %.*s", wrong, (int)len + 2, argv[i]);
            return false;
        }
        values[at] = !takes ? "" : equals ? equals + 1 : argv[++i];
    }
    *out_args = count;
    return true;
}

bool ctl_choice(const struct ctl *c, const char *option, const char *given, const char *const *words)
{
    char list[256] = "";
    size_t len = 0;

    for (size_t i = 0; words[i]; i++) {
        if (!given || strcmp(given, words[i]) == 0) {
            return true;
        }
        if (len < sizeof(list)) {
            len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", i ? ", " : "", words[i]);
        }
    }
    ctl_usage(c, "%s \"%s\" is none of %s", option, given, list);
    return false;
}

bool ctl_is_taken(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 && (!S_ISREG(st.st_mode) || st.st_size > 0);
}
