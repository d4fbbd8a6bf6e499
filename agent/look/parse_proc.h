/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * parse_proc.h -- text of procfs -> structs. Pure; the text is the kernel's, but users choose much of what is in it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/slice.h"

#define PROC_COMM_MAX 64 /* the kernel gives 15 bytes, and up to 63 for its workers */

struct proc_stat {
    struct slice comm; /* into the text, raw, between the first '(' and the LAST ')' */
    char state;
    uint32_t pid, ppid, session;
    uint32_t tty; /* as unsigned: the kernel prints an int */
    uint32_t threads;
    uint64_t flags;         /* PF_*: PROC_PF_KTHREAD, PROC_PF_EXITING */
    uint64_t start_jiffies; /* field 22 */
    uint32_t exit_status;   /* field 52 as wait(2) gives it; 0 without the right to see it, or before 3.5 */
};

#define PROC_PF_EXITING UINT64_C(0x00000004)
#define PROC_PF_KTHREAD UINT64_C(0x00200000)

/* POFR_EFORMAT, POFR_ETRUNCATED. */
POFR_MUST_USE int proc_stat_parse(struct slice text, struct proc_stat *out);

/*
 * A kernel worker's name without what it works on ("kworker/0:1-events" changes all the time): what prctl would
 * call it. Other names unchanged.
 */
struct slice proc_comm_stable(struct slice comm, bool kernel_thread);

struct proc_ids { /* real, effective, saved, file system */
    uint32_t uid[4], gid[4];
};

/* The lines Uid: and Gid: of /proc/PID/status. POFR_EFORMAT: not both there. */
POFR_MUST_USE int proc_status_parse(struct slice text, struct proc_ids *out);

/* One decimal number and perhaps a newline (loginuid). POFR_EFORMAT, POFR_ETOOBIG. */
POFR_MUST_USE int proc_u32_parse(struct slice text, uint32_t *out);

enum proc_link {
    PROC_LINK_PATH, /* begins with '/', or something that we do not know */
    PROC_LINK_SOCKET,
    PROC_LINK_PIPE,
    PROC_LINK_ANON,  /* anon_inode:... */
    PROC_LINK_OTHER, /* name:[number] of another kind: namespaces, pidfds */
};

/* Text of a link in /proc/PID/fd or /proc/PID/ns. *out_inode: the number in brackets, 0 where there is none. */
enum proc_link proc_link_parse(struct slice text, uint64_t *out_inode);

/* Takes " (deleted)" off: true if it was there and something is before it. */
bool proc_link_deleted(struct slice *text);

/* The line "flags:" of /proc/PID/fdinfo/N, octal. POFR_EFORMAT. */
POFR_MUST_USE int proc_fdinfo_flags_parse(struct slice text, uint32_t *out_flags);

/*
 * One entry of getdents64() from *text (cut off there): a name that is a decimal number goes to *out_number,
 * others (".", "self") are skipped. false: the end, or nonsense.
 */
bool proc_dirent_next(struct slice *text, uint32_t *out_number);
