/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The n-th allocation fails, for n = 1, 2, 3 ... until the operation succeeds: each time it says POFR_ENOMEM, loses
 * nothing that was there before, and (the leak checker looks on) gives back what it had.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tests/support/check.h"

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/hashmap.h"
#include "common/os/conf.h"
#include "common/os/loop.h"
#include "common/os/stat.h"

static size_t allocations;
static size_t fail_at; /* 0: none */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);

static bool fails_now(void)
{
    return ++allocations == fail_at;
}

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return fails_now() ? NULL : __real_realloc(p, size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
    return fails_now() ? NULL : __real_reallocarray(p, n, size);
}

/* Runs fn until no allocation is left to fail; there must have been at least `expected` of them. */
static void fail_each(int (*fn)(void), size_t expected)
{
    int rc = POFR_ENOMEM;
    size_t n = 0;

    while (rc != 0) {
        assert_true(++n < 1000);
        allocations = 0;
        fail_at = n;
        rc = fn();
        fail_at = 0;
        assert_true(rc == 0 || rc == POFR_ENOMEM);
    }
    assert_true(n > expected);
}

struct sample {
    const char *text;
    struct conf_list list;
};

static const struct conf_option options[] = {
    CONF_STRING(struct sample, text, "text", "default", 0, ""),
    CONF_LIST(struct sample, list, "list", "", 0, ""),
};
static const struct conf_table table = CONF_TABLE("x", "/x", struct sample, options, NULL);

/* Long enough that the strings need more than one chunk. */
static const char *long_conf(void)
{
    static char text[8000];
    size_t at = 8;

    memcpy(text, "list = a", at);
    for (int i = 1; i < 64; i++) {
        text[at++] = ',';
        memset(text + at, 'b', 60);
        at += 60;
    }
    return text;
}

static int parse_conf(void)
{
    struct conf *c = NULL;
    struct pofr_err err = { 0 };
    int rc = conf_parse(&table, slice_str(long_conf()), "f", &c, &err);

    assert_int_equal(err.code, rc);
    conf_free(c);
    return rc;
}

static void a_configuration_needs_memory(void **state)
{
    (void)state;
    fail_each(parse_conf, 2);
}

static const struct stat_def defs[] = {
    { STAT_TYPE_COUNTER, "a", "", NULL, NULL, "A." },
    { STAT_TYPE_HISTOGRAM, "b", "seconds", "l", "x y z", "B." },
};

static int write_stats(void)
{
    struct stat_set *s = NULL;
    struct buf b = BUF_INIT(100000);
    int rc = stat_new(defs, 2, &s, NULL);

    if (rc == 0) {
        stat_write(s, &b);
        rc = b.err;
    }
    buf_free(&b);
    stat_free(s);
    return rc;
}

static void figures_need_memory(void **state)
{
    (void)state;
    fail_each(write_stats, 5);
}

static void nothing(int fd, uint32_t events, void *arg)
{
    (void)fd;
    (void)events;
    (void)arg;
}

static void nothing_due(void *arg)
{
    (void)arg;
}

static int use_loop(void)
{
    struct loop *l = NULL;
    struct loop_event *e = NULL;
    struct loop_timer t[20] = { 0 };
    int fds[2] = { -1, -1 }, high = -1;
    int rc = loop_new(&l, NULL);

    if (rc == 0) {
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        high = fcntl(fds[0], F_DUPFD_CLOEXEC, 200);
        rc = loop_fd_add(l, high, EPOLLIN, nothing, NULL, NULL);
    }
    for (int i = 0; rc == 0 && i < 20; i++) {
        rc = loop_timer_after(l, &t[i], 20 - i, nothing_due, NULL);
    }
    if (rc == 0) {
        rc = loop_event_new(l, nothing_due, NULL, &e, NULL);
    }
    loop_event_free(e);
    loop_free(l);
    (void)close(fds[0]);
    (void)close(fds[1]);
    (void)close(high);
    return rc;
}

static void a_loop_needs_memory(void **state)
{
    (void)state;
    fail_each(use_loop, 6);
}

static int fill_buf(void)
{
    struct buf b = BUF_INIT(100000);
    size_t written = 0;

    for (int i = 0; i < 1000; i++) {
        buf_u64be(&b, (uint64_t)i);
        written += b.err ? 0 : 8;
    }
    assert_int_equal(b.len, written); /* what was there stays */
    fail_at = 0;
    buf_u8(&b, 1);
    assert_int_equal(b.len, written + (b.err ? 0 : 1)); /* and the error too */
    written = (size_t)-b.err;
    buf_free(&b);
    return -(int)written;
}

static void a_buffer_keeps_what_it_held(void **state)
{
    (void)state;
    fail_each(fill_buf, 5);
}

static int fill_arena(void)
{
    struct arena a;
    int rc;

    arena_init(&a, 1 << 20);
    for (int i = 0; i < 100; i++) {
        (void)arena_alloc(&a, 1000);
    }
    rc = a.err;
    arena_free(&a);
    return rc;
}

static void an_arena_says_that_there_was_none(void **state)
{
    (void)state;
    fail_each(fill_arena, 3);
}

static int fill_map(void)
{
    static uint64_t values[100];
    struct hashmap m;
    uint64_t n = 0;
    int rc = 0;

    hashmap_init(&m, 100, 1);
    for (; rc == 0 && n < 100; n += rc == 0) {
        rc = hashmap_insert(&m, n, &values[n]);
    }
    for (uint64_t i = 0; i < 100; i++) {
        assert_ptr_equal(hashmap_get(&m, i, NULL, NULL), i < n ? &values[i] : NULL);
    }
    for (uint64_t i = 0; i < n; i++) { /* shrinking needs memory too, and does without */
        assert_ptr_equal(hashmap_remove(&m, i, NULL, NULL), &values[i]);
    }
    assert_int_equal(m.count, 0);
    hashmap_free(&m);
    return rc;
}

static void a_map_is_as_before(void **state)
{
    (void)state;
    fail_each(fill_map, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_configuration_needs_memory),
        cmocka_unit_test(figures_need_memory),
        cmocka_unit_test(a_loop_needs_memory),
        cmocka_unit_test(a_buffer_keeps_what_it_held),
        cmocka_unit_test(an_arena_says_that_there_was_none),
        cmocka_unit_test(a_map_is_as_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
