/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * look_proc.h -- one look at processes and the files they hold open, from procfs.
 *
 * A look delivers what it sees through a sink; it compares and remembers nothing but what the gate needs
 * (gate.h) to tell what need not be read again. The caller holds the state:
 *
 *   for each process, one of
 *     held(pid, start)                 alive, and nothing said that it changed: all that is held goes on
 *     process(p) or process_held(), then per table of files: file() or file_held() for each descriptor, files_end();
 *       at last process_end()          it was read now
 *     blocked(pid, start)              reading it blocked: not read in this look, what is held goes on, aged
 *   and a process that was not named, in a look whose result is complete, is not there any more.
 *
 * THREADS. The reading is done by a thread of the look's own, which is left behind when it blocks in the
 * kernel for longer than watchdog_ms (a FUSE server that does not answer). Sink functions are called from
 * that thread while the caller waits in look_proc_run(): never two at once, never after it has returned, with
 * all memory effects as if the caller had called them. They must not call look_proc_*().
 *
 * Everything a record's slices point to is valid during the call of the sink function alone.
 * Not thread-safe otherwise: one owner.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/record/record.h"

struct look_proc;

struct look_proc_conf {       /* 0 or NULL: the default */
    const char *root;         /* "/proc" */
    uint32_t watchdog_ms;     /* 1000: no progress for so long: go on without the process */
    uint32_t left_behind_max; /* 8 threads */
    uint32_t hangs_max;       /* 2: after so many that hung, the rest waits for the next look: one look is no longer */
    uint32_t processes_max;   /* 262144: more are counted as unseen */
    uint32_t files_slice;     /* 8192: descriptors of one table that one look reads; the rest in the next looks */
    uint32_t thread_checks;   /* 256: threads asked per look whether they have a table of files of their own */
    int64_t reconcile_us;     /* 30 s: each process is read again within this time, whatever the gate says */
};

enum look_why {         /* why a process was read */
    LOOK_WHY_FIRST = 1, /* not known yet, or the sink said that it does not hold it */
    LOOK_WHY_CLOCK,     /* its CPU clock moved */
    LOOK_WHY_GROUP,     /* that of a process moved that shares its files */
    LOOK_WHY_HINT,      /* look_proc_hint() */
    LOOK_WHY_RECONCILE, /* its turn: a difference now is one that the gate could not see */
    LOOK_WHY_FULL,      /* the caller asked for everything */
};

struct look_how {
    enum look_why why;
    bool zombie;          /* it has exited and waits for its parent; delivered once, then no more */
    bool exit_known;      /* zombie: the next one is known */
    uint32_t exit_status; /* as wait(2) gives it */
    bool whole;           /* process_end: complete; else it went away (or blocked) while it was being read */
    bool gone;            /* process_end, not whole: it is not there any more */
    uint64_t cpu_us;      /* CPU time that it has used, read before anything else */
};

struct look_sink {
    /* Alive and unchanged. false: the caller does not hold it; it is then read at once (LOOK_WHY_FIRST). */
    bool (*held)(void *ctx, uint32_t pid, uint64_t start_jiffies);

    /*
     * As it is now. start_number, parent_known and what depends on it, recorder, cpu_us' meaning at exit and all interval
     * fields are the caller's; ppid is the parent of now (the creator at first sight). how->zombie: it has exited: what a
     * zombie does not show is empty, and no files follow (process_end does).
     */
    void (*process)(void *ctx, const struct rec_process *p, const struct look_how *how);

    /*
     * Instead of process(): it was read, and all attributes are as they were delivered last; its files follow. false: the
     * caller does not hold it; process() follows at once. NULL: process() every time.
     */
    bool (*process_held)(void *ctx, uint32_t pid, uint64_t start_jiffies, const struct look_how *how);

    /*
     * Descriptor fd of the process just delivered; thread is the tid whose own table it is in, 0: the process's.
     * file_held: the same file in the same way as the last time it was delivered (not read again). false: the caller
     * does not hold it; file() follows at once. NULL: every file is read every time. start_number and command are not set.
     */
    bool (*file_held)(void *ctx, uint32_t thread, uint32_t fd);
    void (*file)(void *ctx, const struct rec_file *f);

    /*
     * Of this table, all descriptors from low to high (both in) were delivered: what is held in that range and was not
     * delivered since process() is closed. A large table is read in slices; the rest of it goes on, aged.
     */
    void (*files_end)(void *ctx, uint32_t thread, uint32_t low, uint32_t high);

    /*
     * how->whole: a thread of this process for which no files_end() came has no table of its own any more: its files
     * are closed. (Thread 0 always has one: without files_end() for it, what is held of it goes on; REC_UNREADABLE_FILES
     * was set in process() where it could not be listed.)
     */
    void (*process_end)(void *ctx, const struct look_how *how);

    /* Reading it blocked in this look, or an earlier one is still blocked. start_jiffies 0: not known. */
    void (*blocked)(void *ctx, uint32_t pid, uint64_t start_jiffies);
};

struct look_ask {
    bool full; /* read everything, hold nothing */
    bool list; /* list /proc; else: what is known, and what was hinted as new */
    bool told; /* hints told of every exec, exit, thread, and change of ids, session and name since the last look */
    uint32_t
        reconcile_part; /* one in so many is read again per look, or per 300 ms (at least, see reconcile_us); 0: 100 */
    int64_t now_us;     /* monotonic */
};

struct look_result {
    bool complete;       /* false: the look came to no end (too many threads left behind, no memory, no /proc) */
    uint32_t processes;  /* delivered, held, or blocked */
    uint32_t read;       /* delivered */
    uint32_t reconciled; /* of these, LOOK_WHY_RECONCILE */
    uint32_t vanished;   /* gone while they were being read */
    uint32_t torn;       /* descriptors left out because they changed under each of three readings */
    uint32_t blocked;
    uint32_t left_behind;     /* threads that hang somewhere now */
    uint32_t unannounced;     /* list: found without a hint (not counted at the first look) */
    uint32_t over_limit;      /* processes beyond processes_max */
    uint32_t sliced;          /* tables of files that were read in part */
    uint32_t threads_pending; /* threads whose table of files is still to be compared */
    uint32_t refused;         /* processes, read or held, whose files no right is had to list */
    uint64_t files;           /* delivered or held */
};

/* Starts the look's thread. POFR_ESYSTEM, POFR_ENOMEM, POFR_EPERMISSION, POFR_ENOTFOUND (no procfs there). */
POFR_MUST_USE int look_proc_new(const struct look_proc_conf *conf, struct look_proc **out_look, struct pofr_err *err);

/* A thread that is left behind frees what it owns when it returns. NULL is allowed. */
void look_proc_free(struct look_proc *l);

enum look_hint {
    LOOK_HINT_NEW,    /* there is, or was, such a process: look for it although nobody lists /proc */
    LOOK_HINT_READ,   /* exec, new ids: read it whatever its clock says */
    LOOK_HINT_THREAD, /* it made a thread: compare tables of files at once */
    LOOK_HINT_EXIT,   /* it ended: forget its clock (the pid may be another's by now) */
};

/* Between looks. The hints of one tick, in the order of the events. */
void look_proc_hint(struct look_proc *l, uint32_t pid, enum look_hint hint);

/* 0 also where the look came to no end: see result. Negative: nothing was looked at (POFR_EFULL: all threads are left behind). */
POFR_MUST_USE int look_proc_run(struct look_proc *l, const struct look_ask *ask, const struct look_sink *sink,
                                void *ctx, struct look_result *out_result, struct pofr_err *err);

/* What can be said for coverage and doctor: NULL or why something is not seen ("kcmp: ..."). Static text. */
const char *look_proc_limits(const struct look_proc *l);

/* Have we the rights with which the files of any process can be seen? (Even where they are all ours, and nothing was refused.) */
bool look_proc_sees_others(const struct look_proc *l);
