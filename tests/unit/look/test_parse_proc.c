/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/look/parse_proc.h"

#include "tests/support/check.h"
#include "tests/support/mutate.h"

#include <stdio.h>

#include "common/base/err.h"

#define STAT_TAIL                                                                                                      \
    " S 1 4242 4000 34816 4242 4194304 100 0 0 0 7 3 0 0 20 0 3 0 305419 8192 200 18446744073709551615 1 2 "           \
    "3 4 5 0 0 0 0 0 0 0 17 1 0 0 0 0 0 6 7 8 9 10 11 12 256\n"

static struct proc_stat parse(const char *comm_and_rest, size_t len)
{
    struct proc_stat s;

    assert_int_equal(proc_stat_parse(slice_of(comm_and_rest, len), &s), 0);
    return s;
}

static void a_stat_line_is_read_from_its_last_parenthesis(void **state)
{
    static const char *const names[] = { "sleep", "a) S 1 (b", ") R 2 3 4", "",    "(((",
                                         ")))",   "x\ny",      "###1###",   "a b", "\xff\xfe)" };

    (void)state;
    for (size_t i = 0; i < pofr_countof(names); i++) {
        char text[512];
        int len = snprintf(text, sizeof(text), "4242 (%s)%s", names[i], STAT_TAIL);
        struct proc_stat s = parse(text, (size_t)len);

        assert_slice_str(s.comm, names[i]);
        assert_int_equal(s.pid, 4242);
        assert_int_equal(s.state, 'S');
        assert_int_equal(s.ppid, 1);
        assert_int_equal(s.session, 4000);
        assert_int_equal(s.tty, 34816);
        assert_int_equal(s.threads, 3);
        assert_true(s.flags == 4194304);
        assert_true(s.start_jiffies == 305419);
        assert_int_equal(s.exit_status, 256);
    }
}

static void a_name_may_hold_a_nul(void **state)
{
    static const char text[] = "7 (a\0b)" STAT_TAIL;
    struct proc_stat s = parse(text, sizeof(text) - 1);

    (void)state;
    assert_int_equal(s.comm.len, 3);
}

static void an_old_kernels_shorter_line_has_no_exit_status(void **state)
{
    static const char text[] = "9 (x) Z 1 1 -1 -1 -1 12 0 0 0 0 0 0 0 0 20 0 1 0 99";
    struct proc_stat s = parse(text, sizeof(text) - 1);

    (void)state;
    assert_int_equal(s.state, 'Z');
    assert_int_equal(s.session, 0);
    assert_true(s.start_jiffies == 99);
    assert_int_equal(s.exit_status, 0);
}

static void a_stat_line_that_is_none_is_refused(void **state)
{
    static const char *const lines[] = { "",
                                         "1",
                                         "1 (",
                                         "1 )x(",
                                         "x (a) S 1",
                                         "1 (a)",
                                         "1 (a) SS 1 1 1 1 1 1 1",
                                         "1 (a) S 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 x 1 1",
                                         "99999999999 (a) S 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1" };
    struct proc_stat s;

    (void)state;
    for (size_t i = 0; i < pofr_countof(lines); i++) {
        assert_int_not_equal(proc_stat_parse(slice_str(lines[i]), &s), 0);
    }
}

static void a_kernel_workers_name_is_without_its_work(void **state)
{
    static const struct {
        const char *name, *stable;
        bool kernel;
    } cases[] = {
        { "kworker/0:1-events", "kworker/0:1", true },
        { "kworker/u4:2+flush-254:0", "kworker/u4:2", true },
        { "kworker/1:0H", "kworker/1:0H", true },
        { "kworker/1:0H-kblockd", "kworker/1:0H", true },
        { "kworker/R-xfsalloc-xfsalloc/sda", "kworker/R-xfsal", true },
        { "kworker/0:1-events", "kworker/0:1-events", false },
        { "kthreadd", "kthreadd", true },
        { "jbd2/vda-8", "jbd2/vda-8", true },
    };

    (void)state;
    for (size_t i = 0; i < pofr_countof(cases); i++) {
        assert_slice_str(proc_comm_stable(slice_str(cases[i].name), cases[i].kernel), cases[i].stable);
    }
}

static void ids_above_2_to_31_are_ids(void **state)
{
    struct proc_ids ids;

    (void)state;
    assert_int_equal(proc_status_parse(slice_str("Name:\tx\\nUid:\t1\nState:\tS\nUid:\t4294967294\t3000000000\t0\t1\n"
                                                 "Gid:\t2147483648\t5\t6\t4294967295\nGroups:\n"),
                                       &ids),
                     0);
    assert_true(ids.uid[0] == 4294967294u && ids.uid[1] == 3000000000u && ids.uid[2] == 0 && ids.uid[3] == 1);
    assert_true(ids.gid[0] == 2147483648u && ids.gid[3] == 4294967295u);
}

static void a_status_without_both_lines_is_refused(void **state)
{
    static const char *const texts[] = { "",
                                         "Uid:\t1\t1\t1\t1\n",
                                         "Gid:\t1\t1\t1\t1\n",
                                         "Uid:\t1\t1\t1\nGid:\t1\t1\t1\t1\n",
                                         "Uid:\t1\t1\t1\t4294967296\nGid:\t1\t1\t1\t1\n",
                                         " Uid:\t1\t1\t1\t1\nGid:\t1\t1\t1\t1\n" };
    struct proc_ids ids;

    (void)state;
    for (size_t i = 0; i < pofr_countof(texts); i++) {
        assert_int_not_equal(proc_status_parse(slice_str(texts[i]), &ids), 0);
    }
}

static void links_tell_what_they_are(void **state)
{
    static const struct {
        const char *text;
        enum proc_link kind;
        uint64_t inode;
    } cases[] = {
        { "/etc/passwd", PROC_LINK_PATH, 0 },
        { "socket:[12345]", PROC_LINK_SOCKET, 12345 },
        { "/tmp/socket:[12345]", PROC_LINK_PATH, 0 },
        { "pipe:[1]", PROC_LINK_PIPE, 1 },
        { "pipe:[]", PROC_LINK_PATH, 0 },
        { "pipe:[1", PROC_LINK_PATH, 0 },
        { "pipe:[1x]", PROC_LINK_PATH, 0 },
        { "pipe:[18446744073709551616]", PROC_LINK_PATH, 0 },
        { "net:[4026531840]", PROC_LINK_OTHER, 4026531840 },
        { "anon_inode:[eventfd]", PROC_LINK_ANON, 0 },
        { "anon_inode:inotify", PROC_LINK_ANON, 0 },
        { "[1]", PROC_LINK_PATH, 0 },
        { "", PROC_LINK_PATH, 0 },
    };

    (void)state;
    for (size_t i = 0; i < pofr_countof(cases); i++) {
        uint64_t inode = 7;

        assert_int_equal(proc_link_parse(slice_str(cases[i].text), &inode), cases[i].kind);
        assert_true(inode == cases[i].inode);
    }
}

static void deleted_is_a_suffix_with_something_before_it(void **state)
{
    struct slice twice = slice_str("/a (deleted) (deleted)"), alone = slice_str(" (deleted)"),
                 none = slice_str("/a(deleted)");

    (void)state;
    assert_true(proc_link_deleted(&twice));
    assert_slice_str(twice, "/a (deleted)");
    assert_false(proc_link_deleted(&alone));
    assert_false(proc_link_deleted(&none));
}

static void flags_of_a_descriptor_are_octal(void **state)
{
    uint32_t flags;

    (void)state;
    assert_int_equal(proc_fdinfo_flags_parse(slice_str("pos:\t0\nflags:\t012100000\nmnt_id:\t9\n"), &flags), 0);
    assert_int_equal(flags, 012100000);
    assert_int_not_equal(proc_fdinfo_flags_parse(slice_str("pos:\t0\n"), &flags), 0);
    assert_int_not_equal(proc_fdinfo_flags_parse(slice_str("flags:\t9\n"), &flags), 0);
    assert_int_not_equal(proc_fdinfo_flags_parse(slice_str("flags:\t77777777777\n"), &flags), 0);
}

static void entry_at(uint8_t *at, uint16_t length, const char *name)
{
    memset(at, 0, length);
    memcpy(at + 16, &length, sizeof(length));
    memcpy(at + 19, name, strlen(name) + 1);
}

static void numbers_are_taken_from_a_listing(void **state)
{
    uint8_t block[24 * 4];
    struct slice text = slice_of(block, sizeof(block));
    uint32_t n = 0;

    (void)state;
    entry_at(block, 24, ".");
    entry_at(block + 24, 24, "17");
    entry_at(block + 48, 24, "self");
    entry_at(block + 72, 24, "3");
    assert_true(proc_dirent_next(&text, &n) && n == 17);
    assert_true(proc_dirent_next(&text, &n) && n == 3);
    assert_false(proc_dirent_next(&text, &n));
}

static void parse_mutant(struct slice mutant, const char *what, size_t at, void *arg)
{
    struct proc_stat s;
    struct proc_ids ids;
    uint32_t number;
    struct slice rest = mutant;

    (void)what;
    (void)at;
    (void)arg;
    if (proc_stat_parse(mutant, &s) == 0) {
        assert_true(s.comm.data >= mutant.data && s.comm.data + s.comm.len <= mutant.data + mutant.len);
    }
    assert_in_range(-proc_status_parse(mutant, &ids), 0, -POFR_EFORMAT);
    assert_in_range(-proc_fdinfo_flags_parse(mutant, &number), 0, -POFR_EFORMAT);
    while (proc_dirent_next(&rest, &number)) {
        assert_true(rest.len < mutant.len);
    }
}

static void no_mutant_is_read_beyond_its_end(void **state)
{
    (void)state;
    mutate_each(slice_str("4242 (a) b)" STAT_TAIL), parse_mutant, NULL);
    mutate_each(slice_str("Name:\tx\nUid:\t1\t2\t3\t4\nGid:\t1\t2\t3\t4\n"), parse_mutant, NULL);
    mutate_each(slice_str("pos:\t0\nflags:\t0100000\n"), parse_mutant, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stat_line_is_read_from_its_last_parenthesis),
        cmocka_unit_test(a_name_may_hold_a_nul),
        cmocka_unit_test(an_old_kernels_shorter_line_has_no_exit_status),
        cmocka_unit_test(a_stat_line_that_is_none_is_refused),
        cmocka_unit_test(a_kernel_workers_name_is_without_its_work),
        cmocka_unit_test(ids_above_2_to_31_are_ids),
        cmocka_unit_test(a_status_without_both_lines_is_refused),
        cmocka_unit_test(links_tell_what_they_are),
        cmocka_unit_test(deleted_is_a_suffix_with_something_before_it),
        cmocka_unit_test(flags_of_a_descriptor_are_octal),
        cmocka_unit_test(numbers_are_taken_from_a_listing),
        cmocka_unit_test(no_mutant_is_read_beyond_its_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
