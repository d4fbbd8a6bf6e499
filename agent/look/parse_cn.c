/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * LAYOUT   nlmsghdr (16) | cn_msg: idx, val, seq, ack u32, length, flags u16 (20) | proc_event: what, cpu u32, time u64,
 *          then by kind. All in the machine's byte order; the time is not aligned.
 */
#include "agent/look/parse_cn.h"

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "common/base/err.h"

#define CN_INDEX 1u /* CN_IDX_PROC, CN_VAL_PROC */

enum {
    AT_INDEX = 16,
    AT_VALUE = 20,
    AT_SEQUENCE = 24,
    AT_LENGTH = 32,
    AT_EVENT = 36
};
enum {
    EVENT_WHAT = 0,
    EVENT_CPU = 4,
    EVENT_TIME = 8,
    EVENT_DATA = 16
};

static uint32_t u32_at(struct slice s, size_t at)
{
    uint32_t v = 0;

    if (at + sizeof(v) <= s.len) {
        memcpy(&v, s.data + at, sizeof(v));
    }
    return v;
}

/* The words of a kind that must be there. */
static size_t words_of(uint32_t what)
{
    switch (what) {
    case CN_NONE:
        return 1;
    case CN_EXEC:
    case CN_SID:
    case CN_COREDUMP:
        return 2;
    case CN_FORK:
    case CN_UID:
    case CN_GID:
    case CN_EXIT: /* the parent's two came with 4.18 */
        return 4;
    case CN_COMM:
        return 6;
    default:
        return 0;
    }
}

static void data_parse(struct slice data, struct cn_message *m)
{
    uint32_t word[6];

    for (size_t i = 0; i < 6; i++) {
        word[i] = u32_at(data, i * 4);
    }
    if (m->what == CN_NONE) {
        m->error = word[0];
        return;
    }
    m->tid = word[0];
    m->pid = word[1];
    switch (m->what) {
    case CN_FORK:
        m->parent = word[1];
        m->tid = word[2];
        m->pid = word[3];
        break;
    case CN_UID:
    case CN_GID:
        m->real = word[2];
        m->effective = word[3];
        break;
    case CN_EXIT:
        m->exit_code = word[2];
        m->parent = word[5];
        break;
    case CN_COMM:
        memcpy(m->name, data.data + 8, sizeof(m->name));
        break;
    default:
        break;
    }
}

int cn_parse(struct slice datagram, struct cn_message *out)
{
    struct cn_message m = { .what = 0 };
    struct slice event, data;
    uint16_t length;

    if (datagram.len < AT_EVENT + EVENT_DATA) {
        return POFR_ETRUNCATED;
    }
    memcpy(&length, datagram.data + AT_LENGTH, sizeof(length));
    if (u32_at(datagram, 0) > datagram.len || u32_at(datagram, AT_INDEX) != CN_INDEX ||
        u32_at(datagram, AT_VALUE) != CN_INDEX) {
        return POFR_EFORMAT;
    }
    event = slice_sub(datagram, AT_EVENT, SIZE_MAX);
    if (length < EVENT_DATA || length > event.len) {
        return POFR_ETRUNCATED;
    }
    event.len = length;
    data = slice_sub(event, EVENT_DATA, SIZE_MAX);
    m.what = u32_at(event, EVENT_WHAT);
    if (data.len < words_of(m.what) * 4) {
        return POFR_ETRUNCATED;
    }
    m.cpu = u32_at(event, EVENT_CPU);
    m.sequence = u32_at(datagram, AT_SEQUENCE);
    memcpy(&m.timestamp_ns, event.data + EVENT_TIME, sizeof(m.timestamp_ns));
    if (words_of(m.what) > 0) {
        data_parse(data, &m);
    }
    *out = m;
    return 0;
}
