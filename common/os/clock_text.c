/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <time.h>

#include "common/os/clock.h"

#define YEAR_0    (INT64_C(-62167219200) * CLOCK_US_PER_S)
#define YEAR_9999 (INT64_C(253402300800) * CLOCK_US_PER_S - 1)

char *clock_format(int64_t wall_us, char out[CLOCK_TEXT_SIZE])
{
    int64_t us = wall_us < YEAR_0 ? YEAR_0 : wall_us > YEAR_9999 ? YEAR_9999 : wall_us;
    int64_t fraction = us % CLOCK_US_PER_S;
    time_t seconds;
    struct tm tm;
    size_t n;

    if (fraction < 0) {
        fraction += CLOCK_US_PER_S;
    }
    seconds = (time_t)((us - fraction) / CLOCK_US_PER_S);
    (void)gmtime_r(&seconds, &tm); /* fails for years beyond int only */
    n = (size_t)snprintf(out, CLOCK_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1,
                         tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    if (n < CLOCK_TEXT_SIZE) {
        (void)snprintf(out + n, CLOCK_TEXT_SIZE - n, ".%06dZ", (int)fraction); /* it fits */
    }
    return out;
}
