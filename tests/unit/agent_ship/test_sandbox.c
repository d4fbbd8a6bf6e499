/* SPDX-License-Identifier: GPL-2.0-or-later */
/* In a child each, which says by its exit code what it saw. */
#include "agent/ship/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/os/service.h"
#include "tests/support/check.h"
#include "tests/support/tmpdir.h"

#define SKIPPED 77

/* 0: as it should be; else which check failed. */
typedef int (*inside_fn)(const char *dir);

static int in_sandbox(inside_fn fn, const char *dir)
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        const struct service_identity me = { .uid = getuid(), .gid = getgid() };
        struct pofr_err err;
        int rc = service_drop(&me, &err);

        if (rc == 0) {
            rc = sandbox_enter(&err);
        }
        _exit(rc == POFR_EUNSUPPORTED ? SKIPPED : rc != 0 ? 99 : fn(dir));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void *thread(void *arg)
{
    *(int *)arg = 1;
    return NULL;
}

static int what_it_needs(const char *dir)
{
    struct addrinfo *list = NULL;
    pthread_t t;
    int ran = 0, fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    char byte;

    if (fd < 0 || read(fd, &byte, 1) != 1) {
        return 1;
    }
    close(fd);
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return 2;
    }
    close(fd);
    if (getaddrinfo("localhost", "22", NULL, &list) != 0) {
        return 3;
    }
    freeaddrinfo(list);
    if (pthread_create(&t, NULL, thread, &ran) != 0 || pthread_join(t, NULL) != 0 || !ran) {
        return 4;
    }
    fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 && errno != EAFNOSUPPORT) {
        return 5;
    }
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0 || epoll_create1(EPOLL_CLOEXEC) < 0 || eventfd(0, EFD_CLOEXEC) < 0) {
        return 6;
    }
    return free(malloc(8 << 20)), 0;
}

static int what_it_must_not(const char *dir)
{
    char path[TMPDIR_PATH_SIZE], *const args[] = { (char *)"/bin/true", NULL };
    struct stat st;

    tmpdir_join(dir, "there", path);
    if (open(path, O_WRONLY | O_CLOEXEC) >= 0 || open(path, O_RDWR | O_CLOEXEC) >= 0 ||
        open(path, O_RDONLY | O_TRUNC | O_CLOEXEC) >= 0) {
        return 1;
    }
    if (unlink(path) == 0 || rename(path, "x") == 0 || chmod(path, 0777) == 0 || truncate(path, 0) == 0) {
        return 2;
    }
    tmpdir_join(dir, "new", path);
    if (open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0 ||
        open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0600) >= 0 || mkdir(path, 0700) == 0 || symlink("/", path) == 0 ||
        open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) >= 0 || stat(path, &st) == 0) {
        return 3;
    }
    if (execve(args[0], args, NULL) == 0 || fork() >= 0) {
        return 4;
    }
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 || kill(getppid(), 0) == 0) {
        return 5;
    }
    if (socket(AF_PACKET, SOCK_RAW, 0) >= 0 || socket(AF_VSOCK, SOCK_STREAM, 0) >= 0 || listen(0, 1) == 0) {
        return 6;
    }
    if (setuid(0) == 0 && getuid() != 0) {
        return 7;
    }
    return 0;
}

static void run(void **state, inside_fn fn)
{
    char path[TMPDIR_PATH_SIZE];
    FILE *f = fopen(tmpdir_join(*state, "there", path), "w");
    int code;

    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
    code = in_sandbox(fn, *state);
    if (code == SKIPPED) {
        skip();
    }
    assert_int_equal(code, 0);
}

static void what_the_shipper_needs_works(void **state)
{
    run(state, what_it_needs);
}

static void what_it_never_does_fails(void **state)
{
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
    skip(); /* it ends a program whose fork() fails */
#endif
#endif
    run(state, what_it_must_not);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, tmpdir_setup, tmpdir_teardown)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(what_the_shipper_needs_works),
        IN_FOLDER(what_it_never_does_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
