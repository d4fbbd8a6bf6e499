/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/ssh_raw.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/cursor.h"
#include "common/base/err.h"
#include "common/base/hostport.h"
#include "common/base/sha256.h"
#include "common/os/clock.h"

#define BANNER      "SSH-2.0-raw"
#define PACKET_MAX  300000u
#define MAC_SIZE    32u
#define BLOCK_SIZE  16u
#define MSG_KEXINIT 20
#define MSG_NEWKEYS 21
#define MSG_INIT    30
#define MSG_REPLY   31

struct direction {
    EVP_CIPHER_CTX *cipher; /* NULL: no keys yet */
    uint8_t mac_key[32];
    uint32_t sequence;
};

struct ssh_raw {
    int fd;
    bool closed;
    int64_t timeout_us;
    struct direction in, out;
    uint8_t session_id[32];
    bool has_session_id;
    char server_banner[256];
    struct buf bytes;  /* read, and not yet a packet */
    struct buf packet; /* the last one */
    size_t clear;      /* how many of bytes are decrypted: 0 or the first block */
    struct buf kexinit;
};

static void must(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "ssh_raw: %s\n", what);
        exit(2);
    }
}

/* --- the connection ------------------------------------------------------------------------------------- */

struct ssh_raw *ssh_raw_connect(const char *address, int64_t timeout_us)
{
    struct ssh_raw *r = (struct ssh_raw *)calloc(1, sizeof(*r));
    struct sockaddr_in at = { .sin_family = AF_INET };
    struct hostport to;
    int one = 1, little = 8192;

    must(r && hostport_parse(slice_str(address), -1, &to) == 0 && inet_pton(AF_INET, to.host, &at.sin_addr) == 1,
         address);
    at.sin_port = htons(to.port);
    r->timeout_us = timeout_us;
    r->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(r->fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little)); /* what is not read is noticed soon */
    must(r->fd >= 0 && connect(r->fd, (struct sockaddr *)&at, sizeof(at)) == 0, "connect");
    (void)setsockopt(r->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* only slower without */
    must(fcntl(r->fd, F_SETFL, O_NONBLOCK) == 0, "fcntl");
    buf_init(&r->bytes, 4 * PACKET_MAX);
    buf_init(&r->packet, PACKET_MAX);
    buf_init(&r->kexinit, 4096);
    return r;
}

void ssh_raw_free(struct ssh_raw *r)
{
    close(r->fd);
    EVP_CIPHER_CTX_free(r->in.cipher);
    EVP_CIPHER_CTX_free(r->out.cipher);
    buf_free(&r->bytes);
    buf_free(&r->packet);
    buf_free(&r->kexinit);
    free(r);
}

bool ssh_raw_is_closed(const struct ssh_raw *r)
{
    return r->closed;
}

int ssh_raw_fd(const struct ssh_raw *r)
{
    return r->fd;
}

static void wait_for(struct ssh_raw *r, short events)
{
    struct pollfd fd = { r->fd, events, 0 };

    if (poll(&fd, 1, (int)(r->timeout_us / CLOCK_US_PER_MS)) == 0) {
        printf("timeout\n");
        exit(3);
    }
}

bool ssh_raw_bytes(struct ssh_raw *r, struct slice bytes)
{
    size_t at = 0;
    ssize_t n;

    while (at < bytes.len && !r->closed) {
        n = send(r->fd, bytes.data + at, bytes.len - at, MSG_NOSIGNAL);
        if (n > 0) {
            at += (size_t)n;
        } else if (errno == EAGAIN) {
            wait_for(r, POLLOUT);
        } else {
            r->closed = true;
        }
    }
    return !r->closed;
}

/* Until there are so many. */
static bool fetch(struct ssh_raw *r, size_t wanted)
{
    uint8_t some[65536];
    ssize_t n;

    while (r->bytes.len < wanted && !r->closed) {
        n = recv(r->fd, some, sizeof(some), 0);
        if (n > 0) {
            buf_bytes(&r->bytes, some, (size_t)n);
            must(r->bytes.err == 0, "too much at once");
        } else if (n < 0 && errno == EAGAIN) {
            wait_for(r, POLLIN);
        } else {
            r->closed = true;
        }
    }
    return r->bytes.len >= wanted;
}

bool ssh_raw_banner(struct ssh_raw *r)
{
    uint8_t *end;
    size_t len;

    if (!ssh_raw_bytes(r, slice_str(BANNER "\r\n")) || !fetch(r, 1)) {
        return false;
    }
    while ((end = (uint8_t *)memchr(r->bytes.data, '\n', r->bytes.len)) == NULL) {
        if (!fetch(r, r->bytes.len + 1)) {
            return false;
        }
    }
    len = (size_t)(end - r->bytes.data) + 1;
    snprintf(r->server_banner, sizeof(r->server_banner), "%.*s", (int)strcspn((char *)r->bytes.data, "\r\n"),
             (char *)r->bytes.data);
    buf_consume(&r->bytes, len);
    return true;
}

/* --- packets -------------------------------------------------------------------------------------------- */

static void mac_of(struct direction *d, struct slice packet, uint8_t out[MAC_SIZE])
{
    struct buf text = BUF_INIT(PACKET_MAX + 4);

    buf_u32be(&text, d->sequence);
    buf_append(&text, packet);
    must(text.err == 0 && HMAC(EVP_sha256(), d->mac_key, sizeof(d->mac_key), text.data, text.len, out, NULL) != NULL,
         "hmac");
    buf_free(&text);
}

static void crypt_(struct direction *d, uint8_t *data, size_t len)
{
    int n;

    must(EVP_EncryptUpdate(d->cipher, data, &n, data, (int)len) == 1 && n == (int)len, "aes");
}

bool ssh_raw_send(struct ssh_raw *r, struct slice payload)
{
    size_t block = r->out.cipher ? BLOCK_SIZE : 8, padding = block - (5 + payload.len) % block;
    struct buf p = BUF_INIT(PACKET_MAX);
    uint8_t mac[MAC_SIZE];
    bool sent;

    padding += padding < 4 ? block : 0;
    buf_u32be(&p, (uint32_t)(1 + payload.len + padding));
    buf_u8(&p, (uint8_t)padding);
    buf_append(&p, payload);
    while (padding-- > 0) {
        buf_u8(&p, 0);
    }
    must(p.err == 0, "a packet that is too large");
    if (r->out.cipher) {
        mac_of(&r->out, buf_slice(&p), mac);
        crypt_(&r->out, p.data, p.len);
        buf_bytes(&p, mac, MAC_SIZE);
    }
    r->out.sequence++;
    sent = ssh_raw_bytes(r, buf_slice(&p));
    buf_free(&p);
    return sent;
}

bool ssh_raw_receive(struct ssh_raw *r, struct slice *out)
{
    size_t head = r->in.cipher ? BLOCK_SIZE : 8, mac = r->in.cipher ? MAC_SIZE : 0, len;
    uint8_t wanted[MAC_SIZE];
    struct cursor c;

    if (!fetch(r, head)) {
        return false;
    }
    if (r->in.cipher && r->clear == 0) {
        crypt_(&r->in, r->bytes.data, head);
        r->clear = head;
    }
    c = cursor_of(buf_slice(&r->bytes));
    len = cursor_u32be(&c) + 4;
    must(len >= head && len <= PACKET_MAX, "a packet of the server has a strange length");
    if (!fetch(r, len + mac)) {
        return false;
    }
    if (r->in.cipher) {
        crypt_(&r->in, r->bytes.data + head, len - head);
        mac_of(&r->in, slice_of(r->bytes.data, len), wanted);
        must(memcmp(wanted, r->bytes.data + len, MAC_SIZE) == 0, "a packet of the server has a wrong MAC");
    }
    r->clear = 0;
    r->in.sequence++;
    buf_reset(&r->packet);
    buf_bytes(&r->packet, r->bytes.data + 5, len - 5 - r->bytes.data[4]);
    buf_consume(&r->bytes, len + mac);
    *out = buf_slice(&r->packet);
    return true;
}

bool ssh_raw_receive_type(struct ssh_raw *r, uint8_t type, struct slice *out)
{
    do {
        if (!ssh_raw_receive(r, out)) {
            return false;
        }
    } while (out->len == 0 || out->data[0] != type);
    return true;
}

/* --- keys ----------------------------------------------------------------------------------------------- */

bool ssh_raw_send_kexinit(struct ssh_raw *r)
{
    static const char *const lists[] = {
        "curve25519-sha256", "ssh-ed25519", "aes128-ctr", "aes128-ctr", "hmac-sha2-256",
        "hmac-sha2-256",     "none",        "none",       "",           "",
    };
    size_t i;

    buf_reset(&r->kexinit);
    buf_u8(&r->kexinit, MSG_KEXINIT);
    buf_bytes(&r->kexinit, "0123456789abcdef", 16);
    for (i = 0; i < pofr_countof(lists); i++) {
        buf_str32be(&r->kexinit, slice_str(lists[i]));
    }
    buf_u8(&r->kexinit, 0);
    buf_u32be(&r->kexinit, 0);
    return ssh_raw_send(r, buf_slice(&r->kexinit));
}

static void put_mpint(struct buf *b, const uint8_t *n, size_t len)
{
    while (len > 0 && *n == 0) {
        n++;
        len--;
    }
    buf_u32be(b, (uint32_t)(len + (len > 0 && *n >= 0x80 ? 1 : 0)));
    if (len > 0 && *n >= 0x80) {
        buf_u8(b, 0);
    }
    buf_bytes(b, n, len);
}

static void derive_secret(EVP_PKEY *mine, struct slice theirs, uint8_t out[32])
{
    EVP_PKEY *peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, theirs.data, theirs.len);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(mine, NULL);
    size_t n = 32;

    must(peer && ctx && EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, peer) == 1 &&
             EVP_PKEY_derive(ctx, out, &n) == 1,
         "x25519");
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(peer);
}

static void key_of(const struct ssh_raw *r, const struct buf *secret, const uint8_t hash[32], char letter,
                   uint8_t out[32])
{
    struct buf text = BUF_INIT(256);

    buf_append(&text, buf_slice(secret));
    buf_bytes(&text, hash, 32);
    buf_u8(&text, (uint8_t)letter);
    buf_bytes(&text, r->session_id, 32);
    must(text.err == 0 && sha256(buf_slice(&text), out) == 0, "sha256");
    buf_free(&text);
}

static void take_keys(const struct ssh_raw *r, struct direction *d, const struct buf *secret, const uint8_t hash[32],
                      const char letters[3])
{
    uint8_t iv[32], key[32];

    key_of(r, secret, hash, letters[0], iv);
    key_of(r, secret, hash, letters[1], key);
    key_of(r, secret, hash, letters[2], d->mac_key);
    EVP_CIPHER_CTX_free(d->cipher);
    d->cipher = EVP_CIPHER_CTX_new();
    must(d->cipher && EVP_EncryptInit_ex(d->cipher, EVP_aes_128_ctr(), NULL, key, iv) == 1, "aes");
}

/* RFC 5656, 4: what both sides sign. */
static void hash_of(const struct ssh_raw *r, struct slice server_kexinit, struct slice mine, struct slice reply,
                    const struct buf *secret, uint8_t out[32])
{
    struct cursor c = cursor_of(slice_sub(reply, 1, reply.len - 1));
    struct buf text = BUF_INIT(65536);

    buf_str32be(&text, slice_str(BANNER));
    buf_str32be(&text, slice_str(r->server_banner));
    buf_str32be(&text, buf_slice(&r->kexinit));
    buf_str32be(&text, server_kexinit);
    buf_str32be(&text, cursor_str32be(&c, 1024));
    buf_str32be(&text, mine);
    buf_str32be(&text, cursor_str32be(&c, 32));
    buf_append(&text, buf_slice(secret));
    must(text.err == 0 && sha256(buf_slice(&text), out) == 0, "sha256");
    buf_free(&text);
}

static bool send_init(struct ssh_raw *r, struct slice mine)
{
    struct buf init = BUF_INIT(64);
    bool sent;

    buf_u8(&init, MSG_INIT);
    buf_str32be(&init, mine);
    sent = ssh_raw_send(r, buf_slice(&init));
    buf_free(&init);
    return sent;
}

static bool finish(struct ssh_raw *r, EVP_PKEY *key, struct slice mine, struct slice server_kexinit)
{
    struct buf secret = BUF_INIT(64);
    struct slice reply, theirs, newkeys;
    struct cursor c;
    uint8_t shared[32], hash[32];
    bool done = false;

    if (send_init(r, mine) && ssh_raw_receive_type(r, MSG_REPLY, &reply)) {
        c = cursor_of(slice_sub(reply, 1, reply.len - 1));
        (void)cursor_str32be(&c, 1024);
        theirs = cursor_str32be(&c, 32);
        derive_secret(key, theirs, shared);
        put_mpint(&secret, shared, 32);
        hash_of(r, server_kexinit, mine, reply, &secret, hash);
        if (!r->has_session_id) {
            memcpy(r->session_id, hash, 32);
            r->has_session_id = true;
        }
        if (ssh_raw_receive_type(r, MSG_NEWKEYS, &newkeys)) {
            take_keys(r, &r->in, &secret, hash, "BDF");
            done = ssh_raw_send(r, slice_of((const uint8_t[]){ MSG_NEWKEYS }, 1));
            take_keys(r, &r->out, &secret, hash, "ACE");
        }
    }
    buf_free(&secret);
    return done;
}

bool ssh_raw_exchange(struct ssh_raw *r)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    struct buf theirs = BUF_INIT(PACKET_MAX);
    uint8_t mine[32];
    size_t n = sizeof(mine);
    struct slice kexinit;
    bool done = false;

    must(key && EVP_PKEY_get_raw_public_key(key, mine, &n) == 1, "x25519");
    if (ssh_raw_send_kexinit(r) && ssh_raw_receive_type(r, MSG_KEXINIT, &kexinit)) {
        buf_append(&theirs, kexinit);
        done = finish(r, key, slice_of(mine, 32), buf_slice(&theirs));
    }
    buf_free(&theirs);
    EVP_PKEY_free(key);
    return done;
}

bool ssh_raw_send_login(struct ssh_raw *r, const char *user, const struct sshkey *key, bool with_signature)
{
    struct buf request = BUF_INIT(4096), text = BUF_INIT(4096), signature = BUF_INIT(128);
    uint8_t blob[51], raw[64];
    bool sent;

    sshkey_public_blob(sshkey_public(key), blob);
    buf_u8(&request, 50);
    buf_str32be(&request, slice_str(user));
    buf_str32be(&request, slice_str("ssh-connection"));
    buf_str32be(&request, slice_str("publickey"));
    buf_u8(&request, with_signature ? 1 : 0);
    buf_str32be(&request, slice_str("ssh-ed25519"));
    buf_str32be(&request, slice_of(blob, sizeof(blob)));
    if (with_signature) {
        buf_str32be(&text, slice_of(r->session_id, 32));
        buf_append(&text, buf_slice(&request));
        must(sshkey_sign_raw(key, buf_slice(&text), raw) == 0, "sign");
        buf_str32be(&signature, slice_str("ssh-ed25519"));
        buf_str32be(&signature, slice_of(raw, 64));
        buf_str32be(&request, buf_slice(&signature));
    }
    sent = ssh_raw_send(r, buf_slice(&request));
    buf_free(&request);
    buf_free(&text);
    buf_free(&signature);
    return sent;
}
