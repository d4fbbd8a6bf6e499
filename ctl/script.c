/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/script.h"

#include "common/base/buf.h"
#include "common/os/fsio.h"

static struct slice take_line(struct slice *text)
{
    size_t at = slice_find(*text, '\n');
    struct slice line = slice_sub(*text, 0, at < text->len ? at + 1 : at);

    *text = slice_sub(*text, line.len, SIZE_MAX);
    return line;
}

/* A comment behind the statement's end, "; -- why", is not supported: nothing of ours has one. */
static bool ends_statement(struct slice line, bool procedure)
{
    struct slice t = slice_trim(line);

    if (procedure) {
        return slice_eq_str(t, "-- end");
    }
    return t.len > 0 && t.data[t.len - 1] == ';';
}

bool script_next(struct slice *text, struct slice *out_statement)
{
    struct slice line;
    const uint8_t *from;
    bool procedure;

    do {
        if (slice_empty(*text)) {
            return false;
        }
        line = take_line(text);
    } while (slice_empty(slice_trim(line)) || slice_starts_with(line, slice_str("--")));
    from = line.data;
    procedure = slice_starts_with(line, slice_str("CREATE PROCEDURE")) ||
                slice_starts_with(line, slice_str("CREATE OR REPLACE PROCEDURE"));
    while (!ends_statement(line, procedure) && !slice_empty(*text)) {
        line = take_line(text);
    }
    if (procedure) {
        *out_statement = slice_of(from, (size_t)(line.data - from));
    } else {
        *out_statement = slice_of(from, (size_t)(line.data - from) + line.len);
    }
    *out_statement = slice_trim(*out_statement);
    if (!procedure && out_statement->len && out_statement->data[out_statement->len - 1] == ';') {
        out_statement->len--;
    }
    return out_statement->len > 0;
}

int script_run(struct db *db, struct slice text, const char *name, struct pofr_err *err)
{
    const uint8_t *begin = text.data;
    struct slice statement;

    while (script_next(&text, &statement)) {
        int code = db_script(db, statement, err);

        if (code) {
            size_t line = 1;

            for (const uint8_t *p = begin; p < statement.data; p++) {
                line += *p == '\n';
            }
            return pofr_err_prefix(err, "%s:%zu", name, line);
        }
    }
    return 0;
}

int script_run_file(struct db *db, const char *path, struct pofr_err *err)
{
    struct buf text = BUF_INIT(16U * 1024U * 1024U);
    int code = fsio_read(path, &text, err);

    if (!code) {
        code = script_run(db, buf_slice(&text), path, err);
    }
    buf_free(&text);
    return code;
}
