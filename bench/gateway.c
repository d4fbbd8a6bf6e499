/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bench_gateway -- agents by the thousand, as far as a gateway can see. For bench/gateway.sh.
 *
 *   bench_gateway prepare N FILE                       N hosts with keys into FILE; SQL for the catalog on standard output
 *   bench_gateway cycles ADDRESS FILE N PROCESSES BYTES    connect, log in, HELLO, one bundle and its ack (0: none), close: N times in all
 *   bench_gateway storm ADDRESS FILE N PROCESSES       N agents at once, each from an address of its own, until all have WELCOME
 *   bench_gateway idle ADDRESS FILE N                  N sessions up to WELCOME, then "open"; held until standard input ends
 *   bench_gateway stream ADDRESS FILE PROCESSES N BYTES    each one session, N bundles, window as the gateway says
 *   bench_gateway verify N                             Ed25519 verifications: what all this is measured against
 *
 * cycles, storm, stream, verify print the seconds that they took; storm also how many connections were tried.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libssh2.h>

#include "bench/gateway.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/hex.h"
#include "common/base/hostport.h"
#include "common/base/murmur2.h"
#include "common/base/sha256.h"
#include "common/evidence/bundle.h"
#include "common/os/clock.h"
#include "common/os/fsio.h"
#include "common/record/limits.h"
#include "common/wire/message.h"

#define PARTITIONS 64u
#define HOSTS_MAX  20000u

static unsigned number(const char *text)
{
    return (unsigned)strtoul(text, NULL, 10);
}

struct uuid host_of(unsigned n)
{
    struct uuid u = { { 0xbe, 0x4c, 0x11, 0x00 } };

    u.b[14] = (uint8_t)(n >> 8);
    u.b[15] = (uint8_t)n;
    return u;
}

/* --- prepare -------------------------------------------------------------------------------------------- */

static void print_host(unsigned n, const struct sshkey *key)
{
    char uuid[UUID_TEXT_SIZE], hex[33], pub[65], id[65];
    struct uuid u = host_of(n);
    uint8_t key_id[32];
    unsigned slot;

    uuid_format(&u, uuid);
    slot = murmur2_partition(slice_of(uuid, UUID_TEXT_LEN), PARTITIONS);
    must(sha256(slice_of(sshkey_public(key), 32), key_id) == 0, "sha256");
    hex_encode(slice_of(u.b, 16), hex);
    hex_encode(slice_of(sshkey_public(key), 32), pub);
    hex_encode(slice_of(key_id, 32), id);
    printf("INSERT INTO host (number, host_id, host_uuid, host, slot, enrolled, state_since, changed) VALUES "
           "(%u, %u, UNHEX('%s'), 'bench-%u', %u, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), 2);\n",
           n + 1, (n + 1) * 1024 + slot, hex, n, slot);
    printf("INSERT INTO host_key (key_id, host_id, public_key, valid_from, changed) VALUES "
           "(UNHEX('%s'), %u, UNHEX('%s'), UTC_TIMESTAMP(6), 2);\n",
           id, (n + 1) * 1024 + slot, pub);
}

static void prepare(unsigned n, const char *file)
{
    FILE *out = fopen(file, "wb");
    unsigned i;

    must(out && n <= HOSTS_MAX, "prepare");
    printf("START TRANSACTION;\nUPDATE change_seq SET value = 2;\n");
    for (i = 0; i < n; i++) {
        struct buf text = BUF_INIT(KEY_TEXT_SIZE);
        struct sshkey *key = NULL;

        must(sshkey_generate(&key) == 0 && sshkey_write_private(key, "b", &text) == 0, "key");
        while (text.len < KEY_TEXT_SIZE) {
            buf_u8(&text, 0);
        }
        must(text.err == 0 && fwrite(text.data, text.len, 1, out) == 1, "write");
        print_host(i, key);
        buf_free(&text);
        sshkey_free(key);
    }
    printf("COMMIT;\n");
    must(fclose(out) == 0, "write");
}

void key_text(const char *file, unsigned n, char out[KEY_TEXT_SIZE + 1])
{
    FILE *in = fopen(file, "rb");

    must(in && fseek(in, (long)n * (long)KEY_TEXT_SIZE, SEEK_SET) == 0 && fread(out, KEY_TEXT_SIZE, 1, in) == 1, file);
    out[KEY_TEXT_SIZE] = '\0';
    (void)fclose(in); /* was only read */
}

/* --- a session ------------------------------------------------------------------------------------------ */

void link_start(struct link *l, const char *address, int flags)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    struct hostport at;
    int one = 1;

    memset(l, 0, sizeof(*l));
    buf_init(&l->in, 1u << 20);
    must(hostport_parse(slice_str(address), -1, &at) == 0 && inet_pton(AF_INET, at.host, &in.sin_addr) == 1, address);
    in.sin_port = htons(at.port);
    l->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    must(l->fd >= 0, "socket");
    (void)setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* only slower without */
    l->to = in;
}

void link_session(struct link *l)
{
    l->ssh = libssh2_session_init();
    must(l->ssh != NULL, "memory");
    libssh2_session_method_pref(l->ssh, LIBSSH2_METHOD_KEX, "curve25519-sha256");
    libssh2_session_method_pref(l->ssh, LIBSSH2_METHOD_HOSTKEY, "ssh-ed25519");
    libssh2_session_method_pref(l->ssh, LIBSSH2_METHOD_CRYPT_CS, "aes128-gcm@openssh.com,aes128-ctr");
    libssh2_session_method_pref(l->ssh, LIBSSH2_METHOD_CRYPT_SC, "aes128-gcm@openssh.com,aes128-ctr");
    libssh2_session_method_pref(l->ssh, LIBSSH2_METHOD_MAC_CS, "hmac-sha2-256");
    libssh2_session_method_pref(l->ssh, LIBSSH2_METHOD_MAC_SC, "hmac-sha2-256");
}

static void link_open(struct link *l, const char *address, const char *key, unsigned n)
{
    char user[UUID_TEXT_SIZE];
    struct uuid host = host_of(n);

    link_start(l, address, 0);
    must(connect(l->fd, (struct sockaddr *)&l->to, sizeof(l->to)) == 0, "connect");
    link_session(l);
    must(libssh2_session_handshake(l->ssh, l->fd) == 0, "handshake");
    uuid_format(&host, user);
    must(libssh2_userauth_publickey_frommemory(l->ssh, user, UUID_TEXT_LEN, NULL, 0, key, strlen(key), NULL) == 0,
         "login");
    l->channel = libssh2_channel_open_session(l->ssh);
    must(l->channel && libssh2_channel_subsystem(l->channel, MESSAGE_SUBSYSTEM) == 0, "channel");
}

static void link_close(struct link *l)
{
    libssh2_channel_free(l->channel);
    libssh2_session_free(l->ssh);
    close(l->fd);
    buf_free(&l->in);
}

static void put(struct link *l, const struct message *m)
{
    struct buf out = BUF_INIT(MESSAGE_MAX + 64);
    size_t at = 0;

    must(message_put(m, &out) == 0, "message");
    while (at < out.len) {
        ssize_t n = libssh2_channel_write(l->channel, (const char *)out.data + at, out.len - at);

        must(n > 0, "write");
        at += (size_t)n;
    }
    buf_free(&out);
}

static void get(struct link *l, enum message_type wanted, struct message *m)
{
    char bytes[16384];
    size_t used;

    while (message_get(buf_slice(&l->in), 1u << 20, m, &used) == 0) {
        ssize_t n = libssh2_channel_read(l->channel, bytes, sizeof(bytes));

        must(n > 0, "read");
        buf_bytes(&l->in, bytes, (size_t)n);
    }
    must(m->type == wanted, "another message than was wanted");
    buf_consume(&l->in, used);
}

void hello_of(unsigned n, struct message *m)
{
    memset(m, 0, sizeof(*m));
    m->type = MESSAGE_HELLO;
    m->hello.version = MESSAGE_VERSION;
    m->hello.host = host_of(n);
    m->hello.boot.b[0] = 1;
    m->hello.boot_us = (uint64_t)clock_boot_us();
}

static unsigned say_hello(struct link *l, unsigned n)
{
    struct message m;

    hello_of(n, &m);
    put(l, &m);
    get(l, MESSAGE_WELCOME, &m);
    return (unsigned)m.welcome.window;
}

/* Sequence n of a host; the payload does not compress, as that of an agent does not a second time. */
static void seal(unsigned host, uint64_t sequence, size_t bytes, const char *key_text_, struct buf *out)
{
    struct buf payload = BUF_INIT(REC_PAYLOAD_MAX);
    struct sshkey *key = NULL;
    struct statement s;
    uint64_t x = sequence * 0x9e3779b97f4a7c15u + host + 1;
    uint8_t digest[32];

    while (payload.len < bytes) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        buf_u64le(&payload, x);
    }
    memset(&s, 0, sizeof(s));
    s.version = 1;
    s.host = host_of(host);
    s.sequence = sequence;
    s.origin = sequence == 1 ? STATEMENT_FIRST : STATEMENT_LOST;
    s.boot.b[0] = 1;
    s.from_boot_us = s.to_boot_us = s.from_wall_us = s.to_wall_us = sequence;
    s.ticks = s.ticks_total = 1;
    snprintf(s.recorder, sizeof(s.recorder), "bench/1");
    must(sshkey_read_private(slice_str(key_text_), &key, NULL) == 0, "key");
    must(bundle_seal(&s, buf_slice(&payload), key, out, digest) == 0, "seal");
    sshkey_free(key);
    buf_free(&payload);
}

static void put_bundle(struct link *l, uint64_t sequence, const struct buf *block)
{
    struct message m;

    memset(&m, 0, sizeof(m));
    m.type = MESSAGE_BUNDLE;
    m.bundle.sequence = sequence;
    m.bundle.block = buf_slice(block);
    put(l, &m);
}

/* --- what is measured ----------------------------------------------------------------------------------- */

static void cycle_child(char **arg, unsigned process, unsigned times)
{
    struct buf block = BUF_INIT(BUNDLE_MAX);
    char key[KEY_TEXT_SIZE + 1];
    struct message m;
    struct link l;
    unsigned i;

    key_text(arg[1], process, key);
    if (number(arg[4]) > 0) {
        seal(process, 1, number(arg[4]), key, &block);
    }
    for (i = 0; i < times; i++) {
        link_open(&l, arg[0], key, process);
        (void)say_hello(&l, process);
        if (block.len > 0) {
            put_bundle(&l, 1, &block);
            get(&l, MESSAGE_ACK, &m);
        }
        link_close(&l);
    }
    buf_free(&block);
}

static void stream_child(char **arg, unsigned process, unsigned times)
{
    struct buf *blocks = (struct buf *)calloc(times, sizeof(*blocks));
    unsigned sent = 0, acked = 0, window;
    char key[KEY_TEXT_SIZE + 1];
    struct message m;
    struct link l;

    key_text(arg[1], process, key);
    must(blocks != NULL, "memory");
    for (unsigned i = 0; i < times; i++) {
        buf_init(&blocks[i], BUNDLE_MAX);
        seal(process, i + 1, number(arg[4]), key, &blocks[i]);
    }
    kill(getpid(), SIGSTOP); /* the clock starts when all are ready */
    link_open(&l, arg[0], key, process);
    window = say_hello(&l, process);
    while (acked < times) {
        while (sent < times && sent - acked < window) {
            put_bundle(&l, sent + 1, &blocks[sent]);
            sent++;
        }
        get(&l, MESSAGE_ACK, &m);
        acked++;
    }
    link_close(&l);
}

/* --- processes ------------------------------------------------------------------------------------------ */

static void wait_stopped(const pid_t *pids, unsigned processes)
{
    int status;

    for (unsigned i = 0; i < processes; i++) {
        must(waitpid(pids[i], &status, WUNTRACED) == pids[i] && WIFSTOPPED(status), "child");
    }
}

static void let_go(const pid_t *pids, unsigned processes)
{
    for (unsigned i = 0; i < processes; i++) {
        kill(pids[i], SIGCONT);
    }
}

/* stops: how often each child stops itself, until all have: at 1 the clock starts, at 2 it ends. */
static void run(char **arg, unsigned processes, unsigned times, void (*child)(char **, unsigned, unsigned),
                unsigned stops)
{
    pid_t pids[256];
    int64_t begin, end = 0;
    int status;

    must(processes > 0 && processes <= 256, "processes");
    begin = clock_mono_us();
    for (unsigned i = 0; i < processes; i++) {
        pids[i] = fork();
        must(pids[i] >= 0, "fork"); /* kill(-1) is for everyone */
        if (pids[i] == 0) {
            child(arg, i, times);
            _exit(0);
        }
    }
    if (stops > 0) {
        wait_stopped(pids, processes);
        begin = clock_mono_us();
        let_go(pids, processes);
    }
    if (stops > 1) {
        wait_stopped(pids, processes);
        end = clock_mono_us();
        let_go(pids, processes);
    }
    for (unsigned i = 0; i < processes; i++) {
        must(waitpid(pids[i], &status, 0) == pids[i] && WIFEXITED(status) && WEXITSTATUS(status) == 0, "child");
    }
    end = stops > 1 ? end : clock_mono_us();
    printf("%.6f", (double)(end - begin) / 1e6);
}

static void idle(char **arg)
{
    unsigned n = number(arg[2]), i;
    struct link *links = (struct link *)calloc(n, sizeof(*links));
    char key[KEY_TEXT_SIZE + 1], byte;

    must(links != NULL, "memory");
    for (i = 0; i < n; i++) {
        key_text(arg[1], i, key);
        link_open(&links[i], arg[0], key, i);
        (void)say_hello(&links[i], i);
    }
    printf("open\n");
    fflush(stdout);
    while (read(0, &byte, 1) > 0) {
    }
}

static void verify(unsigned n)
{
    struct sshkey *key = NULL;
    uint8_t signature[64], data[100] = { 1 };
    struct buf armored = BUF_INIT(4096);
    int64_t begin;

    must(sshkey_generate(&key) == 0 && sshsig_sign(key, slice_of(data, 100), signature, &armored) == 0, "sign");
    begin = clock_thread_cpu_us();
    for (unsigned i = 0; i < n; i++) {
        must(sshsig_verify(sshkey_public(key), signature, slice_of(data, 100)) == 0, "verify");
    }
    printf("%.6f\n", (double)(clock_thread_cpu_us() - begin) / 1e6);
    buf_free(&armored);
    sshkey_free(key);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    char **arg = argv + 2;

    must(libssh2_init(0) == 0, "libssh2");
    signal(SIGPIPE, SIG_IGN);
    if (strcmp(what, "prepare") == 0 && argc == 4) {
        prepare(number(arg[0]), arg[1]);
    } else if (strcmp(what, "cycles") == 0 && argc == 7) {
        run(arg, number(arg[3]), number(arg[2]) / number(arg[3]), cycle_child, 0);
        printf("\n");
    } else if (strcmp(what, "storm") == 0 && argc == 6) {
        storm_open();
        run(arg, number(arg[3]), number(arg[2]) / number(arg[3]), storm_child, 2);
        printf(" %u\n", storm_tries());
    } else if (strcmp(what, "idle") == 0 && argc == 5) {
        idle(arg);
    } else if (strcmp(what, "stream") == 0 && argc == 7) {
        run(arg, number(arg[2]), number(arg[3]), stream_child, 1);
        printf("\n");
    } else if (strcmp(what, "verify") == 0 && argc == 3) {
        verify(number(arg[0]));
    } else {
        fprintf(stderr, "usage: see the head of bench/gateway.c\n");
        return 2;
    }
    return 0;
}
