/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A real collector is asked to end: at random moments, on a machine that executes and forks meanwhile, with peers at its
 * socket that never read. It ends soon, all it has is sealed, and the next run finds nothing to repair.
 */
#include "tests/support/check.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/collect/ipc.h"
#include "collector_rig.h"
#include "tests/support/random.h"

#define ROUNDS   10    /* POFR_TEST_ROUNDS: more */
#define SOON_MS  60000 /* 2 s without sanitizers, on a machine that does little else; one that hangs never ends */
#define STARTERS 2

static int64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Starts short-lived processes until it is killed. */
static pid_t starter(void)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    while (pid == 0) {
        pid_t child;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        child = fork();
        if (child == 0) {
            (void)execl("/bin/true", "true", (char *)NULL);
            _exit(127);
        }
        (void)waitpid(child, NULL, 0);
    }
    return pid;
}

/* Asks to be told of news, again and again, and never reads. */
static int deaf_peer(const struct collector_rig *h)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct ipc_message m = { .type = IPC_STATE };
    struct buf packet = BUF_INIT(IPC_PACKET_MAX);

    snprintf(address.sun_path, sizeof(address.sun_path), "%.80s/run/" IPC_SOCKET, h->dir);
    assert_int_equal(ipc_put(&m, &packet), 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
        for (int i = 0; i < 2000 && send(fd, packet.data, packet.len, MSG_NOSIGNAL) > 0; i++) {
        }
    }
    buf_free(&packet);
    return fd;
}

static void asked_to_end_at_any_moment_it_ends_soon_and_clean(void **state)
{
    struct collector_rig *h = *state;
    struct random random = { (uint64_t)getpid() };
    const char *wanted = getenv("POFR_TEST_ROUNDS");
    int rounds = wanted != NULL ? (int)strtol(wanted, NULL, 10) : ROUNDS;
    pid_t starters[STARTERS];
    struct spool_report r;
    int64_t longest = 0;

    for (int i = 0; i < STARTERS; i++) {
        starters[i] = starter();
    }
    for (int i = 0; i < rounds; i++) {
        pid_t pid = collector_rig_start(h, NULL);
        int64_t asked, took;
        int status, peer;

        if (i % 4 != 3) { /* every fourth: while it starts */
            collector_rig_wait_bundles(h, 1 + random_below(&random, 3), 0);
        }
        peer = deaf_peer(h);
        collector_rig_wait_ms((unsigned)random_below(&random, 400));
        asked = now_ms();
        status = collector_rig_end(pid, SIGTERM);
        took = now_ms() - asked;
        longest = took > longest ? took : longest;
        (void)close(peer);
        if (status != 0 && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM && i % 4 == 3)) {
            collector_rig_print_log(h);
            fail_msg("round %d: status %x", i, status);
        }
        if (took > SOON_MS) {
            collector_rig_print_log(h);
            fail_msg("round %d: ended after %ld ms", i, (long)took);
        }
        h->last = collector_rig_committed(h);
    }
    for (int i = 0; i < STARTERS; i++) {
        (void)collector_rig_end(starters[i], SIGKILL);
    }
    collector_rig_look(h, &r);
    assert_int_equal(r.recovered, 0);
    print_message("%d rounds, the longest end took %ld ms\n", rounds, (long)longest);
}

#define WITH(f) cmocka_unit_test_setup_teardown(f, collector_rig_setup, collector_rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(asked_to_end_at_any_moment_it_ends_soon_and_clean),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
