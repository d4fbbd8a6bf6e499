/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A process that runs between any two looks: what is held of it must still be what is true. */
#include "agent/look/look_proc.h"

#include "tests/support/check.h"
#include "tests/unit/look/bench.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/compiler.h"

#define YOUNG 8 /* readings that are in full */

static const struct look_ask told = { .list = true, .told = true, .reconcile_part = 1000000 };
static const struct look_ask untold = { .list = true, .reconcile_part = 1000000 };

/* One command at a time; answers when it is done. */
static int obeys(int fd, void *arg)
{
    struct bench *b = arg;

    bench_put(bench_open(b, "file", O_RDONLY | O_CREAT), 50);
    bench_put(socket(AF_UNIX, SOCK_DGRAM, 0), 51);
    bench_put(eventfd(0, 0), 52);
    child_say(fd, 'r');
    for (;;) {
        switch (child_hear(fd)) {
        case 'd':
            if (chdir("/usr") != 0) {
                return 1;
            }
            break;
        case 'n':
            (void)prctl(PR_SET_NAME, "renamed");
            break;
        case 'o':
            bench_put(bench_open(b, "another", O_RDWR | O_CREAT), 53);
            break;
        case 'c':
            (void)close(50);
            break;
        case 'x': /* closes one, opens another elsewhere: their number stays */
            (void)close(50);
            bench_put(bench_open(b, "moved", O_RDONLY | O_CREAT), 60);
            break;
        case 's':
            bench_put(socket(AF_UNIX, SOCK_STREAM, 0), 51);
            break;
        case 'w': /* the same file, opened again to be written to */
            bench_put(bench_open(b, "file", O_RDWR), 50);
            if (write(50, "x", 1) != 1) {
                return 1;
            }
            break;
        case 'u':
            if (setresuid(54321, 54321, 54321) != 0) {
                return 1;
            }
            break;
        default: /* runs, and changes nothing */
            break;
        }
        child_say(fd, 'k');
    }
}

static void order(struct child *c, char what)
{
    child_tell(c, what);
    child_expect(c, 'k');
    wait_asleep(c->pid);
}

/* Until its readings are no longer in full. */
static struct child grown(struct bench *b, struct look_ask ask)
{
    struct child c = child_start(obeys, b);

    bench_watch(b, &c);
    for (int i = 0; i <= YOUNG; i++) {
        bench_look_asking(b, ask);
        order(&c, 'r');
    }
    assert_true(model_process(&b->m, c.pid)->delivered > YOUNG / 2);
    return c;
}

static void check_held(struct look_ask ask)
{
    struct bench b;
    struct child c;
    unsigned delivered, files;

    bench_begin(&b);
    c = grown(&b, ask);
    bench_look_asking(&b, ask);
    delivered = model_process(&b.m, c.pid)->delivered;
    files = model_file(&b.m, c.pid, 0, 50)->delivered;
    for (int i = 0; i < 5; i++) {
        order(&c, 'r');
        bench_look_asking(&b, ask);
        assert_int_equal(b.m.result.read, 1);
    }
    assert_int_equal(model_process(&b.m, c.pid)->delivered, delivered);
    assert_true(model_process(&b.m, c.pid)->attributes_held >= 5);
    assert_int_equal(model_file(&b.m, c.pid, 0, 50)->delivered, files);
    model_equals_naive(&b.m, c.pid);
    child_end(&c);
    bench_end(&b);
}

static void one_that_runs_and_changes_nothing_is_held(void **state)
{
    (void)state;
    check_held(untold);
    check_held(told);
}

static void check_files(struct look_ask ask)
{
    static const char orders[] = "osxcow";
    struct bench b;
    struct child c;

    bench_begin(&b);
    c = grown(&b, ask);
    for (size_t i = 0; orders[i]; i++) {
        order(&c, orders[i]);
        bench_look_asking(&b, ask);
        model_equals_naive(&b.m, c.pid);
    }
    child_end(&c);
    bench_end(&b);
}

static void each_change_of_its_files_is_seen(void **state)
{
    (void)state;
    check_files(untold);
    check_files(told);
}

static void a_file_opened_to_be_written_to_is_so_when_it_was_written_to(void **state)
{
    struct bench b;
    struct child c;

    (void)state;
    bench_begin(&b);
    c = grown(&b, told);
    bench_look_asking(&b, told);
    assert_int_equal(model_file(&b.m, c.pid, 0, 50)->f.access_mode, REC_ACCESS_READ);
    order(&c, 'w');
    bench_look_asking(&b, told);
    assert_int_equal(model_file(&b.m, c.pid, 0, 50)->f.access_mode, REC_ACCESS_READ | REC_ACCESS_WRITE);
    child_end(&c);
    bench_end(&b);
}

static void another_folder_and_other_ids_are_seen_at_once(void **state)
{
    struct bench b;
    struct child c;

    (void)state;
    bench_begin(&b);
    c = grown(&b, told);
    order(&c, 'd');
    bench_look_asking(&b, told);
    assert_slice_str(model_process(&b.m, c.pid)->p.cwd, "/usr");
    if (geteuid() == 0) {
        order(&c, 'u');
        bench_look_asking(&b, told);
        assert_int_equal(model_process(&b.m, c.pid)->p.euid, 54321);
    }
    child_end(&c);
    bench_end(&b);
}

static void a_name_is_seen_without_being_told_of_it(void **state)
{
    struct bench b;
    struct child c;

    (void)state;
    bench_begin(&b);
    c = grown(&b, untold);
    order(&c, 'n');
    bench_look_asking(&b, untold);
    assert_slice_str(model_process(&b.m, c.pid)->p.command, "renamed");
    child_end(&c);
    bench_end(&b);
}

static void a_name_that_was_told_of_is_read(void **state)
{
    struct bench b;
    struct child c;

    (void)state;
    bench_begin(&b);
    c = grown(&b, told);
    order(&c, 'n');
    look_proc_hint(b.l, (uint32_t)c.pid, LOOK_HINT_READ);
    bench_look_asking(&b, told);
    assert_slice_str(model_process(&b.m, c.pid)->p.command, "renamed");
    assert_int_equal(model_process(&b.m, c.pid)->how.why, LOOK_WHY_HINT);
    child_end(&c);
    bench_end(&b);
}

static void one_that_exits_while_it_is_held_quickly_is_a_zombie(void **state)
{
    struct bench b;
    struct child c;
    siginfo_t info;

    (void)state;
    bench_begin(&b);
    c = grown(&b, told);
    bench_look_asking(&b, told);
    (void)kill(c.pid, SIGTERM);
    assert_int_equal(waitid(P_PID, (id_t)c.pid, &info, WEXITED | WNOWAIT), 0);
    bench_look_asking(&b, told);
    assert_true(model_process(&b.m, c.pid)->how.zombie);
    child_end(&c);
    bench_end(&b);
}

/* Does a random thing now and then, as long as it is told to. */
static void random_orders_leave_what_is_held_true(void **state)
{
    static const char orders[] = "rrrrosxcwdn";
    struct bench b;
    struct child c;
    unsigned seed = 42;

    (void)state;
    bench_begin(&b);
    c = grown(&b, told);
    for (int i = 0; i < 150; i++) {
        char what = orders[(size_t)rand_r(&seed) % (sizeof(orders) - 1)];

        order(&c, what);
        if (what == 'n') {
            look_proc_hint(b.l, (uint32_t)c.pid, LOOK_HINT_READ);
        }
        bench_look_asking(&b, rand_r(&seed) % 2 ? told : untold);
        model_equals_naive(&b.m, c.pid);
    }
    child_end(&c);
    bench_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_runs_and_changes_nothing_is_held),
        cmocka_unit_test(each_change_of_its_files_is_seen),
        cmocka_unit_test(a_file_opened_to_be_written_to_is_so_when_it_was_written_to),
        cmocka_unit_test(another_folder_and_other_ids_are_seen_at_once),
        cmocka_unit_test(a_name_is_seen_without_being_told_of_it),
        cmocka_unit_test(a_name_that_was_told_of_is_read),
        cmocka_unit_test(one_that_exits_while_it_is_held_quickly_is_a_zombie),
        cmocka_unit_test(random_orders_leave_what_is_held_true),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
