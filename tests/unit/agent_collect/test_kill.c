/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A real collector on this machine is killed: at random moments, and at each named point between two steps of storing a
 * bundle. What is left is always one valid chain, no bundle is replaced by another, and the next run goes on from it; no
 * record contradicts what was open, and the sums agree.
 */
#include "tests/support/check.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collector_rig.h"
#include "tests/support/random.h"

static void killed_at_random_moments_it_leaves_one_chain(void **state)
{
    struct collector_rig *h = *state;
    struct random random = { (uint64_t)getpid() };
    struct spool_report r;
    pid_t pid;
    int status;

    pid = collector_rig_start(h, NULL);
    collector_rig_wait_bundles(h, 10, 0);
    (void)collector_rig_end(pid, SIGKILL);
    collector_rig_look(h, &r);
    for (int i = 0; i < 8; i++) {
        pid = collector_rig_start(h, NULL);
        collector_rig_wait_bundles(h, random_below(&random, 12), (unsigned)random_below(&random, 100));
        (void)collector_rig_end(pid, SIGKILL);
        collector_rig_look(h, &r);
    }
    pid = collector_rig_start(h, NULL);
    collector_rig_wait_bundles(h, 10, 0);
    status = collector_rig_end(pid, SIGTERM);
    if (status != 0) {
        collector_rig_print_log(h);
        fail_msg("status %x", status);
    }
    collector_rig_look(h, &r);
    assert_true(r.runs >= 4);
    assert_true(r.gaps >= 3); /* whether a bundle was open at a kill is chance: where each tick takes long, never */
}

static void killed_between_any_two_steps_it_leaves_one_chain(void **state)
{
    static const char *const points[] = { "spool_after_seal:3",  "spool_before_sync:3",  "spool_before_head:3",
                                          "spool_after_head:3",  "journal_after_tick:4", "spool_after_seal:1",
                                          "spool_before_sync:1", "spool_before_head:1",  "spool_after_head:1" };
    struct collector_rig *h = *state;
    struct spool_report r;
    int status;

#if !defined(POFR_STOP_POINTS)
    skip();
#endif
    collector_rig_end(collector_rig_start(h, NULL), SIGKILL);
    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        pid_t pid = collector_rig_start(h, points[i]);

        assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
        if (!WIFSTOPPED(status)) {
            fail_msg("%s: did not stop there, status %x", points[i], status);
        }
        (void)collector_rig_end(pid, SIGKILL);
        if (i > 0) { /* the first may die before its first head */
            collector_rig_look(h, &r);
        }
    }
    assert_true(r.recovered > 0);
    assert_true(r.runs > 5);
}

#define WITH(f) cmocka_unit_test_setup_teardown(f, collector_rig_setup, collector_rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(killed_at_random_moments_it_leaves_one_chain),
        WITH(killed_between_any_two_steps_it_leaves_one_chain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
