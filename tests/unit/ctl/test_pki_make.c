/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/pki_make.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/tls/certificate.h"

#define DAY_US   (INT64_C(86400) * 1000000)
#define HOUR_US  (INT64_C(3600) * 1000000)
#define NOW_US   (INT64_C(1790000000) * 1000000)
#define CA_DAYS  3650U
#define SHOW_AT  (NOW_US + DAY_US)
#define AFTER_US (NOW_US + 400 * DAY_US)

struct pair {
    struct buf key;
    struct buf certificate;
};

static struct pair ca;

static struct pair pair_new(void)
{
    struct pair p;

    buf_init(&p.key, PKI_PEM_MAX);
    buf_init(&p.certificate, PKI_PEM_MAX);
    return p;
}

static void pair_free(struct pair *p)
{
    buf_free(&p->key);
    buf_free(&p->certificate);
}

static int make_the_ca(void **state)
{
    (void)state;
    ca = pair_new();
    return pki_make_ca("pofr-ca", CA_DAYS, NOW_US, &ca.key, &ca.certificate, NULL);
}

static int drop_the_ca(void **state)
{
    (void)state;
    pair_free(&ca);
    return 0;
}

static int make(const char *name, const char *names, bool server, uint32_t days, struct pair *p, struct pofr_err *err)
{
    struct pki_wanted wanted = { .name = name, .names = names, .server = server, .days = days, .now_us = NOW_US };

    return pki_make(&wanted, buf_slice(&ca.key), buf_slice(&ca.certificate), &p->key, &p->certificate, err);
}

static void a_ca_signs_itself_and_begins_an_hour_before(void **state)
{
    struct certificate c;

    (void)state;
    assert_int_equal(certificate_parse(buf_slice(&ca.certificate), &c, NULL), 0);
    assert_string_equal(c.subject, "CN=pofr-ca");
    assert_string_equal(c.issuer, "CN=pofr-ca");
    assert_true(c.ca);
    assert_false(c.server || c.client);
    assert_int_equal(c.begins_us, NOW_US - HOUR_US);
    assert_int_equal(c.ends_us, NOW_US + CA_DAYS * DAY_US);
    assert_int_equal(certificate_verify(buf_slice(&ca.certificate), buf_slice(&ca.certificate), SHOW_AT, NULL), 0);
}

static void a_server_has_the_names_that_were_asked_for(void **state)
{
    struct pair p = pair_new();
    struct certificate c;

    (void)state;
    assert_int_equal(make("kafka1", "kafka1.example.org, 10.0.0.5,fd00::1,*.example.org", true, 365, &p, NULL), 0);
    assert_int_equal(certificate_parse(buf_slice(&p.certificate), &c, NULL), 0);
    assert_string_equal(c.subject, "CN=kafka1");
    assert_string_equal(c.issuer, "CN=pofr-ca");
    assert_string_equal(c.names, "DNS:kafka1.example.org,IP:10.0.0.5,IP:fd00:0:0:0:0:0:0:1,DNS:*.example.org");
    assert_true(c.server && c.client && !c.ca);
    assert_int_equal(c.ends_us, NOW_US + 365 * DAY_US);
    assert_int_equal(certificate_verify(buf_slice(&p.certificate), buf_slice(&ca.certificate), SHOW_AT, NULL), 0);
    assert_non_null(strstr(buf_cstr(&p.key), "BEGIN PRIVATE KEY")); /* PKCS #8, which Kafka reads */
    pair_free(&p);
}

static void names_are_the_same_however_an_address_is_written(void **state)
{
    struct pair p = pair_new();
    struct certificate c;

    (void)state;
    assert_int_equal(make("kafka1", "kafka1.example.org, 10.0.0.5,fd00::1", true, 365, &p, NULL), 0);
    assert_int_equal(certificate_parse(buf_slice(&p.certificate), &c, NULL), 0);
    assert_true(certificate_has_names(&c, "kafka1.example.org,10.0.0.5, fd00:0::0:1"));
    assert_false(certificate_has_names(&c, "kafka1.example.org,10.0.0.5"));
    assert_false(certificate_has_names(&c, "kafka1.example.org,10.0.0.5,fd00::1,b"));
    assert_false(certificate_has_names(&c, "kafka2.example.org,10.0.0.5,fd00::1"));
    assert_false(certificate_has_names(&c, ""));
    pair_free(&p);
}

static void a_client_is_no_server(void **state)
{
    struct pair p = pair_new();
    struct certificate c;

    (void)state;
    assert_int_equal(make("pofr-gateway", "", false, 1, &p, NULL), 0);
    assert_int_equal(certificate_parse(buf_slice(&p.certificate), &c, NULL), 0);
    assert_true(c.client && !c.server && !c.ca);
    assert_string_equal(c.names, "");
    pair_free(&p);
}

static void a_key_before_its_certificate_is_passed_over(void **state)
{
    struct pair p = pair_new();
    struct certificate c;

    (void)state;
    assert_int_equal(make("pofr-gateway", "", false, 1, &p, NULL), 0);
    buf_append(&p.key, buf_slice(&p.certificate));
    assert_int_equal(certificate_parse(buf_slice(&p.key), &c, NULL), 0);
    assert_string_equal(c.subject, "CN=pofr-gateway");
    pair_free(&p);
}

static void an_ended_certificate_does_not_verify(void **state)
{
    struct pair p = pair_new();
    struct pofr_err err = { 0 };

    (void)state;
    assert_int_equal(make("pofr-gateway", "", false, 365, &p, NULL), 0);
    assert_int_equal(certificate_verify(buf_slice(&p.certificate), buf_slice(&ca.certificate), AFTER_US, &err),
                     POFR_EREFUSED);
    assert_non_null(strstr(err.text, "expired"));
    assert_int_equal(certificate_verify(buf_slice(&p.certificate), buf_slice(&ca.certificate), 0, NULL), 0);
    pair_free(&p);
}

static void another_ca_of_the_same_name_vouches_for_nothing(void **state)
{
    struct pair other = pair_new();
    struct pair p = pair_new();

    (void)state;
    assert_int_equal(pki_make_ca("pofr-ca", CA_DAYS, NOW_US, &other.key, &other.certificate, NULL), 0);
    assert_int_equal(make("pofr-gateway", "", false, 365, &p, NULL), 0);
    assert_int_equal(certificate_verify(buf_slice(&p.certificate), buf_slice(&other.certificate), SHOW_AT, NULL),
                     POFR_EREFUSED);
    pair_free(&other);
    pair_free(&p);
}

static void nothing_is_good_for_longer_than_its_ca(void **state)
{
    struct pair p = pair_new();
    struct certificate c;

    (void)state;
    assert_int_equal(make("kafka1", "", true, CA_DAYS + 1, &p, NULL), 0);
    assert_int_equal(certificate_parse(buf_slice(&p.certificate), &c, NULL), 0);
    assert_int_equal(c.ends_us, NOW_US + CA_DAYS * DAY_US);
    pair_free(&p);
}

static void a_ca_that_was_renewed_vouches_for_what_it_signed_before(void **state)
{
    struct pair p = pair_new();
    struct buf renewed = BUF_INIT(PKI_PEM_MAX);
    struct certificate c;

    (void)state;
    assert_int_equal(make("kafka1", "", true, 365, &p, NULL), 0);
    assert_int_equal(
        pki_renew_ca(buf_slice(&ca.key), buf_slice(&ca.certificate), CA_DAYS, NOW_US + 300 * DAY_US, &renewed, NULL),
        0);
    assert_int_equal(certificate_parse(buf_slice(&renewed), &c, NULL), 0);
    assert_string_equal(c.subject, "CN=pofr-ca");
    assert_int_equal(c.ends_us, NOW_US + (300 + CA_DAYS) * DAY_US);
    assert_int_equal(certificate_verify(buf_slice(&p.certificate), buf_slice(&renewed), NOW_US + 301 * DAY_US, NULL),
                     0);
    buf_free(&renewed);
    pair_free(&p);
}

static void a_ca_that_has_ended_signs_nothing(void **state)
{
    struct pki_wanted wanted = { .name = "late", .names = "", .days = 1, .now_us = NOW_US + (CA_DAYS + 1) * DAY_US };
    struct pair p = pair_new();

    (void)state;
    assert_int_equal(pki_make(&wanted, buf_slice(&ca.key), buf_slice(&ca.certificate), &p.key, &p.certificate, NULL),
                     POFR_EREFUSED);
    assert_int_equal(p.key.len, 0);
    assert_int_equal(p.certificate.len, 0);
    pair_free(&p);
}

static void a_key_of_another_ca_is_not_taken(void **state)
{
    struct pki_wanted wanted = { .name = "kafka1", .names = "", .days = 1, .now_us = NOW_US };
    struct pair other = pair_new();
    struct pair p = pair_new();

    (void)state;
    assert_int_equal(pki_make_ca("pofr-ca", CA_DAYS, NOW_US, &other.key, &other.certificate, NULL), 0);
    assert_int_equal(pki_make(&wanted, buf_slice(&other.key), buf_slice(&ca.certificate), &p.key, &p.certificate, NULL),
                     POFR_ECONFLICT);
    assert_int_equal(pki_make(&wanted, slice_str("no key"), buf_slice(&ca.certificate), &p.key, &p.certificate, NULL),
                     POFR_EFORMAT);
    pair_free(&other);
    pair_free(&p);
}

static void names_that_would_say_something_else_are_refused(void **state)
{
    static const char *const bad[] = { "a b", "a/b", "x\nDNS:evil", "DNS:evil", "-x", ",", "a,,b", "10.0.0.5/24", "*" };
    struct pair p = pair_new();

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(make("kafka1", bad[i], true, 1, &p, NULL), POFR_EUSAGE);
    }
    assert_int_equal(make("../etc", "", true, 1, &p, NULL), POFR_EUSAGE);
    assert_int_equal(make("CN=x,O=y", "", true, 1, &p, NULL), POFR_EUSAGE);
    pair_free(&p);
}

static void of_several_the_first_or_the_last_end_is_told(void **state)
{
    struct pair one = pair_new();
    struct buf both = BUF_INIT(2 * PKI_PEM_MAX);
    int64_t end_us = 0;

    (void)state;
    assert_int_equal(make("kafka1", "", true, 365, &one, NULL), 0);
    buf_append(&both, buf_slice(&one.certificate));
    buf_append(&both, buf_slice(&ca.certificate));
    assert_int_equal(certificate_end(buf_slice(&both), false, &end_us, NULL), 0);
    assert_int_equal(end_us, NOW_US + 365 * DAY_US);
    assert_int_equal(certificate_end(buf_slice(&both), true, &end_us, NULL), 0);
    assert_int_equal(end_us, NOW_US + CA_DAYS * DAY_US);
    buf_free(&both);
    pair_free(&one);
}

static void what_is_no_certificate_is_an_error_wherever_it_is_cut(void **state)
{
    struct slice whole = buf_slice(&ca.certificate);
    struct certificate c;
    int64_t end_us = 7;

    (void)state;
    for (size_t len = 0; len + 2 < whole.len; len++) { /* without its last dash and newline it is still there */
        assert_int_equal(certificate_parse(slice_of(whole.data, len), &c, NULL), POFR_EFORMAT);
    }
    assert_int_equal(certificate_end(slice_str("nothing"), false, &end_us, NULL), POFR_EFORMAT);
    assert_int_equal(end_us, 7);
    assert_int_equal(certificate_end(buf_slice(&ca.key), false, &end_us, NULL), POFR_EFORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ca_signs_itself_and_begins_an_hour_before),
        cmocka_unit_test(a_server_has_the_names_that_were_asked_for),
        cmocka_unit_test(names_are_the_same_however_an_address_is_written),
        cmocka_unit_test(a_client_is_no_server),
        cmocka_unit_test(a_key_before_its_certificate_is_passed_over),
        cmocka_unit_test(an_ended_certificate_does_not_verify),
        cmocka_unit_test(another_ca_of_the_same_name_vouches_for_nothing),
        cmocka_unit_test(nothing_is_good_for_longer_than_its_ca),
        cmocka_unit_test(a_ca_that_was_renewed_vouches_for_what_it_signed_before),
        cmocka_unit_test(a_ca_that_has_ended_signs_nothing),
        cmocka_unit_test(a_key_of_another_ca_is_not_taken),
        cmocka_unit_test(names_that_would_say_something_else_are_refused),
        cmocka_unit_test(of_several_the_first_or_the_last_end_is_told),
        cmocka_unit_test(what_is_no_certificate_is_an_error_wherever_it_is_cut),
    };

    return cmocka_run_group_tests(tests, make_the_ca, drop_the_ca);
}
