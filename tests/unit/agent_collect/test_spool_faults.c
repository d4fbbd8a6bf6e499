/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every system call of the spool fails once, at its 1st, 2nd, 3rd … time, in each of several ways. Whatever happens:
 * what spool_put() said is stored is there, in one valid chain, and a later start goes on from it.
 */
#include "tests/support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "spool_rig.h"

static struct {
    unsigned countdown; /* 0: no more faults */
    int error;
    bool torn;    /* a write that fails writes the first half */
    bool lasting; /* from then on everything fails, until it is switched off */
    bool failing;
    unsigned hit;
} fault;

static bool fails(void)
{
    if (fault.failing) {
        errno = fault.error;
        return true;
    }
    if (fault.countdown == 0 || --fault.countdown > 0) {
        return false;
    }
    fault.hit++;
    fault.failing = fault.lasting;
    errno = fault.error;
    return true;
}

ssize_t __real_pwrite(int fd, const void *data, size_t n, off_t at);
ssize_t __wrap_pwrite(int fd, const void *data, size_t n, off_t at);
ssize_t __wrap_pwrite(int fd, const void *data, size_t n, off_t at)
{
    if (!fails()) {
        return __real_pwrite(fd, data, n, at);
    }
    if (fault.torn && __real_pwrite(fd, data, n / 2, at) < 0) {
        abort();
    }
    errno = fault.error;
    return -1;
}

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
    return fails() ? -1 : __real_fdatasync(fd);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    return fails() ? -1 : __real_fsync(fd);
}

int __real_rename(const char *a, const char *b);
int __wrap_rename(const char *a, const char *b);
int __wrap_rename(const char *a, const char *b)
{
    return fails() ? -1 : __real_rename(a, b);
}

int __real_unlink(const char *a);
int __wrap_unlink(const char *a);
int __wrap_unlink(const char *a)
{
    return fails() ? -1 : __real_unlink(a);
}

int __real_fallocate(int fd, int mode, off_t at, off_t n);
int __wrap_fallocate(int fd, int mode, off_t at, off_t n);
int __wrap_fallocate(int fd, int mode, off_t at, off_t n)
{
    return fails() ? -1 : __real_fallocate(fd, mode, at, n);
}

/* Bundles until five are stored, as the writer does: tried again after an error, dropped where there is no room. */
static unsigned live(struct spool_rig *g, struct spool *s)
{
    unsigned stored = 0;

    for (unsigned i = 0; i < 8 && stored < 5; i++) {
        struct draft *d = spool_rig_draft(g, 2, i == 2 ? 9000 : 100);
        struct pofr_err err = { 0 };
        int rc;

        if (spool_journal_begin(s, d, &err) == 0) {
            rc = spool_journal_tick(s, slice_of(d->payload, d->payload_len), &err);
            (void)rc; /* the journal is a help, not a promise */
        }
        for (unsigned tries = 0; tries < 3; tries++) {
            rc = spool_put(s, d, false, &err);
            if (rc == 0 || rc == POFR_EFULL) {
                break;
            }
        }
        stored += rc == 0;
        draft_free(d);
    }
    return stored;
}

/* One life with the n-th call failing. false: there is no n-th call. */
static bool life(unsigned n, int error, bool torn, bool lasting)
{
    struct spool_report report;
    struct spool_start start;
    struct pofr_err err = { 0 };
    struct spool_rig *g;
    struct spool s;
    void *state;
    uint64_t last = 0;

    assert_int_equal(spool_rig_setup(&state), 0);
    g = state;
    g->conf.limits.segment = 8000;
    spool_rig_open(g, &s, &start);
    last = live(g, &s); /* a past */
    spool_close(&s, false);
    spool_rig_new_run(g);
    fault.hit = 0;
    fault.error = error;
    fault.torn = torn;
    fault.lasting = lasting;
    fault.countdown = n;
    if (spool_open(&g->conf, &s, &start, &err) == 0) {
        last = s.chain.head.sequence + live(g, &s);
        assert_int_equal(s.chain.head.sequence, last);
        if (lasting) {
            fault.failing = false; /* it died; nothing of it runs on */
        }
        spool_close(&s, n % 2 == 0);
    }
    fault.countdown = 0;
    fault.failing = false;
    spool_rig_new_run(g);
    spool_rig_open(g, &s, &start);
    assert_true(s.chain.head.sequence >= last);
    assert_int_equal(live(g, &s), 5);
    spool_close(&s, true);
    if (!spool_rig_chain(g, &report)) {
        fail_msg("call %u, errno %d, torn %d, lasting %d: %s", n, error, torn, lasting, report.problem);
    }
    assert_int_equal(report.first, 1);
    (void)spool_rig_teardown(&state);
    return fault.hit > 0;
}

static void all_calls(int error, bool torn, bool lasting)
{
    unsigned n = 1;

    while (life(n, error, torn, lasting)) {
        n++;
    }
    assert_true(n > 40);
}

static void an_error_once_leaves_a_valid_chain(void **state)
{
    (void)state;
    all_calls(EIO, false, false);
}

static void a_torn_write_leaves_a_valid_chain(void **state)
{
    (void)state;
    all_calls(EIO, true, false);
}

static void a_disk_that_was_full_once_leaves_a_valid_chain(void **state)
{
    (void)state;
    all_calls(ENOSPC, true, false);
}

static void a_disk_that_died_leaves_a_valid_chain(void **state)
{
    (void)state;
    all_calls(EIO, true, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_once_leaves_a_valid_chain),
        cmocka_unit_test(a_torn_write_leaves_a_valid_chain),
        cmocka_unit_test(a_disk_that_was_full_once_leaves_a_valid_chain),
        cmocka_unit_test(a_disk_that_died_leaves_a_valid_chain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
