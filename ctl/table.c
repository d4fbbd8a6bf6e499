/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/base64.h"
#include "common/base/compiler.h"
#include "common/os/log.h"

#define CELL_MAX 2048

/* RFC 3629: no surrogates, no overlong forms, nothing above U+10FFFF. */
static size_t utf8_length(struct slice s, size_t at)
{
    uint8_t c = s.data[at];
    size_t n = c < 0x80 ? 1 : c >= 0xc2 && c <= 0xdf ? 2 : (c & 0xf0) == 0xe0 ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;

    if (n == 0 || at + n > s.len) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((s.data[at + i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((c == 0xe0 && s.data[at + 1] < 0xa0) || (c == 0xed && s.data[at + 1] > 0x9f) ||
        (c == 0xf0 && s.data[at + 1] < 0x90) || (c == 0xf4 && s.data[at + 1] > 0x8f)) {
        return 0;
    }
    return n;
}

static bool is_utf8(struct slice s)
{
    for (size_t at = 0; at < s.len;) {
        size_t n = utf8_length(s, at);

        if (n == 0) {
            return false;
        }
        at += n;
    }
    return true;
}

void table_json_string(struct slice s, struct buf *out)
{
    if (!is_utf8(s)) {
        buf_str(out, "{\"base64\":\"");
        base64_encode(s, 0, out);
        buf_str(out, "\"}");
        return;
    }
    buf_u8(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];

        if (c == '"' || c == '\\') {
            buf_u8(out, '\\');
            buf_u8(out, c);
        } else if (c < 0x20 || c == 0x7f) {
            buf_printf(out, "\\u%04x", c);
        } else if (c == 0xc2 && s.data[i + 1] < 0xa0) { /* U+0080 to U+009F: terminals obey these, too */
            buf_printf(out, "\\u%04x", s.data[++i]);
        } else {
            buf_u8(out, c);
        }
    }
    buf_u8(out, '"');
}

static void print_json(const struct db_result *r, const char *nested)
{
    struct buf b = BUF_INIT(512U * 1024U * 1024U);

    buf_u8(&b, '[');
    for (size_t row = 0; row < db_rows(r); row++) {
        buf_str(&b, row ? ",\n {" : "\n {");
        for (size_t col = 0; col < db_columns(r); col++) {
            if (col) {
                buf_str(&b, ", ");
            }
            table_json_string(slice_str(db_column_name(r, col)), &b);
            buf_str(&b, ": ");
            if (db_is_null(r, row, col)) {
                buf_str(&b, "null");
            } else if (db_is_number(r, col) || (nested && strcmp(db_column_name(r, col), nested) == 0)) {
                buf_append(&b, db_get(r, row, col));
            } else {
                table_json_string(db_get(r, row, col), &b);
            }
        }
        buf_u8(&b, '}');
    }
    buf_str(&b, db_rows(r) ? "\n]\n" : "]\n");
    (void)!fwrite(b.data, 1, b.len, stdout);
    buf_free(&b);
}

void table_unquote(char *text)
{
    char *to = text;

    for (const char *from = text; *from; from++) {
        if (from[0] == '\\' && from[1] == '"') {
            from++;
        } else if (from[0] == '\\' && from[1]) {
            *to++ = *from++; /* a pair: what follows "\\\\" is no escape */
        }
        *to++ = *from;
    }
    *to = 0;
}

static size_t cell_text(const struct db_result *r, size_t row, size_t col, char *text)
{
    if (db_is_null(r, row, col)) {
        text[0] = '-';
        text[1] = 0;
        return 1;
    }
    log_escape(db_get(r, row, col), text, CELL_MAX);
    table_unquote(text);
    return strlen(text);
}

static void print_table(const struct db_result *r)
{
    size_t columns = db_columns(r);
    size_t *widths = calloc(columns ? columns : 1, sizeof(*widths));
    char *text = malloc(CELL_MAX);

    if (!widths || !text) {
        goto out;
    }
    for (size_t col = 0; col < columns; col++) {
        widths[col] = strlen(db_column_name(r, col));
        for (size_t row = 0; row < db_rows(r); row++) {
            size_t width = cell_text(r, row, col, text);

            widths[col] = width > widths[col] ? width : widths[col];
        }
    }
    for (size_t col = 0; col < columns; col++) {
        printf("%s%-*s", col ? "  " : "", col + 1 < columns ? (int)widths[col] : 0, db_column_name(r, col));
    }
    printf("\n");
    for (size_t row = 0; row < db_rows(r); row++) {
        for (size_t col = 0; col < columns; col++) {
            cell_text(r, row, col, text);
            printf(db_is_number(r, col) && col + 1 < columns ? "%s%*s" : "%s%-*s", col ? "  " : "",
                   col + 1 < columns ? (int)widths[col] : 0, text);
        }
        printf("\n");
    }
out:
    free(widths);
    free(text);
}

void table_print(const struct db_result *r, bool json)
{
    table_print_nested(r, json, NULL);
}

void table_print_nested(const struct db_result *r, bool json, const char *column)
{
    if (json) {
        print_json(r, column);
    } else {
        print_table(r);
    }
}
