/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/kafka/client.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

#include "common/base/buf.h"
#include "common/os/fsio.h"

#define PROPERTIES_MAX 64u

int kafka_conf_set(struct rd_kafka_conf_s *conf, const char *name, const char *value, struct pofr_err *err)
{
    char why[160];

    if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) != RD_KAFKA_CONF_OK) {
        return pofr_err_set(err, POFR_ECONFIG, "kafka property %s: %s", name, why);
    }
    return 0;
}

static bool is_allowed(struct slice name)
{
    static const char *const prefixes[] = { "security.",   "ssl.",         "sasl.",
                                            "enable.ssl.", "enable.sasl.", "socket.",
                                            "broker.",     "metadata.",    "topic.metadata.",
                                            "reconnect.",  "connections.", "client.rack",
                                            "debug" };
    size_t i;

    for (i = 0; i < pofr_countof(prefixes); i++) {
        if (slice_starts_with(name, slice_str(prefixes[i]))) {
            return true;
        }
    }
    return false;
}

static int apply_line(struct rd_kafka_conf_s *conf, const char *file, unsigned line_number, struct slice line,
                      struct pofr_err *err)
{
    char name[128], value[1024];
    struct slice n;
    int rc;

    line = slice_trim(line);
    if (slice_empty(line) || line.data[0] == '#') {
        return 0;
    }
    if (slice_find(line, '=') == line.len) {
        return pofr_err_set(err, POFR_ECONFIG, "%s:%u: name = value is wanted", file, line_number);
    }
    n = slice_trim(slice_split(&line, '='));
    line = slice_trim(line);
    if (n.len >= sizeof(name) || line.len >= sizeof(value) || slice_find(n, 0) < n.len ||
        slice_find(line, 0) < line.len) {
        return pofr_err_set(err, POFR_ECONFIG, "%s:%u: too long", file, line_number);
    }
    snprintf(name, sizeof(name), "%.*s", SLICE_FMT(n));
    snprintf(value, sizeof(value), "%.*s", SLICE_FMT(line));
    if (!is_allowed(n)) {
        rc = pofr_err_set(err, POFR_ECONFIG, "%s:%u: %s is not for this file", file, line_number, name);
    } else {
        rc = kafka_conf_set(conf, name, value, err);
    }
    explicit_bzero(value, sizeof(value));
    return rc;
}

static int apply_file(struct rd_kafka_conf_s *conf, const char *file, struct pofr_err *err)
{
    struct buf text = BUF_INIT(65536);
    struct slice rest;
    unsigned line_number = 0;
    int rc;

    rc = fsio_read_secret(file, &text, err);
    rest = buf_slice(&text);
    while (rc == 0 && !slice_empty(rest)) {
        line_number++;
        rc = line_number > PROPERTIES_MAX
                 ? pofr_err_set(err, POFR_ECONFIG, "%s: more than %u lines", file, PROPERTIES_MAX)
                 : apply_line(conf, file, line_number, slice_split(&rest, '\n'), err);
    }
    if (text.data) {
        explicit_bzero(text.data, text.cap);
    }
    buf_free(&text);
    return rc;
}

int kafka_conf_new(const char *brokers, const char *properties_file, const char *program, struct rd_kafka_conf_s **out,
                   struct pofr_err *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char id[64];
    int rc;

    if (!conf) {
        return pofr_err_set(err, POFR_ENOMEM, "kafka configuration: out of memory");
    }
    snprintf(id, sizeof(id), "%.63s", program);
    rc = properties_file && properties_file[0] ? apply_file(conf, properties_file, err) : 0;
    if (rc == 0) {
        rc = kafka_conf_set(conf, "bootstrap.servers", brokers, err);
    }
    if (rc == 0) {
        rc = kafka_conf_set(conf, "client.id", id, err);
    }
    if (rc == 0) { /* a broker that closes idle connections is nothing to talk about */
        rc = kafka_conf_set(conf, "log.connection.close", "false", err);
    }
    if (rc != 0) {
        rd_kafka_conf_destroy(conf);
        return rc;
    }
    *out = conf;
    return 0;
}
