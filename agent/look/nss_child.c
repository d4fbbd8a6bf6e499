/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nss_child.c -- see nss_child.h.
 *
 * Question and answer are packets on a SOCK_SEQPACKET pair: 8 bytes {u32 is_group, u32 id}; the answer repeats
 * them, then u32 found, u32 gid and five texts, each ended by a NUL. One question is with the child at a time.
 */
#include "agent/look/nss_child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define QUEUE_MAX  256u
#define ANSWER_MAX 65536u
#define NOBODY     65534u
#define FDS_CLOSED 4096u

struct question {
    uint32_t is_group;
    uint32_t id;
};

struct nss_child {
    pid_t pid; /* 0: reaped */
    int fd;    /* -1: it was told to end */
    unsigned limit_s;
    struct question queue[QUEUE_MAX];
    size_t first, count;
    bool waiting; /* the first question is with the child */
    int64_t since_s;
    char answer[ANSWER_MAX];
};

static int64_t now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

/* --- the child ---------------------------------------------------------------------------------------- */

static size_t put(char *to, size_t at, const char *text)
{
    size_t len = text ? strlen(text) : 0;

    if (len > 8192) {
        len = 8192;
    }
    if (len) {
        memcpy(to + at, text, len);
    }
    to[at + len] = 0;
    return at + len + 1;
}

static size_t put_number(char *to, size_t at, uint32_t value)
{
    memcpy(to + at, &value, sizeof(value));
    return at + sizeof(value);
}

static size_t answer_user(char *to, size_t at, uint32_t id)
{
    const struct passwd *p = getpwuid(id);

    at = put_number(to, at, p != NULL);
    at = put_number(to, at, p ? p->pw_gid : 0);
    at = put(to, at, p ? p->pw_name : "");
    at = put(to, at, p ? p->pw_gecos : "");
    at = put(to, at, p ? p->pw_dir : "");
    at = put(to, at, p ? p->pw_shell : "");
    return put(to, at, "");
}

static size_t answer_group(char *to, size_t at, uint32_t id)
{
    const struct group *g = getgrgid(id);
    char members[8192] = "";
    size_t len = 0;

    for (size_t i = 0; g && g->gr_mem && g->gr_mem[i]; i++) {
        size_t n = strlen(g->gr_mem[i]);

        if (len + n + 2 > sizeof(members)) {
            break;
        }
        if (len) {
            members[len++] = ',';
        }
        memcpy(members + len, g->gr_mem[i], n + 1);
        len += n;
    }
    at = put_number(to, at, g != NULL);
    at = put_number(to, at, 0);
    at = put(to, at, g ? g->gr_name : "");
    at = put(to, at, "");
    at = put(to, at, "");
    at = put(to, at, "");
    return put(to, at, members);
}

/* The uid first: a change of it forgets who is to be told of the parent's death. */
static void give_up_rights(int fd)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct none_of_them[_LINUX_CAPABILITY_U32S_3] = { 0 };
    struct rlimit none = { 0, 0 };
    sigset_t all;

    for (unsigned i = 0; i < FDS_CLOSED; i++) {
        if ((int)i != fd) {
            close((int)i);
        }
    }
    setrlimit(RLIMIT_CORE, &none);
    if (geteuid() == 0 &&
        (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))) {
        _exit(1);
    }
    if (syscall(SYS_capset, &header, none_of_them) != 0) { /* those of a collector that is not root */
        _exit(1);
    }
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_UNBLOCK, &all, NULL); /* the parent takes its signals another way */
}

/* Whoever forked us may not have the right to kill us any more: what takes too long ends by its own alarm. */
static void child_run(int fd, unsigned limit_s)
{
    static char out[ANSWER_MAX];
    struct question q;

    give_up_rights(fd);
    while (recv(fd, &q, sizeof(q), 0) == sizeof(q)) {
        size_t at = put_number(out, 0, q.is_group);

        (void)alarm(limit_s);
        at = put_number(out, at, q.id);
        at = q.is_group ? answer_group(out, at, q.id) : answer_user(out, at, q.id);
        (void)alarm(0);
        if (send(fd, out, at, MSG_NOSIGNAL) < 0) {
            break;
        }
    }
    _exit(0);
}

/* --- the parent ---------------------------------------------------------------------------------------- */

int nss_child_new(unsigned limit_s, struct nss_child **out_child, struct pofr_err *err)
{
    struct nss_child *c = calloc(1, sizeof(*c));
    int fds[2];

    if (!c) {
        return pofr_err_set(err, POFR_ENOMEM, "child for NSS");
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds)) {
        free(c);
        return pofr_err_sys(err, POFR_ESYSTEM, "socketpair");
    }
    c->pid = fork();
    if (c->pid == 0) {
        child_run(fds[1], limit_s);
    }
    close(fds[1]);
    if (c->pid < 0) {
        close(fds[0]);
        free(c);
        return pofr_err_sys(err, POFR_ESYSTEM, "fork");
    }
    if (fcntl(fds[0], F_SETFL, O_NONBLOCK)) {
        close(fds[0]); /* which ends it */
        free(c);
        return pofr_err_sys(err, POFR_ESYSTEM, "fcntl");
    }
    c->fd = fds[0];
    c->limit_s = limit_s;
    *out_child = c;
    return 0;
}

/* If it has ended by now. Never waited for: it may hang in the kernel, or in a module. */
static void reap(struct nss_child *c)
{
    if (c->pid > 0 && c->fd < 0 && waitpid(c->pid, NULL, WNOHANG) != 0) {
        c->pid = 0;
    }
}

/*
 * The closed socket ends it, its alarm where it hangs; the signal only where we still have the right. It is not made
 * again: by now there are threads, and fork would copy their locks.
 */
static void end_child(struct nss_child *c)
{
    if (c->fd >= 0) {
        close(c->fd);
        c->fd = -1;
        POFR_IGNORE(kill(c->pid, SIGKILL)); /* refused where it is another user's */
    }
    reap(c);
}

void nss_child_free(struct nss_child *c)
{
    if (c) {
        end_child(c);
        free(c);
    }
}

static void ask_next(struct nss_child *c)
{
    if (c->fd >= 0 && !c->waiting && c->count) {
        if (send(c->fd, &c->queue[c->first], sizeof(c->queue[0]), MSG_NOSIGNAL) == (ssize_t)sizeof(c->queue[0])) {
            c->waiting = true;
            c->since_s = now_s();
        } else if (errno != EAGAIN) {
            end_child(c);
        }
    }
}

int nss_child_ask(struct nss_child *c, bool is_group, uint32_t id)
{
    if (c->fd < 0) {
        return POFR_EUNSUPPORTED;
    }
    if (c->count == QUEUE_MAX) {
        return POFR_EFULL;
    }
    c->queue[(c->first + c->count++) % QUEUE_MAX] = (struct question){ is_group, id };
    ask_next(c);
    return 0;
}

static bool take_text(const char **at, const char *end, struct slice *out)
{
    const char *nul = memchr(*at, 0, (size_t)(end - *at));

    if (!nul) {
        return false;
    }
    *out = slice_of(*at, (size_t)(nul - *at));
    *at = nul + 1;
    return true;
}

/* The child ran foreign modules: what it says is parsed like anything from outside. */
static bool parse_answer(const char *bytes, size_t len, const struct question *asked, struct nss_answer *out)
{
    const char *at = bytes + 16;
    const char *end = bytes + len;
    uint32_t head[4];

    if (len < sizeof(head)) {
        return false;
    }
    memcpy(head, bytes, sizeof(head));
    memset(out, 0, sizeof(*out));
    out->is_group = head[0] != 0;
    out->id = head[1];
    out->found = head[2] != 0;
    out->gid = head[3];
    return head[0] == asked->is_group && head[1] == asked->id && take_text(&at, end, &out->name) &&
           take_text(&at, end, &out->comment) && take_text(&at, end, &out->home) && take_text(&at, end, &out->shell) &&
           take_text(&at, end, &out->members) && (!out->found || !slice_empty(out->name));
}

int nss_child_poll(struct nss_child *c, struct nss_answer *out)
{
    struct question asked;
    ssize_t n;

    reap(c);
    if (c->fd < 0 || !c->waiting) {
        return 0;
    }
    n = recv(c->fd, c->answer, sizeof(c->answer), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        if (now_s() - c->since_s > (int64_t)c->limit_s) {
            end_child(c);
        }
        return 0;
    }
    asked = c->queue[c->first];
    c->first = (c->first + 1) % QUEUE_MAX;
    c->count--;
    c->waiting = false;
    if (n <= 0 || !parse_answer(c->answer, (size_t)n, &asked, out)) {
        end_child(c);
        return 0;
    }
    ask_next(c);
    return 1;
}
