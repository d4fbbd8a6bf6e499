/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/check.h"

#include <string.h>

#include "common/base/err.h"
#include "gateway/frame.h"

static struct frame_memory memory;

static int set_up(void **state)
{
    (void)state;
    memory = (struct frame_memory){ 0, 100000 };
    return 0;
}

/* The header of a message of this length (type and body). */
static void begin_with(struct frame *f, uint32_t length)
{
    const uint8_t head[5] = { (uint8_t)(length >> 24), (uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length,
                              MESSAGE_BUNDLE };

    memset(f, 0, sizeof(*f));
    f->memory = &memory;
    assert_int_equal(frame_wants(f), 5);
    assert_true(frame_is_empty(f));
    frame_add(f, slice_of(head, 3));
    assert_false(frame_has_header(f));
    assert_int_equal(frame_wants(f), 2);
    frame_add(f, slice_of(head + 3, 2));
    assert_true(frame_has_header(f));
    assert_int_equal(frame_wants(f), 0);
    assert_int_equal(frame_type(f), MESSAGE_BUNDLE);
}

static void a_message_is_put_together_in_memory_of_its_size(void **state)
{
    struct frame f;
    uint8_t body[49999];

    (void)state;
    memset(body, 'b', sizeof(body));
    begin_with(&f, 50000);
    assert_int_equal(frame_begin(&f, 60000), 0);
    assert_int_equal(memory.used, 50004);
    assert_int_equal(frame_wants(&f), 49999);
    frame_add(&f, slice_of(body, 49998));
    assert_false(frame_is_whole(&f));
    frame_add(&f, slice_of(body, 1));
    assert_true(frame_is_whole(&f));
    assert_int_equal(frame_bytes(&f).len, 50004);
    frame_drop(&f);
    assert_true(frame_is_empty(&f));
    assert_int_equal(memory.used, 0);
}

static void what_is_taken_is_counted_until_it_is_released(void **state)
{
    struct frame f;
    uint8_t *data;
    size_t size;

    (void)state;
    begin_with(&f, 50000);
    assert_int_equal(frame_begin(&f, 60000), 0);
    data = frame_take(&f, &size);
    frame_drop(&f);
    assert_int_equal(memory.used, 50004);
    frame_release(&memory, data, size);
    assert_int_equal(memory.used, 0);
}

static void small_messages_need_no_share(void **state)
{
    struct frame f;

    (void)state;
    memory.used = memory.max;
    begin_with(&f, 4000);
    assert_int_equal(frame_begin(&f, 60000), 0);
    assert_int_equal(memory.used, memory.max);
    frame_drop(&f);
    assert_int_equal(memory.used, memory.max);
}

static void a_large_one_waits_for_its_share_and_then_goes_on(void **state)
{
    struct frame f;

    (void)state;
    memory.used = 60000;
    begin_with(&f, 50000);
    assert_int_equal(frame_begin(&f, 60000), POFR_EFULL);
    assert_true(frame_has_header(&f));
    memory.used = 40000;
    assert_int_equal(frame_begin(&f, 60000), 0);
    frame_drop(&f);
    assert_int_equal(memory.used, 40000);
}

static void one_that_is_larger_than_the_share_is_let_through_alone(void **state)
{
    struct frame f;

    (void)state;
    memory.max = 10;
    begin_with(&f, 50000);
    assert_int_equal(frame_begin(&f, 60000), 0);
    frame_drop(&f);
}

static void lengths_that_no_message_has_are_refused(void **state)
{
    struct frame f;

    (void)state;
    begin_with(&f, 60001);
    assert_int_equal(frame_begin(&f, 60000), POFR_ETOOBIG);
    begin_with(&f, 0);
    assert_int_equal(frame_begin(&f, 60000), POFR_EFORMAT);
    begin_with(&f, UINT32_MAX);
    assert_int_equal(frame_begin(&f, 60000), POFR_ETOOBIG);
    assert_int_equal(memory.used, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, set_up)
    const struct CMUnitTest tests[] = {
        T(a_message_is_put_together_in_memory_of_its_size),
        T(what_is_taken_is_counted_until_it_is_released),
        T(small_messages_need_no_share),
        T(a_large_one_waits_for_its_share_and_then_goes_on),
        T(one_that_is_larger_than_the_share_is_let_through_alone),
        T(lengths_that_no_message_has_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
