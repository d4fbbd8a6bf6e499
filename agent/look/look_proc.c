/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads: everything in struct look_proc belongs to the owner; while a job runs, to the job; when its thread is
 * left behind, to the owner again (look_thread.h). Thread-owned: struct proc_reader.
 *
 * A LOOK     list (or take hints) -> merge into the gate -> read all clocks -> give turns -> read whom the gate names, in the
 *            order of pids.
 * BLOCKED    When a reading hangs, the owner tells the sink, notes what is not to be asked again (proc_penalty.h), starts another
 *            thread and goes on with the next process. After some the look is over, not complete: events wait to be
 *            drained, and who asked us to end waits too.
 */
#include "agent/look/look_proc.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/look/gate.h"
#include "agent/look/gate_share.h"
#include "agent/look/look_thread.h"
#include "agent/look/parse_proc.h"
#include "agent/look/proc_io.h"
#include "agent/look/proc_reader.h"

#define LEFT_MAX  32u
#define HINTS_MAX 65536u

struct left_behind {
    struct look_thread *thread;
    uint32_t penalty; /* its place */
};

enum stage {
    STAGE_BEGIN,
    STAGE_READ,
    STAGE_DONE
};

struct look_proc {
    struct look_proc_conf conf;
    struct gate gate;
    struct gate_share share;
    struct proc_context c;
    struct look_thread *thread;
    struct left_behind left[LEFT_MAX];
    uint32_t left_count;
    uint32_t *pids; /* listed, or hinted as new */
    size_t pids_count, pids_room;
    bool looked;    /* at least once */
    bool list_lost; /* hints did not fit: list at the next look */
    /* the look going on */
    struct look_ask ask;
    enum stage stage;
    size_t at; /* gate entry */
    int code;
};

static uint64_t device_of(int fd)
{
    struct stat st;
    uint64_t device = UINT64_MAX;

    if (fd >= 0 && fstat(fd, &st) == 0) {
        device = proc_device(major(st.st_dev), minor(st.st_dev));
    }
    if (fd >= 0) {
        (void)close(fd); /* was only asked */
    }
    return device;
}

static bool has_capability(unsigned which)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

    return syscall(SYS_capget, &header, data) == 0 && data[0].effective & 1u << which;
}

/* What this kernel and our rights give. */
static void probe(struct look_proc *l)
{
    struct proc_context *c = &l->c;
    struct look_thread_mark mark = { 0 };
    struct proc_ids ids;
    uint64_t inode;
    int ends[2] = { -1, -1 };

    c->socket_device = device_of(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    c->anon_device = device_of(eventfd(0, EFD_CLOEXEC));
    POFR_IGNORE(pipe2(ends, O_CLOEXEC)); /* on failure both are -1 */
    c->pipe_device = device_of(ends[0]);
    (void)device_of(ends[1]);
    c->pidfd_ids = proc_pidfd_ids((struct look_thread *)&mark, (uint32_t)getpid(), &ids, &inode) == 0;
    c->sees_exits = has_capability(CAP_SYS_PTRACE); /* without it the kernel shows 0 for another's exit status */
    c->sees_files =                                 /* fd/ is its owner's alone */
        c->sees_exits && (has_capability(CAP_DAC_READ_SEARCH) || has_capability(CAP_DAC_OVERRIDE));
}

static void set_defaults(struct look_proc_conf *conf)
{
    conf->watchdog_ms = conf->watchdog_ms ? conf->watchdog_ms : 1000;
    conf->left_behind_max = conf->left_behind_max ? conf->left_behind_max : 8;
    if (conf->left_behind_max > LEFT_MAX) {
        conf->left_behind_max = LEFT_MAX;
    }
    conf->hangs_max = conf->hangs_max ? conf->hangs_max : 2;
    conf->processes_max = conf->processes_max ? conf->processes_max : 262144;
    conf->files_slice = conf->files_slice ? conf->files_slice : 8192;
    conf->thread_checks = conf->thread_checks ? conf->thread_checks : 256;
    conf->reconcile_us = conf->reconcile_us ? conf->reconcile_us : 30000000;
}

int look_proc_new(const struct look_proc_conf *conf, struct look_proc **out_look, struct pofr_err *err)
{
    struct look_proc *l = calloc(1, sizeof(*l));
    const char *root = conf && conf->root ? conf->root : "/proc";
    int code;

    if (!l) {
        return pofr_err_set(err, POFR_ENOMEM, "no memory for looks");
    }
    if (conf) {
        l->conf = *conf;
    }
    l->conf.root = NULL; /* the caller's; not kept */
    set_defaults(&l->conf);
    gate_init(&l->gate, l->conf.processes_max);
    gate_share_init(&l->share);
    l->c.files_slice = l->conf.files_slice;
    l->c.root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (l->c.root < 0) {
        code = pofr_err_sys(err, errno == ENOENT ? POFR_ENOTFOUND : POFR_ESYSTEM, "can't open %s", root);
        goto fail;
    }
    if (getrandom(l->c.key, sizeof(l->c.key), 0) != (ssize_t)sizeof(l->c.key)) {
        code = pofr_err_sys(err, POFR_ESYSTEM, "no random bytes");
        goto fail;
    }
    probe(l);
    if ((code = look_thread_new(proc_reader_own, proc_reader_disown, &l->thread, err)) != 0) {
        goto fail;
    }
    *out_look = l;
    return 0;
fail:
    look_proc_free(l);
    return code;
}

void look_proc_free(struct look_proc *l)
{
    if (!l) {
        return;
    }
    look_thread_free(l->thread);
    for (uint32_t i = 0; i < l->left_count; i++) {
        look_thread_free(l->left[i].thread);
    }
    gate_fini(&l->gate);
    gate_share_fini(&l->share);
    if (l->c.root >= 0) {
        (void)close(l->c.root); /* was only read */
    }
    free(l->pids);
    free(l);
}

const char *look_proc_limits(const struct look_proc *l)
{
    if (l->c.no_kcmp || l->share.off) {
        return "kcmp is refused: files of threads and processes with shared or own tables are found late or not at all";
    }
    if (!l->c.sees_exits) {
        return "no right to read other processes (CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH)";
    }
    return NULL;
}

bool look_proc_sees_others(const struct look_proc *l)
{
    return l->c.sees_files;
}

static int add_pid(struct look_proc *l, uint32_t pid)
{
    if (l->pids_count == l->pids_room) {
        size_t room = l->pids_room ? l->pids_room * 2 : 1024;
        uint32_t *bigger = realloc(l->pids, room * sizeof(*bigger));

        if (!bigger) {
            return POFR_ENOMEM;
        }
        l->pids = bigger;
        l->pids_room = room;
    }
    l->pids[l->pids_count++] = pid;
    return 0;
}

void look_proc_hint(struct look_proc *l, uint32_t pid, enum look_hint hint)
{
    struct gate_entry *e = gate_find(&l->gate, pid);

    switch (hint) {
    case LOOK_HINT_NEW:
        if (e && e->known) { /* the pid is another's: it was not told that the old one ended */
            gate_forget(e);
        } else if (!e && (l->pids_count >= HINTS_MAX || add_pid(l, pid) != 0)) {
            l->list_lost = true;
        }
        break;
    case LOOK_HINT_EXIT:
        if (e) {
            gate_leader_ended(&l->gate, e);
            gate_forget(e);
        }
        break;
    case LOOK_HINT_READ:
    case LOOK_HINT_THREAD:
        if (e) {
            e->hint_read = e->hint_read || hint == LOOK_HINT_READ;
            e->hint_thread = e->hint_thread || hint == LOOK_HINT_THREAD;
        }
        break;
    }
}

static int compare_pids(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* Ascending, each once. */
static void sort_pids(struct look_proc *l)
{
    size_t kept = 0;

    if (l->pids_count > 1) {
        qsort(l->pids, l->pids_count, sizeof(l->pids[0]), compare_pids);
    }
    for (size_t i = 0; i < l->pids_count; i++) {
        if (kept == 0 || l->pids[kept - 1] != l->pids[i]) {
            l->pids[kept++] = l->pids[i];
        }
    }
    l->pids_count = kept;
}

/* Every process there is, into l->pids, besides those hinted. *out_unannounced: in neither the gate nor the hints. */
static int list(struct look_proc *l, uint32_t *out_unannounced)
{
    struct proc_context *c = &l->c;
    size_t hinted;
    uint32_t unannounced = 0, pid;
    ssize_t n;
    int code = 0;

    sort_pids(l);
    hinted = l->pids_count;
    if (lseek(c->root, 0, SEEK_SET) < 0) {
        return POFR_ESYSTEM;
    }
    while (code == 0 && (n = proc_getdents(c->t, c->root, c->r->dents, sizeof(c->r->dents))) != 0) {
        struct slice text;

        if (n < 0) {
            return n == PROC_LEFT ? PROC_LEFT : POFR_ESYSTEM;
        }
        text = slice_of(c->r->dents, (size_t)n);
        while (code == 0 && proc_dirent_next(&text, &pid)) {
            if (!gate_find(&l->gate, pid) &&
                !(hinted > 0 && bsearch(&pid, l->pids, hinted, sizeof(pid), compare_pids))) {
                unannounced++;
            }
            code = add_pid(l, pid);
        }
    }
    *out_unannounced = unannounced;
    return code;
}

/* The hinted ones that are not there are gone again when they are read. */
static int begin(struct look_proc *l)
{
    uint32_t added = 0, unannounced = 0, over = 0;
    bool whole = l->ask.list || l->list_lost || !l->looked;
    int code;

    if (whole && (code = list(l, &unannounced)) != 0) {
        return code;
    }
    sort_pids(l);
    if ((code = gate_merge(&l->gate, l->pids, l->pids_count, whole, &added, &over)) != 0) {
        return code;
    }
    l->c.result->unannounced = l->looked && !l->list_lost ? unannounced : 0;
    l->c.result->over_limit = over;
    l->list_lost = false;
    l->pids_count = 0;
    gate_read_clocks(&l->gate);
    gate_give_turns(&l->gate, l->ask.reconcile_part, l->conf.reconcile_us, l->ask.now_us);
    return 0;
}

/* Read e, or say that it is held. PROC_LEFT or POFR_ENOMEM. */
static int visit(struct look_proc *l, struct gate_entry *e)
{
    struct proc_context *c = &l->c;
    enum look_why why = gate_why(e, l->ask.full);
    bool was_exited = e->exited, first = !e->known;
    int code;

    if (why == 0 && e->exited) {
        return 0;
    }
    c->result->processes++;
    if (why == 0) {
        if (c->sink->held(c->ctx, e->pid, e->start_jiffies)) {
            return 0;
        }
        gate_forget(e);
        why = LOOK_WHY_FIRST;
    }
    if (proc_penalty_steps(&c->penalties, e->pid, UINT32_MAX) & PROC_STEP_OTHER) {
        c->result->blocked++;
        c->sink->blocked(c->ctx, e->pid, e->start_jiffies);
        return 0;
    }
    code = proc_reader_process(c, e, why);
    if (code == PROC_LEFT || code == POFR_ENOMEM) {
        return code;
    }
    if (code == PROC_GONE) {
        e->gone = true;
        c->result->vanished++;
        c->result->processes--;
        return 0;
    }
    if (code == PROC_TORN) {
        (void)c->sink->held(c->ctx, e->pid, e->start_jiffies); /* on its way out: nothing more can be read of it */
        return 0;
    }
    c->result->read++;
    c->result->reconciled += why == LOOK_WHY_RECONCILE;
    c->result->blocked += c->avoid != 0;
    if (e->exited && !was_exited) {
        gate_leader_ended(&l->gate, e);
    }
    return first || e->reconcile ? gate_share_check(&l->share, &l->gate, e, c->t) : 0;
}

/* Runs on the look's thread. */
static void look(struct look_thread *t, void *arg)
{
    struct look_proc *l = arg;
    int code = 0;

    l->c.t = t;
    l->c.r = look_thread_owned(t);
    if (l->stage == STAGE_BEGIN) {
        code = begin(l);
        if (code == PROC_LEFT) {
            return;
        }
        l->stage = STAGE_READ;
        l->at = 0;
    }
    while (code == 0 && l->at < l->gate.count) {
        code = visit(l, l->gate.entries[l->at]);
        if (code == PROC_LEFT) {
            return;
        }
        l->at++;
    }
    l->code = code;
    l->stage = STAGE_DONE;
}

/* Threads that came back; penalties that are over. */
static void reap(struct look_proc *l, int64_t now_us)
{
    for (uint32_t i = 0; i < l->left_count;) {
        struct left_behind *b = &l->left[i];

        if (!look_thread_returned(b->thread)) {
            i++;
            continue;
        }
        look_thread_free(b->thread);
        proc_penalty_returned(&l->c.penalties, b->penalty, now_us);
        *b = l->left[--l->left_count];
    }
    proc_penalty_expire(&l->c.penalties, now_us);
}

/* The thread is left behind. Everything that it had is ours again. */
static void leave_behind(struct look_proc *l)
{
    struct proc_context *c = &l->c;
    struct gate_entry *e = l->stage == STAGE_READ && l->at < l->gate.count ? l->gate.entries[l->at] : NULL;
    struct left_behind *b = &l->left[l->left_count++];

    b->thread = l->thread;
    b->penalty = proc_penalty_hung(&c->penalties, e ? e->pid : 0, c->uid, c->step, l->ask.now_us);
    l->thread = NULL;
    if (!e) { /* listing /proc hung: there is nothing to go on with */
        l->stage = STAGE_DONE;
        l->code = POFR_ETIMEOUT;
        return;
    }
    if (c->delivered) {
        c->delivered = false;
        c->how.whole = c->how.gone = false;
        c->sink->process_end(c->ctx, &c->how);
    }
    c->result->blocked++;
    c->sink->blocked(c->ctx, e->pid, c->start_jiffies);
    gate_forget(e);
    l->at++;
}

static void finish(struct look_proc *l, struct look_result *r)
{
    gate_drop_gone(&l->gate);
    for (size_t i = 0; i < l->gate.count; i++) {
        r->refused += l->gate.entries[i]->files_refused;
    }
    r->left_behind = l->left_count;
    r->complete = l->stage == STAGE_DONE && l->code == 0;
    l->looked = l->looked || r->complete;
}

int look_proc_run(struct look_proc *l, const struct look_ask *ask, const struct look_sink *sink, void *ctx,
                  struct look_result *out_result, struct pofr_err *err)
{
    struct look_result result = { .complete = false };
    uint32_t hangs = 0;
    int code;

    l->ask = *ask;
    l->c.sink = sink;
    l->c.ctx = ctx;
    l->c.result = &result;
    l->c.told = ask->told;
    l->c.thread_checks = l->conf.thread_checks;
    l->c.delivered = false;
    l->stage = STAGE_BEGIN;
    l->code = 0;
    l->at = 0;
    reap(l, ask->now_us);
    while (l->stage != STAGE_DONE) {
        if (!l->thread && l->left_count >= l->conf.left_behind_max) {
            if (l->stage == STAGE_BEGIN) {
                return pofr_err_set(err, POFR_EFULL, "%u threads of looks hang in the kernel", l->left_count);
            }
            break;
        }
        if (!l->thread && (code = look_thread_new(proc_reader_own, proc_reader_disown, &l->thread, err)) != 0) {
            return code;
        }
        if (look_thread_run(l->thread, look, l, l->conf.watchdog_ms)) {
            continue;
        }
        leave_behind(l);
        if (++hangs >= l->conf.hangs_max) {
            break;
        }
    }
    finish(l, &result);
    *out_result = result;
    return 0;
}
