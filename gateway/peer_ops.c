/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/lane_parts.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/os/clock.h"
#include "common/os/log.h"
#include "gateway/auth.h"

/* --- the host ----------------------------------------------------------------------------------------- */

/* News of a claim: it holds now, or a newer session is there. */
static void on_claim(struct note *n, void *arg)
{
    struct host_claim *c = pofr_container_of(n, struct host_claim, note);
    struct peer *p = pofr_container_of(c, struct peer, claim);
    bool superseded = false;
    enum host_claim_state state;

    (void)arg;
    state = hosts_news(p->lane->o.hosts, c, &superseded);
    if (superseded) {
        session_end(p->session, END_SUPERSEDED);
    } else if (state == CLAIM_HOLDS) {
        session_claimed(p->session);
    }
    lane_put(&p->lane->dirty, p);
}

void peer_claim_init(struct peer *p)
{
    p->claim.mailbox = p->lane->mailbox;
    p->claim.note.deliver = on_claim;
}

static int claim(void *peer)
{
    struct peer *p = (struct peer *)peer;
    enum host_claim_state state;
    int rc;

    p->claim.host = session_who(p->session)->host;
    rc = hosts_claim(p->lane->o.hosts, &p->claim, &state);
    if (rc == 0 && state == CLAIM_HOLDS) {
        mailbox_post(p->lane->mailbox, &p->claim.note); /* session_claimed() may not be called in here */
    }
    return rc;
}

/* --- the catalog -------------------------------------------------------------------------------------- */

static void take_lookup(struct peer *p, const struct ask *a)
{
    struct session_identity who;

    if (a->found == LOOKUP_UNAVAILABLE) {
        session_judged(p->session, NULL);
        return;
    }
    auth_judge_again(p->lane->o.keys, session_who(p->session), clock_wall_us(), &who);
    if (who.role == SESSION_HOST) {
        peer_set_known(p);
    }
    p->who = who;
    session_judged(p->session, &who);
}

static void on_answer(struct note *n, void *arg)
{
    struct ask *a = pofr_container_of(n, struct ask, note);
    struct lane *l = (struct lane *)arg;
    struct peer *p = peer_find(l, a->session);
    struct message reply;

    if (p && p->session) {
        if (a->kind == ASK_KEY) {
            take_lookup(p, a);
        } else {
            enrol_answer(&a->result, &reply);
            session_enrolled(p->session, &reply);
            log_info("enrol", "answered", "peer=%s answer=%s", p->text,
                     reply.type == MESSAGE_ENROLLED ? "enrolled" : message_refuse_name(reply.refuse.code));
        }
        lane_put(&l->dirty, p);
    }
    free(a);
}

static struct ask *ask_new(struct peer *p, enum ask_kind kind)
{
    struct ask *a = (struct ask *)calloc(1, sizeof(*a));

    if (a) {
        a->note.deliver = on_answer;
        a->mailbox = p->lane->mailbox;
        a->session = p->number;
        a->kind = kind;
    }
    return a;
}

static int ask(struct peer *p, struct ask *a)
{
    int rc = catalog_ask(p->lane->o.catalog, a);

    if (rc != 0) {
        free(a);
    }
    return rc;
}

static int lookup(void *peer)
{
    struct peer *p = (struct peer *)peer;
    struct ask *a = ask_new(p, ASK_KEY);

    if (!a) {
        return POFR_ENOMEM;
    }
    memcpy(a->key, session_who(p->session)->key, sizeof(a->key));
    return ask(p, a);
}

static int enrol(void *peer, const struct message *m)
{
    struct peer *p = (struct peer *)peer;
    struct ask *a = ask_new(p, ASK_ENROL);
    int rc;

    if (!a) {
        return POFR_ENOMEM;
    }
    rc = enrol_facts_of(m, p->text, &a->facts);
    if (rc == POFR_EFORMAT) { /* no token: answered without the catalog */
        a->result.what = ENROLMENT_MALFORMED;
        stat_add_by(p->lane->o.stats, STAT_gateway_enrolments, ENROLMENT_MALFORMED, 1);
        mailbox_post(p->lane->mailbox, &a->note);
        return 0;
    }
    if (rc != 0) {
        free(a);
        return rc;
    }
    return ask(p, a);
}

/* --- Kafka -------------------------------------------------------------------------------------------- */

static int publish(void *peer, struct flight *f)
{
    struct peer *p = (struct peer *)peer;
    const struct session_identity *who = session_who(p->session);
    const struct session_hello *hello = session_hello_of(p->session);
    struct publish_message m;

    memset(&m, 0, sizeof(m));
    m.host = &who->host;
    m.slot = who->slot;
    m.block = f->block;
    m.received_wall_us = clock_wall_us();
    m.peer = p->text;
    m.boot = &hello->boot;
    m.with_offset = uuid_eq(&f->boot, &hello->boot);
    m.offset_us = hello->offset_us;
    m.uncertainty_us = hello->uncertainty_us;
    m.doubt = f->doubt;
    m.opaque = f;
    return publisher_send(p->lane->publisher, &m);
}

const struct session_ops peer_ops = { .claim = claim, .lookup = lookup, .enrol = enrol, .publish = publish };
