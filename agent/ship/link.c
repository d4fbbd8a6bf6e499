/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whatever wakes the link (socket, timer of link_wake() and link_signed(), dial) ends in run(): advance until
 * open, then write and read until neither goes further. Callbacks may close the link at any point, so run()
 * holds it (busy), link_close() only marks it then, and run() frees it at its end.
 */
#include "agent/ship/link.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "agent/ship/dial.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/os/clock.h"
#include "common/os/fsio.h"
#include "common/os/log.h"
#include "common/os/loop.h"
#include "common/record/limits.h"

#define OUT_MAX   (MESSAGE_MAX + 65536u)
#define OUT_KEPT  (1024u * 1024u) /* a buffer that grew beyond this for one message is given back */
#define READ_ROOM 8192u
#define TURNS_MAX 16 /* rounds of write and read before others get their turn */

struct link {
    struct loop *loop;
    struct link_options options;
    struct link_handlers handlers;
    struct dial *dial;
    int fd;
    struct ssh_client *ssh;
    bool open, busy, closed;
    struct loop_timer deadline; /* until it is open */
    struct loop_timer wake;     /* "soon" */
    uint32_t watched;
    struct buf out;
    size_t out_at; /* handed to ssh up to here */
    struct buf in;
    uint64_t bytes_sent;
    char peer[72];
};

static void free_link(struct link *l)
{
    dial_cancel(l->dial);
    loop_timer_cancel(l->loop, &l->deadline);
    loop_timer_cancel(l->loop, &l->wake);
    if (l->fd >= 0) {
        loop_fd_remove(l->loop, l->fd);
    }
    ssh_client_free(l->ssh);
    fsio_close(&l->fd);
    buf_free(&l->out);
    buf_free(&l->in);
    free(l);
}

void link_close(struct link *l)
{
    if (!l) {
        return;
    }
    l->closed = true;
    if (!l->busy) {
        free_link(l);
    }
}

/* It broke: say so and free it. */
static void die(struct link *l, int rc, const struct pofr_err *err)
{
    l->busy = true; /* closed() may call link_close() */
    if (!l->closed) {
        l->closed = true;
        l->handlers.closed(l->handlers.arg, rc, err);
    }
    free_link(l);
}

/* --- in and out ----------------------------------------------------------------------------------- */

static int take_messages(struct link *l, struct pofr_err *err)
{
    size_t at = 0;

    while (!l->closed) {
        struct message m;
        size_t used = 0;
        int rc = message_get(slice_sub(buf_slice(&l->in), at, SIZE_MAX), LINK_IN_MAX - MESSAGE_HEADER, &m, &used);

        if (rc < 0) {
            return pofr_err_set(err, rc, "a message of the gateway: %s", pofr_err_text(rc));
        }
        if (rc == 0) {
            break;
        }
        at += used;
        l->handlers.message(l->handlers.arg, &m);
    }
    buf_consume(&l->in, at);
    return 0;
}

/* *out_more: something came, be it that the peer takes more now. */
static int read_some(struct link *l, bool *out_more, struct pofr_err *err)
{
    uint8_t *room = buf_reserve(&l->in, READ_ROOM);
    uint64_t before = ssh_client_received(l->ssh);
    size_t len = 0;
    int rc;

    *out_more = false;
    if (!room) {
        return pofr_err_set(err, l->in.err, "no room for a message of the gateway");
    }
    rc = ssh_client_read(l->ssh, room, READ_ROOM, &len, err);
    if (rc != 0) {
        return rc;
    }
    buf_advance(&l->in, len);
    *out_more = ssh_client_received(l->ssh) != before;
    return len > 0 ? take_messages(l, err) : 0;
}

bool link_has_room(const struct link *l)
{
    return l->out_at == l->out.len && (!l->ssh || !ssh_client_unsent(l->ssh));
}

/* *out_more: something went, or there is nothing left to go and room() gave nothing new. */
static int write_some(struct link *l, bool *out_more, struct pofr_err *err)
{
    struct slice rest = slice_sub(buf_slice(&l->out), l->out_at, SIZE_MAX);
    size_t taken = 0;
    int rc = ssh_client_write(l->ssh, rest, &taken, err);

    *out_more = false;
    if (rc != 0) {
        return rc;
    }
    l->out_at += taken;
    l->bytes_sent += taken;
    if (!link_has_room(l)) {
        if (taken > 0 && l->handlers.progress) {
            l->handlers.progress(l->handlers.arg);
        }
        return 0;
    }
    if (l->out.cap > OUT_KEPT) {
        buf_free(&l->out);
    }
    buf_reset(&l->out);
    l->out_at = 0;
    l->handlers.room(l->handlers.arg);
    *out_more = !l->closed && l->out.len > 0;
    return 0;
}

int link_put(struct link *l, const struct message *m)
{
    size_t before = l->out.len;
    int rc = message_put(m, &l->out);

    if (rc != 0) {
        buf_truncate(&l->out, before);
        l->out.err = 0;
    }
    return rc;
}

/* --- what wakes it -------------------------------------------------------------------------------- */

static int turn(struct link *l, struct pofr_err *err)
{
    int rc = 0;

    if (!l->open) {
        rc = ssh_client_advance(l->ssh, err);
        if (rc == SSH_CLIENT_AGAIN) {
            return 0;
        }
        if (rc != 0) {
            return rc;
        }
        l->open = true;
        loop_timer_cancel(l->loop, &l->deadline);
        l->handlers.opened(l->handlers.arg);
    }
    for (int i = 0; i < TURNS_MAX && !l->closed; i++) {
        bool wrote = false, more = false;

        rc = write_some(l, &wrote, err);
        if (rc == 0 && !l->closed) {
            rc = read_some(l, &more, err);
        }
        if (rc != 0 || (!wrote && !more)) {
            return rc;
        }
    }
    if (!l->closed) {
        link_wake(l);
    }
    return 0;
}

static int watch(struct link *l, struct pofr_err *err)
{
    uint32_t wants = ssh_client_wants(l->ssh);

    if (wants == l->watched) {
        return 0;
    }
    l->watched = wants;
    return loop_fd_change(l->loop, l->fd, wants, err);
}

static void run(struct link *l)
{
    struct pofr_err err = { 0 };
    int rc;

    assert(!l->busy);
    l->busy = true;
    rc = turn(l, &err);
    if (rc == 0 && !l->closed) {
        rc = watch(l, &err);
    }
    l->busy = false;
    if (rc != 0) {
        die(l, rc, &err);
    } else if (l->closed) {
        free_link(l);
    }
}

static void socket_ready(int fd, uint32_t events, void *arg)
{
    struct link *l = arg;

    (void)fd;
    if (l->watched == 0 && (events & (EPOLLERR | EPOLLHUP)) != 0) {
        struct pofr_err err = { 0 }; /* nobody reads while we wait for the signature */
        int rc = pofr_err_set(&err, POFR_EPEER, "the gateway closed the connection during login");

        die(l, rc, &err);
        return;
    }
    run(l);
}

static void woken(void *arg)
{
    run(arg);
}

void link_wake(struct link *l)
{
    if (l->ssh && !loop_timer_is_set(&l->wake) && loop_timer_after(l->loop, &l->wake, 0, woken, l) != 0) {
        log_error("link", "no_memory", "what=timer"); /* the next packet or PING wakes it */
    }
}

void link_signed(struct link *l)
{
    link_wake(l);
}

static void overdue(void *arg)
{
    struct link *l = arg;
    struct pofr_err err = { 0 };
    int rc = pofr_err_set(&err, POFR_ETIMEOUT, "%s: %s took too long", l->peer, ssh_client_stage(l->ssh));

    die(l, rc, &err);
}

static void dialled(void *arg, int fd, const char *peer, int rc, const struct pofr_err *dial_err)
{
    struct link *l = arg;
    struct pofr_err err = *dial_err;
    struct ssh_client_options ssh = { .user = l->options.user, .sign = l->handlers.sign, .arg = l->handlers.arg };

    l->dial = NULL;
    l->fd = fd;
    if (rc == 0) {
        snprintf(l->peer, sizeof(l->peer), "%s", peer);
        memcpy(ssh.public_key, l->options.public_key, 32);
        ssh.pins = l->options.pins;
        rc = ssh_client_new(fd, &ssh, &l->ssh, &err);
    }
    if (rc == 0) {
        l->watched = EPOLLIN;
        rc = loop_fd_add(l->loop, fd, l->watched, socket_ready, l, &err);
    }
    if (rc == 0) {
        rc = loop_timer_after(l->loop, &l->deadline, l->options.handshake_us, overdue, l);
    }
    if (rc != 0) {
        die(l, rc, &err);
        return;
    }
    run(l);
}

int link_new(struct loop *loop, const struct link_options *options, const struct link_handlers *handlers,
             struct link **out, struct pofr_err *err)
{
    struct link *l = calloc(1, sizeof(*l));
    int rc;

    if (!l) {
        return pofr_err_set(err, POFR_ENOMEM, "no memory for a connection");
    }
    l->loop = loop;
    l->options = *options;
    l->handlers = *handlers;
    l->fd = -1;
    buf_init(&l->out, OUT_MAX);
    buf_init(&l->in, LINK_IN_MAX + READ_ROOM);
    rc = dial_start(loop, &options->gateway, options->connect_us, dialled, l, &l->dial, err);
    if (rc != 0) {
        free(l);
        return rc;
    }
    *out = l;
    return 0;
}

const uint8_t *link_host_key(const struct link *l)
{
    return ssh_client_host_key(l->ssh);
}

const char *link_peer(const struct link *l)
{
    return l->peer;
}

uint64_t link_bytes_sent(const struct link *l)
{
    return l->bytes_sent;
}
