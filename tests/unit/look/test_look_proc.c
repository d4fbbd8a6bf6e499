/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/look/look_proc.h"

#include "tests/support/check.h"
#include "tests/unit/look/model.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/compiler.h"

struct bench {
    struct model m;
    struct look_proc_conf conf;
    struct look_proc *l; /* made at the first look: a child forked while its thread starts may find locks of malloc held */
    char dir[64];
};

static void begin_with(struct bench *b, struct look_proc_conf conf)
{
    model_init(&b->m);
    b->conf = conf;
    b->l = NULL;
    (void)snprintf(b->dir, sizeof(b->dir), "/tmp/pofr-files-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
}

static void begin(struct bench *b)
{
    begin_with(b, (struct look_proc_conf){ 0 });
}

static void end(struct bench *b)
{
    char command[128];

    look_proc_free(b->l);
    model_fini(&b->m);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", b->dir);
    assert_int_equal(system(command), 0);
}

static void look_asking(struct bench *b, struct look_ask ask)
{
    if (!b->l) {
        b->conf.root = b->m.root;
        assert_int_equal(look_proc_new(&b->conf, &b->l, NULL), 0);
    }
    model_look(&b->m, b->l, ask);
}

static void look(struct bench *b)
{
    look_asking(b, (struct look_ask){ .list = true, .reconcile_part = 1000000 });
}

static void reconcile_all(struct bench *b)
{
    look_asking(b, (struct look_ask){ .list = true, .reconcile_part = 1 });
}

static void watch(struct bench *b, const struct child *c)
{
    child_expect(c, 'r');
    wait_asleep(c->pid);
    model_add(&b->m, c->pid);
}

static void put(int fd, int at)
{
    if (fd < 0 || dup2(fd, at) < 0) {
        _exit(97);
    }
    (void)close(fd);
}

static int in_dir(const struct bench *b, const char *name, int flags)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", b->dir, name);
    return open(path, flags | O_CLOEXEC, 0600);
}

static void remove_in_dir(const struct bench *b, const char *name)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", b->dir, name);
    (void)unlink(path);
}

static void rename_in_dir(const struct bench *b, const char *from, const char *to)
{
    char old[128], new[128];

    (void)snprintf(old, sizeof(old), "%s/%s", b->dir, from);
    (void)snprintf(new, sizeof(new), "%s/%s", b->dir, to);
    assert_int_equal(rename(old, new), 0);
}

enum { FD_READ = 100, FD_WRITE, FD_BOTH, FD_PATH, FD_DIR, FD_PIPE_R, FD_PIPE_W, FD_SOCKET, FD_EVENT, FD_MEM, FD_DELETED,
       FD_CALLED_DELETED, FD_LINK_GONE, FD_NULL, FD_TEMPORARY, FD_FIFO };

static int every_kind(int fd, void *arg)
{
    const struct bench *b = arg;
    char from[128], to[128];
    int ends[2];

    put(in_dir(b, "read", O_RDONLY | O_CREAT), FD_READ);
    put(in_dir(b, "write", O_WRONLY | O_CREAT), FD_WRITE);
    put(in_dir(b, "both", O_RDWR | O_CREAT), FD_BOTH);
    put(in_dir(b, "both", O_PATH), FD_PATH);
    put(in_dir(b, "", O_RDONLY | O_DIRECTORY), FD_DIR);
    if (pipe(ends) == 0) {
        put(ends[0], FD_PIPE_R);
        put(ends[1], FD_PIPE_W);
    }
    put(socket(AF_INET, SOCK_DGRAM, 0), FD_SOCKET);
    put(eventfd(0, 0), FD_EVENT);
    put(memfd_create("a name", 0), FD_MEM);
    put(in_dir(b, "gone", O_RDWR | O_CREAT), FD_DELETED);
    remove_in_dir(b, "gone");
    put(in_dir(b, "still here (deleted)", O_RDWR | O_CREAT), FD_CALLED_DELETED);
    put(in_dir(b, "first", O_RDWR | O_CREAT), FD_LINK_GONE);
    (void)snprintf(from, sizeof(from), "%s/first", b->dir);
    (void)snprintf(to, sizeof(to), "%s/second", b->dir);
    if (link(from, to) != 0) {
        return 1;
    }
    remove_in_dir(b, "first");
    put(open("/dev/null", O_RDWR), FD_NULL);
    put(in_dir(b, "", O_TMPFILE | O_RDWR), FD_TEMPORARY);
    (void)snprintf(to, sizeof(to), "%s/fifo", b->dir);
    (void)mkfifo(to, 0600);
    put(in_dir(b, "fifo", O_RDWR), FD_FIFO);
    child_say(fd, 'r');
    return child_hear(fd);
}

static void check_file(struct bench *b, pid_t pid, uint32_t fd, uint64_t kind, uint64_t access, uint64_t deleted,
                       const char *name)
{
    struct model_file *f = model_file(&b->m, pid, 0, fd);
    char path[256];

    assert_non_null(f);
    assert_int_equal(f->f.kind, kind);
    assert_int_equal(f->f.access_mode, access);
    assert_int_equal(f->f.deleted, deleted);
    if (name) {
        (void)snprintf(path, sizeof(path), "%s%s%s", name[0] == '/' ? "" : b->dir, name[0] == '/' || !name[0] ? "" : "/", name);
        assert_slice_str(f->f.path, path);
    }
}

static void every_kind_of_file_is_seen_as_it_is(void **state)
{
    struct bench b;
    struct child c;

    (void)state;
    begin(&b);
    c = child_start(every_kind, &b);
    watch(&b, &c);
    look(&b);
    check_file(&b, c.pid, FD_READ, REC_FILE_REGULAR, REC_ACCESS_READ, 0, "read");
    check_file(&b, c.pid, FD_WRITE, REC_FILE_REGULAR, REC_ACCESS_WRITE, 0, "write");
    check_file(&b, c.pid, FD_BOTH, REC_FILE_REGULAR, REC_ACCESS_READ | REC_ACCESS_WRITE, 0, "both");
    check_file(&b, c.pid, FD_PATH, REC_FILE_REGULAR, REC_ACCESS_PATH, 0, "both");
    check_file(&b, c.pid, FD_DIR, REC_FILE_DIRECTORY, REC_ACCESS_READ, 0, "");
    check_file(&b, c.pid, FD_PIPE_R, REC_FILE_FIFO, REC_ACCESS_READ, 0, NULL);
    check_file(&b, c.pid, FD_PIPE_W, REC_FILE_FIFO, REC_ACCESS_WRITE, 0, NULL);
    check_file(&b, c.pid, FD_SOCKET, REC_FILE_SOCKET, REC_ACCESS_READ | REC_ACCESS_WRITE, 0, NULL);
    check_file(&b, c.pid, FD_EVENT, REC_FILE_ANONYMOUS, REC_ACCESS_READ | REC_ACCESS_WRITE, 0, NULL);
    check_file(&b, c.pid, FD_MEM, REC_FILE_REGULAR, REC_ACCESS_READ | REC_ACCESS_WRITE, 1, "/memfd:a name");
    check_file(&b, c.pid, FD_DELETED, REC_FILE_REGULAR, REC_ACCESS_READ | REC_ACCESS_WRITE, 1, "gone");
    check_file(&b, c.pid, FD_CALLED_DELETED, REC_FILE_REGULAR, REC_ACCESS_READ | REC_ACCESS_WRITE, 0,
               "still here (deleted)");
    check_file(&b, c.pid, FD_LINK_GONE, REC_FILE_REGULAR, REC_ACCESS_READ | REC_ACCESS_WRITE, 1, "first");
    check_file(&b, c.pid, FD_NULL, REC_FILE_CHARACTER, REC_ACCESS_READ | REC_ACCESS_WRITE, 0, "/dev/null");
    check_file(&b, c.pid, FD_TEMPORARY, REC_FILE_REGULAR, REC_ACCESS_READ | REC_ACCESS_WRITE, 1, NULL);
    check_file(&b, c.pid, FD_FIFO, REC_FILE_FIFO, REC_ACCESS_READ | REC_ACCESS_WRITE, 0, "fifo");
    model_equals_naive(&b.m, c.pid);
    child_end(&c);
    end(&b);
}

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
    begin(&b);
    c = child_start(sleeper, NULL);
    watch(&b, &c);
    look(&b);
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
    assert_true(p->ns_net != 0 && p->ns_mnt != 0 && p->ns_pid != 0 && p->ns_user != 0 && p->ns_uts != 0 && p->ns_ipc != 0);
    assert_int_equal(model_process(&b.m, c.pid)->how.why, LOOK_WHY_FIRST);
    child_end(&c);
    end(&b);
}

static int commanded_opener(int fd, void *arg)
{
    struct bench *b = arg;

    put(in_dir(b, "old", O_RDONLY | O_CREAT), 50);
    child_say(fd, 'r');
    (void)child_hear(fd);
    put(in_dir(b, "new", O_RDONLY | O_CREAT), 51);
    child_say(fd, 'r');
    (void)child_hear(fd);
    (void)close(51);
    put(in_dir(b, "other", O_RDONLY | O_CREAT), 50);
    child_say(fd, 'r');
    return child_hear(fd);
}

static void one_that_stands_still_is_held_and_one_that_moves_is_read(void **state)
{
    struct bench b;
    struct child c;

    (void)state;
    begin(&b);
    c = child_start(commanded_opener, &b);
    watch(&b, &c);
    look(&b);
    look(&b);
    assert_int_equal(model_process(&b.m, c.pid)->held, 1);
    assert_int_equal(b.m.result.read, 0);
    child_tell(&c, 'g');
    child_expect(&c, 'r');
    wait_asleep(c.pid);
    look(&b);
    assert_int_equal(model_process(&b.m, c.pid)->attributes_held, 1);
    assert_int_equal(model_process(&b.m, c.pid)->how.why, LOOK_WHY_CLOCK);
    assert_int_equal(model_file(&b.m, c.pid, 0, 51)->delivered, 1);
    assert_int_equal(model_file(&b.m, c.pid, 0, 50)->delivered, 1);
    assert_int_equal(model_file(&b.m, c.pid, 0, 50)->held, 1);
    model_equals_naive(&b.m, c.pid);
    child_tell(&c, 'g');
    child_expect(&c, 'r');
    wait_asleep(c.pid);
    look(&b);
    assert_null(model_file(&b.m, c.pid, 0, 51));
    check_file(&b, c.pid, 50, REC_FILE_REGULAR, REC_ACCESS_READ, 0, "other");
    model_equals_naive(&b.m, c.pid);
    child_end(&c);
    look(&b);
    assert_null(model_process(&b.m, c.pid));
    end(&b);
}

static void what_the_caller_does_not_hold_is_read_at_once(void **state)
{
    struct bench b;
    struct child c;

    (void)state;
    begin(&b);
    c = child_start(commanded_opener, &b);
    watch(&b, &c);
    look(&b);
    model_process(&b.m, c.pid)->p.start_jiffies++; /* as if it held another process of that pid */
    look(&b);
    assert_int_equal(model_process(&b.m, c.pid)->delivered, 1);
    assert_int_equal(model_process(&b.m, c.pid)->how.why, LOOK_WHY_FIRST);
    model_equals_naive(&b.m, c.pid);
    child_end(&c);
    end(&b);
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
    begin(&b);
    for (size_t i = 0; i < pofr_countof(names); i++) {
        struct child c = child_start(renames_itself, (void *)(uintptr_t)names[i]);

        watch(&b, &c);
        look(&b);
        assert_slice_str(model_process(&b.m, c.pid)->p.command, names[i]);
        assert_int_equal(model_process(&b.m, c.pid)->p.ppid, getpid());
        model_remove(&b.m, c.pid);
        child_end(&c);
    }
    end(&b);
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
    char *argv[64] = { (char *)(uintptr_t)"sh", (char *)(uintptr_t)"-c", (char *)(uintptr_t)SH_SCRIPT };

    for (size_t i = 0; rest[i] && i < 60; i++) {
        argv[3 + i] = rest[i];
    }
    *out_child = child_start(executes, argv);
    watch(b, out_child);
    look(b);
    return model_process(&b->m, out_child->pid)->p.arguments;
}

static void hostile_arguments_are_kept_byte_for_byte(void **state)
{
    static const char expected[] = "sh\0-c\0" SH_SCRIPT "\0###/etc/motd ###\0two\nlines\0\0\xff\xfe bytes\0";
    char *rest[] = { (char *)(uintptr_t)"###/etc/motd ###", (char *)(uintptr_t)"two\nlines", (char *)(uintptr_t)"",
                     (char *)(uintptr_t)"\xff\xfe bytes", NULL };
    struct bench b;
    struct child c;
    struct slice got;

    (void)state;
    begin(&b);
    got = run_shell(&b, rest, &c);
    assert_int_equal(got.len, sizeof(expected) - 1);
    assert_memory_equal(got.data, expected, got.len);
    assert_int_equal(model_process(&b.m, c.pid)->p.arguments_cut, 0);
    child_end(&c);
    end(&b);
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
    begin(&b);
    got = run_shell(&b, rest, &c);
    assert_int_equal(got.len, REC_ARGUMENTS_MAX);
    assert_int_equal(got.data[REC_ARGUMENTS_MAX - 1], 'x');
    assert_int_equal(model_process(&b.m, c.pid)->p.arguments_cut, 1);
    child_end(&c);
    end(&b);
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
    *map = (struct prctl_mm_map){ .start_code = field[26], .end_code = field[27], .start_data = field[45],
                                  .end_data = field[46], .start_brk = field[47], .brk = (uintptr_t)sbrk(0),
                                  .start_stack = field[28], .arg_start = field[48], .arg_end = field[49],
                                  .env_start = field[50], .env_end = field[51], .exe_fd = (uint32_t)-1 };
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
        begin(&b);
        wait_asleep(c.pid);
        model_add(&b.m, c.pid);
        look(&b);
        assert_int_equal(model_process(&b.m, c.pid)->p.arguments.len, REC_ARGUMENTS_MAX);
        assert_int_equal(model_process(&b.m, c.pid)->p.arguments_cut, 1);
        end(&b);
    } else {
        print_message("PR_SET_MM_MAP is refused here: not tried\n");
    }
    child_end(&c);
}

static int executes_when_told(int fd, void *arg)
{
    char *argv[] = { (char *)(uintptr_t)"sh", (char *)(uintptr_t)"-c", (char *)(uintptr_t)SH_SCRIPT, NULL };

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
    begin(&b);
    c = child_start(executes_when_told, NULL);
    watch(&b, &c);
    look(&b);
    start = model_process(&b.m, c.pid)->p.start_jiffies;
    child_tell(&c, 'g');
    child_expect(&c, 'r');
    wait_asleep(c.pid);
    look(&b);
    assert_int_equal(model_process(&b.m, c.pid)->delivered, 2);
    assert_slice_str(model_process(&b.m, c.pid)->p.command, "sh");
    assert_true(model_process(&b.m, c.pid)->p.start_jiffies == start);
    model_equals_naive(&b.m, c.pid);
    child_end(&c);
    end(&b);
}

struct sharer {
    struct bench *b;
    pid_t pid;
};

static int opens_when_told(void *arg)
{
    struct bench *b = ((struct sharer *)arg)->b;

    (void)child_hear(60);
    put(in_dir(b, "shared", O_RDONLY | O_CREAT), 61);
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

    put(dup(fd), 60);
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
    begin(&b);
    c = child_start(shares_files, &s);
    assert_int_equal(read(c.fd, &other, sizeof(other)), sizeof(other));
    wait_asleep(c.pid);
    wait_asleep(other);
    model_add(&b.m, c.pid);
    model_add(&b.m, other);
    look(&b);
    child_tell(&c, 'g');
    child_expect(&c, 'r');
    wait_asleep(other);
    look(&b);
    assert_non_null(model_file(&b.m, other, 0, 61));
    assert_non_null(model_file(&b.m, c.pid, 0, 61));
    assert_int_equal(model_process(&b.m, c.pid)->how.why, LOOK_WHY_GROUP);
    model_equals_naive(&b.m, c.pid);
    (void)kill(other, SIGKILL);
    child_end(&c);
    end(&b);
}

static void *unshares(void *arg)
{
    struct bench *b = ((void **)arg)[0];
    int fd = *(int *)((void **)arg)[1];
    pid_t tid = gettid();

    if (unshare(CLONE_FILES) != 0) {
        _exit(96);
    }
    put(in_dir(b, "own", O_RDONLY | O_CREAT), 70);
    if (write(fd, &tid, sizeof(tid)) != sizeof(tid)) {
        _exit(95);
    }
    (void)child_hear(fd);
    (void)close(70);
    put(in_dir(b, "own2", O_RDONLY | O_CREAT), 71);
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
    begin(&b);
    c = child_start(has_a_thread_with_its_own_table, &b);
    assert_int_equal(read(c.fd, &tid, sizeof(tid)), sizeof(tid));
    wait_asleep(c.pid);
    model_add(&b.m, c.pid);
    look(&b);
    assert_null(model_file(&b.m, c.pid, 0, 70));
    assert_non_null(model_file(&b.m, c.pid, (uint32_t)tid, 70));
    model_equals_naive(&b.m, c.pid);
    child_tell(&c, 'g');
    child_expect(&c, 'r');
    wait_asleep(c.pid);
    look(&b);
    assert_null(model_file(&b.m, c.pid, (uint32_t)tid, 70));
    assert_non_null(model_file(&b.m, c.pid, (uint32_t)tid, 71));
    child_tell(&c, 'g');
    child_expect(&c, 'j');
    wait_asleep(c.pid);
    look(&b);
    assert_int_equal(model_files_of(&b.m, c.pid, (uint32_t)tid), 0);
    model_equals_naive(&b.m, c.pid);
    child_end(&c);
    end(&b);
}

static void *outlives_the_leader(void *arg)
{
    void **args = arg;
    struct bench *b = args[0];
    int fd = (int)(intptr_t)args[1];

    (void)pthread_join((pthread_t)args[2], NULL);
    put(in_dir(b, "hidden", O_RDONLY | O_CREAT), 80);
    child_say(fd, 'r');
    (void)child_hear(fd);
    _exit(7);
}

static int dead_leader(int fd, void *arg)
{
    static void *args[3];
    pthread_t thread;

    args[0] = arg;
    args[1] = (void *)(intptr_t)fd;
    args[2] = (void *)pthread_self();
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
    begin(&b);
    c = child_start(dead_leader, &b);
    watch(&b, &c);
    look(&b);
    p = model_process(&b.m, c.pid);
    assert_non_null(p);
    assert_false(p->how.zombie);
    assert_int_equal(p->p.unreadable, 0);
    assert_true(p->p.exe.len > 0 && p->p.arguments.len > 0 && p->p.cwd.len > 0);
    check_file(&b, c.pid, 80, REC_FILE_REGULAR, REC_ACCESS_READ, 0, "hidden");
    look(&b);
    assert_int_equal(model_process(&b.m, c.pid)->held, 1);
    child_end(&c);
    end(&b);
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
    begin(&b);
    c = child_start(exits_when_told, NULL);
    watch(&b, &c);
    look(&b);
    child_tell(&c, 5);
    wait_zombie(c.pid);
    look(&b);
    assert_true(model_process(&b.m, c.pid)->how.zombie);
    if (model_process(&b.m, c.pid)->how.exit_known) {
        assert_int_equal(model_process(&b.m, c.pid)->how.exit_status, 5 << 8);
    }
    look(&b);
    reconcile_all(&b);
    assert_int_equal(model_process(&b.m, c.pid)->delivered, 2);
    assert_int_equal(model_process(&b.m, c.pid)->held, 0);
    child_end(&c);
    end(&b);
}

static void what_others_do_to_a_file_is_found_in_its_turn(void **state)
{
    struct bench b;
    struct child c;

    (void)state;
    begin(&b);
    c = child_start(commanded_opener, &b);
    watch(&b, &c);
    look(&b);
    rename_in_dir(&b, "old", "renamed");
    look(&b);
    check_file(&b, c.pid, 50, REC_FILE_REGULAR, REC_ACCESS_READ, 0, "old");
    reconcile_all(&b);
    assert_int_equal(b.m.result.reconciled, 1);
    assert_int_equal(model_process(&b.m, c.pid)->how.why, LOOK_WHY_RECONCILE);
    check_file(&b, c.pid, 50, REC_FILE_REGULAR, REC_ACCESS_READ, 0, "renamed");
    remove_in_dir(&b, "renamed");
    reconcile_all(&b);
    check_file(&b, c.pid, 50, REC_FILE_REGULAR, REC_ACCESS_READ, 1, "renamed");
    model_equals_naive(&b.m, c.pid);
    child_end(&c);
    end(&b);
}

static void a_renamed_folder_above_is_found_in_its_turn(void **state)
{
    struct bench b;
    struct child c;
    char moved[80];

    (void)state;
    begin(&b);
    c = child_start(commanded_opener, &b);
    watch(&b, &c);
    look(&b);
    (void)snprintf(moved, sizeof(moved), "%s.moved", b.dir);
    assert_int_equal(rename(b.dir, moved), 0);
    reconcile_all(&b);
    model_equals_naive(&b.m, c.pid);
    assert_int_equal(rename(moved, b.dir), 0);
    child_end(&c);
    end(&b);
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
            put(open("last", O_RDONLY | O_CREAT, 0600), 90);
        }
    }
    put(open("deep", O_RDONLY | O_CREAT, 0600), 91);
    child_say(fd, 'r');
    return child_hear(fd);
}

static void a_path_that_no_link_can_show_is_marked_as_cut(void **state)
{
    struct bench b;
    struct child c;
    const struct rec_file *f;

    (void)state;
    begin(&b);
    c = child_start(opens_deep, &b);
    watch(&b, &c);
    look(&b);
    f = &model_file(&b.m, c.pid, 0, 90)->f;
    assert_int_equal(f->path_cut, 0);
    assert_true(f->path.len > 3800 && f->path.len < 4096);
    f = &model_file(&b.m, c.pid, 0, 91)->f;
    assert_int_equal(f->path_cut, 1);
    assert_true(f->inode != 0);
    assert_int_equal(model_process(&b.m, c.pid)->p.unreadable, REC_UNREADABLE_CWD);
    child_end(&c);
    end(&b);
}

static int opens_many(int fd, void *arg)
{
    struct bench *b = arg;

    for (int i = 0; i < 50; i++) {
        put(open("/dev/null", O_RDONLY), 100 + i);
    }
    child_say(fd, 'r');
    (void)child_hear(fd);
    for (int i = 0; i < 50; i++) {
        put(in_dir(b, "many", O_RDONLY | O_CREAT), 100 + i);
    }
    child_say(fd, 'r');
    return child_hear(fd);
}

static void a_large_table_is_read_in_slices(void **state)
{
    struct bench b;
    struct child c;

    (void)state;
    begin_with(&b, (struct look_proc_conf){ .files_slice = 16 });
    c = child_start(opens_many, &b);
    watch(&b, &c);
    for (int i = 0; i < 4; i++) {
        look(&b);
        assert_int_equal(b.m.ranges, 1);
    }
    model_equals_naive(&b.m, c.pid);
    look(&b);
    assert_int_equal(b.m.result.read, 0);
    child_tell(&c, 'g');
    child_expect(&c, 'r');
    wait_asleep(c.pid);
    for (int i = 0; i < 4; i++) {
        look(&b);
    }
    model_equals_naive(&b.m, c.pid);
    look(&b);
    assert_int_equal(b.m.result.read, 0);
    child_end(&c);
    end(&b);
}

static void without_a_list_hints_tell_who_is_new(void **state)
{
    struct bench b;
    struct child c, d;

    (void)state;
    begin(&b);
    c = child_start(sleeper, NULL);
    watch(&b, &c);
    look(&b);
    d = child_start(sleeper, NULL);
    watch(&b, &d);
    look_asking(&b, (struct look_ask){ .list = false });
    assert_null(model_process(&b.m, d.pid));
    look_proc_hint(b.l, (uint32_t)d.pid, LOOK_HINT_NEW);
    look_proc_hint(b.l, 4194304u, LOOK_HINT_NEW); /* one that is gone already */
    look_asking(&b, (struct look_ask){ .list = false });
    assert_non_null(model_process(&b.m, d.pid));
    assert_non_null(model_process(&b.m, c.pid));
    look(&b);
    assert_int_equal(b.m.result.unannounced, 0);
    child_end(&c);
    look_asking(&b, (struct look_ask){ .list = false });
    assert_null(model_process(&b.m, c.pid));
    child_end(&d);
    end(&b);
}

static void one_that_nobody_announced_is_counted(void **state)
{
    struct bench b;
    struct child c, d;

    (void)state;
    begin(&b);
    c = child_start(sleeper, NULL);
    watch(&b, &c);
    look(&b);
    assert_int_equal(b.m.result.unannounced, 0);
    d = child_start(sleeper, NULL);
    watch(&b, &d);
    look(&b);
    assert_int_equal(b.m.result.unannounced, 1);
    child_end(&c);
    child_end(&d);
    end(&b);
}

static void a_full_look_reads_everything(void **state)
{
    struct bench b;
    struct child c;

    (void)state;
    begin(&b);
    c = child_start(commanded_opener, &b);
    watch(&b, &c);
    look(&b);
    look_asking(&b, (struct look_ask){ .list = true, .full = true });
    assert_int_equal(model_process(&b.m, c.pid)->delivered, 2);
    assert_int_equal(model_file(&b.m, c.pid, 0, 50)->delivered, 2);
    child_end(&c);
    end(&b);
}

static int without_rights(int fd, void *arg)
{
    struct bench *b = arg;

    put(in_dir(b, "private", O_RDONLY | O_CREAT), 50);
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
    look(b);
    p = model_process(&b->m, target);
    if (!p || p->p.command.len == 0 || p->p.arguments.len == 0 || !(p->p.unreadable & REC_UNREADABLE_EXE) ||
        !(p->p.unreadable & REC_UNREADABLE_FILES) || !(p->p.unreadable & REC_UNREADABLE_NS) || p->p.euid != 0) {
        return 3;
    }
    return 0;
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
    begin(&b);
    c = child_start(without_rights, &b);
    watch(&b, &c);
    assert_int_equal(chmod(b.m.root, 0755), 0);
    d = child_start(looks_as_nobody, &b);
    assert_int_equal(write(d.fd, &c.pid, sizeof(c.pid)), sizeof(c.pid));
    assert_int_equal(waitpid(d.pid, &status, 0), d.pid);
    assert_int_equal(status, 0);
    (void)close(d.fd);
    child_end(&c);
    end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_file_is_seen_as_it_is),
        cmocka_unit_test(what_a_process_is_is_read),
        cmocka_unit_test(one_that_stands_still_is_held_and_one_that_moves_is_read),
        cmocka_unit_test(what_the_caller_does_not_hold_is_read_at_once),
        cmocka_unit_test(hostile_names_are_names),
        cmocka_unit_test(hostile_arguments_are_kept_byte_for_byte),
        cmocka_unit_test(arguments_beyond_the_limit_are_cut_and_marked),
        cmocka_unit_test(a_gigabyte_of_arguments_costs_no_more_than_the_limit),
        cmocka_unit_test(another_program_is_seen_at_the_next_look),
        cmocka_unit_test(a_file_opened_by_one_that_shares_the_table_is_seen),
        cmocka_unit_test(a_threads_own_table_is_read_as_its_own),
        cmocka_unit_test(a_dead_leader_hides_nothing),
        cmocka_unit_test(a_zombie_is_delivered_once_with_its_exit_status),
        cmocka_unit_test(what_others_do_to_a_file_is_found_in_its_turn),
        cmocka_unit_test(a_renamed_folder_above_is_found_in_its_turn),
        cmocka_unit_test(a_path_that_no_link_can_show_is_marked_as_cut),
        cmocka_unit_test(a_large_table_is_read_in_slices),
        cmocka_unit_test(without_a_list_hints_tell_who_is_new),
        cmocka_unit_test(one_that_nobody_announced_is_counted),
        cmocka_unit_test(a_full_look_reads_everything),
        cmocka_unit_test(what_no_right_is_there_to_read_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
