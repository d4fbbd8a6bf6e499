/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * session_check.h -- what the tests of session share: one rig, and what they expect of it.
 */
#pragma once

#include "tests/support/check.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/os/clock.h"
#include "common/record/limits.h"
#include "tests/support/fake_clock.h"
#include "tests/support/session_rig.h"

static struct rig r;

static inline int session_set_up(void **state)
{
    (void)state;
    fake_clock_reset();
    rig_init(&r);
    return 0;
}

static inline int session_tear_down(void **state)
{
    (void)state;
    rig_fini(&r);
    return 0;
}

static inline void expect_next(enum message_type type, struct message *m)
{
    assert_true(rig_next(&r, m));
    assert_int_equal(m->type, type);
}

static inline void expect_refuse(uint64_t sequence, enum message_refuse code, bool final)
{
    struct message m;

    expect_next(MESSAGE_REFUSE, &m);
    assert_int_equal(m.refuse.sequence, sequence);
    assert_int_equal(m.refuse.code, code);
    assert_int_equal(m.refuse.final, final);
    assert_true(m.refuse.reason.len > 0);
}

static inline void expect_ack(uint64_t sequence)
{
    struct message m;

    expect_next(MESSAGE_ACK, &m);
    assert_int_equal(m.ack.sequence, sequence);
}

static inline void expect_nothing(void)
{
    struct message m;

    assert_false(rig_next(&r, &m));
}

static inline void expect_end(enum session_end why)
{
    assert_true(session_is_over(r.session));
    assert_int_equal(session_why(r.session), why);
}

static inline bool put_bundle_of(const struct uuid *host, uint64_t in_message, uint64_t in_statement,
                                 const struct sshkey *key)
{
    struct buf block = BUF_INIT(BUNDLE_MAX);
    struct message m;
    bool all;

    rig_seal(&r, host, in_statement, NULL, key, &block);
    memset(&m, 0, sizeof(m));
    m.type = MESSAGE_BUNDLE;
    m.bundle.sequence = in_message;
    m.bundle.block = buf_slice(&block);
    all = rig_put(&r, &m);
    buf_free(&block);
    return all;
}
