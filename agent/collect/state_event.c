/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel told since the last tick, in the order of time. It is kept until all of it is there, because
 * the exec reader's word on a program comes after the event that announces it, and maybe only with the next tick: a
 * process that is over by then waits for it in dying.
 */
#include "agent/collect/state_impl.h"

#include <stdlib.h>
#include <string.h>

#define EVENTS_MAX 4194304u

void state_event(struct state *s, const struct event *e)
{
    struct event *at = s->events.len < EVENTS_MAX ? vec_more(s, &s->events, 1, sizeof(*at)) : NULL;

    if (at != NULL) {
        *at = *e;
        s->events.len++;
    }
}

void state_exec(struct state *s, const struct exec_seen *x)
{
    struct exec_info **at = s->execs.len < EVENTS_MAX ? vec_more(s, &s->execs, 1, sizeof(struct exec_info *)) : NULL;
    struct exec_info *info = at != NULL ? calloc(1, sizeof(*info)) : NULL;

    if (info == NULL) {
        state_fail(s, POFR_ENOMEM);
        return;
    }
    *info = (struct exec_info){
        .at_us = x->boot_us,
        .start_jiffies = x->start_jiffies,
        .exe_device = x->exe_device,
        .exe_inode = x->exe_inode,
        .arguments = s->lean ? NULL : strpool_get(&s->strings, x->arguments),
        .exe = strpool_get(&s->strings, x->exe),
        .command = strpool_get(&s->strings, x->command),
        .pid = x->pid,
        .euid = x->euid,
        .egid = x->egid,
        .ppid = x->ppid,
        .session = x->session,
        .tty = x->tty,
        .arguments_cut = x->arguments_cut,
        .arguments_known = x->arguments_known && !s->lean,
        .exe_deleted = x->exe_deleted,
        .ids_known = x->ids_known,
    };
    *at = info;
    s->execs.len++;
}

static int exec_cmp(const void *a, const void *b)
{
    const struct exec_info *x = *(const struct exec_info *const *)a;
    const struct exec_info *y = *(const struct exec_info *const *)b;

    if (x->pid != y->pid) {
        return x->pid < y->pid ? -1 : 1;
    }
    return (x->at_us > y->at_us) - (x->at_us < y->at_us);
}

static const struct exec_info *exec_find(struct state *s, uint32_t pid, uint64_t at_us)
{
    struct exec_info key = { .pid = pid, .at_us = at_us };
    struct exec_info *key_at = &key;
    struct exec_info **found =
        s->execs.len == 0 ? NULL : bsearch(&key_at, s->execs.data, s->execs.len, sizeof(key_at), exec_cmp);

    if (found == NULL) {
        return NULL;
    }
    (*found)->used = 1;
    return *found;
}

void execs_forget(struct state *s, bool all)
{
    struct exec_info **list = s->execs.data;
    size_t kept = 0;

    for (size_t i = 0; i < s->execs.len; i++) {
        struct exec_info *x = list[i];

        /* one whose event is not here yet comes with the next tick's */
        if (!all && !x->used && x->at_us >= s->t_before) {
            list[kept++] = x;
            continue;
        }
        strpool_drop(&s->strings, x->arguments);
        strpool_drop(&s->strings, x->exe);
        strpool_drop(&s->strings, x->command);
        free(x);
    }
    s->execs.len = kept;
}

void dying_tell(struct state *s, bool all)
{
    struct proc **list = s->dying.data;
    size_t kept = 0;

    for (size_t i = 0; i < s->dying.len; i++) {
        struct proc *p = list[i];

        if (p->exec.at_us != 0 && p->exec.info == NULL) {
            p->exec.info = exec_find(s, p->id.pid, p->exec.at_us);
        }
        if (!all && p->exec.at_us != 0 && p->exec.info == NULL &&
            s->t - p->exec.at_us < (uint64_t)s->conf.exec_grace_us) {
            list[kept++] = p;
            continue;
        }
        proc_finish(s, p, event_moment(s, p->end_us, p->first_seen), p->end_us,
                    p->exit_known ? REC_END_EXIT : REC_END_GONE);
    }
    s->dying.len = kept;
}

/* One that is in by_pid and of which nothing will come any more: its exit was lost. */
static void replaced(struct state *s, struct proc *p, uint64_t at_us)
{
    (void)hashmap_remove(&s->by_pid, p->id.pid, NULL, NULL);
    proc_finish(s, p, event_moment(s, at_us, p->first_seen), p->last_seen, REC_END_GONE);
}

/* Of one that is known already; awaited: a look showed it, and nothing was lost since. */
static bool is_fork_of(const struct state *s, const struct proc *p, const struct event *e)
{
    bool awaited = p->no_fork && s->events_there;

    return p->id.jiffies <= e->start_jiffies + 1 && (awaited || e->start_jiffies <= p->id.jiffies + 1);
}

static void on_fork(struct state *s, const struct event *e)
{
    struct proc *parent = proc_by_pid(s, e->parent);
    struct proc *p = proc_by_pid(s, e->pid);

    if (p != NULL) {
        if (is_fork_of(s, p, e)) {
            p->no_fork = 0;
            return; /* a look saw it before its fork was told */
        }
        replaced(s, p, e->boot_us);
    }
    p = proc_make(s, e->pid, e->start_jiffies);
    if (p == NULL) {
        return;
    }
    p->first_seen = event_moment(s, e->boot_us, 0);
    p->last_seen = p->first_seen;
    p->parent.pid = e->parent;
    if (parent != NULL) {
        p->parent = parent->id;
        p->parent_known = 1;
        version_of_child(s, parent, &p->v);
        p->v.unreadable |= REC_UNREADABLE_FILES | REC_UNREADABLE_CWD;
        strpool_replace(&s->strings, &p->v.cwd, NULL);
    } else {
        p->v.login_uid = (uint32_t)REC_LOGIN_UID_UNSET;
        p->v.unreadable = REC_UNREADABLE_EXE | REC_UNREADABLE_ARGUMENTS | REC_UNREADABLE_CWD | REC_UNREADABLE_FILES |
                          REC_UNREADABLE_STATUS | REC_UNREADABLE_NS;
    }
}

static void on_exec(struct state *s, const struct event *e)
{
    struct proc *p = proc_by_pid(s, e->pid);
    const struct exec_info *x = exec_find(s, e->pid, e->boot_us);

    if (p == NULL && x != NULL && x->start_jiffies != 0) { /* its fork was lost */
        p = proc_make(s, e->pid, x->start_jiffies);
        if (p != NULL) {
            struct proc *parent = proc_by_pid(s, x->ppid);

            p->first_seen = p->last_seen = event_moment(s, e->boot_us, 0);
            p->parent.pid = x->ppid;
            p->v.login_uid = (uint32_t)REC_LOGIN_UID_UNSET;
            if (parent != NULL && parent != p) {
                p->parent = parent->id;
                p->parent_known = 1;
            }
        }
    }
    if (p == NULL) {
        return; /* if it lives, the look will show it */
    }
    if (x != NULL && x->start_jiffies != 0 && x->start_jiffies < p->id.jiffies && !p->told && p->read_us == 0) {
        proc_began(s, p, x->start_jiffies);
    }
    proc_exec(s, p); /* the one before, of which no look came in between */
    p->exec = (struct exec_note){ .at_us = e->boot_us != 0 ? e->boot_us : 1, .info = x };
}

static void on_end(struct state *s, const struct event *e)
{
    struct proc *p = proc_by_pid(s, e->pid);
    struct proc **at;

    if (p == NULL) {
        s->figures.unknown_exits++;
        return;
    }
    (void)hashmap_remove(&s->by_pid, e->pid, NULL, NULL);
    p->exit_known = 1;
    p->exit_status = e->exit_status;
    p->end_us = e->boot_us;
    if (p->exec.at_us != 0 && p->exec.info == NULL && s->conf.exec_grace_us > 0) {
        at = vec_more(s, &s->dying, 1, sizeof(struct proc *));
        if (at != NULL) {
            proc_remember(s, p, e->boot_us);
            *at = p;
            s->dying.len++;
            return;
        }
    }
    proc_finish(s, p, event_moment(s, e->boot_us, p->first_seen), e->boot_us, REC_END_EXIT);
}

/* Ids and names that count only for one that no look will read: of the others the look tells. */
static void on_change(struct state *s, const struct event *e)
{
    struct proc *p = proc_by_pid(s, e->pid);

    if (p == NULL || p->told) {
        return;
    }
    if (e->kind == EVENT_SESSION) {
        p->v.session = e->pid;
        p->v.tty = 0;
    } else if (e->kind == EVENT_NAME && e->tid == e->pid) {
        strpool_replace(&s->strings, &p->v.command, strpool_get(&s->strings, slice_of(e->name, e->name_len)));
    } else if (e->kind == EVENT_IDS && e->tid == e->pid && e->is_gid) {
        p->v.rgid = e->id_real;
        p->v.egid = p->v.fsgid = e->id_effective;
    } else if (e->kind == EVENT_IDS && e->tid == e->pid) {
        p->v.ruid = e->id_real;
        p->v.euid = p->v.fsuid = e->id_effective;
    }
}

void no_fork_yet(struct state *s, struct proc *p)
{
    uint32_t *at = vec_more(s, &s->no_forks, 1, sizeof(*at));

    if (at != NULL) {
        *at = p->id.pid;
        s->no_forks.len++;
        p->no_fork = 1;
    }
}

/* All events up to this tick are here: what the last look showed, and nobody told of, is a finding. */
static void count_unannounced(struct state *s)
{
    const uint32_t *list = s->no_forks.data;

    for (size_t i = 0; i < s->no_forks.len; i++) {
        struct proc *p = proc_by_pid(s, list[i]);

        if (p != NULL && p->no_fork) {
            p->no_fork = 0;
            s->figures.unannounced += s->events_there;
        }
    }
    s->no_forks.len = 0;
}

void state_events_apply(struct state *s, bool events_whole)
{
    const struct event *list = s->events.data;

    s->events_there = events_whole;
    if (s->execs.len > 1) {
        qsort(s->execs.data, s->execs.len, sizeof(struct exec_info *), exec_cmp);
    }
    dying_tell(s, false);
    for (size_t i = 0; i < s->events.len; i++) {
        switch (list[i].kind) {
        case EVENT_FORK:
            on_fork(s, &list[i]);
            break;
        case EVENT_EXEC:
            on_exec(s, &list[i]);
            break;
        case EVENT_EXIT:
            on_end(s, &list[i]);
            break;
        case EVENT_IDS:
        case EVENT_SESSION:
        case EVENT_NAME:
            on_change(s, &list[i]);
            break;
        default:
            break;
        }
    }
    s->events.len = 0;
    count_unannounced(s);
}
