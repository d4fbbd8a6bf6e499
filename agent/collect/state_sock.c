/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sockets: one interval per socket and owner. A look delivers each socket once, without owners; these are whoever
 * has its inode in a file of sockfs. A new socket whose holder no look has shown yet waits one tick for it.
 */
#include "agent/collect/state_impl.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/siphash.h"

struct sock_key {
    uint64_t netns, cookie;
    uint32_t kind;
};

static bool sock_eq(const void *value, const void *key)
{
    const struct sock *k = value;
    const struct sock_key *want = key;

    return k->netns == want->netns && k->cookie == want->cookie && k->cookie_kind == want->kind;
}

static uint64_t key_hash(const struct state *s, const struct sock_key *key)
{
    uint64_t bytes[3] = { key->netns, key->cookie, key->kind };

    return siphash24(s->conf.string_key, slice_of(bytes, sizeof(bytes)));
}

static struct sock *sock_find(const struct state *s, uint64_t netns, uint64_t cookie, uint64_t kind)
{
    struct sock_key key = { netns, cookie, (uint32_t)kind };

    return hashmap_get(&s->socks, key_hash(s, &key), sock_eq, &key);
}

static void sock_unlink(struct state *s, const struct sock *k)
{
    struct sock_key key = { k->netns, k->cookie, k->cookie_kind };

    (void)hashmap_remove(&s->socks, key_hash(s, &key), sock_eq, &key);
}

void sock_free(struct state *s, struct sock *k)
{
    strpool_drop(&s->strings, k->local_address);
    strpool_drop(&s->strings, k->remote_address);
    for (uint32_t i = 0; i < k->owners_len; i++) {
        strpool_drop(&s->strings, k->owners[i].command);
    }
    free(k->owners);
    free(k);
}

void sock_record(const struct sock *k, const struct sock_owner *o, struct record *out, unsigned verb)
{
    memset(out, 0, sizeof(*out));
    out->kind = REC_KIND(REC_SOCKET, verb);
    out->entity = REC_SOCKET;
    out->verb = (uint8_t)verb;
    out->socket = (struct rec_socket){
        .iv = { .first_seen = o->first_seen, .start_unseen = o->start_unseen },
        .netns = k->netns,
        .cookie = k->cookie,
        .cookie_kind = k->cookie_kind,
        .pid = o->id.pid,
        .start_jiffies = o->id.jiffies,
        .start_number = o->id.number,
        .family = k->family,
        .protocol = k->protocol,
        .type = k->type,
        .local_address = str_slice(k->local_address),
        .local_port = k->local_port,
        .remote_address = str_slice(k->remote_address),
        .remote_port = k->remote_port,
        .uid = k->uid,
        .inode = o->inode,
        .interface = k->interface,
        .command = str_slice(o->command),
        .peer_inode = o->peer_inode,
        .state = k->state,
        .bytes_known = k->bytes_known,
        .bytes_sent = k->bytes_sent,
        .bytes_received = k->bytes_received,
    };
}

static void own_start(struct state *s, struct sock *k, struct sock_owner *o, uint64_t at_us)
{
    struct record r;

    o->first_seen = at_us;
    o->inode = k->inode;
    o->peer_inode = k->peer_inode;
    o->start_unseen = k->start_unseen;
    sock_record(k, o, &r, REC_START);
    o->hash = rec_hash(&r, s->conf.hash_key, &s->scratch);
    state_opened(s, STATE_SOCKETS, o->hash);
    state_emit(s, &r);
}

static void own_end(struct state *s, struct sock *k, struct sock_owner *o, uint64_t at_us, uint64_t last_seen,
                    uint64_t source)
{
    struct record r;

    sock_record(k, o, &r, REC_END);
    r.iv.ended = at_us > o->first_seen ? at_us : o->first_seen + 1;
    r.iv.last_seen = last_seen < o->first_seen ? o->first_seen : last_seen;
    if (r.iv.last_seen > r.iv.ended) {
        r.iv.last_seen = r.iv.ended;
    }
    r.iv.end_source = source;
    r.iv.hash = o->hash;
    state_closed(s, STATE_SOCKETS, o->hash);
    state_emit(s, &r);
}

/*
 * What waited for its holder is said to have begun behind the look before the one that tells it, as all is that a START tells
 * (docs/RECORD.md): what a look shows is what was told up to then.
 */
static uint64_t told_from(const struct state *s, const struct sock *k)
{
    return k->first_us > s->t_before ? k->first_us : s->t_before + 1;
}

/* The socket is over. One that nobody was told of is told now, without an owner. */
static void sock_finish(struct state *s, struct sock *k, uint64_t at_us, uint64_t last_seen, uint64_t source)
{
    struct sock_owner nobody = { 0 };

    if (k->owners_len == 0) {
        own_start(s, k, &nobody, told_from(s, k) < at_us ? told_from(s, k) : at_us - 1);
        own_end(s, k, &nobody, at_us, last_seen, source);
    }
    for (uint32_t i = 0; i < k->owners_len; i++) {
        own_end(s, k, &k->owners[i], at_us, last_seen, source);
    }
    sock_free(s, k);
}

static struct sock *sock_make(struct state *s, const struct rec_socket *r)
{
    struct sock_key key = { r->netns, r->cookie, (uint32_t)r->cookie_kind };
    struct sock *k = calloc(1, sizeof(*k));
    int rc = k != NULL ? hashmap_insert(&s->socks, key_hash(s, &key), k) : POFR_ENOMEM;

    if (rc != 0) {
        state_fail(s, rc);
        free(k);
        return NULL;
    }
    k->netns = key.netns;
    k->cookie = key.cookie;
    k->cookie_kind = key.kind;
    return k;
}

static void sock_take(struct state *s, struct sock *k, const struct rec_socket *r)
{
    k->family = (uint32_t)r->family;
    k->protocol = (uint32_t)r->protocol;
    k->type = (uint32_t)r->type;
    k->local_port = (uint32_t)r->local_port;
    k->remote_port = (uint32_t)r->remote_port;
    k->uid = (uint32_t)r->uid;
    k->interface = (uint32_t)r->interface;
    strpool_replace(&s->strings, &k->local_address, strpool_get(&s->strings, r->local_address));
    strpool_replace(&s->strings, &k->remote_address, strpool_get(&s->strings, r->remote_address));
    if (s->strings.err != 0) {
        state_fail(s, s->strings.err);
    }
}

static bool sock_same(const struct sock *k, const struct rec_socket *r)
{
    return k->family == r->family && k->protocol == r->protocol && k->type == r->type &&
           k->local_port == r->local_port && k->remote_port == r->remote_port && k->uid == r->uid &&
           k->interface == r->interface && slice_eq(str_slice(k->local_address), r->local_address) &&
           slice_eq(str_slice(k->remote_address), r->remote_address);
}

static void sock_volatile(struct sock *k, const struct rec_socket *r)
{
    k->state = (uint32_t)r->state;
    if (r->bytes_known) {
        k->bytes_known = 1;
        k->bytes_sent = r->bytes_sent;
        k->bytes_received = r->bytes_received;
    }
}

static void on_socket(void *ctx, const struct rec_socket *r)
{
    struct state *s = ctx;
    struct sock *k = sock_find(s, r->netns, r->cookie, r->cookie_kind);

    if (k == NULL) {
        k = sock_make(s, r);
        if (k == NULL) {
            return;
        }
        sock_take(s, k, r);
        k->first_us = s->t;
        k->fresh = 1;
        k->inode = r->inode;
        k->start_unseen = s->sock_first;
        s->socks_fresh = true;
    } else if (k->look == s->t) {
        return;                    /* the same twice in one look */
    } else if (!sock_same(k, r)) { /* its intervals end; resolve() begins new ones, for those who hold it now */
        for (uint32_t i = 0; i < k->owners_len; i++) {
            own_end(s, k, &k->owners[i], s->t, k->last_seen, REC_END_CHANGE);
            strpool_drop(&s->strings, k->owners[i].command);
        }
        if (k->owners_len > 0) {
            k->owners_len = 0;
            k->first_us = s->t;
            k->start_unseen = 0;
        }
        sock_take(s, k, r);
        k->inode = r->inode;
        k->fresh = 1;
        s->socks_fresh = true;
    }
    if (k->inode != r->inode) {
        k->inode = r->inode;
        s->owners_dirty = true;
    }
    k->peer_inode = r->peer_inode;
    sock_volatile(k, r);
    k->look = s->t;
}

/* Takes out of the map, and into s->order, all that pick names. */
struct pick {
    struct state *s;
    const struct look_netns_result *result; /* of netns */
    size_t namespaces;
};

static void pick_out(struct pick *p, struct sock *k)
{
    struct sock **at = vec_more(p->s, &p->s->order, 1, sizeof(struct sock *));

    if (at != NULL) {
        *at = k;
        p->s->order.len++;
    }
}

static bool keep_shown(void *value, void *arg)
{
    struct pick *p = arg;
    struct sock *k = value;
    uint32_t family;

    if (k->netns != p->result->inode) {
        return true;
    }
    if (k->look == p->s->t) {
        k->last_seen = p->s->t;
        k->missed = 0;
        return true;
    }
    family = 1u << look_sock_family(k->family, k->protocol, k->type);
    if (!(p->result->whole & family)) {
        return true;
    }
    if (p->result->texts & family && !k->missed) {
        k->missed = 1;
        return true;
    }
    pick_out(p, k);
    return false;
}

static bool keep_inhabited(void *value, void *arg)
{
    struct pick *p = arg;
    struct sock *k = value;
    const struct look_netns *list = p->s->netns.data;
    size_t low = 0, high = p->namespaces;

    while (low < high) { /* ascending, and there may be thousands */
        size_t middle = low + (high - low) / 2;

        if (list[middle].inode < k->netns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low < p->namespaces && list[low].inode == k->netns) {
        return true;
    }
    if (k->look == p->s->t) {
        return true; /* looked at just now */
    }
    pick_out(p, k);
    return false;
}

static void finish_picked(struct state *s)
{
    struct sock **list = s->order.data;

    for (size_t i = 0; i < s->order.len; i++) {
        sock_finish(s, list[i], s->t, list[i]->last_seen, REC_END_GONE);
    }
    s->order.len = 0;
}

static void on_netns_end(void *ctx, const struct look_netns_result *result)
{
    struct state *s = ctx;
    struct pick p = { .s = s, .result = result };

    s->order.len = 0;
    (void)hashmap_retain(&s->socks, keep_shown, &p);
    finish_picked(s);
}

const struct look_sock_sink state_sock_sink = { .socket = on_socket, .netns_end = on_netns_end };

void state_socket_destroyed(struct state *s, const struct rec_socket *r, uint64_t at_us)
{
    struct sock *k = sock_find(s, r->netns, r->cookie, r->cookie_kind);
    uint64_t began = 0, at;

    if (k == NULL) { /* it began and ended between two looks */
        k = sock_make(s, r);
        if (k == NULL) {
            return;
        }
        sock_take(s, k, r);
        k->first_us = event_moment(s, at_us, 0) - 1;
    }
    sock_volatile(k, r);
    sock_unlink(s, k);
    for (uint32_t i = 0; i < k->owners_len; i++) {
        began = k->owners[i].first_seen > began ? k->owners[i].first_seen : began;
    }
    at = event_moment(s, at_us, began);
    sock_finish(s, k, at, at, REC_END_CLOSE);
}

/* --- owners --------------------------------------------------------------------------------------------- */

static int owner_ref_cmp(const void *a, const void *b)
{
    const struct owner_ref *x = a, *y = b;

    if (x->inode != y->inode) {
        return x->inode < y->inode ? -1 : 1;
    }
    return ident_cmp(&x->p->id, &y->p->id);
}

/*
 * The name of a unix socket in a file system has the mode of a socket too, and a number that whoever makes the file
 * system can choose: only sockfs calls it so. (What has a place has a path with a slash.)
 */
static bool is_socket(const struct file *f)
{
    static const struct slice name = SLICE_LITERAL("socket:[");

    return f->kind == REC_FILE_SOCKET && slice_starts_with(str_slice(f->path), name);
}

static void index_holders(struct state *s)
{
    size_t at = 0;
    struct proc *p;

    s->owners.len = 0;
    while ((p = hashmap_next(&s->by_pid, &at)) != NULL) {
        for (uint32_t i = 0; p->told && i < p->files_len; i++) {
            struct owner_ref *ref;

            if (!is_socket(&p->files[i])) {
                continue;
            }
            ref = vec_more(s, &s->owners, 1, sizeof(*ref));
            if (ref == NULL) {
                return;
            }
            *ref = (struct owner_ref){ .inode = p->files[i].inode, .p = p };
            s->owners.len++;
        }
    }
    if (s->owners.len > 1) {
        qsort(s->owners.data, s->owners.len, sizeof(struct owner_ref), owner_ref_cmp);
    }
}

static size_t first_holder(const struct state *s, uint64_t inode)
{
    const struct owner_ref *list = s->owners.data;
    size_t low = 0, high = s->owners.len;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (list[middle].inode < inode) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static int gone_cmp(const void *a, const void *b)
{
    return ident_cmp(&((const struct gone *)a)->id, &((const struct gone *)b)->id);
}

static void owner_left(struct state *s, struct sock *k, struct sock_owner *o, bool taken_over)
{
    struct gone key = { .id = o->id };
    const struct gone *g =
        s->gone.len == 0 || o->id.pid == 0 ? NULL : bsearch(&key, s->gone.data, s->gone.len, sizeof(key), gone_cmp);

    if (g != NULL) {
        own_end(s, k, o, g->ended_us, g->ended_us, g->source);
    } else {
        own_end(s, k, o, s->t, s->t_before, taken_over ? REC_END_CHANGE : REC_END_GONE);
    }
    strpool_drop(&s->strings, o->command);
}

static struct sock_owner *owner_of(struct sock *k, const struct ident *id)
{
    for (uint32_t i = 0; i < k->owners_len; i++) {
        if (ident_eq(&k->owners[i].id, id)) {
            return &k->owners[i];
        }
    }
    return NULL;
}

/* Append to made: the interval that k has of this owner, or a new one (hash 0: to be told). */
static void owner_wanted(struct sock *k, const struct ident *id, struct str *command, struct sock_owner *made,
                         uint32_t *made_len)
{
    struct sock_owner *o = owner_of(k, id);

    if (o != NULL) {
        o->keep = 1;
        made[(*made_len)++] = *o;
        return;
    }
    made[(*made_len)++] = (struct sock_owner){ .id = *id, .command = strpool_ref(command), .keep = 2 };
}

static void resolve(struct state *s, struct sock *k)
{
    static const struct ident nobody;
    const struct owner_ref *refs = s->owners.data;
    size_t from = k->inode != 0 ? first_holder(s, k->inode) : s->owners.len;
    size_t to = from;
    struct sock_owner *made;
    uint32_t made_len = 0;

    while (to < s->owners.len && refs[to].inode == k->inode) {
        to++;
    }
    if (to == from && k->fresh && k->inode != 0 && k->first_us == s->t && !k->start_unseen) {
        return; /* its holder may have opened it after the look at processes */
    }
    k->fresh = 0;
    made = calloc(to - from + 1, sizeof(*made));
    if (made == NULL) {
        state_fail(s, POFR_ENOMEM);
        return;
    }
    for (size_t i = from; i < to; i++) {
        if (i == from || refs[i].p != refs[i - 1].p) {
            owner_wanted(k, &refs[i].p->id, refs[i].p->v.command, made, &made_len);
        }
    }
    if (made_len == 0) {
        owner_wanted(k, &nobody, NULL, made, &made_len);
    }
    for (uint32_t i = 0; i < k->owners_len; i++) {
        if (!k->owners[i].keep) {
            owner_left(s, k, &k->owners[i], k->owners[i].id.pid == 0);
        }
    }
    for (uint32_t i = 0; i < made_len; i++) {
        if (made[i].keep == 2) {
            own_start(s, k, &made[i], k->owners_len == 0 && k->first_us != 0 ? told_from(s, k) : s->t);
        }
        made[i].keep = 0;
    }
    k->start_unseen = 0;
    k->first_us = 0;
    free(k->owners);
    k->owners = made;
    k->owners_len = made_len;
}

void state_sockets_begin(struct state *s, bool first)
{
    s->sock_first = first;
}

void state_sockets_end(struct state *s)
{
    struct pick p = { .s = s };
    bool waiting = false;
    size_t at = 0;
    struct sock *k;

    if (s->look_complete) {
        (void)state_netns(s, &p.namespaces);
        s->order.len = 0;
        (void)hashmap_retain(&s->socks, keep_inhabited, &p);
        finish_picked(s);
    }
    if (s->owners_dirty) {
        index_holders(s);
        if (s->gone.len > 1) {
            qsort(s->gone.data, s->gone.len, sizeof(struct gone), gone_cmp);
        }
    }
    while ((s->owners_dirty || s->socks_fresh) && (k = hashmap_next(&s->socks, &at)) != NULL) {
        if (s->owners_dirty || k->fresh) {
            resolve(s, k);
        }
        waiting |= k->fresh;
    }
    s->owners_dirty = false;
    s->socks_fresh = waiting;
}

int sock_restore(struct state *s, const struct rec_socket *r)
{
    struct sock *k = sock_find(s, r->netns, r->cookie, r->cookie_kind);
    struct sock_owner *owners;
    struct record full = { .kind = REC_KIND(REC_SOCKET, REC_SIGHT), .entity = REC_SOCKET, .verb = REC_SIGHT };

    if (k == NULL) {
        k = sock_make(s, r);
        if (k == NULL) {
            return s->err;
        }
        sock_take(s, k, r);
        k->inode = r->inode;
        k->peer_inode = r->peer_inode;
        sock_volatile(k, r);
    } else if (!sock_same(k, r)) {
        return 0; /* owners of one socket that differ in what it is: not ours to solve; the keyframe heals it */
    }
    owners = reallocarray(k->owners, k->owners_len + 1, sizeof(*owners));
    if (owners == NULL) {
        return POFR_ENOMEM;
    }
    k->owners = owners;
    full.socket = *r;
    owners[k->owners_len] = (struct sock_owner){
        .id = { .pid = (uint32_t)r->pid, .jiffies = r->start_jiffies, .number = (uint32_t)r->start_number },
        .first_seen = r->iv.first_seen,
        .hash = rec_hash(&full, s->conf.hash_key, &s->scratch),
        .inode = r->inode,
        .peer_inode = r->peer_inode,
        .command = strpool_get(&s->strings, r->command),
        .start_unseen = r->iv.start_unseen != 0,
    };
    state_opened(s, STATE_SOCKETS, owners[k->owners_len].hash);
    k->owners_len++;
    return 0;
}
