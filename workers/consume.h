/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * consume.h -- the poll thread: slots come and go, messages are handed to the writers of their shards, and what these
 * answer moves the slots on (slots.h). It waits for nothing but Kafka's next event.
 */
#pragma once

#include <stdbool.h>

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/catalog/keys.h"
#include "common/os/stat.h"
#include "workers/worker_conf.h"

struct consume;

struct consume_options {
    const struct worker_conf *conf;
    const char *name;
    struct keys *keys;
    struct stat_set *stats;
    struct db_address catalog;
    const _Atomic int64_t *drain_us; /* the configured time of consume_free(), which may change meanwhile */
};

POFR_MUST_USE int consume_new(const struct consume_options *o, struct consume **out, struct pofr_err *err);
/* Until consume_stop(), or until Kafka's clients are to be made anew. 0, or an error after which the process ends. */
POFR_MUST_USE int consume_run(struct consume *c, struct pofr_err *err);
/* Any thread, signal handlers too. */
void consume_stop(struct consume *c);
/* The catalog's copy has changed. Any thread. */
void consume_catalog_changed(struct consume *c);
/* Did consume_run() end because certificate or key have changed? librdkafka reads them once: it wants consume_free() and
 * consume_new(). */
bool consume_wants_anew(const struct consume *c);
/* Finish the transactions at hand, leave the group: at most the configured time. */
void consume_free(struct consume *c);

/* Has it slots that it stores, or none to store? For /readyz; any thread. */
bool consume_is_ready(const struct consume *c, char *reason, size_t n);
/* Families of our own for /metrics: shards. Any thread. */
void consume_metrics(struct buf *out, void *consume);
