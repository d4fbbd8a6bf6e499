/* SPDX-License-Identifier: GPL-2.0-or-later */
/* With real certificates: tests/suites/tls.sh. */
#include "common/tls/tls_expiry.h"

#include <string.h>

#include "common/base/buf.h"
#include "tests/support/check.h"

static const struct tls_files plain = { .ca_file = "/nonexistent/ca", .certificate_file = "/nonexistent/own" };
static const struct tls_files gone = {
    .on = true, .ca_file = "/nonexistent/ca", .certificate_file = "/nonexistent/own", .key_file = ""
};
static const struct tls_files nameless = {
    .on = true, .ca_file = "/nonexistent/ca", .certificate_file = "", .key_file = ""
};

static void connections_without_tls_have_no_line(void **state)
{
    const struct tls_use uses[] = { { "kafka", &plain }, { "catalog", &plain } };
    struct buf out = BUF_INIT(4096);

    (void)state;
    tls_expiry_write(uses, 2, &out);
    assert_int_equal(out.len, 0);
    buf_free(&out);
}

static void a_file_that_cannot_be_read_ended_long_ago(void **state)
{
    const struct tls_use uses[] = { { "kafka", &gone }, { "catalog", &plain }, { "shard", &nameless } };
    struct buf out = BUF_INIT(4096);
    const char *text;

    (void)state;
    tls_expiry_write(uses, 3, &out);
    text = buf_cstr(&out);
    assert_non_null(text);
    assert_non_null(strstr(text, "{use=\"kafka\",file=\"certificate\"} 0\n"));
    assert_non_null(strstr(text, "{use=\"kafka\",file=\"ca\"} 0\n"));
    assert_non_null(strstr(text, "{use=\"shard\",file=\"ca\"} 0\n"));
    assert_null(strstr(text, "{use=\"shard\",file=\"certificate\"}"));
    assert_null(strstr(text, "catalog"));
    buf_free(&out);
}

static void an_error_tells_of_our_certificate_where_we_have_one(void **state)
{
    char text[128];

    (void)state;
    tls_expiry_explain(&plain, text, sizeof(text));
    assert_string_equal(text, "");
    tls_expiry_explain(&nameless, text, sizeof(text));
    assert_string_equal(text, "");
    tls_expiry_explain(&gone, text, sizeof(text));
    assert_string_equal(text, "; our certificate /nonexistent/own can't be read");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_without_tls_have_no_line),
        cmocka_unit_test(a_file_that_cannot_be_read_ended_long_ago),
        cmocka_unit_test(an_error_tells_of_our_certificate_where_we_have_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
