/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/os/conf_parts.h"

#include "common/base/buf.h"

/* What a value may be, for people: "10ms to 1h", "debug, info", "sessions, 1 to 100". */
static void write_range(const struct conf_option *o, struct buf *out)
{
    if (o->unit && *o->unit) {
        buf_printf(out, "%s, ", o->unit);
    }
    if (o->type == CONF_TYPE_ENUM) {
        for (int i = 0; o->choices[i]; i++) {
            buf_printf(out, "%s%s", i ? ", " : "", o->choices[i]);
        }
    } else if (o->min && o->max) {
        buf_printf(out, "%s to %s", o->min, o->max);
    } else if (o->min) {
        buf_printf(out, "%s or more", o->min);
    } else if (o->max) {
        buf_printf(out, "at most %s", o->max);
    } else {
        buf_str(out, conf_type_name(o->type));
    }
}

static const char *default_of(const struct conf_option *o)
{
    if (o->flags & CONF_REQUIRED) {
        return "required";
    }
    return *o->def ? o->def : "empty";
}

void conf_print(const struct conf *c, FILE *to)
{
    struct buf value = BUF_INIT(CONF_FILE_MAX);

    for (size_t i = 0; i < c->table->count; i++) {
        const struct conf_option *o = &c->table->options[i];
        const char *text;

        if (o->type == CONF_TYPE_SECTION) {
            (void)fprintf(to, "%s[%s]\n", i ? "\n" : "", o->name); /* the caller looks at ferror(to) */
            continue;
        }
        buf_reset(&value);
        conf_value_write(o, c->values, &value);
        text = buf_cstr(&value);
        if (c->lines[i] == 0) {
            (void)fprintf(to, "# default\n");
        } else {
            (void)fprintf(to, "# %s:%u\n", c->path, c->lines[i]);
        }
        (void)fprintf(to, "%s = %s\n", o->name, text ? text : "");
    }
    buf_free(&value);
}

/* Text in a cell of a Markdown table. */
static void print_cell(const char *text, FILE *to)
{
    for (; *text != '\0'; text++) {
        if (*text == '|' || *text == '\\' || *text == '*' || *text == '<') {
            (void)fputc('\\', to); /* the caller looks at ferror(to) */
        }
        (void)fputc(*text == '\n' ? ' ' : *text, to);
    }
}

void conf_print_markdown(const struct conf_table *t, FILE *to)
{
    struct buf range = BUF_INIT(1024);
    bool in_table = false;

    (void)fprintf(to, "## %s (%s)\n", t->program, t->path); /* the caller looks at ferror(to) */
    for (size_t i = 0; i < t->count; i++) {
        const struct conf_option *o = &t->options[i];

        if (o->type == CONF_TYPE_SECTION) {
            (void)fprintf(to, "\n### [%s]\n\n", o->name);
            (void)fprintf(to, "%s\n", o->what);
            in_table = false;
            continue;
        }
        if (!in_table) {
            (void)fprintf(to, "\n| Option | Default | Range | SIGHUP | What |\n|---|---|---|---|---|\n");
            in_table = true;
        }
        buf_reset(&range);
        write_range(o, &range);
        (void)fprintf(to, "| `%s` | ", o->name);
        print_cell(default_of(o), to);
        (void)fprintf(to, " | ");
        print_cell(buf_cstr(&range) ? buf_cstr(&range) : "", to);
        (void)fprintf(to, " | %s | ", o->flags & CONF_RELOAD ? "yes" : "no");
        print_cell(o->what, to);
        (void)fprintf(to, " |\n");
    }
    (void)fprintf(to, "\n");
    buf_free(&range);
}

/* Text of roff: nothing in it may be taken for a request or an escape. */
static void print_roff(const char *text, FILE *to)
{
    bool at_start = true;

    for (; *text != '\0'; text++) {
        if (at_start && (*text == '.' || *text == '\'')) {
            (void)fputs("\\&", to); /* the caller looks at ferror(to) */
        }
        if (*text == '\\') {
            (void)fputs("\\e", to);
        } else if (*text == '-') {
            (void)fputs("\\-", to);
        } else {
            (void)fputc(*text, to);
        }
        at_start = *text == '\n';
    }
}

void conf_print_man(const struct conf_table *t, FILE *to)
{
    struct buf range = BUF_INIT(1024);
    bool reloads = false; /* a program that ends when it is done takes nothing over and is not restarted */

    for (size_t i = 0; i < t->count; i++) {
        reloads = reloads || t->options[i].flags & CONF_RELOAD;
    }

    for (size_t i = 0; i < t->count; i++) {
        const struct conf_option *o = &t->options[i];

        if (o->type == CONF_TYPE_SECTION) {
            (void)fprintf(to, ".SS [%s]\n", o->name); /* the caller looks at ferror(to) */
            print_roff(o->what, to);
            (void)fputc('\n', to);
            continue;
        }
        buf_reset(&range);
        write_range(o, &range);
        (void)fprintf(to, ".TP\n.B ");
        print_roff(o->name, to);
        (void)fputc('\n', to);
        print_roff(o->what, to);
        (void)fprintf(to, "\n.br\nDefault: ");
        print_roff(default_of(o), to);
        (void)fprintf(to, ". Range: ");
        print_roff(buf_cstr(&range) ? buf_cstr(&range) : "", to);
        (void)fprintf(to, ".%s\n",
                      !reloads                 ? ""
                      : o->flags & CONF_RELOAD ? " Taken over by SIGHUP."
                                               : " A change needs a restart.");
    }
    buf_free(&range);
}

/* Comment lines of at most 100 columns. */
static void print_comment(const char *text, FILE *to)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        size_t take = len;

        if (take > 98) {
            take = 98;
            while (take > 0 && text[take] != ' ') {
                take--;
            }
            take = take ? take : len;
        }
        (void)fprintf(to, "# %.*s\n", (int)take, text); /* the caller looks at ferror(to) */
        text += take;
        text += *text == ' ' || *text == '\n';
    }
}

void conf_print_sample(const struct conf_table *t, FILE *to)
{
    struct buf range = BUF_INIT(1024);

    (void)fprintf(to, "# %s: every option with its default.\n", t->path); /* the caller looks at ferror(to) */
    for (size_t i = 0; i < t->count; i++) {
        const struct conf_option *o = &t->options[i];

        (void)fputc('\n', to);
        print_comment(o->what, to);
        if (o->type == CONF_TYPE_SECTION) {
            (void)fprintf(to, "[%s]\n", o->name);
            continue;
        }
        buf_reset(&range);
        write_range(o, &range);
        (void)fprintf(to, "# (%s%s)\n#%s =%s%s\n", buf_cstr(&range) ? buf_cstr(&range) : "",
                      o->flags & CONF_RELOAD ? "; SIGHUP" : "", o->name, o->def && *o->def ? " " : "",
                      o->def ? o->def : "");
    }
    buf_free(&range);
}
