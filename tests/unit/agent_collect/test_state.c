/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who is taken for whom: what a look shows, and the records that come of it. */
#include "tests/support/check.h"

#include <string.h>

#include "agent/collect/state.h"

#define SOCKET_INODE 4711u
#define SERVER       100u
#define OTHER        200u

struct told { /* of START records of sockets */
    unsigned count;
    uint64_t pids[16], since[16];
};

static int note(void *ctx, const struct record *r)
{
    struct told *t = ctx;

    if (r->entity == REC_SOCKET && r->verb == REC_START) {
        assert_true(t->count < 16);
        t->since[t->count] = r->iv.first_seen;
        t->pids[t->count++] = r->socket.pid;
    }
    return 0;
}

/* A process with one open file of kind socket. */
static void show(struct state *s, uint32_t pid, const char *path, uint64_t device, uint64_t inode)
{
    struct rec_process p = { .pid = pid, .start_jiffies = pid, .command = slice_str("x") };
    struct rec_file f = { .pid = pid,
                          .start_jiffies = pid,
                          .fd = 3,
                          .path = slice_str(path),
                          .kind = REC_FILE_SOCKET,
                          .device = device,
                          .inode = inode };
    struct look_how how = { .why = LOOK_WHY_FIRST };

    state_look_sink.process(s, &p, &how);
    state_look_sink.file(s, &f);
    state_look_sink.files_end(s, 0, 0, UINT32_MAX);
    how.whole = true;
    state_look_sink.process_end(s, &how);
}

/* /proc/net/tcp tells everyone the numbers of everyone's sockets, and on a tmpfs of his own anyone reaches any number. */
static void a_socket_in_a_file_system_makes_nobody_owner_of_another_one(void **state)
{
    const struct rec_socket tcp = {
        .netns = 1, .cookie = 5, .family = 2, .protocol = 6, .local_port = 22, .inode = SOCKET_INODE
    };
    const struct look_netns_result whole = { .inode = 1, .complete = true };
    struct told told = { 0 };
    struct state_conf conf = { .emit = note, .ctx = &told };
    struct state *s = NULL;

    (void)state;
    assert_int_equal(state_new(&conf, &s), 0);
    for (uint64_t t = 1000000; t <= 3000000; t += 1000000) {
        state_tick_begin(s, t, false);
        state_events_apply(s, false);
        state_look_begin(s, t == 1000000);
        show(s, SERVER, "socket:[4711]", 8, SOCKET_INODE);
        show(s, OTHER, "/tmp/socket:[4711]", 42, SOCKET_INODE);
        state_look_end(s, true);
        state_sockets_begin(s, t == 1000000);
        state_sock_sink.socket(s, &tcp);
        state_sock_sink.netns_end(s, &whole);
        state_sockets_end(s);
        state_settle(s, true);
        assert_int_equal(state_tick_end(s), 0);
    }
    assert_int_equal(told.count, 1);
    assert_int_equal(told.pids[0], SERVER);
    state_free(s);
}

/* A reader takes what a look does not show, though it began no later, to be over. */
static void what_waits_for_its_holder_begins_behind_the_look_before(void **state)
{
    const struct rec_socket tcp = {
        .netns = 1, .cookie = 5, .family = 2, .protocol = 6, .local_port = 22, .inode = SOCKET_INODE
    };
    const struct look_netns_result whole = { .inode = 1, .complete = true };
    struct told told = { 0 };
    struct state_conf conf = { .emit = note, .ctx = &told };
    struct state *s = NULL;

    (void)state;
    assert_int_equal(state_new(&conf, &s), 0);
    for (uint64_t t = 1000000; t <= 3000000; t += 1000000) { /* nobody is seen to hold it */
        state_tick_begin(s, t, false);
        state_events_apply(s, false);
        state_look_begin(s, false);
        state_look_end(s, true);
        state_sockets_begin(s, false);
        state_sock_sink.socket(s, &tcp);
        state_sock_sink.netns_end(s, &whole);
        state_sockets_end(s);
        state_settle(s, t == 1000000);
        if (t == 1000000) {
            assert_int_equal(told.count, 0); /* it waits for its holder */
        }
        assert_int_equal(state_tick_end(s), 0);
    }
    assert_int_equal(told.count, 1);
    assert_int_equal(told.since[0], 1000001);
    state_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_socket_in_a_file_system_makes_nobody_owner_of_another_one),
        cmocka_unit_test(what_waits_for_its_holder_begins_behind_the_look_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
