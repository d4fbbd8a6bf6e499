/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files of one process: one or more tables of descriptors.
 *
 * HELD       What stat says of the target (device, inode, mount, type, links, ctime) is asked of every descriptor, every time.
 *            Where it is what it was, name and access mode are taken as they were too: a rename, an unlink, another link of
 *            the same file move ctime or links, another mount is another mount. What that does not show (a folder above was renamed; the same
 *            file opened again in another way on the same descriptor and not written to) is verified in turn, one descriptor in 32 at
 *            each reading, and all when the process has its turn. A file with several names and whatever lies on
 *            the kernel's anonymous inode is verified every time.
 * COUNTED    Where the kernel gives the number of descriptors as the folder's size (6.2 on), and it is the number that is known, and
 *            each of these is there, there are no others: nothing is listed.
 * TORN       stat, name, mode are three calls: stat again at the end must say the same, else all is asked again.
 * SLICES     A table of more than files_slice descriptors is read over several looks; if the process ran in
 *            between, all of it once more.
 * COST       2.7 us for a descriptor that is held, 10 us for a new one (kernel 6.18).
 */
#include "agent/look/proc_reader.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/look/parse_proc.h"
#include "common/base/err.h"
#include "common/base/siphash.h"

#define VERIFY_EVERY 32
#define TRIES        3
#define ACCESS_BITS  7u

uint64_t proc_file_hash(const struct proc_context *c, const struct file_id *id)
{
    uint64_t parts[] = {
        id->device,       id->inode, id->mount, (uint64_t)id->ctime_s, (uint64_t)id->ctime_ns << 32 | id->links,
        id->mode & S_IFMT
    };

    if (id->device == c->pipe_device || id->device == c->socket_device) {
        parts[3] = parts[4] = 0; /* a pipe's ctime moves with each write, and says nothing */
    }
    return siphash24(c->key, slice_of(parts, sizeof(parts)));
}

int proc_files_deleted(struct proc_context *c, int dir, const struct file_id *id, struct slice *path, bool *out_deleted)
{
    char name[5 + REC_PATH_MAX + 1];
    struct slice cut = *path;
    struct file_id there;
    int code;

    *out_deleted = false;
    if (!proc_link_deleted(&cut)) {
        return 0;
    }
    if (id->links > 0 && path->data[0] == '/' && path->len <= REC_PATH_MAX && slice_find(*path, '\0') == path->len) {
        /* one of several names was removed, or a file is really called so */
        (void)snprintf(name, sizeof(name), "root%.*s", (int)path->len, (const char *)path->data);
        code = proc_stat_target(c->t, dir, name, &there);
        if (code == PROC_LEFT) {
            return PROC_LEFT;
        }
        if (code == 0 && there.device == id->device && there.inode == id->inode) {
            return 0;
        }
    }
    *path = cut;
    *out_deleted = true;
    return 0;
}

/* One descriptor being read. */
struct descriptor {
    uint32_t fd;
    char name[12];
    struct file_id id;
    bool known; /* id holds */
    bool is_socket, is_pipe;
    uint8_t synthetic[32]; /* "socket:[1]" */
    struct slice text;
    bool cut;
    uint64_t access;
    struct gate_file now;
};

struct table {
    int fds;
    uint32_t thread;
    const struct gate_table *old;
    uint32_t old_at; /* the first of old that is not below the descriptor */
    size_t count;    /* in r->files */
};

static const struct gate_file *old_file(struct table *t, uint32_t fd)
{
    if (!t->old) {
        return NULL;
    }
    while (t->old_at < t->old->count && t->old->files[t->old_at].fd < fd) {
        t->old_at++;
    }
    return t->old_at < t->old->count && t->old->files[t->old_at].fd == fd ? &t->old->files[t->old_at] : NULL;
}

/* 0, PROC_LEFT, or 1: there is no such descriptor any more. */
static int read_id(struct proc_context *c, const struct table *t, struct descriptor *d)
{
    int code = proc_stat_target(c->t, t->fds, d->name, &d->id);

    if (code == PROC_LEFT) {
        return PROC_LEFT;
    }
    if (code == -ENOENT || code == -ESRCH) {
        return 1;
    }
    d->known = code == 0;
    if (!d->known) {
        d->id = (struct file_id){ 0 };
    }
    d->is_socket = d->known && S_ISSOCK(d->id.mode) && d->id.device == c->socket_device;
    d->is_pipe = d->known && S_ISFIFO(d->id.mode) && d->id.device == c->pipe_device;
    d->now.fd = d->fd;
    d->now.id = proc_file_hash(c, &d->id);
    return 0;
}

/* Is the name the same because the id is? */
static bool id_says_all(const struct proc_context *c, const struct descriptor *d)
{
    if (d->is_socket || d->is_pipe) {
        return true;
    }
    return d->known && d->id.device != c->anon_device && (d->id.mode & S_IFMT) != 0 && d->id.mount != 0 &&
           (d->id.links <= 1 || S_ISDIR(d->id.mode));
}

/* Nothing of read and write: O_PATH, or an open of neither kind. */
static int read_path_only(struct proc_context *c, int task, uint32_t thread, struct descriptor *d)
{
    uint8_t text[512];
    char name[48];
    uint32_t flags;
    ssize_t n;

    if (thread != 0) {
        (void)snprintf(name, sizeof(name), "task/%u/fdinfo/%u", thread, d->fd);
    } else {
        (void)snprintf(name, sizeof(name), "fdinfo/%u", d->fd);
    }
    n = proc_read(c->t, task, name, text, sizeof(text));
    if (n == PROC_LEFT) {
        return PROC_LEFT;
    }
    if (n > 0 && proc_fdinfo_flags_parse(slice_of(text, (size_t)n), &flags) == 0 && flags & O_PATH) {
        d->access = REC_ACCESS_PATH;
    }
    return 0;
}

static int read_access(struct proc_context *c, const struct proc_target *x, const struct table *t, struct descriptor *d)
{
    uint32_t mode;
    int code;

    if (d->is_socket) {
        d->access = REC_ACCESS_READ | REC_ACCESS_WRITE;
        return 0;
    }
    code = proc_stat_link(c->t, t->fds, d->name, &mode);
    if (code == PROC_LEFT) {
        return PROC_LEFT;
    }
    d->access = 0;
    if (code != 0) {
        return code == -ENOENT || code == -ESRCH ? 1 : 0;
    }
    d->access = (mode & S_IRUSR ? REC_ACCESS_READ : 0) | (mode & S_IWUSR ? REC_ACCESS_WRITE : 0);
    return d->access != 0 ? 0 : read_path_only(c, t->thread != 0 ? x->dir : x->task, t->thread, d);
}

static int read_text(struct proc_context *c, const struct table *t, struct descriptor *d)
{
    ssize_t n;

    d->cut = false;
    if (d->is_socket || d->is_pipe) {
        n = snprintf((char *)d->synthetic, sizeof(d->synthetic), "%s:[%llu]", d->is_socket ? "socket" : "pipe",
                     (unsigned long long)d->id.inode);
        d->text = slice_of(d->synthetic, (size_t)n);
        return 0;
    }
    n = proc_readlink(c->t, t->fds, d->name, c->r->link, sizeof(c->r->link));
    if (n == PROC_LEFT) {
        return PROC_LEFT;
    }
    if (n == -ENOENT || n == -ESRCH) {
        return 1;
    }
    d->cut = n == -ENAMETOOLONG || n > (ssize_t)REC_PATH_MAX;
    d->text = slice_of(c->r->link, n < 0 ? 0 : d->cut ? REC_PATH_MAX : (size_t)n);
    return 0;
}

static uint64_t kind_of(const struct descriptor *d, enum proc_link link)
{
    if (link == PROC_LINK_ANON) {
        return REC_FILE_ANONYMOUS;
    }
    if (!d->known) {
        return link == PROC_LINK_SOCKET ? REC_FILE_SOCKET : link == PROC_LINK_PIPE ? REC_FILE_FIFO : REC_FILE_UNKNOWN;
    }
    switch (d->id.mode & S_IFMT) {
    case S_IFREG:
        return REC_FILE_REGULAR;
    case S_IFDIR:
        return REC_FILE_DIRECTORY;
    case S_IFCHR:
        return REC_FILE_CHARACTER;
    case S_IFBLK:
        return REC_FILE_BLOCK;
    case S_IFIFO:
        return REC_FILE_FIFO;
    case S_IFSOCK:
        return REC_FILE_SOCKET;
    case S_IFLNK:
        return REC_FILE_SYMLINK;
    default:
        return REC_FILE_UNKNOWN;
    }
}

static int deliver_file(struct proc_context *c, const struct proc_target *x, const struct table *t,
                        struct descriptor *d)
{
    uint64_t inode;
    enum proc_link link = proc_link_parse(d->text, &inode);
    struct rec_file f = { .pid = x->process->pid,
                          .start_jiffies = x->process->start_jiffies,
                          .thread = t->thread,
                          .fd = d->fd,
                          .path = d->text,
                          .path_cut = d->cut,
                          .kind = kind_of(d, link),
                          .access_mode = d->access,
                          .device = d->id.device,
                          .inode = d->known ? d->id.inode : inode };
    bool deleted = false;
    int code = proc_files_deleted(c, x->task, &d->id, &f.path, &deleted);

    if (code != 0) {
        return code;
    }
    f.deleted = deleted;
    c->sink->file(c->ctx, &f);
    return 0;
}

/* 0: all of d was read, of one and the same file. 1: no such descriptor. 2: it changed meanwhile. PROC_LEFT. */
static int read_all(struct proc_context *c, const struct proc_target *x, const struct table *t, struct descriptor *d,
                    const struct gate_file *old)
{
    struct descriptor after = { .fd = d->fd };
    int code;

    if ((code = read_text(c, t, d)) != 0 || (code = read_access(c, x, t, d)) != 0) {
        return code;
    }
    d->now.text = ((uint32_t)siphash24(c->key, d->text) & ~ACCESS_BITS) | (uint32_t)d->access;
    if (d->is_socket || (old && old->id == d->now.id && old->text == d->now.text)) {
        return 0;
    }
    memcpy(after.name, d->name, sizeof(after.name));
    if ((code = read_id(c, t, &after)) != 0) {
        return code;
    }
    return after.known == d->known && after.id.device == d->id.device && after.id.inode == d->id.inode &&
                   (after.id.mode & S_IFMT) == (d->id.mode & S_IFMT)
               ? 0
               : 2;
}

/* 0: delivered or held, and d->now is what to keep. 1: not there. 2: torn. PROC_LEFT. */
static int read_file(struct proc_context *c, struct gate_entry *e, const struct proc_target *x, struct table *t,
                     struct descriptor *d)
{
    const struct gate_file *old = c->sink->file_held && x->why != LOOK_WHY_FULL ? old_file(t, d->fd) : NULL;
    bool verify = x->why == LOOK_WHY_RECONCILE || (e->readings + d->fd) % VERIFY_EVERY == 0;
    int code = 2;

    for (int tries = 0; code == 2 && tries < TRIES; tries++) {
        if ((code = read_id(c, t, d)) != 0) {
            return code;
        }
        if (old && old->id == d->now.id && !verify && id_says_all(c, d) &&
            c->sink->file_held(c->ctx, t->thread, d->fd)) {
            d->now = *old;
            return 0;
        }
        code = read_all(c, x, t, d, old);
    }
    if (code != 0) {
        return code;
    }
    if (old && old->id == d->now.id && old->text == d->now.text && c->sink->file_held(c->ctx, t->thread, d->fd)) {
        return 0;
    }
    return deliver_file(c, x, t, d);
}

static int keep(struct proc_reader *r, struct table *t, const struct gate_file *file)
{
    if (t->count == r->files_room) {
        size_t room = r->files_room ? r->files_room * 2 : 64;
        struct gate_file *bigger = realloc(r->files, room * sizeof(*bigger));

        if (!bigger) {
            return POFR_ENOMEM;
        }
        r->files = bigger;
        r->files_room = room;
    }
    r->files[t->count++] = *file;
    return 0;
}

/* One block of the listing. *out_next: where to go on when the slice is full, else 0. */
static int read_block(struct proc_context *c, struct gate_entry *e, const struct proc_target *x, struct table *t,
                      struct slice text, uint32_t *out_next)
{
    struct descriptor d;

    while (proc_dirent_next(&text, &d.fd)) {
        int code;

        if (t->count >= c->files_slice) {
            *out_next = d.fd;
            return 0;
        }
        (void)snprintf(d.name, sizeof(d.name), "%u", d.fd);
        code = read_file(c, e, x, t, &d);
        if (code == 2) {
            c->result->torn++;
        } else if (code == 0) {
            c->result->files++;
            code = keep(c->r, t, &d.now);
        }
        if (code < 0) {
            return code;
        }
    }
    return 0;
}

/* Every descriptor from where the listing stands. */
static int list_files(struct proc_context *c, struct gate_entry *e, const struct proc_target *x, struct table *t,
                      uint32_t *out_next)
{
    ssize_t n = 0;
    int code = 0;

    while (code == 0 && *out_next == 0 && (n = proc_getdents(c->t, t->fds, c->r->dents, sizeof(c->r->dents))) > 0) {
        code = read_block(c, e, x, t, slice_of(c->r->dents, (size_t)n), out_next);
    }
    return n == PROC_LEFT ? PROC_LEFT : code;
}

/*
 * The descriptors that are known, one by one. 0: these are all there are; t has them. 1: not known so, list them.
 * PROC_LEFT or POFR_ENOMEM.
 */
static int read_known(struct proc_context *c, struct gate_entry *e, const struct proc_target *x, struct table *t)
{
    struct descriptor d;
    struct stat st;

    if (!t->old || t->old->more || t->old->count == 0 || fstat(t->fds, &st) != 0 ||
        st.st_size != (off_t)t->old->count) {
        return 1;
    }
    for (uint32_t i = 0; i < t->old->count; i++) {
        int code;

        d.fd = t->old->files[i].fd;
        (void)snprintf(d.name, sizeof(d.name), "%u", d.fd);
        code = read_file(c, e, x, t, &d);
        if (code == 0) {
            code = keep(c->r, t, &d.now);
        }
        if (code != 0) { /* one was closed, so another was opened */
            t->count = 0;
            t->old_at = 0;
            return code < 0 ? code : 1;
        }
    }
    c->result->files += t->count;
    return 0;
}

/* One table, or a slice of it; fds is its open directory. */
static int read_table(struct proc_context *c, struct gate_entry *e, const struct proc_target *x, int fds,
                      uint32_t thread)
{
    struct table t = { .fds = fds, .thread = thread, .old = gate_table(e, thread) };
    uint32_t from = t.old && t.old->more ? t.old->from : 0, next = 0;
    bool stale = t.old && t.old->more && (t.old->stale || (from > 0 && (e->moved || e->group_moved)));
    struct gate_table *kept;
    int code;

    c->step = PROC_STEP_FILES;
    if (from > 0 &&
        lseek(fds, (off_t)from + 2, SEEK_SET) < 0) { /* after "." and "..", descriptors stand at their number */
        from = 0;
    }
    code = read_known(c, e, x, &t);
    if (code > 0) {
        code = list_files(c, e, x, &t, &next);
    }
    if (code < 0) {
        return code;
    }
    c->step = PROC_STEP_OTHER;
    c->sink->files_end(c->ctx, thread, from, next > 0 ? next - 1 : UINT32_MAX);
    code = gate_set_files(e, thread, c->r->files, t.count, from, next > 0 ? next - 1 : UINT32_MAX);
    if ((kept = gate_table(e, thread)) != NULL) {
        kept->from = next;
        kept->more = next > 0 || stale;
        kept->stale = stale && next > 0;
        c->result->sliced += kept->more;
    }
    return code;
}

#define THREAD_TABLES_MAX 256u

/* Is tid's table that of a thread known already? PROC_LEFT, or 0 and *out. */
static int shares_with_known(struct proc_context *c, const struct gate_entry *e, uint32_t tid, bool *out)
{
    unsigned count = 0;

    *out = false;
    for (const struct gate_table *k = e->tables; k && !*out; k = k->next) {
        int order;

        count++;
        if (k->thread == 0) {
            continue;
        }
        order = k->thread == tid ? 0 : proc_kcmp_files(c->t, k->thread, tid);
        if (order == PROC_LEFT) {
            return PROC_LEFT;
        }
        *out = order == 0;
    }
    *out = *out || count > THREAD_TABLES_MAX;
    return 0;
}

/* Compare one thread's table with the process's; one of its own gets an (empty) table in e. */
static int check_thread(struct proc_context *c, struct gate_entry *e, const struct proc_target *x, uint32_t tid)
{
    bool known;
    int order, code;

    c->thread_checks--;
    order = proc_kcmp_files(c->t, x->task_id, tid);
    if (order == PROC_LEFT) {
        return PROC_LEFT;
    }
    if (order == -ENOSYS || order == -EPERM || order == -EACCES) {
        /* One that we may not look at refuses for itself; only where we can't be compared either, there is none. */
        int self = proc_kcmp_files(c->t, (uint32_t)getpid(), (uint32_t)getpid());

        if (self == PROC_LEFT) {
            return PROC_LEFT;
        }
        c->no_kcmp = self != 0;
    }
    if (order <= 0) {
        return 0;
    }
    if ((code = shares_with_known(c, e, tid, &known)) != 0 || known) {
        return code;
    }
    return gate_set_files(e, tid, NULL, 0, 0, UINT32_MAX);
}

static int check_threads(struct proc_context *c, struct gate_entry *e, const struct proc_target *x)
{
    int tasks = proc_open(c->t, x->dir, "task", O_RDONLY | O_DIRECTORY);
    uint32_t from = e->threads_pending ? e->thread_from : 0, tid;
    ssize_t n = 0;
    int code = 0;

    if (tasks < 0) {
        return tasks == PROC_LEFT ? PROC_LEFT : 0;
    }
    e->threads_pending = false;
    while (code == 0 && !e->threads_pending && (n = proc_getdents(c->t, tasks, c->r->dents, sizeof(c->r->dents))) > 0) {
        struct slice text = slice_of(c->r->dents, (size_t)n);

        while (code == 0 && proc_dirent_next(&text, &tid)) {
            if (tid < from || tid == x->task_id || c->no_kcmp) {
                continue;
            }
            if (c->thread_checks == 0) {
                e->threads_pending = true;
                e->thread_from = tid;
                break;
            }
            code = check_thread(c, e, x, tid);
        }
    }
    (void)close(tasks); /* was only read */
    if (code == 0 && n == PROC_LEFT) {
        code = PROC_LEFT;
    }
    if (code == 0) {
        c->result->threads_pending += e->threads_pending;
    }
    return code;
}

/* The tables that threads have for themselves. */
static int read_thread_tables(struct proc_context *c, struct gate_entry *e, const struct proc_target *x)
{
    uint32_t tids[THREAD_TABLES_MAX + 1];
    unsigned count = 0;
    int code = 0;

    for (const struct gate_table *k = e->tables; k && count < THREAD_TABLES_MAX; k = k->next) {
        if (k->thread != 0) {
            tids[count++] = k->thread;
        }
    }
    for (unsigned i = 0; i < count && code == 0; i++) {
        char name[32];
        int fds;

        (void)snprintf(name, sizeof(name), "task/%u/fd", tids[i]);
        fds = proc_open(c->t, x->dir, name, O_RDONLY | O_DIRECTORY);
        if (fds == PROC_LEFT) {
            return PROC_LEFT;
        }
        if (fds < 0) {
            gate_drop_table(e, tids[i]);
            continue;
        }
        code = read_table(c, e, x, fds, tids[i]);
        (void)close(fds); /* was only read */
    }
    return code;
}

int proc_files_read(struct proc_context *c, struct gate_entry *e, const struct proc_target *x)
{
    bool compare = x->threads_changed || (x->why != LOOK_WHY_CLOCK && x->why != LOOK_WHY_GROUP);
    int code = read_table(c, e, x, x->fds, 0);

    if (code == 0 && e->threads > 1 && (compare || e->threads_pending)) {
        code = check_threads(c, e, x);
    }
    if (code == 0 && e->tables && (e->tables->next || e->tables->thread != 0)) {
        code = read_thread_tables(c, e, x);
    }
    return code;
}
