/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/ssh_peer.h"

#include <arpa/inet.h>
#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/base64.h"
#include "common/base/buf.h"
#include "common/evidence/sshsig.h"
#include "common/record/limits.h"

struct ssh_peer {
    struct ssh_peer_options options;
    int listen_fd;
    uint16_t port;
    pthread_t thread;
    ssh_bind bind;
    uint8_t fingerprint[32];
    atomic_bool stopping;
    atomic_int session_fd;
    atomic_uint sessions;
};

struct ssh_peer_session {
    struct ssh_peer *peer;
    ssh_session ssh;
    ssh_channel channel;
    struct ssh_server_callbacks_struct server;
    struct ssh_channel_callbacks_struct channels;
    bool ready, dropped;
    char user[64];
    struct buf in;
    size_t used;
};

#define MUST(what)                                                                                                     \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            fprintf(stderr, "%s:%d: %s failed\n", __FILE__, __LINE__, #what);                                          \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* --- callbacks of libssh -------------------------------------------------------------------------- */

static bool is_the_key(const struct ssh_peer *p, struct ssh_key_struct *key)
{
    uint8_t blob[51];
    struct buf wanted = BUF_INIT(128);
    char *text = NULL;
    bool ok;

    if (!p->options.key) {
        return true;
    }
    sshkey_public_blob(p->options.key, blob);
    base64_encode(slice_of(blob, sizeof(blob)), 0, &wanted);
    MUST(ssh_pki_export_pubkey_base64(key, &text) == SSH_OK);
    ok = slice_eq_str(buf_slice(&wanted), text);
    ssh_string_free_char(text);
    buf_free(&wanted);
    return ok;
}

static int take_key(ssh_session ssh, const char *user, struct ssh_key_struct *key, char state, void *arg)
{
    struct ssh_peer_session *s = arg;

    (void)ssh;
    if (s->peer->options.drop_at_login) {
        s->dropped = true;
        (void)shutdown(ssh_get_fd(s->ssh), SHUT_RDWR);
        return SSH_AUTH_DENIED;
    }
    snprintf(s->user, sizeof(s->user), "%s", user);
    if (!is_the_key(s->peer, key) || (state != SSH_PUBLICKEY_STATE_NONE && state != SSH_PUBLICKEY_STATE_VALID)) {
        return SSH_AUTH_DENIED;
    }
    return SSH_AUTH_SUCCESS;
}

static int take_subsystem(ssh_session ssh, ssh_channel channel, const char *name, void *arg)
{
    struct ssh_peer_session *s = arg;

    (void)ssh;
    (void)channel;
    if (s->peer->options.no_subsystem || strcmp(name, MESSAGE_SUBSYSTEM) != 0) {
        return 1;
    }
    s->ready = true;
    return 0;
}

static ssh_channel take_channel(ssh_session ssh, void *arg)
{
    struct ssh_peer_session *s = arg;

    if (s->channel) {
        return NULL;
    }
    s->channel = ssh_channel_new(ssh);
    s->channels.userdata = s;
    s->channels.channel_subsystem_request_function = take_subsystem;
    ssh_callbacks_init(&s->channels);
    ssh_set_channel_callbacks(s->channel, &s->channels);
    return s->channel;
}

/* --- a session ------------------------------------------------------------------------------------ */

static bool greet(struct ssh_peer_session *s)
{
    ssh_event event;

    s->server.userdata = s;
    s->server.auth_pubkey_function = take_key;
    s->server.channel_open_request_session_function = take_channel;
    ssh_callbacks_init(&s->server);
    ssh_set_server_callbacks(s->ssh, &s->server);
    ssh_set_auth_methods(s->ssh, SSH_AUTH_METHOD_PUBLICKEY);
    if (ssh_handle_key_exchange(s->ssh) != SSH_OK) {
        return false;
    }
    event = ssh_event_new();
    ssh_event_add_session(event, s->ssh);
    while (!s->ready && !s->dropped && !atomic_load(&s->peer->stopping)) {
        if (ssh_event_dopoll(event, 100) == SSH_ERROR || !ssh_is_connected(s->ssh)) {
            break; /* libssh 0.11 tells only the second way of a peer that is gone */
        }
    }
    ssh_event_remove_session(event, s->ssh);
    ssh_event_free(event);
    return s->ready && !s->dropped;
}

static void serve_one(struct ssh_peer *p, int fd)
{
    struct ssh_peer_session s = { .peer = p };
    int no = 0;

    s.ssh = ssh_new();
    ssh_options_set(s.ssh, SSH_OPTIONS_PROCESS_CONFIG, &no);
    buf_init(&s.in, MESSAGE_MAX + 65536);
    MUST(ssh_bind_accept_fd(p->bind, s.ssh, fd) == SSH_OK);
    if (p->options.rekey_bytes > 0) {
        ssh_options_set(s.ssh, SSH_OPTIONS_REKEY_DATA, &p->options.rekey_bytes);
    }
    atomic_store(&p->session_fd, fd);
    if (greet(&s)) {
        atomic_fetch_add(&p->sessions, 1);
        p->options.serve(&s, p->options.arg);
    }
    if (s.channel && s.ready) {
        ssh_channel_send_eof(s.channel);
        ssh_channel_close(s.channel);
    }
    atomic_store(&p->session_fd, -1);
    ssh_disconnect(s.ssh);
    ssh_free(s.ssh); /* and its channel */
    buf_free(&s.in);
}

bool ssh_peer_receive(struct ssh_peer_session *s, struct message *out)
{
    buf_consume(&s->in, s->used);
    s->used = 0;
    for (;;) {
        int rc = message_get(buf_slice(&s->in), MESSAGE_MAX, out, &s->used);
        uint8_t *room;
        int n;

        MUST(rc >= 0);
        if (rc == 1) {
            return true;
        }
        s->used = 0;
        room = buf_reserve(&s->in, 65536);
        MUST(room != NULL);
        n = ssh_channel_read(s->channel, room, 65536, 0);
        if (n <= 0) {
            return false;
        }
        buf_advance(&s->in, (size_t)n);
    }
}

void ssh_peer_send_bytes(struct ssh_peer_session *s, struct slice bytes)
{
    (void)ssh_channel_write(s->channel, bytes.data, (uint32_t)bytes.len);
}

void ssh_peer_send(struct ssh_peer_session *s, const struct message *m)
{
    struct buf out = BUF_INIT(MESSAGE_MAX);

    MUST(message_put(m, &out) == 0);
    ssh_peer_send_bytes(s, buf_slice(&out));
    buf_free(&out);
}

void ssh_peer_cork(struct ssh_peer_session *s)
{
    const int yes = 1;

    MUST(setsockopt(ssh_get_fd(s->ssh), IPPROTO_TCP, TCP_CORK, &yes, sizeof(yes)) == 0);
}

const char *ssh_peer_user(const struct ssh_peer_session *s)
{
    return s->user;
}

void ssh_peer_wait_for_end(struct ssh_peer_session *s)
{
    char byte;
    int fd = ssh_get_fd(s->ssh);

    for (;;) {
        struct pollfd p = { .fd = fd, .events = POLLRDHUP };

        if (poll(&p, 1, 1000) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) {
            break;
        }
        if (atomic_load(&s->peer->stopping)) {
            break;
        }
    }
    while (recv(fd, &byte, 1, MSG_DONTWAIT) > 0) {
    }
}

/* --- the server ----------------------------------------------------------------------------------- */

static void *run(void *arg)
{
    struct ssh_peer *p = arg;

    while (!atomic_load(&p->stopping)) {
        int fd = accept4(p->listen_fd, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0) {
            break;
        }
        serve_one(p, fd);
    }
    return NULL;
}

static void listen_on_loopback(struct ssh_peer *p)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(a);

    p->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(p->listen_fd >= 0 && bind(p->listen_fd, (struct sockaddr *)&a, sizeof(a)) == 0);
    MUST(listen(p->listen_fd, 16) == 0 && getsockname(p->listen_fd, (struct sockaddr *)&a, &len) == 0);
    p->port = ntohs(a.sin_port);
}

struct ssh_peer *ssh_peer_start(const struct ssh_peer_options *options)
{
    struct ssh_peer *p = calloc(1, sizeof(*p));
    ssh_key key = NULL;
    unsigned char *hash = NULL;
    size_t len = 0;
    int no = 0;

    MUST(p != NULL);
    p->options = *options;
    p->session_fd = -1;
    MUST(ssh_init() == SSH_OK);
    listen_on_loopback(p);
    MUST(ssh_pki_generate(SSH_KEYTYPE_ED25519, 0, &key) == SSH_OK);
    MUST(ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &len) == 0 && len == 32);
    memcpy(p->fingerprint, hash, 32);
    ssh_clean_pubkey_hash(&hash);
    p->bind = ssh_bind_new();
    ssh_bind_options_set(p->bind, SSH_BIND_OPTIONS_PROCESS_CONFIG, &no);
    MUST(ssh_bind_options_set(p->bind, SSH_BIND_OPTIONS_IMPORT_KEY, key) == SSH_OK);
    MUST(pthread_create(&p->thread, NULL, run, p) == 0);
    return p;
}

void ssh_peer_stop(struct ssh_peer *p)
{
    int fd;

    atomic_store(&p->stopping, true);
    (void)shutdown(p->listen_fd, SHUT_RDWR);
    fd = atomic_load(&p->session_fd);
    if (fd >= 0) {
        (void)shutdown(fd, SHUT_RDWR);
    }
    pthread_join(p->thread, NULL);
    close(p->listen_fd);
    ssh_bind_free(p->bind);
    free(p);
}

uint16_t ssh_peer_port(const struct ssh_peer *p)
{
    return p->port;
}

const uint8_t *ssh_peer_fingerprint(const struct ssh_peer *p)
{
    return p->fingerprint;
}

unsigned ssh_peer_sessions(struct ssh_peer *p)
{
    return atomic_load(&p->sessions);
}
