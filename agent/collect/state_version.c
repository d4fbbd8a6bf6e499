/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A version: what a process is while nothing of it changes. Its texts are in the string pool.
 */
#include "agent/collect/state_impl.h"

#include <string.h>

static uint32_t u32_of(uint64_t v)
{
    return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

void version_of(struct state *s, const struct rec_process *p, struct version *out)
{
    *out = (struct version){
        .exe_device = p->exe_device,
        .exe_inode = p->exe_inode,
        .ns_mnt = p->ns_mnt,
        .ns_pid = p->ns_pid,
        .ns_net = p->ns_net,
        .ns_user = p->ns_user,
        .ns_uts = p->ns_uts,
        .ns_ipc = p->ns_ipc,
        .ns_cgroup = p->ns_cgroup,
        .command = strpool_get(&s->strings, p->command),
        .exe = strpool_get(&s->strings, p->exe),
        .arguments = strpool_get(&s->strings, p->arguments),
        .cwd = strpool_get(&s->strings, p->cwd),
        .cgroup = strpool_get(&s->strings, p->cgroup),
        .container = strpool_get(&s->strings, p->container),
        .ruid = u32_of(p->ruid),
        .euid = u32_of(p->euid),
        .suid = u32_of(p->suid),
        .fsuid = u32_of(p->fsuid),
        .rgid = u32_of(p->rgid),
        .egid = u32_of(p->egid),
        .sgid = u32_of(p->sgid),
        .fsgid = u32_of(p->fsgid),
        .login_uid = u32_of(p->login_uid),
        .session = u32_of(p->session),
        .tty = u32_of(p->tty),
        .exe_deleted = p->exe_deleted != 0,
        .arguments_cut = p->arguments_cut != 0,
        .kernel_thread = p->kernel_thread != 0,
        .recorder = p->recorder != 0,
        .unreadable = (uint8_t)p->unreadable,
    };
    if (s->strings.err != 0) {
        state_fail(s, s->strings.err);
    }
}

void version_copy(struct version *to, const struct version *from)
{
    *to = *from;
    (void)strpool_ref(to->command);
    (void)strpool_ref(to->exe);
    (void)strpool_ref(to->arguments);
    (void)strpool_ref(to->cwd);
    (void)strpool_ref(to->cgroup);
    (void)strpool_ref(to->container);
}

void version_drop(struct state *s, struct version *v)
{
    strpool_drop(&s->strings, v->command);
    strpool_drop(&s->strings, v->exe);
    strpool_drop(&s->strings, v->arguments);
    strpool_drop(&s->strings, v->cwd);
    strpool_drop(&s->strings, v->cgroup);
    strpool_drop(&s->strings, v->container);
    *v = (struct version){ 0 };
}

/* Texts are the same where the pointers are: the pool holds each once. */
bool version_same(const struct version *a, const struct version *b)
{
    bool arguments =
        (a->arguments == b->arguments && a->arguments_cut == b->arguments_cut && a->unreadable == b->unreadable);

    /* a was told without its arguments; b, read in full, is the same program all the same */
    if (a->stripped != b->stripped) {
        arguments = (a->unreadable | REC_UNREADABLE_ARGUMENTS) == (b->unreadable | REC_UNREADABLE_ARGUMENTS);
    }
    return arguments && a->exe_device == b->exe_device && a->exe_inode == b->exe_inode && a->exe == b->exe &&
           a->command == b->command && a->cwd == b->cwd && a->cgroup == b->cgroup && a->container == b->container &&
           a->ruid == b->ruid && a->euid == b->euid && a->suid == b->suid && a->fsuid == b->fsuid &&
           a->rgid == b->rgid && a->egid == b->egid && a->sgid == b->sgid && a->fsgid == b->fsgid &&
           a->login_uid == b->login_uid && a->session == b->session && a->tty == b->tty && a->ns_mnt == b->ns_mnt &&
           a->ns_pid == b->ns_pid && a->ns_net == b->ns_net && a->ns_user == b->ns_user && a->ns_uts == b->ns_uts &&
           a->ns_ipc == b->ns_ipc && a->ns_cgroup == b->ns_cgroup && a->exe_deleted == b->exe_deleted &&
           a->kernel_thread == b->kernel_thread && a->recorder == b->recorder;
}

void proc_record(const struct proc *p, struct record *out, unsigned verb)
{
    const struct version *v = &p->v;

    memset(out, 0, sizeof(*out));
    out->kind = REC_KIND(REC_PROCESS, verb);
    out->entity = REC_PROCESS;
    out->verb = (uint8_t)verb;
    out->process = (struct rec_process){
        .iv = { .first_seen = p->first_seen, .start_unseen = p->start_unseen },
        .pid = p->id.pid,
        .start_jiffies = p->id.jiffies,
        .start_number = p->id.number,
        .ppid = p->parent.pid,
        .parent_known = p->parent_known,
        .parent_start_jiffies = p->parent_known ? p->parent.jiffies : 0,
        .parent_start_number = p->parent_known ? p->parent.number : 0,
        .ruid = v->ruid,
        .euid = v->euid,
        .suid = v->suid,
        .fsuid = v->fsuid,
        .rgid = v->rgid,
        .egid = v->egid,
        .sgid = v->sgid,
        .fsgid = v->fsgid,
        .login_uid = v->login_uid,
        .session = v->session,
        .tty = v->tty,
        .command = str_slice(v->command),
        .exe = str_slice(v->exe),
        .exe_device = v->exe_device,
        .exe_inode = v->exe_inode,
        .exe_deleted = v->exe_deleted,
        .arguments = str_slice(v->arguments),
        .arguments_cut = v->arguments_cut,
        .cwd = str_slice(v->cwd),
        .cgroup = str_slice(v->cgroup),
        .container = str_slice(v->container),
        .ns_mnt = v->ns_mnt,
        .ns_pid = v->ns_pid,
        .ns_net = v->ns_net,
        .ns_user = v->ns_user,
        .ns_uts = v->ns_uts,
        .ns_ipc = v->ns_ipc,
        .ns_cgroup = v->ns_cgroup,
        .kernel_thread = v->kernel_thread,
        .recorder = v->recorder,
        .unreadable = v->unreadable,
        .cpu_us = p->cpu_us,
    };
}
