/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gateway_attack -- a peer that keeps to no rule, for tests of the real gateway from shell.
 *
 *   gateway_attack ADDRESS KEY_FILE STEP...     KEY_FILE "-": none is needed
 *
 * Steps, one after the other; "N*STEP" does one N times. Nothing is read but where it is said.
 *   banner  keys            the client's part, and the server's is read; "keys" again: new keys
 *   kexinit                 the beginning of an exchange alone
 *   offer=USER              the key without signature: may it log in?
 *   login=USER              all of it, up to the login
 *   open[=WINDOW,PACKET]    a session channel, confirmed
 *   try-open=TYPE           a channel of this type
 *   confirm=WINDOW,PACKET   an OPEN_CONFIRMATION that nobody asked for
 *   subsystem               granted
 *   request=NAME  global=NAME  window=N  eof  close  ignore  debug  unimplemented  service  unknown  signal
 *   hello=HOST  ping  data=N (zero bytes)  bytes=HEX (in the channel)  packet=HEX  raw=HEX (outside of packets)
 *   bundle=HOST,FILE,SEQUENCE[,N]     N: only its first N bytes; "rest" sends zeros for the others
 *   half-closed             nothing more comes from here, as TCP says it
 *   read=TYPE               up to a packet of this type
 *   hold                    "held", then nothing is read or sent until standard input ends
 *   end                     read until the gateway closes; that is the last step in any case
 * Prints "closed" at the end, "closed in STEP" and ends with 1 where the gateway closed before; "timeout" and ends
 * with 3 where it did nothing for POFR_PEER_TIMEOUT (30) seconds.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/hex.h"
#include "common/os/clock.h"
#include "common/os/fsio.h"
#include "common/record/limits.h"
#include "common/wire/message.h"
#include "tests/support/ssh_raw.h"

#define CHANNEL 0u /* the gateway's number of it is read from its confirmation */

struct attack {
    struct ssh_raw *ssh;
    struct sshkey *key;
    uint32_t channel;
    size_t rest;      /* of the last message */
    char value[8192]; /* of the step */
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "gateway_attack: %s: %s\n", what, why);
    exit(2);
}

static uint64_t number(const char *text)
{
    return strtoull(text, NULL, 10);
}

static struct sshkey *read_key(const char *path)
{
    struct buf text = BUF_INIT(65536);
    struct sshkey *key = NULL;
    struct pofr_err err;

    if (fsio_read(path, &text, &err) != 0 || sshkey_read_private(buf_slice(&text), &key, &err) != 0) {
        die(path, err.text);
    }
    buf_free(&text);
    return key;
}

/* Sends it and gives its memory back. */
static bool send_buf(struct attack *a, struct buf *payload)
{
    bool sent = ssh_raw_send(a->ssh, buf_slice(payload));

    if (payload->err != 0) {
        die("packet", "too large");
    }
    buf_free(payload);
    return sent;
}

/* The step's value, as digits; owned by the caller. */
static struct buf hex_of(const struct attack *a)
{
    struct buf bytes = BUF_INIT(sizeof(a->value));
    size_t n = strlen(a->value) / 2;
    uint8_t *at = buf_reserve(&bytes, n + 1);

    if (!at || hex_decode(slice_str(a->value), at, n) != 0) {
        die(a->value, "not hexadecimal");
    }
    buf_advance(&bytes, n);
    return bytes;
}

/* --- login and channel ---------------------------------------------------------------------------------- */

static bool do_banner(struct attack *a)
{
    return ssh_raw_banner(a->ssh);
}

static bool do_keys(struct attack *a)
{
    return ssh_raw_exchange(a->ssh);
}

static bool do_kexinit(struct attack *a)
{
    return ssh_raw_send_kexinit(a->ssh);
}

static bool do_service(struct attack *a)
{
    struct buf p = BUF_INIT(64);

    buf_u8(&p, 5);
    buf_str32be(&p, slice_str("ssh-userauth"));
    return send_buf(a, &p);
}

static bool do_offer(struct attack *a)
{
    return ssh_raw_send_login(a->ssh, a->value, a->key, false);
}

static bool do_login(struct attack *a)
{
    struct slice answer;

    return do_banner(a) && do_keys(a) && do_service(a) && ssh_raw_send_login(a->ssh, a->value, a->key, true) &&
           ssh_raw_receive_type(a->ssh, 52, &answer);
}

static void put_window(const struct attack *a, struct buf *p)
{
    const char *comma = strchr(a->value, ',');

    buf_u32be(p, a->value[0] ? (uint32_t)number(a->value) : 2097152);
    buf_u32be(p, comma ? (uint32_t)number(comma + 1) : 32768);
}

static bool do_try_open(struct attack *a)
{
    struct buf p = BUF_INIT(256);

    buf_u8(&p, 90);
    buf_str32be(&p, slice_str(a->value));
    buf_u32be(&p, 7);
    buf_u32be(&p, 2097152);
    buf_u32be(&p, 32768);
    buf_bytes(&p, "\0\0\0\1x\0\0\0\1\0\0\0\1x\0\0\0\1", 18); /* where from and where to, for those types that say it */
    return send_buf(a, &p);
}

static bool do_open(struct attack *a)
{
    struct buf p = BUF_INIT(64);
    struct slice answer;

    buf_u8(&p, 90);
    buf_str32be(&p, slice_str("session"));
    buf_u32be(&p, CHANNEL);
    put_window(a, &p);
    if (!send_buf(a, &p) || !ssh_raw_receive_type(a->ssh, 91, &answer) || answer.len < 9) {
        return false;
    }
    a->channel = (uint32_t)answer.data[5] << 24 | (uint32_t)answer.data[6] << 16 | (uint32_t)answer.data[7] << 8 |
                 answer.data[8];
    return true;
}

static bool do_confirm(struct attack *a)
{
    struct buf p = BUF_INIT(64);

    buf_u8(&p, 91);
    buf_u32be(&p, a->channel);
    buf_u32be(&p, CHANNEL);
    put_window(a, &p);
    return send_buf(a, &p);
}

static bool request(struct attack *a, const char *name, const char *text)
{
    struct buf p = BUF_INIT(512);

    buf_u8(&p, 98);
    buf_u32be(&p, a->channel);
    buf_str32be(&p, slice_str(name));
    buf_u8(&p, 1);
    buf_str32be(&p, slice_str(text));
    return send_buf(a, &p);
}

static bool do_request(struct attack *a)
{
    return request(a, a->value, "x");
}

static bool do_signal(struct attack *a)
{
    return request(a, "signal", "HUP");
}

static bool do_subsystem(struct attack *a)
{
    struct slice answer;

    return request(a, "subsystem", MESSAGE_SUBSYSTEM) && ssh_raw_receive_type(a->ssh, 99, &answer);
}

static bool do_global(struct attack *a)
{
    struct buf p = BUF_INIT(256);

    buf_u8(&p, 80);
    buf_str32be(&p, slice_str(a->value));
    buf_u8(&p, 1);
    return send_buf(a, &p);
}

/* --- packets that need little --------------------------------------------------------------------------- */

static bool send_of_channel(struct attack *a, uint8_t type)
{
    struct buf p = BUF_INIT(16);

    buf_u8(&p, type);
    buf_u32be(&p, a->channel);
    if (type == 93) {
        buf_u32be(&p, (uint32_t)number(a->value));
    }
    return send_buf(a, &p);
}

static bool do_window(struct attack *a)
{
    return send_of_channel(a, 93);
}

static bool do_eof(struct attack *a)
{
    return send_of_channel(a, 96);
}

static bool do_close(struct attack *a)
{
    return send_of_channel(a, 97);
}

static bool send_plain(struct attack *a, uint8_t type)
{
    struct buf p = BUF_INIT(16);

    buf_u8(&p, type);
    buf_u32be(&p, 1);
    buf_u32be(&p, 0);
    buf_u32be(&p, 0);
    return send_buf(a, &p);
}

static bool do_ignore(struct attack *a)
{
    return send_plain(a, 2);
}

static bool do_unimplemented(struct attack *a)
{
    return send_plain(a, 3);
}

static bool do_debug(struct attack *a)
{
    return send_plain(a, 4);
}

static bool do_unknown(struct attack *a)
{
    return send_plain(a, 192);
}

static bool do_packet(struct attack *a)
{
    struct buf bytes = hex_of(a);

    return send_buf(a, &bytes);
}

static bool do_raw(struct attack *a)
{
    struct buf bytes = hex_of(a);
    bool sent = ssh_raw_bytes(a->ssh, buf_slice(&bytes));

    buf_free(&bytes);
    return sent;
}

/* --- in the channel ------------------------------------------------------------------------------------- */

/* Whatever the window says. */
static bool put_data(struct attack *a, struct slice data)
{
    size_t at = 0, n;
    bool sent;

    do {
        struct buf p = BUF_INIT(40000);

        n = data.len - at < 32768 ? data.len - at : 32768;
        buf_u8(&p, 94);
        buf_u32be(&p, a->channel);
        buf_str32be(&p, slice_sub(data, at, n));
        sent = send_buf(a, &p);
        at += n;
    } while (at < data.len && sent);
    return sent;
}

static bool put_message(struct attack *a, const struct message *m, size_t max)
{
    struct buf out = BUF_INIT(MESSAGE_MAX + 64);
    bool sent;

    if (message_put(m, &out) != 0) {
        die("message", "too large");
    }
    a->rest = out.len < max ? 0 : out.len - max;
    sent = put_data(a, slice_sub(buf_slice(&out), 0, out.len - a->rest));
    buf_free(&out);
    return sent;
}

static bool do_hello(struct attack *a)
{
    struct message m;

    memset(&m, 0, sizeof(m));
    m.type = MESSAGE_HELLO;
    m.hello.version = MESSAGE_VERSION;
    m.hello.boot.b[0] = 1;
    m.hello.boot_us = 1;
    if (uuid_parse(slice_str(a->value), &m.hello.host) != 0) {
        die(a->value, "not a uuid");
    }
    return put_message(a, &m, SIZE_MAX);
}

static bool do_ping(struct attack *a)
{
    struct message m = { .type = MESSAGE_PING };

    m.ping.token = 1;
    return put_message(a, &m, SIZE_MAX);
}

static bool do_bundle(struct attack *a)
{
    struct buf block = BUF_INIT(16u << 20);
    struct message m = { .type = MESSAGE_BUNDLE };
    char *file = strchr(a->value, ','), *sequence = file ? strchr(file + 1, ',') : NULL, *max;
    struct pofr_err err;
    bool sent;

    if (!sequence) {
        die(a->value, "HOST,FILE,SEQUENCE is wanted");
    }
    *sequence++ = '\0';
    max = strchr(sequence, ',');
    if (fsio_read(file + 1, &block, &err) != 0) {
        die(file + 1, err.text);
    }
    m.bundle.sequence = number(sequence);
    m.bundle.block = buf_slice(&block);
    sent = put_message(a, &m, max ? number(max + 1) : SIZE_MAX);
    buf_free(&block);
    return sent;
}

static bool put_zeros(struct attack *a, size_t n)
{
    struct buf zeros = BUF_INIT(64u << 20);
    uint8_t *at = buf_reserve(&zeros, n);
    bool sent;

    if (!at) {
        die("data", "too much");
    }
    memset(at, 0, n);
    buf_advance(&zeros, n);
    sent = put_data(a, buf_slice(&zeros));
    buf_free(&zeros);
    return sent;
}

static bool do_data(struct attack *a)
{
    return put_zeros(a, number(a->value));
}

static bool do_rest(struct attack *a)
{
    return put_zeros(a, a->rest);
}

static bool do_bytes(struct attack *a)
{
    struct buf bytes = hex_of(a);
    bool sent = put_data(a, buf_slice(&bytes));

    buf_free(&bytes);
    return sent;
}

/* --- ends ----------------------------------------------------------------------------------------------- */

static bool do_half_closed(struct attack *a)
{
    return shutdown(ssh_raw_fd(a->ssh), SHUT_WR) == 0;
}

static bool do_read(struct attack *a)
{
    struct slice answer;

    return ssh_raw_receive_type(a->ssh, (uint8_t)number(a->value), &answer);
}

static bool do_hold(struct attack *a)
{
    char byte;

    (void)a;
    printf("held\n");
    fflush(stdout);
    while (read(0, &byte, 1) > 0) {
    }
    return true;
}

static bool do_end(struct attack *a)
{
    struct slice answer;

    while (ssh_raw_receive(a->ssh, &answer)) {
    }
    return true;
}

static const struct {
    const char *name;
    bool (*run)(struct attack *a);
} steps[] = {
    { "banner", do_banner },
    { "keys", do_keys },
    { "kexinit", do_kexinit },
    { "service", do_service },
    { "offer", do_offer },
    { "login", do_login },
    { "try-open", do_try_open },
    { "open", do_open },
    { "confirm", do_confirm },
    { "request", do_request },
    { "signal", do_signal },
    { "subsystem", do_subsystem },
    { "global", do_global },
    { "window", do_window },
    { "eof", do_eof },
    { "close", do_close },
    { "ignore", do_ignore },
    { "debug", do_debug },
    { "unimplemented", do_unimplemented },
    { "unknown", do_unknown },
    { "packet", do_packet },
    { "raw", do_raw },
    { "hello", do_hello },
    { "ping", do_ping },
    { "bundle", do_bundle },
    { "data", do_data },
    { "rest", do_rest },
    { "bytes", do_bytes },
    { "half-closed", do_half_closed },
    { "read", do_read },
    { "hold", do_hold },
    { "end", do_end },
};

static void run_step(struct attack *a, const char *step)
{
    const char *star = strchr(step, '*'), *name = star ? star + 1 : step, *is = strchr(name, '=');
    size_t len = is ? (size_t)(is - name) : strlen(name), i;
    uint64_t times = star ? number(step) : 1, n;

    for (i = 0; i < pofr_countof(steps); i++) {
        if (strlen(steps[i].name) == len && strncmp(steps[i].name, name, len) == 0) {
            break;
        }
    }
    if (i == pofr_countof(steps)) {
        die(step, "no such step");
    }
    for (n = 0; n < times; n++) {
        snprintf(a->value, sizeof(a->value), "%s", is ? is + 1 : "");
        if (!steps[i].run(a)) {
            printf("closed in %s %" PRIu64 "\n", steps[i].name, n + 1);
            exit(1);
        }
    }
}

int main(int argc, char **argv)
{
    const char *timeout = getenv("POFR_PEER_TIMEOUT");
    static struct attack a;
    int i;

    if (argc < 3) {
        die("usage", "see the head of gateway_attack.c");
    }
    a.ssh = ssh_raw_connect(argv[1], (int64_t)number(timeout ? timeout : "30") * CLOCK_US_PER_S);
    a.key = strcmp(argv[2], "-") == 0 ? NULL : read_key(argv[2]);
    for (i = 3; i < argc; i++) {
        run_step(&a, argv[i]);
    }
    (void)do_end(&a);
    printf("closed\n");
    ssh_raw_free(a.ssh);
    sshkey_free(a.key);
    return 0;
}
