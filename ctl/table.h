/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * table.h -- the same rows for people (aligned columns) and for machines (JSON).
 *
 * Bytes that are no clean text are escaped for people; in JSON, bytes that are not UTF-8 come as
 * {"base64": "..."}.
 */
#pragma once

#include <stdbool.h>

#include "common/base/buf.h"
#include "common/base/slice.h"
#include "common/db/db.h"

/* Print a result on stdout: table or, with json, an array of objects. */
void table_print(const struct db_result *r, bool json);

/* The same, where the column of that name holds JSON: an object in JSON, not a string that holds one. The statement that
 * was asked sees to it that it is nothing else (JSON_TYPE), or NULL. */
void table_print_nested(const struct db_result *r, bool json, const char *column);

/* log_escape() for a cell: quotes need no backslash there. In place. */
void table_unquote(char *text);

/* One JSON value appended to out. */
void table_json_string(struct slice s, struct buf *out);
