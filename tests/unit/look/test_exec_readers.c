/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Against the running kernel, with readings that hang: skipped, and said so, where it has no connector for us. */
#include "agent/look/exec_readers.h"

#include "tests/support/check.h"

#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/look/events.h"
#include "common/os/clock.h"

#define LIMIT_US (90 * CLOCK_US_PER_S) /* for what must come, however busy the machine is */

static atomic_uint hang; /* 1: whoever reads the name of a program waits until it is 0 again */

ssize_t __real_readlinkat(int dir, const char *path, char *to, size_t size);
ssize_t __wrap_readlinkat(int dir, const char *path, char *to, size_t size);

ssize_t __wrap_readlinkat(int dir, const char *path, char *to, size_t size)
{
    while (atomic_load(&hang) != 0) {
        (void)syscall(SYS_futex, &hang, FUTEX_WAIT, 1, NULL, NULL, 0);
    }
    return __real_readlinkat(dir, path, to, size);
}

static void run(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        (void)execl("/bin/true", "true", (char *)NULL);
        _exit(127);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void on_event(void *ctx, const struct event *e)
{
    (void)ctx;
    (void)e;
}

static void drain(struct events *e)
{
    static const struct events_sink sink = { on_event, NULL };
    uint64_t lost;

    assert_int_equal(events_drain(e, &sink, NULL, &lost, NULL), 0);
}

static uint64_t accounted(struct events *e)
{
    struct events_figures f;

    events_figures(e, &f);
    return f.execs_read + f.execs_missed + f.exec_events_lost;
}

static bool all_hang(struct events *e)
{
    const char *reason = events_reason(e);

    return reason != NULL && strncmp(reason, "too many", 8) == 0;
}

static bool one_reads(struct events *e)
{
    struct events_figures f;

    events_figures(e, &f);
    return events_exec_reader_there(e) && f.execs_read > 0;
}

/* Programs one by one until it is so; how many. */
static uint64_t run_until(struct events *e, bool (*is_so)(struct events *e))
{
    int64_t limit = clock_mono_us() + LIMIT_US;
    uint64_t ran = 0;

    for (; !is_so(e); ran++) {
        assert_true(clock_mono_us() < limit);
        run();
        (void)poll(NULL, 0, 20);
        drain(e);
    }
    return ran;
}

static void those_that_hang_are_counted_for_and_make_room_when_they_come_back(void **state)
{
    struct events_conf conf = { .exec_share = 50 };
    struct events *e = NULL;
    uint64_t ran;

    (void)state;
    atomic_store(&hang, 1);
    assert_int_equal(events_open(&conf, &e, NULL), 0);
    if (!events_there(e)) {
        print_message("no connector: not tried (%s)\n", events_reason(e));
        atomic_store(&hang, 0);
        events_close(e);
        return;
    }
    ran = run_until(e, all_hang);
    assert_false(events_exec_reader_there(e));
    assert_string_equal(events_mode(e), "connector");
    for (int i = 0; i < 20; i++, ran++) {
        run();
    }
    drain(e);
    assert_true(accounted(e) >= ran); /* others run programs too */
    assert_false(events_exec_reader_there(e));
    assert_false(one_reads(e));
    atomic_store(&hang, 0);
    (void)syscall(SYS_futex, &hang, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    ran += run_until(e, one_reads);
    assert_null(events_reason(e));
    assert_true(accounted(e) > 0);
    events_close(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_that_hang_are_counted_for_and_make_room_when_they_come_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
