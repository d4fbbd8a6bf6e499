/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tmpdir.h -- a folder of its own for each test; target pofr::test_support.
 *
 *   cmocka_unit_test_setup_teardown(x, tmpdir_setup, tmpdir_teardown): *state is its path (char *).
 */
#pragma once

#include <limits.h>

#define TMPDIR_PATH_SIZE PATH_MAX

/* A new empty folder below $TMPDIR or /tmp. Returns out; ends the test program where that fails. */
char *tmpdir_make(char out[TMPDIR_PATH_SIZE]);

/* The folder with all that is in it. */
void tmpdir_remove(const char *dir);

/* dir/name; returns out. */
char *tmpdir_join(const char *dir, const char *name, char out[TMPDIR_PATH_SIZE]);

/* For cmocka. */
int tmpdir_setup(void **state);
int tmpdir_teardown(void **state);
