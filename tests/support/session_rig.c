/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/session_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/sha256.h"
#include "common/catalog/keys_parts.h"
#include "common/evidence/bundle.h"
#include "common/os/clock.h"
#include "common/record/limits.h"

static void must(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "session_rig: %s\n", what);
        abort();
    }
}

/* --- the copy of the catalog ---------------------------------------------------------------------------- */

static void put_key(struct keys_table *t, uint64_t host_id, const struct sshkey *key, int64_t from, int64_t to)
{
    struct keys_key k;
    bool changed = false;

    memset(&k, 0, sizeof(k));
    memcpy(k.public_key, sshkey_public(key), 32);
    must(sha256(slice_of(k.public_key, 32), k.key_id) == 0, "sha256");
    k.host_id = host_id;
    k.valid_from_us = from;
    k.valid_to_us = to;
    must(keys_table_put_key(t, &k, &changed) == 0, "put key");
}

static void put_host(struct keys_table *t, uint64_t number, const struct uuid *uuid, const char *name)
{
    struct keys_host h;
    bool changed = false;

    memset(&h, 0, sizeof(h));
    h.host_id = number * 1024 + 7;
    h.uuid = *uuid;
    h.slot = 7;
    h.state = KEYS_ACTIVE;
    snprintf(h.host, sizeof(h.host), "%s", name);
    must(keys_table_put_host(t, &h, &changed) == 0, "put host");
}

/* keys_open() reads a file; this one is in memory alone. */
static void make_keys(struct rig *r)
{
    struct keys_table *t = (struct keys_table *)malloc(sizeof(*t));
    struct keys_options o = { 0 };
    struct buf file = BUF_INIT(1u << 20);
    char path[64];
    int fd = memfd_create("keys", MFD_CLOEXEC);

    must(t && fd >= 0, "memory");
    keys_table_init(t);
    put_host(t, 1, &r->host, "host");
    put_host(t, 2, &r->other_host, "other");
    put_key(t, r->host_id, r->key, 2000, KEYS_FOREVER_US);
    put_key(t, r->host_id, r->old_key, 1000, 3000);
    put_key(t, 2 * 1024 + 7, r->foreign_key, 1000, KEYS_FOREVER_US);
    keys_file_write(t, &file);
    must(file.err == 0 && write(fd, file.data, file.len) == (ssize_t)file.len, "keys");
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    o.file = path;
    must(keys_open(&o, &r->keys, NULL) == 0 && keys_count(r->keys) == 2, "keys_open");
    close(fd);
    buf_free(&file);
    keys_table_free(t);
    free(t);
}

/* --- what the session asks for -------------------------------------------------------------------------- */

static int claim(void *peer)
{
    struct rig *r = (struct rig *)peer;

    r->claims++;
    return r->claim_code;
}

static int lookup(void *peer)
{
    struct rig *r = (struct rig *)peer;

    r->lookups++;
    return r->lookup_code;
}

static int enrol(void *peer, const struct message *m)
{
    struct rig *r = (struct rig *)peer;

    must(m->type == MESSAGE_ENROL, "enrol");
    r->enrols++;
    return r->enrol_code;
}

static int publish(void *peer, struct flight *f)
{
    struct rig *r = (struct rig *)peer;

    if (r->publish_code == 0 && r->published_count == RIG_PUBLISHED_MAX) {
        return POFR_EFULL;
    }
    if (r->publish_code == 0) {
        r->published[r->published_count++] = f;
    }
    return r->publish_code;
}

static const struct session_ops ops = { claim, lookup, enrol, publish };

void rig_init(struct rig *r)
{
    memset(r, 0, sizeof(*r));
    memset(r->host.b, 0xa1, sizeof(r->host.b));
    memset(r->other_host.b, 0xb2, sizeof(r->other_host.b));
    r->host_id = 1024 + 7;
    must(sshkey_generate(&r->key) == 0 && sshkey_generate(&r->old_key) == 0 && sshkey_generate(&r->foreign_key) == 0,
         "keys");
    make_keys(r);
    r->conf = (struct gateway_conf){ .sessions = 100,
                                     .sessions_per_address = 100,
                                     .unauthenticated = 100,
                                     .unauthenticated_per_address = 100,
                                     .auth_us = 10 * CLOCK_US_PER_S,
                                     .message_us = 60 * CLOCK_US_PER_S,
                                     .window = 4,
                                     .bundle_max = BUNDLE_MAX,
                                     .session_memory = 1u << 20 };
    must(limits_new(&r->conf, &r->limits, NULL) == 0 && wanted_new(&r->wanted) == 0 &&
             reports_new(&r->reports, NULL) == 0 && stat_new(gateway_stats, GATEWAY_STAT_COUNT, &r->stats, NULL) == 0,
         "env");
    r->memory.max = 4u << 20;
    r->env = (struct session_env){ .limits = limits_values(r->limits),
                                   .keys = r->keys,
                                   .wanted = r->wanted,
                                   .reports = r->reports,
                                   .stats = r->stats,
                                   .gateway = "rig",
                                   .memory = &r->memory,
                                   .ops = &ops };
    buf_init(&r->got, 1u << 20);
}

void rig_fini(struct rig *r)
{
    rig_close(r);
    must(r->memory.used == 0, "memory is given back");
    buf_free(&r->got);
    keys_close(r->keys);
    wanted_free(r->wanted);
    reports_free(r->reports);
    limits_free(r->limits);
    stat_free(r->stats);
    sshkey_free(r->key);
    sshkey_free(r->old_key);
    sshkey_free(r->foreign_key);
}

/* --- a session ------------------------------------------------------------------------------------------ */

void rig_open(struct rig *r, enum session_role role)
{
    struct session_identity who;

    must(!r->session, "one session at a time");
    memset(&who, 0, sizeof(who));
    who.role = role;
    who.host = r->host;
    memcpy(who.key, sshkey_public(r->key), 32);
    who.host_id = r->host_id;
    who.slot = 7;
    who.refuse = MESSAGE_REFUSE_REVOKED;
    who.reason = "retired";
    must(session_new(&r->env, &who, r, &r->session) == 0, "session_new");
    r->claims = r->lookups = r->enrols = 0;
    buf_reset(&r->got);
}

void rig_open_host(struct rig *r)
{
    struct message m;

    rig_open(r, SESSION_HOST);
    must(rig_put_hello(r) && r->claims == 1, "HELLO");
    session_claimed(r->session);
    must(rig_next(r, &m) && m.type == MESSAGE_WELCOME, "WELCOME");
}

void rig_close(struct rig *r)
{
    if (r->session) {
        session_end(r->session, END_PEER);
        while (r->published_count > 0) {
            rig_report(r, 0, true);
        }
        must(session_is_idle(r->session), "idle");
        session_free(r->session);
        r->session = NULL;
    }
}

size_t rig_feed(struct rig *r, struct slice bytes)
{
    return session_input(r->session, bytes);
}

bool rig_put(struct rig *r, const struct message *m)
{
    struct buf out = BUF_INIT(20u << 20);
    bool all;

    must(message_put(m, &out) == 0, "message_put");
    all = rig_feed(r, buf_slice(&out)) == out.len;
    buf_free(&out);
    return all;
}

bool rig_put_hello(struct rig *r)
{
    struct message m;

    memset(&m, 0, sizeof(m));
    m.type = MESSAGE_HELLO;
    m.hello.version = MESSAGE_VERSION;
    m.hello.host = r->host;
    memset(m.hello.boot.b, 0x33, sizeof(m.hello.boot.b));
    m.hello.boot_us = 5000000;
    m.hello.wall_us = 1;
    return rig_put(r, &m);
}

void rig_seal(struct rig *r, const struct uuid *host, uint64_t sequence, const uint8_t *previous,
              const struct sshkey *key, struct buf *out)
{
    static const uint8_t none[32];
    struct statement s;
    uint8_t digest[32];

    memset(&s, 0, sizeof(s));
    s.version = 1;
    s.host = *host;
    s.run[0] = 1;
    s.sequence = sequence;
    memcpy(s.previous, previous ? previous : r->last_digest, 32);
    s.origin = memcmp(s.previous, none, 32) != 0 ? STATEMENT_CONTINUES
               : sequence == 1                   ? STATEMENT_FIRST
                                                 : STATEMENT_LOST;
    memset(s.boot.b, 0x33, sizeof(s.boot.b));
    s.from_boot_us = s.to_boot_us = sequence * 1000;
    s.from_wall_us = s.to_wall_us = sequence * 1000 + 1;
    s.ticks = 1;
    s.ticks_total = sequence;
    snprintf(s.recorder, sizeof(s.recorder), "rig/1");
    must(bundle_seal(&s, slice_str("payload"), key, out, digest) == 0, "bundle_seal");
    memcpy(r->last_digest, digest, 32);
}

bool rig_put_bundle(struct rig *r, uint64_t sequence)
{
    struct buf block = BUF_INIT(BUNDLE_MAX);
    struct message m;
    bool all;

    rig_seal(r, &r->host, sequence, NULL, r->key, &block);
    memset(&m, 0, sizeof(m));
    m.type = MESSAGE_BUNDLE;
    m.bundle.sequence = sequence;
    m.bundle.block = buf_slice(&block);
    all = rig_put(r, &m);
    buf_free(&block);
    return all;
}

static bool fetch(struct rig *r)
{
    struct slice out = session_output(r->session);

    buf_append(&r->got, out);
    session_sent(r->session, out.len);
    return out.len > 0;
}

bool rig_next(struct rig *r, struct message *out)
{
    static struct buf frame = BUF_INIT(1u << 20); /* what the last message lies in */
    size_t used = 0;
    int rc;

    (void)fetch(r); /* there may be nothing new */
    rc = message_get(buf_slice(&r->got), 1u << 20, out, &used);
    must(rc >= 0 && r->got.err == 0, "output that is no message");
    if (rc == 0) {
        must(r->got.len == 0, "half a message");
        buf_free(&frame);
        return false;
    }
    buf_reset(&frame);
    buf_append(&frame, slice_sub(buf_slice(&r->got), 0, used));
    buf_consume(&r->got, used);
    must(message_get(buf_slice(&frame), 1u << 20, out, &used) == 1, "message");
    return true;
}

size_t rig_forget(struct rig *r)
{
    struct message m;
    size_t n = 0;

    while (rig_next(r, &m)) {
        n++;
    }
    return n;
}

void rig_report(struct rig *r, size_t n, bool delivered)
{
    struct flight *f = r->published[n];

    must(n < r->published_count, "nothing to report");
    r->published_count--;
    memmove(&r->published[n], &r->published[n + 1], (r->published_count - n) * sizeof(r->published[0]));
    session_reported(f, delivered);
}
