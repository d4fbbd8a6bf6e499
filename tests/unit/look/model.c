/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/look/model.h"

#include "tests/support/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/look/parse_proc.h"

static struct slice dup_slice(struct slice s)
{
    uint8_t *copy = malloc(s.len + 1);

    assert_non_null(copy);
    if (s.len > 0) {
        memcpy(copy, s.data, s.len);
    }
    copy[s.len] = '\0';
    return slice_of(copy, s.len);
}

static void free_slice(struct slice s)
{
    free((void *)(uintptr_t)s.data);
}

#define EACH_TEXT(FN, a) FN((a).command), FN((a).exe), FN((a).arguments), FN((a).cwd), FN((a).cgroup), FN((a).container)

static void drop_process(struct model *m, size_t i)
{
    struct model_process *p = &m->processes[i];

    EACH_TEXT(free_slice, p->p);
    for (size_t k = 0; k < m->file_count;) {
        if (m->files[k].f.pid == p->p.pid) {
            free_slice(m->files[k].f.path);
            m->files[k] = m->files[--m->file_count];
        } else {
            k++;
        }
    }
    *p = m->processes[--m->process_count];
}

void model_init(struct model *m)
{
    *m = (struct model){ .now_us = 1000000 };
    m->files = calloc(MODEL_FILES, sizeof(m->files[0]));
    assert_non_null(m->files);
    (void)snprintf(m->root, sizeof(m->root), "/tmp/pofr-look-XXXXXX");
    assert_non_null(mkdtemp(m->root));
}

void model_fini(struct model *m)
{
    DIR *d = opendir(m->root);
    struct dirent *entry;

    while (m->process_count > 0) {
        drop_process(m, 0);
    }
    free(m->files);
    assert_non_null(d);
    while ((entry = readdir(d)) != NULL) {
        (void)unlinkat(dirfd(d), entry->d_name, 0);
    }
    (void)closedir(d);
    assert_int_equal(rmdir(m->root), 0);
}

void model_add(struct model *m, pid_t pid)
{
    char link[128], target[64];

    (void)snprintf(link, sizeof(link), "%s/%d", m->root, pid);
    (void)snprintf(target, sizeof(target), "/proc/%d", pid);
    assert_int_equal(symlink(target, link), 0);
}

void model_remove(struct model *m, pid_t pid)
{
    char link[128];

    (void)snprintf(link, sizeof(link), "%s/%d", m->root, pid);
    assert_int_equal(unlink(link), 0);
}

struct model_process *model_process(struct model *m, pid_t pid)
{
    for (size_t i = 0; i < m->process_count; i++) {
        if (m->processes[i].p.pid == (uint64_t)pid) {
            return &m->processes[i];
        }
    }
    return NULL;
}

struct model_file *model_file(struct model *m, pid_t pid, uint32_t thread, uint32_t fd)
{
    for (size_t i = 0; i < m->file_count; i++) {
        struct rec_file *f = &m->files[i].f;

        if (f->pid == (uint64_t)pid && f->thread == thread && f->fd == fd) {
            return &m->files[i];
        }
    }
    return NULL;
}

size_t model_files_of(struct model *m, pid_t pid, uint32_t thread)
{
    size_t count = 0;

    for (size_t i = 0; i < m->file_count; i++) {
        count += m->files[i].f.pid == (uint64_t)pid && m->files[i].f.thread == thread;
    }
    return count;
}

static bool on_held(void *ctx, uint32_t pid, uint64_t start_jiffies)
{
    struct model_process *p = model_process(ctx, (pid_t)pid);

    if (!p || p->p.start_jiffies != start_jiffies) {
        return false;
    }
    p->marked = true;
    p->held++;
    return true;
}

static void begin_process(struct model *m, struct model_process *p, const struct look_how *how)
{
    p->marked = true;
    p->how = *how;
    m->pid = (uint32_t)p->p.pid;
    m->ended_count = 0;
    for (size_t i = 0; i < m->file_count; i++) {
        if (m->files[i].f.pid == p->p.pid) {
            m->files[i].marked = false;
        }
    }
}

static void on_process(void *ctx, const struct rec_process *r, const struct look_how *how)
{
    struct model *m = ctx;
    struct model_process *p = model_process(m, (pid_t)r->pid);

    if (p && p->p.start_jiffies != r->start_jiffies) {
        drop_process(m, (size_t)(p - m->processes));
        p = NULL;
    }
    if (!p) {
        assert_true(m->process_count < sizeof(m->processes) / sizeof(m->processes[0]));
        p = &m->processes[m->process_count++];
        *p = (struct model_process){ .marked = true };
    } else {
        EACH_TEXT(free_slice, p->p);
    }
    p->p = *r;
    p->p.command = dup_slice(r->command);
    p->p.exe = dup_slice(r->exe);
    p->p.arguments = dup_slice(r->arguments);
    p->p.cwd = dup_slice(r->cwd);
    p->p.cgroup = dup_slice(r->cgroup);
    p->p.container = dup_slice(r->container);
    p->delivered++;
    begin_process(m, p, how);
}

static bool on_process_held(void *ctx, uint32_t pid, uint64_t start_jiffies, const struct look_how *how)
{
    struct model *m = ctx;
    struct model_process *p = model_process(m, (pid_t)pid);

    if (!p || p->p.start_jiffies != start_jiffies) {
        return false;
    }
    p->attributes_held++;
    begin_process(m, p, how);
    return true;
}

static bool on_file_held(void *ctx, uint32_t thread, uint32_t fd)
{
    struct model *m = ctx;
    struct model_file *f = model_file(m, (pid_t)m->pid, thread, fd);

    if (!f) {
        return false;
    }
    f->marked = true;
    f->held++;
    return true;
}

static void on_file(void *ctx, const struct rec_file *r)
{
    struct model *m = ctx;
    struct model_file *f = model_file(m, (pid_t)r->pid, (uint32_t)r->thread, (uint32_t)r->fd);

    assert_int_equal(r->pid, m->pid);
    if (!f) {
        assert_true(m->file_count < MODEL_FILES);
        f = &m->files[m->file_count++];
        *f = (struct model_file){ .marked = true };
    } else {
        free_slice(f->f.path);
    }
    f->f = *r;
    f->f.path = dup_slice(r->path);
    f->marked = true;
    f->delivered++;
}

static void drop_files(struct model *m, uint32_t thread, uint32_t low, uint32_t high)
{
    for (size_t i = 0; i < m->file_count;) {
        const struct rec_file *f = &m->files[i].f;

        if (f->pid == m->pid && f->thread == thread && f->fd >= low && f->fd <= high && !m->files[i].marked) {
            free_slice(f->path);
            m->files[i] = m->files[--m->file_count];
        } else {
            i++;
        }
    }
}

static void on_files_end(void *ctx, uint32_t thread, uint32_t low, uint32_t high)
{
    struct model *m = ctx;

    if (m->ranges < 64) {
        m->low_high[m->ranges][0] = low;
        m->low_high[m->ranges++][1] = high;
    }
    if (thread != 0 && m->ended_count < 16) {
        m->ended_threads[m->ended_count++] = thread;
    }
    drop_files(m, thread, low, high);
}

static void on_process_end(void *ctx, const struct look_how *how)
{
    struct model *m = ctx;
    struct model_process *p = model_process(m, (pid_t)m->pid);

    assert_non_null(p);
    p->how = *how;
    p->ended_whole += how->whole;
    p->ended_torn += !how->whole;
    if (!how->whole) {
        p->marked = !how->gone;
        return;
    }
    for (size_t i = 0; i < m->file_count;) { /* tables of threads that were not named */
        const struct rec_file *f = &m->files[i].f;
        bool named = f->thread == 0 || f->pid != m->pid;

        for (size_t k = 0; k < m->ended_count; k++) {
            named = named || f->thread == m->ended_threads[k];
        }
        if (!named) {
            free_slice(f->path);
            m->files[i] = m->files[--m->file_count];
        } else {
            i++;
        }
    }
}

static void on_blocked(void *ctx, uint32_t pid, uint64_t start_jiffies)
{
    struct model_process *p = model_process(ctx, (pid_t)pid);

    (void)start_jiffies;
    if (p) {
        p->marked = true;
        p->blocked++;
    }
}

void model_look(struct model *m, struct look_proc *l, struct look_ask ask)
{
    static const struct look_sink sink = { on_held, on_process,   on_process_held, on_file_held,
                                           on_file, on_files_end, on_process_end,  on_blocked };
    struct pofr_err err = { .code = 0 };

    m->now_us += 300000;
    m->ranges = 0;
    ask.now_us = m->now_us;
    for (size_t i = 0; i < m->process_count; i++) {
        m->processes[i].marked = false;
    }
    assert_int_equal(look_proc_run(l, &ask, &sink, m, &m->result, &err), 0);
    assert_true(m->result.complete);
    for (size_t i = 0; i < m->process_count;) {
        if (m->processes[i].marked || m->processes[i].how.zombie) {
            i++;
        } else {
            drop_process(m, i);
        }
    }
}

static void naive_file(struct model *m, pid_t pid, const char *dir, const char *name)
{
    char link[512], text[8192];
    struct stat target, own;
    struct model_file *f = model_file(m, pid, 0, (uint32_t)strtoul(name, NULL, 10));
    ssize_t len;

    (void)snprintf(link, sizeof(link), "%s/%s", dir, name);
    len = readlink(link, text, sizeof(text) - 1);
    assert_true(len > 0);
    text[len] = '\0';
    assert_int_equal(stat(link, &target), 0);
    assert_int_equal(lstat(link, &own), 0);
    assert_non_null(f);
    if (f->f.deleted) {
        assert_string_equal(text + len - 10, " (deleted)");
        text[len - 10] = '\0';
    }
    assert_slice_str(f->f.path, text);
    assert_true(f->f.inode == target.st_ino);
    assert_true(f->f.device == ((uint64_t)major(target.st_dev) << 32 | minor(target.st_dev)));
    assert_int_equal(f->f.access_mode & 3, (own.st_mode & S_IRUSR ? 1 : 0) | (own.st_mode & S_IWUSR ? 2 : 0));
}

void model_equals_naive(struct model *m, pid_t pid)
{
    char dir[64];
    size_t count = 0;
    struct dirent *entry;
    DIR *d;

    (void)snprintf(dir, sizeof(dir), "/proc/%d/fd", pid);
    d = opendir(dir);
    assert_non_null(d);
    while ((entry = readdir(d)) != NULL) {
        if (entry->d_name[0] != '.') {
            naive_file(m, pid, dir, entry->d_name);
            count++;
        }
    }
    (void)closedir(d);
    assert_int_equal(model_files_of(m, pid, 0), count);
}

struct child child_start(child_fn fn, void *arg)
{
    int ends[2];
    struct child c;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    c.pid = fork();
    assert_true(c.pid >= 0);
    if (c.pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)close(ends[0]);
        _exit(fn(ends[1], arg));
    }
    (void)close(ends[1]);
    c.fd = ends[0];
    return c;
}

void child_expect(const struct child *c, char byte)
{
    char got = 0;

    assert_int_equal(read(c->fd, &got, 1), 1);
    assert_int_equal(got, byte);
}

void child_tell(const struct child *c, char byte)
{
    assert_int_equal(write(c->fd, &byte, 1), 1);
}

void child_end(struct child *c)
{
    (void)kill(c->pid, SIGKILL);
    (void)waitpid(c->pid, NULL, 0);
    (void)close(c->fd);
}

void child_say(int fd, char byte)
{
    if (write(fd, &byte, 1) != 1) {
        _exit(99);
    }
}

char child_hear(int fd)
{
    char got = 0;

    if (read(fd, &got, 1) != 1) {
        _exit(98);
    }
    return got;
}

/* Is every thread asleep (or dead)? */
static bool all_asleep(pid_t pid)
{
    char name[300], text[1024];
    bool asleep = true;
    struct dirent *entry;
    DIR *d;

    (void)snprintf(name, sizeof(name), "/proc/%d/task", pid);
    d = opendir(name);
    assert_non_null(d);
    while ((entry = readdir(d)) != NULL) {
        struct proc_stat s;
        ssize_t n;
        int fd;

        if (entry->d_name[0] == '.') {
            continue;
        }
        (void)snprintf(name, sizeof(name), "%s/stat", entry->d_name);
        fd = openat(dirfd(d), name, O_RDONLY | O_CLOEXEC);
        n = fd >= 0 ? read(fd, text, sizeof(text)) : -1;
        if (fd >= 0) {
            (void)close(fd);
        }
        asleep = asleep &&
                 (n < 0 || (proc_stat_parse(slice_of(text, (size_t)n), &s) == 0 && (s.state == 'S' || s.state == 'Z')));
    }
    (void)closedir(d);
    return asleep;
}

void wait_asleep(pid_t pid)
{
    while (!all_asleep(pid)) {
        (void)sched_yield();
    }
}
