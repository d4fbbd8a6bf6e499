/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/shell.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/tmpdir.h"

int shell_run(const char *dir, const char *script)
{
    pid_t child = fork();
    int status = 0;

    if (child < 0) {
        return -1;
    }
    if (child == 0) {
        if (chdir(dir) == 0 && setenv("LC_ALL", "C", 1) == 0) {
            execl("/bin/sh", "sh", "-c", script, (char *)NULL);
        }
        _exit(127);
    }
    if (waitpid(child, &status, 0) != child) {
        return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static FILE *open_or_die(const char *dir, const char *name, const char *mode)
{
    char path[TMPDIR_PATH_SIZE];
    FILE *f = fopen(tmpdir_join(dir, name, path), mode);

    if (!f) {
        perror(path);
        abort();
    }
    return f;
}

void shell_write(const char *dir, const char *name, struct slice data)
{
    FILE *f = open_or_die(dir, name, "wb");

    if ((data.len > 0 && fwrite(data.data, 1, data.len, f) != data.len) || fclose(f) != 0) {
        perror(name);
        abort();
    }
}

void shell_read(const char *dir, const char *name, struct buf *out)
{
    FILE *f = open_or_die(dir, name, "rb");
    uint8_t block[4096];
    size_t n;

    while ((n = fread(block, 1, sizeof(block), f)) > 0) {
        buf_bytes(out, block, n);
    }
    (void)fclose(f); /* was only read */
    if (out->err != 0) {
        abort();
    }
}
