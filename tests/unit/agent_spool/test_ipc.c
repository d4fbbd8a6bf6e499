/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/collect/ipc.h"
#include "common/base/err.h"

static const struct ipc_message samples[] = {
    { .type = IPC_STATE },
    { .type = IPC_KEY },
    { .type = IPC_DONE },
    { .type = IPC_SIGN, .sign = { SLICE_LITERAL("blob") } },
    { .type = IPC_ACKED, .acked = { 7, { 1, 2, 3 } } },
    { .type = IPC_REFUSED, .refused = { 8, { 4 }, 2, SLICE_LITERAL("host is not the key's") } },
    { .type = IPC_WANTED, .wanted = { 2, { { 1, 3 }, { 9, 9 } } } },
    { .type = IPC_STATUS, .status = { IPC_STATUS_METRICS } },
    { .type = IPC_ENTERED, .entered = { { 9 } } },
    { .type = IPC_SHIPPER, .shipper = { true, 5, 6, 7, 8, 9, SLICE_LITERAL("gw:2222"), SLICE_LITERAL("") } },
    { .type = IPC_STATE_IS, .state_is = { .oldest = 1, .newest = 99, .acked = 12 } },
    { .type = IPC_KEY_IS, .key_is = { { 1 }, { 2 } } },
    { .type = IPC_SIGNED, .is_signed = { { 3 } } },
    { .type = IPC_ERROR, .error = { IPC_ERROR_LATER, 1000 } },
    { .type = IPC_TEXT, .text = { SLICE_LITERAL("ticks 5\n") } },
    { .type = IPC_NEW, .news = { 1, 2, 3 } },
};

static void every_message_comes_back_as_it_was_put(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        struct buf a = BUF_INIT(4096), b = BUF_INIT(4096);
        struct ipc_message m;

        assert_int_equal(ipc_put(&samples[i], &a), 0);
        assert_int_equal(ipc_get(buf_slice(&a), &m), 0);
        assert_int_equal(m.type, samples[i].type);
        assert_int_equal(ipc_put(&m, &b), 0);
        assert_true(slice_eq(buf_slice(&a), buf_slice(&b)));
        assert_string_not_equal(ipc_type_name(m.type), "unknown");
        buf_free(&a);
        buf_free(&b);
    }
}

static void a_cut_or_longer_packet_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        struct buf a = BUF_INIT(4096);
        struct ipc_message m;

        assert_int_equal(ipc_put(&samples[i], &a), 0);
        for (size_t cut = 0; cut < a.len; cut++) {
            uint8_t *copy = malloc(cut + 1);

            memcpy(copy, a.data, cut);
            assert_int_not_equal(ipc_get(slice_of(copy, cut), &m), 0);
            free(copy);
        }
        buf_u8(&a, 0);
        assert_int_not_equal(ipc_get(buf_slice(&a), &m), 0);
        buf_free(&a);
    }
}

static void a_type_that_is_not_known_is_said_to_be(void **state)
{
    const uint8_t packet[] = { 200, 1, 2, 3 };
    struct ipc_message m;

    (void)state;
    assert_int_equal(ipc_get(slice_of(packet, sizeof(packet)), &m), POFR_EUNSUPPORTED);
}

static void what_is_over_its_limit_is_not_put(void **state)
{
    static uint8_t big[IPC_BLOB_MAX + 1];
    struct ipc_message m = { .type = IPC_SIGN, .sign = { { big, sizeof(big) } } };
    struct buf b = BUF_INIT(4096);

    (void)state;
    assert_int_equal(ipc_put(&m, &b), POFR_ETOOBIG);
    assert_int_equal(b.len, 0);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_comes_back_as_it_was_put),
        cmocka_unit_test(a_cut_or_longer_packet_is_refused),
        cmocka_unit_test(a_type_that_is_not_known_is_said_to_be),
        cmocka_unit_test(what_is_over_its_limit_is_not_put),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
