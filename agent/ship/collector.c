/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/ship/collector.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/base/err.h"
#include "common/os/clock.h"
#include "common/os/fsio.h"
#include "common/os/log.h"
#include "common/os/loop.h"
#include "common/os/retry.h"

#define RECONNECT_MIN_US INT64_C(200000)
#define RECONNECT_MAX_US INT64_C(3000000)
#define LATER_MIN_US     INT64_C(100000)
#define LATER_MAX_US     INT64_C(10000000)
#define ASKED_MAX        16 /* questions without an answer */
#define QUEUE_MAX        (256u * 1024u)

struct collector {
    struct loop *loop;
    struct collector_handlers handlers;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    int fd;
    struct retry retry;
    struct loop_timer timer;      /* to connect again */
    struct loop_timer sign_again; /* what was answered with "later" */
    struct loop_timer refuse_again;
    struct collector_state state;
    bool has_state, has_key;
    uint8_t asked[ASKED_MAX]; /* types, oldest first */
    unsigned asked_len;
    bool signing;  /* a SIGN has no answer yet */
    bool outdated; /* and it is about an older blob */
    uint8_t blob[IPC_BLOB_MAX];
    size_t blob_len;
    struct ipc_message refusal; /* its reason points into reason */
    char reason[256];
    struct buf packet; /* that is being made */
    struct buf queue;  /* u32 length and packet, for when the socket is full */
    uint8_t in[IPC_PACKET_MAX];
};

static void reconnect_later(struct collector *c);
static void socket_ready(int fd, uint32_t events, void *arg);

static void disconnect(struct collector *c)
{
    loop_timer_cancel(c->loop, &c->sign_again);
    loop_timer_cancel(c->loop, &c->refuse_again);
    c->signing = c->outdated = false;
    if (c->fd >= 0) {
        loop_fd_remove(c->loop, c->fd);
        fsio_close(&c->fd);
    }
    c->has_state = c->has_key = false;
    c->asked_len = 0;
    buf_reset(&c->queue);
}

static void lose(struct collector *c, const char *why)
{
    bool was_ready = c->has_state && c->has_key;

    log_warn("collector", "connection_lost", "error=\"%s\"", why);
    disconnect(c);
    reconnect_later(c);
    if (was_ready) {
        c->handlers.lost(c->handlers.arg);
    }
}

/* --- out ------------------------------------------------------------------------------------------ */

/* true: it went; false: the socket is full. An error is found by the reader. */
static bool send_packet(struct collector *c, struct slice packet)
{
    ssize_t n;

    do {
        n = send(c->fd, packet.data, packet.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n >= 0 || (errno != EAGAIN && errno != ENOBUFS);
}

static void watch(struct collector *c)
{
    if (loop_fd_change(c->loop, c->fd, EPOLLIN | (c->queue.len > 0 ? (uint32_t)EPOLLOUT : 0u), NULL) != 0) {
        (void)shutdown(c->fd, SHUT_RDWR); /* the reader sees the end, and all begins anew */
    }
}

static void flush(struct collector *c)
{
    size_t at = 0;

    while (at < c->queue.len) {
        uint32_t len;

        memcpy(&len, c->queue.data + at, sizeof(len));
        if (!send_packet(c, slice_sub(buf_slice(&c->queue), at + sizeof(len), len))) {
            break;
        }
        at += sizeof(len) + len;
    }
    buf_consume(&c->queue, at);
    watch(c);
}

static void say(struct collector *c, const struct ipc_message *m)
{
    uint32_t len;

    if (c->fd < 0) {
        return;
    }
    buf_reset(&c->packet);
    if (ipc_put(m, &c->packet) != 0) {
        log_error("collector", "packet_too_large", "type=%s", ipc_type_name(m->type));
        return;
    }
    if (c->queue.len == 0 && send_packet(c, buf_slice(&c->packet))) {
        return;
    }
    len = (uint32_t)c->packet.len;
    buf_bytes(&c->queue, &len, sizeof(len));
    buf_append(&c->queue, buf_slice(&c->packet));
    if (c->queue.err != 0) {
        log_warn("collector", "queue_full", "bytes=%zu", c->queue.len);
        (void)shutdown(c->fd, SHUT_RDWR);
        return;
    }
    watch(c);
}

static void ask(struct collector *c, const struct ipc_message *m)
{
    if (c->fd < 0) {
        return;
    }
    if (c->asked_len == ASKED_MAX) {
        log_warn("collector", "no_answers", "open=%u", c->asked_len);
        (void)shutdown(c->fd, SHUT_RDWR);
        return;
    }
    c->asked[c->asked_len++] = (uint8_t)m->type;
    say(c, m);
}

void collector_refresh(struct collector *c)
{
    c->has_state = c->has_key = false;
    ask(c, &(struct ipc_message){ .type = IPC_STATE });
    ask(c, &(struct ipc_message){ .type = IPC_KEY });
}

static void ask_to_sign(void *arg)
{
    struct collector *c = arg;
    struct ipc_message m = { .type = IPC_SIGN };

    c->signing = true;
    c->outdated = false;
    m.sign.blob = slice_of(c->blob, c->blob_len);
    ask(c, &m);
}

void collector_sign(struct collector *c, struct slice blob)
{
    c->blob_len = blob.len < sizeof(c->blob) ? blob.len : 0; /* too long: the collector says no */
    memcpy(c->blob, blob.data, c->blob_len);
    if (c->signing) {
        c->outdated = true; /* its answer is for a login that was given up */
    } else {
        ask_to_sign(c);
    }
}

static void ask_to_refuse(void *arg)
{
    struct collector *c = arg;

    ask(c, &c->refusal);
}

void collector_refuse(struct collector *c, uint64_t sequence, const uint8_t digest[32], uint64_t code,
                      const char *reason)
{
    snprintf(c->reason, sizeof(c->reason), "%s", reason);
    memset(&c->refusal, 0, sizeof(c->refusal));
    c->refusal.type = IPC_REFUSED;
    c->refusal.refused.sequence = sequence;
    memcpy(c->refusal.refused.digest, digest, 32);
    c->refusal.refused.code = code;
    c->refusal.refused.reason = slice_str(c->reason);
    ask_to_refuse(c);
}

void collector_acked(struct collector *c, uint64_t sequence, const uint8_t digest[32])
{
    struct ipc_message m = { .type = IPC_ACKED };

    m.acked.sequence = sequence;
    memcpy(m.acked.digest, digest, 32);
    if (sequence > c->state.acked) {
        c->state.acked = sequence;
    }
    say(c, &m);
}

void collector_wanted(struct collector *c, const struct ipc_range *ranges, unsigned len)
{
    struct ipc_message m = { .type = IPC_WANTED };

    m.wanted.len = len < IPC_RANGES_MAX ? len : IPC_RANGES_MAX;
    memcpy(m.wanted.ranges, ranges, m.wanted.len * sizeof(ranges[0]));
    say(c, &m);
}

void collector_entered(struct collector *c, const uint8_t public_key[32])
{
    struct ipc_message m = { .type = IPC_ENTERED };

    memcpy(m.entered.public_key, public_key, 32);
    say(c, &m);
}

void collector_figures(struct collector *c, const struct ipc_message *shipper)
{
    say(c, shipper);
}

/* --- in ------------------------------------------------------------------------------------------- */

static void later(struct collector *c, struct loop_timer *timer, loop_timer_fn fn, uint64_t retry_ms)
{
    int64_t wait = retry_ms < (uint64_t)(LATER_MAX_US / 1000) ? (int64_t)retry_ms * 1000 : LATER_MAX_US;

    if (loop_timer_after(c->loop, timer, wait > LATER_MIN_US ? wait : LATER_MIN_US, fn, c) != 0) {
        (void)shutdown(c->fd, SHUT_RDWR);
    }
}

/* NULL: the collector will not. */
static void take_signature(struct collector *c, const uint8_t signature[64])
{
    if (c->outdated) {
        ask_to_sign(c);
        return;
    }
    c->signing = false;
    c->handlers.login(c->handlers.arg, signature);
}

static void take_news(struct collector *c, uint64_t oldest, uint64_t newest, uint64_t acked)
{
    c->state.oldest = oldest;
    if (newest > c->state.newest) {
        c->state.newest = newest;
    }
    if (acked > c->state.acked) {
        c->state.acked = acked;
    }
}

static void take_state(struct collector *c, const struct ipc_message *m)
{
    c->state.host = m->state_is.host;
    c->state.boot = m->state_is.boot;
    memcpy(c->state.run, m->state_is.run, sizeof(c->state.run));
    c->state.newest = c->state.acked = 0;
    take_news(c, m->state_is.oldest, m->state_is.newest, m->state_is.acked);
    c->has_state = true;
}

static void take_error(struct collector *c, enum ipc_type asked, const struct ipc_message *m)
{
    bool busy = m->error.code == IPC_ERROR_LATER || m->error.code == IPC_ERROR_DISK;

    if (busy && asked == IPC_SIGN) {
        later(c, &c->sign_again, ask_to_sign, m->error.retry_ms);
        return;
    }
    if (busy && asked == IPC_REFUSED) {
        later(c, &c->refuse_again, ask_to_refuse, m->error.retry_ms);
        return;
    }
    log_warn("collector", "refuses", "asked=%s code=%llu", ipc_type_name(asked), (unsigned long long)m->error.code);
    if (asked == IPC_SIGN) {
        take_signature(c, NULL);
    } else if (asked == IPC_REFUSED) {
        c->handlers.refused(c->handlers.arg, false);
    } else {
        (void)shutdown(c->fd, SHUT_RDWR);
    }
}

/* Is this the answer to what was asked first? */
static bool fits(enum ipc_type asked, enum ipc_type answer)
{
    switch (answer) {
    case IPC_STATE_IS:
        return asked == IPC_STATE;
    case IPC_KEY_IS:
        return asked == IPC_KEY;
    case IPC_SIGNED:
        return asked == IPC_SIGN;
    case IPC_DONE:
        return asked == IPC_REFUSED;
    default:
        return answer == IPC_ERROR;
    }
}

static bool take(struct collector *c, const struct ipc_message *m)
{
    enum ipc_type asked;
    bool was_ready = c->has_state && c->has_key;

    if (m->type == IPC_NEW) {
        take_news(c, m->news.oldest, m->news.newest, m->news.acked);
        if (was_ready) {
            c->handlers.news(c->handlers.arg);
        }
        return true;
    }
    if (c->asked_len == 0 || !fits((enum ipc_type)c->asked[0], m->type)) {
        return false;
    }
    asked = (enum ipc_type)c->asked[0];
    memmove(c->asked, c->asked + 1, --c->asked_len);
    switch (m->type) {
    case IPC_STATE_IS:
        take_state(c, m);
        break;
    case IPC_KEY_IS:
        memcpy(c->state.public_key, m->key_is.public_key, 32);
        c->has_key = true;
        break;
    case IPC_SIGNED:
        take_signature(c, m->is_signed.signature);
        break;
    case IPC_DONE:
        c->handlers.refused(c->handlers.arg, true);
        break;
    default:
        take_error(c, asked, m);
        break;
    }
    if (!was_ready && c->has_state && c->has_key) {
        retry_reset(&c->retry);
        c->handlers.ready(c->handlers.arg);
    }
    return true;
}

static void socket_ready(int fd, uint32_t events, void *arg)
{
    struct collector *c = arg;
    struct ipc_message m;
    ssize_t n;

    if ((events & EPOLLOUT) != 0) {
        flush(c);
    }
    n = recv(fd, c->in, sizeof(c->in), MSG_DONTWAIT | MSG_TRUNC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        struct pofr_err err;

        (void)pofr_err_sys(&err, POFR_EPEER, "recv");
        lose(c, n == 0 ? "closed" : err.text);
    } else if ((size_t)n > sizeof(c->in) || ipc_get(slice_of(c->in, (size_t)n), &m) != 0 || !take(c, &m)) {
        lose(c, "an answer that does not fit");
    }
}

/* --- connection ----------------------------------------------------------------------------------- */

static int connect_now(struct collector *c, struct pofr_err *err)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };

    memcpy(to.sun_path, c->path, sizeof(to.sun_path));
    c->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        return pofr_err_sys(err, POFR_ESYSTEM, "socket");
    }
    if (connect(c->fd, (const struct sockaddr *)&to, sizeof(to)) != 0) {
        return pofr_err_sys(err, fsio_code(errno), "%s", c->path);
    }
    return loop_fd_add(c->loop, c->fd, EPOLLIN, socket_ready, c, err);
}

static void try_to_connect(void *arg)
{
    struct collector *c = arg;
    struct pofr_err err;

    if (connect_now(c, &err) != 0) {
        log_warn("collector", "no_connection", "error=\"%s\"", err.text);
        disconnect(c);
        reconnect_later(c);
        return;
    }
    collector_refresh(c);
}

static void reconnect_later(struct collector *c)
{
    if (loop_timer_after(c->loop, &c->timer, retry_next_us(&c->retry), try_to_connect, c) != 0) {
        log_error("collector", "no_memory", "what=timer");
        loop_stop(c->loop); /* the supervisor starts us again */
    }
}

int collector_new(struct loop *loop, const char *path, const struct collector_handlers *handlers,
                  struct collector **out, struct pofr_err *err)
{
    struct collector *c = calloc(1, sizeof(*c));
    int rc;

    if (!c) {
        return pofr_err_set(err, POFR_ENOMEM, "no memory for the collector's socket");
    }
    c->loop = loop;
    c->handlers = *handlers;
    c->fd = -1;
    buf_init(&c->packet, IPC_PACKET_MAX);
    buf_init(&c->queue, QUEUE_MAX);
    retry_init(&c->retry, RECONNECT_MIN_US, RECONNECT_MAX_US, (uint64_t)clock_mono_us());
    if (strlen(path) >= sizeof(c->path)) {
        rc = pofr_err_set(err, POFR_ECONFIG, "%s: too long for a socket", path);
        collector_free(c);
        return rc;
    }
    memcpy(c->path, path, strlen(path) + 1);
    rc = loop_timer_after(loop, &c->timer, 0, try_to_connect, c);
    if (rc != 0) {
        collector_free(c);
        return pofr_err_set(err, rc, "no memory for a timer");
    }
    *out = c;
    return 0;
}

void collector_free(struct collector *c)
{
    if (c) {
        disconnect(c);
        loop_timer_cancel(c->loop, &c->timer);
        buf_free(&c->packet);
        buf_free(&c->queue);
        free(c);
    }
}

bool collector_is_connected(const struct collector *c)
{
    return c->has_state && c->has_key;
}

const struct collector_state *collector_state(const struct collector *c)
{
    return &c->state;
}
