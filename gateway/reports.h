/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reports.h -- what connected hosts said of their spools (HELLO), and up to where their bundles were acked. The catalog is
 * told of it every few seconds, so that what waits on hosts and in Kafka is seen while nothing is stored.
 *
 * All connected hosts are told each time, also those from which nothing came: that a gateway has a session with a host is
 * what tells one that is silent from one that is off.
 *
 * Threads: any.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/slice.h"

struct buf;
struct pofr_err;
struct reports;

#define REPORTS_HOSTS_MAX 1000000u

struct report {
    uint64_t host_id;
    uint64_t oldest, newest;    /* in its spool and not acked, as HELLO said; 0: nothing */
    uint64_t acked;             /* the highest sequence that we acked; 0: none */
    int64_t hello_us, acked_us; /* wall clock; acked_us 0: never */
    unsigned sessions;          /* 0: the last one has ended. 2: a newer one begins before the older one ends */
};

POFR_MUST_USE int reports_new(struct reports **out, struct pofr_err *err);
void reports_free(struct reports *r); /* NULL is allowed */

/* A session of the host began. For what there is no memory is left out: the next session says it again. */
void reports_hello(struct reports *r, uint64_t host_id, uint64_t oldest, uint64_t newest, int64_t wall_us);
void reports_acked(struct reports *r, uint64_t host_id, uint64_t sequence, int64_t wall_us);
void reports_left(struct reports *r, uint64_t host_id);

/* All that there are, ascending by host; free() the array. POFR_ENOMEM. */
POFR_MUST_USE int reports_take(struct reports *r, struct report **out, size_t *out_count);
/* The catalog has these: those whose last session had ended are forgotten, unless they are back. */
void reports_told(struct reports *r, const struct report *list, size_t count);

/* As report_spools() (sql/catalog) takes them: a JSON array of arrays. */
void reports_format(const struct report *list, size_t count, struct buf *out);
