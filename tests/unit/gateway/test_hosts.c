/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/check.h"

#include <string.h>

#include "common/os/loop.h"
#include "gateway/hosts.h"

static struct loop *loop;
static struct mailbox *box;
static struct hosts *hosts;
static struct host_claim claims[3];
static int news[3];

static void on_news(struct note *n, void *arg)
{
    size_t i;

    (void)arg;
    for (i = 0; i < 3; i++) {
        news[i] += n == &claims[i].note ? 1 : 0;
    }
}

static int set_up(void **state)
{
    size_t i;

    (void)state;
    memset(claims, 0, sizeof(claims));
    memset(news, 0, sizeof(news));
    assert_int_equal(loop_new(&loop, NULL), 0);
    assert_int_equal(mailbox_open(loop, NULL, &box, NULL), 0);
    assert_int_equal(hosts_new(&hosts, NULL), 0);
    for (i = 0; i < 3; i++) {
        claims[i].host.b[0] = 1;
        claims[i].mailbox = box;
        claims[i].note.deliver = on_news;
    }
    return 0;
}

static int tear_down(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < 3; i++) {
        hosts_release(hosts, &claims[i]);
    }
    assert_int_equal(hosts_count(hosts), 0);
    hosts_free(hosts);
    mailbox_close(box);
    loop_free(loop);
    return 0;
}

static void deliver(void)
{
    assert_int_equal(loop_once(loop, 0, NULL), 0);
}

static enum host_claim_state claim(size_t i)
{
    enum host_claim_state state = CLAIM_NONE;

    assert_int_equal(hosts_claim(hosts, &claims[i], &state), 0);
    return state;
}

static void expect(size_t i, int times, enum host_claim_state wanted, bool wanted_superseded)
{
    bool superseded = false;

    assert_int_equal(news[i], times);
    assert_int_equal(hosts_news(hosts, &claims[i], &superseded), wanted);
    assert_int_equal(superseded, wanted_superseded);
}

static void a_free_host_is_had_at_once(void **state)
{
    (void)state;
    assert_int_equal(claim(0), CLAIM_HOLDS);
    claims[1].host.b[0] = 2;
    assert_int_equal(claim(1), CLAIM_HOLDS);
    deliver();
    expect(0, 0, CLAIM_HOLDS, false);
    assert_int_equal(hosts_count(hosts), 2);
}

static void the_newest_waits_until_the_older_has_let_go(void **state)
{
    (void)state;
    assert_int_equal(claim(0), CLAIM_HOLDS);
    assert_int_equal(claim(1), CLAIM_WAITS);
    deliver();
    expect(0, 1, CLAIM_HOLDS, true); /* told to give it up, and has it until then */
    expect(1, 0, CLAIM_WAITS, false);
    hosts_release(hosts, &claims[0]);
    deliver();
    expect(1, 1, CLAIM_HOLDS, false);
}

static void of_those_who_wait_only_the_newest_stays(void **state)
{
    (void)state;
    assert_int_equal(claim(0), CLAIM_HOLDS);
    assert_int_equal(claim(1), CLAIM_WAITS);
    assert_int_equal(claim(2), CLAIM_WAITS);
    deliver();
    expect(1, 1, CLAIM_NONE, true);
    hosts_release(hosts, &claims[1]);
    hosts_release(hosts, &claims[0]);
    deliver();
    expect(2, 1, CLAIM_HOLDS, false);
}

static void who_waited_and_left_gets_nothing(void **state)
{
    (void)state;
    assert_int_equal(claim(0), CLAIM_HOLDS);
    assert_int_equal(claim(1), CLAIM_WAITS);
    hosts_release(hosts, &claims[1]);
    hosts_release(hosts, &claims[0]);
    deliver();
    assert_int_equal(news[1], 0);
    assert_int_equal(claim(2), CLAIM_HOLDS);
}

static void news_of_who_left_is_not_delivered(void **state)
{
    (void)state;
    assert_int_equal(claim(0), CLAIM_HOLDS);
    assert_int_equal(claim(1), CLAIM_WAITS); /* posts to 0 */
    hosts_release(hosts, &claims[0]);        /* posts to 1 */
    hosts_release(hosts, &claims[1]);
    deliver();
    assert_int_equal(news[0], 0);
    assert_int_equal(news[1], 0);
}

static void releasing_twice_or_nothing_is_harmless(void **state)
{
    (void)state;
    hosts_release(hosts, &claims[0]);
    assert_int_equal(claim(0), CLAIM_HOLDS);
    hosts_release(hosts, &claims[0]);
    hosts_release(hosts, &claims[0]);
    assert_int_equal(claim(1), CLAIM_HOLDS);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_free_host_is_had_at_once),
        T(the_newest_waits_until_the_older_has_let_go),
        T(of_those_who_wait_only_the_newest_stays),
        T(who_waited_and_left_gets_nothing),
        T(news_of_who_left_is_not_delivered),
        T(releasing_twice_or_nothing_is_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
