/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/os/options.h"

#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/os/conf_parts.h"
#include "common/os/health.h"
#include "common/os/log.h"

#define HEALTH_MS   3000
#define HEALTH_TEXT 1024

enum {
    OPT_CONFIG = 256,
    OPT_INSTANCE,
    OPT_CHECK,
    OPT_PRINT,
    OPT_DOCS,
    OPT_HEALTH,
    OPT_VERSION,
    OPT_HELP,
    OPT_EXTRA
};

/* What was asked besides running. */
struct asked {
    bool check, print, health, version, help;
    const char *docs, *instance;
};

/* The option [metrics] listen; NULL: the program has none, and then nobody could be asked. */
static const struct conf_option *listen_of(const struct conf_table *t)
{
    for (size_t i = 0; t && i < t->count; i++) {
        const struct conf_option *o = &t->options[i];

        if (o->type == CONF_TYPE_STRING && strcmp(o->name, "listen") == 0 &&
            strcmp(conf_section_of(t, i), "metrics") == 0) {
            return o;
        }
    }
    return NULL;
}

int options_exit_of(int code)
{
    switch (code) {
    case 0:
        return POFR_EXIT_DONE;
    case POFR_ECONFIG:
    case POFR_EUSAGE:
        return POFR_EXIT_USAGE;
    case POFR_EREFUSED:
    case POFR_EPERMISSION:
        return POFR_EXIT_REFUSED;
    default:
        return pofr_err_class(code) == POFR_CLASS_RETRY ? POFR_EXIT_RETRY : POFR_EXIT_NO;
    }
}

static void print_help(const struct options_spec *spec)
{
    printf("Usage: %s [options]%s%s\n%s\n\nOptions:\n", spec->program, *spec->synopsis ? " " : "", spec->synopsis,
           spec->what);
    for (size_t i = 0; i < spec->extra_count; i++) {
        char left[48];

        (void)snprintf(left, sizeof(left), "--%s%s%s", spec->extra[i].name, spec->extra[i].argument ? " " : "",
                       spec->extra[i].argument ? spec->extra[i].argument : ""); /* a long one is shown cut */
        printf("  %-24s %s\n", left, spec->extra[i].help);
    }
    if (spec->conf) {
        printf("  %-24s Configuration (default: %s)\n", "--config FILE", spec->conf->path);
        printf("  %-24s What %%i stands for in it, where several share a file\n", "--instance NAME");
        printf("  %-24s Check it and end: 0 good, 1 bad\n", "--check-config");
        printf("  %-24s Show all values and where each comes from, and end\n", "--print-config");
        printf("  %-24s Describe all options: markdown, man or sample\n", "--config-docs FORM");
    }
    if (listen_of(spec->conf)) {
        printf("  %-24s Ask the one that runs with this configuration whether it is well: 0 yes, 1 no, 3 no answer\n",
               "--health");
    }
    printf("  %-24s Show versions and end\n", "--version");
    printf("  %-24s Show this and end\n", "--help");
}

static void print_version(const struct options_spec *spec)
{
    printf("%s %s\n", spec->program, POFR_VERSION);
    for (size_t i = 0; spec->libraries && spec->libraries[i]; i++) {
        printf("%s\n", spec->libraries[i]);
    }
}

static bool print_docs(const struct options_spec *spec, const char *form)
{
    if (strcmp(form, "markdown") == 0) {
        conf_print_markdown(spec->conf, stdout);
    } else if (strcmp(form, "man") == 0) {
        conf_print_man(spec->conf, stdout);
    } else if (strcmp(form, "sample") == 0) {
        conf_print_sample(spec->conf, stdout);
    } else {
        (void)fprintf(stderr, "%s: --config-docs takes markdown, man or sample\n", spec->program);
        return false;
    }
    return true;
}

static size_t add_long(struct option *to, size_t n, const char *name, bool takes_argument, int value)
{
    to[n] = (struct option){ name, takes_argument ? required_argument : no_argument, NULL, value };
    return n + 1;
}

/* false: wrong use, and getopt has said why. */
static bool read_argv(const struct options_spec *spec, int argc, char **argv, struct options *out, struct asked *asked)
{
    struct option all[OPTIONS_EXTRA_MAX + 9] = { { NULL, 0, NULL, 0 } };
    size_t n = 0;
    int c;

    for (size_t i = 0; i < spec->extra_count; i++) {
        n = add_long(all, n, spec->extra[i].name, spec->extra[i].argument != NULL, OPT_EXTRA + (int)i);
    }
    if (spec->conf) {
        n = add_long(all, n, "config", true, OPT_CONFIG);
        n = add_long(all, n, "instance", true, OPT_INSTANCE);
        n = add_long(all, n, "check-config", false, OPT_CHECK);
        n = add_long(all, n, "print-config", false, OPT_PRINT);
        n = add_long(all, n, "config-docs", true, OPT_DOCS);
    }
    if (listen_of(spec->conf)) {
        n = add_long(all, n, "health", false, OPT_HEALTH);
    }
    n = add_long(all, n, "version", false, OPT_VERSION);
    (void)add_long(all, n, "help", false, OPT_HELP); /* the last row stays zero */
    optind = 0;                                      /* begin anew: a test parses more than once */
    if (argc >
        0) { /* getopt names it: by its name, not by the path that it was started with; it writes nothing there */
        argv[0] = (char *)(uintptr_t)spec->program;
    }
    while ((c = getopt_long(argc, argv, "+", all, NULL)) != -1) {
        switch (c) {
        case OPT_CONFIG:
            out->config_path = optarg;
            break;
        case OPT_INSTANCE:
            asked->instance = optarg;
            break;
        case OPT_CHECK:
            asked->check = true;
            break;
        case OPT_PRINT:
            asked->print = true;
            break;
        case OPT_DOCS:
            asked->docs = optarg;
            break;
        case OPT_HEALTH:
            asked->health = true;
            break;
        case OPT_VERSION:
            asked->version = true;
            break;
        case OPT_HELP:
            asked->help = true;
            break;
        default:
            if (c < OPT_EXTRA) {
                return false;
            }
            out->extra[c - OPT_EXTRA] = optarg ? optarg : "";
        }
    }
    out->first = optind;
    return true;
}

/* What it says of itself goes to a terminal: escaped, as in a log. */
static int ask_health(const struct options_spec *spec, const struct conf *conf)
{
    const char *address = *(const char *const *)((const char *)conf_values(conf) + listen_of(spec->conf)->offset);
    struct buf text = BUF_INIT(HEALTH_TEXT);
    char clean[HEALTH_TEXT];
    struct pofr_err err = { 0 };
    int rc;

    if (!*address) {
        (void)fprintf(stderr, "%s: --health: [metrics] listen is empty, so nobody can be asked\n", spec->program);
        return POFR_EXIT_USAGE;
    }
    rc = health_ask(address, HEALTH_MS, &text, &err);
    if (rc == 0) {
        log_escape(buf_slice(&text), clean, sizeof(clean));
        printf("%s\n", clean);
        rc = POFR_EXIT_DONE;
    } else {
        log_escape(slice_str(err.text), clean, sizeof(clean));
        (void)fprintf(stderr, "%s: %s\n", spec->program, clean);
        rc = rc == POFR_EREFUSED ? POFR_EXIT_NO : options_exit_of(rc);
    }
    buf_free(&text);
    return rc;
}

static bool load_conf(const struct options_spec *spec, const struct asked *asked, struct options *out, int *out_exit)
{
    struct pofr_err err = { 0 };
    int rc;

    if (spec->conf_may_lack && !asked->check && !asked->print && !asked->health &&
        access(out->config_path, F_OK) != 0) {
        return true;
    }
    rc = conf_load_instance(spec->conf, out->config_path, asked->instance, &out->conf, &err);
    if (rc != 0) {
        (void)fprintf(stderr, "%s: %s%s\n", spec->program, err.text,
                      access(out->config_path, F_OK) != 0 ? "; --config FILE says where it is" : "");
        *out_exit = asked->check && rc == POFR_ECONFIG ? POFR_EXIT_NO : POFR_EXIT_USAGE;
        return false;
    }
    if (!asked->check && !asked->print && !asked->health) {
        return true;
    }
    *out_exit = POFR_EXIT_DONE;
    if (asked->print) {
        conf_print(out->conf, stdout);
    } else if (asked->check) {
        printf("%s: good\n", out->config_path);
    } else {
        *out_exit = ask_health(spec, out->conf);
    }
    conf_free(out->conf);
    out->conf = NULL;
    return false;
}

bool options_parse(const struct options_spec *spec, int argc, char **argv, struct options *out, int *out_exit)
{
    struct asked asked = { 0 };

    assert(spec->extra_count <= OPTIONS_EXTRA_MAX);
    *out = (struct options){ .config_path = spec->conf ? spec->conf->path : NULL };
    *out_exit = POFR_EXIT_DONE;
    if (!read_argv(spec, argc, argv, out, &asked)) {
        (void)fprintf(stderr, "Try %s --help\n", spec->program);
        *out_exit = POFR_EXIT_USAGE;
        return false;
    }
    if (asked.help) {
        print_help(spec);
        return false;
    }
    if (asked.version) {
        print_version(spec);
        return false;
    }
    if (asked.docs) {
        *out_exit = print_docs(spec, asked.docs) ? POFR_EXIT_DONE : POFR_EXIT_USAGE;
        return false;
    }
    if (out->first < argc && !*spec->synopsis) {
        (void)fprintf(stderr, "%s: \"%s\" is not expected\nTry %s --help\n", spec->program, argv[out->first],
                      spec->program);
        *out_exit = POFR_EXIT_USAGE;
        return false;
    }
    return spec->conf ? load_conf(spec, &asked, out, out_exit) : true;
}
