/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>

#include "common/kafka/client.h"

static char file[64];
static const struct kafka_access by_file = { .properties_file = file };

static void write_properties(const char *text, mode_t mode)
{
    FILE *f = fopen(file, "w");

    assert_non_null(f);
    assert_int_equal(fputs(text, f) >= 0, 1);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(file, mode), 0);
}

static int make_file(void **state)
{
    int fd;

    (void)state;
    snprintf(file, sizeof(file), "/tmp/pofr-test-client-XXXXXX");
    fd = mkstemp(file);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(file);
}

static void expect_code(const char *text, int code, const char *words)
{
    struct rd_kafka_conf_s *conf = NULL;
    struct pofr_err err;

    write_properties(text, 0600);
    assert_int_equal(kafka_conf_new("127.0.0.1:1", &by_file, "pofr-test", &conf, &err), code);
    if (code == 0) {
        rd_kafka_conf_destroy(conf);
    } else {
        assert_non_null(strstr(err.text, words));
    }
}

static void how_to_reach_the_brokers_is_taken_from_the_file(void **state)
{
    struct rd_kafka_conf_s *conf = NULL;
    char value[64];
    size_t size = sizeof(value);

    (void)state;
    write_properties("# a comment\n\n security.protocol = sasl_plaintext \nsocket.keepalive.enable=true", 0600);
    assert_int_equal(kafka_conf_new("127.0.0.1:1", &by_file, "pofr-test", &conf, NULL), 0);
    assert_int_equal(rd_kafka_conf_get(conf, "security.protocol", value, &size), RD_KAFKA_CONF_OK);
    assert_string_equal(value, "sasl_plaintext");
    size = sizeof(value);
    assert_int_equal(rd_kafka_conf_get(conf, "bootstrap.servers", value, &size), RD_KAFKA_CONF_OK);
    assert_string_equal(value, "127.0.0.1:1");
    rd_kafka_conf_destroy(conf);
}

static void how_we_produce_and_consume_is_not_for_the_file(void **state)
{
    (void)state;
    expect_code("acks=1\n", POFR_ECONFIG, ":1: acks is not for this file");
    expect_code("\nenable.idempotence=false\n", POFR_ECONFIG, ":2:");
    expect_code("bootstrap.servers=elsewhere:9092\n", POFR_ECONFIG, "not for this file");
    expect_code("isolation.level=read_uncommitted\n", POFR_ECONFIG, "not for this file");
}

static void nonsense_is_refused_with_its_line(void **state)
{
    (void)state;
    expect_code("security.protocol=plaintext\nwhat is this\n", POFR_ECONFIG, ":2: name = value");
    expect_code("security.protocol=carrier-pigeon\n", POFR_ECONFIG, "security.protocol");
}

static void a_file_that_others_can_read_is_refused(void **state)
{
    struct rd_kafka_conf_s *conf = NULL;

    (void)state;
    write_properties("sasl.password=x\n", 0644);
    assert_int_equal(kafka_conf_new("127.0.0.1:1", &by_file, "pofr-test", &conf, NULL), POFR_EPERMISSION);
}

static void expect_property(const struct rd_kafka_conf_s *conf, const char *name, const char *want)
{
    char value[128];
    size_t size = sizeof(value);

    assert_int_equal(rd_kafka_conf_get(conf, name, value, &size), RD_KAFKA_CONF_OK);
    assert_string_equal(value, want);
}

static void tls_verifies_the_broker_and_its_name(void **state)
{
    const struct kafka_access a = { .tls = { .on = true, .ca_file = file, .certificate_file = file, .key_file = "" } };
    struct rd_kafka_conf_s *conf = NULL;

    (void)state;
    assert_int_equal(kafka_conf_new("127.0.0.1:1", &a, "pofr-test", &conf, NULL), 0);
    expect_property(conf, "security.protocol", "ssl");
    expect_property(conf, "ssl.ca.location", file);
    expect_property(conf, "ssl.certificate.location", file);
    expect_property(conf, "ssl.key.location", file);
    expect_property(conf, "enable.ssl.certificate.verification", "true");
    expect_property(conf, "ssl.endpoint.identification.algorithm", "https");
    rd_kafka_conf_destroy(conf);
}

static void a_user_goes_by_the_mechanism_that_was_named(void **state)
{
    struct kafka_access a = { .tls = { .on = true, .ca_file = file, .certificate_file = "" },
                              .user = "pofr-gateway",
                              .password_file = file };

    (void)state;
    write_properties("opensesame\n", 0600);
    for (a.mechanism = 0; kafka_mechanisms[a.mechanism]; a.mechanism++) {
        struct rd_kafka_conf_s *conf = NULL;

        assert_int_equal(kafka_conf_new("127.0.0.1:1", &a, "pofr-test", &conf, NULL), 0);
        expect_property(conf, "security.protocol", "sasl_ssl");
        expect_property(conf, "sasl.mechanisms", kafka_mechanisms[a.mechanism]);
        rd_kafka_conf_destroy(conf);
    }
    assert_int_equal(a.mechanism, 3);
}

static void a_user_goes_by_scram_inside_tls_alone(void **state)
{
    struct kafka_access a = { .tls = { .on = true, .ca_file = file, .certificate_file = "" },
                              .user = "pofr-gateway",
                              .password_file = file };
    struct rd_kafka_conf_s *conf = NULL;
    struct pofr_err err;

    (void)state;
    write_properties("opensesame\n", 0600);
    assert_int_equal(kafka_conf_new("127.0.0.1:1", &a, "pofr-test", &conf, NULL), 0);
    expect_property(conf, "security.protocol", "sasl_ssl");
    expect_property(conf, "sasl.mechanisms", "SCRAM-SHA-512");
    expect_property(conf, "sasl.username", "pofr-gateway");
    expect_property(conf, "sasl.password", "opensesame");
    rd_kafka_conf_destroy(conf);
    conf = NULL;
    a.tls.on = false;
    assert_int_equal(kafka_conf_new("127.0.0.1:1", &a, "pofr-test", &conf, &err), POFR_ECONFIG);
    assert_non_null(strstr(err.text, "needs tls"));
}

static void what_is_no_certificate_makes_no_client(void **state)
{
    const struct kafka_access plain = { 0 };
    const struct kafka_access a = { .tls = { .on = true, .ca_file = file, .certificate_file = "", .key_file = "" } };
    struct pofr_err err;

    (void)state;
    write_properties("no certificate\n", 0600);
    assert_int_equal(kafka_access_try(&plain, NULL), 0);
    assert_int_equal(kafka_access_try(&a, &err), POFR_ECONFIG);
    assert_non_null(strstr(err.text, "ssl.ca.location"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(how_to_reach_the_brokers_is_taken_from_the_file, make_file, remove_file),
        cmocka_unit_test_setup_teardown(how_we_produce_and_consume_is_not_for_the_file, make_file, remove_file),
        cmocka_unit_test_setup_teardown(nonsense_is_refused_with_its_line, make_file, remove_file),
        cmocka_unit_test_setup_teardown(a_file_that_others_can_read_is_refused, make_file, remove_file),
        cmocka_unit_test_setup_teardown(tls_verifies_the_broker_and_its_name, make_file, remove_file),
        cmocka_unit_test_setup_teardown(a_user_goes_by_scram_inside_tls_alone, make_file, remove_file),
        cmocka_unit_test_setup_teardown(a_user_goes_by_the_mechanism_that_was_named, make_file, remove_file),
        cmocka_unit_test_setup_teardown(what_is_no_certificate_makes_no_client, make_file, remove_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
