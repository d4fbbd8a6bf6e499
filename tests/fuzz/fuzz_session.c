/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A gateway that says anything at any time. What is under way stays bounded and in sequence, an outcome comes only for
 * what was sent, and the session comes to rest.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "agent/ship/session.h"
#include "common/base/err.h"
#include "common/record/limits.h"

#define BUNDLES 1000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void digest_of(uint64_t sequence, uint8_t out[32])
{
    memset(out, 0, 32);
    memcpy(out, &sequence, sizeof(sequence));
}

static void pump(struct session *s, int64_t now_us)
{
    struct session_outcome o;
    struct session_turn turn;
    uint8_t digest[32];

    for (int i = 0; i < 5000; i++) {
        while (session_outcome(s, &o)) {
            digest_of(o.sequence, digest);
            assert(memcmp(o.digest, digest, 32) == 0);
        }
        session_next(s, now_us, &turn);
        switch (turn.what) {
        case SESSION_NOTHING:
            return;
        case SESSION_SEND_HELLO:
            session_hello_sent(s, now_us);
            break;
        case SESSION_SEND_PING:
            session_ping_sent(s, now_us);
            break;
        case SESSION_SEND_PONG:
            session_pong_sent(s);
            break;
        case SESSION_SEND_BUNDLE:
            assert(turn.first <= turn.last);
            if (turn.first > BUNDLES) {
                session_none_there(s, &turn);
            } else {
                digest_of(turn.first, digest);
                session_bundle_sent(s, turn.first, digest, 10);
            }
            break;
        }
        assert(s->sent_len <= SESSION_WINDOW_MAX);
    }
    assert(0); /* it never came to rest */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct session s;
    const struct session_conf conf = { .window_bytes = 500 };
    struct slice rest = slice_of(data, size);
    struct message m;
    int64_t now_us = 1000000;
    size_t used = 0;

    session_init(&s, &conf, 10, BUNDLES, now_us);
    pump(&s, now_us);
    while (message_get(rest, MESSAGE_MAX, &m, &used) == 1) {
        struct pofr_err err = { 0 };

        rest = slice_sub(rest, used, SIZE_MAX);
        if (session_take(&s, &m, now_us, &err) != 0) {
            assert(err.code != 0 && err.text[0] != '\0');
            break;
        }
        now_us += 5000000;
        if (session_check(&s, now_us, &err) != 0) {
            break;
        }
        pump(&s, now_us);
        assert(session_due_us(&s, now_us) > now_us);
    }
    return 0;
}
