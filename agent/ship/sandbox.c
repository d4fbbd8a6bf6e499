/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A list of what is allowed, so that what kernels learn tomorrow is forbidden today. It holds what the loop, libssh2,
 * OpenSSL, and the resolver of the C library (netlink to sort addresses, files in /etc, a socket to a local
 * resolver) call. clone3 is not on it, because its flags can't be seen from here: the C library then takes
 * clone, which may only start threads.
 */
#include "agent/ship/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/base/err.h"

/* Names, because not every architecture has each of them. */
static const char *const allowed[] = {
    /* memory */
    "brk",
    "madvise",
    "mmap",
    "mmap2",
    "mprotect",
    "mremap",
    "munmap",
    /* files that are open, and questions about files */
    "_llseek",
    "access",
    "close",
    "dup",
    "faccessat",
    "faccessat2",
    "fcntl",
    "fcntl64",
    "fstat",
    "fstat64",
    "fstatat64",
    "getcwd",
    "getdents",
    "getdents64",
    "ioctl",
    "lseek",
    "lstat",
    "lstat64",
    "newfstatat",
    "pread64",
    "read",
    "readlink",
    "readlinkat",
    "readv",
    "stat",
    "stat64",
    "statx",
    "write",
    "writev",
    /* sockets; socket() below */
    "bind",
    "connect",
    "getpeername",
    "getsockname",
    "getsockopt",
    "recv",
    "recvfrom",
    "recvmmsg",
    "recvmsg",
    "send",
    "sendmmsg",
    "sendmsg",
    "sendto",
    "setsockopt",
    "shutdown",
    /* waiting and time */
    "clock_getres",
    "clock_gettime",
    "clock_gettime64",
    "clock_nanosleep",
    "clock_nanosleep_time64",
    "epoll_create1",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "eventfd2",
    "gettimeofday",
    "nanosleep",
    "poll",
    "ppoll",
    "ppoll_time64",
    "pselect6",
    "select",
    "signalfd4",
    "time",
    "timerfd_create",
    "timerfd_settime",
    "timerfd_settime64",
    /* threads; clone() below */
    "exit",
    "exit_group",
    "futex",
    "futex_time64",
    "get_robust_list",
    "gettid",
    "membarrier",
    "rseq",
    "sched_getaffinity",
    "sched_yield",
    "set_robust_list",
    "set_tid_address",
    /* itself */
    "arch_prctl",
    "getegid",
    "geteuid",
    "getgid",
    "getpid",
    "getppid",
    "getrandom",
    "getrlimit",
    "getrusage",
    "getuid",
    "getuid32",
    "getgid32",
    "geteuid32",
    "getegid32",
    "prctl",
    "restart_syscall",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "rt_sigtimedwait",
    "sigaltstack",
    "sigreturn",
    "sysinfo",
    "tgkill",
    "ugetrlimit",
    "uname",
};

static int allow(scmp_filter_ctx ctx, const char *name, unsigned count, struct scmp_arg_cmp arg)
{
    int number = seccomp_syscall_resolve_name(name);
    int rc;

    if (number == __NR_SCMP_ERROR || number < 0) {
        return 0; /* not on this architecture, or not known to this library: it stays forbidden */
    }
    rc = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, number, count, &arg);
    return rc == -EDOM ? 0 : rc;
}

/* Where (argument & mask) == value. */
static int allow_if(scmp_filter_ctx ctx, const char *name, unsigned argument, uint64_t mask, uint64_t value)
{
    const struct scmp_arg_cmp test = { .arg = argument, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value };

    return allow(ctx, name, 1, test);
}

static int allow_partly(scmp_filter_ctx ctx)
{
    const unsigned writing = O_ACCMODE | O_CREAT | O_TRUNC; /* O_TMPFILE wants to write */
    static const int families[] = { AF_INET, AF_INET6, AF_UNIX, AF_NETLINK };
    int rc = allow_if(ctx, "open", 1, writing, O_RDONLY);

    if (rc == 0) {
        rc = allow_if(ctx, "openat", 2, writing, O_RDONLY);
    }
    if (rc == 0) {
        rc = allow_if(ctx, "clone", 0, CLONE_THREAD, CLONE_THREAD);
    }
    for (size_t i = 0; i < pofr_countof(families) && rc == 0; i++) {
        rc = allow_if(ctx, "socket", 0, UINT32_MAX, (uint64_t)families[i]);
    }
    return rc;
}

int sandbox_enter(struct pofr_err *err)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    int rc = ctx ? 0 : -ENOMEM;

    for (size_t i = 0; i < pofr_countof(allowed) && rc == 0; i++) {
        rc = allow(ctx, allowed[i], 0, (struct scmp_arg_cmp){ 0 });
    }
    if (rc == 0) {
        rc = allow_partly(ctx);
    }
    if (rc == 0) {
        rc = seccomp_load(ctx);
    }
    if (ctx) {
        seccomp_release(ctx);
    }
    if (rc != 0) {
        errno = -rc;
        return pofr_err_sys(err, rc == -EINVAL || rc == -ECANCELED ? POFR_EUNSUPPORTED : POFR_ESYSTEM, "seccomp");
    }
    return 0;
}
