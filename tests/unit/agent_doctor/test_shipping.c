/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/doctor/shipping.h"

#include <string.h>

#include "agent/collect/status.h"
#include "common/base/err.h"
#include "tests/support/check.h"

/* What status.c makes of it, read again. */
static struct shipping round_trip(const struct status_shipper *shipper)
{
    struct status_in in = { .shipper = *shipper };
    struct buf text = BUF_INIT(65536);
    struct shipping s;

    status_text(&in, IPC_STATUS_JSON, &text);
    assert_int_equal(shipping_parse(buf_slice(&text), &s), 0);
    buf_free(&text);
    return s;
}

static void a_refusal_is_read_from_the_status(void **state)
{
    struct status_shipper told = { .told = true,
                                   .gateway = "127.0.0.1:2222",
                                   .last_error = "the gateway refuses: \"revoked\": C:\\x0a" };
    struct shipping s = round_trip(&told);

    (void)state;
    assert_false(s.connected);
    assert_string_equal(s.gateway, told.gateway);
    assert_string_equal(s.last_error, told.last_error);
}

static void a_session_is_read_from_the_status(void **state)
{
    struct status_shipper told = { .told = true, .connected = true, .gateway = "[::1]:2222" };
    struct shipping s = round_trip(&told);

    (void)state;
    assert_true(s.connected);
    assert_string_equal(s.gateway, "[::1]:2222");
    assert_string_equal(s.last_error, "");
}

static void a_cut_answer_is_none(void **state)
{
    static const char whole[] = "{\"connected\":1,\"gateway\":\"g\",\"last_error\":\"a\\\"b\"}";
    struct shipping s = { .gateway = "before" };

    (void)state;
    for (size_t n = 0; n < sizeof(whole) - 2; n++) {
        assert_int_equal(shipping_parse(slice_of(whole, n), &s), POFR_EFORMAT);
    }
    assert_string_equal(s.gateway, "before");
    assert_int_equal(shipping_parse(slice_str(whole), &s), 0);
    assert_string_equal(s.last_error, "a\"b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refusal_is_read_from_the_status),
        cmocka_unit_test(a_session_is_read_from_the_status),
        cmocka_unit_test(a_cut_answer_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
