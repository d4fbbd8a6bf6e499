/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a peer that has logged in can do to a session: bytes in any pieces, mixed with all that can happen around it
 * (Kafka's reports, claims, the catalog's answers, time, the gateway's end). The input is a list of steps: a byte
 * that says which, then what it needs. Whatever comes, every message that goes out can be read, each bundle has one
 * answer at most, and all memory is given back.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cursor.h"
#include "common/base/err.h"
#include "common/os/clock.h"
#include "tests/support/fake_clock.h"
#include "tests/support/session_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rig *r;

static void must(int ok)
{
    if (!ok) {
        abort();
    }
}

/* Also a check: a message that the session made can be read. */
static void read_answers(uint64_t *last_answer)
{
    struct message m;

    while (rig_next(r, &m)) {
        if (m.type == MESSAGE_ACK || (m.type == MESSAGE_REFUSE && m.refuse.sequence != 0)) {
            uint64_t n = m.type == MESSAGE_ACK ? m.ack.sequence : m.refuse.sequence;

            must(n > *last_answer);
            *last_answer = n;
        }
    }
}

static void judge(uint8_t how)
{
    struct session_identity who = *session_who(r->session);

    who.role = how % 4 == 0 ? SESSION_REFUSED : SESSION_HOST;
    session_judged(r->session, how % 4 == 1 ? NULL : &who);
}

static void step(struct cursor *c, uint64_t *last_answer)
{
    struct message reply = { .type = MESSAGE_ENROLLED };
    struct session_identity who = *session_who(r->session);
    struct slice bytes;

    switch (cursor_u8(c) % 16) {
    case 0:
    case 1:
    case 2: /* bytes */
        bytes = cursor_bytes(c, cursor_u8(c));
        must(rig_feed(r, bytes) <= bytes.len);
        break;
    case 3:
        (void)rig_put_hello(r);
        break;
    case 4:
        session_claimed(r->session);
        break;
    case 5:
        judge(cursor_u8(c));
        break;
    case 6:
    case 7: /* a bundle with a good signature, which no fuzzer finds */
        (void)rig_put_bundle(r, 1 + (uint64_t)cursor_u8(c));
        break;
    case 8:
    case 9:
        if (r->published_count > 0) {
            uint8_t b = cursor_u8(c);

            rig_report(r, (b >> 1) % r->published_count, (b & 1) == 0);
        }
        break;
    case 10:
        fake_clock_advance((int64_t)cursor_u8(c) * CLOCK_US_PER_S);
        must(session_tick(r->session, clock_mono_us()) > 0);
        break;
    case 11:
        r->publish_code = cursor_u8(c) % 2 ? POFR_EFULL : 0;
        (void)session_retry(r->session);
        break;
    case 12:
        r->memory.max = cursor_u8(c) * 64u;
        (void)session_retry(r->session);
        break;
    case 13:
        session_enrolled(r->session, &reply);
        break;
    case 14:
        who.role = cursor_u8(c) % 2 ? SESSION_REFUSED : SESSION_HOST;
        session_rejudge(r->session, &who);
        break;
    default:
        if (cursor_u8(c) % 8 == 0) {
            session_drain(r->session);
        }
        read_answers(last_answer);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rig rig;
    struct cursor c = cursor_of(slice_of(data, size));
    uint64_t last_answer = 0;

    if (!r) {
        r = &rig;
        rig_init(r);
    }
    fake_clock_reset();
    r->publish_code = 0;
    r->memory.max = 1u << 20;
    memset(r->last_digest, 0, sizeof(r->last_digest));
    rig_open(r, (enum session_role)(cursor_u8(&c) % 4));
    while (cursor_left(&c) > 0 && c.err == 0) {
        step(&c, &last_answer);
    }
    read_answers(&last_answer);
    rig_close(r);
    must(r->memory.used == 0);
    return 0;
}
