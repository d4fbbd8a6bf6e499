/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/ship/compose.h"

#include <inttypes.h>
#include <string.h>

#include "agent/ship/spool_read.h"
#include "common/base/err.h"
#include "common/os/clock.h"
#include "common/os/log.h"
#include "common/os/stop_point.h"

int compose_hello(struct link *link, const struct collector_state *c)
{
    struct message m = { .type = MESSAGE_HELLO };

    m.hello.version = MESSAGE_VERSION;
    m.hello.host = c->host;
    m.hello.boot = c->boot;
    memcpy(m.hello.run, c->run, sizeof(m.hello.run));
    m.hello.oldest = c->acked < c->newest ? c->acked + 1 : 0;
    m.hello.newest = c->newest;
    m.hello.agent_version = slice_str(COMPOSE_AGENT_VERSION);
    m.hello.boot_us = (uint64_t)clock_boot_us(); /* the last thing before it goes: the gateway measures by it */
    m.hello.wall_us = (uint64_t)clock_wall_us();
    return link_put(link, &m);
}

int compose_ping(struct link *link, enum message_type type, uint64_t token)
{
    struct message m = { .type = type };

    m.ping.token = token;
    return link_put(link, &m);
}

int compose_bundle(struct link *link, struct session *s, struct spool_read *spool, const struct session_turn *turn,
                   struct pofr_err *err)
{
    struct message m = { .type = MESSAGE_BUNDLE };
    struct spool_bundle b;
    int rc = spool_read_next(spool, turn->first, turn->last, &b, err);

    if (rc == POFR_ENOTFOUND) {
        log_warn("push", "spool_hole", "first=%" PRIu64 " last=%" PRIu64, turn->first, turn->last);
        session_none_there(s, turn);
        return 0;
    }
    if (rc == POFR_EFORMAT) {
        log_error("push", "spool_rotten", "sequence=%" PRIu64 " error=\"%s\"", b.sequence, err->text);
        session_bundle_unfit(s, b.sequence, b.digest, MESSAGE_REFUSE_STATEMENT, "rotten in the spool");
        return 0;
    }
    if (rc != 0) {
        return rc;
    }
    if (b.sequence > turn->first) {
        log_warn("push", "spool_hole", "first=%" PRIu64 " last=%" PRIu64, turn->first, b.sequence - 1);
    }
    if (b.block.len > s->bundle_max) {
        session_bundle_unfit(s, b.sequence, b.digest, MESSAGE_REFUSE_SIZE, "larger than what the gateway takes");
        return 0;
    }
    m.bundle.sequence = b.sequence;
    m.bundle.block = b.block;
    rc = link_put(link, &m);
    if (rc == 0) {
        session_bundle_sent(s, b.sequence, b.digest, b.block.len);
        STOP_POINT("push_bundle_sent");
    }
    return rc;
}
