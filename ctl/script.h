/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * script.h -- a file of sql/ taken apart into statements.
 *
 * A statement ends with ";" at the end of a line; one that begins with CREATE PROCEDURE ends with the line
 * "-- end". Lines that begin with "--" between statements are dropped.
 */
#pragma once

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/base/slice.h"
#include "common/db/db.h"

/* Cut the next statement (without its end) off *text; false: nothing is left. Pure. */
bool script_next(struct slice *text, struct slice *out_statement);

/* Run all statements of a file on a connection; the first that fails ends it, named by its line. */
POFR_MUST_USE int script_run_file(struct db *db, const char *path, struct pofr_err *err);
POFR_MUST_USE int script_run(struct db *db, struct slice text, const char *name, struct pofr_err *err);
