/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is open, in order: for keyframes and tests. And the way back: a state made of what was open when a run ended.
 */
#include "agent/collect/state_impl.h"

#include <stdlib.h>
#include <string.h>

static int proc_cmp(const void *a, const void *b)
{
    return ident_cmp(&(*(struct proc *const *)a)->id, &(*(struct proc *const *)b)->id);
}

static int sock_cmp(const void *a, const void *b)
{
    const struct sock *x = *(struct sock *const *)a, *y = *(struct sock *const *)b;

    if (x->netns != y->netns) {
        return x->netns < y->netns ? -1 : 1;
    }
    if (x->cookie != y->cookie) {
        return x->cookie < y->cookie ? -1 : 1;
    }
    return (x->cookie_kind > y->cookie_kind) - (x->cookie_kind < y->cookie_kind);
}

static int fact_cmp(const void *a, const void *b)
{
    return rec_compare_id(&(*(struct fact *const *)a)->r, &(*(struct fact *const *)b)->r);
}

static int owner_cmp(const void *a, const void *b)
{
    return ident_cmp(&((const struct sock_owner *)a)->id, &((const struct sock_owner *)b)->id);
}

/* All values of m in s->order, sorted. */
static void **in_order(struct state *s, const struct hashmap *m, const struct vec *more,
                       int (*cmp)(const void *, const void *), size_t *out_len)
{
    void **list;
    void *v;
    size_t at = 0;

    s->order.len = 0;
    list = vec_more(s, &s->order, m->count + (more != NULL ? more->len : 0) + 1, sizeof(void *));
    if (list == NULL) {
        return NULL;
    }
    while ((v = hashmap_next(m, &at)) != NULL) {
        list[s->order.len++] = v;
    }
    if (more != NULL && more->len > 0) {
        memcpy(list + s->order.len, more->data, more->len * sizeof(void *));
        s->order.len += more->len;
    }
    qsort(list, s->order.len, sizeof(void *), cmp);
    *out_len = s->order.len;
    return list;
}

int state_each_process(struct state *s, state_each_fn fn, void *ctx)
{
    size_t len;
    struct proc **list = (struct proc **)in_order(s, &s->by_pid, &s->dying, proc_cmp, &len);
    struct record r;
    int rc = list != NULL ? 0 : POFR_ENOMEM;

    for (size_t i = 0; rc == 0 && i < len; i++) {
        if (!list[i]->told) {
            continue;
        }
        proc_record(list[i], &r, REC_SIGHT);
        rc = fn(ctx, &r);
        for (uint32_t k = 0; rc == 0 && k < list[i]->files_len; k++) {
            if (list[i]->files[k].told) {
                file_record(list[i], &list[i]->files[k], &r, REC_SIGHT);
                rc = fn(ctx, &r);
            }
        }
    }
    return rc;
}

int state_each_socket(struct state *s, state_each_fn fn, void *ctx)
{
    size_t len;
    struct sock **list = (struct sock **)in_order(s, &s->socks, NULL, sock_cmp, &len);
    struct record r;
    int rc = list != NULL ? 0 : POFR_ENOMEM;

    for (size_t i = 0; rc == 0 && i < len; i++) {
        if (list[i]->owners_len > 1) {
            qsort(list[i]->owners, list[i]->owners_len, sizeof(struct sock_owner), owner_cmp);
        }
        for (uint32_t k = 0; rc == 0 && k < list[i]->owners_len; k++) {
            sock_record(list[i], &list[i]->owners[k], &r, REC_SIGHT);
            rc = fn(ctx, &r);
        }
    }
    return rc;
}

int state_each_fact(struct state *s, state_each_fn fn, void *ctx)
{
    size_t len;
    struct fact **list = (struct fact **)in_order(s, &s->facts, NULL, fact_cmp, &len);
    struct record r;
    int rc = list != NULL ? 0 : POFR_ENOMEM;

    for (size_t i = 0; rc == 0 && i < len; i++) {
        r = list[i]->r;
        r.verb = REC_SIGHT;
        r.kind = REC_KIND(r.entity, REC_SIGHT);
        rc = fn(ctx, &r);
    }
    return rc;
}

int state_each(struct state *s, state_each_fn fn, void *ctx)
{
    int rc = state_each_process(s, fn, ctx);

    if (rc == 0) {
        rc = state_each_socket(s, fn, ctx);
    }
    return rc != 0 ? rc : state_each_fact(s, fn, ctx);
}

uint32_t state_stamp(struct state *s)
{
    return ++s->stamp;
}

bool state_string_new(struct slice text, uint32_t stamp)
{
    struct str *str;

    if (text.len == 0) {
        return false;
    }
    str = (struct str *)(void *)((uint8_t *)(uintptr_t)text.data - offsetof(struct str, bytes));
    if (str->stamp == stamp) {
        return false;
    }
    str->stamp = stamp;
    return true;
}

static int netns_cmp(const void *a, const void *b)
{
    const struct look_netns *x = a, *y = b;

    return (x->inode > y->inode) - (x->inode < y->inode);
}

const struct look_netns *state_netns(struct state *s, size_t *out_count)
{
    struct look_netns *list;
    size_t at = 0, kept = 0;
    struct proc *p;

    s->netns.len = 0;
    while ((p = hashmap_next(&s->by_pid, &at)) != NULL) {
        if (p->told && p->v.ns_net != 0 && (s->netns.len == 0 || p->v.ns_net != kept)) {
            list = vec_more(s, &s->netns, 1, sizeof(*list));
            if (list == NULL) {
                break;
            }
            *list = (struct look_netns){ .inode = p->v.ns_net, .pid = p->id.pid };
            s->netns.len++;
            kept = p->v.ns_net; /* most are in the same one: spares the sort */
        }
    }
    list = s->netns.data;
    if (s->netns.len > 1) {
        qsort(list, s->netns.len, sizeof(*list), netns_cmp);
    }
    kept = 0;
    for (size_t i = 0; i < s->netns.len; i++) {
        if (kept == 0 || list[kept - 1].inode != list[i].inode) {
            list[kept++] = list[i];
        }
    }
    s->netns.len = kept;
    *out_count = kept;
    return list;
}

/* --- going on -------------------------------------------------------------------------------------------- */

static int process_restore(struct state *s, const struct record *r)
{
    const struct rec_process *in = &r->process;
    struct proc *p = proc_by_pid(s, (uint32_t)in->pid);
    struct proc **at;

    if (p != NULL) { /* the pid has come again, and the run ended before the end of the first one was told */
        at = vec_more(s, &s->dying, 1, sizeof(struct proc *));
        if (at == NULL) {
            return s->err;
        }
        (void)hashmap_remove(&s->by_pid, in->pid, NULL, NULL);
        *at = p;
        s->dying.len++;
    }
    p = proc_make(s, (uint32_t)in->pid, in->start_jiffies);
    if (p == NULL) {
        return s->err;
    }
    p->id =
        (struct ident){ .pid = (uint32_t)in->pid, .jiffies = in->start_jiffies, .number = (uint32_t)in->start_number };
    p->parent = (struct ident){ .pid = (uint32_t)in->ppid,
                                .jiffies = in->parent_start_jiffies,
                                .number = (uint32_t)in->parent_start_number };
    p->parent_known = in->parent_known != 0;
    version_of(s, in, &p->v);
    p->first_seen = in->iv.first_seen;
    p->start_unseen = in->iv.start_unseen != 0;
    p->cpu_us = in->cpu_us;
    p->told = 1;
    p->image = 1;
    p->hash = rec_hash(r, s->conf.hash_key, &s->scratch);
    s->figures.processes++;
    state_opened(s, STATE_PROCESSES, p->hash);
    return s->err;
}

static struct proc *restored(const struct state *s, const struct ident *id)
{
    struct proc *p = proc_by_pid(s, id->pid);
    struct proc *const *dying = s->dying.data;

    for (size_t i = 0; i < s->dying.len && (p == NULL || !ident_eq(&p->id, id)); i++) {
        p = dying[i];
    }
    return p != NULL && ident_eq(&p->id, id) ? p : NULL;
}

static int file_restore(struct state *s, const struct record *r)
{
    const struct rec_file *in = &r->file;
    struct ident id = { .pid = (uint32_t)in->pid, .jiffies = in->start_jiffies, .number = (uint32_t)in->start_number };
    struct proc *p = restored(s, &id);
    struct file *files, *f;
    uint32_t at;

    if (p == NULL) {
        return 0; /* a file without its process: the first look tells what there is */
    }
    files = reallocarray(p->files, p->files_len + 1, sizeof(*files));
    if (files == NULL) {
        return POFR_ENOMEM;
    }
    p->files = files;
    for (at = p->files_len; at > 0; at--) {
        const struct file *before = &files[at - 1];

        if (before->thread < in->thread || (before->thread == in->thread && before->fd < in->fd)) {
            break;
        }
        files[at] = *before;
    }
    f = &files[at];
    *f = (struct file){
        .device = in->device,
        .inode = in->inode,
        .first_seen = in->iv.first_seen,
        .hash = rec_hash(r, s->conf.hash_key, &s->scratch),
        .path = strpool_get(&s->strings, in->path),
        .command = strpool_get(&s->strings, in->command),
        .thread = (uint32_t)in->thread,
        .fd = (uint32_t)in->fd,
        .kind = (uint8_t)in->kind,
        .access_mode = (uint8_t)in->access_mode,
        .deleted = in->deleted != 0,
        .path_cut = in->path_cut != 0,
        .start_unseen = in->iv.start_unseen != 0,
        .told = 1,
    };
    p->files_len++;
    s->figures.files++;
    s->owners_dirty = true;
    state_opened(s, STATE_FILES, f->hash);
    return s->strings.err;
}

int state_restore(struct state *s, const struct record *open)
{
    switch (open->entity) {
    case REC_PROCESS:
        return process_restore(s, open);
    case REC_FILE:
        return file_restore(s, open);
    case REC_SOCKET:
        return sock_restore(s, &open->socket);
    default:
        return fact_restore(s, open);
    }
}

void state_restored(struct state *s, uint64_t last_tick_us)
{
    size_t at = 0;
    struct proc *const *dying = s->dying.data;
    struct proc *p;
    struct sock *k;

    s->t = last_tick_us;
    while ((p = hashmap_next(&s->by_pid, &at)) != NULL) {
        p->last_seen = p->read_us = last_tick_us;
    }
    for (size_t i = 0; i < s->dying.len; i++) {
        dying[i]->last_seen = dying[i]->end_us = last_tick_us;
    }
    for (at = 0; (k = hashmap_next(&s->socks, &at)) != NULL;) {
        k->last_seen = last_tick_us;
    }
    for (size_t i = 0; i < pofr_countof(s->facts_seen); i++) {
        s->facts_seen[i] = last_tick_us;
    }
    s->owners_dirty = true;
}
