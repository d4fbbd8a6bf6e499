/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Open files of a process, in one array sorted by (thread, fd). A reading gathers what it is shown in cand_files and is
 * merged in at its end, so that a process that vanishes half way changes nothing.
 */
#include "agent/collect/state_impl.h"

#include <stdlib.h>
#include <string.h>

enum {
    CAND_NEW,
    CAND_HELD
}; /* in told, of cand_files alone */

void file_record(const struct proc *p, const struct file *f, struct record *out, unsigned verb)
{
    memset(out, 0, sizeof(*out));
    out->kind = REC_KIND(REC_FILE, verb);
    out->entity = REC_FILE;
    out->verb = (uint8_t)verb;
    out->file = (struct rec_file){
        .iv = { .first_seen = f->first_seen, .start_unseen = f->start_unseen },
        .pid = p->id.pid,
        .start_jiffies = p->id.jiffies,
        .start_number = p->id.number,
        .thread = f->thread,
        .fd = f->fd,
        .path = str_slice(f->path),
        .path_cut = f->path_cut,
        .kind = f->kind,
        .access_mode = f->access_mode,
        .device = f->device,
        .inode = f->inode,
        .deleted = f->deleted,
        .command = str_slice(f->command),
    };
}

void file_start(struct state *s, struct proc *p, struct file *f, uint64_t at_us)
{
    struct record r;

    f->first_seen = at_us;
    f->start_unseen = s->first;
    f->command = strpool_ref(p->v.command);
    file_record(p, f, &r, REC_START);
    f->hash = rec_hash(&r, s->conf.hash_key, &s->scratch);
    f->told = !s->lean;
    s->figures.files++;
    s->owners_dirty |= f->kind == REC_FILE_SOCKET;
    if (s->lean) {
        s->figures.untold++;
        return;
    }
    state_opened(s, STATE_FILES, f->hash);
    state_emit(s, &r);
}

void file_end(struct state *s, struct proc *p, struct file *f, uint64_t at_us, uint64_t last_seen, uint64_t source)
{
    struct record r;

    s->owners_dirty |= f->kind == REC_FILE_SOCKET;
    s->figures.files--;
    if (f->told) {
        state_closed(s, STATE_FILES, f->hash);
    }
    if (s->lean) {
        s->figures.untold++;
        return;
    }
    file_record(p, f, &r, REC_END);
    r.iv.ended = at_us > f->first_seen ? at_us : f->first_seen + 1;
    r.iv.last_seen = last_seen < f->first_seen ? f->first_seen : last_seen;
    if (r.iv.last_seen > r.iv.ended) {
        r.iv.last_seen = r.iv.ended;
    }
    r.iv.end_source = source;
    r.iv.hash = f->hash;
    state_emit(s, &r);
}

static void file_drop(struct state *s, struct file *f)
{
    strpool_drop(&s->strings, f->path);
    strpool_drop(&s->strings, f->command);
}

void files_drop(struct state *s, struct proc *p)
{
    for (uint32_t i = 0; i < p->files_len; i++) {
        file_drop(s, &p->files[i]);
    }
    free(p->files);
    p->files = NULL;
    p->files_len = 0;
}

static int file_key_cmp(const struct file *a, const struct file *b)
{
    if (a->thread != b->thread) {
        return a->thread < b->thread ? -1 : 1;
    }
    return (a->fd > b->fd) - (a->fd < b->fd);
}

static int file_qsort_cmp(const void *a, const void *b)
{
    return file_key_cmp(a, b);
}

static bool file_same(const struct file *a, const struct file *b)
{
    return a->path == b->path && a->path_cut == b->path_cut && a->kind == b->kind && a->access_mode == b->access_mode &&
           a->device == b->device && a->inode == b->inode && a->deleted == b->deleted;
}

/* Was the place of f looked at in this reading? */
static bool was_read(const struct state *s, const struct file *f)
{
    const struct range *ranges = s->cand_ranges.data;
    bool table = false;

    for (size_t i = 0; i < s->cand_ranges.len; i++) {
        if (ranges[i].thread == f->thread) {
            table = true;
            if (f->fd >= ranges[i].low && f->fd <= ranges[i].high) {
                return true;
            }
        }
    }
    return !table && f->thread != 0; /* a thread without a table of its own any more */
}

/* Sorted, each place once: the look delivers in order but for slices. */
static void cand_sort(struct state *s)
{
    struct file *cand = s->cand_files.data;
    size_t len = s->cand_files.len;
    size_t kept = 0;
    bool sorted = true;

    for (size_t i = 1; i < len && sorted; i++) {
        sorted = file_key_cmp(&cand[i - 1], &cand[i]) < 0;
    }
    if (sorted) {
        return;
    }
    qsort(cand, len, sizeof(*cand), file_qsort_cmp);
    for (size_t i = 0; i < len; i++) {
        if (kept > 0 && file_key_cmp(&cand[kept - 1], &cand[i]) == 0) {
            file_drop(s, &cand[i]);
        } else {
            cand[kept++] = cand[i];
        }
    }
    s->cand_files.len = kept;
}

static bool nothing_changed(const struct state *s, const struct proc *p)
{
    const struct file *cand = s->cand_files.data;

    if (s->cand_files.len != p->files_len) {
        return false;
    }
    for (size_t i = 0; i < s->cand_files.len; i++) {
        if (cand[i].told != CAND_HELD) {
            return false;
        }
    }
    return true;
}

static bool over(struct state *s)
{
    if (s->conf.files_max != 0 && s->figures.files >= s->conf.files_max) {
        s->figures.files_over++;
        return true;
    }
    return false;
}

static void take_new(struct state *s, struct proc *p, struct file *made, uint32_t *made_len, struct file *c)
{
    if (over(s)) {
        file_drop(s, c);
        return;
    }
    made[*made_len] = *c;
    if (p->told) {
        file_start(s, p, &made[*made_len], s->t);
    } else {
        made[*made_len].told = 0; /* with its process, at the end of the look */
    }
    (*made_len)++;
}

void files_merge(struct state *s, struct proc *p, uint64_t last_seen)
{
    struct file *cand, *made, *smaller, *old = p->files;
    uint32_t made_len = 0;
    size_t i = 0, j = 0;

    cand_sort(s);
    if (nothing_changed(s, p)) {
        s->cand_files.len = 0;
        return;
    }
    cand = s->cand_files.data;
    made = malloc((p->files_len + s->cand_files.len) * sizeof(*made) + 1);
    if (made == NULL) {
        state_fail(s, POFR_ENOMEM);
        return;
    }
    while (i < p->files_len || j < s->cand_files.len) {
        int c = i == p->files_len ? 1 : j == s->cand_files.len ? -1 : file_key_cmp(&old[i], &cand[j]);

        if (c < 0) { /* held, not shown */
            if (was_read(s, &old[i])) {
                file_end(s, p, &old[i], s->t, last_seen, REC_END_GONE);
                file_drop(s, &old[i]);
            } else {
                made[made_len++] = old[i];
            }
            i++;
        } else if (c > 0) { /* shown, not held */
            if (cand[j].told == CAND_NEW) {
                take_new(s, p, made, &made_len, &cand[j]);
            }
            j++;
        } else if (cand[j].told == CAND_HELD || file_same(&old[i], &cand[j])) {
            file_drop(s, &cand[j]);
            made[made_len++] = old[i];
            i++;
            j++;
        } else {
            file_end(s, p, &old[i], s->t, last_seen, REC_END_CHANGE);
            file_drop(s, &old[i]);
            take_new(s, p, made, &made_len, &cand[j]);
            i++;
            j++;
        }
    }
    s->cand_files.len = 0;
    free(old);
    smaller = realloc(made, made_len * sizeof(*made) + 1);
    p->files = smaller != NULL ? smaller : made;
    p->files_len = made_len;
}
