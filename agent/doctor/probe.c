/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/doctor/probe.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "agent/ship/link.h"
#include "common/base/err.h"
#include "common/os/loop.h"

struct attempt {
    struct loop *loop;
    struct link *link;
    char *peer;
    bool asked_to_sign;
    int rc;
    struct pofr_err err;
};

/* The gateway has said that it takes this key, if we sign. */
static int sign(void *arg, struct slice blob, uint8_t out_signature[64])
{
    struct attempt *a = arg;

    (void)blob;
    (void)out_signature;
    a->asked_to_sign = true;
    return POFR_ECLOSED;
}

static void closed(void *arg, int rc, const struct pofr_err *err)
{
    struct attempt *a = arg;

    snprintf(a->peer, 72, "%s", link_peer(a->link));
    a->link = NULL;
    a->rc = a->asked_to_sign ? 0 : rc;
    a->err = *err;
    loop_stop(a->loop);
}

static void opened(void *arg) /* without a signature: it is not what we take it for */
{
    struct attempt *a = arg;

    snprintf(a->peer, 72, "%s", link_peer(a->link));
    a->rc = pofr_err_set(&a->err, POFR_EFORMAT, "the gateway let us in without a login");
    link_close(a->link);
    a->link = NULL;
    loop_stop(a->loop);
}

static void message(void *arg, const struct message *m)
{
    (void)arg;
    (void)m;
}

static void room(void *arg)
{
    (void)arg;
}

int probe_gateway(const struct probe *probe, char peer[72], struct pofr_err *err)
{
    struct attempt a = { .peer = peer };
    const struct link_handlers handlers = { opened, message, room, NULL, closed, sign, &a };
    struct link_options options = { .gateway = probe->gateway,
                                    .connect_us = probe->connect_us,
                                    .handshake_us = probe->connect_us };
    int rc = loop_new(&a.loop, err);

    peer[0] = '\0';
    if (rc != 0) {
        return rc;
    }
    uuid_format(&probe->host, options.user);
    memcpy(options.public_key, probe->public_key, 32);
    memcpy(options.fingerprint, probe->fingerprint, 32);
    rc = link_new(a.loop, &options, &handlers, &a.link, err);
    if (rc == 0) {
        rc = loop_run(a.loop, err);
    }
    if (rc == 0 && a.rc != 0) {
        rc = a.rc;
        *err = a.err;
    }
    link_close(a.link);
    loop_free(a.loop);
    return rc;
}
