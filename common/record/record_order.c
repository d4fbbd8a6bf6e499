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

bool rec_part_holds(const struct rec_order *part, unsigned entity, const struct record *r)
{
    if (group_of(entity) != part->entity) {
        return false;
    }
    switch (entity) {
    case REC_PROCESS: /* the last pid is none: the decoder's set of pids needs a free value */
        return r->process.pid >= part->low && r->process.pid <= part->high && r->process.pid < UINT32_MAX;
    case REC_FILE:
        return r->file.pid >= part->low && r->file.pid <= part->high;
    case REC_SOCKET:
        return !(r->socket.netns < part->low || (r->socket.netns == part->low && r->socket.cookie < part->low_cookie) ||
                 r->socket.netns > part->high ||
                 (r->socket.netns == part->high && r->socket.cookie > part->high_cookie));
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

struct rec_order rec_part(const struct rec_keyframe *k)
{
    return (struct rec_order){
        .in_part = true,
        .entity = k->entity,
        .low = k->low,
        .high = k->high,
        .low_cookie = k->low_cookie,
        .high_cookie = k->high_cookie,
    };
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
            uint64_t boot_us = o->boot_us;

            *o = rec_part(&r->keyframe);
            o->have_tick = true;
            o->boot_us = boot_us;
        }
        return 0;
    }
    if (shape->verb == REC_SIGHT) {
        return o->in_part && rec_part_holds(o, shape->entity, r) ? 0 : POFR_EFORMAT;
    }
    if (o->in_part && group_of(shape->entity) != 0) {
        return POFR_EFORMAT; /* a part holds what is open when its tick is over */
    }
    return shape->verb == REC_END && !end_is_sound(o, &r->iv) ? POFR_EFORMAT : 0;
}
