/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * client.h -- how our programs set up a Kafka client: brokers, and what an operator adds for TLS or SASL.
 *
 * The properties file has lines "name = value" as every Kafka tool knows them, # comments; at most 64. It
 * may hold secrets, so it is read as one (fsio_read_secret()). It may say how to reach the brokers
 * (security.*, ssl.*, sasl.*, socket.*, broker.address.*, client.rack, …), not how to produce or consume:
 * the guarantees rest on those, and the program sets them after it.
 */
#pragma once

#include "common/base/compiler.h"
#include "common/base/err.h"

struct rd_kafka_conf_s; /* rd_kafka_conf_t */

#define KAFKA_TIMEOUT_MS 10000

/* Set one property; POFR_ECONFIG with librdkafka's words. */
POFR_MUST_USE int kafka_conf_set(struct rd_kafka_conf_s *conf, const char *name, const char *value,
                                 struct pofr_err *err);

/*
 * A new configuration with bootstrap.servers, client.id program ("pofr-gateway") and the properties of the
 * file (NULL or "": none). Freed by rd_kafka_conf_destroy(), or taken by rd_kafka_new().
 */
POFR_MUST_USE int kafka_conf_new(const char *brokers, const char *properties_file, const char *program,
                                 struct rd_kafka_conf_s **out, struct pofr_err *err);
