/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A round of the loop: events come in (sockets, notes, reports of Kafka, timers) and mark the peers that they
 * concern; then each marked peer is settled: read, write, close. So what happens to a peer in one round
 * leaves in one SSH packet, and nothing is closed under a callback.
 */
#include "gateway/lane_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/os/clock.h"
#include "common/os/log.h"
#include "gateway/auth.h"
#include "gateway/packet_limit.h"

#define PEERS_MAX     2000000u
#define KEYS_AFTER_US (200 * CLOCK_US_PER_MS) /* many hosts enrol at once, and each changes the copy */
#define BEAT_US       CLOCK_US_PER_S

/* --- lists of peers ----------------------------------------------------------------------------------- */

static void peers_init(struct peers *list, enum peer_list which)
{
    list->first = NULL;
    list->last = &list->first;
    list->which = which;
}

void lane_put(struct peers *list, struct peer *p)
{
    if (!p->in[list->which]) {
        p->in[list->which] = true;
        p->next[list->which] = NULL;
        *list->last = p;
        list->last = &p->next[list->which];
    }
}

void lane_take_out(struct peers *list, struct peer *p)
{
    struct peer **at = &list->first;

    if (!p->in[list->which]) {
        return;
    }
    while (*at != p) {
        at = &(*at)->next[list->which];
    }
    *at = p->next[list->which];
    if (list->last == &p->next[list->which]) {
        list->last = at;
    }
    p->in[list->which] = false;
}

/* Those that are in it now; who is put in meanwhile has its turn in the next round. */
static void settle_dirty(struct lane *l)
{
    struct peer *end = NULL, *p;
    struct peer **at;

    for (at = &l->dirty.first; *at; at = &(*at)->next[PEER_DIRTY]) {
        end = *at;
    }
    while (end && (p = l->dirty.first) != NULL) {
        if (p == end) {
            end = NULL;
        }
        lane_take_out(&l->dirty, p);
        peer_settle(p);
    }
}

void lane_progressed(struct lane *l)
{
    struct peer *p;

    while ((p = l->blocked.first) != NULL) {
        if (p->session && session_is_blocked(p->session) && !session_retry(p->session)) {
            break; /* still no room, and the others came later */
        }
        lane_take_out(&l->blocked, p);
        lane_put(&l->dirty, p);
    }
}

/* --- events ------------------------------------------------------------------------------------------- */

static void on_reported(void *arg, void *opaque, bool delivered)
{
    struct lane *l = (struct lane *)arg;
    struct flight *f = (struct flight *)opaque;
    struct peer *p = (struct peer *)session_peer(f->session);

    session_reported(f, delivered);
    lane_put(&l->dirty, p);
}

static void on_progressed(void *arg)
{
    lane_progressed((struct lane *)arg);
}

static void each_peer(struct lane *l, void (*fn)(struct peer *p))
{
    struct peer *p;
    size_t at = 0;

    while ((p = (struct peer *)hashmap_next(&l->peers, &at)) != NULL) {
        fn(p);
        lane_put(&l->dirty, p);
    }
}

static void judge_again(struct peer *p)
{
    struct session_identity who;

    if (p->session && session_who(p->session)->role == SESSION_HOST) {
        auth_judge_again(p->lane->o.keys, session_who(p->session), clock_wall_us(), &who);
        session_rejudge(p->session, &who);
    }
}

static void on_keys_timer(void *arg)
{
    each_peer((struct lane *)arg, judge_again);
}

static void on_keys(struct note *n, void *arg)
{
    struct lane *l = (struct lane *)arg;

    (void)n;
    if (!loop_timer_is_set(&l->keys_timer) &&
        loop_timer_after(l->loop, &l->keys_timer, KEYS_AFTER_US, on_keys_timer, l) != 0) {
        on_keys_timer(l);
    }
}

static void drain_peer(struct peer *p)
{
    if (p->session) {
        session_drain(p->session);
    } else {
        p->is_broken = true;
    }
}

static void on_deadline(void *arg)
{
    struct lane *l = (struct lane *)arg;

    log_warn("lane", "drain_ends", "lane=%u unreported=%zu", l->o.number, publisher_unreported(l->publisher));
    l->stopping = true;
}

static void on_drain(struct note *n, void *arg)
{
    struct lane *l = (struct lane *)arg;

    (void)n;
    if (!l->draining) {
        l->draining = true;
        listener_stop(l);
        each_peer(l, drain_peer);
        if (loop_timer_set(l->loop, &l->drain_timer, atomic_load(&l->drain_deadline_us), on_deadline, l) != 0) {
            l->stopping = true;
        }
    }
}

static void on_stop(struct note *n, void *arg)
{
    (void)n;
    ((struct lane *)arg)->stopping = true;
}

static void on_beat(void *arg)
{
    struct lane *l = (struct lane *)arg;

    atomic_fetch_add(&l->beats, 1);
    if (loop_timer_after(l->loop, &l->beat_timer, BEAT_US, on_beat, l) != 0) {
        log_error("lane", "no_timer", "lane=%u", l->o.number);
    }
}

/* --- the thread --------------------------------------------------------------------------------------- */

static void close_all(struct lane *l)
{
    struct peer *p;
    size_t at = 0;

    listener_stop(l);
    while ((p = (struct peer *)hashmap_next(&l->peers, &at)) != NULL) {
        p->is_broken = true;
        lane_put(&l->dirty, p);
    }
    while (l->dirty.first) {
        settle_dirty(l);
    }
    publisher_close(l->publisher); /* reports all that was not: so every peer can go */
    l->publisher = NULL;
    while (l->dirty.first) {
        settle_dirty(l);
    }
}

static void *run(void *arg)
{
    struct lane *l = (struct lane *)arg;
    struct pofr_err err;

    on_beat(l);
    while (!l->stopping && !(l->draining && l->peers.count == 0)) {
        if (loop_once(l->loop, l->dirty.first ? 0 : -1, &err) != 0) {
            log_error("lane", "loop", "lane=%u error=\"%s\"", l->o.number, err.text);
            break;
        }
        settle_dirty(l);
        lane_progressed(l); /* memory comes free without a word of Kafka, too */
    }
    close_all(l);
    atomic_store(&l->done, true);
    return NULL;
}

/* --- making and ending -------------------------------------------------------------------------------- */

int lane_library_open(struct pofr_err *err)
{
    if (ssh_init() != SSH_OK || packet_limit_open() != 0) {
        return pofr_err_set(err, POFR_ESYSTEM, "libssh can't be set up");
    }
    ssh_set_log_level(SSH_LOG_NONE); /* it would log for all sessions, on stderr */
    return 0;
}

void lane_library_close(void)
{
    (void)ssh_finalize(); /* at the end of the process */
}

const char *lane_library_version(void)
{
    return ssh_version(0);
}

static int make_bind(struct lane *l, struct pofr_err *err)
{
    static const char ciphers[] =
        "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes256-ctr,aes128-ctr";
    static const char macs[] = "hmac-sha2-256-etm@openssh.com,hmac-sha2-256";
    const struct {
        enum ssh_bind_options_e option;
        const char *value;
    } options[] = {
        { SSH_BIND_OPTIONS_BANNER, "pofr" },
        { SSH_BIND_OPTIONS_KEY_EXCHANGE, "curve25519-sha256,curve25519-sha256@libssh.org" },
        { SSH_BIND_OPTIONS_HOSTKEY_ALGORITHMS, "ssh-ed25519" },
        { SSH_BIND_OPTIONS_PUBKEY_ACCEPTED_KEY_TYPES, "ssh-ed25519" },
        { SSH_BIND_OPTIONS_CIPHERS_C_S, ciphers },
        { SSH_BIND_OPTIONS_CIPHERS_S_C, ciphers },
        { SSH_BIND_OPTIONS_HMAC_C_S, macs },
        { SSH_BIND_OPTIONS_HMAC_S_C, macs },
    };
    struct buf text = BUF_INIT(16384);
    ssh_key key = NULL;
    bool no = false;
    size_t i;
    int rc = 0;

    l->bind = ssh_bind_new();
    buf_append(&text, l->o.host_key);
    if (!l->bind || !buf_cstr(&text) || ssh_bind_options_set(l->bind, SSH_BIND_OPTIONS_PROCESS_CONFIG, &no) != SSH_OK ||
        ssh_pki_import_privkey_base64(buf_cstr(&text), NULL, NULL, NULL, &key) != SSH_OK ||
        ssh_bind_options_set(l->bind, SSH_BIND_OPTIONS_IMPORT_KEY, key) != SSH_OK) { /* takes the key */
        rc = pofr_err_set(err, POFR_ECONFIG, "libssh does not take the host key");
    }
    for (i = 0; i < pofr_countof(options) && rc == 0; i++) {
        if (ssh_bind_options_set(l->bind, options[i].option, options[i].value) != SSH_OK) {
            rc = pofr_err_set(err, POFR_ECONFIG, "libssh: %s: %s", options[i].value, ssh_get_error(l->bind));
        }
    }
    if (text.data) {
        explicit_bzero(text.data, text.cap);
    }
    buf_free(&text);
    return rc;
}

static void make_env(struct lane *l)
{
    l->memory.max = l->o.memory;
    l->env.limits = limits_values(l->o.limits);
    l->env.keys = l->o.keys;
    l->env.wanted = l->o.wanted;
    l->env.reports = l->o.reports;
    l->env.stats = l->o.stats;
    l->env.gateway = l->o.gateway;
    l->env.memory = &l->memory;
    l->env.ops = &peer_ops;
    peers_init(&l->dirty, PEER_DIRTY);
    peers_init(&l->blocked, PEER_BLOCKED);
    hashmap_init(&l->peers, PEERS_MAX, 0);
    l->keys_note.deliver = on_keys;
    l->drain_note.deliver = on_drain;
    l->stop_note.deliver = on_stop;
}

int lane_open(const struct lane_options *o, struct lane **out, struct pofr_err *err)
{
    struct lane *l = (struct lane *)calloc(1, sizeof(*l));
    struct publisher_options po;
    int rc;

    if (!l) {
        return pofr_err_set(err, POFR_ENOMEM, "lane: out of memory");
    }
    l->o = *o;
    make_env(l);
    memset(&po, 0, sizeof(po));
    po.brokers = o->brokers;
    po.access = o->access;
    po.topic = o->topic;
    po.gateway = o->gateway;
    po.queue_bytes = o->memory;
    po.stats = o->stats;
    po.reported = on_reported;
    po.progressed = on_progressed;
    po.arg = l;
    rc = make_bind(l, err);
    if (rc == 0) {
        rc = loop_new(&l->loop, err);
    }
    if (rc == 0) {
        rc = mailbox_open(l->loop, l, &l->mailbox, err);
    }
    if (rc == 0) {
        po.loop = l->loop;
        rc = publisher_open(&po, &l->publisher, err);
    }
    if (rc != 0) {
        lane_close(l);
        return rc;
    }
    *out = l;
    return 0;
}

int lane_start(struct lane *l, struct pofr_err *err)
{
    int rc = listener_start(l, err);

    if (rc == 0) {
        errno = pthread_create(&l->thread, NULL, run, l);
        rc = errno != 0 ? pofr_err_sys(err, POFR_ESYSTEM, "a lane's thread") : 0;
        l->started = rc == 0;
    }
    return rc;
}

void lane_keys_changed(struct lane *l)
{
    mailbox_post(l->mailbox, &l->keys_note);
}

void lane_drain(struct lane *l, int64_t deadline_us)
{
    atomic_store(&l->drain_deadline_us, deadline_us);
    mailbox_post(l->mailbox, &l->drain_note);
}

void lane_stop(struct lane *l)
{
    mailbox_post(l->mailbox, &l->stop_note);
}

bool lane_is_done(const struct lane *l)
{
    return atomic_load(&l->done);
}

uint64_t lane_beats(const struct lane *l)
{
    return atomic_load(&l->beats);
}

void lane_join(struct lane *l)
{
    if (l->started) {
        (void)pthread_join(l->thread, NULL); /* it ends by itself */
        l->started = false;
    }
}

void lane_close(struct lane *l)
{
    if (!l) {
        return;
    }
    lane_join(l);
    listener_stop(l);
    publisher_close(l->publisher);
    mailbox_close(l->mailbox);
    loop_free(l->loop);
    if (l->bind) {
        ssh_bind_free(l->bind);
    }
    hashmap_free(&l->peers);
    free(l);
}
