/* SPDX-License-Identifier: GPL-2.0-or-later */
/* messages.c -- what pofrctl says on standard error: see ctl.h. */
#include <stdarg.h>
#include <stdio.h>

#include "common/os/log.h"
#include "common/os/options.h"
#include "ctl/ctl.h"
#include "ctl/table.h"

#define TEXT_MAX 1024

/* What others say (servers, hosts, whoever gave an argument) must not reach a terminal as it is. */
static void say(const char *text)
{
    char clean[TEXT_MAX];

    log_escape(slice_str(text), clean, sizeof(clean));
    table_unquote(clean);
    fprintf(stderr, "%s", clean);
}

void ctl_warn(const char *fmt, ...)
{
    char text[TEXT_MAX];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    fputs("pofrctl: ", stderr);
    say(text);
    fputc('\n', stderr);
}

int ctl_fail(const struct pofr_err *err)
{
    ctl_warn("%s", err->text[0] ? err->text : pofr_err_text(err->code));
    return options_exit_of(err->code);
}

int ctl_usage(const struct ctl *c, const char *fmt, ...)
{
    char text[TEXT_MAX];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    fputs("pofrctl: ", stderr);
    say(text);
    fprintf(stderr, "; see pofrctl %s%s%s%s--help\n", c->noun, c->noun[0] ? " " : "", c->verb, c->verb[0] ? " " : "");
    return POFR_EXIT_USAGE;
}

void ctl_say(const struct ctl *c, const char *fmt, ...)
{
    char text[TEXT_MAX];
    va_list args;

    if (c->quiet) {
        return;
    }
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    say(text);
    fputc('\n', stderr);
}
