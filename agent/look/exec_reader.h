/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * exec_reader.h -- a thread that wakes for exec events alone and reads what was just executed before it is gone.
 *
 * Its share of CPU is limited: above it, it sleeps until the owner's next exec_reader_take(), and what it did not read
 * is counted. What it reads waits in a bounded buffer until then.
 *
 * A reading can hang (arguments in memory that a FUSE server backs). Then the owner leaves the reader behind, and may make
 * another; the one left behind reads nothing more when it wakes, and ends.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/base/slice.h"

struct exec_reader;

struct exec_reader_conf {
    const char *root;      /* "/proc" */
    uint32_t share;        /* percent of a CPU */
    uint32_t buffer_bytes; /* of what waits to be taken */
};

struct exec_reading {
    uint32_t pid;
    uint64_t timestamp_ns; /* of the event, CLOCK_MONOTONIC */
    bool known;            /* the arguments; else they were gone, or of the program that it executed next */
    bool arguments_cut;
    bool exe_deleted;
    bool ids_known;
    uint32_t euid, egid;    /* owner of the directory */
    uint64_t start_jiffies; /* 0: stat was gone, and the four below are not known */
    uint32_t ppid, session, tty;
    struct slice comm;
    struct slice arguments, exe; /* raw; the link's text, empty where it was gone */
    uint64_t exe_device, exe_inode;
};

struct exec_reader_figures { /* totals */
    uint64_t read, missed, lost, asleep;
};

/* Subscribes and starts the thread; *out_reason says why not. POFR_ESYSTEM, POFR_EPERMISSION, POFR_ENOMEM. */
POFR_MUST_USE int exec_reader_new(const struct exec_reader_conf *conf, struct exec_reader **out_reader,
                                  const char **out_reason);

/* Ends it, or leaves it behind if it hangs. NULL is allowed. */
void exec_reader_free(struct exec_reader *r);

/* Leave one that hangs behind: all that may still be asked of it is what it has read, and whether it came back. */
void exec_reader_leave(struct exec_reader *r);
/* Has its thread ended? */
bool exec_reader_returned(struct exec_reader *r);

/* How it is scheduled: "fifo", "nice", "normal". Static. */
const char *exec_reader_class(const struct exec_reader *r);

/*
 * Wait, at most limit_ms, until its socket told of this process's new session. (How a probe is seen: the filter lets exec
 * and session events pass.)
 */
bool exec_reader_wait_for(struct exec_reader *r, uint32_t pid, uint32_t limit_ms);

/* Has it been in one reading for longer than limit_us? */
bool exec_reader_hangs(const struct exec_reader *r, int64_t limit_us);

typedef void (*exec_reading_fn)(void *ctx, const struct exec_reading *x);

/* Give out what it has read, and let it run for another elapsed_us * share. */
void exec_reader_take(struct exec_reader *r, int64_t elapsed_us, exec_reading_fn fn, void *ctx);

void exec_reader_figures(struct exec_reader *r, struct exec_reader_figures *out);
