/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A session is driven by a script and leaves a trace, both of words:
 *
 *   w<n>     WELCOME with a window of n       r<a>-<b>  a wanted range of the next WELCOME
 *   a<seq>   ACK                              A<seq>    ACK with another digest
 *   f<seq>   REFUSE final                     l<seq>    REFUSE later        o<seq>  the same, code ORDER
 *   x<code>  REFUSE about no bundle           k<ms>     SLOW_DOWN           p<n>    PING       q<n>  PONG
 *   n<seq>   news: there are bundles up to    t<s>      seconds pass        z       stop
 *   g<seq>   the spool has lost it            u<seq>    it can't be sent    y       the peer took some bytes
 *   e<type>  a message of that type           b<n>      bytes of a bundle from now on
 *
 *   H hello, P ping, O<n> pong, <seq> a bundle, +<seq> acked, -<seq> refused, .<a>-<b> nothing there,
 *   !<error> the end, ~ idle after a stop
 */
#include "agent/ship/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/record/limits.h"
#include "tests/support/check.h"

#define SPOOL 400

struct world {
    struct session s;
    int64_t now_us;
    bool gone[SPOOL], unfit[SPOOL];
    uint64_t bytes;
    unsigned ranges;
    struct message_range range[MESSAGE_WANTED_MAX + 4];
    bool ended, stopped;
    struct buf trace;
};

static void digest_of(uint64_t sequence, uint8_t out[32])
{
    memset(out, (int)(sequence & 0xff) + 1, 32);
}

static void say(struct world *w, const char *fmt, ...) POFR_PRINTF(2, 3);

static void say(struct world *w, const char *fmt, ...)
{
    char word[64];
    va_list values;

    va_start(values, fmt);
    vsnprintf(word, sizeof(word), fmt, values);
    va_end(values);
    buf_printf(&w->trace, "%s%s", w->trace.len > 0 ? " " : "", word);
}

static void end(struct world *w, int rc)
{
    say(w, "!%s", pofr_err_name(rc));
    w->ended = true;
}

static void send_bundle(struct world *w, const struct session_turn *turn)
{
    uint8_t digest[32];

    for (uint64_t i = turn->first; i <= turn->last && i < SPOOL; i++) {
        if (!w->gone[i]) {
            digest_of(i, digest);
            if (w->unfit[i]) {
                session_bundle_unfit(&w->s, i, digest, MESSAGE_REFUSE_SIZE, "too large");
            } else {
                session_bundle_sent(&w->s, i, digest, w->bytes);
                say(w, "%" PRIu64, i);
            }
            return;
        }
    }
    say(w, ".%" PRIu64 "-%" PRIu64, turn->first, turn->last);
    session_none_there(&w->s, turn);
}

/* All that can be sent and all that is settled. */
static void pump(struct world *w)
{
    struct session_outcome o;
    struct session_turn turn;
    uint8_t digest[32];

    for (int i = 0; i < 2000 && !w->ended; i++) {
        while (session_outcome(&w->s, &o)) {
            digest_of(o.sequence, digest);
            assert_memory_equal(o.digest, digest, 32);
            say(w, "%c%" PRIu64, o.result == SESSION_ACKED ? '+' : '-', o.sequence);
        }
        session_next(&w->s, w->now_us, &turn);
        switch (turn.what) {
        case SESSION_NOTHING:
            if (w->stopped && session_is_idle(&w->s)) {
                say(w, "~");
                w->stopped = false;
            }
            return;
        case SESSION_SEND_HELLO:
            say(w, "H");
            session_hello_sent(&w->s, w->now_us);
            break;
        case SESSION_SEND_PING:
            say(w, "P");
            session_ping_sent(&w->s, w->now_us);
            break;
        case SESSION_SEND_PONG:
            say(w, "O%" PRIu64, turn.token);
            session_pong_sent(&w->s);
            break;
        case SESSION_SEND_BUNDLE:
            send_bundle(w, &turn);
            break;
        }
    }
    assert_true(w->ended); /* else it never comes to rest */
}

static void take(struct world *w, const struct message *m)
{
    struct pofr_err err = { 0 };
    int rc = session_take(&w->s, m, w->now_us, &err);

    if (rc != 0) {
        assert_int_equal(err.code, rc);
        assert_true(err.text[0] != '\0');
        end(w, rc);
    }
}

static void pass(struct world *w, int64_t us)
{
    int64_t until = w->now_us + us;

    while (w->now_us < until && !w->ended) {
        struct pofr_err err;
        int64_t due = session_due_us(&w->s, w->now_us);
        int rc;

        assert_true(due > w->now_us); /* else the loop above would spin */
        w->now_us = due < until ? due : until;
        rc = session_check(&w->s, w->now_us, &err);
        if (rc != 0) {
            end(w, rc);
        }
        pump(w);
    }
}

static void refuse(struct world *w, uint64_t sequence, bool final, uint64_t code, uint64_t retry_ms)
{
    struct message m = { .type = MESSAGE_REFUSE };

    m.refuse.sequence = sequence;
    m.refuse.final = final;
    m.refuse.code = code;
    m.refuse.retry_ms = retry_ms;
    m.refuse.reason = slice_str("because");
    take(w, &m);
}

static void step(struct world *w, const char *word)
{
    uint64_t n = strtoull(word + 1, NULL, 10);
    struct message m = { 0 };
    const char *dash = strchr(word, '-');

    switch (word[0]) {
    case 'w':
        m.type = MESSAGE_WELCOME;
        m.welcome.version = 1;
        m.welcome.window = n;
        m.welcome.wanted_len = w->ranges;
        memcpy(m.welcome.wanted, w->range, sizeof(m.welcome.wanted));
        take(w, &m);
        break;
    case 'r':
        w->range[w->ranges++] = (struct message_range){ n, strtoull(dash + 1, NULL, 10) };
        break;
    case 'a':
    case 'A':
        m.type = MESSAGE_ACK;
        m.ack.sequence = n;
        digest_of(word[0] == 'a' ? n : n + 1, m.ack.digest);
        take(w, &m);
        break;
    case 'f':
        refuse(w, n, true, MESSAGE_REFUSE_STATEMENT, 0);
        break;
    case 'l':
        refuse(w, n, false, MESSAGE_REFUSE_BUSY, 1000);
        break;
    case 'o':
        refuse(w, n, false, MESSAGE_REFUSE_ORDER, 1000);
        break;
    case 'x':
        refuse(w, 0, false, n, 7000);
        break;
    case 'k':
        m.type = MESSAGE_SLOW_DOWN;
        m.slow_down.wait_ms = n;
        take(w, &m);
        break;
    case 'p':
    case 'q':
        m.type = word[0] == 'p' ? MESSAGE_PING : MESSAGE_PONG;
        m.ping.token = n;
        take(w, &m);
        break;
    case 'n':
        session_news(&w->s, n);
        break;
    case 't':
        pass(w, (int64_t)n * 1000000);
        break;
    case 'g':
        w->gone[n] = true;
        break;
    case 'u':
        w->unfit[n] = true;
        break;
    case 'b':
        w->bytes = n;
        break;
    case 'y':
        session_alive(&w->s, w->now_us);
        break;
    case 'e':
        m.type = (enum message_type)n;
        take(w, &m);
        break;
    case 'z':
        session_stop(&w->s);
        w->stopped = true;
        break;
    default:
        fail_msg("no such step: %s", word);
    }
}

struct script {
    const char *name;
    uint64_t unacked, newest;
    const char *steps, *trace;
};

static void run(const struct script *c)
{
    const struct session_conf conf = { .window_bytes = 1000 };
    struct world w = { .now_us = 1000000000, .bytes = 100 };
    struct slice steps = slice_str(c->steps);

    buf_init(&w.trace, 65536);
    session_init(&w.s, &conf, c->unacked, c->newest, w.now_us);
    pump(&w);
    while (steps.len > 0 && !w.ended) {
        struct slice one = slice_split(&steps, ' ');
        char word[64];

        snprintf(word, sizeof(word), "%.*s", SLICE_FMT(one));
        step(&w, word);
        pump(&w);
    }
    assert_int_equal(steps.len, 0); /* the session ended where it should not have */
    if (strcmp(buf_cstr(&w.trace), c->trace) != 0) {
        fail_msg("%s:\n  steps    %s\n  trace    %s\n  expected %s", c->name, c->steps, buf_cstr(&w.trace), c->trace);
    }
    buf_free(&w.trace);
}

static void run_all(const struct script *scripts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        run(&scripts[i]);
    }
}

#define RUN(scripts) run_all(scripts, sizeof(scripts) / sizeof((scripts)[0]))

static void bundles_go_in_sequence_within_the_window(void **state)
{
    static const struct script scripts[] = {
        { "nothing before WELCOME", 5, 9, "", "H" },
        { "from the first unacked", 5, 9, "w3", "H 5 6 7" },
        { "an ack makes room", 5, 9, "w3 a5 a6", "H 5 6 7 +5 8 +6 9" },
        { "no window is a window of one", 5, 9, "w0 a5", "H 5 +5 6" },
        { "nothing there yet", 1, 0, "w3 n2 a1 n3", "H 1 2 +1 3" },
        { "news of old is no news", 5, 6, "w9 n3 n6", "H 5 6" },
        { "a hole in the spool is stepped over", 5, 9, "g6 g7 w9", "H 5 8 9" },
        { "nothing left in the spool", 5, 7, "g5 g6 g7 w9 n8", "H .5-7 8" },
        { "bytes are a window, too", 1, 9, "b400 w9 a1", "H 1 2 3 +1 4" },
        { "one may go however large", 1, 3, "b5000 w9 a1", "H 1 +1 2" },
    };

    (void)state;
    RUN(scripts);
}

static void wanted_ranges_go_first_and_oldest_first(void **state)
{
    static const struct script scripts[] = {
        { "one", 5, 6, "r2-3 w9", "H 2 3 5 6" },
        { "two, in any order", 9, 10, "r6-7 r2-2 w9", "H 2 6 7 9 10" },
        { "overlapping", 9, 9, "r2-5 r4-6 w9", "H 2 3 4 5 6 9" },
        { "one inside the other", 9, 9, "r2-6 r3-4 w9", "H 2 3 4 5 6 9" },
        { "what is not there any more", 9, 9, "g2 g3 r2-3 r5-5 w9", "H .2-3 5 9" },
        { "what is sent anyway", 5, 6, "r4-99 r7-8 w9", "H 4 5 6" },
        { "what makes no sense", 5, 5, "r3-2 r0-4 w9", "H 5" },
        { "their acks come like others", 5, 5, "r2-2 w9 a2 a5", "H 2 5 +2 +5" },
        { "a huge one costs nothing", 300, 300, "r1-18446744073709551615 g1 w2", "H 2 3" },
    };

    (void)state;
    RUN(scripts);
}

static void acks_must_fit_what_is_under_way(void **state)
{
    static const struct script scripts[] = {
        { "out of order", 1, 3, "w3 a2", "H 1 2 3 !FORMAT" },
        { "of an unknown sequence", 1, 3, "w3 a9", "H 1 2 3 !FORMAT" },
        { "with an unknown digest", 1, 3, "w3 A1", "H 1 2 3 !FORMAT" },
        { "twice", 1, 3, "w3 a1 a1", "H 1 2 3 +1 !FORMAT" },
        { "of nothing", 1, 0, "w3 a1", "H !FORMAT" },
        { "before WELCOME", 1, 3, "a1", "H !FORMAT" },
        { "all of them", 1, 3, "w3 a1 a2 a3", "H 1 2 3 +1 +2 +3" },
    };

    (void)state;
    RUN(scripts);
}

static void a_final_refusal_is_settled_in_its_place(void **state)
{
    static const struct script scripts[] = {
        { "the oldest", 1, 3, "w3 f1 a2", "H 1 2 3 -1 +2" },
        { "it overtakes acks", 1, 4, "w3 f2 a1 a3", "H 1 2 3 4 +1 -2 +3" },
        { "the last", 1, 2, "w3 a1 f2 n3", "H 1 2 +1 -2 3" },
        { "it makes room", 1, 4, "w1 f1", "H 1 -1 2" },
        { "twice", 1, 3, "w3 f1 f1", "H 1 2 3 -1 !FORMAT" },
        { "of what is not under way", 1, 3, "w3 f7", "H 1 2 3 !FORMAT" },
        { "we refuse it ourselves", 1, 3, "u2 w3 a1 a3", "H 1 3 +1 -2 +3" },
        { "we refuse the first ourselves", 1, 2, "u1 w3 a2", "H -1 2 +2" },
    };

    (void)state;
    RUN(scripts);
}

static void refused_for_later_ends_the_session(void **state)
{
    static const struct script scripts[] = {
        { "the oldest", 1, 3, "w3 l1", "H 1 2 3 !BUSY" },
        { "another", 1, 3, "w3 l2", "H 1 2 3 !BUSY" },
        { "out of order", 1, 3, "w3 o1", "H 1 2 3 !BUSY" },
        { "what was acked before stays acked", 1, 3, "w3 a1 l2", "H 1 2 3 +1 !BUSY" },
        { "what is not under way", 1, 3, "w3 l9", "H 1 2 3 !BUSY" },
    };

    (void)state;
    RUN(scripts);
}

static void the_gateway_may_slow_us_down(void **state)
{
    static const struct script scripts[] = {
        { "for a while", 1, 3, "w1 k5000 a1 t4 t1", "H 1 +1 2" },
        { "not for ever", 1, 2, "k99999999999 w1 y t80 y t80 y t80 y t80 y t80 y t80 y t80 y t80",
          "H P P P P P P P P 1" },
        { "pings go on", 1, 3, "k5000 w1 p7", "H O7" },
    };
    static const struct script first = { "before WELCOME", 1, 3, "k5000 w1 t5", "H 1" };

    (void)state;
    run(&first);
    RUN(scripts);
}

static void silence_is_asked_and_then_ends_the_session(void **state)
{
    static const struct script scripts[] = {
        { "no WELCOME", 1, 3, "t15", "H !TIMEOUT" },
        { "a ping after 30 s", 1, 0, "w3 t29 t1", "H P" },
        { "one ping only", 1, 0, "w3 t89", "H P" },
        { "the end after 90 s", 1, 0, "w3 t90", "H P !TIMEOUT" },
        { "an answer begins anew", 1, 0, "w3 t30 q1 t30 q2 t30 q3 t29", "H P P P" },
        { "any message is an answer", 1, 3, "w1 t30 a1 t29 t1", "H 1 P +1 2 P" },
        { "so are bytes that the peer took", 1, 1, "w1 t80 y t80 y t80", "H 1 P P P" },
        { "its pings are answered", 1, 0, "w3 p5 p6", "H O5 O6" },
    };

    (void)state;
    RUN(scripts);
}

static void a_refused_session_is_over(void **state)
{
    static const struct script scripts[] = {
        { "revoked", 1, 3, "x17", "H !REFUSED" },
        { "pending", 1, 3, "x18", "H !REFUSED" },
        { "protocol", 1, 3, "w1 x20", "H 1 !REFUSED" },
        { "busy", 1, 3, "x16", "H !BUSY" },
        { "unavailable", 1, 3, "w1 x21", "H 1 !BUSY" },
        { "a code of tomorrow", 1, 3, "w1 x99", "H 1 !BUSY" },
        { "a bundle before WELCOME", 1, 3, "f1", "H !REFUSED" },
    };
    struct session s;
    struct message m = { .type = MESSAGE_REFUSE };
    const struct session_conf conf = { 1000 };
    struct pofr_err err;

    (void)state;
    RUN(scripts);
    session_init(&s, &conf, 1, 3, 0);
    session_hello_sent(&s, 0);
    m.refuse.code = MESSAGE_REFUSE_PENDING;
    m.refuse.retry_ms = 7000;
    m.refuse.reason = slice_str("wait for\nus");
    assert_int_equal(session_take(&s, &m, 0, &err), POFR_EREFUSED);
    assert_int_equal(s.retry_us, 7000000);
    assert_non_null(strstr(err.text, "wait for\\x0aus")); /* a peer's bytes never reach a log as they are */
}

static void what_a_gateway_never_says_ends_the_session(void **state)
{
    static const struct script scripts[] = {
        { "WELCOME twice", 1, 0, "w1 w1", "H !FORMAT" },
        { "ENROL", 1, 0, "w1 e1", "H !FORMAT" },
        { "ENROLLED", 1, 0, "w1 e2", "H !FORMAT" },
        { "HELLO", 1, 0, "w1 e3", "H !FORMAT" },
        { "BUNDLE", 1, 0, "w1 e5", "H !FORMAT" },
        { "no version", 1, 0, "e4", "H !FORMAT" },
        { "an ignorable one is ignored", 1, 0, "e128 w1 e200", "H" },
    };

    (void)state;
    RUN(scripts);
}

static void after_a_stop_only_what_is_under_way_is_waited_for(void **state)
{
    static const struct script scripts[] = {
        { "two under way", 1, 9, "w2 z a1 a2", "H 1 2 +1 +2 ~" },
        { "none under way", 1, 0, "w2 z n5", "H ~" },
    };

    (void)state;
    RUN(scripts);
}

/* Whatever message comes at whatever point, the session ends with an error or comes to rest, and what is under way stays in sequence. */
static void any_messages_in_any_order_do_no_harm(void **state)
{
    static const char kinds[] = "waAflokpqxentyrzgbu";
    const struct session_conf conf = { 1000 };
    uint64_t random = 42;

    (void)state;
    for (int round = 0; round < 4000; round++) {
        struct world w = { .now_us = 1000000000, .bytes = 100 };
        char word[64];
        uint64_t newest = 5;

        buf_init(&w.trace, 1 << 20);
        session_init(&w.s, &conf, 3, newest, w.now_us);
        pump(&w);
        step(&w, "r1-2");
        for (int i = 0; i < 60 && !w.ended; i++) {
            uint64_t n;
            char kind;

            random = random * 6364136223846793005U + 1442695040888963407U;
            kind = kinds[(random >> 33) % (sizeof(kinds) - 1)];
            n = (random >> 40) % 8 + 1;
            /* mostly what fits, else hardly anything but the beginning would be seen */
            if ((random >> 20) % 4 != 0 && w.s.sent_len > 0 && strchr("aflo", kind)) {
                n = w.s.sent[(w.s.sent_at + (kind == 'a' ? 0 : n % w.s.sent_len)) % SESSION_WINDOW_MAX].sequence;
            }
            if (strchr("Axeo", kind) && (random >> 10) % 8 != 0) {
                kind = 'n';
            }
            if (kind == 'n') {
                n = ++newest;
            }
            snprintf(word, sizeof(word), "%c%" PRIu64 "%s", kind, n, kind == 'r' ? "-9" : "");
            if (kind == 'r' && w.ranges >= MESSAGE_WANTED_MAX) {
                continue;
            }
            step(&w, word);
            pump(&w);
            assert_true(w.s.sent_len <= SESSION_WINDOW_MAX);
            for (unsigned j = 1; j < w.s.sent_len; j++) {
                assert_true(w.s.sent[(w.s.sent_at + j) % SESSION_WINDOW_MAX].sequence >
                            w.s.sent[(w.s.sent_at + j - 1) % SESSION_WINDOW_MAX].sequence);
            }
        }
        buf_free(&w.trace);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bundles_go_in_sequence_within_the_window),
        cmocka_unit_test(wanted_ranges_go_first_and_oldest_first),
        cmocka_unit_test(acks_must_fit_what_is_under_way),
        cmocka_unit_test(a_final_refusal_is_settled_in_its_place),
        cmocka_unit_test(refused_for_later_ends_the_session),
        cmocka_unit_test(the_gateway_may_slow_us_down),
        cmocka_unit_test(silence_is_asked_and_then_ends_the_session),
        cmocka_unit_test(a_refused_session_is_over),
        cmocka_unit_test(what_a_gateway_never_says_ends_the_session),
        cmocka_unit_test(after_a_stop_only_what_is_under_way_is_waited_for),
        cmocka_unit_test(any_messages_in_any_order_do_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
