/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/tmpdir.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void fail(const char *what, const char *path)
{
    perror(what);
    (void)fprintf(stderr, "%s: %s\n", what, path);
    abort();
}

char *tmpdir_make(char out[TMPDIR_PATH_SIZE])
{
    const char *base = getenv("TMPDIR");

    if (snprintf(out, TMPDIR_PATH_SIZE, "%s/pofr-test-XXXXXX", base && *base ? base : "/tmp") >= TMPDIR_PATH_SIZE ||
        !mkdtemp(out)) {
        fail("mkdtemp", out);
    }
    return out;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

void tmpdir_remove(const char *dir)
{
    (void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS); /* left-overs are the system's to clean */
}

char *tmpdir_join(const char *dir, const char *name, char out[TMPDIR_PATH_SIZE])
{
    if (snprintf(out, TMPDIR_PATH_SIZE, "%s/%s", dir, name) >= TMPDIR_PATH_SIZE) {
        fail("path too long", name);
    }
    return out;
}

int tmpdir_setup(void **state)
{
    char *dir = malloc(TMPDIR_PATH_SIZE);

    if (!dir) {
        return -1;
    }
    *state = tmpdir_make(dir);
    return 0;
}

int tmpdir_teardown(void **state)
{
    tmpdir_remove(*state);
    free(*state);
    return 0;
}
