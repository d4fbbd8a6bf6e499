/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "merger/plan.h"

#include <stdio.h>

#include "common/base/parse_num.h"

/* Howard Hinnant's days_from_civil and its inverse, for years 0 to 9999 (chrono-Compatible Low-Level Date Algorithms). */
static int32_t day_of(int32_t y, int32_t m, int32_t d)
{
    int32_t era;
    int32_t yoe;
    int32_t doy;

    y -= m <= 2;
    era = y / 400;
    yoe = y - era * 400;
    doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void date_of(int32_t day, int32_t *out_y, int32_t *out_m, int32_t *out_d)
{
    int32_t z = day + 719468;
    int32_t era = z / 146097;
    int32_t doe = z - era * 146097;
    int32_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int32_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int32_t mp = (5 * doy + 2) / 153;

    *out_d = doy - (153 * mp + 2) / 5 + 1;
    *out_m = mp + (mp < 10 ? 3 : -9);
    *out_y = yoe + era * 400 + (*out_m <= 2);
}

bool plan_day_of_name(struct slice name, int32_t *out_day)
{
    uint64_t n;
    char again[10];
    int32_t day;

    if (name.len != 9 || name.data[0] != 'p' || parse_u64(slice_sub(name, 1, 8), 99991231, &n) || n < 19700101) {
        return false;
    }
    day = day_of((int32_t)(n / 10000), (int32_t)(n / 100 % 100), (int32_t)(n % 100));
    plan_name_of_day(day, again);
    if (!slice_eq_str(name, again)) { /* p20260231 is no day */
        return false;
    }
    *out_day = day;
    return true;
}

void plan_name_of_day(int32_t day, char out[10])
{
    int32_t y;
    int32_t m;
    int32_t d;
    char text[48];

    date_of(day, &y, &m, &d);
    snprintf(text, sizeof(text), "p%04d%02d%02d", y, m, d);
    snprintf(out, 10, "%.9s", text);
}

void plan_date_of_day(int32_t day, char out[11])
{
    int32_t y;
    int32_t m;
    int32_t d;
    char text[48];

    date_of(day, &y, &m, &d);
    snprintf(text, sizeof(text), "%04d-%02d-%02d", y, m, d);
    snprintf(out, 11, "%.10s", text);
}

void plan_make(const int32_t *days, size_t count, const struct plan_policy *policy, struct plan *out)
{
    int32_t last = policy->today + (int32_t)policy->ahead_days;

    out->add_from = count ? days[count - 1] + 1 : policy->today;
    out->add_to = last;
    out->drop_before = policy->today - (int32_t)policy->keep_days;
    out->drop_count = 0;
    while (out->drop_count + 1 < count && days[out->drop_count] < out->drop_before) {
        out->drop_count++;
    }
    /* After a long pause days are missing in between: they are made too, one by one, up to a limit. */
    if (out->add_to - out->add_from >= PLAN_DAYS_MAX) {
        out->add_from = policy->today;
    }
}
