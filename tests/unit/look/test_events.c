/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Against the running kernel: skipped, and said so, where it has no connector for us. */
#include "agent/look/events.h"

#include "tests/support/check.h"
#include "tests/unit/look/model.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/look/parse_proc.h"
#include "common/base/compiler.h"
#include "common/os/clock.h"

#define SEEN_MAX 200000u
#define LIMIT_US (30 * CLOCK_US_PER_S) /* for what must come, however busy the machine is */

struct seen_exec {
    uint32_t pid;
    uint64_t boot_us, start_jiffies;
    bool known, cut;
    char arguments[64], command[17], exe[64];
    uint32_t euid, ppid;
};

struct seen {
    struct events *e;
    struct event *events; /* room for SEEN_MAX */
    size_t count;
    struct seen_exec *execs;
    size_t exec_count;
    uint64_t lost;
};

static void text(char *out, size_t room, struct slice s)
{
    size_t len = s.len < room - 1 ? s.len : room - 1;

    if (len > 0) {
        memcpy(out, s.data, len);
    }
    out[len] = '\0';
}

static void on_event(void *ctx, const struct event *e)
{
    struct seen *s = ctx;

    if (s->count < SEEN_MAX) {
        s->events[s->count++] = *e;
    }
}

static void on_exec(void *ctx, const struct exec_seen *x)
{
    struct seen *s = ctx;
    struct seen_exec *at = &s->execs[s->exec_count];

    if (s->exec_count == SEEN_MAX) {
        return;
    }
    *at = (struct seen_exec){ .pid = x->pid,
                              .boot_us = x->boot_us,
                              .start_jiffies = x->start_jiffies,
                              .known = x->arguments_known,
                              .cut = x->arguments_cut,
                              .euid = x->euid,
                              .ppid = x->ppid };
    text(at->arguments, sizeof(at->arguments), x->arguments);
    text(at->command, sizeof(at->command), x->command);
    text(at->exe, sizeof(at->exe), x->exe);
    s->exec_count++;
}

static void drain(struct seen *s)
{
    static const struct events_sink sink = { on_event, on_exec };
    struct pofr_err err = { .code = 0 };
    uint64_t lost = 0;

    assert_int_equal(events_drain(s->e, &sink, s, &lost, &err), 0);
    s->lost += lost;
}

static bool begin(struct seen *s, struct events_conf conf)
{
    struct pofr_err err = { .code = 0 };

    *s = (struct seen){ .count = 0 };
    s->events = calloc(SEEN_MAX, sizeof(s->events[0]));
    s->execs = calloc(SEEN_MAX, sizeof(s->execs[0]));
    assert_true(s->events && s->execs);
    assert_int_equal(events_open(&conf, &s->e, &err), 0);
    if (!events_there(s->e)) {
        assert_non_null(events_reason(s->e));
        assert_string_equal(events_mode(s->e), "absent");
        print_message("no connector: not tried (%s)\n", events_reason(s->e));
        drain(s);
        assert_int_equal(s->count, 0);
    }
    return events_there(s->e);
}

static void end(struct seen *s)
{
    events_close(s->e);
    free(s->events);
    free(s->execs);
}

static const struct event *find(const struct seen *s, pid_t pid, enum event_kind kind)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->events[i].pid == (uint32_t)pid && s->events[i].kind == kind) {
            return &s->events[i];
        }
    }
    return NULL;
}

/* The fork that made who had this number then; NULL: not told. */
static const struct event *fork_before(const struct seen *s, uint32_t pid, uint64_t boot_us)
{
    const struct event *last = NULL;

    for (size_t i = 0; i < s->count; i++) {
        if (s->events[i].kind == EVENT_FORK && s->events[i].pid == pid && s->events[i].boot_us <= boot_us) {
            last = &s->events[i];
        }
    }
    return last;
}

/* Drains until it was told, or the time is over. */
static const struct event *await(struct seen *s, pid_t pid, enum event_kind kind)
{
    int64_t end = clock_mono_us() + LIMIT_US;
    const struct event *e = NULL;

    while (!(e = find(s, pid, kind)) && clock_mono_us() < end) {
        (void)poll(NULL, 0, 1);
        drain(s);
    }
    return e;
}

/* Drains until the reader has done with so many programs, ours and others'. */
static void await_execs(struct seen *s, uint64_t programs)
{
    int64_t end = clock_mono_us() + LIMIT_US;
    struct events_figures f;

    do {
        assert_true(clock_mono_us() < end);
        (void)poll(NULL, 0, 1);
        drain(s);
        events_figures(s->e, &f);
    } while (f.execs_read + f.execs_missed + f.exec_events_lost < programs);
}

/* The kernel stamps the event a little after the start: one that had to wait in between shows a later jiffy. */
static bool is_start(uint64_t told, uint64_t procfs)
{
    return told >= procfs && told - procfs <= LIMIT_US / 10000;
}

static uint64_t start_of(pid_t pid)
{
    char name[64], line[1024];
    struct proc_stat stat;
    ssize_t n;
    int fd;

    (void)snprintf(name, sizeof(name), "/proc/%d/stat", pid);
    fd = open(name, O_RDONLY | O_CLOEXEC);
    n = read(fd, line, sizeof(line));
    (void)close(fd);
    assert_true(n > 0);
    assert_int_equal(proc_stat_parse(slice_of(line, (size_t)n), &stat), 0);
    return stat.start_jiffies;
}

static int lives(int fd, void *arg)
{
    (void)arg;
    (void)setsid();
    (void)prctl(PR_SET_NAME, "a) S (b");
    if (geteuid() == 0 && (setresgid(12345, 12345, 12345) != 0 || setresuid(54321, 3000000000u, 0) != 0)) {
        return 1;
    }
    child_say(fd, 'r');
    return child_hear(fd);
}

static void a_life_is_told_from_fork_to_exit(void **state)
{
    struct seen s;
    struct child c;
    const struct event *e;
    uint64_t start;

    (void)state;
    if (begin(&s, (struct events_conf){ .no_exec_reader = true })) {
        c = child_start(lives, NULL);
        child_expect(&c, 'r');
        start = start_of(c.pid);
        child_tell(&c, 7);
        assert_int_equal(waitpid(c.pid, NULL, 0), c.pid);
        (void)close(c.fd);
        e = await(&s, c.pid, EVENT_EXIT);
        assert_non_null(e);
        assert_int_equal(e->exit_status, 7 << 8);
        assert_int_equal(e->parent, getpid());
        e = find(&s, c.pid, EVENT_FORK);
        assert_non_null(e);
        assert_int_equal(e->parent, getpid());
        assert_true(is_start(e->start_jiffies, start));
        assert_non_null(find(&s, c.pid, EVENT_SESSION));
        e = find(&s, c.pid, EVENT_NAME);
        assert_non_null(e);
        assert_int_equal(e->name_len, 7);
        assert_memory_equal(e->name, "a) S (b", 7);
        if (geteuid() == 0) {
            assert_non_null(find(&s, c.pid, EVENT_IDS));
        }
        assert_int_equal(s.lost, 0);
    }
    end(&s);
}

static void one_ended_by_a_signal_says_so(void **state)
{
    struct seen s;
    struct child c;
    const struct event *e;

    (void)state;
    if (begin(&s, (struct events_conf){ .no_exec_reader = true })) {
        c = child_start(lives, NULL);
        child_expect(&c, 'r');
        child_end(&c);
        e = await(&s, c.pid, EVENT_EXIT);
        assert_non_null(e);
        assert_int_equal(e->exit_status, SIGKILL);
    }
    end(&s);
}

static atomic_uint leader_lives; /* the kernel clears it when the leader is gone, and wakes who waits for it */

static void *goes_on(void *arg)
{
    int fd = (int)(intptr_t)arg;

    while (atomic_load(&leader_lives) != 0) {
        (void)syscall(SYS_futex, &leader_lives, FUTEX_WAIT, 1, NULL, NULL, 0);
    }
    child_say(fd, 'r');
    _exit(child_hear(fd));
}

static int leader_ends_first(int fd, void *arg)
{
    pthread_t thread;

    (void)arg;
    atomic_store(&leader_lives, 1);
    (void)syscall(SYS_set_tid_address, &leader_lives);
    if (pthread_create(&thread, NULL, goes_on, (void *)(intptr_t)fd) != 0) {
        return 1;
    }
    pthread_exit(NULL);
}

static void a_process_ends_with_its_last_thread(void **state)
{
    struct seen s;
    struct child c;
    const struct event *e;

    (void)state;
    if (begin(&s, (struct events_conf){ .no_exec_reader = true })) {
        c = child_start(leader_ends_first, NULL);
        child_expect(&c, 'r');
        assert_non_null(await(&s, c.pid, EVENT_THREAD));
        drain(&s);
        assert_null(find(&s, c.pid, EVENT_EXIT)); /* only its leader did */
        child_tell(&c, 9);
        assert_int_equal(waitpid(c.pid, NULL, 0), c.pid);
        (void)close(c.fd);
        e = await(&s, c.pid, EVENT_EXIT);
        assert_non_null(e);
        assert_int_equal(e->exit_status, 9 << 8);
    }
    end(&s);
}

static void run(const char *const argv[])
{
    pid_t pid = fork();

    if (pid == 0) {
        (void)execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

#define CHAINS   30
#define PROGRAMS (3 * CHAINS)

static void run_chains(void)
{
    static const char *const argv[] = { "/bin/sh", "-c", "exec /bin/sh -c 'exec /bin/echo third' second", "first",
                                        NULL };
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC), out = dup(1);

    (void)fflush(stdout);
    assert_int_equal(dup2(null, 1), 1);
    for (int i = 0; i < CHAINS; i++) {
        run(argv);
    }
    assert_int_equal(dup2(out, 1), 1);
    (void)close(out);
    (void)close(null);
}

/* How many arguments of that event are known; each must be those of the program that it began, `step` of the chain. */
static size_t check_step(const struct seen *s, const struct event *e, size_t step)
{
    static const char *const begins[] = { "/bin/sh", "/bin/sh", "/bin/echo" };
    size_t known = 0;

    for (size_t x = 0; x < s->exec_count; x++) {
        if (s->execs[x].pid == e->pid && s->execs[x].boot_us == e->boot_us && s->execs[x].known) {
            assert_string_equal(s->execs[x].arguments, begins[step]);
            if (step == 1) { /* told apart by length: "/bin/sh" NUL "-c" NUL "exec /bin/echo..." */
                assert_memory_equal(s->execs[x].arguments + 11, "exec /bin/echo", 14);
            } else if (step == 0) {
                assert_memory_equal(s->execs[x].arguments + 11, "exec /bin/sh", 12);
            }
            known++;
        }
    }
    return known;
}

static size_t check_chains(const struct seen *s)
{
    size_t known = 0;

    for (size_t i = 0; i < s->count; i++) {
        const struct event *fork_event = &s->events[i];
        size_t step = 0;

        if (fork_event->kind != EVENT_FORK || fork_event->parent != (uint32_t)getpid()) {
            continue;
        }
        for (size_t k = i; k < s->count && step < 3; k++) {
            if (s->events[k].kind == EVENT_EXEC && s->events[k].pid == fork_event->pid) {
                known += check_step(s, &s->events[k], step);
                step++;
            }
        }
    }
    return known;
}

/* Where the machine is so busy that none was read in time, again. */
static void a_reading_is_never_of_another_program_of_the_same_process(void **state)
{
    int64_t limit = clock_mono_us() + LIMIT_US;
    struct seen s;
    size_t known = 0;

    (void)state;
    if (begin(&s, (struct events_conf){ .exec_share = 50 }) && events_exec_reader_there(s.e)) {
        for (uint64_t ran = PROGRAMS; known == 0; ran += PROGRAMS) {
            assert_true(clock_mono_us() < limit);
            run_chains();
            await_execs(&s, ran);
            known = check_chains(&s);
        }
    }
    end(&s);
}

/* How many of ours were read. Another copy of this test may be running. */
static size_t check_true(const struct seen *s)
{
    size_t found = 0;

    for (size_t i = 0; i < s->exec_count; i++) {
        const struct seen_exec *x = &s->execs[i];
        const struct event *forked = fork_before(s, x->pid, x->boot_us);

        if (x->known && memcmp(x->arguments, "/bin/true\0one\0two", 18) == 0 && forked != NULL &&
            forked->parent == (uint32_t)getpid()) {
            found++;
            assert_true(x->start_jiffies == 0 || is_start(forked->start_jiffies, x->start_jiffies));
            assert_true(x->ppid == 0 || x->ppid == (uint32_t)getpid());
            assert_true(x->exe[0] == '\0' || strcmp(x->exe, "/usr/bin/true") == 0 || strcmp(x->exe, "/bin/true") == 0);
        }
    }
    return found;
}

static void a_program_that_is_over_at_once_has_its_arguments_read(void **state)
{
    static const char *const argv[] = { "/bin/true", "one", "two", NULL };
    int64_t limit = clock_mono_us() + LIMIT_US;
    struct seen s;
    size_t found = 0;

    (void)state;
    if (begin(&s, (struct events_conf){ .exec_share = 50 }) && events_exec_reader_there(s.e)) {
        for (uint64_t ran = 50; found == 0; ran += 50) {
            assert_true(clock_mono_us() < limit);
            for (int i = 0; i < 50; i++) {
                run(argv);
            }
            await_execs(&s, ran);
            found = check_true(&s);
        }
        print_message("%zu read, class %s\n", found, events_mode(s.e));
    }
    end(&s);
}

static void above_its_share_the_reader_sleeps_and_counts(void **state)
{
    static const char *const argv[] = { "/bin/true", "once", NULL };
    int64_t limit = clock_mono_us() + LIMIT_US;
    struct seen s;
    struct events_figures f = { 0 };

    (void)state;
    if (begin(&s, (struct events_conf){ .exec_share = 1 }) && events_exec_reader_there(s.e)) {
        uint64_t ran = 0;

        drain(&s); /* its allowance is now a hundredth of the little time since */
        drain(&s);
        while (f.exec_asleep == 0) {
            assert_true(clock_mono_us() < limit);
            for (int i = 0; i < 100; i++, ran++) {
                run(argv);
            }
            events_figures(s.e, &f);
        }
        run(argv); /* into its sleep */
        await_execs(&s, ran + 1);
        events_figures(s.e, &f);
        assert_true(f.execs_missed + f.exec_events_lost > 0);
    }
    end(&s);
}

/* Run there alone; -1: anywhere. */
static void on_cpu(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (cpu < 0 || i == cpu) {
            CPU_SET((unsigned)i, &set);
        }
    }
    (void)sched_setaffinity(0, sizeof(set), &set); /* where it is refused the loop runs longer */
}

/* A message of that CPU, which shows where its sequence stands. */
static void hear_of_cpu(struct seen *s, int cpu)
{
    on_cpu(cpu);
    events_probe(s->e);
    drain(s);
}

static void what_the_kernel_dropped_is_counted_exactly(void **state)
{
    const int cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
    struct seen s;
    struct events_figures f;
    uint64_t dropped;
    size_t told = 0;

    (void)state;
    if (begin(&s, (struct events_conf){ .buffer_bytes = 8192, .no_exec_reader = true })) {
        for (int cpu = 0; cpu < cpus; cpu++) { /* what one dropped before its first message shows in no sequence */
            hear_of_cpu(&s, cpu);
        }
        on_cpu(-1);
        for (int i = 0; i < 300; i++) {
            pid_t pid = fork();

            if (pid == 0) {
                _exit(0);
            }
            assert_int_equal(waitpid(pid, NULL, 0), pid);
        }
        drain(&s);
        assert_true(s.lost > 0);
        for (size_t i = 0; i < s.count; i++) {
            told += s.events[i].kind == EVENT_FORK || s.events[i].kind == EVENT_EXIT;
        }
        assert_true(told + s.lost >= 600);
        /* the next message of each CPU shows the same number by its sequence */
        events_figures(s.e, &f);
        dropped = f.lost;
        for (int i = 0; i < 1000 && f.sequence_gaps < dropped; i++) {
            hear_of_cpu(&s, i % cpus);
            events_figures(s.e, &f);
        }
        assert_true(f.sequence_gaps >= dropped);
        assert_true(f.sequence_gaps <= f.lost);
        on_cpu(-1);
    }
    end(&s);
}

static void a_probe_is_told_to_nobody(void **state)
{
    struct seen s;

    (void)state;
    if (begin(&s, (struct events_conf){ .no_exec_reader = true })) {
        events_probe(s.e); /* it has told of its child when that is over */
        drain(&s);
        for (size_t i = 0; i < s.count; i++) {
            assert_true(s.events[i].kind != EVENT_FORK || s.events[i].parent != (uint32_t)getpid());
        }
        assert_true(events_there(s.e));
    }
    end(&s);
}

static int as_nobody_elsewhere(int fd, void *arg)
{
    struct events *e = NULL;

    (void)arg;
    if (unshare(CLONE_NEWNET) != 0) {
        child_say(fd, 'n');
        return 0;
    }
    if (events_open(NULL, &e, NULL) != 0 || events_there(e) || !events_reason(e)) {
        return 1;
    }
    events_close(e);
    child_say(fd, 'r');
    return 0;
}

/* The kernel takes the subscription there, and tells nothing. */
static void in_another_network_namespace_it_is_known_to_be_absent(void **state)
{
    struct child c = child_start(as_nobody_elsewhere, NULL);
    char said = 0;

    (void)state;
    assert_int_equal(read(c.fd, &said, 1), 1);
    if (said == 'n') {
        print_message("no right to make a network namespace: not tried\n");
    }
    child_end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_another_network_namespace_it_is_known_to_be_absent),
        cmocka_unit_test(a_life_is_told_from_fork_to_exit),
        cmocka_unit_test(one_ended_by_a_signal_says_so),
        cmocka_unit_test(a_process_ends_with_its_last_thread),
        cmocka_unit_test(a_reading_is_never_of_another_program_of_the_same_process),
        cmocka_unit_test(a_program_that_is_over_at_once_has_its_arguments_read),
        cmocka_unit_test(above_its_share_the_reader_sleeps_and_counts),
        cmocka_unit_test(what_the_kernel_dropped_is_counted_exactly),
        cmocka_unit_test(a_probe_is_told_to_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
