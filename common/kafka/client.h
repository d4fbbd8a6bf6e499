/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * client.h -- how our programs set up a Kafka client: brokers, and how they are reached: TLS, SASL, properties.
 *
 * With tls alone, the broker knows us by our certificate (principal User:CN=…); with user, by an account (SASL) inside TLS.
 * A password goes over no connection that is not encrypted: user without tls is refused.
 *
 * The properties file has lines "name = value" as every Kafka tool knows them, # comments; at most 64. It
 * may hold secrets, so it is read as one (fsio_read_secret()). It may say how to reach the brokers
 * (security.*, ssl.*, sasl.*, socket.*, broker.address.*, client.rack, …), not how to produce or consume:
 * the guarantees rest on those, and the program sets them after it.
 */
#pragma once

#include <pthread.h>
#include <stddef.h>

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/tls/tls_files.h"

struct rd_kafka_conf_s; /* rd_kafka_conf_t */
struct rd_kafka_s;      /* rd_kafka_t */
struct rd_kafka_metadata;

#define KAFKA_TIMEOUT_MS 10000
#define KAFKA_PEERS_MAX  64u

struct kafka_access { /* all zero: plain connections */
    struct tls_files tls;
    const char *user; /* of SASL; "": none */
    int mechanism;    /* an index of kafka_mechanisms; 0: SCRAM-SHA-512 */
    const char *password_file;
    const char *properties_file; /* "": none */
};

extern const char *const kafka_mechanisms[];

/* Of a program's option table, in section [kafka]; field is a struct kafka_access of its struct. */
#define KAFKA_ACCESS_OPTIONS(type, field)                                                                              \
    TLS_OPTIONS(type, field.tls),                                                                                      \
        CONF_STRING(type, field.user, "user", "", 0,                                                                   \
                    "With tls: the account by which the brokers know us (SASL). Empty: they know us by our "           \
                    "certificate."),                                                                                   \
        CONF_ENUM(                                                                                                     \
            type, field.mechanism, "mechanism", "SCRAM-SHA-512", kafka_mechanisms, 0,                                  \
            "How the account proves its password. SCRAM shows it to nobody, but librdkafka before 2.6.1 (Debian "      \
            "12) and Kafka 4 don't understand each other in it. PLAIN gives it to the broker, inside TLS and "         \
            "after the broker has shown a certificate that ca_file vouches for."),                                     \
        CONF_SECRET_FILE(type, field.password_file, "password_file", "", 0,                                            \
                         "The account's password, alone in a file."),                                                  \
        CONF_SECRET_FILE(type, field.properties_file, "properties_file", "", 0,                                        \
                         "What else is needed to reach the brokers: librdkafka's properties, name = value, one a "     \
                         "line (security.*, ssl.*, sasl.*, socket.* and the like). Empty: none.")

/* Set one property; POFR_ECONFIG with librdkafka's words. */
POFR_MUST_USE int kafka_conf_set(struct rd_kafka_conf_s *conf, const char *name, const char *value,
                                 struct pofr_err *err);

/*
 * A new configuration with bootstrap.servers, client.id program ("pofr-gateway") and what access says (NULL: plain
 * connections). Freed by rd_kafka_conf_destroy(), or taken by rd_kafka_new(), which reads certificate and key.
 */
POFR_MUST_USE int kafka_conf_new(const char *brokers, const struct kafka_access *access, const char *program,
                                 struct rd_kafka_conf_s **out, struct pofr_err *err);

/*
 * Why brokers do not answer: librdkafka tells it apart from the answers that do not come. For a client whose main queue, log
 * and opaque nobody else uses. Before rd_kafka_new(): kafka_notes_take(); when something failed: kafka_notes_read() gives the
 * newest reason ("" where there is none), in the thread that asks. True: waiting does not mend it (certificate, account).
 */
struct kafka_notes {
    pthread_mutex_t lock; /* protects the rest, which librdkafka's threads write */
    char fault[160];      /* of a broker's certificate */
    struct kafka_peer {
        char name[160]; /* host:port */
        int64_t ends_us;
    } peers[KAFKA_PEERS_MAX]; /* with tls: brokers that it has connected to, and when their certificates end */
    size_t peers_count;       /* no more than these are kept */
};

/* A copy of the newest. */
size_t kafka_notes_peers(struct kafka_notes *n, struct kafka_peer out[KAFKA_PEERS_MAX]);

#define KAFKA_BROKERS_FAULT "the broker's certificate: " /* how such a reason begins */

void kafka_notes_init(struct kafka_notes *n);
void kafka_notes_fini(struct kafka_notes *n); /* after rd_kafka_destroy() */
void kafka_notes_take(struct kafka_notes *n, const struct kafka_access *access, struct rd_kafka_conf_s *conf);
bool kafka_notes_read(struct kafka_notes *n, struct rd_kafka_s *rk, char *text, size_t size);

/* rd_kafka_metadata() for at most timeout_ms, of all topics or of none; on failure with the reason in text, and sooner where
 * waiting does not help. 0 or librdkafka's code. */
int kafka_metadata(struct kafka_notes *n, struct rd_kafka_s *rk, bool all_topics, const struct rd_kafka_metadata **out,
                   int timeout_ms, char *text, size_t size);

/* Could a client be made of these files now? POFR_ECONFIG and others: why not. Asks no broker. */
POFR_MUST_USE int kafka_access_try(const struct kafka_access *access, struct pofr_err *err);
