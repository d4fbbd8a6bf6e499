/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * events.h -- what the kernel tells of processes between ticks: fork, exec, exit, ids, session, name.
 *
 * The proc connector, drained at the tick and not woken for; and a thread that wakes for exec events alone and
 * reads the arguments of what was just started (exec_reader.h). Both are optional: without them, looks alone.
 * "There" means: the kernel acked the subscription without error AND told of a child that we made to see (it
 * accepts silently and tells nothing in another network namespace).
 *
 * Loss is exact: what the socket's drop counter says, checked by the sequence numbers of each CPU.
 * One owner.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/base/slice.h"

struct events;

enum event_kind {
    EVENT_FORK = 1, /* pid was made by parent (both thread groups) */
    EVENT_THREAD,   /* pid has a new thread tid */
    EVENT_EXEC,     /* pid executed a program */
    EVENT_EXIT,     /* the whole process ended, with status */
    EVENT_THREAD_EXIT,
    EVENT_IDS,     /* a uid or gid of pid changed */
    EVENT_SESSION, /* pid made a session */
    EVENT_NAME,    /* pid, or a thread of it, has another name */
    EVENT_COREDUMP,
};

struct event {
    enum event_kind kind;
    uint32_t pid; /* thread group */
    uint32_t tid;
    uint32_t parent;                /* FORK: the creator; EXIT: the parent then, 0 where the kernel does not tell */
    uint64_t boot_us;               /* when: boot clock, suspended time included */
    uint64_t start_jiffies;         /* FORK: as /proc/PID/stat shows it, or later: by what the kernel waited */
    uint32_t exit_status;           /* EXIT: as wait(2) gives it */
    uint32_t id_real, id_effective; /* IDS */
    bool is_gid;                    /* IDS */
    uint8_t name[16];               /* NAME: NUL-padded */
    uint32_t name_len;
};

/* What the exec reader saw. Slices are valid during the call. */
struct exec_seen {
    uint32_t pid;
    uint64_t boot_us;       /* of the exec event */
    uint64_t start_jiffies; /* 0: it was gone before this could be read */
    struct slice arguments; /* raw */
    bool arguments_cut;
    bool arguments_known; /* false: gone, or a kernel thread */
    struct slice exe;     /* link's text; empty: gone */
    bool exe_deleted;
    uint64_t exe_device, exe_inode; /* 0: gone */
    uint32_t euid, egid;            /* owner of the directory; ids_known */
    bool ids_known;
    struct slice command; /* comm; empty: gone */
    uint32_t ppid;
    uint32_t session, tty;
};

struct events_conf {          /* 0: the default */
    uint32_t buffer_bytes;    /* 25 MiB, where SO_RCVBUFFORCE is allowed */
    uint32_t exec_share;      /* percent of a CPU for the exec reader: 5 */
    uint32_t exec_ring_bytes; /* 1 MiB */
    bool no_exec_reader;
};

struct events_figures {      /* totals since open */
    uint64_t received, lost; /* connector, all kinds */
    uint64_t sequence_gaps;  /* the check: gaps of the sequence numbers of each CPU, from its first message */
    uint64_t malformed;
    /* exec reader: arguments read, not read (too late, over its share, ring full, it hung, or there was none) */
    uint64_t execs_read, execs_missed;
    uint64_t exec_events_lost; /* dropped by its socket */
    uint64_t exec_asleep;      /* times it went to sleep for its share */
};

/*
 * Always makes an object: where the connector can't be had, events_drain() gives nothing and events_reason() says why.
 * Negative only where there is no memory.
 */
POFR_MUST_USE int events_open(const struct events_conf *conf, struct events **out_events, struct pofr_err *err);
void events_close(struct events *e);

bool events_there(const struct events *e); /* the connector works */
bool events_exec_reader_there(const struct events *e);
const char *events_mode(const struct events *e);   /* for coverage: "connector", "connector+fifo", "absent" ... */
const char *events_reason(const struct events *e); /* why not better; NULL: nothing to say. Both static text */

struct events_sink {
    void (*event)(void *ctx, const struct event *e);
    void (*exec)(void *ctx, const struct exec_seen *x); /* NULL: not wanted */
};

/*
 * Everything that has come, in the order of time (exec_seen after the events). *out_lost: events dropped since the last
 * call: then list /proc. Ends after what was there when it began, at most a buffer full.
 */
POFR_MUST_USE int events_drain(struct events *e, const struct events_sink *sink, void *ctx, uint64_t *out_lost,
                               struct pofr_err *err);

/* Make a child to be seen (after a loss, every minute); the next drains tell whether it was. events_there() may change. */
void events_probe(struct events *e);

void events_figures(struct events *e, struct events_figures *out);
