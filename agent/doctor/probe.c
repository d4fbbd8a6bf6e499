/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/doctor/probe.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "agent/ship/compose.h"
#include "agent/ship/link.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/os/fsio.h"
#include "common/os/log.h"
#include "common/os/loop.h"

#define ANSWER_US INT64_C(20000000) /* the gateway may have to ask the catalog first */

struct attempt {
    const struct probe *probe;
    struct loop *loop;
    struct link *link;
    struct loop_timer deadline;
    struct collector_state hello;
    struct probe_answer *answer;
    bool asked_to_sign, greeted, over;
    int rc;
    struct pofr_err err;
};

static void end(struct attempt *a, int rc)
{
    if (a->link) {
        snprintf(a->answer->peer, sizeof(a->answer->peer), "%s", link_peer(a->link));
        link_close(a->link);
        a->link = NULL;
    }
    a->rc = rc;
    a->over = true;
    loop_stop(a->loop);
}

/* The gateway has said that it takes this key, if we sign. */
static int sign(void *arg, struct slice blob, uint8_t out_signature[64])
{
    struct attempt *a = arg;

    a->asked_to_sign = true;
    return a->probe->key ? sshkey_sign_raw(a->probe->key, blob, out_signature) : POFR_ECLOSED;
}

static void closed(void *arg, int rc, const struct pofr_err *err)
{
    struct attempt *a = arg;

    if (a->over) {
        return;
    }
    snprintf(a->answer->peer, sizeof(a->answer->peer), "%s", link_peer(a->link));
    a->link = NULL; /* it is no more after this */
    a->err = *err;
    end(a, a->asked_to_sign && !a->probe->key ? 0 : rc);
}

static void opened(void *arg)
{
    struct attempt *a = arg;

    if (!a->asked_to_sign) { /* it is not what we take it for */
        end(a, pofr_err_set(&a->err, POFR_EFORMAT, "the gateway let us in without a login"));
    }
}

static void room(void *arg)
{
    struct attempt *a = arg;
    int rc;

    if (a->greeted || a->over) {
        return;
    }
    a->greeted = true;
    rc = compose_hello(a->link, &a->hello);
    if (rc != 0) {
        end(a, pofr_err_set(&a->err, rc, "HELLO: %s", pofr_err_text(rc)));
    }
}

static void take_refuse(struct attempt *a, const struct message *m)
{
    bool later = m->refuse.code == MESSAGE_REFUSE_BUSY || m->refuse.code == MESSAGE_REFUSE_UNAVAILABLE;
    char reason[160];

    log_escape(m->refuse.reason, reason, sizeof(reason));
    a->answer->refused = true;
    a->answer->code = m->refuse.code;
    end(a, pofr_err_set(&a->err, later ? POFR_EBUSY : POFR_EREFUSED, "the gateway refuses: %s%s%s",
                        message_refuse_name(m->refuse.code), reason[0] ? ": " : "", reason));
}

static void message(void *arg, const struct message *m)
{
    struct attempt *a = arg;

    if (a->over) {
        return;
    }
    if (m->type == MESSAGE_WELCOME) {
        end(a, 0);
    } else if (m->type == MESSAGE_REFUSE) {
        take_refuse(a, m);
    } else if (m->type != MESSAGE_PING && (unsigned)m->type < MESSAGE_IGNORABLE) {
        end(a, pofr_err_set(&a->err, POFR_EFORMAT, "the gateway said something else than WELCOME or REFUSE"));
    }
}

static void overdue(void *arg)
{
    struct attempt *a = arg;

    end(a, pofr_err_set(&a->err, POFR_ETIMEOUT, "no answer to HELLO in time"));
}

static int read_boot(struct uuid *out, struct pofr_err *err)
{
    struct buf text = BUF_INIT(256);
    int rc = fsio_read("/proc/sys/kernel/random/boot_id", &text, err);

    if (rc == 0 && uuid_parse(slice_trim(buf_slice(&text)), out) != 0) {
        rc = pofr_err_set(err, POFR_EFORMAT, "the kernel's boot_id is not to be understood");
    }
    buf_free(&text);
    return rc;
}

static int try(struct attempt *a, const struct link_options *options, struct pofr_err *err)
{
    const struct link_handlers handlers = { opened, message, room, NULL, closed, sign, a };
    int rc = link_new(a->loop, options, &handlers, &a->link, err);

    if (rc == 0) {
        rc = loop_timer_after(a->loop, &a->deadline, 2 * a->probe->connect_us + ANSWER_US, overdue, a);
        if (rc != 0) {
            (void)pofr_err_set(err, rc, "no memory for a timer");
        }
    }
    if (rc == 0) {
        rc = loop_run(a->loop, err);
    }
    if (rc == 0 && a->rc != 0) {
        rc = a->rc;
        *err = a->err;
        err->code = rc;
    }
    loop_timer_cancel(a->loop, &a->deadline);
    link_close(a->link);
    return rc;
}

int probe_gateway(const struct probe *probe, struct probe_answer *out, struct pofr_err *err)
{
    struct attempt a = { .probe = probe, .answer = out };
    struct link_options options = { .gateway = probe->gateway,
                                    .connect_us = probe->connect_us,
                                    .handshake_us = probe->connect_us };
    int rc;

    memset(out, 0, sizeof(*out));
    a.hello.host = probe->host;
    rc = read_boot(&a.hello.boot, err);
    if (rc == 0) {
        rc = loop_new(&a.loop, err);
    }
    if (rc != 0) {
        return rc;
    }
    uuid_format(&probe->host, options.user);
    memcpy(options.public_key, probe->key ? sshkey_public(probe->key) : probe->public_key, 32);
    options.pins = probe->pins;
    rc = try(&a, &options, err);
    loop_free(a.loop);
    return rc;
}

bool probe_is_ended(const struct probe_answer *answer)
{
    return answer->refused && answer->code == MESSAGE_REFUSE_REVOKED;
}
