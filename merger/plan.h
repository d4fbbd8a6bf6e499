/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * plan.h -- which partitions a table should get and lose: (partitions that are there, today, policy) ->
 * steps. Pure: no clock, no database.
 *
 * A table has day partitions pYYYYMMDD in order, then `future` (always empty: it is split for new days),
 * then, but for the ledger, `open` (never touched). A day's partition holds what ended on that day; the
 * first one also what ended before it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/slice.h"

#define PLAN_DAYS_MAX 40000

/* Days since 1970-01-01 <-> "pYYYYMMDD". False: not the name of a day's partition. */
bool plan_day_of_name(struct slice name, int32_t *out_day);
void plan_name_of_day(int32_t day, char out[10]);
/* "YYYY-MM-DD" of a day; out has room for 11. */
void plan_date_of_day(int32_t day, char out[11]);

struct plan_policy {
    int32_t today;
    uint32_t ahead_days; /* partitions for today and so many days after */
    uint32_t keep_days;  /* partitions of days before today - keep_days go */
};

struct plan {
    int32_t add_from, add_to; /* inclusive; add_from > add_to: none */
    int32_t drop_before;      /* day partitions before this day go, oldest first */
    size_t drop_count;
};

/* days: those that are there, ascending. With none, days begin today. Never drops the last one left. */
void plan_make(const int32_t *days, size_t count, const struct plan_policy *policy, struct plan *out);
