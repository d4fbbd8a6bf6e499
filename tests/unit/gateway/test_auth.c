/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/check.h"

#include <string.h>

#include "gateway/auth.h"
#include "tests/support/session_rig.h"

static struct rig r;
static char host[UUID_TEXT_SIZE];
static struct session_identity who;

static int set_up(void **state)
{
    (void)state;
    rig_init(&r);
    uuid_format(&r.host, host);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_fini(&r);
    return 0;
}

static int judge(const char *user, const struct sshkey *key)
{
    return auth_judge(r.keys, user, sshkey_public(key), 5000, &who);
}

static void a_host_logs_in_with_its_key(void **state)
{
    (void)state;
    assert_int_equal(judge(host, r.key), 0);
    assert_int_equal(who.role, SESSION_HOST);
    assert_int_equal(who.host_id, r.host_id);
    assert_int_equal(who.slot, 7);
    assert_true(uuid_eq(&who.host, &r.host));
    assert_memory_equal(who.key, sshkey_public(r.key), 32);
}

static void a_key_that_has_ended_logs_nobody_in(void **state)
{
    (void)state;
    assert_int_equal(judge(host, r.old_key), 0);
    assert_int_equal(who.role, SESSION_REFUSED);
    assert_int_equal(who.refuse, MESSAGE_REFUSE_REVOKED);
    assert_int_equal(auth_judge(r.keys, host, sshkey_public(r.old_key), 2999, &who), 0);
    assert_int_equal(who.role, SESSION_HOST);
}

static void a_key_is_good_before_our_clock_says_so(void **state)
{
    (void)state;
    assert_int_equal(auth_judge(r.keys, host, sshkey_public(r.key), 1, &who), 0);
    assert_int_equal(who.role, SESSION_HOST);
}

static void the_key_of_another_host_is_denied(void **state)
{
    (void)state;
    assert_int_equal(judge(host, r.foreign_key), DENIAL_OTHER_HOST + 1);
}

static void users_that_are_no_hosts_are_denied(void **state)
{
    static const char *const users[] = { "",
                                         "root",
                                         "pofr",
                                         "ENROL",
                                         "enrol ",
                                         "a1a1a1a1-a1a1-a1a1-a1a1-a1a1a1a1a1a",
                                         "a1a1a1a1-a1a1-a1a1-a1a1-a1a1a1a1a1a1x" };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
        assert_int_equal(judge(users[i], r.key), DENIAL_USER + 1);
    }
}

static void anyone_may_come_to_enrol(void **state)
{
    struct sshkey *key = NULL;

    (void)state;
    assert_int_equal(sshkey_generate(&key), 0);
    assert_int_equal(judge("enrol", key), 0);
    assert_int_equal(who.role, SESSION_ENROL);
    assert_int_equal(judge("enrol", r.key), 0); /* the answer to its first try may have been lost */
    assert_int_equal(who.role, SESSION_ENROL);
    sshkey_free(key);
}

static void a_key_that_is_not_in_the_copy_is_for_the_catalog_to_judge(void **state)
{
    struct sshkey *key = NULL;
    struct session_identity again;

    (void)state;
    assert_int_equal(sshkey_generate(&key), 0);
    assert_int_equal(judge(host, key), 0);
    assert_int_equal(who.role, SESSION_UNKNOWN);
    auth_judge_again(r.keys, &who, 5000, &again);
    assert_int_equal(again.role, SESSION_REFUSED);
    assert_int_equal(again.refuse, MESSAGE_REFUSE_REVOKED);
    sshkey_free(key);
}

static void a_session_is_judged_by_its_host_and_its_key(void **state)
{
    struct session_identity again;

    (void)state;
    assert_int_equal(judge(host, r.key), 0);
    auth_judge_again(r.keys, &who, 5000, &again);
    assert_int_equal(again.role, SESSION_HOST);
    who.host = r.other_host;
    auth_judge_again(r.keys, &who, 5000, &again);
    assert_int_equal(again.role, SESSION_REFUSED);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_host_logs_in_with_its_key),
        T(a_key_that_has_ended_logs_nobody_in),
        T(a_key_is_good_before_our_clock_says_so),
        T(the_key_of_another_host_is_denied),
        T(users_that_are_no_hosts_are_denied),
        T(anyone_may_come_to_enrol),
        T(a_key_that_is_not_in_the_copy_is_for_the_catalog_to_judge),
        T(a_session_is_judged_by_its_host_and_its_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
