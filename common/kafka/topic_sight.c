/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/kafka/topic_sight.h"

#include "common/base/err.h"

#define LOOK_US  10000000
#define AGAIN_US 3000000 /* where it was not found */

bool topic_sight_take(struct topic_sight *s, int code, int64_t now_us)
{
    bool was = s->missing;

    if (code == 0) {
        s->doubted = s->missing = false;
    } else if (code == POFR_ENOTFOUND) {
        s->missing = s->doubted;
        s->doubted = true;
    }
    s->due_us = now_us + (s->doubted ? AGAIN_US : LOOK_US);
    return s->missing != was;
}
