/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "workers/message.h"

#include <stdlib.h>

#include "common/base/cursor.h"
#include "common/base/err.h"
#include "common/base/parse_num.h"

#define DAY_US          INT64_C(86400000000)
#define UNCERTAINTY_MAX ((uint64_t)DAY_US)

int message_new(struct message **out)
{
    struct message *m = calloc(1, sizeof(*m));

    if (!m) {
        return POFR_ENOMEM;
    }
    buf_init(&m->headers, MESSAGE_HEADERS_MAX);
    *out = m;
    return 0;
}

void message_free(struct message *m)
{
    if (!m) {
        return;
    }
    if (m->release) {
        m->release(m->owner);
    }
    buf_free(&m->headers);
    free(m);
}

/* Only what can be read counts; a boot without an offset is nothing. */
static void take(struct message *m, struct slice name, struct slice value)
{
    int64_t i;
    uint64_t u;

    if (slice_eq_str(name, "pofr-received")) {
        if (parse_i64(value, 0, INT64_MAX / 4, &i) == 0) {
            m->received_us = i;
        }
    } else if (slice_eq_str(name, "pofr-boot")) {
        m->boot_read = uuid_parse(value, &m->boot) == 0;
    } else if (slice_eq_str(name, "pofr-offset")) {
        if (parse_i64(value, -(INT64_MAX / 4), INT64_MAX / 4, &i) == 0) {
            m->offset_us = i;
            m->offset_read = true;
        }
    } else if (slice_eq_str(name, "pofr-uncertainty")) {
        if (parse_u64(value, UNCERTAINTY_MAX, &u) == 0) {
            m->uncertainty_us = u;
        }
    }
}

void message_put_header(struct message *m, struct slice name, struct slice value)
{
    buf_varbytes(&m->headers, name);
    buf_varbytes(&m->headers, value);
    take(m, name, value);
    m->has_boot = m->boot_read && m->offset_read;
}

void message_settle(struct message *m, int64_t appended_us)
{
    m->appended_us = appended_us;
    if (m->received_us < appended_us - DAY_US || m->received_us > appended_us + DAY_US) {
        m->received_us = appended_us;
    }
}

bool message_next_header(struct slice headers, size_t *at, struct slice *name, struct slice *value)
{
    struct cursor c = cursor_of(slice_sub(headers, *at, SIZE_MAX));
    size_t left = cursor_left(&c);

    if (left == 0) {
        return false;
    }
    *name = cursor_varbytes(&c, SIZE_MAX);
    *value = cursor_varbytes(&c, SIZE_MAX);
    *at += left - cursor_left(&c);
    return c.err == 0;
}

struct slice message_header(const struct message *m, const char *name)
{
    struct slice headers = buf_slice(&m->headers), it, value;
    size_t at = 0;

    while (message_next_header(headers, &at, &it, &value)) {
        if (slice_eq_str(it, name)) {
            return value;
        }
    }
    return SLICE_EMPTY;
}
