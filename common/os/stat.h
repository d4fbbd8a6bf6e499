/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stat.h -- counters, gauges and histograms: one line per number in the program's .def, shown as OpenMetrics.
 *
 *   gateway/stat.def:
 *     STAT(COUNTER, gateway_bundles_published, "", "Bundles that Kafka has confirmed.")
 *     STAT(GAUGE, gateway_sessions, "", "Sessions open now.")
 *     STAT(HISTOGRAM, gateway_publish, "seconds", "From intake to Kafka's report.")
 *     STAT_BY(COUNTER, gateway_refused, "", reason, "signature size identity", "Bundles refused finally.")
 *
 *   gateway/stats.h:
 *     #define STAT_DEF "gateway/stat.def"
 *     enum gateway_stat {
 *     #include "common/os/stat_ids.inc"      // STAT_gateway_bundles_published, STAT_gateway_sessions, ...
 *     };
 *
 *   gateway/stats.c:
 *     #define STAT_DEF "gateway/stat.def"
 *     const struct stat_def gateway_stats[] = {
 *     #include "common/os/stat_defs.inc"
 *     };
 *     ... stat_new(gateway_stats, pofr_countof(gateway_stats), &set, &err)
 *
 * Shown as pofr_<name>[_<unit>][_total]. Unit "seconds": recorded in microseconds, shown in seconds.
 * Unit "bytes" or "": as recorded. Labels are few words fixed in the .def (never a host); which one is an
 * index in that list.
 *
 * All functions that record are lock-free, never fail, and may be called from any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"

struct buf;
struct pofr_err;

enum stat_type {
    STAT_TYPE_COUNTER,
    STAT_TYPE_GAUGE,
    STAT_TYPE_HISTOGRAM
};

#define STAT_LABELS_MAX 32U

struct stat_def {
    enum stat_type type;
    const char *name; /* without pofr_ and without unit */
    const char *unit;
    const char *label;  /* NULL: none */
    const char *values; /* of the label, words separated by blanks */
    const char *help;
};

struct stat_set;

/* defs must outlive the set. POFR_EUSAGE: a name, unit or label that OpenMetrics does not allow, or one name twice. */
POFR_MUST_USE int stat_new(const struct stat_def *defs, size_t count, struct stat_set **out, struct pofr_err *err);
void stat_free(struct stat_set *s);

/* Counters and gauges. id from stat_ids.inc, value the index of the label's value (out of range: the last one). */
void stat_add(struct stat_set *s, unsigned id, uint64_t n);
void stat_add_by(struct stat_set *s, unsigned id, unsigned value, uint64_t n);

/* Gauges: set, or change by n. */
void stat_put(struct stat_set *s, unsigned id, int64_t v);
void stat_put_by(struct stat_set *s, unsigned id, unsigned value, int64_t v);
void stat_change(struct stat_set *s, unsigned id, int64_t n);

/* Histograms. */
void stat_observe(struct stat_set *s, unsigned id, uint64_t v);
void stat_observe_by(struct stat_set *s, unsigned id, unsigned value, uint64_t v);

/* What a counter or gauge stands at; of a histogram the number of observations. */
uint64_t stat_get(const struct stat_set *s, unsigned id);
uint64_t stat_get_by(const struct stat_set *s, unsigned id, unsigned value);

/* The index of a word among the values of id's label, or -1. For start-up, not for hot paths. */
int stat_value(const struct stat_set *s, unsigned id, const char *word);

/*
 * Something that writes families of its own (Kafka's lag per partition), called for each exposition, from
 * the thread that asks. It uses stat_write_head() and buf_printf() and keeps the number of lines bounded.
 */
typedef void (*stat_extra_fn)(struct buf *out, void *arg);
void stat_set_extra(struct stat_set *s, stat_extra_fn fn, void *arg);
void stat_write_head(struct buf *out, const char *family, enum stat_type type, const char *unit, const char *help);

/* Append the OpenMetrics text, "# EOF" included. Errors are out's. */
void stat_write(const struct stat_set *s, struct buf *out);
