/* SPDX-License-Identifier: GPL-2.0-or-later */
/* doctor.c -- pofr-agent doctor: what works here, what does not, and what follows from it. */
#include <stdbool.h>
#include <stdio.h>

#include "agent/agent_conf.h"
#include "agent/commands.h"
#include "agent/doctor/checks.h"
#include "common/base/err.h"
#include "common/os/options.h"
#include "common/os/service.h"

enum {
    OPTION_JSON
};

struct report {
    bool json;
    unsigned rows, bad, warn;
};

/* A JSON string; names and details hold text of the kernel and of peers. */
static void print_json_string(const char *text)
{
    putchar('"');
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\') {
            printf("\\%c", *c);
        } else if (*c < ' ' || *c >= 0x7f) {
            printf("\\u%04x", *c);
        } else {
            putchar(*c);
        }
    }
    putchar('"');
}

static void print_row(void *arg, const char *name, enum check_level level, const char *detail)
{
    struct report *r = arg;

    if (r->json) {
        printf("%s\n  {\"check\": ", r->rows > 0 ? "," : "");
        print_json_string(name);
        printf(", \"result\": \"%s\", \"detail\": ", check_level_name(level));
        print_json_string(detail);
        putchar('}');
    } else {
        printf("%-4s  %-28s  %s\n", check_level_name(level), name, detail);
    }
    (void)fflush(stdout); /* some checks take seconds */
    r->rows++;
    r->bad += level == CHECK_BAD;
    r->warn += level == CHECK_WARN;
}

int doctor_main(int argc, char **argv)
{
    static const struct options_extra extra[] = { [OPTION_JSON] = { "json", NULL, "an object with a list of checks" } };
    const struct options_spec spec = {
        .program = "pofr-agent doctor",
        .what = "Tries what this host offers and says what is missing and what follows. Exit code 1: something does "
                "not work.",
        .synopsis = "",
        .conf = &agent_conf_table,
        .extra = extra,
        .extra_count = pofr_countof(extra),
    };
    struct report report = { 0 };
    struct options options;
    struct pofr_err err;
    int exit_code;

    if (!options_parse(&spec, argc, argv, &options, &exit_code)) {
        return exit_code;
    }
    if (service_setup(&err) != 0) {
        fprintf(stderr, "pofr-agent doctor: %s\n", err.text);
        conf_free(options.conf);
        return POFR_EXIT_RETRY;
    }
    report.json = options.extra[OPTION_JSON] != NULL;
    if (report.json) {
        printf("{\"checks\": [");
    }
    checks_run(conf_values(options.conf), print_row, &report);
    if (report.json) {
        printf("\n], \"bad\": %u, \"warn\": %u}\n", report.bad, report.warn);
    } else {
        printf("%u checks, %u bad, %u with a warning\n", report.rows, report.bad, report.warn);
    }
    conf_free(options.conf);
    return report.bad > 0 ? POFR_EXIT_NO : POFR_EXIT_DONE;
}
