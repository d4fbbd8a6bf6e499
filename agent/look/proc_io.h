/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * proc_io.h -- the system calls of a look, each of which may hang (look_thread.h).
 *
 * Results: 0 or more as the call gives it, or -errno; PROC_LEFT: the thread was left behind meanwhile: unwind, touch nothing.
 */
#pragma once

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/look/look_thread.h"

#define PROC_LEFT (-ECANCELED) /* no call here gives ECANCELED itself */

int proc_open(struct look_thread *t, int dir, const char *name, int flags);
ssize_t proc_getdents(struct look_thread *t, int dir, void *out, size_t room);
ssize_t proc_readlink(struct look_thread *t, int dir, const char *name, void *out, size_t room);
int proc_kcmp_files(struct look_thread *t, uint32_t a, uint32_t b); /* 0 equal, 1 less, 2 greater */

/* Open, read at most room bytes, close: the number of bytes. */
ssize_t proc_read(struct look_thread *t, int dir, const char *name, void *out, size_t room);

struct file_id {
    uint64_t device; /* major * 2^32 + minor */
    uint64_t inode;
    uint64_t mount; /* 0: not known (before 5.8) */
    int64_t ctime_s;
    uint32_t ctime_ns;
    uint32_t mode;
    uint32_t links;
};

/* Follows the link; never asks a server what the kernel's cache knows. */
int proc_stat_target(struct look_thread *t, int dir, const char *name, struct file_id *out);

/* The same on a thread that is no look's. */
int proc_stat_now(int dir, const char *name, struct file_id *out);

/* Of the link itself: its permission bits are the access mode of the descriptor. */
int proc_stat_link(struct look_thread *t, int dir, const char *name, uint32_t *out_mode);

/*
 * Who a process is, in one call (kernel 6.13 on): -ENOTTY and the like before. *out_inode: its number, which no other
 * process of this boot has or had; 0 where the kernel gives none.
 */
struct proc_ids;
int proc_pidfd_ids(struct look_thread *t, uint32_t pid, struct proc_ids *out, uint64_t *out_inode);

uint64_t proc_device(uint32_t major, uint32_t minor);
