/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is told of sockets: lines of text, messages of sock_diag. */
#include "tests/support/check.h"

#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "agent/look/parse_sock.h"

static void lines_that_are_none_are_refused(void **state)
{
    static const char *const lines[] = {
        "", "0:", "0: 0100007F:1F90", "0: 0100007:1F90 00000000:0000 0A 0:0 0:0 0 0 0 5",
        "0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 -1 0 5"
    };
    struct sock_scratch scratch;
    struct rec_socket s;

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        assert_false(parse_sock_inet_line(slice_str(lines[i]), 1, IPPROTO_TCP, &scratch, &s));
        assert_false(parse_sock_unix_next(&(struct sock_unix_rows){ .rest = slice_str(lines[i]) }, 1, &s));
    }
}

#define ROW(state, inode) "0000000000000000: 00000002 00000000 00010000 0001 " state " " inode

/* Rows of this text: inode and name, one after the other; *out_doubtful. */
static void check_rows(const char *text, const uint64_t *inodes, const char *const *names, size_t count,
                       uint64_t doubtful)
{
    struct sock_unix_rows rows = { .rest = slice_str(text) };
    struct rec_socket s;

    for (size_t i = 0; i < count; i++) {
        assert_true(parse_sock_unix_next(&rows, 1, &s));
        assert_int_equal(s.inode, inodes[i]);
        assert_true(slice_eq_str(s.local_address, names[i]));
        assert_true(s.cookie != 0);
    }
    assert_false(parse_sock_unix_next(&rows, 1, &s));
    assert_int_equal(rows.doubtful, doubtful);
}

#define LONG "/run/a/name/that/is/long/enough/to/leave/no/room/for/a/row"

static void a_name_with_newlines_makes_no_rows(void **state)
{
    static const uint64_t inodes[] = { 11, 12, 13, 14 };

    (void)state;
    /* what can't be in a name is a row, whatever stands before it */
    check_rows(ROW("01", "11") "\n" ROW("01", "12") " " LONG "\n" ROW("03", "13") "\n" ROW("03", "14") " /x\n", inodes,
               (const char *const[]){ "", LONG, "", "/x" }, 4, 0);
    /* what is no row is more of the name */
    check_rows(ROW("01", "11") " /tmp/a\nb\n\nc\n" ROW("01", "12") " " LONG "\n", inodes,
               (const char *const[]){ "/tmp/a\nb\n\nc", LONG }, 2, 0);
    check_rows(ROW("01", "11") " \n\n\n" ROW("01", "12") "\n", inodes, (const char *const[]){ "\n\n" }, 1, 1);
    /* what may be one or the other is told of nobody, and neither is what may be its name */
    check_rows(ROW("01", "11") " /a\n" ROW("01", "99") " /b\nc\n" ROW("01", "12") " " LONG "\n" ROW("01", "13") "\n",
               inodes, (const char *const[]){ "/a", LONG, "" }, 3, 1);
    /* as many rows as there are, all but the first short */
    check_rows(ROW("01", "11") " /a\n" ROW("01", "98") " /b\n" ROW("01", "99") " /c\n", inodes,
               (const char *const[]){ "/a" }, 1, 2);
    check_rows("nothing\n" ROW("01", "11") "\n", inodes, (const char *const[]){ "" }, 1, 1);
}

static void messages_that_are_cut_are_refused_or_lose_attributes_alone(void **state)
{
    uint8_t bytes[256];
    struct rec_socket s;

    (void)state;
    memset(bytes, 2, sizeof(bytes)); /* AF_INET; attributes of length 514: too long for what is left */
    for (size_t len = 0; len <= sizeof(bytes); len++) {
        (void)parse_sock_inet(slice_of(bytes, len), 1, IPPROTO_TCP, &s);
        assert_false(parse_sock_unix(slice_of(bytes, len), 1, &s));
        assert_false(parse_sock_packet(slice_of(bytes, len), 1, &s));
        assert_false(parse_sock_netlink(slice_of(bytes, len), 1, &s));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_that_are_none_are_refused),
        cmocka_unit_test(a_name_with_newlines_makes_no_rows),
        cmocka_unit_test(messages_that_are_cut_are_refused_or_lose_attributes_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
