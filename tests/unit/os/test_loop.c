/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fds, signals and events of loop.c, with the real clock; timers by the fake one are in test_loop_timer.c. */
#include "common/os/loop.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/check.h"

#include "common/os/clock.h"

static struct loop *loop;
static int calls;

static int setup(void **state)
{
    (void)state;
    calls = 0;
    return loop_new(&loop, NULL);
}

static int teardown(void **state)
{
    (void)state;
    loop_free(loop);
    return 0;
}

static void make_pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

static void read_one(int fd, uint32_t events, void *arg)
{
    char c;

    assert_true(events & EPOLLIN);
    assert_int_equal(read(fd, &c, 1), 1);
    *(char *)arg = c;
    calls++;
}

static void a_ready_fd_is_called_until_it_is_removed(void **state)
{
    int fds[2];
    char got = 0;

    (void)state;
    make_pair(fds);
    assert_int_equal(loop_fd_add(loop, fds[0], EPOLLIN, read_one, &got, NULL), 0);
    assert_int_equal(loop_once(loop, 0, NULL), 0);
    assert_int_equal(calls, 0);
    assert_int_equal(write(fds[1], "ab", 2), 2);
    assert_int_equal(loop_once(loop, -1, NULL), 0);
    assert_int_equal(got, 'a');
    assert_int_equal(loop_fd_change(loop, fds[0], 0, NULL), 0);
    assert_int_equal(loop_once(loop, 0, NULL), 0);
    assert_int_equal(calls, 1);
    assert_int_equal(loop_fd_change(loop, fds[0], EPOLLIN, NULL), 0);
    assert_int_equal(loop_once(loop, 0, NULL), 0);
    assert_int_equal(got, 'b');
    assert_int_equal(write(fds[1], "c", 1), 1);
    loop_fd_remove(loop, fds[0]);
    loop_fd_remove(loop, fds[0]);
    loop_fd_remove(loop, -1);
    loop_fd_remove(loop, 100000);
    assert_int_equal(loop_once(loop, 0, NULL), 0);
    assert_int_equal(calls, 2);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static int pairs[2][2];

/* Whichever of the two comes first removes the other, and gives its number to a new, silent socket. */
static void close_the_other(int fd, uint32_t events, void *arg)
{
    int other = fd == pairs[0][0] ? pairs[1][0] : pairs[0][0];
    int fresh[2];

    (void)events;
    (void)arg;
    calls++;
    loop_fd_remove(loop, fd);
    loop_fd_remove(loop, other);
    (void)close(other);
    make_pair(fresh);
    assert_int_equal(fresh[0], other);
    assert_int_equal(loop_fd_add(loop, fresh[0], EPOLLIN, read_one, NULL, NULL), 0);
    pairs[fd == pairs[0][0]][0] = fresh[0];
    (void)close(pairs[fd == pairs[0][0]][1]);
    pairs[fd == pairs[0][0]][1] = fresh[1];
}

static void an_event_fetched_for_a_removed_fd_does_not_reach_its_successor(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        make_pair(pairs[i]);
        assert_int_equal(loop_fd_add(loop, pairs[i][0], EPOLLIN, close_the_other, NULL, NULL), 0);
        assert_int_equal(write(pairs[i][1], "x", 1), 1);
    }
    assert_int_equal(loop_once(loop, 0, NULL), 0);
    assert_int_equal(calls, 1);
    for (int i = 0; i < 2; i++) {
        loop_fd_remove(loop, pairs[i][0]);
        (void)close(pairs[i][0]);
        (void)close(pairs[i][1]);
    }
}

static void count_and_stop(void *arg)
{
    (void)arg;
    calls++;
    loop_stop(loop);
}

static void a_timer_wakes_a_waiting_loop(void **state)
{
    struct loop_timer t = { 0 };
    int64_t before = clock_mono_us();

    (void)state;
    assert_int_equal(loop_timer_after(loop, &t, 2000, count_and_stop, NULL), 0);
    assert_int_equal(loop_run(loop, NULL), 0);
    assert_int_equal(calls, 1);
    assert_true(clock_mono_us() - before >= 2000);
}

static void stop_on_signal(int signo, void *arg)
{
    *(int *)arg = signo;
    loop_stop(loop);
}

static void signals_are_delivered_in_the_loop_and_given_back(void **state)
{
    int got = 0;
    sigset_t now;

    (void)state;
    assert_int_equal(loop_signal_add(loop, SIGUSR1, stop_on_signal, &got, NULL), 0);
    assert_int_equal(loop_signal_add(loop, SIGTERM, stop_on_signal, &got, NULL), 0);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    assert_int_equal(loop_run(loop, NULL), 0);
    assert_int_equal(got, SIGTERM);
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    assert_int_equal(loop_run(loop, NULL), 0);
    assert_int_equal(got, SIGUSR1);
    loop_free(loop);
    loop = NULL;
    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &now), 0);
    assert_int_equal(sigismember(&now, SIGTERM), 0);
}

static void *post_many(void *arg)
{
    for (int i = 0; i < 1000; i++) {
        loop_event_post(arg);
    }
    return NULL;
}

static void posts_of_another_thread_wake_the_loop_and_merge(void **state)
{
    struct loop_event *event = NULL;
    pthread_t thread;

    (void)state;
    assert_int_equal(loop_event_new(loop, count_and_stop, NULL, &event, NULL), 0);
    assert_true(loop_event_fd(event) >= 0);
    assert_int_equal(pthread_create(&thread, NULL, post_many, event), 0);
    assert_int_equal(loop_run(loop, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(loop_once(loop, 0, NULL), 0);
    assert_in_range(calls, 1, 1000);
    calls = 0;
    loop_event_post(event);
    loop_event_post(event);
    assert_int_equal(loop_once(loop, 0, NULL), 0);
    assert_int_equal(loop_once(loop, 0, NULL), 0);
    assert_int_equal(calls, 1);
    loop_event_free(event);
    loop_event_free(NULL);
}

static void *stop_it(void *arg)
{
    loop_stop(arg);
    return NULL;
}

static void stop_of_another_thread_ends_the_run_and_is_used_up(void **state)
{
    struct loop_timer t = { 0 };
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, stop_it, loop), 0);
    assert_int_equal(loop_run(loop, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(loop_timer_after(loop, &t, 0, count_and_stop, NULL), 0);
    assert_int_equal(loop_run(loop, NULL), 0);
    assert_int_equal(calls, 1);
}

#define WITH_LOOP(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LOOP(a_ready_fd_is_called_until_it_is_removed),
        WITH_LOOP(an_event_fetched_for_a_removed_fd_does_not_reach_its_successor),
        WITH_LOOP(a_timer_wakes_a_waiting_loop),
        WITH_LOOP(signals_are_delivered_in_the_loop_and_given_back),
        WITH_LOOP(posts_of_another_thread_wake_the_loop_and_merge),
        WITH_LOOP(stop_of_another_thread_ends_the_run_and_is_used_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
