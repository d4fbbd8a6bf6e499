/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/look/look_proc.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/look/proc_io.h"
#include "tests/support/check.h"
#include "tests/unit/look/bench.h"

enum {
    FD_READ = 100,
    FD_WRITE,
    FD_BOTH,
    FD_PATH,
    FD_DIR,
    FD_PIPE_R,
    FD_PIPE_W,
    FD_SOCKET,
    FD_EVENT,
    FD_MEM,
    FD_DELETED,
    FD_CALLED_DELETED,
    FD_LINK_GONE,
    FD_NULL,
    FD_TEMPORARY,
    FD_FIFO
};

static int every_kind(int fd, void *arg)
{
    const struct bench *b = arg;
    char from[128], to[128];
    int ends[2];

    bench_put(bench_open(b, "read", O_RDONLY | O_CREAT), FD_READ);
    bench_put(bench_open(b, "write", O_WRONLY | O_CREAT), FD_WRITE);
    bench_put(bench_open(b, "both", O_RDWR | O_CREAT), FD_BOTH);
    bench_put(bench_open(b, "both", O_PATH), FD_PATH);
    bench_put(bench_open(b, "", O_RDONLY | O_DIRECTORY), FD_DIR);
    if (pipe(ends) == 0) {
        bench_put(ends[0], FD_PIPE_R);
        bench_put(ends[1], FD_PIPE_W);
    }
    bench_put(socket(AF_INET, SOCK_DGRAM, 0), FD_SOCKET);
    bench_put(eventfd(0, 0), FD_EVENT);
    bench_put(memfd_create("a name", 0), FD_MEM);
    bench_put(bench_open(b, "gone", O_RDWR | O_CREAT), FD_DELETED);
    bench_unlink(b, "gone");
    bench_put(bench_open(b, "still here (deleted)", O_RDWR | O_CREAT), FD_CALLED_DELETED);
    bench_put(bench_open(b, "first", O_RDWR | O_CREAT), FD_LINK_GONE);
    (void)snprintf(from, sizeof(from), "%s/first", b->dir);
    (void)snprintf(to, sizeof(to), "%s/second", b->dir);
    if (link(from, to) != 0) {
        return 1;
    }
    bench_unlink(b, "first");
    bench_put(open("/dev/null", O_RDWR), FD_NULL);
    bench_put(bench_open(b, "", O_TMPFILE | O_RDWR), FD_TEMPORARY);
    (void)snprintf(to, sizeof(to), "%s/fifo", b->dir);
    (void)mkfifo(to, 0600);
    bench_put(bench_open(b, "fifo", O_RDWR), FD_FIFO);
    child_say(fd, 'r');
    return child_hear(fd);
}

static void every_kind_of_file_is_seen_as_it_is(void **state)
{
    struct bench b;
    struct child c;

    (void)state;
    bench_begin(&b);
    c = child_start(every_kind, &b);
    bench_watch(&b, &c);
    bench_look(&b);
    bench_check_file(&b, c.pid, FD_READ, REC_FILE_REGULAR, REC_ACCESS_READ, 0, "read");
    bench_check_file(&b, c.pid, FD_WRITE, REC_FILE_REGULAR, REC_ACCESS_WRITE, 0, "write");
    bench_check_file(&b, c.pid, FD_BOTH, REC_FILE_REGULAR, REC_ACCESS_READ | REC_ACCESS_WRITE, 0, "both");
    bench_check_file(&b, c.pid, FD_PATH, REC_FILE_REGULAR, REC_ACCESS_PATH, 0, "both");
    bench_check_file(&b, c.pid, FD_DIR, REC_FILE_DIRECTORY, REC_ACCESS_READ, 0, "");
    bench_check_file(&b, c.pid, FD_PIPE_R, REC_FILE_FIFO, REC_ACCESS_READ, 0, NULL);
    bench_check_file(&b, c.pid, FD_PIPE_W, REC_FILE_FIFO, REC_ACCESS_WRITE, 0, NULL);
    bench_check_file(&b, c.pid, FD_SOCKET, REC_FILE_SOCKET, REC_ACCESS_READ | REC_ACCESS_WRITE, 0, NULL);
    bench_check_file(&b, c.pid, FD_EVENT, REC_FILE_ANONYMOUS, REC_ACCESS_READ | REC_ACCESS_WRITE, 0, NULL);
    bench_check_file(&b, c.pid, FD_MEM, REC_FILE_REGULAR, REC_ACCESS_READ | REC_ACCESS_WRITE, 1, "/memfd:a name");
    bench_check_file(&b, c.pid, FD_DELETED, REC_FILE_REGULAR, REC_ACCESS_READ | REC_ACCESS_WRITE, 1, "gone");
    bench_check_file(&b, c.pid, FD_CALLED_DELETED, REC_FILE_REGULAR, REC_ACCESS_READ | REC_ACCESS_WRITE, 0,
                     "still here (deleted)");
    bench_check_file(&b, c.pid, FD_LINK_GONE, REC_FILE_REGULAR, REC_ACCESS_READ | REC_ACCESS_WRITE, 1, "first");
    bench_check_file(&b, c.pid, FD_NULL, REC_FILE_CHARACTER, REC_ACCESS_READ | REC_ACCESS_WRITE, 0, "/dev/null");
    bench_check_file(&b, c.pid, FD_TEMPORARY, REC_FILE_REGULAR, REC_ACCESS_READ | REC_ACCESS_WRITE, 1, NULL);
    bench_check_file(&b, c.pid, FD_FIFO, REC_FILE_FIFO, REC_ACCESS_READ | REC_ACCESS_WRITE, 0, "fifo");
    model_equals_naive(&b.m, c.pid);
    child_end(&c);
    bench_end(&b);
}

static void one_that_stands_still_is_held_and_one_that_moves_is_read(void **state)
{
    struct bench b;
    struct child c;

    (void)state;
    bench_begin(&b);
    c = child_start(bench_opener, &b);
    bench_watch(&b, &c);
    bench_look(&b);
    bench_look(&b);
    assert_int_equal(model_process(&b.m, c.pid)->held, 1);
    assert_int_equal(b.m.result.read, 0);
    child_tell(&c, 'g');
    child_expect(&c, 'r');
    wait_asleep(c.pid);
    bench_look(&b);
    assert_int_equal(model_process(&b.m, c.pid)->how.why, LOOK_WHY_CLOCK);
    assert_int_equal(model_file(&b.m, c.pid, 0, 51)->delivered, 1);
    assert_int_equal(model_file(&b.m, c.pid, 0, 50)->delivered, 1);
    assert_int_equal(model_file(&b.m, c.pid, 0, 50)->held, 1);
    model_equals_naive(&b.m, c.pid);
    child_tell(&c, 'g');
    child_expect(&c, 'r');
    wait_asleep(c.pid);
    bench_look(&b);
    assert_null(model_file(&b.m, c.pid, 0, 51));
    bench_check_file(&b, c.pid, 50, REC_FILE_REGULAR, REC_ACCESS_READ, 0, "other");
    model_equals_naive(&b.m, c.pid);
    child_end(&c);
    bench_look(&b);
    assert_null(model_process(&b.m, c.pid));
    bench_end(&b);
}

static void what_the_caller_does_not_hold_is_read_at_once(void **state)
{
    struct bench b;
    struct child c;

    (void)state;
    bench_begin(&b);
    c = child_start(bench_opener, &b);
    bench_watch(&b, &c);
    bench_look(&b);
    model_process(&b.m, c.pid)->p.start_jiffies++; /* as if it held another process of that pid */
    bench_look(&b);
    assert_int_equal(model_process(&b.m, c.pid)->delivered, 1);
    assert_int_equal(model_process(&b.m, c.pid)->how.why, LOOK_WHY_FIRST);
    model_equals_naive(&b.m, c.pid);
    child_end(&c);
    bench_end(&b);
}

struct sharer {
    struct bench *b;
    pid_t pid;
};

static int opens_when_told(void *arg)
{
    struct bench *b = ((struct sharer *)arg)->b;

    (void)child_hear(60);
    bench_put(bench_open(b, "shared", O_RDONLY | O_CREAT), 61);
    child_say(60, 'r');
    (void)child_hear(60);
    return 0;
}

/* Makes a child that shares its files, and sleeps itself. */
static int shares_files(int fd, void *arg)
{
    static char stack[65536] __attribute__((aligned(16)));
    struct sharer *s = arg;
    pid_t pid;

    bench_put(dup(fd), 60);
    pid = clone(opens_when_told, stack + sizeof(stack), CLONE_FILES | SIGCHLD, s);
    if (write(fd, &pid, sizeof(pid)) != sizeof(pid)) {
        return 1;
    }
    (void)pause();
    return 0;
}

static void a_file_opened_by_one_that_shares_the_table_is_seen(void **state)
{
    struct bench b;
    struct child c;
    struct sharer s = { .b = &b };
    pid_t other;

    (void)state;
    bench_begin(&b);
    c = child_start(shares_files, &s);
    assert_int_equal(read(c.fd, &other, sizeof(other)), sizeof(other));
    wait_asleep(c.pid);
    wait_asleep(other);
    model_add(&b.m, c.pid);
    model_add(&b.m, other);
    bench_look(&b);
    child_tell(&c, 'g');
    child_expect(&c, 'r');
    wait_asleep(other);
    bench_look(&b);
    assert_non_null(model_file(&b.m, other, 0, 61));
    assert_non_null(model_file(&b.m, c.pid, 0, 61));
    assert_int_equal(model_process(&b.m, c.pid)->how.why, LOOK_WHY_GROUP);
    model_equals_naive(&b.m, c.pid);
    (void)kill(other, SIGKILL);
    child_end(&c);
    bench_end(&b);
}

static void *unshares(void *arg)
{
    struct bench *b = ((void **)arg)[0];
    int fd = *(int *)((void **)arg)[1];
    pid_t tid = gettid();

    if (unshare(CLONE_FILES) != 0) {
        _exit(96);
    }
    bench_put(bench_open(b, "own", O_RDONLY | O_CREAT), 70);
    if (write(fd, &tid, sizeof(tid)) != sizeof(tid)) {
        _exit(95);
    }
    (void)child_hear(fd);
    (void)close(70);
    bench_put(bench_open(b, "own2", O_RDONLY | O_CREAT), 71);
    child_say(fd, 'r');
    (void)child_hear(fd);
    return NULL;
}

static int has_a_thread_with_its_own_table(int fd, void *arg)
{
    void *args[2] = { arg, &fd };
    pthread_t thread;

    if (pthread_create(&thread, NULL, unshares, args) != 0 || pthread_join(thread, NULL) != 0) {
        return 1;
    }
    child_say(fd, 'j');
    (void)pause();
    return 0;
}

static void a_threads_own_table_is_read_as_its_own(void **state)
{
    struct bench b;
    struct child c;
    pid_t tid;

    (void)state;
    bench_begin(&b);
    c = child_start(has_a_thread_with_its_own_table, &b);
    assert_int_equal(read(c.fd, &tid, sizeof(tid)), sizeof(tid));
    wait_asleep(c.pid);
    model_add(&b.m, c.pid);
    bench_look(&b);
    assert_null(model_file(&b.m, c.pid, 0, 70));
    assert_non_null(model_file(&b.m, c.pid, (uint32_t)tid, 70));
    model_equals_naive(&b.m, c.pid);
    child_tell(&c, 'g');
    child_expect(&c, 'r');
    wait_asleep(c.pid);
    bench_look(&b);
    assert_null(model_file(&b.m, c.pid, (uint32_t)tid, 70));
    assert_non_null(model_file(&b.m, c.pid, (uint32_t)tid, 71));
    child_tell(&c, 'g');
    child_expect(&c, 'j');
    wait_asleep(c.pid);
    bench_look(&b);
    assert_int_equal(model_files_of(&b.m, c.pid, (uint32_t)tid), 0);
    model_equals_naive(&b.m, c.pid);
    child_end(&c);
    bench_end(&b);
}

static atomic_uint refuses; /* the process that may not be compared */

int __real_proc_kcmp_files(struct look_thread *t, uint32_t a, uint32_t b);
int __wrap_proc_kcmp_files(struct look_thread *t, uint32_t a, uint32_t b);

int __wrap_proc_kcmp_files(struct look_thread *t, uint32_t a, uint32_t b)
{
    uint32_t pid = atomic_load(&refuses);

    return pid != 0 && (a == pid || b == pid) ? -EPERM : __real_proc_kcmp_files(t, a, b);
}

static void one_that_may_not_be_compared_hides_no_others_threads(void **state)
{
    struct bench b;
    struct child refused, c;
    pid_t tid;

    (void)state;
    bench_begin(&b);
    refused = child_start(has_a_thread_with_its_own_table, &b);
    assert_int_equal(read(refused.fd, &tid, sizeof(tid)), sizeof(tid));
    wait_asleep(refused.pid);
    atomic_store(&refuses, (unsigned)refused.pid);
    c = child_start(has_a_thread_with_its_own_table, &b);
    assert_int_equal(read(c.fd, &tid, sizeof(tid)), sizeof(tid));
    wait_asleep(c.pid);
    model_add(&b.m, refused.pid);
    bench_look(&b);
    model_add(&b.m, c.pid);
    bench_look(&b);
    assert_non_null(model_file(&b.m, c.pid, (uint32_t)tid, 70));
    atomic_store(&refuses, 0);
    child_end(&refused);
    child_end(&c);
    bench_end(&b);
}

static void what_others_do_to_a_file_is_found_in_its_turn(void **state)
{
    struct bench b;
    struct child c;

    (void)state;
    bench_begin(&b);
    c = child_start(bench_opener, &b);
    bench_watch(&b, &c);
    bench_look(&b);
    bench_rename(&b, "old", "renamed");
    bench_look(&b);
    bench_check_file(&b, c.pid, 50, REC_FILE_REGULAR, REC_ACCESS_READ, 0, "old");
    bench_reconcile_all(&b);
    assert_int_equal(b.m.result.reconciled, 1);
    assert_int_equal(model_process(&b.m, c.pid)->how.why, LOOK_WHY_RECONCILE);
    bench_check_file(&b, c.pid, 50, REC_FILE_REGULAR, REC_ACCESS_READ, 0, "renamed");
    bench_unlink(&b, "renamed");
    bench_reconcile_all(&b);
    bench_check_file(&b, c.pid, 50, REC_FILE_REGULAR, REC_ACCESS_READ, 1, "renamed");
    model_equals_naive(&b.m, c.pid);
    child_end(&c);
    bench_end(&b);
}

static void a_renamed_folder_above_is_found_in_its_turn(void **state)
{
    struct bench b;
    struct child c;
    char moved[80];

    (void)state;
    bench_begin(&b);
    c = child_start(bench_opener, &b);
    bench_watch(&b, &c);
    bench_look(&b);
    (void)snprintf(moved, sizeof(moved), "%s.moved", b.dir);
    assert_int_equal(rename(b.dir, moved), 0);
    bench_reconcile_all(&b);
    model_equals_naive(&b.m, c.pid);
    assert_int_equal(rename(moved, b.dir), 0);
    child_end(&c);
    bench_end(&b);
}

static int opens_deep(int fd, void *arg)
{
    const struct bench *b = arg;
    char name[201];

    memset(name, 'd', 200);
    name[200] = '\0';
    if (chdir(b->dir) != 0) {
        return 1;
    }
    for (int i = 0; i < 25; i++) { /* 5,000 bytes */
        if (mkdir(name, 0700) != 0 || chdir(name) != 0) {
            return 1;
        }
        if (i == 18) { /* dir + 19 * 201 + "/last" */
            bench_put(open("last", O_RDONLY | O_CREAT, 0600), 90);
        }
    }
    bench_put(open("deep", O_RDONLY | O_CREAT, 0600), 91);
    child_say(fd, 'r');
    return child_hear(fd);
}

static void a_path_that_no_link_can_show_is_marked_as_cut(void **state)
{
    struct bench b;
    struct child c;
    const struct rec_file *f;

    (void)state;
    bench_begin(&b);
    c = child_start(opens_deep, &b);
    bench_watch(&b, &c);
    bench_look(&b);
    f = &model_file(&b.m, c.pid, 0, 90)->f;
    assert_int_equal(f->path_cut, 0);
    assert_true(f->path.len > 3800 && f->path.len < 4096);
    f = &model_file(&b.m, c.pid, 0, 91)->f;
    assert_int_equal(f->path_cut, 1);
    assert_true(f->inode != 0);
    assert_int_equal(model_process(&b.m, c.pid)->p.unreadable, REC_UNREADABLE_CWD);
    child_end(&c);
    bench_end(&b);
}

static int opens_many(int fd, void *arg)
{
    struct bench *b = arg;

    for (int i = 0; i < 50; i++) {
        bench_put(open("/dev/null", O_RDONLY), 100 + i);
    }
    child_say(fd, 'r');
    (void)child_hear(fd);
    for (int i = 0; i < 50; i++) {
        bench_put(bench_open(b, "many", O_RDONLY | O_CREAT), 100 + i);
    }
    child_say(fd, 'r');
    return child_hear(fd);
}

static void a_large_table_is_read_in_slices(void **state)
{
    struct bench b;
    struct child c;

    (void)state;
    bench_begin_with(&b, (struct look_proc_conf){ .files_slice = 16 });
    c = child_start(opens_many, &b);
    bench_watch(&b, &c);
    for (int i = 0; i < 4; i++) {
        bench_look(&b);
        assert_int_equal(b.m.ranges, 1);
    }
    model_equals_naive(&b.m, c.pid);
    bench_look(&b);
    assert_int_equal(b.m.result.read, 0);
    child_tell(&c, 'g');
    child_expect(&c, 'r');
    wait_asleep(c.pid);
    for (int i = 0; i < 4; i++) {
        bench_look(&b);
    }
    model_equals_naive(&b.m, c.pid);
    bench_look(&b);
    assert_int_equal(b.m.result.read, 0);
    child_end(&c);
    bench_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_file_is_seen_as_it_is),
        cmocka_unit_test(one_that_stands_still_is_held_and_one_that_moves_is_read),
        cmocka_unit_test(what_the_caller_does_not_hold_is_read_at_once),
        cmocka_unit_test(a_file_opened_by_one_that_shares_the_table_is_seen),
        cmocka_unit_test(a_threads_own_table_is_read_as_its_own),
        cmocka_unit_test(one_that_may_not_be_compared_hides_no_others_threads),
        cmocka_unit_test(what_others_do_to_a_file_is_found_in_its_turn),
        cmocka_unit_test(a_renamed_folder_above_is_found_in_its_turn),
        cmocka_unit_test(a_path_that_no_link_can_show_is_marked_as_cut),
        cmocka_unit_test(a_large_table_is_read_in_slices),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
