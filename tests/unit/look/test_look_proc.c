/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/look/look_proc.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/compiler.h"
#include "tests/support/check.h"
#include "tests/unit/look/bench.h"

static int sleeper(int fd, void *arg)
{
    (void)arg;
    child_say(fd, 'r');
    return child_hear(fd);
}

static void what_a_process_is_is_read(void **state)
{
    struct bench b;
    struct child c;
    const struct rec_process *p;
    char exe[4096], cwd[4096];
    ssize_t n;

    (void)state;
    bench_begin(&b);
    c = child_start(sleeper, NULL);
    bench_watch(&b, &c);
    bench_look(&b);
    p = &model_process(&b.m, c.pid)->p;
    n = readlink("/proc/self/exe", exe, sizeof(exe));
    assert_true(n > 0 && slice_eq(p->exe, slice_of(exe, (size_t)n)));
    assert_non_null(getcwd(cwd, sizeof(cwd)));
    assert_slice_str(p->cwd, cwd);
    assert_int_equal(p->ppid, getpid());
    assert_int_equal(p->euid, geteuid());
    assert_int_equal(p->rgid, getgid());
    assert_int_equal(p->session, getsid(0));
    assert_int_equal(p->kernel_thread, 0);
    assert_int_equal(p->exe_deleted, 0);
    assert_int_equal(p->unreadable, 0);
    assert_true(p->ns_net != 0 && p->ns_mnt != 0 && p->ns_pid != 0 && p->ns_user != 0 && p->ns_uts != 0 &&
                p->ns_ipc != 0);
    assert_int_equal(model_process(&b.m, c.pid)->how.why, LOOK_WHY_FIRST);
    child_end(&c);
    bench_end(&b);
}

static int renames_itself(int fd, void *arg)
{
    const char *name = arg;

    (void)prctl(PR_SET_NAME, name);
    child_say(fd, 'r');
    return child_hear(fd);
}

static void hostile_names_are_names(void **state)
{
    static const char *const names[] = { "a) S 1 (b", "x\ny", "###9###", "\xff\xfe\x01", ") Z 0 0", "" };
    struct bench b;

    (void)state;
    bench_begin(&b);
    for (size_t i = 0; i < pofr_countof(names); i++) {
        struct child c = child_start(renames_itself, (void *)(uintptr_t)names[i]);

        bench_watch(&b, &c);
        bench_look(&b);
        assert_slice_str(model_process(&b.m, c.pid)->p.command, names[i]);
        assert_int_equal(model_process(&b.m, c.pid)->p.ppid, getpid());
        model_remove(&b.m, c.pid);
        child_end(&c);
    }
    bench_end(&b);
}

/* Executes sleep with arg as its environment's neighbour: sh keeps what it is given as arguments. */
static int executes(int fd, void *arg)
{
    char **argv = arg;
    char number[16];

    (void)fd;
    (void)fcntl(fd, F_SETFD, 0);
    (void)snprintf(number, sizeof(number), "%d", fd);
    (void)setenv("FD", number, 1);
    (void)execv("/bin/sh", argv);
    return 1;
}

#define SH_SCRIPT "printf r >&\"$FD\"; read -r x <&\"$FD\""

static struct slice run_shell(struct bench *b, char *const rest[], struct child *out_child)
{
    char *argv[64] = { (char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c", (char *)(uintptr_t)SH_SCRIPT };

    for (size_t i = 0; rest[i] && i < 60; i++) {
        argv[3 + i] = rest[i];
    }
    *out_child = child_start(executes, argv);
    bench_watch(b, out_child);
    bench_look(b);
    return model_process(&b->m, out_child->pid)->p.arguments;
}

static void hostile_arguments_are_kept_byte_for_byte(void **state)
{
    static const char expected[] = "sh\0-c\0" SH_SCRIPT "\0###/etc/motd ###\0two\nlines\0\0\xff\xfe bytes\0";
    char *rest[] = { (char *)(uintptr_t) "###/etc/motd ###", (char *)(uintptr_t) "two\nlines", (char *)(uintptr_t) "",
                     (char *)(uintptr_t) "\xff\xfe bytes", NULL };
    struct bench b;
    struct child c;
    struct slice got;

    (void)state;
    bench_begin(&b);
    got = run_shell(&b, rest, &c);
    assert_int_equal(got.len, sizeof(expected) - 1);
    assert_memory_equal(got.data, expected, got.len);
    assert_int_equal(model_process(&b.m, c.pid)->p.arguments_cut, 0);
    child_end(&c);
    bench_end(&b);
}

static void arguments_beyond_the_limit_are_cut_and_marked(void **state)
{
    char *big = malloc(60001), *rest[5] = { big, big, big, big, NULL };
    struct bench b;
    struct child c;
    struct slice got;

    (void)state;
    assert_non_null(big);
    memset(big, 'x', 60000);
    big[60000] = '\0';
    bench_begin(&b);
    got = run_shell(&b, rest, &c);
    assert_int_equal(got.len, REC_ARGUMENTS_MAX);
    assert_int_equal(got.data[REC_ARGUMENTS_MAX - 1], 'x');
    assert_int_equal(model_process(&b.m, c.pid)->p.arguments_cut, 1);
    child_end(&c);
    bench_end(&b);
    free(big);
}

/* Fields 26 to 28 and 45 to 51 of our own stat: where the kernel thinks that everything lies. */
static bool own_memory_map(struct prctl_mm_map *map)
{
    unsigned long field[53] = { 0 };
    char text[2048], *at;
    FILE *f = fopen("/proc/self/stat", "re");
    size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

    if (f) {
        (void)fclose(f);
    }
    text[n] = '\0';
    if (!(at = strrchr(text, ')'))) {
        return false;
    }
    at += 3; /* behind the state */
    for (int i = 4; i <= 51; i++) {
        field[i] = strtoul(at, &at, 10);
    }
    *map = (struct prctl_mm_map){ .start_code = field[26],
                                  .end_code = field[27],
                                  .start_data = field[45],
                                  .end_data = field[46],
                                  .start_brk = field[47],
                                  .brk = (uintptr_t)sbrk(0),
                                  .start_stack = field[28],
                                  .arg_start = field[48],
                                  .arg_end = field[49],
                                  .env_start = field[50],
                                  .env_end = field[51],
                                  .exe_fd = (uint32_t)-1 };
    return true;
}

/* Makes its own arguments 1 GiB of never touched memory, as an unprivileged process may. */
static int gigabyte_of_arguments(int fd, void *arg)
{
    size_t size = (size_t)1 << 30;
    char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct prctl_mm_map map;

    (void)arg;
    if (at == MAP_FAILED || !own_memory_map(&map)) {
        return 1;
    }
    map.arg_start = (uintptr_t)at;
    map.arg_end = (uintptr_t)at + size - 1;
    if (prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0) != 0) {
        child_say(fd, 'n');
        return 0;
    }
    child_say(fd, 'r');
    return child_hear(fd);
}

static void a_gigabyte_of_arguments_costs_no_more_than_the_limit(void **state)
{
    struct bench b;
    struct child c = child_start(gigabyte_of_arguments, NULL);
    char said = 0;

    (void)state;
    assert_int_equal(read(c.fd, &said, 1), 1);
    if (said == 'r') { /* needs CONFIG_CHECKPOINT_RESTORE */
        bench_begin(&b);
        wait_asleep(c.pid);
        model_add(&b.m, c.pid);
        bench_look(&b);
        assert_int_equal(model_process(&b.m, c.pid)->p.arguments.len, REC_ARGUMENTS_MAX);
        assert_int_equal(model_process(&b.m, c.pid)->p.arguments_cut, 1);
        bench_end(&b);
    } else {
        print_message("PR_SET_MM_MAP is refused here: not tried\n");
    }
    child_end(&c);
}

static int executes_when_told(int fd, void *arg)
{
    char *argv[] = { (char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c", (char *)(uintptr_t)SH_SCRIPT, NULL };

    (void)arg;
    child_say(fd, 'r');
    (void)child_hear(fd);
    return executes(fd, argv);
}

static void another_program_is_seen_at_the_next_look(void **state)
{
    struct bench b;
    struct child c;
    uint64_t start;

    (void)state;
    bench_begin(&b);
    c = child_start(executes_when_told, NULL);
    bench_watch(&b, &c);
    bench_look(&b);
    start = model_process(&b.m, c.pid)->p.start_jiffies;
    child_tell(&c, 'g');
    child_expect(&c, 'r');
    wait_asleep(c.pid);
    bench_look(&b);
    assert_int_equal(model_process(&b.m, c.pid)->delivered, 2);
    assert_slice_str(model_process(&b.m, c.pid)->p.command, "sh");
    assert_true(model_process(&b.m, c.pid)->p.start_jiffies == start);
    model_equals_naive(&b.m, c.pid);
    child_end(&c);
    bench_end(&b);
}

/* pthread_join() would do, but the thread sanitizer does not take the first thread for one that can be joined. */
static void wait_first_thread_ended(void)
{
    char path[64], text[512];
    const char *state;

    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)getpid());
    do {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = read(fd, text, sizeof(text) - 1);

        (void)close(fd);
        text[n > 0 ? n : 0] = 0;
        state = strrchr(text, ')');
        (void)sched_yield();
    } while (state == NULL || state[2] != 'Z');
}

static void *outlives_the_leader(void *arg)
{
    void **args = arg;
    struct bench *b = args[0];
    int fd = (int)(intptr_t)args[1];

    wait_first_thread_ended();
    bench_put(bench_open(b, "hidden", O_RDONLY | O_CREAT), 80);
    child_say(fd, 'r');
    (void)child_hear(fd);
    _exit(7);
}

static int dead_leader(int fd, void *arg)
{
    static struct bench kept; /* the other's is on the leader's stack, which ends with it */
    static void *args[2];
    pthread_t thread;

    kept = *(struct bench *)arg;
    args[0] = &kept;
    args[1] = (void *)(intptr_t)fd;
    if (pthread_create(&thread, NULL, outlives_the_leader, args) != 0) {
        return 1;
    }
    pthread_exit(NULL);
}

static void a_dead_leader_hides_nothing(void **state)
{
    struct bench b;
    struct child c;
    const struct model_process *p;

    (void)state;
    bench_begin(&b);
    c = child_start(dead_leader, &b);
    bench_watch(&b, &c);
    bench_look(&b);
    p = model_process(&b.m, c.pid);
    assert_non_null(p);
    assert_false(p->how.zombie);
    assert_int_equal(p->p.unreadable, 0);
    assert_true(p->p.exe.len > 0 && p->p.arguments.len > 0 && p->p.cwd.len > 0);
    bench_check_file(&b, c.pid, 80, REC_FILE_REGULAR, REC_ACCESS_READ, 0, "hidden");
    bench_look(&b);
    assert_int_equal(model_process(&b.m, c.pid)->held, 1);
    child_end(&c);
    bench_end(&b);
}

static int exits_when_told(int fd, void *arg)
{
    (void)arg;
    child_say(fd, 'r');
    return child_hear(fd);
}

static void wait_zombie(pid_t pid)
{
    siginfo_t info;

    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
}

static void a_zombie_is_delivered_once_with_its_exit_status(void **state)
{
    struct bench b;
    struct child c;

    (void)state;
    bench_begin(&b);
    c = child_start(exits_when_told, NULL);
    bench_watch(&b, &c);
    bench_look(&b);
    child_tell(&c, 5);
    wait_zombie(c.pid);
    bench_look(&b);
    assert_true(model_process(&b.m, c.pid)->how.zombie);
    if (model_process(&b.m, c.pid)->how.exit_known) {
        assert_int_equal(model_process(&b.m, c.pid)->how.exit_status, 5 << 8);
    }
    bench_look(&b);
    bench_reconcile_all(&b);
    assert_int_equal(model_process(&b.m, c.pid)->delivered, 2);
    assert_int_equal(model_process(&b.m, c.pid)->held, 0);
    child_end(&c);
    bench_end(&b);
}

static void without_a_list_hints_tell_who_is_new(void **state)
{
    struct bench b;
    struct child c, d;

    (void)state;
    bench_begin(&b);
    c = child_start(sleeper, NULL);
    bench_watch(&b, &c);
    bench_look(&b);
    d = child_start(sleeper, NULL);
    bench_watch(&b, &d);
    bench_look_asking(&b, (struct look_ask){ .list = false });
    assert_null(model_process(&b.m, d.pid));
    look_proc_hint(b.l, (uint32_t)d.pid, LOOK_HINT_NEW);
    look_proc_hint(b.l, 4194304u, LOOK_HINT_NEW); /* one that is gone already */
    bench_look_asking(&b, (struct look_ask){ .list = false });
    assert_non_null(model_process(&b.m, d.pid));
    assert_non_null(model_process(&b.m, c.pid));
    bench_look(&b);
    assert_int_equal(b.m.result.unannounced, 0);
    child_end(&c);
    bench_look_asking(&b, (struct look_ask){ .list = false });
    assert_null(model_process(&b.m, c.pid));
    child_end(&d);
    bench_end(&b);
}

static void one_that_nobody_announced_is_counted(void **state)
{
    struct bench b;
    struct child c, d;

    (void)state;
    bench_begin(&b);
    c = child_start(sleeper, NULL);
    bench_watch(&b, &c);
    bench_look(&b);
    assert_int_equal(b.m.result.unannounced, 0);
    d = child_start(sleeper, NULL);
    bench_watch(&b, &d);
    bench_look(&b);
    assert_int_equal(b.m.result.unannounced, 1);
    child_end(&c);
    child_end(&d);
    bench_end(&b);
}

static void a_full_look_reads_everything(void **state)
{
    struct bench b;
    struct child c;

    (void)state;
    bench_begin(&b);
    c = child_start(bench_opener, &b);
    bench_watch(&b, &c);
    bench_look(&b);
    bench_look_asking(&b, (struct look_ask){ .list = true, .full = true });
    assert_int_equal(model_process(&b.m, c.pid)->delivered, 2);
    assert_int_equal(model_file(&b.m, c.pid, 0, 50)->delivered, 2);
    child_end(&c);
    bench_end(&b);
}

static int without_rights(int fd, void *arg)
{
    struct bench *b = arg;

    bench_put(bench_open(b, "private", O_RDONLY | O_CREAT), 50);
    child_say(fd, 'r');
    return child_hear(fd);
}

/* A look by nobody at root's process: run in a child, for a uid once given up does not come back. */
static int looks_as_nobody(int fd, void *arg)
{
    struct bench *b = arg;
    const struct model_process *p;
    pid_t target;

    if (read(fd, &target, sizeof(target)) != sizeof(target) || setresgid(65534, 65534, 65534) != 0 ||
        setresuid(65534, 65534, 65534) != 0) {
        return 1;
    }
    bench_look(b);
    p = model_process(&b->m, target);
    if (!p || p->p.command.len == 0 || p->p.arguments.len == 0 || !(p->p.unreadable & REC_UNREADABLE_EXE) ||
        !(p->p.unreadable & REC_UNREADABLE_FILES) || !(p->p.unreadable & REC_UNREADABLE_NS) || p->p.euid != 0) {
        return 3;
    }
    if (b->m.result.refused == 0 || look_proc_sees_others(b->l)) {
        return 4;
    }
    bench_look(b); /* held now, and no better known than before */
    return b->m.result.refused == 0 ? 5 : 0;
}

static void what_no_right_is_there_to_read_is_named(void **state)
{
    struct bench b;
    struct child c, d;
    int status;

    (void)state;
    if (geteuid() != 0) {
        print_message("not root: not tried\n");
        return;
    }
    bench_begin(&b);
    c = child_start(without_rights, &b);
    bench_watch(&b, &c);
    assert_int_equal(chmod(b.m.root, 0755), 0);
    d = child_start(looks_as_nobody, &b);
    assert_int_equal(write(d.fd, &c.pid, sizeof(c.pid)), sizeof(c.pid));
    assert_int_equal(waitpid(d.pid, &status, 0), d.pid);
    assert_int_equal(status, 0);
    (void)close(d.fd);
    child_end(&c);
    bench_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_process_is_is_read),
        cmocka_unit_test(hostile_names_are_names),
        cmocka_unit_test(hostile_arguments_are_kept_byte_for_byte),
        cmocka_unit_test(arguments_beyond_the_limit_are_cut_and_marked),
        cmocka_unit_test(a_gigabyte_of_arguments_costs_no_more_than_the_limit),
        cmocka_unit_test(another_program_is_seen_at_the_next_look),
        cmocka_unit_test(a_dead_leader_hides_nothing),
        cmocka_unit_test(a_zombie_is_delivered_once_with_its_exit_status),
        cmocka_unit_test(without_a_list_hints_tell_who_is_new),
        cmocka_unit_test(one_that_nobody_announced_is_counted),
        cmocka_unit_test(a_full_look_reads_everything),
        cmocka_unit_test(what_no_right_is_there_to_read_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
