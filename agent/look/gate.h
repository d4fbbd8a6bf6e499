/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gate.h -- what need not be read again: the CPU clock of each process, and who must be read although it stands.
 *
 * A process whose CPU clock did not move did nothing: no open, no exec, no setuid (21,000 pairs with an equal clock: no
 * difference). What others can do to it is covered so:
 *   - processes that share a table of files (CLONE_FILES) are a group: one moved, all are read (gate_share.h)
 *   - a session leader that ended takes the terminal from its session: all of the session are read
 *   - renamed and deleted files, a cgroup changed from outside: each process has its turn to be read anyway, one in
 *     `part` per look (where looks are less than 300 ms apart: in 300 ms), and at least so many that all have had theirs
 *     within reconcile_us
 * (A parent's end changes nothing that is recorded: ppid is the creator.)
 * The clock is read before the content, and kept with (pid, start).
 *
 * One owner. Memory: about 150 bytes a process, 16 a descriptor.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/look/look_proc.h"
#include "common/base/compiler.h"

#define GATE_PART_US 300000

/* What tells an open file from another on the same descriptor without reading its name. */
struct gate_file {
    uint32_t fd;
    uint32_t text; /* GATE_TEXT_*: hash of the link's text, and the access mode */
    uint64_t id;   /* hash of device, inode, mount, type, links, ctime */
};

/* One table of files: the process's (thread 0), or a thread's own. */
struct gate_table {
    struct gate_table *next;
    uint32_t thread;
    uint32_t count;
    uint32_t from; /* slice: the next look begins at this descriptor */
    bool more;     /* slice: the table was not read to its end */
    bool stale;    /* slice: the process ran since the first slice: all once more */
    struct gate_file files[];
};

enum {
    GATE_NAMESPACES = 7
};

struct gate_entry {
    uint32_t pid;
    uint32_t session;
    uint64_t start_jiffies; /* valid when known */
    uint64_t clock_ns;      /* before the last reading */
    uint64_t now_ns;        /* in this look */
    uint64_t attributes;    /* hash of what is cheap to read again */
    uint64_t quick;         /* hash of what events do not tell of */
    uint64_t pid_inode;     /* the process's number; 0: the kernel gives none */
    uint32_t ns[GATE_NAMESPACES];
    uint32_t threads;
    uint32_t thread_from; /* comparing threads goes on from this tid */
    uint32_t group;       /* shares its files with the others of this number; 0: none */
    uint8_t readings;     /* counts up; decides what is verified in turn */
    uint8_t turn;         /* which namespace is verified at the next reading in full */
    bool known;           /* it was read: start, clock, attributes hold */
    bool has_clock;       /* clock_ns holds */
    bool kernel_thread;
    bool exited;        /* a zombie that was delivered */
    bool files_refused; /* no right was had to list its files */
    bool hint_read, hint_thread;
    bool threads_pending; /* not all threads were compared */
    bool moved;           /* in this look: the clock is another, or there is none */
    bool group_moved;     /* in this look: that of one which shares its files */
    bool clock_works;     /* in this look: now_ns holds */
    bool gone;            /* in this look */
    bool reconcile;       /* in this look: its turn */
    struct gate_table *tables;
};

struct gate {
    struct gate_entry **entries; /* ascending by pid */
    size_t count, room, max;
    uint32_t reconcile_pid; /* the last that had its turn */
    int64_t reconciled_us;  /* when turns were given last */
    double reconcile_due;   /* turns not yet given */
};

void gate_init(struct gate *g, size_t max);
void gate_fini(struct gate *g);

/* CPU time of a whole process in ns, all its threads together. POFR_ENOTFOUND: no such process. POFR_ESYSTEM: no such clock. */
POFR_MUST_USE int gate_clock(uint32_t pid, uint64_t *out_ns);

/* NULL: not there. */
struct gate_entry *gate_find(const struct gate *g, uint32_t pid);

/*
 * Make the entries those of pids (ascending). whole: what is not in pids is gone and dropped; else pids are added.
 * *out_added: new ones. *out_over: those beyond the maximum. POFR_ENOMEM: as before.
 */
POFR_MUST_USE int gate_merge(struct gate *g, const uint32_t *pids, size_t count, bool whole, uint32_t *out_added,
                             uint32_t *out_over);

/* Read all clocks; mark who moved, who is gone, whose group moved, whose session lost its leader. */
void gate_read_clocks(struct gate *g);

/* Give turns to be read anyway. */
void gate_give_turns(struct gate *g, uint32_t part, int64_t reconcile_us, int64_t now_us);

/* Why this one must be read; 0: it need not. */
enum look_why gate_why(const struct gate_entry *e, bool full);

/* A session leader ended: those of its session lost their terminal without running, and must be read. */
void gate_leader_ended(struct gate *g, const struct gate_entry *leader);

/* Drop those marked gone. */
void gate_drop_gone(struct gate *g);

/* Forget what was read of it, not that it is there: it is read as if seen for the first time. */
void gate_forget(struct gate_entry *e);
void gate_drop_tables(struct gate_entry *e);

/* Its table of a thread, or NULL. */
struct gate_table *gate_table(const struct gate_entry *e, uint32_t thread);

/*
 * Replace the part [low, high] of a table by files (ascending, all in that range). POFR_ENOMEM: the table is dropped,
 * so that it is read in full the next time.
 */
POFR_MUST_USE int gate_set_files(struct gate_entry *e, uint32_t thread, const struct gate_file *files, size_t count,
                                 uint32_t low, uint32_t high);
void gate_drop_table(struct gate_entry *e, uint32_t thread);
