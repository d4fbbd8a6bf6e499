/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/collect/state_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define PROCESSES_MAX (4u << 20)
#define SOCKETS_MAX   (4u << 20)
#define FACTS_MAX     (1u << 20)
#define SCRATCH_MAX   (1u << 20)

int state_new(const struct state_conf *conf, struct state **out_state)
{
    struct state *s = calloc(1, sizeof(*s));

    if (s == NULL) {
        return POFR_ENOMEM;
    }
    s->conf = *conf;
    strpool_init(&s->strings, conf->string_key);
    hashmap_init(&s->by_pid, PROCESSES_MAX, 0);
    hashmap_init(&s->recent, PROCESSES_MAX, 0);
    hashmap_init(&s->socks, SOCKETS_MAX, 0);
    hashmap_init(&s->facts, FACTS_MAX, 0);
    hashmap_init(&s->recorders, PROCESSES_MAX, 0);
    buf_init(&s->scratch, SCRATCH_MAX);
    *out_state = s;
    return 0;
}

static void free_values(struct hashmap *m)
{
    size_t at = 0;
    void *v;

    while ((v = hashmap_next(m, &at)) != NULL) {
        free(v);
    }
    hashmap_free(m);
}

void state_free(struct state *s)
{
    struct proc **dying;
    size_t at = 0;
    void *v;

    if (s == NULL) {
        return;
    }
    execs_forget(s, true);
    dying = s->dying.data;
    for (size_t i = 0; i < s->dying.len; i++) {
        proc_free(s, dying[i]);
    }
    while ((v = hashmap_next(&s->by_pid, &at)) != NULL) {
        proc_free(s, v);
    }
    for (at = 0; (v = hashmap_next(&s->socks, &at)) != NULL;) {
        sock_free(s, v);
    }
    for (at = 0; (v = hashmap_next(&s->facts, &at)) != NULL;) {
        fact_free(s, v);
    }
    hashmap_free(&s->by_pid);
    hashmap_free(&s->socks);
    hashmap_free(&s->facts);
    free_values(&s->recent);
    free_values(&s->recorders);
    vec_free(&s->dying);
    vec_free(&s->fresh);
    vec_free(&s->no_forks);
    vec_free(&s->events);
    vec_free(&s->execs);
    vec_free(&s->gone);
    vec_free(&s->owners);
    vec_free(&s->netns);
    vec_free(&s->order);
    vec_free(&s->cand_files);
    vec_free(&s->cand_ranges);
    buf_free(&s->scratch);
    strpool_fini(&s->strings);
    free(s);
}

void state_fail(struct state *s, int code)
{
    if (s->err == 0) {
        s->err = code;
    }
}

void *vec_more(struct state *s, struct vec *v, size_t n, size_t size)
{
    if (v->len + n > v->cap) {
        size_t cap = v->cap < 32 ? 32 : v->cap * 2;
        void *data;

        cap = cap < v->len + n ? v->len + n : cap;
        data = reallocarray(v->data, cap, size);
        if (data == NULL) {
            state_fail(s, POFR_ENOMEM);
            return NULL;
        }
        v->data = data;
        v->cap = cap;
    }
    return (char *)v->data + v->len * size;
}

void vec_free(struct vec *v)
{
    free(v->data);
    *v = (struct vec){ 0 };
}

int ident_cmp(const struct ident *a, const struct ident *b)
{
    if (a->pid != b->pid) {
        return a->pid < b->pid ? -1 : 1;
    }
    if (a->jiffies != b->jiffies) {
        return a->jiffies < b->jiffies ? -1 : 1;
    }
    return (a->number > b->number) - (a->number < b->number);
}

void state_emit(struct state *s, const struct record *r)
{
    int rc = s->conf.emit(s->conf.ctx, r);

    if (rc != 0) {
        state_fail(s, rc);
    }
}

POFR_WRAPS void state_opened(struct state *s, enum state_group g, uint64_t hash)
{
    s->sums[g].count++;
    s->sums[g].digest += hash;
}

POFR_WRAPS void state_closed(struct state *s, enum state_group g, uint64_t hash)
{
    assert(s->sums[g].count > 0);
    s->sums[g].count--;
    s->sums[g].digest -= hash;
}

/* The spool has room again: files that began without being told are told by the keyframe of this tick. */
static void files_are_told(struct state *s)
{
    size_t at = 0;
    struct proc *p;

    while ((p = hashmap_next(&s->by_pid, &at)) != NULL) {
        for (uint32_t i = 0; i < p->files_len; i++) {
            struct file *f = &p->files[i];

            if (!f->told && f->first_seen != 0) {
                f->told = 1;
                state_opened(s, STATE_FILES, f->hash);
            }
        }
    }
}

void state_tick_begin(struct state *s, uint64_t boot_us, bool lean)
{
    assert(boot_us > s->t && boot_us > 2 * EVENT_MARGIN);
    s->t_before = s->t;
    s->t = boot_us;
    if (s->lean && !lean) {
        files_are_told(s);
    }
    s->lean = lean;
    s->look_complete = false;
    s->events_there = false;
}

/* What the exec reader saw is forgotten with the tick: who was not read in this tick takes it over now. */
static void execs_settle(struct state *s)
{
    size_t at = 0;
    struct proc *p;

    if (s->execs.len == 0) {
        return;
    }
    while ((p = hashmap_next(&s->by_pid, &at)) != NULL) {
        if (p->exec.info != NULL) {
            proc_exec(s, p);
        }
    }
}

int state_tick_end(struct state *s)
{
    execs_forget(s, false);
    s->gone.len = 0;
    s->events.len = 0;
    proc_forget_recent(s);
    strpool_sweep(&s->strings);
    return s->err;
}

void state_settle(struct state *s, bool all)
{
    execs_settle(s);
    if (all) {
        dying_tell(s, true);
    }
}

const struct state_sum *state_sums(const struct state *s)
{
    return s->sums;
}

void state_figures(const struct state *s, struct state_figures *out)
{
    *out = s->figures;
    out->sockets = s->sums[STATE_SOCKETS].count;
    out->facts = s->sums[STATE_FACTS].count;
    out->string_bytes = s->strings.bytes;
}
