/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each agent is a small machine of its own, so that all are at work at once; and each has an address of its own. One that
 * is refused comes again as agents do.
 */
#include "bench/gateway.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/os/clock.h"
#include "common/os/retry.h"
#include "common/record/limits.h"

#define TURNS                                                                                                          \
    16u /* of agents in a round, the first ones first: not all of ten thousand machines are as slow as this one */

enum step {
    STEP_WAIT,
    STEP_CONNECT,
    STEP_HANDSHAKE,
    STEP_LOGIN,
    STEP_CHANNEL,
    STEP_SUBSYSTEM,
    STEP_HELLO,
    STEP_WELCOME,
    STEP_DONE
};

struct agent {
    struct link l;
    unsigned n;
    enum step step;
    int64_t due_us; /* of STEP_WAIT */
    struct retry retry;
    char key[KEY_TEXT_SIZE + 1];
};

static _Atomic unsigned *tries; /* of all processes */

static int agent_connect(struct agent *a, const char *address)
{
    struct sockaddr_in own = { .sin_family = AF_INET };

    own.sin_addr.s_addr = htonl(0x7f010000u + a->n); /* 127.1.0.0 and on: the loopback interface has them all */
    link_start(&a->l, address, SOCK_NONBLOCK);
    must(bind(a->l.fd, (struct sockaddr *)&own, sizeof(own)) == 0, "bind");
    atomic_fetch_add(tries, 1);
    a->step = STEP_CONNECT;
    return connect(a->l.fd, (struct sockaddr *)&a->l.to, sizeof(a->l.to)) == 0 || errno == EINPROGRESS ? 0 : -1;
}

static int agent_connected(struct agent *a)
{
    int error = 0;
    socklen_t size = sizeof(error);

    if (getsockopt(a->l.fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
        return -1;
    }
    link_session(&a->l);
    libssh2_session_set_blocking(a->l.ssh, 0);
    return 0;
}

static int agent_hello(struct agent *a)
{
    struct buf out = BUF_INIT(MESSAGE_MAX);
    struct message m;
    ssize_t n;

    hello_of(a->n, &m);
    must(message_put(&m, &out) == 0, "message");
    n = libssh2_channel_write(a->l.channel, (const char *)out.data, out.len);
    must(n < 0 || (size_t)n == out.len, "half of HELLO"); /* a first, small packet always finds room */
    buf_free(&out);
    return n < 0 ? (int)n : 0;
}

static int agent_welcome(struct agent *a)
{
    struct message m;
    char bytes[1024];
    size_t used;
    ssize_t n;

    while (message_get(buf_slice(&a->l.in), 1u << 20, &m, &used) == 0) {
        n = libssh2_channel_read(a->l.channel, bytes, sizeof(bytes));
        if (n <= 0) {
            return n == 0 ? -1 : (int)n;
        }
        buf_bytes(&a->l.in, bytes, (size_t)n);
    }
    return m.type == MESSAGE_WELCOME ? 0 : -1;
}

/* One step: 0 done, LIBSSH2_ERROR_EAGAIN, or it failed. */
static int agent_step(struct agent *a)
{
    struct uuid host = host_of(a->n);
    char user[UUID_TEXT_SIZE];

    switch (a->step) {
    case STEP_CONNECT:
        return agent_connected(a);
    case STEP_HANDSHAKE:
        return libssh2_session_handshake(a->l.ssh, a->l.fd);
    case STEP_LOGIN:
        uuid_format(&host, user);
        return libssh2_userauth_publickey_frommemory(a->l.ssh, user, UUID_TEXT_LEN, NULL, 0, a->key, strlen(a->key),
                                                     NULL);
    case STEP_CHANNEL:
        a->l.channel = libssh2_channel_open_session(a->l.ssh);
        return a->l.channel ? 0 : libssh2_session_last_errno(a->l.ssh);
    case STEP_SUBSYSTEM:
        return libssh2_channel_subsystem(a->l.channel, MESSAGE_SUBSYSTEM);
    case STEP_HELLO:
        return agent_hello(a);
    default:
        return agent_welcome(a);
    }
}

/* It comes again as agents do. */
static void agent_lost(struct agent *a)
{
    close(a->l.fd); /* before the session, which would say goodbye to nobody */
    while (a->l.ssh && libssh2_session_free(a->l.ssh) == LIBSSH2_ERROR_EAGAIN) {
    }
    buf_free(&a->l.in);
    a->l.fd = -1;
    a->step = STEP_WAIT;
    a->due_us = clock_mono_us() + retry_next_us(&a->retry);
}

static void agent_go(struct agent *a)
{
    int rc;

    do {
        rc = agent_step(a);
        a->step += rc == 0 ? 1 : 0;
    } while (rc == 0 && a->step != STEP_DONE);
    if (rc != 0 && rc != LIBSSH2_ERROR_EAGAIN) {
        agent_lost(a);
    }
}

/* What poll() shall wait for; and those who waited long enough try again. */
static unsigned agents_prepare(struct agent *agents, unsigned count, struct pollfd *fds, const char *address)
{
    unsigned left = 0;

    for (unsigned i = 0; i < count; i++) {
        struct agent *a = &agents[i];
        int directions;

        if (a->step == STEP_WAIT && clock_mono_us() >= a->due_us && agent_connect(a, address) != 0) {
            agent_lost(a);
        }
        left += a->step != STEP_DONE ? 1 : 0;
        fds[i].fd = a->step == STEP_WAIT || a->step == STEP_DONE ? -1 : a->l.fd;
        directions = a->step > STEP_CONNECT && a->step < STEP_DONE ? libssh2_session_block_directions(a->l.ssh) : 0;
        fds[i].events =
            (short)(POLLIN | (a->step == STEP_CONNECT || directions & LIBSSH2_SESSION_BLOCK_OUTBOUND ? POLLOUT : 0));
    }
    return left;
}

void storm_child(char **arg, unsigned process, unsigned times)
{
    struct agent *agents = (struct agent *)calloc(times, sizeof(*agents));
    struct pollfd *fds = (struct pollfd *)calloc(times, sizeof(*fds));

    must(agents && fds, "memory");
    for (unsigned i = 0; i < times; i++) {
        agents[i].n = process * times + i;
        key_text(arg[1], agents[i].n, agents[i].key);
        retry_init(&agents[i].retry, CLOCK_US_PER_S, 120 * CLOCK_US_PER_S, agents[i].n);
    }
    kill(getpid(), SIGSTOP); /* the clock starts when all are ready */
    while (agents_prepare(agents, times, fds, arg[0]) > 0) {
        unsigned turns = poll(fds, times, 20) > 0 ? TURNS : 0;

        for (unsigned i = 0; i < times && turns > 0; i++) {
            if (fds[i].fd >= 0 && fds[i].revents != 0) {
                agent_go(&agents[i]);
                turns--;
            }
        }
    }
    kill(getpid(), SIGSTOP); /* and stops when all have their WELCOME; so long all are connected */
    free(fds);
    free(agents);
}

void storm_open(void)
{
    void *shared = mmap(NULL, sizeof(*tries), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    must(shared != MAP_FAILED, "memory");
    tries = (_Atomic unsigned *)shared;
}

unsigned storm_tries(void)
{
    return atomic_load(tries);
}
