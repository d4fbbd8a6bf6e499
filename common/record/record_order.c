/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/record/record_order.h"

#include "common/base/err.h"

/* The group of a keyframe in which an entity is sighted, named by its first entity; 0: in none. */
static uint64_t group_of(unsigned entity)
{
    switch (entity) {
    case REC_PROCESS:
    case REC_FILE:
        return REC_PROCESS;
    case REC_SOCKET:
        return REC_SOCKET;
    case REC_COVERAGE:
        return 0;
    default:
        return REC_USER;
    }
}

static bool in_range(const struct rec_order *o, unsigned entity, const struct record *r)
{
    if (group_of(entity) != o->entity) {
        return false;
    }
    switch (entity) {
    case REC_PROCESS: /* the last pid is none: the decoder's set of pids needs a free value */
        return r->process.pid >= o->low && r->process.pid <= o->high && r->process.pid < UINT32_MAX;
    case REC_FILE:
        return r->file.pid >= o->low && r->file.pid <= o->high;
    case REC_SOCKET:
        return !(r->socket.netns < o->low || (r->socket.netns == o->low && r->socket.cookie < o->low_cookie) ||
                 r->socket.netns > o->high || (r->socket.netns == o->high && r->socket.cookie > o->high_cookie));
    default:
        return true; /* facts come all at once */
    }
}

static uint64_t clamp(const struct rec_order *o, uint64_t moment)
{
    return moment < o->boot_us ? moment : o->boot_us;
}

static bool end_is_sound(const struct rec_order *o, const struct rec_interval *iv)
{
    uint64_t first = clamp(o, iv->first_seen), last = clamp(o, iv->last_seen), ended = clamp(o, iv->ended);

    return first <= last && last <= ended;
}

static bool bytes_are(struct slice s, size_t len, bool may_be_empty)
{
    return s.len == len || (may_be_empty && s.len == 0);
}

static bool single_is_sound(const struct rec_order *o, const struct record *r)
{
    switch (r->kind) {
    case REC_KEYFRAME:
        return bytes_are(r->keyframe.hash_key, 16, false) && r->keyframe.low <= r->keyframe.high &&
               (r->keyframe.low < r->keyframe.high || r->keyframe.low_cookie <= r->keyframe.high_cookie);
    case REC_GAP:
        return bytes_are(r->gap.digest, 32, true) && bytes_are(r->gap.from_boot, 16, true) &&
               (r->gap.from_boot.len > 0 || clamp(o, r->gap.from) <= clamp(o, r->gap.to));
    case REC_KEYCHANGE:
        return bytes_are(r->keychange.public_key, 32, false);
    default:
        return true;
    }
}

static int take_tick(struct rec_order *o, const struct rec_tick *tick)
{
    if (o->have_tick && tick->boot_us <= o->boot_us) {
        return POFR_EFORMAT;
    }
    *o = (struct rec_order){ .have_tick = true, .boot_us = tick->boot_us };
    return 0;
}

static void take_keyframe(struct rec_order *o, const struct rec_keyframe *k)
{
    o->in_part = true;
    o->entity = k->entity;
    o->low = k->low;
    o->high = k->high;
    o->low_cookie = k->low_cookie;
    o->high_cookie = k->high_cookie;
}

int rec_order_take(struct rec_order *o, const struct rec_shape *shape, const struct record *r)
{
    if (r->kind == REC_TICK) {
        return take_tick(o, &r->tick);
    }
    if (!o->have_tick) {
        return POFR_EFORMAT;
    }
    if (shape->entity == 0) {
        if (!single_is_sound(o, r)) {
            return POFR_EFORMAT;
        }
        if (r->kind == REC_KEYFRAME) {
            take_keyframe(o, &r->keyframe);
        }
        return 0;
    }
    if (shape->verb == REC_SIGHT) {
        return o->in_part && in_range(o, shape->entity, r) ? 0 : POFR_EFORMAT;
    }
    if (o->in_part && group_of(shape->entity) != 0) {
        return POFR_EFORMAT; /* a part holds what is open when its tick is over */
    }
    return shape->verb == REC_END && !end_is_sound(o, &r->iv) ? POFR_EFORMAT : 0;
}
