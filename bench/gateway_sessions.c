/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gateway_sessions -- many hosts at one gateway, from one thread.
 *
 *   gateway_sessions TOKEN_FILE HOSTS CONCURRENT SECONDS BUNDLE_BYTES new|stream
 *
 * Enrols HOSTS hosts of its own with a token for as many. Then, for SECONDS, CONCURRENT of them at a time:
 *   new     connect, log in, HELLO, one bundle, its ack, close; the next host
 *   stream  connect once, then bundles with 16 under way
 * Prints: cycles (sessions, or acked bundles), seconds, p50 and p99 in microseconds (of a session, or of an ack), failures,
 * CPU microseconds of this program. Each host sends the same signed bundle again and again, under a new sequence
 * on the wire, where only the first of a session carries the right one: so STREAM says the right one each time and opens a
 * new session when the gateway has seen all of its bundles.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/enrol/register.h"
#include "agent/ship/link.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/parse_num.h"
#include "common/evidence/bundle.h"
#include "common/os/clock.h"
#include "common/os/fsio.h"
#include "common/os/loop.h"
#include "common/record/limits.h"
#include "common/wire/token.h"

#define HOSTS_MAX   5000u
#define CHAIN       64u /* signed bundles of a host in stream mode */
#define UNDER_WAY   16u
#define SAMPLES_MAX 2000000u
#define DEADLINE_US (20 * CLOCK_US_PER_S)

struct host {
    struct sshkey *key;
    struct uuid uuid;
    struct buf blocks[CHAIN];
    unsigned blocks_len;
};

struct client { /* one of those that run at a time */
    struct bench *bench;
    struct host *host;
    struct link *link;
    int64_t since_us;
    bool greeted, welcomed;
    unsigned sent, acked;
    int64_t sent_us[CHAIN];
};

struct bench {
    struct loop *loop;
    struct token token;
    struct host *hosts;
    uint32_t hosts_len, concurrent, seconds, bundle_bytes, next_host;
    bool stream, over;
    struct client *clients;
    struct loop_timer end;
    uint64_t cycles, failures;
    uint32_t *samples;
    size_t samples_len;
};

static void fail(const char *what, const struct pofr_err *err)
{
    fprintf(stderr, "gateway_sessions: %s: %s\n", what, err ? err->text : "failed");
    exit(1);
}

/* --- hosts ---------------------------------------------------------------------------------------- */

static void seal_chain(struct bench *b, struct host *h)
{
    struct statement s = { .version = 1, .host = h->uuid, .boot.b = { 1 }, .run = { 1 } };
    uint8_t *payload = malloc(b->bundle_bytes), digest[32] = { 0 };

    if (!payload || fsio_random(payload, b->bundle_bytes, NULL) != 0) {
        fail("payload", NULL);
    }
    snprintf(s.recorder, sizeof(s.recorder), "bench/" POFR_VERSION);
    h->blocks_len = b->stream ? CHAIN : 1;
    for (unsigned i = 0; i < h->blocks_len; i++) {
        s.sequence = i + 1;
        s.origin = i == 0 ? STATEMENT_FIRST : STATEMENT_CONTINUES;
        memcpy(s.previous, digest, sizeof(digest));
        s.from_boot_us = s.to_boot_us = 1000 + i;
        s.from_wall_us = s.to_wall_us = (uint64_t)clock_wall_us();
        s.ticks = 1;
        s.ticks_total = i + 1;
        buf_init(&h->blocks[i], BUNDLE_MAX);
        if (bundle_seal(&s, slice_of(payload, b->bundle_bytes), h->key, &h->blocks[i], digest) != 0) {
            fail("seal", NULL);
        }
    }
    free(payload);
}

static void enrol_hosts(struct bench *b)
{
    struct facts facts = { .hostname = "bench" };

    for (uint32_t i = 0; i < b->hosts_len; i++) {
        struct host *h = &b->hosts[i];
        struct register_request r = {
            .gateway = b->token.gateways[0], .secret = b->token.secret, .facts = &facts, .connect_us = DEADLINE_US
        };
        struct enrolment answer;
        struct pofr_err err;
        bool approved;

        if (sshkey_generate(&h->key) != 0) {
            fail("key", NULL);
        }
        snprintf(facts.hostname, sizeof(facts.hostname), "bench-%u", i);
        memcpy(r.fingerprint, b->token.fingerprint, 32);
        r.key = h->key;
        if (register_host(&r, &answer, &approved, &err) != 0) {
            fail("enrol", &err);
        }
        h->uuid = answer.host;
        seal_chain(b, h);
    }
}

/* --- clients -------------------------------------------------------------------------------------- */

static void start(struct client *c);

static void sample(struct bench *b, int64_t since_us)
{
    b->cycles++;
    if (b->samples_len < SAMPLES_MAX) {
        b->samples[b->samples_len++] = (uint32_t)(clock_mono_us() - since_us);
    }
}

static void again(struct client *c)
{
    link_close(c->link);
    c->link = NULL;
    if (!c->bench->over) {
        start(c);
    }
}

static int sign(void *arg, struct slice blob, uint8_t out_signature[64])
{
    struct client *c = arg;

    return sshkey_sign_raw(c->host->key, blob, out_signature);
}

static void opened(void *arg)
{
    (void)arg;
}

static int put_hello(struct client *c)
{
    struct message m = { .type = MESSAGE_HELLO };

    m.hello.version = MESSAGE_VERSION;
    m.hello.host = c->host->uuid;
    m.hello.boot.b[0] = 1;
    m.hello.boot_us = (uint64_t)clock_boot_us();
    m.hello.wall_us = (uint64_t)clock_wall_us();
    m.hello.oldest = 1;
    m.hello.newest = c->host->blocks_len;
    c->greeted = true;
    return link_put(c->link, &m);
}

static int put_bundle(struct client *c)
{
    struct message m = { .type = MESSAGE_BUNDLE };

    m.bundle.sequence = c->sent + 1;
    m.bundle.block = buf_slice(&c->host->blocks[c->sent]);
    c->sent_us[c->sent++] = clock_mono_us();
    return link_put(c->link, &m);
}

static void room(void *arg)
{
    struct client *c = arg;
    int rc = 0;

    if (!c->greeted) {
        rc = put_hello(c);
    } else if (c->welcomed && c->sent < c->host->blocks_len && c->sent - c->acked < UNDER_WAY) {
        rc = put_bundle(c);
    }
    if (rc != 0) {
        fail("put", NULL);
    }
}

static void message(void *arg, const struct message *m)
{
    struct client *c = arg;
    struct bench *b = c->bench;

    switch (m->type) {
    case MESSAGE_WELCOME:
        c->welcomed = true;
        break;
    case MESSAGE_ACK:
        if (b->stream) {
            sample(b, c->sent_us[c->acked]);
        }
        if (++c->acked == c->host->blocks_len) {
            if (!b->stream) {
                sample(b, c->since_us);
            }
            again(c);
        }
        break;
    case MESSAGE_REFUSE:
        b->failures++;
        again(c);
        break;
    default:
        break;
    }
}

static void closed(void *arg, int rc, const struct pofr_err *err)
{
    struct client *c = arg;

    (void)rc;
    c->link = NULL;
    if (!c->bench->over) {
        if (c->bench->failures++ < 5) {
            fprintf(stderr, "gateway_sessions: %s\n", err->text);
        }
        start(c);
    }
}

static void start(struct client *c)
{
    const struct link_handlers handlers = { opened, message, room, NULL, closed, sign, c };
    struct bench *b = c->bench;
    struct link_options o = { .gateway = b->token.gateways[0], .connect_us = DEADLINE_US, .handshake_us = DEADLINE_US };
    struct pofr_err err;

    c->host = &b->hosts[b->next_host++ % b->hosts_len]; /* more hosts than clients: none is at the gateway twice */
    c->greeted = c->welcomed = false;
    c->sent = c->acked = 0;
    c->since_us = clock_mono_us();
    uuid_format(&c->host->uuid, o.user);
    memcpy(o.public_key, sshkey_public(c->host->key), 32);
    memcpy(o.fingerprint, b->token.fingerprint, 32);
    if (link_new(b->loop, &o, &handlers, &c->link, &err) != 0) {
        fail("connect", &err);
    }
}

static void time_is_up(void *arg)
{
    struct bench *b = arg;

    b->over = true;
    loop_stop(b->loop);
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void run(struct bench *b)
{
    int64_t begin_us, cpu_us;

    if (loop_new(&b->loop, NULL) != 0 ||
        loop_timer_after(b->loop, &b->end, b->seconds * CLOCK_US_PER_S, time_is_up, b) != 0) {
        fail("loop", NULL);
    }
    begin_us = clock_mono_us();
    cpu_us = clock_thread_cpu_us();
    for (uint32_t i = 0; i < b->concurrent; i++) {
        b->clients[i].bench = b;
        start(&b->clients[i]);
    }
    if (loop_run(b->loop, NULL) != 0) {
        fail("loop", NULL);
    }
    cpu_us = clock_thread_cpu_us() - cpu_us;
    qsort(b->samples, b->samples_len, sizeof(b->samples[0]), compare);
    printf("%llu %.3f %u %u %llu %lld\n", (unsigned long long)b->cycles, (double)(clock_mono_us() - begin_us) / 1e6,
           b->samples_len ? b->samples[b->samples_len / 2] : 0,
           b->samples_len ? b->samples[b->samples_len * 99 / 100] : 0, (unsigned long long)b->failures,
           (long long)cpu_us);
    for (uint32_t i = 0; i < b->concurrent; i++) {
        link_close(b->clients[i].link);
    }
    loop_free(b->loop);
}

/* --- command line --------------------------------------------------------------------------------- */

static void read_arguments(struct bench *b, char **argv)
{
    struct buf text = BUF_INIT(TOKEN_TEXT_MAX);
    struct pofr_err err;

    if (fsio_read_secret(argv[1], &text, &err) != 0 || token_parse(buf_slice(&text), &b->token, &err) != 0) {
        fail("token", &err);
    }
    buf_free(&text);
    if (parse_u32(slice_str(argv[2]), HOSTS_MAX, &b->hosts_len) != 0 ||
        parse_u32(slice_str(argv[3]), HOSTS_MAX, &b->concurrent) != 0 ||
        parse_u32(slice_str(argv[4]), 3600, &b->seconds) != 0 ||
        parse_u32(slice_str(argv[5]), REC_PAYLOAD_MAX, &b->bundle_bytes) != 0 || b->bundle_bytes == 0 ||
        b->concurrent == 0 || b->hosts_len < 2 * b->concurrent) {
        fail("HOSTS must be at least twice CONCURRENT", NULL);
    }
    b->stream = strcmp(argv[6], "stream") == 0;
}

int main(int argc, char **argv)
{
    static struct bench b;

    if (argc != 7) {
        fprintf(stderr, "usage: gateway_sessions TOKEN_FILE HOSTS CONCURRENT SECONDS BUNDLE_BYTES new|stream\n");
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    read_arguments(&b, argv);
    b.hosts = calloc(b.hosts_len, sizeof(b.hosts[0]));
    b.clients = calloc(b.concurrent, sizeof(b.clients[0]));
    b.samples = calloc(SAMPLES_MAX, sizeof(b.samples[0]));
    if (!b.hosts || !b.clients || !b.samples || ssh_client_library_init(NULL) != 0) {
        fail("start", NULL);
    }
    enrol_hosts(&b);
    run(&b);
    for (uint32_t i = 0; i < b.hosts_len; i++) {
        for (unsigned j = 0; j < b.hosts[i].blocks_len; j++) {
            buf_free(&b.hosts[i].blocks[j]);
        }
        sshkey_free(b.hosts[i].key);
    }
    free(b.hosts);
    free(b.clients);
    free(b.samples);
    return 0;
}
