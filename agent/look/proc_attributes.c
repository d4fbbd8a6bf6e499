/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ORDER      ids (so that it is known what must not be asked of this uid), exe, arguments, cwd: what is cheap and can change at any time. With
 *            stat, their hash equals that of the last reading: the attributes are held, and only the files are read. (The first
 *            8 readings, every 32nd, and in its turn, a process is read in full all the same.) Else the rest: cgroup, login, namespaces;
 *            then ids, exe and stat again: a process that executed another program meanwhile is read anew, so that no
 *            version mixes two programs.
 * QUICK      Where events told of every exec, exit, id, session and name, stat and exe need not be asked: that it is still the
 *            same process says the inode of its pidfd, which the kernel gives once.
 * GONE       ENOENT or ESRCH from one file may be "no memory any more"; it is stat that decides: not there (gone), a zombie or
 *            on its way out (torn: what is held goes on; the next look finds it exited), or there (unreadable).
 * COST       about 15 us where they are held quickly, 30 us where they are held, 80 us in full (kernel 6.18).
 */
#include "agent/look/proc_attributes.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/look/container.h"
#include "common/base/siphash.h"

#define FULL_FIRST 8 /* readings: what starts a process moves it about */
#define FULL_EVERY 32

static const char *const ns_names[GATE_NAMESPACES] = { "net", "mnt", "pid", "user", "uts", "ipc", "cgroup" };
enum {
    NS_NET,
    NS_MNT,
    NS_PID,
    NS_USER,
    NS_UTS,
    NS_IPC,
    NS_CGROUP
};

static bool is_gone(ssize_t code)
{
    return code == -ENOENT || code == -ESRCH;
}

static void step(struct proc_context *c, enum proc_step s)
{
    c->step = s;
}

/* 0, PROC_LEFT, or negative where it is not there (or not to be parsed, which is the same to us). */
int proc_attributes_any_stat(struct proc_context *c, int dir, struct proc_stat *out)
{
    ssize_t n = proc_read(c->t, dir, "stat", c->r->stat, sizeof(c->r->stat));

    if (n == PROC_LEFT) {
        return PROC_LEFT;
    }
    if (n < 0) {
        return (int)n;
    }
    return proc_stat_parse(slice_of(c->r->stat, (size_t)n), out) == 0 ? 0 : -EINVAL;
}

static bool is_kernel_thread(const struct proc_stat *s)
{
    return s->flags & PROC_PF_KTHREAD;
}

/* stat of the process itself; its name is copied, for the buffer is used again. */
int proc_attributes_stat(struct proc_context *c, int dir, struct proc_reading *g)
{
    struct proc_stat s;
    struct slice name;
    int code = proc_attributes_any_stat(c, dir, &s);

    if (code != 0) {
        return code;
    }
    name = proc_comm_stable(s.comm, is_kernel_thread(&s));
    memcpy(g->comm, name.data, name.len);
    s.comm = slice_of(g->comm, name.len);
    g->stat = s;
    return 0;
}

static void begin_record(struct proc_reading *g, const struct gate_entry *e)
{
    const struct proc_stat *s = &g->stat;

    g->p = (struct rec_process){ .pid = e->pid,
                                 .start_jiffies = s->start_jiffies,
                                 .ppid = s->ppid,
                                 .session = s->session,
                                 .tty = s->tty,
                                 .command = s->comm,
                                 .kernel_thread = is_kernel_thread(s) ? 1 : 0,
                                 .login_uid = REC_LOGIN_UID_UNSET,
                                 .cpu_us = e->now_ns / 1000 };
}

static int read_ids(struct proc_context *c, uint32_t pid, int task, struct rec_process *p)
{
    struct proc_ids ids;
    ssize_t n;
    int code = -ENOTTY;

    if (c->pidfd_ids) {
        code = proc_pidfd_ids(c->t, pid, &ids, &c->pid_inode);
    }
    if (code != 0 && code != PROC_LEFT) {
        n = proc_read(c->t, task, "status", c->r->status, sizeof(c->r->status));
        code = n < 0 ? (int)n : 0;
        if (n >= 0 && proc_status_parse(slice_of(c->r->status, (size_t)n), &ids) != 0) {
            code = -EINVAL;
        }
    }
    if (code == PROC_LEFT || is_gone(code)) {
        return code;
    }
    if (code != 0) {
        p->unreadable |= REC_UNREADABLE_STATUS;
        return 0;
    }
    p->ruid = ids.uid[0];
    p->euid = ids.uid[1];
    p->suid = ids.uid[2];
    p->fsuid = ids.uid[3];
    p->rgid = ids.gid[0];
    p->egid = ids.gid[1];
    p->sgid = ids.gid[2];
    p->fsgid = ids.gid[3];
    c->uid = ids.uid[0];
    return 0;
}

static int read_arguments(struct proc_context *c, int task, struct rec_process *p)
{
    size_t have = 0;
    ssize_t n = 0;
    int fd;

    step(c, PROC_STEP_ARGUMENTS);
    fd = proc_open(c->t, task, "cmdline", O_RDONLY);
    if (fd == PROC_LEFT || is_gone(fd)) {
        return fd;
    }
    if (fd < 0) {
        p->unreadable |= REC_UNREADABLE_ARGUMENTS;
        return 0;
    }
    /* the kernel gives as much as is asked for, or what there is; never more than the format's limit and one byte is asked for */
    do {
        size_t room = sizeof(c->r->arguments) - have;

        look_thread_enter(c->t);
        n = read(fd, c->r->arguments + have, room);
        if (n < 0) {
            n = -errno;
        }
        if (!look_thread_leave(c->t)) {
            (void)close(fd); /* was only read */
            return PROC_LEFT;
        }
        have += n > 0 ? (size_t)n : 0;
        if (n >= 0 && (size_t)n < room && have < 4096) {
            break; /* short and small: that was all */
        }
    } while (n > 0 && have < sizeof(c->r->arguments));
    (void)close(fd); /* was only read */
    if (n < 0 && have == 0) {
        p->unreadable |= REC_UNREADABLE_ARGUMENTS;
        return is_gone(n) ? (int)n : 0;
    }
    p->arguments_cut = have > REC_ARGUMENTS_MAX;
    p->arguments = slice_of(c->r->arguments, p->arguments_cut ? REC_ARGUMENTS_MAX : have);
    step(c, PROC_STEP_OTHER);
    return 0;
}

/* Text of a link into buffer. What is not readable sets bit; a text longer than a page can't be had (ENAMETOOLONG). */
static int read_link(struct proc_context *c, int dir, const char *name, uint8_t *buffer, uint64_t bit,
                     struct rec_process *p, struct slice *out)
{
    ssize_t n = proc_readlink(c->t, dir, name, buffer, REC_PATH_MAX + 1);

    if (n == PROC_LEFT || is_gone(n)) {
        return (int)n;
    }
    if (n < 0) {
        p->unreadable |= bit;
        return 0;
    }
    *out = slice_of(buffer, (size_t)n > REC_PATH_MAX ? REC_PATH_MAX : (size_t)n);
    return 0;
}

static int stat_exe(struct proc_context *c, int task, struct rec_process *p, struct file_id *out)
{
    int code;

    step(c, PROC_STEP_EXE);
    code = proc_stat_target(c->t, task, "exe", out);
    if (code == PROC_LEFT) {
        return code;
    }
    step(c, PROC_STEP_OTHER);
    if (code != 0) {
        *out = (struct file_id){ 0 };
        p->unreadable |= REC_UNREADABLE_EXE;
        return is_gone(code) ? code : 0;
    }
    return 0;
}

static int read_exe(struct proc_context *c, int task, const struct file_id *id, struct rec_process *p)
{
    bool deleted = false;
    int code = read_link(c, task, "exe", c->r->exe, REC_UNREADABLE_EXE, p, &p->exe);

    if (code == 0) {
        code = proc_files_deleted(c, task, id, &p->exe, &deleted);
    }
    p->exe_deleted = deleted;
    p->exe_device = id->device;
    p->exe_inode = id->inode;
    return code;
}

static int read_cgroup(struct proc_context *c, int task, struct rec_process *p)
{
    ssize_t n = proc_read(c->t, task, "cgroup", c->r->cgroup, sizeof(c->r->cgroup));
    struct slice text;

    if (n == PROC_LEFT || is_gone(n)) {
        return n == PROC_LEFT ? PROC_LEFT : 0; /* a kernel without cgroups has no such file */
    }
    text = slice_of(c->r->cgroup, n > 0 ? (size_t)n : 0);
    p->cgroup = slice_sub(cgroup_path(text), 0, REC_PATH_MAX);
    p->container = slice_sub(cgroup_container(text), 0, REC_PATH_MAX);
    return 0;
}

static int read_login(struct proc_context *c, int task, struct rec_process *p)
{
    uint8_t text[16];
    uint32_t uid = REC_LOGIN_UID_UNSET;
    ssize_t n = proc_read(c->t, task, "loginuid", text, sizeof(text));

    if (n == PROC_LEFT) {
        return PROC_LEFT;
    }
    if (n > 0 && proc_u32_parse(slice_of(text, (size_t)n), &uid) != 0) {
        uid = REC_LOGIN_UID_UNSET;
    }
    p->login_uid = uid;
    return 0;
}

/* all: each of them; else that of the net, and one more in turn, the others as they were. */
static int read_namespaces(struct proc_context *c, int task, struct gate_entry *e, bool all, struct rec_process *p)
{
    unsigned turn = 1u + e->turn++ % (GATE_NAMESPACES - 1u);

    for (unsigned i = 0; i < GATE_NAMESPACES; i++) {
        char name[16];
        uint64_t inode;
        ssize_t n;

        if (!all && i != NS_NET && i != turn) {
            continue;
        }
        (void)snprintf(name, sizeof(name), "ns/%s", ns_names[i]);
        n = proc_readlink(c->t, task, name, c->r->link, sizeof(c->r->link));
        if (n == PROC_LEFT) {
            return PROC_LEFT;
        }
        e->ns[i] = 0;
        if (n == -EACCES || n == -EPERM) {
            p->unreadable |= REC_UNREADABLE_NS;
        } else if (n > 0 && proc_link_parse(slice_of(c->r->link, (size_t)n), &inode) == PROC_LINK_OTHER) {
            e->ns[i] = (uint32_t)inode; /* get_next_ino() gives 32 bits */
        }
    }
    p->ns_net = e->ns[NS_NET];
    p->ns_mnt = e->ns[NS_MNT];
    p->ns_pid = e->ns[NS_PID];
    p->ns_user = e->ns[NS_USER];
    p->ns_uts = e->ns[NS_UTS];
    p->ns_ipc = e->ns[NS_IPC];
    p->ns_cgroup = e->ns[NS_CGROUP];
    return 0;
}

/* What read_cheap() found, as one number. */
static uint64_t hash_cheap(struct proc_context *c, const struct rec_process *p, const struct file_id *exe)
{
    uint64_t parts[] = { p->session,
                         p->tty,
                         p->ruid | p->euid << 32,
                         p->suid | p->fsuid << 32,
                         p->rgid | p->egid << 32,
                         p->sgid | p->fsgid << 32,
                         p->unreadable | p->arguments_cut << 32,
                         proc_file_hash(c, exe),
                         siphash24(c->key, p->command),
                         siphash24(c->key, p->arguments),
                         siphash24(c->key, p->cwd) };

    return siphash24(c->key, slice_of(parts, sizeof(parts)));
}

/* The part of it that events do not tell of (and ids, which come with the identity). */
static uint64_t hash_quick(struct proc_context *c, const struct rec_process *p)
{
    uint64_t parts[] = { p->ruid | p->euid << 32,  p->suid | p->fsuid << 32, p->rgid | p->egid << 32,
                         p->sgid | p->fsgid << 32, p->arguments_cut,         siphash24(c->key, p->arguments),
                         siphash24(c->key, p->cwd) };

    return siphash24(c->key, slice_of(parts, sizeof(parts)));
}

static bool is_full_due(const struct gate_entry *e)
{
    return e->readings < FULL_FIRST || e->readings % FULL_EVERY == 0;
}

/* Ids, exe's identity, arguments, cwd. 0, PROC_LEFT, or -ENOENT, -ESRCH: something was not there. */
static int read_cheap(struct proc_context *c, const struct gate_entry *e, int task, struct rec_process *p,
                      struct file_id *out_exe)
{
    int code = read_ids(c, e->pid, task, p);

    *out_exe = (struct file_id){ 0 };
    if (code != 0 || p->kernel_thread) {
        return code;
    }
    c->avoid = proc_penalty_steps(&c->penalties, e->pid, c->uid); /* before anything that can hang */
    p->unreadable |= (c->avoid & PROC_STEP_EXE ? REC_UNREADABLE_EXE : 0) |
                     (c->avoid & PROC_STEP_ARGUMENTS ? REC_UNREADABLE_ARGUMENTS : 0) |
                     (c->avoid & PROC_STEP_CWD ? REC_UNREADABLE_CWD : 0);
    if (!(c->avoid & PROC_STEP_EXE) && (code = stat_exe(c, task, p, out_exe)) != 0) {
        return code;
    }
    if (!(c->avoid & PROC_STEP_ARGUMENTS) && (code = read_arguments(c, task, p)) != 0) {
        return code;
    }
    if (!(c->avoid & PROC_STEP_CWD)) {
        step(c, PROC_STEP_CWD);
        code = read_link(c, task, "cwd", c->r->cwd, REC_UNREADABLE_CWD, p, &p->cwd);
        if (code != PROC_LEFT) {
            step(c, PROC_STEP_OTHER);
        }
    }
    return code;
}

/* The rest, where it may be another program's than what was read before: see same_program(). */
static int read_rest(struct proc_context *c, struct gate_entry *e, const struct proc_target *x, bool all_namespaces,
                     struct proc_reading *g)
{
    int code = read_cgroup(c, x->task, &g->p);

    if (code == 0) {
        code = read_login(c, x->task, &g->p);
    }
    if (code == 0) {
        code = read_namespaces(c, x->task, e, all_namespaces, &g->p);
    }
    if (code == 0 && !g->p.kernel_thread && !(c->avoid & PROC_STEP_EXE) && !(g->p.unreadable & REC_UNREADABLE_EXE)) {
        code = read_exe(c, x->task, &g->exe, &g->p);
    }
    return code;
}

/* Did it execute another program since the reading began? Reads stat anew. 0, or as proc_attributes_stat(). */
static int same_program(struct proc_context *c, const struct gate_entry *e, const struct proc_target *x,
                        struct proc_reading *g, bool *out_same)
{
    struct rec_process after = { .pid = 0 };
    struct file_id exe = g->exe;
    uint8_t comm[PROC_COMM_MAX];
    size_t len = g->stat.comm.len;
    int code;

    memcpy(comm, g->comm, len);
    if ((code = read_ids(c, e->pid, x->task, &after)) != 0) {
        return code;
    }
    if (!is_kernel_thread(&g->stat) && !(c->avoid & PROC_STEP_EXE)) {
        code = stat_exe(c, x->task, &after, &exe);
    }
    if (code != 0 || (code = proc_attributes_stat(c, x->dir, g)) != 0) {
        return code;
    }
    *out_same = exe.device == g->exe.device && exe.inode == g->exe.inode && after.ruid == g->p.ruid &&
                after.euid == g->p.euid && after.suid == g->p.suid && after.rgid == g->p.rgid &&
                after.egid == g->p.egid && after.sgid == g->p.sgid && slice_eq(g->stat.comm, slice_of(comm, len));
    return 0;
}

/* Something was not there. 0: the process is; its memory is not, and what is missing stays unreadable. */
int proc_attributes_what_now(struct proc_context *c, const struct gate_entry *e, const struct proc_target *x)
{
    struct proc_stat s;
    int code = proc_attributes_any_stat(c, x->task, &s);

    if (code == PROC_LEFT) {
        return PROC_LEFT;
    }
    if (code != 0 || (proc_is_dead(&s) && x->task != x->dir)) {
        return PROC_GONE;
    }
    return e->known && (proc_is_dead(&s) || s.flags & PROC_PF_EXITING) ? PROC_TORN : 0;
}

/* One try. *out_again: it executed another program meanwhile, or shows no arguments. */
static int try_attributes(struct proc_context *c, struct gate_entry *e, const struct proc_target *x,
                          struct proc_reading *g, bool *out_again)
{
    bool in_full = x->why != LOOK_WHY_CLOCK && x->why != LOOK_WHY_GROUP, same, stays = true;
    int code;

    *out_again = false;
    begin_record(g, e);
    code = read_cheap(c, e, x->task, &g->p, &g->exe);
    if (is_gone(code) && (code = proc_attributes_what_now(c, e, x)) == 0) {
        g->p.unreadable |= REC_UNREADABLE_EXE | REC_UNREADABLE_ARGUMENTS | REC_UNREADABLE_CWD;
    }
    if (code != 0) {
        return code;
    }
    g->attributes = hash_cheap(c, &g->p, &g->exe);
    same = e->known && g->attributes == e->attributes;
    g->quick_hash = hash_quick(c, &g->p);
    if (same && !in_full && !is_full_due(e) && c->sink->process_held) {
        g->held = c->sink->process_held(c->ctx, e->pid, e->start_jiffies, &c->how);
        if (g->held) {
            return 0;
        }
    }
    code = read_rest(c, e, x, !same || x->why == LOOK_WHY_HINT || x->why == LOOK_WHY_FULL, g);
    if (code == 0 && !same) {
        code = same_program(c, e, x, g, &stays);
    }
    if (is_gone(code)) {
        code = proc_attributes_what_now(c, e, x);
    }
    /* no arguments: it has none, or is in the middle of exec */
    *out_again = !stays || (!same && g->p.arguments.len == 0 && !g->p.kernel_thread && !g->p.unreadable);
    return code;
}

int proc_attributes_quick(struct proc_context *c, const struct gate_entry *e, const struct proc_target *x,
                          struct proc_reading *g)
{
    int code;

    if (!c->told || !e->known || e->pid_inode == 0 || e->kernel_thread || is_full_due(e) || !c->sink->process_held ||
        (x->why != LOOK_WHY_CLOCK && x->why != LOOK_WHY_GROUP)) {
        return 1;
    }
    g->p = (struct rec_process){ .pid = e->pid, .start_jiffies = e->start_jiffies };
    if ((code = read_ids(c, e->pid, x->dir, &g->p)) != 0 || c->pid_inode != e->pid_inode ||
        proc_penalty_steps(&c->penalties, e->pid, c->uid) != 0) {
        return code == PROC_LEFT ? PROC_LEFT : 1;
    }
    if ((code = read_arguments(c, x->dir, &g->p)) != 0 || g->p.arguments.len == 0) {
        return code == PROC_LEFT ? PROC_LEFT : 1; /* a zombie, a dead leader, one on its way out has none */
    }
    step(c, PROC_STEP_CWD);
    if ((code = read_link(c, x->dir, "cwd", c->r->cwd, REC_UNREADABLE_CWD, &g->p, &g->p.cwd)) != 0) {
        return code == PROC_LEFT ? PROC_LEFT : 1;
    }
    step(c, PROC_STEP_OTHER);
    if (hash_quick(c, &g->p) != e->quick || !c->sink->process_held(c->ctx, e->pid, e->start_jiffies, &c->how)) {
        return 1;
    }
    g->held = g->quick = true;
    return 0;
}

int proc_attributes_read(struct proc_context *c, struct gate_entry *e, const struct proc_target *x,
                         struct proc_reading *g)
{
    bool again = true;
    int code = 0;

    for (int tries = 0; again && tries < 3 && code == 0; tries++) {
        code = try_attributes(c, e, x, g, &again);
    }
    return code;
}

int proc_attributes_exited(struct proc_context *c, const struct gate_entry *e, int dir, struct proc_reading *g)
{
    int code;

    begin_record(g, e);
    if ((code = read_ids(c, e->pid, dir, &g->p)) == 0) {
        code = read_login(c, dir, &g->p);
    }
    g->p.unreadable |=
        REC_UNREADABLE_EXE | REC_UNREADABLE_ARGUMENTS | REC_UNREADABLE_CWD | REC_UNREADABLE_FILES | REC_UNREADABLE_NS;
    return code;
}
