/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/look/bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/check.h"
#include "tests/support/tmpdir.h"

void bench_begin_with(struct bench *b, struct look_proc_conf conf)
{
    model_init(&b->m);
    b->conf = conf;
    b->l = NULL;
    (void)snprintf(b->dir, sizeof(b->dir), "/tmp/pofr-files-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
}

void bench_begin(struct bench *b)
{
    bench_begin_with(b, (struct look_proc_conf){ 0 });
}

void bench_end(struct bench *b)
{
    look_proc_free(b->l);
    model_fini(&b->m);
    tmpdir_remove(b->dir);
}

void bench_look_asking(struct bench *b, struct look_ask ask)
{
    if (!b->l) {
        b->conf.root = b->m.root;
        assert_int_equal(look_proc_new(&b->conf, &b->l, NULL), 0);
    }
    model_look(&b->m, b->l, ask);
}

void bench_look(struct bench *b)
{
    bench_look_asking(b, (struct look_ask){ .list = true, .reconcile_part = 1000000 });
}

void bench_reconcile_all(struct bench *b)
{
    bench_look_asking(b, (struct look_ask){ .list = true, .reconcile_part = 1 });
}

void bench_watch(struct bench *b, const struct child *c)
{
    child_expect(c, 'r');
    wait_asleep(c->pid);
    model_add(&b->m, c->pid);
}

void bench_put(int fd, int at)
{
    if (fd < 0 || dup2(fd, at) < 0) {
        _exit(97);
    }
    (void)close(fd);
}

int bench_open(const struct bench *b, const char *name, int flags)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", b->dir, name);
    return open(path, flags | O_CLOEXEC, 0600);
}

void bench_unlink(const struct bench *b, const char *name)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", b->dir, name);
    (void)unlink(path);
}

void bench_rename(const struct bench *b, const char *from, const char *to)
{
    char old[128], new[128];

    (void)snprintf(old, sizeof(old), "%s/%s", b->dir, from);
    (void)snprintf(new, sizeof(new), "%s/%s", b->dir, to);
    assert_int_equal(rename(old, new), 0);
}

void bench_check_file(struct bench *b, pid_t pid, uint32_t fd, uint64_t kind, uint64_t access, uint64_t deleted,
                      const char *name)
{
    struct model_file *f = model_file(&b->m, pid, 0, fd);
    char path[256];

    assert_non_null(f);
    assert_int_equal(f->f.kind, kind);
    assert_int_equal(f->f.access_mode, access);
    assert_int_equal(f->f.deleted, deleted);
    if (name) {
        (void)snprintf(path, sizeof(path), "%s%s%s", name[0] == '/' ? "" : b->dir,
                       name[0] == '/' || !name[0] ? "" : "/", name);
        assert_slice_str(f->f.path, path);
    }
}

int bench_opener(int fd, void *arg)
{
    struct bench *b = arg;

    bench_put(bench_open(b, "old", O_RDONLY | O_CREAT), 50);
    child_say(fd, 'r');
    (void)child_hear(fd);
    bench_put(bench_open(b, "new", O_RDONLY | O_CREAT), 51);
    child_say(fd, 'r');
    (void)child_hear(fd);
    (void)close(51);
    bench_put(bench_open(b, "other", O_RDONLY | O_CREAT), 50);
    child_say(fd, 'r');
    return child_hear(fd);
}
