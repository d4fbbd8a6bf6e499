/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * topic_sight.h -- is the topic still there, for who has begun to work with it? Kafka is asked now and then. A broker that has
 * just come may not know of it yet, so one answer is no proof. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/compiler.h"

struct topic_sight { /* all zero: it is there, and to be asked for at once */
    int64_t due_us;
    bool doubted, missing;
};

/* After an answer that came at now_us: 0, POFR_ENOTFOUND, or what says nothing. True: missing is another one than before. */
POFR_MUST_USE bool topic_sight_take(struct topic_sight *s, int code, int64_t now_us);
