/* SPDX-License-Identifier: GPL-2.0-or-later */
/* System calls of the look that hang, or that find the process gone: statx() and readlinkat() are the test's. */
#include "agent/look/look_proc.h"

#include "tests/support/check.h"
#include "tests/unit/look/model.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/compiler.h"

int __real_statx(int dir, const char *name, int flags, unsigned mask, struct statx *out);
ssize_t __real_readlinkat(int dir, const char *name, char *out, size_t room);
int __wrap_statx(int dir, const char *name, int flags, unsigned mask, struct statx *out);
ssize_t __wrap_readlinkat(int dir, const char *name, char *out, size_t room);

/* What happens at the name, once per number in `times`. A thread that an earlier test left behind may still come by. */
struct hook {
    const char *name;
    int times;
    int release_fd; /* it hangs until this can be read; -1: it does not */
    pid_t kill;     /* 0: nobody */
};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* protects hook, hanging */
static pthread_cond_t nobody_hangs = PTHREAD_COND_INITIALIZER;
static struct hook hook = { .release_fd = -1 };
static unsigned hanging;
static int release_fd = -1;

static void hook_set(const struct hook *wanted)
{
    assert_int_equal(pthread_mutex_lock(&lock), 0);
    hook = *wanted;
    assert_int_equal(pthread_mutex_unlock(&lock), 0);
}

static void reached(const char *name)
{
    struct hook h = { .release_fd = -1 };
    uint64_t one;

    (void)pthread_mutex_lock(&lock);
    if (hook.name && strcmp(name, hook.name) == 0 && hook.times > 0) {
        hook.times--;
        h = hook;
        hanging += h.release_fd >= 0;
    }
    (void)pthread_mutex_unlock(&lock);
    if (h.kill) {
        (void)kill(h.kill, SIGKILL);
        (void)waitpid(h.kill, NULL, 0);
    }
    if (h.release_fd >= 0) {
        if (read(h.release_fd, &one, sizeof(one)) != sizeof(one)) {
            _exit(90);
        }
        (void)pthread_mutex_lock(&lock);
        hanging--;
        (void)pthread_cond_broadcast(&nobody_hangs);
        (void)pthread_mutex_unlock(&lock);
    }
}

int __wrap_statx(int dir, const char *name, int flags, unsigned mask, struct statx *out)
{
    reached(name);
    return __real_statx(dir, name, flags, mask, out);
}

ssize_t __wrap_readlinkat(int dir, const char *name, char *out, size_t room)
{
    reached(name);
    return __real_readlinkat(dir, name, out, room);
}

static void hook_hang(const char *name, int times)
{
    release_fd = eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC);
    assert_true(release_fd >= 0);
    hook_set(&(struct hook){ .name = name, .times = times, .release_fd = release_fd });
}

static void hook_kill(const char *name, struct child *c)
{
    hook_set(&(struct hook){ .name = name, .times = 1, .release_fd = -1, .kill = c->pid });
}

static void release(uint64_t threads)
{
    assert_int_equal(write(release_fd, &threads, sizeof(threads)), sizeof(threads));
}

/* Those that were let go may still read the descriptor: it is closed behind the last of them. */
static void hook_end(void)
{
    struct timespec end;

    assert_int_equal(clock_gettime(CLOCK_REALTIME, &end), 0);
    end.tv_sec += 30;
    assert_int_equal(pthread_mutex_lock(&lock), 0);
    hook = (struct hook){ .release_fd = -1 };
    while (hanging > 0) {
        assert_int_equal(pthread_cond_timedwait(&nobody_hangs, &lock, &end), 0);
    }
    assert_int_equal(pthread_mutex_unlock(&lock), 0);
    (void)close(release_fd);
    release_fd = -1;
}

static int sleeps_with_a_file(int fd, void *arg)
{
    (void)arg;
    if (dup2(open("/etc/passwd", O_RDONLY | O_CLOEXEC), 150) != 150) {
        return 1;
    }
    child_say(fd, 'r');
    return child_hear(fd);
}

static int sleeps(int fd, void *arg)
{
    (void)arg;
    child_say(fd, 'r');
    return child_hear(fd);
}

static struct child start(struct model *m, child_fn fn)
{
    struct child c = child_start(fn, NULL);

    child_expect(&c, 'r');
    wait_asleep(c.pid);
    model_add(m, c.pid);
    return c;
}

static struct look_proc *new_look(struct model *m, uint32_t left_behind_max)
{
    struct look_proc_conf conf = { .root = m->root, .watchdog_ms = 200, .left_behind_max = left_behind_max };
    struct look_proc *l = NULL;

    assert_int_equal(look_proc_new(&conf, &l, NULL), 0);
    return l;
}

static const struct look_ask listing = { .list = true, .reconcile_part = 1000000 };

/* Looks until the threads that were released have come back. */
static void look_until_back(struct model *m, struct look_proc *l)
{
    do {
        (void)sched_yield();
        model_look(m, l, listing);
    } while (m->result.left_behind > 0);
}

static void a_reading_that_hangs_is_left_behind_and_the_others_are_read(void **state)
{
    struct model m;
    struct child a, b;
    struct look_proc *l;

    (void)state;
    model_init(&m);
    a = start(&m, sleeps_with_a_file);
    b = start(&m, sleeps);
    l = new_look(&m, 8);
    hook_hang("150", 1);
    model_look(&m, l, listing);
    assert_int_equal(m.result.blocked, 1);
    assert_int_equal(m.result.left_behind, 1);
    assert_int_equal(model_process(&m, a.pid)->blocked, 1);
    assert_int_equal(model_process(&m, a.pid)->ended_torn, 1);
    assert_false(model_process(&m, a.pid)->how.gone);
    assert_int_equal(model_process(&m, b.pid)->ended_whole, 1);
    model_equals_naive(&m, b.pid);

    /* what hung is not asked again; the rest is */
    model_look(&m, l, listing);
    assert_int_equal(m.result.blocked, 1);
    assert_int_equal(m.result.left_behind, 1);
    assert_int_equal(model_process(&m, a.pid)->ended_whole, 1);
    assert_true(model_process(&m, a.pid)->p.arguments.len > 0);
    assert_null(model_file(&m, a.pid, 0, 150));

    release(1);
    look_until_back(&m, l);
    assert_null(model_file(&m, a.pid, 0, 150)); /* for a minute yet */
    m.now_us += 120 * INT64_C(1000000);
    model_look(&m, l, (struct look_ask){ .list = true, .reconcile_part = 1 });
    assert_int_equal(m.result.blocked, 0);
    model_equals_naive(&m, a.pid);

    look_proc_free(l);
    child_end(&a);
    child_end(&b);
    model_fini(&m);
    hook_end();
}

static void arguments_and_program_that_hang_are_left_out(void **state)
{
    struct model m;
    struct child a;
    struct look_proc *l;

    (void)state;
    model_init(&m);
    a = start(&m, sleeps_with_a_file);
    l = new_look(&m, 8);
    hook_hang("exe", 1);
    model_look(&m, l, listing);
    assert_null(model_process(&m, a.pid)); /* nothing was delivered of it yet */
    assert_int_equal(m.result.blocked, 1);
    model_look(&m, l, listing);
    assert_int_equal(model_process(&m, a.pid)->p.unreadable, REC_UNREADABLE_EXE);
    assert_int_equal(m.result.blocked, 1);
    model_equals_naive(&m, a.pid);
    release(1);
    look_until_back(&m, l);
    look_proc_free(l);
    child_end(&a);
    model_fini(&m);
    hook_end();
}

static void no_sink(void *ctx, uint32_t pid, uint64_t start)
{
    (void)ctx;
    (void)pid;
    (void)start;
}

static bool hold(void *ctx, uint32_t pid, uint64_t start)
{
    (void)ctx;
    (void)pid;
    (void)start;
    return true;
}

static void take(void *ctx, const struct rec_process *p, const struct look_how *how)
{
    (void)ctx;
    (void)p;
    (void)how;
}

static void take_file(void *ctx, const struct rec_file *f)
{
    (void)ctx;
    (void)f;
}

static void take_end(void *ctx, uint32_t thread, uint32_t low, uint32_t high)
{
    (void)ctx;
    (void)thread;
    (void)low;
    (void)high;
}

static void take_process_end(void *ctx, const struct look_how *how)
{
    (void)ctx;
    (void)how;
}

static void no_more_threads_than_the_limit_are_left_behind(void **state)
{
    static const struct look_sink sink = { hold, take, NULL, NULL, take_file, take_end, take_process_end, no_sink };
    struct model m;
    struct child c[3];
    struct look_proc *l;
    struct look_result r;
    struct look_ask ask = { .list = true, .now_us = 1 };
    struct pofr_err err = { .code = 0 };

    (void)state;
    model_init(&m);
    for (int i = 0; i < 3; i++) {
        c[i] = start(&m, sleeps);
    }
    l = new_look(&m, 2);
    hook_hang("exe", 100);
    assert_int_equal(look_proc_run(l, &ask, &sink, NULL, &r, &err), 0);
    assert_false(r.complete);
    assert_int_equal(r.left_behind, 2);
    assert_int_equal(look_proc_run(l, &ask, &sink, NULL, &r, &err), POFR_EFULL);
    hook_set(&(struct hook){ .release_fd = -1 });
    release(2);
    while (look_proc_run(l, &ask, &sink, NULL, &r, &err) == POFR_EFULL) {
        (void)sched_yield();
    }
    assert_true(r.complete);
    assert_int_equal(r.processes, 3);
    look_proc_free(l);
    for (int i = 0; i < 3; i++) {
        child_end(&c[i]);
    }
    model_fini(&m);
    hook_end();
}

static void a_look_ends_after_some_that_hang_and_the_next_goes_on(void **state)
{
    static const struct look_sink sink = { hold, take, NULL, NULL, take_file, take_end, take_process_end, no_sink };
    struct model m;
    struct child c[4];
    struct look_proc *l;
    struct look_result r;
    struct look_ask ask = { .list = true, .now_us = 1 };
    struct pofr_err err = { .code = 0 };

    (void)state;
    model_init(&m);
    for (int i = 0; i < 4; i++) {
        c[i] = start(&m, sleeps);
    }
    l = new_look(&m, 8);
    hook_hang("exe", 3);
    assert_int_equal(look_proc_run(l, &ask, &sink, NULL, &r, &err), 0);
    assert_false(r.complete);
    assert_int_equal(r.left_behind, 2);
    assert_int_equal(look_proc_run(l, &ask, &sink, NULL, &r, &err), 0);
    assert_true(r.complete);
    assert_int_equal(r.left_behind, 3);
    release(3);
    look_proc_free(l);
    for (int i = 0; i < 4; i++) {
        child_end(&c[i]);
    }
    model_fini(&m);
    hook_end();
}

static void a_look_may_be_freed_while_threads_are_away(void **state)
{
    struct model m;
    struct child a;
    struct look_proc *l;

    (void)state;
    model_init(&m);
    a = start(&m, sleeps_with_a_file);
    l = new_look(&m, 8);
    hook_hang("150", 1);
    model_look(&m, l, listing);
    assert_int_equal(m.result.left_behind, 1);
    look_proc_free(l);
    release(1); /* it comes back, and finds nobody */
    child_end(&a);
    model_fini(&m);
    hook_end();
}

static void one_that_dies_before_it_is_delivered_was_not_there(void **state)
{
    struct model m;
    struct child a, b;
    struct look_proc *l;

    (void)state;
    model_init(&m);
    a = start(&m, sleeps_with_a_file);
    b = start(&m, sleeps);
    l = new_look(&m, 8);
    hook_kill("cwd", &a);
    model_look(&m, l, listing);
    assert_null(model_process(&m, a.pid));
    assert_int_equal(m.result.vanished, 1);
    assert_int_equal(model_process(&m, b.pid)->ended_whole, 1);
    look_proc_free(l);
    (void)close(a.fd);
    child_end(&b);
    model_fini(&m);
}

static void one_that_dies_while_its_files_are_read_is_not_whole(void **state)
{
    struct model m;
    struct child a;
    struct look_proc *l;

    (void)state;
    model_init(&m);
    a = start(&m, sleeps_with_a_file);
    l = new_look(&m, 8);
    model_look(&m, l, listing);
    assert_non_null(model_file(&m, a.pid, 0, 150));
    hook_kill("150", &a);
    model_look(&m, l, (struct look_ask){ .list = true, .full = true });
    assert_null(model_process(&m, a.pid)); /* gone, not without files */
    assert_int_equal(m.result.vanished, 1);
    model_look(&m, l, listing);
    assert_int_equal(m.result.processes, 0);
    look_proc_free(l);
    (void)close(a.fd);
    model_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reading_that_hangs_is_left_behind_and_the_others_are_read),
        cmocka_unit_test(arguments_and_program_that_hang_are_left_out),
        cmocka_unit_test(no_more_threads_than_the_limit_are_left_behind),
        cmocka_unit_test(a_look_ends_after_some_that_hang_and_the_next_goes_on),
        cmocka_unit_test(a_look_may_be_freed_while_threads_are_away),
        cmocka_unit_test(one_that_dies_before_it_is_delivered_was_not_there),
        cmocka_unit_test(one_that_dies_while_its_files_are_read_is_not_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
