/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Traps of libssh2 (1.10 and 1.11) that shape this file:
 *
 * - A write that said EAGAIN must be repeated with the same bytes and length. So bytes are copied to a stage of
 *   our own, which does not change until they are gone.
 * - Only one packet may be half sent. While one is, every other call that sends (a read may: it widens the
 *   window) fails as if the socket were broken. So while a write is half out we do not read, and the other way
 *   round. No deadlock: the peer's library always drains its socket, and holds us back by the channel's window.
 * - libssh2_session_free() may say EAGAIN and free nothing; 1.11.1 always does while a packet is half sent, and what
 *   OpenSSL holds for the session would be lost. So at the end that packet is finished first, into nothing.
 * - A read takes in all packets that are there before it gives out the first; if the last of them is a disconnect,
 *   or the connection ends, it gives out nothing, and what came before is lost: the gateway's last words. A write reads,
 *   too. So the socket is read and written by functions of ours: once the channel is open a read gets a
 *   portion too small for two packets, a write gets nothing; and the connection's end is remembered and counts when
 *   all was read.
 * - Each keepalive leaks its answer. The protocol has PING.
 * - While we wait for the signature nothing reads the socket, so it may not be watched for input.
 * - A peer can have packets queued without limit. So the library's memory is counted, and there is an end to it.
 */
#include "agent/ship/ssh_client.h"

#include <errno.h>
#include <libssh2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/base/err.h"
#include "common/os/log.h"
#include "common/wire/message.h"

#define STAGE_SIZE     32700u /* what libssh2 puts into one packet at most */
#define CHANNEL_WINDOW (256u * 1024u)
#define CHANNEL_PACKET 32768u
#define FREE_TRIES     64
#define IN_SIZE        8192u
#define PORTION        48u /* bytes of the smallest packet with its MAC: 16 + 32; of GCM 32, but a disconnect has more */
#define PORTIONS_MAX   512 /* in one ssh_client_read() */

enum stage {
    STAGE_HANDSHAKE,
    STAGE_LOGIN,
    STAGE_CHANNEL,
    STAGE_SUBSYSTEM,
    STAGE_OPEN
};
enum half {
    HALF_NONE,
    HALF_READ,
    HALF_WRITE
}; /* whose packet is half sent */

/* In front of each piece. All are in one list, since the library forgets one at each change of keys. */
struct ring {
    struct ring *prev, *next;
};

struct piece {
    struct ring ring;
    size_t size;
    _Alignas(max_align_t) uint8_t data[];
};

struct ssh_client {
    LIBSSH2_SESSION *session;
    LIBSSH2_CHANNEL *channel;
    int fd;
    enum stage stage;
    enum half half;
    bool signing; /* waiting for the signature */
    bool closing; /* nothing comes any more, and what is sent is gone */
    int ended;    /* errno of the connection's end; -1: closed by the peer; 0: it stands */
    int sign_error;
    struct ssh_client_options options;
    char *user;
    uint8_t key_blob[51];
    uint8_t host_key[32]; /* its fingerprint */
    size_t budget;        /* bytes that the library may take now, once the channel is open */
    uint64_t received;
    size_t in_at, in_len;
    uint8_t in[IN_SIZE];
    struct ring pieces; /* of the library's memory */
    size_t memory;      /* in it */
    bool memory_refused;
    size_t staged, stage_sent;
    uint8_t stage_data[STAGE_SIZE];
};

/* --- memory of the library ------------------------------------------------------------------------ */

static void take_out(struct piece *p)
{
    p->ring.prev->next = p->ring.next;
    p->ring.next->prev = p->ring.prev;
}

static void put_in(struct ssh_client *s, struct piece *p)
{
    p->ring.prev = &s->pieces;
    p->ring.next = s->pieces.next;
    p->ring.next->prev = &p->ring;
    s->pieces.next = &p->ring;
}

static void *lib_realloc(void *ptr, size_t size, void **abstract)
{
    struct ssh_client *s = *abstract;
    struct piece *old = ptr ? pofr_container_of(ptr, struct piece, data) : NULL;
    size_t had = old ? old->size : 0;
    struct piece *p;

    if (size > SSH_CLIENT_MEMORY_MAX || s->memory - had + size > SSH_CLIENT_MEMORY_MAX) {
        s->memory_refused = true;
        return NULL;
    }
    if (old) {
        take_out(old);
    }
    p = realloc(old, sizeof(*p) + size);
    if (!p) {
        if (old) {
            put_in(s, old);
        }
        return NULL;
    }
    p->size = size;
    put_in(s, p);
    s->memory += size - had;
    return p->data;
}

static void *lib_alloc(size_t size, void **abstract)
{
    return lib_realloc(NULL, size, abstract);
}

static void lib_free(void *ptr, void **abstract)
{
    struct ssh_client *s = *abstract;

    if (ptr) {
        struct piece *p = pofr_container_of(ptr, struct piece, data);

        take_out(p);
        s->memory -= p->size;
        free(p);
    }
}

/* --- the socket ----------------------------------------------------------------------------------- */

static ssize_t again_or_end(struct ssh_client *s, ssize_t n)
{
    if (n > 0) {
        return n;
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        s->ended = n == 0 ? -1 : errno;
    }
    return -EAGAIN;
}

static ssize_t sock_recv(libssh2_socket_t fd, void *out, size_t len, int flags, void **abstract)
{
    struct ssh_client *s = *abstract;

    if (s->closing) {
        return -EPIPE;
    }
    if (s->stage != STAGE_OPEN) {
        return again_or_end(s, recv(fd, out, len, flags | MSG_DONTWAIT));
    }
    if (s->budget == 0) {
        return -EAGAIN;
    }
    if (s->in_at == s->in_len) {
        ssize_t n = again_or_end(s, recv(fd, s->in, sizeof(s->in), flags | MSG_DONTWAIT));

        if (n < 0) {
            return n;
        }
        s->in_at = 0;
        s->in_len = (size_t)n;
    }
    len = len < s->budget ? len : s->budget;
    len = len < s->in_len - s->in_at ? len : s->in_len - s->in_at;
    memcpy(out, s->in + s->in_at, len);
    s->in_at += len;
    s->budget -= len;
    s->received += len;
    return (ssize_t)len;
}

static ssize_t sock_send(libssh2_socket_t fd, const void *data, size_t len, int flags, void **abstract)
{
    struct ssh_client *s = *abstract;

    ssize_t n = s->closing ? (ssize_t)len : send(fd, data, len, flags | MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return -EAGAIN;
    }
    if (n < 0) {
        s->ended = errno;
    }
    return n < 0 ? (ssize_t)len : n; /* nobody hears it; what came before the end can still be read */
}

static void set_socket_functions(LIBSSH2_SESSION *session)
{
#if LIBSSH2_VERSION_NUM >= 0x010b01
    libssh2_session_callback_set2(session, LIBSSH2_CALLBACK_RECV, (libssh2_cb_generic *)(void (*)(void))sock_recv);
    libssh2_session_callback_set2(session, LIBSSH2_CALLBACK_SEND, (libssh2_cb_generic *)(void (*)(void))sock_send);
#else
    union {
        ssize_t (*recv)(libssh2_socket_t, void *, size_t, int, void **);
        ssize_t (*send)(libssh2_socket_t, const void *, size_t, int, void **);
        void *pointer;
    } fn;

    fn.recv = sock_recv;
    libssh2_session_callback_set(session, LIBSSH2_CALLBACK_RECV, fn.pointer);
    fn.send = sock_send;
    libssh2_session_callback_set(session, LIBSSH2_CALLBACK_SEND, fn.pointer);
#endif
}

/* --- errors --------------------------------------------------------------------------------------- */

static int code_of(int rc)
{
    switch (rc) {
    case LIBSSH2_ERROR_ALLOC:
        return POFR_ENOMEM;
    case LIBSSH2_ERROR_SOCKET_NONE:
    case LIBSSH2_ERROR_SOCKET_SEND:
    case LIBSSH2_ERROR_SOCKET_RECV:
    case LIBSSH2_ERROR_SOCKET_DISCONNECT:
    case LIBSSH2_ERROR_BAD_SOCKET:
    case LIBSSH2_ERROR_CHANNEL_CLOSED:
    case LIBSSH2_ERROR_CHANNEL_EOF_SENT:
        return POFR_EPEER;
    case LIBSSH2_ERROR_AUTHENTICATION_FAILED:
    case LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED:
    case LIBSSH2_ERROR_CHANNEL_FAILURE:
    case LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED:
    case LIBSSH2_ERROR_REQUEST_DENIED:
        return POFR_EREFUSED;
    case LIBSSH2_ERROR_TIMEOUT:
    case LIBSSH2_ERROR_SOCKET_TIMEOUT:
        return POFR_ETIMEOUT;
    default:
        return POFR_EFORMAT;
    }
}

static int fail(struct ssh_client *s, int rc, struct pofr_err *err)
{
    char *text = NULL, clean[160];

    if (s->memory_refused) {
        return pofr_err_set(err, POFR_ETOOBIG, "%s: the peer would have us hold more than %u bytes",
                            ssh_client_stage(s), SSH_CLIENT_MEMORY_MAX);
    }
    if (s->sign_error != 0) {
        return pofr_err_set(err, s->sign_error, "login: no signature: %s", pofr_err_text(s->sign_error));
    }
    libssh2_session_last_error(s->session, &text, NULL, 0);
    log_escape(slice_str(text ? text : ""), clean, sizeof(clean));
    return pofr_err_set(err, code_of(rc), "%s: %s (libssh2 %d)", ssh_client_stage(s), clean[0] ? clean : "failed", rc);
}

static int connection_ended(struct ssh_client *s, struct pofr_err *err)
{
    if (s->ended < 0) {
        return pofr_err_set(err, POFR_EPEER, "%s: the gateway closed the connection", ssh_client_stage(s));
    }
    errno = s->ended;
    return pofr_err_sys(err, POFR_EPEER, "%s", ssh_client_stage(s));
}

/* --- birth and death ------------------------------------------------------------------------------ */

int ssh_client_library_init(struct pofr_err *err)
{
    int rc = libssh2_init(0);

    return rc == 0 ? 0 : pofr_err_set(err, POFR_ENOMEM, "libssh2 can't be initialised (%d)", rc);
}

const char *ssh_client_library_version(void)
{
    return libssh2_version(0);
}

/* No CBC, no SHA-1, no other key type: nothing to fall back to. What a version lacks it leaves out. */
static int pin_methods(struct ssh_client *s, struct pofr_err *err)
{
    static const struct {
        int method;
        const char *names;
    } pins[] = {
        { LIBSSH2_METHOD_KEX, "curve25519-sha256,curve25519-sha256@libssh.org" },
        { LIBSSH2_METHOD_HOSTKEY, "ssh-ed25519" },
        { LIBSSH2_METHOD_CRYPT_CS, "aes128-gcm@openssh.com,aes128-ctr" },
        { LIBSSH2_METHOD_CRYPT_SC, "aes128-gcm@openssh.com,aes128-ctr" },
        { LIBSSH2_METHOD_MAC_CS, "hmac-sha2-256-etm@openssh.com,hmac-sha2-256" },
        { LIBSSH2_METHOD_MAC_SC, "hmac-sha2-256-etm@openssh.com,hmac-sha2-256" },
        { LIBSSH2_METHOD_COMP_CS, "none" },
        { LIBSSH2_METHOD_COMP_SC, "none" },
    };

    for (size_t i = 0; i < pofr_countof(pins); i++) {
        int rc = libssh2_session_method_pref(s->session, pins[i].method, pins[i].names);

        if (rc != 0) {
            return pofr_err_set(err, POFR_EUNSUPPORTED, "libssh2 %s has none of %s", libssh2_version(0), pins[i].names);
        }
    }
    return 0;
}

static void make_key_blob(struct ssh_client *s)
{
    static const uint8_t head[] = { 0, 0, 0, 11, 's', 's', 'h', '-', 'e', 'd', '2', '5', '5', '1', '9', 0, 0, 0, 32 };

    memcpy(s->key_blob, head, sizeof(head));
    memcpy(s->key_blob + sizeof(head), s->options.public_key, 32);
}

int ssh_client_new(int fd, const struct ssh_client_options *options, struct ssh_client **out, struct pofr_err *err)
{
    struct ssh_client *s = calloc(1, sizeof(*s));
    int rc = 0;

    if (!s) {
        return pofr_err_set(err, POFR_ENOMEM, "no memory for a connection");
    }
    s->fd = fd;
    s->pieces.prev = s->pieces.next = &s->pieces;
    s->options = *options;
    s->user = strdup(options->user);
    make_key_blob(s);
    if (s->user) {
        s->session = libssh2_session_init_ex(lib_alloc, lib_free, lib_realloc, s);
    }
    if (!s->session) {
        rc = pofr_err_set(err, POFR_ENOMEM, "no memory for a connection");
        goto out;
    }
    libssh2_session_set_blocking(s->session, 0);
    set_socket_functions(s->session);
    rc = pin_methods(s, err);
    if (rc != 0) {
        goto out;
    }
    *out = s;
    s = NULL;
out:
    ssh_client_free(s);
    return rc;
}

static bool is_half_sent(struct ssh_client *s)
{
    return (libssh2_session_block_directions(s->session) & LIBSSH2_SESSION_BLOCK_OUTBOUND) != 0;
}

/* By the very call that began it: the end of a write, or a window that a read widened. */
static void finish_packet(struct ssh_client *s)
{
    if (ssh_client_unsent(s)) {
        (void)libssh2_channel_write(s->channel, (const char *)s->stage_data + s->stage_sent, s->staged - s->stage_sent);
    }
    (void)libssh2_channel_read(s->channel, (char *)s->in, sizeof(s->in));
}

void ssh_client_free(struct ssh_client *s)
{
    if (!s) {
        return;
    }
    if (s->session) {
        if (s->half == HALF_NONE && s->stage != STAGE_HANDSHAKE) {
            /* Best effort: one try each, so that the peer need not guess. */
            if (s->stage == STAGE_OPEN) {
                (void)libssh2_channel_send_eof(s->channel);
            }
            (void)libssh2_session_disconnect(s->session, "bye");
        }
        s->closing = true;
        if (s->stage == STAGE_OPEN && is_half_sent(s)) {
            finish_packet(s);
        }
        for (int i = 0; i < FREE_TRIES && libssh2_session_free(s->session) == LIBSSH2_ERROR_EAGAIN; i++) {
            /* as the trap above says */
        }
    }
    while (s->pieces.next != &s->pieces) {
        struct piece *left = pofr_container_of(s->pieces.next, struct piece, ring);

        take_out(left); /* NOLINT(clang-analyzer-unix.Malloc): it does not see that this moves pieces.next */
        free(left);
    }
    free(s->user);
    free(s);
}

/* --- from the first byte to the open subsystem ---------------------------------------------------- */

const char *ssh_client_stage(const struct ssh_client *s)
{
    static const char *const names[] = { "handshake", "login", "channel", "channel", "open" };

    return names[s->stage];
}

static int check_host_key(struct ssh_client *s, struct pofr_err *err)
{
    size_t len = 0;
    int type = 0;
    const char *blob = libssh2_session_hostkey(s->session, &len, &type);

    return pins_check(&s->options.pins, slice_of(blob, blob ? len : 0), s->host_key, err);
}

static int sign_callback(LIBSSH2_SESSION *session, unsigned char **out_sig, size_t *out_len, const unsigned char *data,
                         size_t len, void **abstract)
{
    struct ssh_client *s = *abstract;
    uint8_t signature[64];
    void *self = s;
    int rc = s->options.sign(s->options.arg, slice_of(data, len), signature);

    (void)session;
    s->signing = rc == SSH_CLIENT_AGAIN;
    if (rc == SSH_CLIENT_AGAIN) {
        return LIBSSH2_ERROR_EAGAIN;
    }
    if (rc != 0) {
        s->sign_error = rc;
        return -1;
    }
    *out_sig = lib_alloc(sizeof(signature), &self); /* the library frees it */
    if (!*out_sig) {
        return -1;
    }
    memcpy(*out_sig, signature, sizeof(signature));
    *out_len = sizeof(signature);
    return 0;
}

int ssh_client_advance(struct ssh_client *s, struct pofr_err *err)
{
    void *abstract = s;
    int rc = 0;

    while (s->stage != STAGE_OPEN) {
        switch (s->stage) {
        case STAGE_HANDSHAKE:
            rc = libssh2_session_handshake(s->session, s->fd);
            if (rc == 0) {
                rc = check_host_key(s, err);
                if (rc != 0) {
                    return rc;
                }
                s->stage = STAGE_LOGIN;
            }
            break;
        case STAGE_LOGIN:
            rc = libssh2_userauth_publickey(s->session, s->user, s->key_blob, sizeof(s->key_blob), sign_callback,
                                            &abstract);
            if (rc == 0) {
                s->stage = STAGE_CHANNEL;
            }
            break;
        case STAGE_CHANNEL:
            s->channel = libssh2_channel_open_ex(s->session, "session", sizeof("session") - 1, CHANNEL_WINDOW,
                                                 CHANNEL_PACKET, NULL, 0);
            rc = s->channel ? 0 : libssh2_session_last_errno(s->session);
            if (s->channel) {
                s->stage = STAGE_SUBSYSTEM;
            } else if (rc == 0) {
                rc = LIBSSH2_ERROR_CHANNEL_FAILURE;
            }
            break;
        case STAGE_SUBSYSTEM:
            rc = libssh2_channel_subsystem(s->channel, MESSAGE_SUBSYSTEM);
            if (rc == 0) {
                s->stage = STAGE_OPEN;
            }
            break;
        case STAGE_OPEN:
            break;
        }
        if (rc == LIBSSH2_ERROR_EAGAIN) {
            return s->ended != 0 ? connection_ended(s, err) : SSH_CLIENT_AGAIN;
        }
        if (rc != 0) {
            return fail(s, rc, err);
        }
    }
    return 0;
}

/* --- bytes ---------------------------------------------------------------------------------------- */

int ssh_client_read(struct ssh_client *s, uint8_t *out, size_t room, size_t *out_len, struct pofr_err *err)
{
    *out_len = 0;
    if (s->half == HALF_WRITE && s->ended == 0) {
        return 0;
    }
    for (int i = 0; i < PORTIONS_MAX; i++) {
        ssize_t n;

        s->budget = PORTION;
        n = libssh2_channel_read(s->channel, (char *)out, room);
        s->half = n == LIBSSH2_ERROR_EAGAIN && is_half_sent(s) ? HALF_READ : HALF_NONE;
        if (n > 0) {
            *out_len = (size_t)n;
            return 0;
        }
        if (n < 0 && n != LIBSSH2_ERROR_EAGAIN) {
            return fail(s, (int)n, err);
        }
        if (n == 0 && libssh2_channel_eof(s->channel)) {
            return pofr_err_set(err, POFR_EPEER, "the gateway closed the channel");
        }
        if (s->budget == PORTION) { /* there was nothing to read */
            return s->ended != 0 ? connection_ended(s, err) : 0;
        }
    }
    return 0;
}

const uint8_t *ssh_client_host_key(const struct ssh_client *s)
{
    return s->host_key;
}

uint64_t ssh_client_received(const struct ssh_client *s)
{
    return s->received;
}

int ssh_client_write(struct ssh_client *s, struct slice data, size_t *out_taken, struct pofr_err *err)
{
    size_t taken = 0;

    *out_taken = 0;
    s->budget = 0;
    while (s->half != HALF_READ) {
        ssize_t n;

        if (s->stage_sent == s->staged) {
            s->staged = data.len - taken < STAGE_SIZE ? data.len - taken : STAGE_SIZE;
            s->stage_sent = 0;
            if (s->staged == 0) {
                break;
            }
            memcpy(s->stage_data, data.data + taken, s->staged);
            taken += s->staged;
        }
        n = libssh2_channel_write(s->channel, (const char *)s->stage_data + s->stage_sent, s->staged - s->stage_sent);
        s->half = n == LIBSSH2_ERROR_EAGAIN && is_half_sent(s) ? HALF_WRITE : HALF_NONE;
        if (n == LIBSSH2_ERROR_EAGAIN || n == 0) {
            break; /* 0: the peer's window is full */
        }
        if (n < 0) {
            return fail(s, (int)n, err);
        }
        s->stage_sent += (size_t)n;
    }
    *out_taken = taken;
    return 0;
}

bool ssh_client_unsent(const struct ssh_client *s)
{
    return s->stage_sent < s->staged;
}

uint32_t ssh_client_wants(const struct ssh_client *s)
{
    int directions;

    if (s->signing) {
        return 0;
    }
    directions = libssh2_session_block_directions(s->session);
    if (s->half == HALF_WRITE) {
        return EPOLLOUT; /* nobody would read what comes */
    }
    return EPOLLIN | ((directions & LIBSSH2_SESSION_BLOCK_OUTBOUND) != 0 ? (uint32_t)EPOLLOUT : 0u);
}
