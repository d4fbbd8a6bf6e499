/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gateway_peer -- an agent without a host, for tests of the real gateway from shell.
 *
 *   gateway_peer make DIR KEY HOST FIRST LAST BYTES [WRONG]   bundles DIR/N, a chain; WRONG: signature host payload
 *                                                             sequence version previous: what is wrong with them
 *   gateway_peer send ADDRESS KEY HOST DIR FIRST LAST [gently] ship them, in order, within the window
 *   gateway_peer hello ADDRESS KEY USER [HOST]                HELLO (of another HOST), then print until it is closed
 *   gateway_peer raw ADDRESS KEY USER                         standard input into the channel, then the same
 *   gateway_peer enrol ADDRESS KEY TOKEN_SECRET
 *
 * POFR_PEER_OLDEST, POFR_PEER_NEWEST: what its HELLO says of its spool; else what is sent, or nothing.
 *
 * One line per message that comes: "welcome …", "ack N", "refuse N CODE final|later REASON", "slow_down",
 * "enrolled UUID NAME approved|pending"; then "closed". "login refused" where it was. send ends with 0 when all is
 * acked or finally refused, 1 when the session ended before, 3 when nobody answers for POFR_PEER_TIMEOUT (30) seconds.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libssh2.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/hex.h"
#include "common/base/hostport.h"
#include "common/evidence/bundle.h"
#include "common/os/clock.h"
#include "common/os/fsio.h"
#include "common/record/limits.h"
#include "common/wire/message.h"

struct peer {
    int fd;
    LIBSSH2_SESSION *ssh;
    LIBSSH2_CHANNEL *channel;
    struct buf in;
    int64_t timeout_us;
};

static struct peer *opened; /* closed at exit, however that comes */

static void close_opened(void)
{
    if (opened && opened->channel) {
        libssh2_channel_free(opened->channel);
    }
    if (opened && opened->ssh) {
        libssh2_session_set_blocking(opened->ssh, 0);
        libssh2_session_disconnect(opened->ssh, "done");
        libssh2_session_free(opened->ssh);
    }
    if (opened) {
        close(opened->fd);
        buf_free(&opened->in);
    }
    libssh2_exit();
}

static void die(const char *what, const char *why)
{
    fprintf(stderr, "gateway_peer: %s: %s\n", what, why);
    exit(2);
}

static uint64_t number(const char *text)
{
    char *end = NULL;
    unsigned long long n = strtoull(text, &end, 10);

    if (!end || *end) {
        die(text, "not a number");
    }
    return n;
}

static void read_all(const char *path, struct buf *out)
{
    struct pofr_err err;

    if (fsio_read(path, out, &err) != 0) {
        die("read", err.text);
    }
}

static struct sshkey *read_key(const char *path)
{
    struct buf text = BUF_INIT(65536);
    struct sshkey *key = NULL;
    struct pofr_err err;

    read_all(path, &text);
    if (sshkey_read_private(buf_slice(&text), &key, &err) != 0) {
        die(path, err.text);
    }
    buf_free(&text);
    return key;
}

/* --- make ----------------------------------------------------------------------------------------------- */

static void statement_of(const struct uuid *host, uint64_t sequence, const uint8_t previous[32], struct statement *s)
{
    static const uint8_t none[32];

    memset(s, 0, sizeof(*s));
    s->version = 1;
    s->host = *host;
    memset(s->run, 0x11, sizeof(s->run));
    s->sequence = sequence;
    memcpy(s->previous, previous, 32);
    s->origin = sequence == 1                     ? STATEMENT_FIRST
                : memcmp(previous, none, 32) == 0 ? STATEMENT_LOST
                                                  : STATEMENT_CONTINUES;
    memset(s->boot.b, 0x22, sizeof(s->boot.b));
    s->from_boot_us = sequence * 1000000;
    s->to_boot_us = s->from_boot_us + 900000;
    s->from_wall_us = INT64_C(1790000000000000) + (int64_t)s->from_boot_us;
    s->to_wall_us = s->from_wall_us + 900000;
    s->ticks = 1;
    s->ticks_total = sequence;
    snprintf(s->recorder, sizeof(s->recorder), "gateway_peer/1");
}

/* What does not compress, and is the same each time. */
static void fill(struct buf *payload, uint64_t sequence, size_t bytes)
{
    uint64_t x = sequence * 0x9e3779b97f4a7c15u + 1;

    while (payload->len < bytes && payload->err == 0) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        buf_u64le(payload, x);
    }
}

static void spoil(struct buf *block, const char *wrong)
{
    if (strcmp(wrong, "payload") == 0) {
        block->data[block->len - 1] ^= 1;
    } else if (strcmp(wrong, "signature") == 0) {
        /* the last digits of the armored signature are of the 64 bytes */
        uint8_t *end = (uint8_t *)memmem(block->data, block->len, "\n-----END SSH", 13);

        end[-8] = end[-8] == 'A' ? 'B' : 'A';
    } else if (strcmp(wrong, "version") == 0) {
        memcpy(block->data, "pofr-bundle 9", 13);
    }
}

static int make(char **arg, const char *wrong)
{
    struct sshkey *key = read_key(arg[1]);
    uint8_t previous[32] = { 0 }, digest[32];
    struct statement s;
    struct uuid host;
    struct pofr_err err;
    char path[4096];
    uint64_t n, first = number(arg[3]), last = number(arg[4]);

    if (uuid_parse(slice_str(arg[2]), &host) != 0) {
        die(arg[2], "not a uuid");
    }
    host.b[15] ^= strcmp(wrong, "host") == 0 ? 1 : 0;
    for (n = 1; n <= last; n++) { /* the chain from its beginning, so that it can be made in pieces */
        struct buf payload = BUF_INIT(REC_PAYLOAD_MAX), block = BUF_INIT(BUNDLE_MAX);

        statement_of(&host, n + (strcmp(wrong, "sequence") == 0 ? 7 : 0), previous, &s);
        s.previous[0] ^= n == first && n > 1 && strcmp(wrong, "previous") == 0 ? 1 : 0;
        fill(&payload, n, (size_t)number(arg[5]));
        if (bundle_seal(&s, buf_slice(&payload), key, &block, digest) != 0) {
            die("seal", "failed");
        }
        memcpy(previous, digest, 32);
        spoil(&block, wrong);
        snprintf(path, sizeof(path), "%s/%" PRIu64, arg[0], n);
        if (n >= first && fsio_replace(path, buf_slice(&block), 0644, &err) != 0) {
            die("write", err.text);
        }
        buf_free(&payload);
        buf_free(&block);
    }
    sshkey_free(key);
    return 0;
}

/* --- the connection ------------------------------------------------------------------------------------- */

static void wait_for(struct peer *p, int64_t deadline_us)
{
    int directions = libssh2_session_block_directions(p->ssh);
    struct pollfd fd = { p->fd, POLLIN, 0 };
    int64_t left = deadline_us - clock_mono_us();

    fd.events = (short)(fd.events | ((directions & LIBSSH2_SESSION_BLOCK_OUTBOUND) != 0 ? POLLOUT : 0));
    if (left <= 0 || poll(&fd, 1, (int)(left / 1000) + 1) == 0) {
        printf("timeout\n");
        exit(3);
    }
}

/* Repeat call until it is done; its result in rc. */
#define UNTIL_DONE(p, rc, call)                                                                                        \
    for (int64_t due_ = clock_mono_us() + (p)->timeout_us; ((rc) = (call)) == LIBSSH2_ERROR_EAGAIN;)                   \
    wait_for(p, due_)

static void connect_to(struct peer *p, const char *address)
{
    struct hostport at;
    struct sockaddr_in in = { .sin_family = AF_INET };
    int one = 1;

    if (hostport_parse(slice_str(address), -1, &at) != 0 || inet_pton(AF_INET, at.host, &in.sin_addr) != 1) {
        die(address, "not an address");
    }
    in.sin_port = htons(at.port);
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->fd < 0 || connect(p->fd, (struct sockaddr *)&in, sizeof(in)) != 0) {
        printf("not connected\n");
        exit(1);
    }
    setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    fcntl(p->fd, F_SETFL, O_NONBLOCK);
}

static void log_in(struct peer *p, const char *key_file, const char *user)
{
    struct buf key = BUF_INIT(65536);
    int rc;

    read_all(key_file, &key);
    p->ssh = libssh2_session_init();
    libssh2_session_set_blocking(p->ssh, 0);
    libssh2_session_method_pref(p->ssh, LIBSSH2_METHOD_KEX, "curve25519-sha256");
    libssh2_session_method_pref(p->ssh, LIBSSH2_METHOD_HOSTKEY, "ssh-ed25519");
    UNTIL_DONE(p, rc, libssh2_session_handshake(p->ssh, p->fd));
    if (rc == 0) {
        UNTIL_DONE(p, rc,
                   libssh2_userauth_publickey_frommemory(p->ssh, user, strlen(user), NULL, 0, (const char *)key.data,
                                                         key.len, NULL));
    }
    buf_free(&key);
    if (rc != 0) {
        printf("login refused\n");
        exit(1);
    }
    UNTIL_DONE(p, rc, (p->channel = libssh2_channel_open_session(p->ssh)) ? 0 : libssh2_session_last_errno(p->ssh));
    if (rc == 0) {
        UNTIL_DONE(p, rc, libssh2_channel_subsystem(p->channel, MESSAGE_SUBSYSTEM));
    }
    if (rc != 0) {
        printf("channel refused\n");
        exit(1);
    }
}

static void peer_open(struct peer *p, const char *address, const char *key_file, const char *user)
{
    const char *timeout = getenv("POFR_PEER_TIMEOUT");

    memset(p, 0, sizeof(*p));
    opened = p;
    buf_init(&p->in, MESSAGE_MAX);
    p->timeout_us = (int64_t)number(timeout ? timeout : "30") * CLOCK_US_PER_S;
    connect_to(p, address);
    log_in(p, key_file, user);
}

/* Bytes that came; 0: none now; -1: closed. */
static ssize_t read_some(struct peer *p)
{
    char bytes[32768];
    ssize_t n = libssh2_channel_read(p->channel, bytes, sizeof(bytes));

    if (n == LIBSSH2_ERROR_EAGAIN) {
        return 0;
    }
    if (n <= 0) {
        return n == 0 && !libssh2_channel_eof(p->channel) ? 0 : -1;
    }
    buf_bytes(&p->in, bytes, (size_t)n);
    return n;
}

static void put(struct peer *p, struct slice bytes)
{
    size_t at = 0;
    ssize_t n;

    while (at < bytes.len) {
        UNTIL_DONE(p, n, libssh2_channel_write(p->channel, (const char *)bytes.data + at, bytes.len - at));
        if (n < 0) {
            printf("closed\n");
            exit(1);
        }
        at += (size_t)n;
    }
}

static void put_message(struct peer *p, const struct message *m)
{
    struct buf out = BUF_INIT(MESSAGE_MAX + 64);

    if (message_put(m, &out) != 0) {
        die("message", "too large");
    }
    put(p, buf_slice(&out));
    buf_free(&out);
}

static void print_welcome(const struct message *m)
{
    unsigned i;

    printf("welcome gateway=%.*s window=%" PRIu64 " bundle_max=%" PRIu64 " wanted=", SLICE_FMT(m->welcome.gateway),
           m->welcome.window, m->welcome.bundle_max);
    for (i = 0; i < m->welcome.wanted_len; i++) {
        printf("%s%" PRIu64 "-%" PRIu64, i > 0 ? "," : "", m->welcome.wanted[i].first, m->welcome.wanted[i].last);
    }
    printf("\n");
}

static void print(const struct message *m)
{
    char text[UUID_TEXT_SIZE];

    switch (m->type) {
    case MESSAGE_WELCOME:
        print_welcome(m);
        break;
    case MESSAGE_ACK:
        printf("ack %" PRIu64 "\n", m->ack.sequence);
        break;
    case MESSAGE_REFUSE:
        printf("refuse %" PRIu64 " %s %s %.*s\n", m->refuse.sequence, message_refuse_name(m->refuse.code),
               m->refuse.final ? "final" : "later", SLICE_FMT(m->refuse.reason));
        break;
    case MESSAGE_ENROLLED:
        printf("enrolled %s %.*s %s\n", uuid_format(&m->enrolled.host, text), SLICE_FMT(m->enrolled.name),
               m->enrolled.approved ? "approved" : "pending");
        break;
    case MESSAGE_SLOW_DOWN:
        printf("slow_down\n");
        break;
    case MESSAGE_PING:
        printf("ping\n");
        break;
    case MESSAGE_PONG:
        printf("pong\n");
        break;
    default:
        printf("message %u\n", (unsigned)m->type);
    }
    fflush(stdout);
}

/* The next message, printed; false: closed. wait: for it, else only what is there (*out_any). */
static bool take(struct peer *p, bool wait, struct message *out, bool *out_any)
{
    int64_t due = clock_mono_us() + p->timeout_us;
    size_t used = 0;
    int rc;

    for (;;) {
        rc = message_get(buf_slice(&p->in), MESSAGE_MAX, out, &used);
        if (rc == 1) {
            print(out);
            if (out->type == MESSAGE_PING) {
                out->type = MESSAGE_PONG;
                put_message(p, out);
                out->type = MESSAGE_PING;
            }
            buf_consume(&p->in, used); /* slices of out are gone now */
            *out_any = true;
            return true;
        }
        if (rc < 0) {
            die("message", pofr_err_text(rc));
        }
        if (read_some(p) < 0) {
            printf("closed\n");
            return false;
        }
        if (message_get(buf_slice(&p->in), MESSAGE_MAX, out, &used) == 0) {
            if (!wait) {
                *out_any = false;
                return true;
            }
            if (libssh2_session_block_directions(p->ssh) != 0) {
                wait_for(p, due);
            }
        }
    }
}

static int listen_to_the_end(struct peer *p)
{
    struct message m;
    bool any;

    while (take(p, true, &m, &any)) {
    }
    return 0;
}

static void put_hello(struct peer *p, const char *host, uint64_t oldest, uint64_t newest)
{
    struct message m;

    memset(&m, 0, sizeof(m));
    m.type = MESSAGE_HELLO;
    m.hello.version = MESSAGE_VERSION;
    if (uuid_parse(slice_str(host), &m.hello.host) != 0) {
        die(host, "not a uuid");
    }
    memset(m.hello.boot.b, 0x22, sizeof(m.hello.boot.b));
    m.hello.boot_us = (uint64_t)clock_boot_us();
    m.hello.wall_us = (uint64_t)clock_wall_us();
    memset(m.hello.run, 0x11, sizeof(m.hello.run));
    m.hello.oldest = getenv("POFR_PEER_OLDEST") ? number(getenv("POFR_PEER_OLDEST")) : oldest;
    m.hello.newest = getenv("POFR_PEER_NEWEST") ? number(getenv("POFR_PEER_NEWEST")) : newest;
    m.hello.agent_version = slice_str("gateway_peer/1");
    put_message(p, &m);
}

/* --- send ----------------------------------------------------------------------------------------------- */

static void put_bundle(struct peer *p, const char *dir, uint64_t n)
{
    struct buf block = BUF_INIT(16 * 1024 * 1024), out = BUF_INIT(20 * 1024 * 1024);
    struct message m;
    char path[4096];

    snprintf(path, sizeof(path), "%s/%" PRIu64, dir, n);
    read_all(path, &block);
    memset(&m, 0, sizeof(m));
    m.type = MESSAGE_BUNDLE;
    m.bundle.sequence = n;
    m.bundle.block = buf_slice(&block);
    if (message_put(&m, &out) != 0) {
        die(path, "too large");
    }
    put(p, buf_slice(&out));
    buf_free(&block);
    buf_free(&out);
}

static int send_bundles(char **arg, bool gently)
{
    uint64_t first = number(arg[4]), last = number(arg[5]), next = first, answered = first, window;
    struct message m;
    static struct peer p;
    bool any;

    peer_open(&p, arg[0], arg[1], arg[2]);
    put_hello(&p, arg[2], first, last);
    do {
        if (!take(&p, true, &m, &any) || m.type == MESSAGE_REFUSE) {
            return 1;
        }
    } while (m.type != MESSAGE_WELCOME);
    window = gently ? 1 : m.welcome.window;
    while (answered <= last) {
        bool full = next > last || next - answered >= window;

        if (!full) {
            put_bundle(&p, arg[3], next++);
        }
        if (!take(&p, full, &m, &any)) {
            return 1;
        }
        if (any && (m.type == MESSAGE_ACK || (m.type == MESSAGE_REFUSE && m.refuse.final))) {
            if ((m.type == MESSAGE_ACK ? m.ack.sequence : m.refuse.sequence) != answered) {
                die("answer", "out of order");
            }
            answered++;
        } else if (any && m.type == MESSAGE_REFUSE) {
            return 1;
        }
    }
    return 0;
}

/* --- the rest ------------------------------------------------------------------------------------------- */

static int say_hello(char **arg, const char *host)
{
    static struct peer p;

    peer_open(&p, arg[0], arg[1], arg[2]);
    put_hello(&p, host, 0, 0);
    return listen_to_the_end(&p);
}

static int put_raw(char **arg)
{
    uint8_t bytes[65536];
    static struct peer p;
    ssize_t n;

    peer_open(&p, arg[0], arg[1], arg[2]);
    while ((n = read(0, bytes, sizeof(bytes))) > 0) {
        put(&p, slice_of(bytes, (size_t)n));
    }
    return listen_to_the_end(&p);
}

static int enrol(char **arg)
{
    struct sshkey *key = read_key(arg[1]);
    struct message m;
    static struct peer p;
    bool any;

    peer_open(&p, arg[0], arg[1], MESSAGE_ENROL_USER);
    memset(&m, 0, sizeof(m));
    m.type = MESSAGE_ENROL;
    m.enrol.version = MESSAGE_VERSION;
    m.enrol.token = slice_str(arg[2]);
    m.enrol.public_key = slice_of(sshkey_public(key), 32);
    m.enrol.hostname = slice_str("peer\xff\n.example");
    m.enrol.machine_id = slice_str("0123456789abcdef0123456789abcdef");
    m.enrol.os = slice_str("Test 1");
    m.enrol.kernel = slice_str("6.1");
    m.enrol.agent_version = slice_str("gateway_peer/1");
    put_message(&p, &m);
    sshkey_free(key);
    return take(&p, true, &m, &any) && m.type == MESSAGE_ENROLLED ? 0 : 1;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    char **arg = argv + 2;
    int n = argc - 2;

    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (libssh2_init(0) != 0 || atexit(close_opened) != 0) {
        die("libssh2", "failed");
    }
    if (strcmp(what, "make") == 0 && (n == 6 || n == 7)) {
        return make(arg, n == 7 ? arg[6] : "");
    }
    if (strcmp(what, "send") == 0 && (n == 6 || n == 7)) {
        return send_bundles(arg, n == 7);
    }
    if (strcmp(what, "hello") == 0 && (n == 3 || n == 4)) {
        return say_hello(arg, arg[n - 1]);
    }
    if (strcmp(what, "raw") == 0 && n == 3) {
        return put_raw(arg);
    }
    if (strcmp(what, "enrol") == 0 && n == 3) {
        return enrol(arg);
    }
    fprintf(stderr, "usage: see the head of tests/support/gateway_peer.c\n");
    return 2;
}
