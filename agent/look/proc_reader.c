/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opens the one directory, finds out what there is to read (a live process, a dead leader with live threads, a zombie),
 * delivers attributes (proc_attributes.c) and files (proc_files.c), and tells the gate only at the end that it was read.
 *
 * DEAD LEADER  the leader is a zombie, its threads live: all but stat is read through a live thread. (It hides all open
 *              files from /proc/PID/fd.)
 */
#include "agent/look/proc_reader.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/look/parse_proc.h"
#include "agent/look/proc_attributes.h"
#include "common/base/err.h"

void *proc_reader_own(void)
{
    return calloc(1, sizeof(struct proc_reader));
}

void proc_reader_disown(void *reader)
{
    struct proc_reader *r = reader;

    if (r) {
        free(r->files);
        free(r);
    }
}

/* A thread of it that is not dead: its directory in *out_task. -ENOENT: none. */
static int live_thread(struct proc_context *c, int dir, int *out_task, uint32_t *out_tid)
{
    int tasks = proc_open(c->t, dir, "task", O_RDONLY | O_DIRECTORY);
    ssize_t n;
    int code = -ENOENT;

    if (tasks < 0) {
        return tasks;
    }
    while (code == -ENOENT && (n = proc_getdents(c->t, tasks, c->r->dents, sizeof(c->r->dents))) > 0) {
        struct slice text = slice_of(c->r->dents, (size_t)n);
        uint32_t tid;

        while (code == -ENOENT && proc_dirent_next(&text, &tid)) {
            char name[16];
            struct proc_stat stat;
            int task;

            (void)snprintf(name, sizeof(name), "%u", tid);
            task = proc_open(c->t, tasks, name, O_PATH | O_DIRECTORY);
            if (task < 0) {
                code = task == PROC_LEFT ? PROC_LEFT : -ENOENT;
                continue;
            }
            code = proc_attributes_any_stat(c, task, &stat);
            if (code == 0 && !proc_is_dead(&stat)) {
                *out_task = task;
                *out_tid = tid;
                (void)close(tasks); /* was only read */
                return 0;
            }
            (void)close(task); /* was only read */
            code = code == PROC_LEFT ? PROC_LEFT : -ENOENT;
        }
    }
    if (code == -ENOENT && n == PROC_LEFT) {
        code = PROC_LEFT;
    }
    (void)close(tasks); /* was only read */
    return code;
}

static void deliver(struct proc_context *c, const struct rec_process *p)
{
    c->sink->process(c->ctx, p, &c->how);
    c->delivered = true;
}

static void finish(struct proc_context *c, bool whole, bool gone)
{
    c->how.whole = whole;
    c->how.gone = gone;
    c->delivered = false;
    c->sink->process_end(c->ctx, &c->how);
}

static void commit(const struct proc_context *c, struct gate_entry *e, const struct proc_reading *g)
{
    e->clock_ns = e->now_ns;
    e->has_clock = e->clock_works;
    e->readings = e->readings == UINT8_MAX ? 32 : (uint8_t)(e->readings + 1); /* not young again */
    if (g->quick) {
        return;
    }
    e->known = true;
    e->start_jiffies = g->stat.start_jiffies;
    e->session = g->stat.session;
    e->attributes = g->attributes;
    e->quick = g->quick_hash;
    e->pid_inode = c->pid_inode;
    e->kernel_thread = g->stat.flags & PROC_PF_KTHREAD;
    e->hint_read = e->hint_thread = false;
}

/* It has exited; its parent has not asked yet. Only stat and ids are left of it. */
static int exited(struct proc_context *c, int dir, struct gate_entry *e, struct proc_reading *g)
{
    int code = proc_attributes_exited(c, e, dir, g);

    if (code != 0) {
        return code == PROC_LEFT ? PROC_LEFT : PROC_GONE;
    }
    c->how.zombie = true;
    c->how.exit_status = g->stat.exit_status;
    c->how.exit_known = c->sees_exits;
    deliver(c, &g->p);
    finish(c, true, false);
    gate_drop_tables(e);
    commit(c, e, g);
    e->files_refused = false; /* it has none any more */
    e->exited = true;
    return PROC_WHOLE;
}

static int open_files(struct proc_context *c, struct gate_entry *e, struct proc_target *x, struct rec_process *p)
{
    x->fds = proc_open(c->t, x->task, "fd", O_RDONLY | O_DIRECTORY);
    if (x->fds == PROC_LEFT) {
        return PROC_LEFT;
    }
    e->files_refused = x->fds == -EACCES || x->fds == -EPERM;
    if (x->fds < 0) {
        p->unreadable |= REC_UNREADABLE_FILES;
    }
    return x->fds == -ENOENT || x->fds == -ESRCH ? proc_attributes_what_now(c, e, x) : 0;
}

/* Everything through the open directories of x. enum proc_outcome, or negative. */
static int read_target(struct proc_context *c, struct gate_entry *e, struct proc_target *x, struct proc_reading *g)
{
    bool files;
    int code = g->quick ? 0 : proc_attributes_read(c, e, x, g);

    if (code != 0) {
        return code;
    }
    files = !g->p.kernel_thread && !(c->avoid & PROC_STEP_FILES);
    if (files && (code = open_files(c, e, x, &g->p)) != 0) {
        return code;
    }
    if (!g->held) {
        deliver(c, &g->p);
    }
    c->delivered = true;
    x->process = &g->p;
    if (!g->quick) {
        x->threads_changed = e->hint_thread || !e->known || e->threads != g->stat.threads;
        e->threads = g->stat.threads;
    }
    return files && x->fds >= 0 ? proc_files_read(c, e, x) : 0;
}

/* dir is open; everything that is opened here is closed here. */
static int read_through(struct proc_context *c, struct gate_entry *e, enum look_why why, int dir)
{
    struct proc_target x = { .dir = dir, .task = dir, .task_id = e->pid, .fds = -1, .why = why };
    struct proc_reading g = { .held = false };
    uint64_t still;
    int code = proc_attributes_quick(c, e, &x, &g);

    if (code == PROC_LEFT) {
        return code;
    }
    if (!g.quick && (code = proc_attributes_stat(c, dir, &g)) != 0) {
        return code == PROC_LEFT ? PROC_LEFT : PROC_GONE;
    }
    if (g.quick) { /* what follows takes it from there */
        g.stat.start_jiffies = e->start_jiffies;
        g.stat.state = 'R';
    }
    if (e->known && e->start_jiffies != g.stat.start_jiffies) {
        gate_forget(e); /* the pid is another's by now */
        x.why = c->how.why = LOOK_WHY_FIRST;
    }
    c->start_jiffies = g.stat.start_jiffies;
    if (proc_is_dead(&g.stat)) {
        code = g.stat.threads > 1 ? live_thread(c, dir, &x.task, &x.task_id) : -ENOENT;
        if (code != 0) {
            return code == PROC_LEFT ? PROC_LEFT : exited(c, dir, e, &g);
        }
    }
    code = read_target(c, e, &x, &g);
    if (x.fds >= 0) {
        (void)close(x.fds); /* was only read */
    }
    if (x.task != dir) {
        (void)close(x.task); /* was only read */
    }
    if (code != 0) {
        return code;
    }
    if (gate_clock(e->pid, &still) == POFR_ENOTFOUND) {
        return PROC_GONE;
    }
    finish(c, true, false);
    commit(c, e, &g);
    return PROC_WHOLE;
}

int proc_reader_process(struct proc_context *c, struct gate_entry *e, enum look_why why)
{
    char name[16];
    int code, dir;

    c->how = (struct look_how){ .why = why, .cpu_us = e->now_ns / 1000 };
    c->delivered = false;
    c->uid = UINT32_MAX;
    c->avoid = 0;
    c->start_jiffies = e->known ? e->start_jiffies : 0;
    c->pid_inode = 0;
    c->step = PROC_STEP_OTHER;
    (void)snprintf(name, sizeof(name), "%u", e->pid);
    dir = proc_open(c->t, c->root, name, O_PATH | O_DIRECTORY);
    if (dir < 0) {
        return dir == PROC_LEFT ? PROC_LEFT : PROC_GONE;
    }
    code = read_through(c, e, why, dir);
    (void)close(dir); /* was only read */
    if (code == PROC_LEFT) {
        return code;
    }
    if (c->delivered) {
        finish(c, false, code == PROC_GONE);
    }
    if (code != PROC_WHOLE) {
        gate_drop_tables(e); /* the next reading takes nothing for granted */
    }
    return code;
}
