/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/enrol/register.h"

#include <stdio.h>
#include <string.h>

#include "agent/ship/compose.h"
#include "agent/ship/link.h"
#include "common/base/err.h"
#include "common/os/log.h"
#include "common/os/loop.h"

struct enquiry {
    const struct register_request *request;
    struct loop *loop;
    struct link *link;
    struct loop_timer deadline;
    bool asked, over;
    struct enrolment answer;
    bool approved;
    int rc;
    struct pofr_err err;
};

static void end(struct enquiry *q, int rc)
{
    q->rc = rc;
    q->over = true;
    link_close(q->link);
    q->link = NULL;
    loop_stop(q->loop);
}

static int sign(void *arg, struct slice blob, uint8_t out_signature[64])
{
    struct enquiry *q = arg;

    return sshkey_sign_raw(q->request->key, blob, out_signature);
}

static void room(void *arg)
{
    struct enquiry *q = arg;
    const struct facts *f = q->request->facts;
    struct message m = { .type = MESSAGE_ENROL };
    int rc;

    if (q->asked) {
        return;
    }
    q->asked = true;
    m.enrol.version = MESSAGE_VERSION;
    m.enrol.token = slice_str(q->request->secret);
    m.enrol.public_key = slice_of(sshkey_public(q->request->key), 32);
    m.enrol.hostname = slice_str(f->hostname);
    m.enrol.machine_id = slice_str(f->machine_id);
    m.enrol.os = slice_str(f->os);
    m.enrol.kernel = slice_str(f->kernel);
    m.enrol.agent_version = slice_str(COMPOSE_AGENT_VERSION);
    rc = link_put(q->link, &m);
    if (rc != 0) {
        end(q, pofr_err_set(&q->err, rc, "ENROL: %s", pofr_err_text(rc)));
    }
}

static void opened(void *arg)
{
    (void)arg; /* room() follows */
}

static void take_refuse(struct enquiry *q, const struct message *m)
{
    bool no = m->refuse.final || m->refuse.code == MESSAGE_REFUSE_TOKEN || m->refuse.code == MESSAGE_REFUSE_REVOKED ||
              m->refuse.code == MESSAGE_REFUSE_PROTOCOL;
    char reason[160];

    log_escape(m->refuse.reason, reason, sizeof(reason));
    end(q, pofr_err_set(&q->err, no ? POFR_EREFUSED : POFR_EBUSY, "the gateway refuses: %s%s%s",
                        message_refuse_name(m->refuse.code), reason[0] ? ": " : "", reason));
}

static void message(void *arg, const struct message *m)
{
    struct enquiry *q = arg;

    switch (m->type) {
    case MESSAGE_ENROLLED:
        if (m->enrolled.version == 0 || uuid_is_zero(&m->enrolled.host)) {
            end(q, pofr_err_set(&q->err, POFR_EFORMAT, "the gateway's answer lacks something"));
            return;
        }
        q->answer.host = m->enrolled.host;
        enrolment_set_name(&q->answer, m->enrolled.name);
        q->approved = m->enrolled.approved;
        end(q, 0);
        return;
    case MESSAGE_REFUSE:
        take_refuse(q, m);
        return;
    default:
        if ((unsigned)m->type < MESSAGE_IGNORABLE) {
            end(q, pofr_err_set(&q->err, POFR_EFORMAT, "the gateway said something else than ENROLLED or REFUSE"));
        }
    }
}

static void closed(void *arg, int rc, const struct pofr_err *err)
{
    struct enquiry *q = arg;

    q->link = NULL;
    if (q->over) {
        return;
    }
    q->err = *err;
    /* A login that is refused says that the gateway is busy with strangers, or is none of ours: not that the token is bad. */
    end(q, rc == POFR_EREFUSED ? POFR_EBUSY : rc);
}

static void overdue(void *arg)
{
    struct enquiry *q = arg;

    end(q, pofr_err_set(&q->err, POFR_ETIMEOUT, "no answer in time"));
}

int register_host(const struct register_request *request, struct enrolment *out, bool *out_approved,
                  struct pofr_err *err)
{
    struct enquiry q = { .request = request };
    const struct link_handlers handlers = { opened, message, room, NULL, closed, sign, &q };
    struct link_options options = { .gateway = request->gateway,
                                    .connect_us = request->connect_us,
                                    .handshake_us = request->connect_us };
    int rc = loop_new(&q.loop, err);

    if (rc != 0) {
        return rc;
    }
    snprintf(options.user, sizeof(options.user), "%s", MESSAGE_ENROL_USER);
    memcpy(options.public_key, sshkey_public(request->key), 32);
    options.pins = request->pins;
    rc = link_new(q.loop, &options, &handlers, &q.link, err);
    if (rc == 0) {
        rc = loop_timer_after(q.loop, &q.deadline, 2 * request->connect_us + REGISTER_ANSWER_US, overdue, &q);
        if (rc != 0) {
            (void)pofr_err_set(err, rc, "no memory for a timer");
        }
    }
    if (rc == 0) {
        rc = loop_run(q.loop, err);
    }
    if (rc == 0 && q.rc != 0) {
        rc = q.rc;
        *err = q.err;
        err->code = rc;
    }
    loop_timer_cancel(q.loop, &q.deadline);
    link_close(q.link);
    loop_free(q.loop);
    if (rc == 0) {
        *out = q.answer;
        *out_approved = q.approved;
    }
    return rc;
}
