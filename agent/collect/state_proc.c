/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes: identity, parents, versions; how they begin and end. Who calls: state_event.c (what the kernel told)
 * and state_look.c (what a look showed).
 */
#include "agent/collect/state_impl.h"

#include <stdlib.h>
#include <string.h>

#define RECENT_US 10000000u /* how long an identity that ended is remembered */

struct proc *proc_by_pid(const struct state *s, uint32_t pid)
{
    return hashmap_get(&s->by_pid, pid, NULL, NULL);
}

/* Later than the one before it with this pid, whose start may have been told too late. */
static struct ident next_identity(const struct state *s, uint32_t pid, uint64_t jiffies)
{
    const struct recent *r = hashmap_get(&s->recent, pid, NULL, NULL);

    if (r == NULL || r->id.jiffies < jiffies) {
        return (struct ident){ .pid = pid, .jiffies = jiffies };
    }
    return (struct ident){ .pid = pid, .jiffies = r->id.jiffies, .number = r->id.number + 1 };
}

struct proc *proc_make(struct state *s, uint32_t pid, uint64_t jiffies)
{
    struct proc *p = calloc(1, sizeof(*p));
    int rc;

    if (p == NULL) {
        state_fail(s, POFR_ENOMEM);
        return NULL;
    }
    p->id = next_identity(s, pid, jiffies);
    rc = hashmap_insert(&s->by_pid, pid, p);
    if (rc != 0) {
        state_fail(s, rc);
        free(p);
        return NULL;
    }
    return p;
}

struct renamed {
    struct ident before, now;
};

static void parent_rename(struct proc *child, const struct renamed *n)
{
    if (child->parent_known && !child->told && ident_eq(&child->parent, &n->before)) {
        child->parent = n->now;
    }
}

static bool child_rename(void *value, void *arg)
{
    parent_rename(value, arg);
    return true;
}

void proc_began(struct state *s, struct proc *p, uint64_t jiffies)
{
    struct renamed n = { .before = p->id, .now = next_identity(s, p->id.pid, jiffies) };
    struct ident *r = hashmap_get(&s->recorders, p->id.pid, NULL, NULL);
    struct proc **dying = s->dying.data;

    if (ident_eq(&n.before, &n.now)) {
        return;
    }
    p->id = n.now;
    if (r != NULL && ident_eq(r, &n.before)) {
        *r = n.now;
    }
    (void)hashmap_retain(&s->by_pid, child_rename, &n);
    for (size_t i = 0; i < s->dying.len; i++) {
        parent_rename(dying[i], &n);
    }
}

void proc_free(struct state *s, struct proc *p)
{
    files_drop(s, p);
    version_drop(s, &p->v);
    free(p);
}

bool proc_is_recorder(const struct state *s, const struct ident *id)
{
    struct ident *r = hashmap_get(&s->recorders, id->pid, NULL, NULL);

    if (r == NULL) {
        return false;
    }
    if (r->jiffies == 0) { /* only the pid was known, of a process that lives: it is this one */
        *r = *id;
    }
    return ident_eq(r, id);
}

void proc_mark_recorder(struct state *s, const struct ident *id)
{
    struct ident *r = hashmap_get(&s->recorders, id->pid, NULL, NULL);
    int rc;

    if (r == NULL) {
        r = calloc(1, sizeof(*r));
        rc = r != NULL ? hashmap_insert(&s->recorders, id->pid, r) : POFR_ENOMEM;
        if (rc != 0) {
            free(r);
            state_fail(s, rc);
            return;
        }
    }
    *r = *id;
}

uint64_t event_moment(const struct state *s, uint64_t wanted, uint64_t after)
{
    uint64_t latest = s->t > EVENT_MARGIN ? s->t - EVENT_MARGIN : 1;

    if (wanted > latest) {
        wanted = latest;
    }
    return wanted > after ? wanted : after + 1;
}

/* The last tenth of the spool takes no arguments. */
static void strip(struct state *s, struct version *v)
{
    if (!s->lean || v->arguments == NULL) {
        return;
    }
    strpool_replace(&s->strings, &v->arguments, NULL);
    v->arguments_cut = 0;
    v->unreadable |= REC_UNREADABLE_ARGUMENTS;
    v->stripped = 1;
    s->figures.stripped++;
}

void proc_start(struct state *s, struct proc *p, uint64_t at_us)
{
    struct record r;

    strip(s, &p->v);
    p->first_seen = at_us;
    proc_record(p, &r, REC_START);
    p->hash = rec_hash(&r, s->conf.hash_key, &s->scratch);
    p->told = 1;
    s->figures.processes++;
    state_opened(s, STATE_PROCESSES, p->hash);
    state_emit(s, &r);
}

void proc_end(struct state *s, struct proc *p, uint64_t at_us, uint64_t last_seen, uint64_t source)
{
    struct record r;

    proc_record(p, &r, REC_END);
    r.iv.ended = at_us > p->first_seen ? at_us : p->first_seen + 1;
    r.iv.last_seen = last_seen < p->first_seen ? p->first_seen : last_seen;
    if (r.iv.last_seen > r.iv.ended) {
        r.iv.last_seen = r.iv.ended;
    }
    r.iv.end_source = source;
    r.iv.hash = p->hash;
    if (p->ended) { /* of the process, not of this version alone */
        r.process.exit_known = p->exit_known;
        r.process.exit_status = p->exit_known ? p->exit_status : 0;
    }
    if (s->lean && r.process.arguments.len > 0) {
        r.process.arguments = SLICE_EMPTY;
        r.process.unreadable |= REC_UNREADABLE_ARGUMENTS;
        s->figures.stripped++;
    }
    s->figures.processes--;
    state_closed(s, STATE_PROCESSES, p->hash);
    state_emit(s, &r);
}

void proc_take_over(struct state *s, struct proc *p, struct version *v, uint64_t at_us, uint64_t source)
{
    uint64_t last_seen = at_us < s->t ? at_us : p->last_seen; /* an event shows it to its last moment */

    proc_end(s, p, at_us, last_seen, source);
    version_drop(s, &p->v);
    p->v = *v;
    *v = (struct version){ 0 };
    p->start_unseen = 0;
    p->image = 1;
    proc_start(s, p, at_us);
}

/* What is known of a program nobody could read any more: what the exec reader saw; ids and places from before the exec. */
static void version_of_exec(struct state *s, const struct proc *p, struct version *out)
{
    const struct exec_info *x = p->exec.info;

    version_copy(out, &p->v);
    strpool_replace(&s->strings, &out->exe, NULL);
    strpool_replace(&s->strings, &out->arguments, NULL);
    strpool_replace(&s->strings, &out->cwd, NULL);
    out->exe_device = out->exe_inode = 0;
    out->exe_deleted = out->arguments_cut = out->stripped = 0;
    out->kernel_thread = 0;
    out->unreadable = REC_UNREADABLE_EXE | REC_UNREADABLE_ARGUMENTS | REC_UNREADABLE_CWD | REC_UNREADABLE_FILES |
                      REC_UNREADABLE_STATUS | REC_UNREADABLE_NS;
    if (x == NULL) {
        return;
    }
    if (x->arguments_known) {
        out->arguments = strpool_ref(x->arguments);
        out->arguments_cut = x->arguments_cut;
        out->unreadable &= (uint8_t)~REC_UNREADABLE_ARGUMENTS;
    }
    if (x->exe != NULL) {
        out->exe = strpool_ref(x->exe);
        out->exe_device = x->exe_device;
        out->exe_inode = x->exe_inode;
        out->exe_deleted = x->exe_deleted;
        out->unreadable &= (uint8_t)~REC_UNREADABLE_EXE;
    }
    if (x->command != NULL) {
        strpool_replace(&s->strings, &out->command, strpool_ref(x->command));
        out->session = x->session;
        out->tty = x->tty;
    }
    if (x->ids_known && x->euid != out->euid) { /* a set-uid program */
        out->euid = out->suid = out->fsuid = x->euid;
    }
    if (x->ids_known && x->egid != out->egid) {
        out->egid = out->sgid = out->fsgid = x->egid;
    }
}

/* The reader saw what the last look had read already. */
static bool is_old_news(const struct proc *p)
{
    const struct exec_info *x = p->exec.info;

    if (!p->told || p->exec.at_us > p->read_us) {
        return x != NULL && p->told && x->exe != NULL && x->arguments_known && x->exe == p->v.exe &&
               x->arguments == p->v.arguments && x->exe_inode == p->v.exe_inode && x->exe_device == p->v.exe_device;
    }
    return true;
}

void version_of_child(struct state *s, const struct proc *parent, struct version *out)
{
    if (parent->exec.at_us != 0 && !is_old_news(parent)) {
        version_of_exec(s, parent, out); /* the parent runs another program since the last look */
    } else {
        version_copy(out, &parent->v);
    }
}

void proc_exec(struct state *s, struct proc *p)
{
    struct version v;
    uint64_t at;

    if (p->exec.at_us == 0) {
        return;
    }
    if (!is_old_news(p)) {
        s->figures.execs_unread += p->exec.info == NULL;
        at = event_moment(s, p->exec.at_us, p->first_seen);
        if (!p->told && !p->image) { /* the image between fork and exec is no version */
            version_of_exec(s, p, &v);
            version_drop(s, &p->v);
            p->v = v;
            p->image = 1;
        } else if (at + 2 > s->t) {
            s->figures.merged++;
        } else {
            version_of_exec(s, p, &v);
            if (!p->told) {
                proc_start(s, p, p->first_seen);
            }
            proc_take_over(s, p, &v, at, REC_END_EXEC);
        }
    }
    p->exec = (struct exec_note){ 0 };
}

/* Recently ended identities, so that a pid that comes again in the same jiffy gets the next number. */
void proc_remember(struct state *s, const struct proc *p, uint64_t at_us)
{
    struct recent *r = hashmap_get(&s->recent, p->id.pid, NULL, NULL);
    int rc;

    if (r == NULL) {
        r = calloc(1, sizeof(*r));
        rc = r != NULL ? hashmap_insert(&s->recent, p->id.pid, r) : POFR_ENOMEM;
        if (rc != 0) {
            free(r);
            state_fail(s, rc);
            return;
        }
    }
    *r = (struct recent){ .id = p->id, .ended_us = at_us, .tick_us = s->t };
}

void proc_finish(struct state *s, struct proc *p, uint64_t at_us, uint64_t last_seen, uint64_t source)
{
    struct gone *g;

    proc_exec(s, p);
    p->ended = 1;
    if (!p->told) {
        proc_start(s, p, p->first_seen);
    }
    if (at_us <= p->first_seen) {
        at_us = p->first_seen + 1;
    }
    /* Its files first: a bundle may end anywhere in between, and the next run ends those of a process that is still open. */
    for (uint32_t i = 0; i < p->files_len; i++) {
        struct file *f = &p->files[i];

        if (f->first_seen != 0) {
            file_end(s, p, f, at_us, p->last_seen, source);
        }
    }
    proc_end(s, p, at_us, last_seen, source);
    proc_remember(s, p, at_us);
    s->owners_dirty = true;
    g = vec_more(s, &s->gone, 1, sizeof(*g));
    if (g != NULL) {
        *g = (struct gone){ .id = p->id, .ended_us = at_us, .source = source };
        s->gone.len++;
    }
    proc_free(s, p);
}

static bool recent_keep(void *value, void *arg)
{
    const struct state *s = arg;
    struct recent *r = value;

    if (s->t - r->tick_us <= RECENT_US) {
        return true;
    }
    free(r);
    return false;
}

void proc_forget_recent(struct state *s)
{
    (void)hashmap_retain(&s->recent, recent_keep, s);
}

void state_recorder(struct state *s, uint32_t pid)
{
    const struct proc *p = proc_by_pid(s, pid);
    struct ident id = { .pid = pid };

    proc_mark_recorder(s, p != NULL ? &p->id : &id);
}
