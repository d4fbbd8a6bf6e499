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
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define QUEUE_MAX  256u
#define ANSWER_MAX 65536u
#define LIMIT_S    5 /* an answer that takes longer: the child is killed */
#define NOBODY     65534u
#define FDS_CLOSED 4096u

struct question {
    uint32_t is_group;
    uint32_t id;
};

struct nss_child {
    pid_t pid;
    int fd;
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

static void give_up_rights(int fd)
{
    struct rlimit none = { 0, 0 };

    for (unsigned i = 0; i < FDS_CLOSED; i++) {
        if ((int)i != fd) {
            close((int)i);
        }
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &none);
    if (geteuid() == 0 &&
        (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))) {
        _exit(1);
    }
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static void child_run(int fd)
{
    static char out[ANSWER_MAX];
    struct question q;

    give_up_rights(fd);
    while (recv(fd, &q, sizeof(q), 0) == sizeof(q)) {
        size_t at = put_number(out, 0, q.is_group);

        at = put_number(out, at, q.id);
        at = q.is_group ? answer_group(out, at, q.id) : answer_user(out, at, q.id);
        if (send(fd, out, at, MSG_NOSIGNAL) < 0) {
            break;
        }
    }
    _exit(0);
}

/* --- the parent ---------------------------------------------------------------------------------------- */

int nss_child_new(struct nss_child **out_child, struct pofr_err *err)
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
        child_run(fds[1]);
    }
    close(fds[1]);
    if (c->pid < 0) {
        close(fds[0]);
        free(c);
        return pofr_err_sys(err, POFR_ESYSTEM, "fork");
    }
    if (fcntl(fds[0], F_SETFL, O_NONBLOCK)) {
        POFR_IGNORE(kill(c->pid, SIGKILL));
    }
    c->fd = fds[0];
    *out_child = c;
    return 0;
}

/* It is not made again: by now there are threads, and fork would copy their locks. */
static void end_child(struct nss_child *c)
{
    if (c->pid > 0) {
        kill(c->pid, SIGKILL);
        while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR) {
        }
        c->pid = 0;
        close(c->fd);
        c->fd = -1;
    }
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
    if (c->pid > 0 && !c->waiting && c->count) {
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
    if (c->pid <= 0) {
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

    if (c->pid <= 0 || !c->waiting) {
        return 0;
    }
    n = recv(c->fd, c->answer, sizeof(c->answer), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        if (now_s() - c->since_s > LIMIT_S) {
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
