/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conf.h -- one option table per program -> parser, checks, printing, reload, documents.
 *
 *   struct gateway_conf { const char *listen; uint64_t max_bundle; int64_t idle_us; struct conf_list brokers; };
 *   static const struct conf_option options[] = {
 *       CONF_SECTION("ssh", "Who may connect."),
 *       CONF_STRING(struct gateway_conf, listen, "listen", "0.0.0.0:2222", 0, "Address and port."),
 *       CONF_USEC(struct gateway_conf, idle_us, "idle", "2min", "1s", "1h", CONF_RELOAD,
 *                 "Sessions idle longer are closed."),
 *   };
 *   const struct conf_table gateway_conf_table =
 *       CONF_TABLE("pofr-gateway", "/etc/pofr/gateway.conf", struct gateway_conf, options, check_or_NULL);
 *
 * The file: [section] lines, "name = value" lines, comments that start with # or ;, blank lines. No
 * includes, no environment, no second syntax, no continuation. A value goes to the end of its line, without blanks around
 * it ("#" inside a value is part of it). The same section may appear again; the same option may not. Unknown
 * section or option, a value out of range, a missing required option: POFR_ECONFIG, text "file:line: …".
 *
 * Values: SIZE 16M (K M G T, powers of 1024), USEC 300ms (us ms s min h d; 0 without unit), BOOL yes/no
 * true/false on/off, LIST of words separated by commas.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/compiler.h"
#include "common/base/slice.h"

struct pofr_err;

enum conf_type {
    CONF_TYPE_SECTION,
    CONF_TYPE_STRING, /* const char *; NUL-terminated, never NULL */
    CONF_TYPE_PATH,   /* const char *; absolute, or empty where the default is empty */
    CONF_TYPE_SIZE,   /* uint64_t, bytes */
    CONF_TYPE_USEC,   /* int64_t, microseconds */
    CONF_TYPE_UINT,   /* uint32_t */
    CONF_TYPE_BOOL,   /* bool */
    CONF_TYPE_ENUM,   /* int: index in choices */
    CONF_TYPE_LIST,   /* struct conf_list */
};

#define CONF_RELOAD   1U  /* may change by SIGHUP */
#define CONF_REQUIRED 2U  /* no default: the file must have it; give NULL as the default */
#define CONF_NONEMPTY 4U  /* a string, path or list may not be empty */
#define CONF_HOST     8U  /* a string, or each item of a list: host or host:port, unless it is empty */
#define CONF_PORT     16U /* with CONF_HOST: the port may not be left out */

#define CONF_FILE_MAX  (256U * 1024U)
#define CONF_LIST_MAX  64U
#define CONF_VALUE_MAX 4096U

struct conf_list {
    const char *const *items;
    size_t count;
};

struct conf_option {
    const char *name; /* of the section, for CONF_TYPE_SECTION */
    enum conf_type type;
    size_t offset;
    const char *def; /* as it would stand in the file */
    const char *min; /* of SIZE, USEC, UINT: as it would stand in the file */
    const char *max;
    unsigned flags;
    const char *unit;           /* of UINT, for people: "sessions", "percent"; or "" */
    const char *const *choices; /* of ENUM, ends with NULL */
    const char *what;           /* sentences: what it does, and what the choice costs */
};

struct conf_table {
    const char *program;
    const char *path; /* where the file is unless --config says otherwise */
    const struct conf_option *options;
    size_t count;
    size_t struct_size;
    /* Optional: what no single option can say. Return 0 or a code with err filled. */
    int (*check)(const void *values, struct pofr_err *err);
};

/* The offset of a field, and a compile error where the field is not of the type that is wanted. */
#define CONF_FIELD_(type, field, ctype) (offsetof(type, field) + _Generic(((type *)0)->field, ctype : 0U))

#define CONF_SECTION(name, what)                                                                                       \
    {                                                                                                                  \
        (name), CONF_TYPE_SECTION, 0, NULL, NULL, NULL, 0, "", NULL, (what)                                            \
    }
#define CONF_STRING(type, field, name, def, flags, what)                                                               \
    {                                                                                                                  \
        (name), CONF_TYPE_STRING, CONF_FIELD_(type, field, const char *), (def), NULL, NULL, (flags), "", NULL, (what) \
    }
#define CONF_PATH(type, field, name, def, flags, what)                                                                 \
    {                                                                                                                  \
        (name), CONF_TYPE_PATH, CONF_FIELD_(type, field, const char *), (def), NULL, NULL, (flags), "", NULL, (what)   \
    }
/* A path of a file that holds a secret (fsio_read_secret()); the name must end in _file; "credential:NAME" is allowed. */
#define CONF_SECRET_FILE(type, field, name, def, flags, what)                                                          \
    {                                                                                                                  \
        (name ""), CONF_TYPE_PATH, CONF_FIELD_(type, field, const char *), (def), NULL, NULL, (flags), "", NULL,       \
            (what)                                                                                                     \
    }
#define CONF_SIZE(type, field, name, def, min, max, flags, what)                                                       \
    {                                                                                                                  \
        (name), CONF_TYPE_SIZE, CONF_FIELD_(type, field, uint64_t), (def), (min), (max), (flags), "", NULL, (what)     \
    }
#define CONF_USEC(type, field, name, def, min, max, flags, what)                                                       \
    {                                                                                                                  \
        (name), CONF_TYPE_USEC, CONF_FIELD_(type, field, int64_t), (def), (min), (max), (flags), "", NULL, (what)      \
    }
#define CONF_UINT(type, field, name, def, min, max, unit, flags, what)                                                 \
    {                                                                                                                  \
        (name), CONF_TYPE_UINT, CONF_FIELD_(type, field, uint32_t), (def), (min), (max), (flags), (unit), NULL, (what) \
    }
#define CONF_BOOL(type, field, name, def, flags, what)                                                                 \
    {                                                                                                                  \
        (name), CONF_TYPE_BOOL, CONF_FIELD_(type, field, bool), (def), NULL, NULL, (flags), "", NULL, (what)           \
    }
#define CONF_ENUM(type, field, name, def, choices, flags, what)                                                        \
    {                                                                                                                  \
        (name), CONF_TYPE_ENUM, CONF_FIELD_(type, field, int), (def), NULL, NULL, (flags), "", (choices), (what)       \
    }
#define CONF_LIST(type, field, name, def, flags, what)                                                                 \
    {                                                                                                                  \
        (name), CONF_TYPE_LIST, CONF_FIELD_(type, field, struct conf_list), (def), NULL, NULL, (flags), "", NULL,      \
            (what)                                                                                                     \
    }

#define CONF_TABLE(program, path, type, options, check_fn)                                                             \
    {                                                                                                                  \
        (program), (path), (options), pofr_countof(options), sizeof(type), (check_fn)                                  \
    }

/* A parsed file: the program's struct, where each value came from, and the memory of the strings. */
struct conf;

/* Read and parse path. */
POFR_MUST_USE int conf_load(const struct conf_table *t, const char *path, struct conf **out, struct pofr_err *err);

/*
 * The same for one of several that share a file: "%i" in a value stands for instance (1 to 64 of A-Z a-z 0-9 . _ -, not
 * beginning with a dot), "%H" for the machine's name, and so they do when the file is read again. Without an instance both
 * are errors.
 */
POFR_MUST_USE int conf_load_instance(const struct conf_table *t, const char *path, const char *instance,
                                     struct conf **out, struct pofr_err *err);

/* The same from memory; name stands for the file in messages. No I/O. */
POFR_MUST_USE int conf_parse(const struct conf_table *t, struct slice text, const char *name, struct conf **out,
                             struct pofr_err *err);

/* The program's struct, borrowed; it and its strings live until conf_free(). */
const void *conf_values(const struct conf *c);

/* The path it was loaded from. */
const char *conf_path(const struct conf *c);

void conf_free(struct conf *c);

/* Called once per option that differs; section and name as in the file, values as text. */
typedef void (*conf_change_fn)(const char *section, const char *name, const char *before, const char *after, void *arg);

/*
 * Read the file of old again. 0: *out is the new one, changed (may be NULL) was called for each difference;
 * the caller puts *out in place of old and frees old. An option without CONF_RELOAD that differs:
 * POFR_ECONFIG, the text names it, and old stays in force.
 */
POFR_MUST_USE int conf_reload(const struct conf *old, conf_change_fn changed, void *arg, struct conf **out,
                              struct pofr_err *err);

/* The effective values as a file that conf_parse() takes, each with where it came from ("# default", "# file:12"). */
void conf_print(const struct conf *c, FILE *to);

/* The table for docs/CONFIG.md; the OPTIONS part of a man page (roff); a sample file with every option commented out. */
void conf_print_markdown(const struct conf_table *t, FILE *to);
void conf_print_man(const struct conf_table *t, FILE *to);
void conf_print_sample(const struct conf_table *t, FILE *to);
