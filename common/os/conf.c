/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/os/conf_parts.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/os/fsio.h"
#include "common/os/log.h"

#define MEMORY_MAX   (4U * 1024U * 1024U) /* strings of a file of at most CONF_FILE_MAX, and the struct */
#define NO_OPTION    SIZE_MAX
#define INSTANCE_MAX 64U

const char *conf_section_of(const struct conf_table *t, size_t i)
{
    for (i++; i > 0; i--) {
        if (t->options[i - 1].type == CONF_TYPE_SECTION) {
            return t->options[i - 1].name;
        }
    }
    return "";
}

/* Where the options of a section begin, or NO_OPTION. */
static size_t find_section(const struct conf_table *t, struct slice name)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->options[i].type == CONF_TYPE_SECTION && slice_eq_str(name, t->options[i].name)) {
            return i + 1;
        }
    }
    return NO_OPTION;
}

static size_t find_option(const struct conf_table *t, size_t section, struct slice name)
{
    for (size_t i = section; i < t->count && t->options[i].type != CONF_TYPE_SECTION; i++) {
        if (slice_eq_str(name, t->options[i].name)) {
            return i;
        }
    }
    return NO_OPTION;
}

/* Only what people type: a NUL or another control byte is a damaged file. */
static bool is_clean(struct slice line)
{
    for (size_t i = 0; i < line.len; i++) {
        if ((line.data[i] < ' ' && line.data[i] != '\t') || line.data[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

/* The errors below say the reason only; parse_lines() puts "file:line: " before it. */
static int parse_section(struct conf *c, struct slice line, size_t *section, struct pofr_err *err)
{
    char shown[64];
    struct slice name;

    if (line.data[line.len - 1] != ']') {
        return pofr_err_set(err, POFR_ECONFIG, "a section ends with ]");
    }
    name = slice_trim(slice_sub(line, 1, line.len - 2));
    *section = find_section(c->table, name);
    if (*section == NO_OPTION) {
        return pofr_err_set(err, POFR_ECONFIG, "unknown section [%s]", log_escape(name, shown, sizeof(shown)));
    }
    return 0;
}

static bool is_instance(struct slice name)
{
    bool good = name.len > 0 && name.len <= INSTANCE_MAX && name.data[0] != '.';

    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];

        good = good && (isascii(c) != 0 && (isalnum(c) != 0 || c == '.' || c == '_' || c == '-'));
    }
    return good;
}

/* Every "%i" of value becomes the instance's name, every "%H" the machine's. */
static int put_instance(struct conf *c, struct slice *value, struct pofr_err *err)
{
    struct slice rest = *value;
    struct buf out = BUF_INIT(CONF_FILE_MAX);
    bool any = false;
    char host[256] = "";
    int rc = 0;

    while (rest.len > 0 && rc == 0) {
        bool name = rest.data[0] == '%' && rest.len > 1 && (rest.data[1] == 'i' || rest.data[1] == 'H');

        if (name && !c->instance) {
            rc = pofr_err_set(err, POFR_ECONFIG, "%%%c needs --instance, which was not given", rest.data[1]);
        } else if (name && rest.data[1] == 'H' && gethostname(host, sizeof(host) - 1) != 0) {
            rc = pofr_err_sys(err, POFR_ESYSTEM, "the machine's name");
        } else if (name) {
            buf_append(&out, slice_str(rest.data[1] == 'i' ? c->instance : host));
            any = true;
        } else {
            buf_append(&out, slice_sub(rest, 0, 1));
        }
        rest = slice_sub(rest, name ? 2 : 1, SIZE_MAX);
    }
    if (rc == 0 && any) {
        *value = arena_dup(&c->memory, buf_slice(&out));
        rc = out.err || c->memory.err ? pofr_err_set(err, POFR_ECONFIG, "too long") : 0;
    }
    buf_free(&out);
    return rc;
}

static int parse_option(struct conf *c, struct slice line, unsigned number, size_t section, struct pofr_err *err)
{
    char shown[64];
    bool has_value = slice_find(line, '=') < line.len;
    struct slice value = line;
    struct slice name = slice_trim(slice_split(&value, '='));
    size_t i;
    int rc;

    (void)log_escape(name, shown, sizeof(shown)); /* returns shown */
    if (!has_value) {
        return pofr_err_set(err, POFR_ECONFIG, "neither [section] nor \"name = value\": \"%s\"", shown);
    }
    i = find_option(c->table, section, name);
    if (i == NO_OPTION) {
        return pofr_err_set(err, POFR_ECONFIG, "unknown option \"%s\"%s", shown,
                            section == 0 ? " before the first [section]" : "");
    }
    if (c->lines[i] != 0) {
        return pofr_err_set(err, POFR_ECONFIG, "%s was given in line %u already", shown, c->lines[i]);
    }
    value = slice_trim(value);
    rc = put_instance(c, &value, err);
    if (rc == 0) {
        rc = conf_value_read(&c->table->options[i], value, c->values, &c->memory, err);
    }
    if (rc != 0) {
        (void)pofr_err_prefix(err, "%s", shown); /* rc is the same code */
    }
    c->lines[i] = number;
    return rc;
}

static int parse_lines(struct conf *c, struct slice text, struct pofr_err *err)
{
    size_t section = 0;
    int rc = 0;

    for (unsigned number = 1; text.len > 0 && rc == 0; number++) {
        struct slice line = slice_trim(slice_split(&text, '\n'));

        if (line.len == 0 || line.data[0] == '#' || line.data[0] == ';') {
            continue;
        }
        if (!is_clean(line)) {
            rc = pofr_err_set(err, POFR_ECONFIG, "a control byte");
        } else if (line.data[0] == '[') {
            rc = parse_section(c, line, &section, err);
        } else {
            rc = parse_option(c, line, number, section, err);
        }
        if (rc != 0) {
            (void)pofr_err_prefix(err, "%s:%u", c->path, number); /* rc is the same code */
        }
    }
    return rc;
}

/* Before the file is read: so a value that it does not give has one. */
static int set_defaults(struct conf *c, struct pofr_err *err)
{
    for (size_t i = 0; i < c->table->count; i++) {
        const struct conf_option *o = &c->table->options[i];
        int rc;

        if (o->type == CONF_TYPE_SECTION || (o->flags & CONF_REQUIRED)) {
            continue;
        }
        rc = o->def ? conf_value_read(o, slice_str(o->def), c->values, &c->memory, err)
                    : pofr_err_set(err, POFR_EUSAGE, "an option without a default must be CONF_REQUIRED");
        if (rc != 0) {
            (void)pofr_err_prefix(err, "default of %s", o->name); /* rc is the same code */
            return rc;
        }
    }
    return 0;
}

static int check_required(const struct conf *c, struct pofr_err *err)
{
    for (size_t i = 0; i < c->table->count; i++) {
        if ((c->table->options[i].flags & CONF_REQUIRED) && c->lines[i] == 0) {
            return pofr_err_set(err, POFR_ECONFIG, "%s: [%s] %s is required", c->path, conf_section_of(c->table, i),
                                c->table->options[i].name);
        }
    }
    return 0;
}

static int check_all(const struct conf *c, struct pofr_err *err)
{
    int rc = check_required(c, err);

    if (rc == 0 && c->table->check) {
        rc = c->table->check(c->values, err);
        if (rc != 0) {
            (void)pofr_err_prefix(err, "%s", c->path); /* rc is the same code */
        }
    }
    return rc;
}

static int parse(const struct conf_table *t, struct slice text, const char *name, const char *instance,
                 struct conf **out, struct pofr_err *err)
{
    struct conf *c = calloc(1, sizeof(*c));
    int rc;

    if (!c) {
        return pofr_err_set(err, POFR_ENOMEM, "configuration: out of memory");
    }
    c->table = t;
    arena_init(&c->memory, MEMORY_MAX);
    c->values = arena_zalloc(&c->memory, t->struct_size);
    c->path = arena_strdup(&c->memory, slice_str(name));
    c->instance = instance ? arena_strdup(&c->memory, slice_str(instance)) : NULL;
    c->lines = arena_array(&c->memory, t->count, sizeof(*c->lines));
    if (c->memory.err != 0) {
        rc = pofr_err_set(err, c->memory.err, "configuration: out of memory");
    } else {
        rc = set_defaults(c, err);
    }
    if (rc == 0 && text.len > CONF_FILE_MAX) {
        rc = pofr_err_set(err, POFR_ECONFIG, "%s: more than %u bytes", name, CONF_FILE_MAX);
    }
    if (rc == 0) {
        rc = parse_lines(c, text, err);
    }
    if (rc == 0) {
        rc = check_all(c, err);
    }
    if (rc != 0) {
        conf_free(c);
        return rc;
    }
    *out = c;
    return 0;
}

int conf_parse(const struct conf_table *t, struct slice text, const char *name, struct conf **out, struct pofr_err *err)
{
    return parse(t, text, name, NULL, out, err);
}

int conf_load_instance(const struct conf_table *t, const char *path, const char *instance, struct conf **out,
                       struct pofr_err *err)
{
    struct buf text = BUF_INIT(CONF_FILE_MAX);
    int rc =
        instance && !is_instance(slice_str(instance))
            ? pofr_err_set(err, POFR_EUSAGE, "--instance takes 1 to %u letters, digits, dots, - and _", INSTANCE_MAX)
            : fsio_read(path, &text, err);

    if (rc == 0) {
        rc = parse(t, buf_slice(&text), path, instance, out, err);
    }
    buf_free(&text);
    return rc;
}

int conf_load(const struct conf_table *t, const char *path, struct conf **out, struct pofr_err *err)
{
    return conf_load_instance(t, path, NULL, out, err);
}

const void *conf_values(const struct conf *c)
{
    return c->values;
}

const char *conf_path(const struct conf *c)
{
    return c->path;
}

void conf_free(struct conf *c)
{
    if (c) {
        arena_free(&c->memory);
        free(c);
    }
}

struct difference {
    struct buf before;
    struct buf after;
};

static bool differs(const struct conf *old, const struct conf *new, size_t i, struct difference *d)
{
    const struct conf_option *o = &old->table->options[i];

    buf_reset(&d->before);
    buf_reset(&d->after);
    if (o->type == CONF_TYPE_SECTION) {
        return false;
    }
    conf_value_write(o, old->values, &d->before);
    conf_value_write(o, new->values, &d->after);
    /* where memory failed it counts as a difference: rather refused than missed */
    return d->before.err != 0 || d->after.err != 0 || !slice_eq(buf_slice(&d->before), buf_slice(&d->after));
}

/* All that may not change while we run must be as it was. */
static int check_fixed(const struct conf *old, const struct conf *new, struct difference *d, struct pofr_err *err)
{
    struct buf names = BUF_INIT(180);
    int rc = 0;

    for (size_t i = 0; i < old->table->count; i++) {
        const struct conf_option *o = &old->table->options[i];

        if (!(o->flags & CONF_RELOAD) && differs(old, new, i, d)) {
            buf_printf(&names, "%s%s.%s", names.len ? ", " : "", conf_section_of(old->table, i), o->name);
            rc = POFR_ECONFIG;
        }
    }
    if (rc != 0) {
        rc = pofr_err_set(err, rc, "%.*s%s: a change needs a restart", SLICE_FMT(buf_slice(&names)),
                          names.err ? " and more" : "");
    }
    buf_free(&names);
    return rc;
}

static void report_changes(const struct conf *old, const struct conf *new, struct difference *d, conf_change_fn changed,
                           void *arg)
{
    for (size_t i = 0; i < old->table->count; i++) {
        if (differs(old, new, i, d)) {
            const char *before = buf_cstr(&d->before);
            const char *after = buf_cstr(&d->after);

            changed(conf_section_of(old->table, i), old->table->options[i].name, before ? before : "?",
                    after ? after : "?", arg);
        }
    }
}

int conf_reload(const struct conf *old, conf_change_fn changed, void *arg, struct conf **out, struct pofr_err *err)
{
    struct difference d = { BUF_INIT(CONF_FILE_MAX), BUF_INIT(CONF_FILE_MAX) };
    struct conf *new = NULL;
    int rc = conf_load_instance(old->table, old->path, old->instance, &new, err);

    if (rc != 0) {
        return rc;
    }
    assert(new);
    rc = check_fixed(old, new, &d, err);
    if (rc == 0 && changed) {
        report_changes(old, new, &d, changed, arg);
    }
    buf_free(&d.before);
    buf_free(&d.after);
    if (rc != 0) {
        conf_free(new);
        return rc;
    }
    *out = new;
    return 0;
}
