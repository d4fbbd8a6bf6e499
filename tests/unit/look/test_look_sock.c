/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/look/look_sock.h"
#include "tests/support/tmpdir.h"

#define WANTED_MAX 8

struct wanted {
    uint64_t inode;
    unsigned count;
    struct rec_socket last;
    uint8_t local[128], remote[128];
};

struct seen {
    struct wanted wanted[WANTED_MAX];
    size_t wanted_count;
    size_t sockets, ends;
    uint64_t inodes[16];
    bool text;
    uint32_t whole; /* families, in all namespaces */
};

static void keep(uint8_t *to, struct slice *s)
{
    size_t n = s->len < 128 ? s->len : 128;

    if (n) {
        memcpy(to, s->data, n);
    }
    *s = slice_of(to, n);
}

static void on_socket(void *ctx, const struct rec_socket *s)
{
    struct seen *seen = ctx;

    seen->sockets++;
    for (size_t i = 0; i < seen->wanted_count; i++) {
        struct wanted *w = &seen->wanted[i];

        if (w->inode == s->inode && s->netns == w->last.netns) {
            w->count++;
            w->last = *s;
            keep(w->local, &w->last.local_address);
            keep(w->remote, &w->last.remote_address);
        }
    }
}

static void on_end(void *ctx, const struct look_netns_result *r)
{
    struct seen *seen = ctx;

    if (seen->ends < 16) {
        seen->inodes[seen->ends] = r->inode;
    }
    seen->ends++;
    seen->text = seen->text || r->texts & 1u << LOOK_SOCK_TCP;
    seen->whole = (seen->ends == 1 ? LOOK_SOCK_ALL : seen->whole) & r->whole;
}

static const struct look_sock_sink sink = { on_socket, on_end };

static uint64_t inode_of(int fd)
{
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    return st.st_ino;
}

static void want(struct seen *s, int fd, uint64_t netns)
{
    s->wanted[s->wanted_count].inode = inode_of(fd);
    s->wanted[s->wanted_count].last.netns = netns;
    s->wanted_count++;
}

struct some {
    int listener, client, server, udp, unix_listener;
    uint16_t port;
    char path[64];
};

static void some_sockets(struct some *s)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_un u = { .sun_family = AF_UNIX };
    socklen_t len = sizeof(a);

    s->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(s->listener, 5), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&a, &len), 0);
    s->port = ntohs(a.sin_port);
    s->client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(s->client, (struct sockaddr *)&a, sizeof(a)), 0);
    s->server = accept(s->listener, NULL, NULL);
    assert_true(s->server >= 0);
    assert_int_equal(send(s->client, "12345", 5, 0), 5);
    s->udp = socket(AF_INET6, SOCK_DGRAM, 0);
    if (s->udp >= 0) {
        struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };

        if (bind(s->udp, (struct sockaddr *)&a6, sizeof(a6))) {
            close(s->udp);
            s->udp = -1; /* no IPv6 here */
        }
    }
    s->unix_listener = socket(AF_UNIX, SOCK_STREAM, 0);
    /* so long that in the text its row is no part of a name before it */
    snprintf(u.sun_path + 1, sizeof(u.sun_path) - 1, "pofr-test-%070d", getpid());
    assert_int_equal(bind(s->unix_listener, (struct sockaddr *)&u,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(u.sun_path + 1))),
                     0);
    assert_int_equal(listen(s->unix_listener, 1), 0);
}

static void close_some(const struct some *s)
{
    close(s->listener);
    close(s->client);
    close(s->server);
    if (s->udp >= 0) {
        close(s->udp);
    }
    close(s->unix_listener);
}

static void look_once(bool text_only, struct seen *seen, const struct look_netns *list, size_t count)
{
    struct look_sock_conf conf = { .text_only = text_only };
    struct look_sock *l = NULL;

    assert_int_equal(look_sock_new(&conf, &l, NULL), 0);
    assert_int_equal(look_sock_run(l, list, count, 1000000, &sink, seen, NULL), 0);
    look_sock_free(l);
}

static uint64_t own_netns(void)
{
    struct stat st;

    assert_int_equal(stat("/proc/self/ns/net", &st), 0);
    return st.st_ino;
}

static void the_own_namespace_waits_until_it_is_due(void **state)
{
    struct look_sock_conf conf = { .own_apart_us = INT64_C(3600000000) };
    struct look_sock *l = NULL;
    struct seen seen = { 0 };

    (void)state;
    assert_int_equal(look_sock_new(&conf, &l, NULL), 0);
    assert_int_equal(look_sock_run(l, NULL, 0, 1000000, &sink, &seen, NULL), 0);
    assert_int_equal(seen.ends, 1);
    assert_int_equal(look_sock_run(l, NULL, 0, 1000000, &sink, &seen, NULL), 0);
    assert_int_equal(seen.ends, 1);
    look_sock_free(l);
}

static void our_own_sockets_are_seen_with_addresses_ports_and_state(bool text)
{
    struct seen seen = { 0 };
    struct some s;
    uint64_t ns = own_netns();
    const struct rec_socket *l;
    const struct rec_socket *c;

    some_sockets(&s);
    want(&seen, s.listener, ns);
    want(&seen, s.client, ns);
    want(&seen, s.unix_listener, ns);
    if (s.udp >= 0) {
        want(&seen, s.udp, ns);
    }
    look_once(text, &seen, NULL, 0);
    for (size_t i = 0; i < seen.wanted_count; i++) {
        assert_int_equal(seen.wanted[i].count, 1);
        assert_int_equal(seen.wanted[i].last.pid, 0);
        assert_int_equal(seen.wanted[i].last.cookie_kind, text);
        assert_true(seen.wanted[i].last.cookie != 0);
    }
    l = &seen.wanted[0].last;
    c = &seen.wanted[1].last;
    assert_int_equal(l->protocol, IPPROTO_TCP);
    assert_int_equal(l->local_port, s.port);
    assert_int_equal(l->state, 10);
    assert_int_equal(l->remote_address.len, 0);
    assert_memory_equal(l->local_address.data, "\x7f\0\0\1", 4);
    assert_int_equal(c->state, 1);
    assert_int_equal(c->remote_port, s.port);
    assert_memory_equal(c->remote_address.data, "\x7f\0\0\1", 4);
    assert_int_equal(c->uid, getuid());
    if (!text) {
        assert_int_equal(c->bytes_known, 1);
        assert_int_equal(c->bytes_sent, 5);
        assert_int_equal(seen.wanted[2].last.local_address.data[0], 0); /* abstract: raw, with its NUL */
    }
    assert_int_equal(seen.wanted[2].last.family, AF_UNIX);
    assert_int_equal(seen.wanted[2].last.state, 10);
    close_some(&s);
}

static void sock_diag_shows_our_own_sockets(void **state)
{
    (void)state;
    our_own_sockets_are_seen_with_addresses_ports_and_state(false);
}

static void the_text_of_procfs_shows_the_same(void **state)
{
    (void)state;
    our_own_sockets_are_seen_with_addresses_ports_and_state(true);
}

static void a_unix_path_is_the_path_and_nothing_more(void **state)
{
    char path[TMPDIR_PATH_SIZE];
    struct sockaddr_un u = { .sun_family = AF_UNIX };
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    size_t len;

    (void)tmpdir_join(*state, "s", path);
    len = strlen(path);
    assert_true(len < sizeof(u.sun_path));
    memset(u.sun_path, 's', 100); /* so long that in the text its row is no part of a name before it */
    memcpy(u.sun_path, path, len);
    len = strlen(u.sun_path);
    assert_int_equal(bind(listener, (struct sockaddr *)&u, sizeof(u)), 0);
    for (int text = 0; text < 2; text++) {
        struct seen seen = { 0 };

        want(&seen, listener, own_netns());
        look_once(text != 0, &seen, NULL, 0);
        assert_int_equal(seen.wanted[0].count, 1);
        assert_int_equal(seen.wanted[0].last.local_address.len, len);
        assert_memory_equal(seen.wanted[0].last.local_address.data, u.sun_path, len);
    }
    close(listener);
}

static void another_namespace_is_entered_and_left_again(void **state)
{
    struct seen seen = { 0 };
    struct look_netns list[2] = { { 0 } };
    uint64_t before = own_netns();
    int to_parent[2];
    int to_child[2];
    uint64_t told[2] = { 0 };
    pid_t child;

    (void)state;
    assert_int_equal(pipe(to_parent), 0);
    assert_int_equal(pipe(to_child), 0);
    child = fork();
    if (child == 0) {
        struct sockaddr_in a = { .sin_family = AF_INET };
        char c;
        int fd;

        close(to_child[1]);
        if (unshare(CLONE_NEWNET)) {
            _exit(77);
        }
        fd = socket(AF_INET, SOCK_DGRAM, 0);
        if (bind(fd, (struct sockaddr *)&a, sizeof(a))) {
            _exit(1);
        }
        told[0] = own_netns();
        told[1] = inode_of(fd);
        POFR_IGNORE(write(to_parent[1], told, sizeof(told)));
        POFR_IGNORE(read(to_child[0], &c, 1));
        _exit(0);
    }
    close(to_parent[1]);
    close(to_child[0]);
    if (read(to_parent[0], told, sizeof(told)) != sizeof(told)) {
        int status = 0;

        waitpid(child, &status, 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 77);
        skip(); /* no right to make a namespace */
    }
    list[0] = (struct look_netns){ told[0], (uint32_t)child };
    list[1] = (struct look_netns){ before, (uint32_t)getpid() };
    seen.wanted[0].inode = told[1];
    seen.wanted[0].last.netns = told[0];
    seen.wanted_count = 1;
    look_once(false, &seen, list, 2);
    assert_int_equal(seen.ends, 2); /* our own once, although it is in the list */
    assert_int_equal(seen.inodes[0], before);
    assert_int_equal(seen.inodes[1], told[0]);
    assert_int_equal(seen.wanted[0].count, 1);
    assert_int_equal(seen.wanted[0].last.protocol, IPPROTO_UDP);
    assert_int_equal(own_netns(), before);
    close(to_child[1]);
    close(to_parent[0]);
    waitpid(child, NULL, 0);
}

/* --- a dump that breaks off ---------------------------------------------------------------------------------- */

#define MANY 300 /* sockets: more than one datagram tells of */

static int break_off; /* so many answers from now on are lost, each behind one that came */
static int answers;   /* that came since the last one that was lost */

ssize_t __real_recvfrom(int fd, void *to, size_t len, int flags, struct sockaddr *from, socklen_t *from_len);
ssize_t __wrap_recvfrom(int fd, void *to, size_t len, int flags, struct sockaddr *from, socklen_t *from_len);

ssize_t __wrap_recvfrom(int fd, void *to, size_t len, int flags, struct sockaddr *from, socklen_t *from_len)
{
    if (break_off > 0 && answers == 1) {
        break_off--;
        answers = 0;
        errno = ENOBUFS;
        return -1;
    }
    answers++;
    return __real_recvfrom(fd, to, len, flags, from, from_len);
}

struct listeners {
    uint16_t from; /* the lowest port, the highest */
    uint16_t to;
    unsigned tcp, other, text;
    uint32_t refused;
};

static void on_listener(void *ctx, const struct rec_socket *s)
{
    struct listeners *l = ctx;

    if (s->local_port >= l->from && s->local_port <= l->to && s->state == 10) {
        l->tcp += s->protocol == IPPROTO_TCP && s->cookie_kind == 0;
        l->text += s->cookie_kind != 0;
    }
    l->other += s->state == 10 && s->family != AF_UNIX && s->protocol != IPPROTO_TCP; /* none of these listens */
}

static void on_listeners_end(void *ctx, const struct look_netns_result *r)
{
    ((struct listeners *)ctx)->refused = r->refused;
}

static void a_dump_that_broke_off_is_no_answer_to_the_next_question(void **state)
{
    static const struct look_sock_sink many = { on_listener, on_listeners_end };
    struct listeners seen = { .from = UINT16_MAX };
    struct look_sock *l = NULL;
    int fds[MANY];

    (void)state;
    for (int i = 0; i < MANY; i++) {
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t len = sizeof(a);

        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(fds[i] >= 0);
        assert_int_equal(listen(fds[i], 1), 0);
        assert_int_equal(getsockname(fds[i], (struct sockaddr *)&a, &len), 0);
        seen.from = ntohs(a.sin_port) < seen.from ? ntohs(a.sin_port) : seen.from;
        seen.to = ntohs(a.sin_port) > seen.to ? ntohs(a.sin_port) : seen.to;
    }
    assert_int_equal(look_sock_new(NULL, &l, NULL), 0);
    for (int times = 0; times <= 2; times++) { /* not at all; and again at once; and that breaks off too */
        seen.tcp = seen.other = seen.text = 0;
        break_off = times;
        answers = 0;
        assert_int_equal(look_sock_run(l, NULL, 0, 1000000, &many, &seen, NULL), 0);
        assert_int_equal(break_off, 0);
        assert_int_equal(seen.other, 0);
        assert_int_equal(seen.text, 0);
        assert_int_equal(seen.refused & 1u << LOOK_SOCK_TCP, times == 2 ? 1u << LOOK_SOCK_TCP : 0);
        assert_true(times == 2 || seen.tcp >= MANY);
    }
    look_sock_free(l);
    for (int i = 0; i < MANY; i++) {
        (void)close(fds[i]);
    }
}

static void a_raw_socket_is_seen_whatever_modules_the_kernel_has(void **state)
{
    struct seen seen = { 0 };
    int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);

    (void)state;
    if (fd < 0) {
        print_message("no right to have a raw socket: not tried\n");
        return;
    }
    want(&seen, fd, own_netns());
    look_once(false, &seen, NULL, 0);
    (void)close(fd);
    assert_int_equal(seen.wanted[0].count, 1);
    assert_int_equal(seen.wanted[0].last.protocol, IPPROTO_ICMP);
}

static void of_a_namespace_whose_process_is_gone_nothing_is_called_whole(void **state)
{
    const struct look_netns list[1] = { { 1, 4194303 } };

    (void)state;
    for (int text_only = 0; text_only <= 1; text_only++) {
        struct seen seen = { 0 };

        look_once(text_only, &seen, list, 1);
        assert_int_equal(seen.ends, 2);
        /* but of what this kernel does not have */
        assert_int_equal(
            seen.whole & (1u << LOOK_SOCK_TCP | 1u << LOOK_SOCK_UDP | 1u << LOOK_SOCK_RAW | 1u << LOOK_SOCK_UNIX), 0);
    }
}

static void text_is_whole_family_by_family(void **state)
{
    struct seen seen = { 0 };

    (void)state;
    look_once(true, &seen, NULL, 0);
    assert_int_equal(seen.whole | 1u << LOOK_SOCK_UNIX,
                     LOOK_SOCK_ALL & ~(1u << LOOK_SOCK_PACKET | 1u << LOOK_SOCK_NETLINK));
}

/* Namespaces that are gone: nothing but their turns matters. */
static void every_namespace_has_its_turn_or_is_counted(void **state)
{
    struct look_sock_conf conf = { .netns_max = 3, .netns_wait_us = 1, .own_apart_us = INT64_C(3600000000) };
    struct look_netns list[6];
    struct look_sock_unseen unseen;
    struct look_sock *l = NULL;
    struct seen seen = { 0 };

    (void)state;
    for (uint32_t i = 0; i < 6; i++) {
        list[i] = (struct look_netns){ i + 1, 4194303 };
    }
    assert_int_equal(look_sock_new(&conf, &l, NULL), 0);
    for (uint32_t looks = 1; looks <= 3; looks++) { /* no time: one each */
        assert_int_equal(look_sock_run(l, list, 6, 0, &sink, &seen, NULL), 0);
        look_sock_unseen(l, &unseen);
        assert_int_equal(seen.ends, looks + 1); /* and our own */
        assert_int_equal(unseen.over_limit, 3);
        assert_int_equal(unseen.waiting, 3 - looks);
    }
    assert_int_equal(look_sock_run(l, list, 6, INT64_C(60000000), &sink, &seen, NULL), 0); /* all, and none twice */
    assert_int_equal(seen.ends, 7);
    for (size_t i = 1; i < 7; i++) {
        assert_int_equal(seen.inodes[i], (i - 1) % 3 + 1);
    }
    assert_int_equal(look_sock_run(l, list + 2, 3, 0, &sink, &seen, NULL),
                     0); /* some are gone: others have their places */
    assert_true(seen.inodes[7] == 4 || seen.inodes[7] == 5);
    look_sock_unseen(l, &unseen);
    assert_int_equal(unseen.over_limit, 0);
    assert_int_equal(unseen.waiting, 1);
    look_sock_free(l);
}

#define ROW(state, inode) "0000000000000000: 00000002 00000000 00010000 0001 " state " " inode

static void a_socket_called_like_a_row_makes_no_row(void **state)
{
    struct sockaddr_un u = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct seen seen = { .wanted_count = 1 };
    int len;

    (void)state;
    len = snprintf(u.sun_path + 1, sizeof(u.sun_path) - 1, "p%d\n%s", getpid(), ROW("01", "4294967295999") " /made/up");
    assert_true(len > 0 && (size_t)len < sizeof(u.sun_path) - 1);
    assert_int_equal(
        bind(fd, (struct sockaddr *)&u, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)), 0);
    seen.wanted[0].inode = UINT64_C(4294967295999);
    seen.wanted[0].last.netns = own_netns();
    look_once(true, &seen, NULL, 0);
    assert_int_equal(seen.wanted[0].count, 0);
    assert_int_equal(seen.whole & 1u << LOOK_SOCK_UNIX, 0);
    assert_int_not_equal(seen.whole & 1u << LOOK_SOCK_TCP, 0);
    look_once(false, &seen, NULL, 0);
    assert_int_equal(seen.wanted[0].count, 0);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_own_namespace_waits_until_it_is_due),
        cmocka_unit_test(sock_diag_shows_our_own_sockets),
        cmocka_unit_test(the_text_of_procfs_shows_the_same),
        cmocka_unit_test_setup_teardown(a_unix_path_is_the_path_and_nothing_more, tmpdir_setup, tmpdir_teardown),
        cmocka_unit_test(another_namespace_is_entered_and_left_again),
        cmocka_unit_test(a_dump_that_broke_off_is_no_answer_to_the_next_question),
        cmocka_unit_test(a_raw_socket_is_seen_whatever_modules_the_kernel_has),
        cmocka_unit_test(of_a_namespace_whose_process_is_gone_nothing_is_called_whole),
        cmocka_unit_test(text_is_whole_family_by_family),
        cmocka_unit_test(every_namespace_has_its_turn_or_is_counted),
        cmocka_unit_test(a_socket_called_like_a_row_makes_no_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
