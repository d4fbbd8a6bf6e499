/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who is taken for whom: what a look shows, and the records that come of it. */
#include "tests/support/check.h"

#include <string.h>

#include "agent/collect/state.h"

#define SOCKET_INODE 4711u
#define SERVER       100u
#define OTHER        200u

struct told { /* of START records of sockets */
    unsigned count, ends;
    uint64_t end_protocol, end_seen; /* of the last END */
    uint64_t pids[16], since[16];
};

static int note(void *ctx, const struct record *r)
{
    struct told *t = ctx;

    if (r->entity == REC_SOCKET && r->verb == REC_START) {
        assert_true(t->count < 16);
        t->since[t->count] = r->iv.first_seen;
        t->pids[t->count++] = r->socket.pid;
    } else if (r->entity == REC_SOCKET && r->verb == REC_END) {
        t->ends++;
        t->end_protocol = r->socket.protocol;
        t->end_seen = r->iv.last_seen;
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
    const struct look_netns_result whole = { .inode = 1, .whole = LOOK_SOCK_ALL };
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
    const struct look_netns_result whole = { .inode = 1, .whole = LOOK_SOCK_ALL };
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

/* Looks at seconds 1, 2, 3 ...; what they show: a TCP and a UDP socket where there is one. */
struct shown {
    bool tcp, udp;
    uint32_t whole, texts;
};

static void looks(const struct shown *list, size_t count, struct told *told)
{
    struct state_conf conf = { .emit = note, .ctx = told };
    struct state *s = NULL;

    assert_int_equal(state_new(&conf, &s), 0);
    for (uint64_t i = 0; i < count; i++) {
        const struct look_netns_result result = { .inode = 1, .whole = list[i].whole, .texts = list[i].texts };
        const struct rec_socket tcp = {
            .netns = 1, .cookie = 5, .family = 2, .protocol = 6, .type = 1, .local_port = 22
        };
        const struct rec_socket udp = {
            .netns = 1, .cookie = 6, .family = 2, .protocol = 17, .type = 2, .local_port = 53
        };

        state_tick_begin(s, (i + 1) * 1000000, false);
        state_events_apply(s, false);
        state_look_begin(s, false);
        state_look_end(s, false); /* or the namespace would be over, as nobody lives in it */
        state_sockets_begin(s, false);
        if (list[i].tcp) {
            state_sock_sink.socket(s, &tcp);
        }
        if (list[i].udp) {
            state_sock_sink.socket(s, &udp);
        }
        state_sock_sink.netns_end(s, &result);
        state_sockets_end(s);
        state_settle(s, true);
        assert_int_equal(state_tick_end(s), 0);
    }
    state_free(s);
}

/* Text of procfs tells nothing of packet sockets: that says nothing of the others. */
static void what_a_whole_family_does_not_show_is_over(void **state)
{
    const uint32_t tcp = 1u << LOOK_SOCK_TCP;
    const struct shown list[] = { { true, true, tcp, 0 }, { true, true, tcp, 0 }, { false, false, tcp, 0 } };
    struct told told = { 0 };

    (void)state;
    looks(list, pofr_countof(list), &told);
    assert_int_equal(told.count, 2);
    assert_int_equal(told.ends, 1);
    assert_int_equal(told.end_protocol, 6);
    assert_int_equal(told.end_seen, 2000000);
}

static void what_one_look_at_the_text_does_not_show_may_be_there(void **state)
{
    const uint32_t all = LOOK_SOCK_ALL;
    const struct shown missed[] = {
        { true, true, all, all }, { true, false, all, all }, { true, true, all, all }, { true, false, all, all }
    };
    const struct shown gone[] = { { true, true, all, all }, { true, false, all, all }, { true, false, all, all } };
    struct told told = { 0 };

    (void)state;
    looks(missed, pofr_countof(missed), &told);
    assert_int_equal(told.count, 2);
    assert_int_equal(told.ends, 0);
    told = (struct told){ 0 };
    looks(gone, pofr_countof(gone), &told);
    assert_int_equal(told.ends, 1);
    assert_int_equal(told.end_protocol, 17);
    assert_int_equal(told.end_seen, 1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_socket_in_a_file_system_makes_nobody_owner_of_another_one),
        cmocka_unit_test(what_waits_for_its_holder_begins_behind_the_look_before),
        cmocka_unit_test(what_a_whole_family_does_not_show_is_over),
        cmocka_unit_test(what_one_look_at_the_text_does_not_show_may_be_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
