/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/check.h"

#include <string.h>

#include "common/base/err.h"
#include "common/record/limits.h"
#include "gateway/gateway_conf.h"

#define LEAST "[kafka]\nbrokers = 127.0.0.1:9092\n[catalog]\naddress = 127.0.0.1:3306\n"

static int parse(const char *text, struct conf **out, struct pofr_err *err)
{
    return conf_parse(&gateway_conf_table, slice_str(text), "gateway.conf", out, err);
}

static void the_least_file_has_good_defaults(void **state)
{
    const struct gateway_conf *c;
    struct conf *conf = NULL;

    (void)state;
    assert_int_equal(parse(LEAST, &conf, NULL), 0);
    c = (const struct gateway_conf *)conf_values(conf);
    assert_int_equal(c->listen.count, 1);
    assert_string_equal(c->topic, "pofr.snapshots");
    assert_string_equal(c->catalog_database, "pofr_catalog");
    assert_int_equal(c->bundle_max, BUNDLE_MAX);
    assert_int_equal(c->auth_us, 10000000);
    assert_true(c->refresh_us <= 8000000); /* a retired host is cut within 10 s */
    assert_true(c->session_memory <= c->memory);
    conf_free(conf);
}

static void without_brokers_or_catalog_it_is_refused(void **state)
{
    struct conf *conf = NULL;
    struct pofr_err err;

    (void)state;
    assert_int_equal(parse("[catalog]\naddress = 127.0.0.1:3306\n", &conf, &err), POFR_ECONFIG);
    assert_non_null(strstr(err.text, "brokers"));
    assert_int_equal(parse("[kafka]\nbrokers = a:1\n", &conf, &err), POFR_ECONFIG);
    assert_non_null(strstr(err.text, "address"));
}

static void addresses_that_are_none_are_refused(void **state)
{
    struct conf *conf = NULL;
    struct pofr_err err;

    (void)state;
    assert_int_equal(parse(LEAST "[gateway]\nlisten = 0.0.0.0\n", &conf, &err), POFR_ECONFIG);
    assert_non_null(strstr(err.text, "listen"));
    assert_int_equal(parse("[kafka]\nbrokers = a:1\n[catalog]\naddress = :3306\n", &conf, &err), POFR_ECONFIG);
    assert_non_null(strstr(err.text, "address"));
}

static void a_refresh_that_would_let_a_retired_host_go_on_is_refused(void **state)
{
    struct conf *conf = NULL;

    (void)state;
    assert_int_equal(parse(LEAST "refresh = 1min\n", &conf, NULL), POFR_ECONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_file_has_good_defaults),
        cmocka_unit_test(without_brokers_or_catalog_it_is_refused),
        cmocka_unit_test(addresses_that_are_none_are_refused),
        cmocka_unit_test(a_refresh_that_would_let_a_retired_host_go_on_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
