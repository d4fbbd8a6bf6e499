/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * proc_reader.h -- reads one process through one open directory of it, which dies with it.
 *
 * Runs on the look's thread (look_thread.h), which owns the reader: the buffers that a record's slices point to.
 * Everything else belongs to the job and is touched only while it was not left behind.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/look/gate.h"
#include "agent/look/look_proc.h"
#include "agent/look/look_thread.h"
#include "agent/look/proc_io.h"
#include "agent/look/proc_penalty.h"

/* What a process was being asked when it blocked; a mask of these is left out for who blocked before. */
enum proc_step {
    PROC_STEP_EXE = 1,
    PROC_STEP_ARGUMENTS = 2,
    PROC_STEP_CWD = 4,
    PROC_STEP_FILES = 8,
    PROC_STEP_OTHER = 16, /* nothing that a user can make hang; if it does, the whole process is left out */
};

#define PROC_CGROUP_MAX 16384u
#define PROC_DENTS_MAX  32768u

struct proc_reader {
    uint8_t stat[2048], status[1024];
    uint8_t exe[REC_PATH_MAX + 1], cwd[REC_PATH_MAX + 1], link[REC_PATH_MAX + 1];
    uint8_t cgroup[PROC_CGROUP_MAX];
    uint8_t arguments[REC_ARGUMENTS_MAX + 1];
    uint8_t dents[PROC_DENTS_MAX];
    struct gate_file *files; /* of the slice being read */
    size_t files_room;
};

void *proc_reader_own(void);
void proc_reader_disown(void *reader);

/* What all readings of a look have in common. Belongs to the job. */
struct proc_context {
    struct look_thread *t;
    struct proc_reader *r;
    int root; /* open /proc */
    const struct look_sink *sink;
    void *ctx;
    struct look_result *result;
    uint64_t socket_device, pipe_device, anon_device;
    uint8_t key[16]; /* of the gate's hashes */
    uint32_t files_slice;
    bool pidfd_ids;         /* PIDFD_GET_INFO works here */
    bool told;              /* look_ask.told */
    bool sees_exits;        /* stat shows a zombie's exit status to us */
    bool sees_files;        /* nobody's files are refused to us */
    bool no_kcmp;           /* the kernel or a filter refuses it for any process */
    uint32_t thread_checks; /* comparisons left in this look */
    struct proc_penalties penalties;
    /* the process being read: what the owner must finish if this is left behind */
    bool delivered; /* process() was called, process_end() not yet */
    uint32_t uid;   /* its real uid, once known; else UINT32_MAX */
    uint32_t avoid; /* enum proc_step: not asked of it */
    uint32_t step;  /* enum proc_step: where the reading is; set before the thread can hang */
    uint64_t start_jiffies;
    uint64_t pid_inode; /* its number; 0: not known */
    struct look_how how;
};

enum proc_outcome {
    PROC_WHOLE = 0, /* read, or held, or an exited one delivered */
    PROC_GONE = 1,  /* it was not there, or went away */
    PROC_TORN = 2,  /* known before, and on its way out: what is held of it goes on until it is gone */
};

/* Read e for this reason, and deliver it. enum proc_outcome, PROC_LEFT or POFR_ENOMEM. */
POFR_MUST_USE int proc_reader_process(struct proc_context *c, struct gate_entry *e, enum look_why why);

/*
 * All tables of files of e (proc_files.c); dir is its directory, or that of a live thread of it.
 * base_tid: whose task that is. 0, PROC_LEFT or POFR_ENOMEM.
 */
struct proc_target {
    int dir;  /* of the process */
    int task; /* whose files, exe, ... are read: dir, or a live thread's where the leader is dead */
    int fds;  /* its directory fd/, or -1 */
    uint32_t task_id;
    enum look_why why;
    bool threads_changed;
    const struct rec_process *process; /* identity for the files' records */
};
POFR_MUST_USE int proc_files_read(struct proc_context *c, struct gate_entry *e, const struct proc_target *target);

/* Is this link's text, which ends in " (deleted)", the name of a file that is there? Else it was deleted. *path is cut then. */
POFR_MUST_USE int proc_files_deleted(struct proc_context *c, int dir, const struct file_id *id, struct slice *path,
                                     bool *out_deleted);

/* Hash of what tells a file from another. */
uint64_t proc_file_hash(const struct proc_context *c, const struct file_id *id);
