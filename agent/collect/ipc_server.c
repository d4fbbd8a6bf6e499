/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads: all but ipc_server_news() and done() run on the server's thread; s->lock protects the outbox that done(),
 * called by the writer's thread, fills.
 */
#include "agent/collect/ipc_server.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/collect/signer.h"
#include "agent/collect/status.h"
#include "agent/identity.h"
#include "common/os/clock.h"
#include "common/os/fsio.h"
#include "common/os/log.h"
#include "common/os/loop.h"
#include "common/os/service.h"

#define PEERS_MAX  16
#define OUTBOX_MAX 64
#define BACKLOG    8

struct peer {
    struct ipc_server *server;
    int fd;
    uint64_t id;
    pid_t pid;
    bool may_all; /* shipper or root */
    bool wants_news;
    bool known; /* its pid was told to the collector */
};

struct ipc_server {
    struct ipc_server_conf conf;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    int fd;
    uid_t shipper_uid;
    struct loop *loop;
    struct loop_event *news, *outbox_event, *key_event;
    pthread_t thread;
    bool running;
    struct peer peers[PEERS_MAX];
    uint64_t next_id;
    struct signer_pace pace;
    struct status_shipper shipper;
    struct buf out;
    uint8_t in[IPC_PACKET_MAX];

    pthread_mutex_t lock;
    const struct sshkey *next_key; /* to be taken over */
    struct {
        uint64_t peer;
        int code;
    } outbox[OUTBOX_MAX];
    unsigned outbox_len;
};

static void drop(struct peer *p)
{
    if (p->fd >= 0) {
        loop_fd_remove(p->server->loop, p->fd);
        fsio_close(&p->fd);
    }
}

static void reply(struct peer *p, const struct ipc_message *m)
{
    struct buf *b = &p->server->out;

    buf_reset(b);
    if (ipc_put(m, b) != 0 || send(p->fd, b->data, b->len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        drop(p); /* it does not read, or is gone */
    }
}

static void reply_error(struct peer *p, enum ipc_error code, uint64_t retry_ms)
{
    struct ipc_message m = { .type = IPC_ERROR, .error = { code, retry_ms } };

    reply(p, &m);
}

/* --- answers ------------------------------------------------------------------------------------------------- */

static void answer_state(struct peer *p)
{
    const struct ipc_server_conf *c = &p->server->conf;
    struct ipc_message m = { .type = IPC_STATE_IS };
    struct writer_figures f;

    writer_figures(c->writer, &f);
    m.state_is.host = c->host;
    m.state_is.boot = c->boot;
    memcpy(m.state_is.run, c->run, sizeof(m.state_is.run));
    m.state_is.oldest = f.oldest;
    m.state_is.newest = f.sequence;
    m.state_is.acked = f.acked;
    p->wants_news = true;
    reply(p, &m);
}

static void answer_key(struct peer *p)
{
    struct ipc_message m = { .type = IPC_KEY_IS };
    const struct sshkey *next = p->server->conf.next_key;

    memcpy(m.key_is.public_key, sshkey_public(p->server->conf.key), 32);
    if (next != NULL) {
        memcpy(m.key_is.next_key, sshkey_public(next), 32);
    }
    reply(p, &m);
}

/* The cluster has entered the next key: from here on it is the key, on disk first. */
static void take_next_key(struct peer *p, const uint8_t public_key[32])
{
    struct ipc_server *s = p->server;
    struct pofr_err err = { 0 };

    if (s->conf.next_key == NULL || memcmp(sshkey_public(s->conf.next_key), public_key, 32) != 0) {
        return; /* WELCOME names the key that we have */
    }
    if (identity_enter_key(s->conf.state_dir, &err) != 0) {
        log_error("ipc", "key_not_entered", "error=\"%s\"", err.text);
        return;
    }
    if (!writer_key(s->conf.writer, s->conf.next_key)) {
        log_error("ipc", "key_not_taken", ""); /* the next start takes it */
        return;
    }
    s->conf.key = s->conf.next_key;
    s->conf.next_key = NULL;
    log_info("ipc", "key_entered", "");
}

static void answer_sign(struct peer *p, struct slice blob)
{
    struct ipc_server *s = p->server;
    struct ipc_message m = { .type = IPC_SIGNED };
    uint64_t wait_ms;

    if (!signer_accepts(blob, &s->conf.host, sshkey_public(s->conf.key))) {
        log_error("signer", "refused", "pid=%d bytes=%zu", (int)p->pid, blob.len);
        reply_error(p, IPC_ERROR_BLOB, 0);
        return;
    }
    wait_ms = signer_wait_ms(&s->pace, clock_mono_us());
    if (wait_ms > 0) {
        reply_error(p, IPC_ERROR_LATER, wait_ms);
        return;
    }
    if (sshkey_sign_raw(s->conf.key, blob, m.is_signed.signature) != 0) {
        reply_error(p, IPC_ERROR_LATER, 1000);
        return;
    }
    reply(p, &m);
}

/* The writer's thread: it is kept, or not. */
static void done(void *ctx, uint64_t cookie, int code)
{
    struct ipc_server *s = ctx;

    (void)pthread_mutex_lock(&s->lock);
    if (s->outbox_len < OUTBOX_MAX) { /* as many as may be asked at once */
        s->outbox[s->outbox_len].peer = cookie;
        s->outbox[s->outbox_len++].code = code;
    }
    (void)pthread_mutex_unlock(&s->lock);
    loop_event_post(s->outbox_event);
}

static void on_outbox(void *arg)
{
    struct ipc_server *s = arg;
    struct ipc_message ok = { .type = IPC_DONE };
    unsigned len;
    __typeof__(s->outbox[0]) list[OUTBOX_MAX];

    (void)pthread_mutex_lock(&s->lock);
    len = s->outbox_len;
    memcpy(list, s->outbox, len * sizeof(list[0]));
    s->outbox_len = 0;
    (void)pthread_mutex_unlock(&s->lock);
    for (unsigned i = 0; i < len; i++) {
        for (unsigned k = 0; k < PEERS_MAX; k++) {
            struct peer *p = &s->peers[k];

            if (p->fd < 0 || p->id != list[i].peer) {
                continue;
            }
            if (list[i].code == 0) {
                reply(p, &ok);
            } else if (list[i].code == POFR_ENOTFOUND || list[i].code == POFR_ECONFLICT) {
                reply_error(p, IPC_ERROR_UNKNOWN, 0);
            } else {
                reply_error(p, list[i].code == POFR_EFULL ? IPC_ERROR_LATER : IPC_ERROR_DISK, 5000);
            }
        }
    }
}

static void answer_refused(struct peer *p, const struct ipc_message *m)
{
    struct ipc_server *s = p->server;

    if (!writer_refused(s->conf.writer, m->refused.sequence, m->refused.digest, m->refused.reason, done, s, p->id)) {
        reply_error(p, IPC_ERROR_LATER, 5000);
    }
}

static void answer_status(struct peer *p, uint64_t form)
{
    struct ipc_server *s = p->server;
    struct buf text = BUF_INIT(IPC_TEXT_MAX);
    struct status_in in = { .host = s->conf.host, .boot = s->conf.boot, .shipper = s->shipper };
    struct ipc_message m = { .type = IPC_TEXT };

    memcpy(in.run, s->conf.run, sizeof(in.run));
    writer_figures(s->conf.writer, &in.writer);
    if (s->conf.recording != NULL) {
        recording_figures(s->conf.recording, &in.recording);
    }
    status_text(&in, (enum ipc_status_form)form, &text);
    m.text.text = buf_slice(&text);
    reply(p, &m);
    buf_free(&text);
}

static void take_shipper(struct peer *p, const struct ipc_message *m)
{
    struct status_shipper *f = &p->server->shipper;

    f->told = true;
    f->connected = m->shipper.connected;
    f->since_wall_us = m->shipper.since_wall_us;
    f->sent_bytes = m->shipper.sent_bytes;
    f->bundles_acked = m->shipper.bundles_acked;
    f->sessions = m->shipper.sessions;
    f->failures = m->shipper.failures;
    snprintf(f->gateway, sizeof(f->gateway), "%.*s", SLICE_FMT(m->shipper.gateway));
    (void)log_escape(m->shipper.last_error, f->last_error, sizeof(f->last_error));
}

static void know(struct peer *p)
{
    if (!p->known && p->server->conf.recording != NULL) {
        p->known = true;
        recording_shipper(p->server->conf.recording, (uint32_t)p->pid);
    }
}

/* What changes something is the shipper's (and root's) alone. */
static void answer_shipper(struct peer *p, const struct ipc_message *m)
{
    struct ipc_server *s = p->server;

    know(p);
    switch (m->type) {
    case IPC_SIGN:
        answer_sign(p, m->sign.blob);
        break;
    case IPC_ACKED:
        writer_acked(s->conf.writer, m->acked.sequence, m->acked.digest);
        break;
    case IPC_REFUSED:
        answer_refused(p, m);
        break;
    case IPC_WANTED:
        writer_wanted(s->conf.writer, m->wanted.ranges, m->wanted.len);
        break;
    case IPC_ENTERED:
        take_next_key(p, m->entered.public_key);
        break;
    case IPC_SHIPPER:
        take_shipper(p, m);
        break;
    default:
        break;
    }
}

static void answer(struct peer *p, const struct ipc_message *m)
{
    switch (m->type) {
    case IPC_STATE:
        answer_state(p);
        break;
    case IPC_KEY:
        answer_key(p);
        break;
    case IPC_STATUS:
        answer_status(p, m->status.form);
        break;
    case IPC_SIGN:
    case IPC_ACKED:
    case IPC_REFUSED:
    case IPC_WANTED:
    case IPC_ENTERED:
    case IPC_SHIPPER:
        if (!p->may_all) {
            log_error("ipc", "no_rights", "pid=%d message=%s", (int)p->pid, ipc_type_name(m->type));
            reply_error(p, IPC_ERROR_RIGHTS, 0);
            return;
        }
        answer_shipper(p, m);
        break;
    default:
        drop(p); /* an answer where a question belongs */
        break;
    }
}

/* --- connections --------------------------------------------------------------------------------------------- */

static void on_packet(int fd, uint32_t events, void *arg)
{
    struct peer *p = arg;
    struct ipc_message m;
    ssize_t n = recv(fd, p->server->in, sizeof(p->server->in), MSG_DONTWAIT | MSG_TRUNC);

    if (n < 0 && (errno == EAGAIN || errno == EINTR) && (events & (EPOLLHUP | EPOLLERR)) == 0) {
        return;
    }
    if (n <= 0 || (size_t)n > sizeof(p->server->in) || ipc_get(slice_of(p->server->in, (size_t)n), &m) != 0) {
        drop(p);
        return;
    }
    answer(p, &m);
}

static void on_connect(int fd, uint32_t events, void *arg)
{
    struct ipc_server *s = arg;
    struct peer *p = NULL;
    struct ucred cred;
    socklen_t len = sizeof(cred);
    int peer_fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)events;
    if (peer_fd < 0) {
        return;
    }
    for (unsigned i = 0; i < PEERS_MAX && p == NULL; i++) {
        p = s->peers[i].fd < 0 ? &s->peers[i] : NULL;
    }
    if (p == NULL || getsockopt(peer_fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0 ||
        (cred.uid != 0 && cred.uid != geteuid() && cred.uid != s->shipper_uid)) {
        (void)close(peer_fd); /* nothing was said */
        return;
    }
    *p = (struct peer){ .server = s,
                        .fd = peer_fd,
                        .id = ++s->next_id,
                        .pid = cred.pid,
                        .may_all = cred.uid == 0 || cred.uid == s->shipper_uid };
    if (loop_fd_add(s->loop, peer_fd, EPOLLIN, on_packet, p, NULL) != 0) {
        fsio_close(&p->fd);
    }
}

static void on_news(void *arg)
{
    struct ipc_server *s = arg;
    struct ipc_message m = { .type = IPC_NEW };
    struct writer_figures f;

    writer_figures(s->conf.writer, &f);
    m.news.oldest = f.oldest;
    m.news.newest = f.sequence;
    m.news.acked = f.acked;
    for (unsigned i = 0; i < PEERS_MAX; i++) {
        if (s->peers[i].fd >= 0 && s->peers[i].wants_news) {
            reply(&s->peers[i], &m);
        }
    }
}

static void on_next_key(void *arg)
{
    struct ipc_server *s = arg;

    (void)pthread_mutex_lock(&s->lock);
    s->conf.next_key = s->next_key;
    (void)pthread_mutex_unlock(&s->lock);
}

static void *main_of_thread(void *arg)
{
    struct ipc_server *s = arg;
    struct pofr_err err = { 0 };

    if (loop_run(s->loop, &err) != 0) {
        log_error("ipc", "failed", "error=\"%s\"", err.text);
    }
    return NULL;
}

static int listen_at(struct ipc_server *s, struct pofr_err *err)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int rc = fsio_mkdirs(s->conf.runtime_dir, 0755, err);

    if (rc != 0) {
        return rc;
    }
    if (snprintf(s->path, sizeof(s->path), "%s/%s", s->conf.runtime_dir, IPC_SOCKET) >= (int)sizeof(s->path)) {
        return pofr_err_set(err, POFR_ECONFIG, "%s: too long for a socket", s->conf.runtime_dir);
    }
    memcpy(address.sun_path, s->path, sizeof(address.sun_path));
    s->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->fd < 0) {
        return pofr_err_sys(err, POFR_ESYSTEM, "unix socket");
    }
    (void)unlink(s->path); /* of a run that died: the lock says that there is no other */
    /* mode: anyone may connect, and is told apart by SO_PEERCRED */
    if (bind(s->fd, (struct sockaddr *)&address, sizeof(address)) != 0 || chmod(s->path, 0666) != 0 ||
        listen(s->fd, BACKLOG) != 0) {
        return pofr_err_sys(err, fsio_code(errno), "%s", s->path);
    }
    return 0;
}

int ipc_server_start(const struct ipc_server_conf *conf, struct ipc_server **out_server, struct pofr_err *err)
{
    struct ipc_server *s = calloc(1, sizeof(*s));
    struct service_identity id = { .uid = geteuid() };
    int rc = s == NULL ? pofr_err_set(err, POFR_ENOMEM, "ipc") : 0;

    if (s == NULL) {
        return rc;
    }
    s->conf = *conf;
    s->fd = -1;
    buf_init(&s->out, IPC_PACKET_MAX);
    (void)pthread_mutex_init(&s->lock, NULL);
    for (unsigned i = 0; i < PEERS_MAX; i++) {
        s->peers[i].fd = -1;
    }
    if (conf->shipper_user[0] != '\0') {
        rc = service_lookup_user(conf->shipper_user, &id, err);
    }
    s->shipper_uid = id.uid;
    if (rc == 0) {
        rc = loop_new(&s->loop, err);
    }
    if (rc == 0) {
        rc = loop_event_new(s->loop, on_news, s, &s->news, err);
    }
    if (rc == 0) {
        rc = loop_event_new(s->loop, on_outbox, s, &s->outbox_event, err);
    }
    if (rc == 0) {
        rc = loop_event_new(s->loop, on_next_key, s, &s->key_event, err);
    }
    if (rc == 0) {
        rc = listen_at(s, err);
    }
    if (rc == 0) {
        rc = loop_fd_add(s->loop, s->fd, EPOLLIN, on_connect, s, err);
    }
    if (rc == 0 && (errno = pthread_create(&s->thread, NULL, main_of_thread, s)) != 0) {
        rc = pofr_err_sys(err, POFR_ESYSTEM, "ipc thread");
    }
    if (rc != 0) {
        ipc_server_free(s);
        return rc;
    }
    s->running = true;
    *out_server = s;
    return 0;
}

void ipc_server_stop(struct ipc_server *s)
{
    if (s != NULL && s->running) {
        loop_stop(s->loop);
        (void)pthread_join(s->thread, NULL);
        s->running = false;
    }
}

void ipc_server_free(struct ipc_server *s)
{
    if (s == NULL) {
        return;
    }
    ipc_server_stop(s);
    for (unsigned i = 0; i < PEERS_MAX; i++) {
        if (s->peers[i].fd >= 0) {
            drop(&s->peers[i]);
        }
    }
    if (s->fd >= 0) {
        (void)unlink(s->path); /* if it stays, the next start removes it */
        loop_fd_remove(s->loop, s->fd);
        fsio_close(&s->fd);
    }
    loop_event_free(s->news);
    loop_event_free(s->outbox_event);
    loop_event_free(s->key_event);
    loop_free(s->loop);
    buf_free(&s->out);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}

void ipc_server_news(struct ipc_server *s)
{
    loop_event_post(s->news);
}

void ipc_server_next_key(struct ipc_server *s, const struct sshkey *key)
{
    (void)pthread_mutex_lock(&s->lock);
    s->next_key = key;
    (void)pthread_mutex_unlock(&s->lock);
    loop_event_post(s->key_event);
}
