/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fsio.h -- files: read bounded, write all of it, replace so that a crash leaves the old or the new.
 *
 * Errors: POFR_ENOTFOUND (ENOENT), POFR_EPERMISSION (EACCES, EPERM, EROFS), POFR_ENOSPACE (ENOSPC,
 * EDQUOT), POFR_EEXISTS, POFR_ENOMEM, else POFR_ESYSTEM; err->sys holds errno, err->text the path.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/base/compiler.h"
#include "common/base/slice.h"

struct buf;
struct pofr_err;

/* Our code for an errno. */
int fsio_code(int sys);

/* Append the file's bytes to out. More than out may hold: POFR_ETOOBIG, and out is as before. Works on procfs files (size 0). */
POFR_MUST_USE int fsio_read(const char *path, struct buf *out, struct pofr_err *err);

/* The same from where fd stands; name is for the error text. */
POFR_MUST_USE int fsio_read_fd(int fd, const char *name, struct buf *out, struct pofr_err *err);

/*
 * A secret: a file that nobody but its owner and group can read (else POFR_EPERMISSION), at most 64 KiB,
 * without one newline at its end. "credential:NAME" is systemd's $CREDENTIALS_DIRECTORY/NAME.
 */
POFR_MUST_USE int fsio_read_secret(const char *path, struct buf *out, struct pofr_err *err);

/* Where a secret's file is, for a library that reads it by itself. POFR_ENOTFOUND: no such credential. */
POFR_MUST_USE int fsio_secret_path(const char *path, char *out, size_t out_size, struct pofr_err *err);

/* All bytes, whatever the kernel takes at a time; blocks on fds that block. */
POFR_MUST_USE int fsio_write(int fd, struct slice data, struct pofr_err *err);
POFR_MUST_USE int fsio_pwrite(int fd, struct slice data, off_t at, struct pofr_err *err);

/*
 * Make path hold data, durably: write path.tmp, sync, rename, sync the folder. On error the old file is
 * as it was; only where the last step failed (the text says "sync folder") it may be either after a power cut. One
 * writer per path.
 */
POFR_MUST_USE int fsio_replace(const char *path, struct slice data, mode_t mode, struct pofr_err *err);

/* Make names in the folder durable (files made, renamed, removed). */
POFR_MUST_USE int fsio_sync_dir(const char *dir, struct pofr_err *err);

/* The same for the folder that holds path. */
POFR_MUST_USE int fsio_sync_parent(const char *path, struct pofr_err *err);

/* The folder and those above it, durably; existing ones are left as they are. */
POFR_MUST_USE int fsio_mkdirs(const char *dir, mode_t mode, struct pofr_err *err);

/*
 * Take the lock of path (made where missing; it holds our pid as text). Held until the fd, which is
 * close-on-exec, is closed by every process that has it. POFR_EBUSY: another holds it; the text names its pid.
 */
POFR_MUST_USE int fsio_lock(const char *path, int *out_fd, struct pofr_err *err);

/* len random bytes from the kernel; waits for its pool at boot. */
POFR_MUST_USE int fsio_random(void *out, size_t len, struct pofr_err *err);

/* close() that keeps errno and sets *fd to -1; -1 is allowed. */
void fsio_close(int *fd);
