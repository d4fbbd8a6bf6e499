/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/look/host_items.h"
#include "agent/look/look_host.h"
#include "agent/look/nss_child.h"

struct seen {
    size_t count;
    bool found;
    const char *want;
};

static void items_free(struct host_items *h)
{
    arena_free(&h->arena);
    free(h->items);
}

static void items_init(struct host_items *h)
{
    memset(h, 0, sizeof(*h));
    arena_init(&h->arena, 1 << 20);
}

static void passwd_lines_become_users_and_what_is_no_line_is_left_out(void **state)
{
    struct host_items h;

    (void)state;
    items_init(&h);
    host_parse_passwd(slice_str("root:x:0:0:root:/root:/bin/bash\n#c:x:1:1::/:/\nbad:x:-1:0::/:/"
                                "\nbig:x:4294967294:5:a,b:/h\xff:/s\n+::::::\nshort\n"),
                      &h);
    assert_int_equal(h.count, 2);
    assert_true(slice_eq_str(h.items[0].user.name, "root"));
    assert_int_equal(h.items[1].user.uid, 4294967294u);
    assert_true(slice_eq_str(h.items[1].user.home, "/h\xff"));
    assert_true(slice_eq_str(h.items[1].user.shell, "/s"));
    items_free(&h);
}

static void group_members_are_kept_as_they_stand(void **state)
{
    struct host_items h;

    (void)state;
    items_init(&h);
    host_parse_group(slice_str("adm:x:4:a,b\nnone:x:5:\n"), &h);
    assert_int_equal(h.count, 2);
    assert_true(slice_eq_str(h.items[0].group.members, "a,b"));
    assert_true(slice_empty(h.items[1].group.members));
    items_free(&h);
}

static void a_session_file_of_logind_becomes_a_login(void **state)
{
    struct host_items h;

    (void)state;
    items_init(&h);
    host_parse_session(slice_str("# "
                                 "text\nUID=1000\nUSER=toma\nREMOTE_HOST=192.0.2.7\nTTY=pts/"
                                 "3\nLEADER=77\nSERVICE=sshd\nREALTIME=1700000000000000\n"),
                       slice_str("c2"), &h);
    assert_int_equal(h.count, 1);
    assert_true(slice_eq_str(h.items[0].login.user, "toma"));
    assert_int_equal(h.items[0].login.uid, 1000);
    assert_int_equal(h.items[0].login.leader, 77);
    assert_true(slice_eq_str(h.items[0].login.remote_host, "192.0.2.7"));
    items_free(&h);
}

static void a_utmp_that_is_cut_gives_whole_records_only(void **state)
{
    uint8_t bytes[2000];
    struct host_items h;

    (void)state;
    memset(bytes, 7, sizeof(bytes)); /* ut_type is 0x0707: no session */
    items_init(&h);
    for (size_t len = 0; len <= sizeof(bytes); len++) {
        host_parse_utmp(slice_of(bytes, len), &h);
    }
    assert_int_equal(h.count, 0);
    items_free(&h);
}

static void note(void *ctx, const struct record *r)
{
    struct seen *s = ctx;

    s->count++;
    if (s->want && r->kind == REC_KIND(REC_HOSTINFO, REC_START) && slice_eq_str(r->hostinfo.name, "hostname")) {
        s->found = slice_eq_str(r->hostinfo.value, s->want);
    }
    if (s->want && r->kind == REC_KIND(REC_NETINT, REC_START) && r->netint.family == 2 && r->netint.address.len == 4 &&
        r->netint.address.data[0] == 127) {
        s->found = slice_eq_str(r->netint.name, "lo");
    }
}

static void every_part_of_this_machine_is_delivered_once_until_it_changes(void **state)
{
    struct look_host *l = NULL;
    struct look_fact_result result;
    struct utsname u;

    (void)state;
    assert_int_equal(uname(&u), 0);
    assert_int_equal(look_host_new(NULL, &l, NULL), 0);
    for (int what = 0; what < LOOK_FACTS; what++) {
        struct seen first = { .want = what == LOOK_HOSTINFO ? u.nodename : what == LOOK_NETINT ? "lo" : NULL };
        struct seen second = { 0 };
        struct seen third = { 0 };

        assert_int_equal(look_host_run(l, (enum look_fact)what, false, note, &first, &result, NULL), 0);
        assert_true(result.changed);
        assert_int_equal(first.count, result.items);
        if (first.want) {
            assert_true(first.found);
        }
        assert_int_equal(look_host_run(l, (enum look_fact)what, false, note, &second, &result, NULL), 0);
        assert_int_equal(second.count, 0);
        assert_false(result.changed);
        assert_int_equal(look_host_run(l, (enum look_fact)what, true, note, &third, &result, NULL), 0);
        assert_int_equal(third.count, first.count);
    }
    look_host_free(l);
}

static void nss_is_asked_by_a_child_without_rights_and_answers(void **state)
{
    struct nss_child *c = NULL;
    struct nss_answer a = { 0 };
    int rc = 0;

    (void)state;
    assert_int_equal(nss_child_new(5, &c, NULL), 0);
    assert_int_equal(nss_child_ask(c, false, 0), 0);
    assert_int_equal(nss_child_ask(c, true, 0), 0);
    assert_int_equal(nss_child_ask(c, false, 4000000001u), 0);
    for (unsigned got = 0; got < 3;) {
        rc = nss_child_poll(c, &a);
        if (rc != 1) {
            sched_yield();
            continue;
        }
        if (got < 2) {
            assert_true(a.found);
            assert_true(slice_eq_str(a.name, "root"));
            assert_int_equal(a.is_group, got == 1);
        } else {
            assert_false(a.found);
            assert_int_equal(a.id, 4000000001u);
        }
        got++;
    }
    nss_child_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passwd_lines_become_users_and_what_is_no_line_is_left_out),
        cmocka_unit_test(group_members_are_kept_as_they_stand),
        cmocka_unit_test(a_session_file_of_logind_becomes_a_login),
        cmocka_unit_test(a_utmp_that_is_cut_gives_whole_records_only),
        cmocka_unit_test(every_part_of_this_machine_is_delivered_once_until_it_changes),
        cmocka_unit_test(nss_is_asked_by_a_child_without_rights_and_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
