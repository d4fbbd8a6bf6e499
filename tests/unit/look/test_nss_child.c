/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The child that asks NSS: kill() and getpwuid() are the test's. */
#include "agent/look/nss_child.h"

#include "tests/support/check.h"

#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define HANGS    77u /* asking for this uid takes for ever */
#define DEADLINE 20  /* s; a test that waits for ever is ended by it */

int __wrap_kill(pid_t pid, int signo);
struct passwd *__real_getpwuid(uid_t id);
struct passwd *__wrap_getpwuid(uid_t id);

/* As for a collector that has changed its uid since: the child is another user's. */
int __wrap_kill(pid_t pid, int signo)
{
    (void)pid;
    (void)signo;
    errno = EPERM;
    return -1;
}

struct passwd *__wrap_getpwuid(uid_t id)
{
    if (id == HANGS) {
        for (;;) {
            (void)pause();
        }
    }
    return __real_getpwuid(id);
}

static int setup(void **state)
{
    (void)state;
    (void)alarm(DEADLINE);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)alarm(0);
    return 0;
}

/* An answer, or false once the child has been given up. */
static bool answer_of(struct nss_child *c, struct nss_answer *out)
{
    while (nss_child_poll(c, out) == 0) {
        if (nss_child_ask(c, false, 0) == POFR_EUNSUPPORTED) {
            return false;
        }
        (void)poll(NULL, 0, 5);
    }
    return true;
}

static void an_idle_child_ends_with_its_owner_who_may_not_kill_it(void **state)
{
    struct nss_child *c;
    int status;

    (void)state;
    assert_int_equal(nss_child_new(5, &c, NULL), 0);
    nss_child_free(c);
    assert_true(wait(&status) > 0 || errno == ECHILD); /* it ends by itself */
}

static void a_child_that_hangs_is_given_up_and_ends_by_itself(void **state)
{
    struct nss_child *c;
    struct nss_answer a;
    int status = 0;

    (void)state;
    assert_int_equal(nss_child_new(1, &c, NULL), 0);
    assert_int_equal(nss_child_ask(c, false, HANGS), 0);
    assert_false(answer_of(c, &a));
    nss_child_free(c); /* at once, whatever the child does */
    while (wait(&status) > 0) {
    }
    assert_int_equal(errno, ECHILD);
}

static void a_child_that_hangs_does_not_hold_up_the_end(void **state)
{
    struct nss_child *c;
    int status;

    (void)state;
    assert_int_equal(nss_child_new(1, &c, NULL), 0);
    assert_int_equal(nss_child_ask(c, false, HANGS), 0);
    nss_child_free(c);
    assert_true(wait(&status) > 0);
    assert_true(WIFEXITED(status) || WTERMSIG(status) == SIGALRM);
}

#define WITH(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(an_idle_child_ends_with_its_owner_who_may_not_kill_it),
        WITH(a_child_that_hangs_is_given_up_and_ends_by_itself),
        WITH(a_child_that_hangs_does_not_hold_up_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
