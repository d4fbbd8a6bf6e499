/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/kafka/client.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

#include "common/base/buf.h"
#include "common/os/clock.h"
#include "common/os/fsio.h"
#include "common/tls/certificate.h"

#define PROPERTIES_MAX 64u
#define SLICE_MS       500
#define SCRAM_MENDED   0x020601ff /* librdkafka 2.6.1 */

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

const char *const kafka_mechanisms[] = { "SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN", NULL };

/* --- TLS and SASL ------------------------------------------------------------------------------------- */

static int apply_password(struct rd_kafka_conf_s *conf, const char *file, struct pofr_err *err)
{
    struct buf password = BUF_INIT(65536);
    int rc = fsio_read_secret(file, &password, err);

    if (rc == 0) {
        const char *text = buf_cstr(&password);

        rc = text ? kafka_conf_set(conf, "sasl.password", text, err) : POFR_ENOMEM;
    }
    if (password.data) {
        explicit_bzero(password.data, password.cap);
    }
    buf_free(&password);
    return rc;
}

static int apply_pairs(struct rd_kafka_conf_s *conf, const char *const (*pairs)[2], size_t count, struct pofr_err *err)
{
    int rc = 0;

    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = pairs[i][1][0] ? kafka_conf_set(conf, pairs[i][0], pairs[i][1], err) : 0;
    }
    return rc;
}

/* Only to say what is wrong: what OpenSSL has found wrong stays wrong. librdkafka's threads. */
static int on_certificate(rd_kafka_t *rk, const char *broker_name, int32_t broker_id, int *x509_error, int depth,
                          const char *certificate, size_t size, char *why, size_t why_size, void *opaque)
{
    (void)rk;
    (void)broker_name;
    (void)broker_id;
    (void)depth;
    (void)certificate;
    (void)size;
    (void)opaque;
    if (*x509_error == 0) {
        return 1;
    }
    snprintf(why, why_size, "%s", certificate_fault(*x509_error));
    return 0;
}

static int apply_tls(struct rd_kafka_conf_s *conf, const struct kafka_access *a, struct pofr_err *err)
{
    bool with_user = a->user && a->user[0];
    struct tls_paths paths;
    int rc = tls_files_find(&a->tls, &paths, err);

    if (rc == 0) {
        const char *const pairs[][2] = {
            { "security.protocol", with_user ? "sasl_ssl" : "ssl" },
            { "ssl.ca.location", paths.ca },
            { "ssl.certificate.location", paths.certificate },
            { "ssl.key.location", paths.key },
            { "enable.ssl.certificate.verification", "true" },
            { "ssl.endpoint.identification.algorithm", "https" }, /* versions differ in what they do by themselves */
        };

        rc = apply_pairs(conf, pairs, pofr_countof(pairs), err);
    }
    if (rc == 0 && rd_kafka_conf_set_ssl_cert_verify_cb(conf, on_certificate) != RD_KAFKA_CONF_OK) {
        rc = pofr_err_set(err, POFR_ECONFIG, "this librdkafka has no TLS");
    }
    if (rc == 0 && with_user) {
        const char *const pairs[][2] = { { "sasl.mechanisms", kafka_mechanisms[a->mechanism] },
                                         { "sasl.username", a->user } };

        rc = apply_pairs(conf, pairs, pofr_countof(pairs), err);
        rc = rc ? rc : apply_password(conf, a->password_file ? a->password_file : "", err);
    }
    return rc;
}

static int apply_access(struct rd_kafka_conf_s *conf, const struct kafka_access *a, struct pofr_err *err)
{
    int rc = a->properties_file && a->properties_file[0] ? apply_file(conf, a->properties_file, err) : 0;

    if (rc == 0 && a->tls.on) {
        rc = apply_tls(conf, a, err);
    } else if (rc == 0 && a->user && a->user[0]) {
        rc = pofr_err_set(err, POFR_ECONFIG, "[kafka] user needs tls = yes: its password goes over no open connection");
    }
    return rc;
}

int kafka_conf_new(const char *brokers, const struct kafka_access *access, const char *program,
                   struct rd_kafka_conf_s **out, struct pofr_err *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char id[192];
    int rc;

    if (!conf) {
        return pofr_err_set(err, POFR_ENOMEM, "kafka configuration: out of memory");
    }
    snprintf(id, sizeof(id), "%.191s", program);
    rc = access ? apply_access(conf, access, err) : 0;
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

/* --- why brokers do not answer --------------------------------------------------------------------------- */

/*
 * What librdkafka has to say comes back as error codes, but for what is wrong with a broker's certificate: "…Certificate
 * (subject=…, issuer=…) verification callback failed: REASON". Its threads.
 */
static void keep_fault(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    static const char mark[] = " verification callback failed: ";
    struct kafka_notes *n = (struct kafka_notes *)rd_kafka_opaque(rk);
    const char *whose = strstr(text, "(subject=");
    const char *reason = whose ? strstr(whose, mark) : NULL;

    (void)level;
    if (strcmp(facility, "SSLCERTVRFY") != 0) {
        return;
    }
    pthread_mutex_lock(&n->lock);
    if (reason) {
        snprintf(n->fault, sizeof(n->fault), "%s %.*s", reason + sizeof(mark) - 1, (int)(reason - whose), whose);
    } else {
        snprintf(n->fault, sizeof(n->fault), "%s", text);
    }
    pthread_mutex_unlock(&n->lock);
}

/* "ssl://kafka1.example.org:9093/1", "…/bootstrap": the same broker, and one of these may be told for both. */
static void note_end(struct kafka_notes *n, const char *broker, int64_t ends_us)
{
    const char *scheme = strstr(broker, "://");
    struct slice name = slice_str(scheme ? scheme + 3 : broker);
    size_t at = 0;

    name = slice_sub(name, 0, slice_find(name, '/'));
    pthread_mutex_lock(&n->lock);
    while (at < n->peers_count && !slice_eq_str(name, n->peers[at].name)) {
        at++;
    }
    if (at < KAFKA_PEERS_MAX && name.len < sizeof(n->peers[0].name)) {
        snprintf(n->peers[at].name, sizeof(n->peers[at].name), "%.*s", SLICE_FMT(name));
        n->peers[at].ends_us = ends_us;
        n->peers_count = at < n->peers_count ? n->peers_count : at + 1;
    }
    pthread_mutex_unlock(&n->lock);
}

/* on_certificate() for clients whose opaque is their notes. */
static int note_certificate(rd_kafka_t *rk, const char *broker_name, int32_t broker_id, int *x509_error, int depth,
                            const char *certificate, size_t size, char *why, size_t why_size, void *opaque)
{
    int good = on_certificate(rk, broker_name, broker_id, x509_error, depth, certificate, size, why, why_size, opaque);
    int64_t ends_us;

    if (good && depth == 0 && certificate_der_end(slice_of(certificate, size), &ends_us) == 0) {
        note_end((struct kafka_notes *)opaque, broker_name, ends_us);
    }
    return good;
}

size_t kafka_notes_peers(struct kafka_notes *n, struct kafka_peer out[KAFKA_PEERS_MAX])
{
    size_t count;

    pthread_mutex_lock(&n->lock);
    count = n->peers_count;
    memcpy(out, n->peers, count * sizeof(out[0]));
    pthread_mutex_unlock(&n->lock);
    return count;
}

void kafka_notes_init(struct kafka_notes *n)
{
    pthread_mutex_init(&n->lock, NULL);
    n->fault[0] = 0;
    n->peers_count = 0;
}

void kafka_notes_fini(struct kafka_notes *n)
{
    pthread_mutex_destroy(&n->lock);
}

void kafka_notes_take(struct kafka_notes *n, const struct kafka_access *access, struct rd_kafka_conf_s *conf)
{
    if (access && access->tls.on) {
        (void)rd_kafka_conf_set_ssl_cert_verify_cb(conf, note_certificate); /* there was one already */
    }
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_ERROR);
    rd_kafka_conf_set_opaque(conf, n);
    rd_kafka_conf_set_log_cb(conf, keep_fault);
}

/* An alert in place of an answer is a broken connection to librdkafka; OpenSSL's words tell. */
static bool is_lasting(rd_kafka_resp_err_t e, const char *text)
{
    return e == RD_KAFKA_RESP_ERR__SSL || e == RD_KAFKA_RESP_ERR__AUTHENTICATION || strstr(text, "SSL routines");
}

/* "error:0A000416:SSL routines::sslv3 alert certificate unknown: SSL alert number 46": what it says is in the end. */
static void shorten(char *text)
{
    static const char mark[] = "SSL routines::";
    char *from = strstr(text, "error:");
    char *to = from ? strstr(from, mark) : NULL;

    if (to) {
        to += sizeof(mark) - 1;
        memmove(from, to, strlen(to) + 1);
    }
}

/*
 * Before 2.6.1 librdkafka appends its nonce a second time. Brokers let that pass until 3.9; from 4.0 on they call it a wrong
 * password, and so may it be.
 */
static void tell_of_scram(rd_kafka_resp_err_t e, char *text, size_t size)
{
    if (e == RD_KAFKA_RESP_ERR__AUTHENTICATION && strstr(text, "SCRAM") && rd_kafka_version() < SCRAM_MENDED) {
        snprintf(
            text, size,
            "SASL authentication failed: a wrong user or password, or a broker from 4.0 on, which takes no SCRAM from "
            "librdkafka %s ([kafka] mechanism)",
            rd_kafka_version_str());
    }
}

bool kafka_notes_read(struct kafka_notes *n, struct rd_kafka_s *rk, char *text, size_t size)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_get_main(rk);
    rd_kafka_event_t *event;
    bool lasting = false;

    text[0] = 0;
    while ((event = rd_kafka_queue_poll(queue, 0)) != NULL) {
        rd_kafka_resp_err_t e = rd_kafka_event_error(event);

        if (e != RD_KAFKA_RESP_ERR_NO_ERROR && e != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) { /* that says nothing more */
            snprintf(text, size, "%s", rd_kafka_event_error_string(event));
            lasting = lasting || is_lasting(e, text);
            shorten(text);
            tell_of_scram(e, text, size);
        }
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    pthread_mutex_lock(&n->lock);
    if (n->fault[0] && text[0]) { /* librdkafka's own words speak of the CA, whatever it was */
        snprintf(text, size, KAFKA_BROKERS_FAULT "%s", n->fault);
        lasting = true;
    }
    n->fault[0] = 0;
    pthread_mutex_unlock(&n->lock);
    return lasting;
}

int kafka_metadata(struct kafka_notes *n, struct rd_kafka_s *rk, bool all_topics, const struct rd_kafka_metadata **out,
                   int timeout_ms, char *text, size_t size)
{
    int64_t limit_us = clock_mono_us() + (int64_t)timeout_ms * CLOCK_US_PER_MS;
    bool lasting = false;
    rd_kafka_resp_err_t e;

    text[0] = 0;
    do {
        int left_ms = (int)((limit_us - clock_mono_us()) / CLOCK_US_PER_MS);
        char newest[200];

        e = rd_kafka_metadata(rk, all_topics, NULL, out, left_ms < SLICE_MS ? (left_ms > 1 ? left_ms : 1) : SLICE_MS);
        if (e != RD_KAFKA_RESP_ERR_NO_ERROR) {
            lasting = kafka_notes_read(n, rk, newest, sizeof(newest));
            if (newest[0]) {
                snprintf(text, size, "%s", newest);
            }
        }
    } while ((e == RD_KAFKA_RESP_ERR__TIMED_OUT || e == RD_KAFKA_RESP_ERR__TRANSPORT) && !lasting &&
             clock_mono_us() < limit_us);
    return e;
}

int kafka_access_try(const struct kafka_access *access, struct pofr_err *err)
{
    struct rd_kafka_conf_s *conf = NULL;
    rd_kafka_t *rk;
    char why[200];
    int rc = kafka_conf_new("", access, "pofr-try", &conf, err);

    if (rc != 0) {
        return rc;
    }
    rd_kafka_conf_set_log_cb(conf, NULL); /* what is wrong comes back as text */
    rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    if (!rk) {
        rd_kafka_conf_destroy(conf);
        return pofr_err_set(err, POFR_ECONFIG, "kafka client: %s", why);
    }
    rd_kafka_destroy(rk);
    return 0;
}
