/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "workers/keyframe.h"

#include <string.h>

#include "common/base/cursor.h"

#define MARK_BYTES_MAX 80u

bool keyframe_of_entity(const struct keyframe_mark *m, unsigned entity)
{
    switch (m->entity) {
    case REC_PROCESS:
        return entity == REC_PROCESS || entity == REC_FILE;
    case REC_SOCKET:
    case REC_COVERAGE:
        return entity == m->entity;
    default:
        return entity >= REC_USER && entity < REC_COVERAGE;
    }
}

static bool pair_below(uint64_t a, uint64_t a2, uint64_t b, uint64_t b2)
{
    return a < b || (a == b && a2 < b2);
}

bool keyframe_covers(const struct keyframe_mark *m, const struct record *r)
{
    if (!keyframe_of_entity(m, r->entity)) {
        return false;
    }
    switch (r->entity) {
    case REC_PROCESS:
        return r->process.pid >= m->low && r->process.pid <= m->high;
    case REC_FILE:
        return r->file.pid >= m->low && r->file.pid <= m->high;
    case REC_SOCKET:
        return !pair_below(r->socket.netns, r->socket.cookie, m->low, m->low_cookie) &&
               !pair_below(m->high, m->high_cookie, r->socket.netns, r->socket.cookie);
    default:
        return true;
    }
}

bool keyframe_is_last(const struct keyframe_mark *m)
{
    switch (m->entity) {
    case REC_PROCESS:
        return m->high >= UINT32_MAX;
    case REC_SOCKET:
        return m->high == UINT64_MAX && m->high_cookie == UINT64_MAX;
    default:
        return true;
    }
}

/* Does b go on where a ends? */
static bool adjoins(const struct keyframe_mark *a, const struct keyframe_mark *b)
{
    if (a->at != b->at || a->entity != b->entity) {
        return false;
    }
    if (a->entity == REC_PROCESS) {
        return a->high < UINT64_MAX && b->low == a->high + 1;
    }
    if (a->entity == REC_SOCKET) {
        return a->high_cookie < UINT64_MAX ? b->low == a->high && b->low_cookie == a->high_cookie + 1
                                           : a->high < UINT64_MAX && b->low == a->high + 1 && b->low_cookie == 0;
    }
    return false;
}

int keyframe_marks_of(const struct decoded *d, struct arena *arena, struct keyframe_mark **out, size_t *out_count)
{
    struct keyframe_mark *marks;
    size_t n = 0;

    *out = NULL;
    *out_count = 0;
    if (d->keyframes == 0) {
        return 0;
    }
    marks = arena_array(arena, d->keyframes, sizeof(*marks));
    if (!marks) {
        return arena->err;
    }
    for (size_t i = 0; i < d->count; i++) {
        const struct record *r = d->records[i].record;
        size_t tick = d->records[i].tick;
        struct keyframe_mark m;

        if (r->kind != REC_KEYFRAME) {
            continue;
        }
        m = (struct keyframe_mark){ d->ticks[tick].boot_us, decoded_before(d, tick), (unsigned)r->keyframe.entity,
                                    r->keyframe.low,        r->keyframe.high,        r->keyframe.low_cookie,
                                    r->keyframe.high_cookie };
        if (m.entity != REC_PROCESS && m.entity != REC_SOCKET && m.entity != REC_USER) {
            continue; /* no group that we know */
        }
        if (n > 0 && adjoins(&marks[n - 1], &m)) {
            marks[n - 1].high = m.high;
            marks[n - 1].high_cookie = m.high_cookie;
        } else {
            marks[n++] = m;
        }
    }
    *out = marks;
    *out_count = n;
    return 0;
}

void keyframe_marks_settle(struct keyframe_mark *marks, size_t first, size_t count, uint64_t look)
{
    for (size_t i = first; i < count; i++) {
        if (marks[i].before == 0) {
            marks[i].before = look;
        }
    }
}

/* Parts of one tick, one after the other from the beginning of the range. */
static bool tick_is_whole(const struct keyframe_mark *marks, size_t count, const struct keyframe_mark *of)
{
    struct keyframe_mark at = { .at = of->at, .entity = of->entity };
    bool begun = false;

    if (of->entity == REC_USER) {
        return true;
    }
    for (size_t i = 0; i < count;) {
        const struct keyframe_mark *m = &marks[i];
        bool next =
            m->at == of->at && m->entity == of->entity && (begun ? adjoins(&at, m) : m->low == 0 && m->low_cookie == 0);

        if (!next) {
            i++;
            continue;
        }
        if (keyframe_is_last(m)) {
            return true;
        }
        at = *m;
        begun = true;
        i = 0;
    }
    return false;
}

bool keyframe_marks_whole(const struct keyframe_mark *marks, size_t count)
{
    static const unsigned groups[] = { REC_PROCESS, REC_SOCKET, REC_USER };
    size_t whole = 0;

    for (size_t g = 0; g < pofr_countof(groups); g++) {
        bool found = false;

        for (size_t i = 0; i < count && !found; i++) {
            found = marks[i].entity == groups[g] && tick_is_whole(marks, count, &marks[i]);
        }
        whole += found;
    }
    return whole == pofr_countof(groups);
}

void keyframe_marks_write(const struct keyframe_mark *marks, size_t count, struct buf *out)
{
    for (size_t i = 0; i < count && out->len + MARK_BYTES_MAX <= KEYFRAME_MARKS_MAX; i++) {
        buf_varint(out, marks[i].at);
        buf_varint(out, marks[i].before);
        buf_varint(out, marks[i].entity);
        buf_varint(out, marks[i].low);
        buf_varint(out, marks[i].high);
        buf_varint(out, marks[i].low_cookie);
        buf_varint(out, marks[i].high_cookie);
    }
}

int keyframe_marks_read(struct slice column, struct arena *arena, struct keyframe_mark **list, size_t *count)
{
    struct cursor c = cursor_of(column);

    while (c.err == 0 && cursor_left(&c) > 0) {
        struct keyframe_mark m = { 0 };

        m.at = cursor_varint(&c);
        m.before = cursor_varint(&c);
        m.entity = (unsigned)cursor_varint_max(&c, REC_COVERAGE);
        m.low = cursor_varint(&c);
        m.high = cursor_varint(&c);
        m.low_cookie = cursor_varint(&c);
        m.high_cookie = cursor_varint(&c);
        if (c.err) {
            break;
        }
        if ((*count & (*count - 1)) == 0) { /* 0 or a power of two: full */
            struct keyframe_mark *more = arena_array(arena, *count ? *count * 2 : 1, sizeof(*more));

            if (!more) {
                return arena->err;
            }
            if (*count) {
                memcpy(more, *list, *count * sizeof(*more));
            }
            *list = more;
        }
        (*list)[(*count)++] = m;
    }
    return c.err ? POFR_EFORMAT : 0;
}
