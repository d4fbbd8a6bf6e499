/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A real collector on this machine is killed: at random moments, and at each named point between two steps of storing a
 * bundle. What is left is always one valid chain, no bundle is replaced by another, and the next run goes on from it; no
 * record contradicts what was open, and the sums agree.
 */
#include "tests/support/check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/identity.h"
#include "agent/spool/format.h"
#include "common/os/fsio.h"
#include "spool_check.h"
#include "tests/support/random.h"
#include "tests/support/tmpdir.h"

struct host {
    char dir[TMPDIR_PATH_SIZE], state[TMPDIR_PATH_SIZE], spool[TMPDIR_PATH_SIZE], conf[TMPDIR_PATH_SIZE];
    struct sshkey *key;
    uint64_t last; /* sequence committed when it was looked at last */
};

static int setup(void **state)
{
    struct host *h = calloc(1, sizeof(*h));
    struct uuid uuid;
    char text[3 * TMPDIR_PATH_SIZE];

    assert_non_null(h);
    (void)tmpdir_make(h->dir);
    (void)tmpdir_join(h->dir, "state", h->state);
    (void)tmpdir_join(h->dir, "state/spool", h->spool);
    (void)tmpdir_join(h->dir, "agent.conf", h->conf);
    assert_int_equal(fsio_mkdirs(h->state, 0755, NULL), 0);
    assert_int_equal(sshkey_generate(&h->key), 0);
    assert_int_equal(uuid_random(&uuid), 0);
    assert_int_equal(identity_write_key(h->state, IDENTITY_KEY, h->key, (uid_t)-1, (gid_t)-1, NULL), 0);
    assert_int_equal(identity_write_uuid(h->state, &uuid, NULL), 0);
    snprintf(text, sizeof(text),
             "[agent]\nstate_dir = %s\nruntime_dir = %s/run\n[collect]\ntick = 20ms\nbundle_age = 100ms\n"
             "keyframe_every = 10s\nbundle_size = 64K\n[spool]\nsegment_size = 256K\nlimit = 64M\n",
             h->state, h->dir);
    assert_int_equal(fsio_replace(h->conf, slice_str(text), 0644, NULL), 0);
    *state = h;
    return 0;
}

static int teardown(void **state)
{
    struct host *h = *state;

    tmpdir_remove(h->dir);
    sshkey_free(h->key);
    free(h);
    return 0;
}

static pid_t start(const struct host *h, const char *stop_at)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        char log[TMPDIR_PATH_SIZE];
        int null = open(tmpdir_join(h->dir, "log", log), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

        if (stop_at != NULL && (setenv("POFR_STOP_AT", stop_at, 1) != 0)) {
            _exit(126);
        }
        (void)setenv("ASAN_OPTIONS", "detect_leaks=0",
                     1); /* its memory is hidden from tracers, so leaks can't be looked for */
        (void)dup2(null, 2);
        (void)execl(POFR_AGENT, "pofr-agent", "collect", "--config", h->conf, (char *)NULL);
        _exit(127);
    }
    return pid;
}

static int end(pid_t pid, int signo)
{
    int status;

    assert_int_equal(kill(pid, signo), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void wait_ms(unsigned ms)
{
    struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

    (void)nanosleep(&t, NULL); /* allowed: the moment of the kill is random, nothing is waited for */
}

static uint64_t committed(const struct host *h)
{
    struct buf b = BUF_INIT(SPOOL_HEAD_SIZE);
    char path[TMPDIR_PATH_SIZE];
    struct spool_head head = { 0 };
    unsigned slot;

    if (fsio_read(tmpdir_join(h->spool, SPOOL_HEAD, path), &b, NULL) == 0 &&
        spool_head_pick(buf_slice(&b), &head, &slot) != 0) {
        head.sequence = 0;
    }
    buf_free(&b);
    return head.sequence;
}

/* Until it has stored so many bundles more, however slow the machine is; and then for a while. */
static void wait_bundles(const struct host *h, uint64_t n, unsigned more_ms)
{
    uint64_t until = h->last + n;

    for (int i = 0; i < 6000 && committed(h) < until; i++) {
        wait_ms(10);
    }
    wait_ms(more_ms);
}

static void print_log(const struct host *h)
{
    struct buf log = BUF_INIT(1u << 20);
    char path[TMPDIR_PATH_SIZE];

    if (fsio_read(tmpdir_join(h->dir, "log", path), &log, NULL) == 0) {
        print_error("%s", buf_cstr(&log));
    }
    buf_free(&log);
}

static void look(struct host *h, struct spool_report *r)
{
    bool good = spool_check(h->spool, sshkey_public(h->key), true, r);

    snapshot_free(r->snapshot);
    if (!good || r->states_lost > 0) { /* each run goes on where the one before was */
        print_log(h);
        fail_msg("%s, %lu states lost", r->problem, (unsigned long)r->states_lost);
    }
    assert_true(r->committed >= h->last); /* nothing that counted is gone */
    assert_int_equal(r->first, 1);
    h->last = r->committed;
}

static void killed_at_random_moments_it_leaves_one_chain(void **state)
{
    struct host *h = *state;
    struct random random = { (uint64_t)getpid() };
    struct spool_report r;
    pid_t pid;
    int status;

    pid = start(h, NULL);
    wait_bundles(h, 10, 0);
    (void)end(pid, SIGKILL);
    look(h, &r);
    for (int i = 0; i < 8; i++) {
        pid = start(h, NULL);
        wait_bundles(h, random_below(&random, 12), (unsigned)random_below(&random, 100));
        (void)end(pid, SIGKILL);
        look(h, &r);
    }
    pid = start(h, NULL);
    wait_bundles(h, 10, 0);
    status = end(pid, SIGTERM);
    if (status != 0) {
        print_log(h);
        fail_msg("status %x", status);
    }
    look(h, &r);
    assert_true(r.runs >= 4);
    assert_true(r.recovered >= 1);
    assert_true(r.gaps >= 3);
}

static void killed_between_any_two_steps_it_leaves_one_chain(void **state)
{
    static const char *const points[] = { "spool_after_seal:3",  "spool_before_sync:3",  "spool_before_head:3",
                                          "spool_after_head:3",  "journal_after_tick:4", "spool_after_seal:1",
                                          "spool_before_sync:1", "spool_before_head:1",  "spool_after_head:1" };
    struct host *h = *state;
    struct spool_report r;
    int status;

#if !defined(POFR_STOP_POINTS)
    skip();
#endif
    end(start(h, NULL), SIGKILL);
    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        pid_t pid = start(h, points[i]);

        assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
        if (!WIFSTOPPED(status)) {
            fail_msg("%s: did not stop there, status %x", points[i], status);
        }
        (void)end(pid, SIGKILL);
        if (i > 0) { /* the first may die before its first head */
            look(h, &r);
        }
    }
    assert_true(r.recovered > 0);
    assert_true(r.runs > 5);
}

#define WITH(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(killed_at_random_moments_it_leaves_one_chain),
        WITH(killed_between_any_two_steps_it_leaves_one_chain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
