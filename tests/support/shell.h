/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * shell.h -- run stock programs in a test's folder; target pofr::test_support.
 */
#pragma once

#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/slice.h"

/* sh -c script, with dir as its folder and LC_ALL=C; its standard error stays ours. Returns the exit code, or -1. */
int shell_run(const char *dir, const char *script);

/* Files of that folder, whole. The test ends where that fails. */
void shell_write(const char *dir, const char *name, struct slice data);
void shell_read(const char *dir, const char *name, struct buf *out);
