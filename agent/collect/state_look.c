/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a look at processes shows. A new process is told at the look's end, when its parent is known whatever the order of
 * the list; one that a complete look no longer shows is over, where events are there only with the next tick, which brings
 * its exit status.
 */
#include "agent/collect/state_impl.h"

#include <stdlib.h>
#include <string.h>

#define CLIMB_MAX 64 /* parents asked whether they are the recorder */

void state_look_begin(struct state *s, bool first)
{
    s->look++;
    s->first = first;
    s->fresh.len = 0;
    s->cur = NULL;
}

/* The process whose version goes on as it was read last; NULL: it must be read. */
static struct proc *proc_held(const struct state *s, uint32_t pid, uint64_t start_jiffies)
{
    struct proc *p = proc_by_pid(s, pid);

    if (p == NULL || !p->told || start_jiffies > p->id.jiffies || p->exec.at_us != 0 || (p->v.stripped && !s->lean)) {
        return NULL;
    }
    return p;
}

static bool on_held(void *ctx, uint32_t pid, uint64_t start_jiffies)
{
    struct state *s = ctx;
    struct proc *p = proc_held(s, pid, start_jiffies);

    if (p == NULL) {
        return false;
    }
    p->look = s->look;
    p->last_seen = s->t;
    p->missing_us = 0;
    p->blocked = 0;
    return true;
}

/* The process that a reading is of: known, or new; NULL: to be ignored. */
static struct proc *proc_of_reading(struct state *s, const struct rec_process *r, const struct look_how *how)
{
    struct proc *p = proc_by_pid(s, (uint32_t)r->pid);
    const struct recent *ended = hashmap_get(&s->recent, r->pid, NULL, NULL);
    bool again = false;

    if (p != NULL && !p->told && !p->listed && r->start_jiffies <= p->id.jiffies + 1) {
        proc_began(s, p, r->start_jiffies); /* until now only its fork event was known */
        return p;
    }
    if (p != NULL && r->start_jiffies <= p->id.jiffies) {
        return p;
    }
    if (p != NULL) { /* the pid is another's by now, and nothing told of the exit */
        (void)hashmap_remove(&s->by_pid, r->pid, NULL, NULL);
        proc_finish(s, p, s->t, p->last_seen, REC_END_GONE);
        ended = hashmap_get(&s->recent, r->pid, NULL, NULL);
    }
    if (how->zombie && s->first) {
        return NULL; /* it was over before this run began */
    }
    if (ended != NULL && r->start_jiffies <= ended->id.jiffies) {
        if (how->zombie || ended->tick_us >= s->t_before) {
            return NULL; /* it is over, as was told; procfs still shows it */
        }
        again = true;
    }
    p = proc_make(s, (uint32_t)r->pid, r->start_jiffies);
    if (p != NULL) {
        p->id = again ? ended->id : p->id;
        p->first_seen = how->zombie ? s->t - 1 : s->t;
        p->last_seen = s->t;
        p->parent.pid = (uint32_t)r->ppid;
        p->start_unseen = s->first;
    }
    return p;
}

static void on_process(void *ctx, const struct rec_process *r, const struct look_how *how)
{
    struct state *s = ctx;

    s->cand_files.len = 0;
    s->cand_ranges.len = 0;
    s->cur = proc_of_reading(s, r, how);
    if (s->cur == NULL) {
        return;
    }
    version_of(s, r, &s->cand);
    s->cand.recorder = s->cur->v.recorder || proc_is_recorder(s, &s->cur->id);
    s->cand_cpu_us = r->cpu_us;
    s->cur->look = s->look;
}

static bool on_process_held(void *ctx, uint32_t pid, uint64_t start_jiffies, const struct look_how *how)
{
    struct state *s = ctx;
    struct proc *p = proc_held(s, pid, start_jiffies);

    if (p == NULL) {
        return false;
    }
    s->cand_files.len = 0;
    s->cand_ranges.len = 0;
    s->cur = p;
    s->cur_held = true;
    s->cand_cpu_us = how->cpu_us;
    p->look = s->look;
    return true;
}

static bool on_file_held(void *ctx, uint32_t thread, uint32_t fd)
{
    struct state *s = ctx;
    const struct proc *p = s->cur;
    uint32_t low = 0, high = p != NULL ? p->files_len : 0;
    struct file *c;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct file *f = &p->files[middle];

        if (f->thread < thread || (f->thread == thread && f->fd < fd)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (p == NULL) {
        return true; /* it is not wanted */
    }
    if (low == p->files_len || p->files[low].thread != thread || p->files[low].fd != fd) {
        return false;
    }
    c = vec_more(s, &s->cand_files, 1, sizeof(*c));
    if (c != NULL) {
        *c = (struct file){ .thread = thread, .fd = fd, .told = 1 };
        s->cand_files.len++;
    }
    return true;
}

static void on_file(void *ctx, const struct rec_file *r)
{
    struct state *s = ctx;
    struct file *c = s->cur != NULL ? vec_more(s, &s->cand_files, 1, sizeof(*c)) : NULL;

    if (c == NULL) {
        return;
    }
    *c = (struct file){
        .device = r->device,
        .inode = r->inode,
        .path = strpool_get(&s->strings, r->path),
        .thread = (uint32_t)r->thread,
        .fd = (uint32_t)r->fd,
        .kind = (uint8_t)r->kind,
        .access_mode = (uint8_t)r->access_mode,
        .deleted = r->deleted != 0,
        .path_cut = r->path_cut != 0,
    };
    s->cand_files.len++;
    if (s->strings.err != 0) {
        state_fail(s, s->strings.err);
    }
}

static void on_files_end(void *ctx, uint32_t thread, uint32_t low, uint32_t high)
{
    struct state *s = ctx;
    struct range *r = s->cur != NULL ? vec_more(s, &s->cand_ranges, 1, sizeof(*r)) : NULL;

    if (r != NULL) {
        *r = (struct range){ thread, low, high };
        s->cand_ranges.len++;
    }
}

static void cand_forget(struct state *s)
{
    struct file *cand = s->cand_files.data;

    for (size_t i = 0; i < s->cand_files.len; i++) {
        strpool_drop(&s->strings, cand[i].path);
    }
    s->cand_files.len = 0;
    version_drop(s, &s->cand);
    s->cur = NULL;
    s->cur_held = false;
}

/* It was there, and is over or going: what was read of it is the best that will ever be known. */
static void read_in_part(struct state *s, struct proc *p, const struct look_how *how)
{
    if (!p->told) {
        version_drop(s, &p->v);
        p->v = s->cand;
        s->cand = (struct version){ 0 };
        p->image = 1;
        p->exec = (struct exec_note){ 0 };
    }
    if (!how->zombie) {
        return;
    }
    p->last_seen = s->t;
    p->missing_us = s->t;
    p->exit_known = how->exit_known;
    p->exit_status = how->exit_status;
    if (!s->events_there) {
        (void)hashmap_remove(&s->by_pid, p->id.pid, NULL, NULL);
        proc_finish(s, p, s->t, s->t, REC_END_EXIT);
    }
}

static void version_changed(struct state *s, struct proc *p)
{
    bool exec = p->exec.at_us > p->first_seen;
    uint64_t at = exec ? event_moment(s, p->exec.at_us, p->first_seen) : s->t;
    uint64_t source = REC_END_CHANGE;

    if (exec || p->v.exe != s->cand.exe || p->v.exe_inode != s->cand.exe_inode ||
        p->v.exe_device != s->cand.exe_device) {
        source = REC_END_EXEC;
    }
    proc_take_over(s, p, &s->cand, at, source);
}

static void on_process_end(void *ctx, const struct look_how *how)
{
    struct state *s = ctx;
    struct proc *p = s->cur;
    struct proc **at;
    uint64_t last_seen;

    if (p == NULL) {
        cand_forget(s);
        return;
    }
    if (how->zombie || !how->whole) {
        read_in_part(s, p, how);
        cand_forget(s);
        return;
    }
    last_seen = how->why == LOOK_WHY_RECONCILE && p->told ? p->read_us : p->last_seen;
    if (p->told) {
        if (!s->cur_held && !version_same(&p->v, &s->cand)) {
            s->figures.reconcile_wrong += how->why == LOOK_WHY_RECONCILE;
            version_changed(s, p);
        }
    } else {
        version_drop(s, &p->v);
        p->v = s->cand;
        s->cand = (struct version){ 0 };
        p->image = 1;
        at = p->listed ? NULL : vec_more(s, &s->fresh, 1, sizeof(struct proc *));
        if (at != NULL) {
            *at = p;
            s->fresh.len++;
            p->listed = 1;
        }
    }
    files_merge(s, p, last_seen);
    p->cpu_us = s->cand_cpu_us;
    p->last_seen = s->t;
    p->read_us = s->t;
    p->missing_us = 0;
    p->blocked = 0;
    p->exec = (struct exec_note){ 0 };
    cand_forget(s);
}

static void on_blocked(void *ctx, uint32_t pid, uint64_t start_jiffies)
{
    struct state *s = ctx;
    struct proc *p = proc_by_pid(s, pid);

    if (p != NULL && start_jiffies <= p->id.jiffies) {
        p->look = s->look;
        p->blocked = 1;
        p->missing_us = 0;
    }
}

const struct look_sink state_look_sink = {
    .held = on_held,
    .process = on_process,
    .process_held = on_process_held,
    .file_held = on_file_held,
    .file = on_file,
    .files_end = on_files_end,
    .process_end = on_process_end,
    .blocked = on_blocked,
};

static bool climbs_to_recorder(const struct state *s, const struct proc *p)
{
    for (int i = 0; i < CLIMB_MAX && p != NULL; i++) {
        const struct proc *parent;

        if (p->v.recorder || proc_is_recorder(s, &p->id)) {
            return true;
        }
        parent = p->parent.pid != 0 ? proc_by_pid(s, p->parent.pid) : NULL;
        if (parent == p || (parent != NULL && p->parent_known && !ident_eq(&parent->id, &p->parent))) {
            return false;
        }
        p = parent;
    }
    return false;
}

static void tell_fresh(struct state *s)
{
    struct proc **list = s->fresh.data;

    for (size_t i = 0; i < s->fresh.len; i++) {
        struct proc *p = list[i];
        const struct proc *parent = p->parent.pid != 0 ? proc_by_pid(s, p->parent.pid) : NULL;

        if (!p->parent_known && parent != NULL && parent != p && parent->id.jiffies <= p->id.jiffies) {
            p->parent = parent->id;
            p->parent_known = 1;
        }
        p->v.recorder = climbs_to_recorder(s, p);
    }
    for (size_t i = 0; i < s->fresh.len; i++) {
        struct proc *p = list[i];

        if (s->events_there && !s->first && p->first_seen == s->t) {
            no_fork_yet(s, p);
        }
        proc_start(s, p, p->first_seen);
        for (uint32_t k = 0; k < p->files_len; k++) {
            file_start(s, p, &p->files[k], s->t);
        }
        p->listed = 0;
    }
    s->fresh.len = 0;
}

struct missing {
    struct state *s;
    struct vec over; /* struct proc * */
};

static bool missing_keep(void *value, void *arg)
{
    struct missing *m = arg;
    struct state *s = m->s;
    struct proc *p = value;
    struct proc **at;

    if (p->look == s->look && p->missing_us != s->t) {
        return true;
    }
    if (p->missing_us == 0) {
        p->missing_us = s->t;
    }
    if (p->missing_us == s->t && s->events_there) {
        return true; /* its exit is told with the next tick */
    }
    at = vec_more(s, &m->over, 1, sizeof(struct proc *));
    if (at == NULL) {
        return true;
    }
    *at = p;
    m->over.len++;
    return false;
}

void state_look_end(struct state *s, bool complete)
{
    struct missing m = { .s = s };
    struct proc **over;

    s->look_complete = complete;
    tell_fresh(s);
    if (complete) {
        (void)hashmap_retain(&s->by_pid, missing_keep, &m);
        over = m.over.data;
        for (size_t i = 0; i < m.over.len; i++) {
            struct proc *p = over[i];

            proc_finish(s, p, p->missing_us, p->last_seen, p->exit_known ? REC_END_EXIT : REC_END_GONE);
        }
        vec_free(&m.over);
    }
    s->first = false;
}
