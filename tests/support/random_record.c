/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/random_record.h"

#include "common/record/record_table.h"

static const uint8_t bytes[] =
    "/usr/bin/python3\0-m\0http.server\0/var/log/syslog\xff\xfe\n\"quoted\" back\\slash \xe2\x82\xac "
    "anon_inode:[eventfd] "
    "socket:[12345] /srv/user/a long name with spaces and so on, and on, and on, until it is long enough /proc/self";

uint32_t random_record_kind(unsigned i)
{
    for (uint32_t kind = 0; kind < REC_KINDS_MAX; kind++) {
        if (rec_shape(kind) && i-- == 0) {
            return kind;
        }
    }
    return 0;
}

static struct slice random_text(struct random *random)
{
    size_t at = random_below(random, sizeof(bytes) - 1);

    return slice_sub(slice_of(bytes, sizeof(bytes)), at, 1 + random_below(random, 40));
}

static void order(uint64_t *a, uint64_t *b)
{
    if (*a > *b) {
        uint64_t t = *a;

        *a = *b;
        *b = t;
    }
}

static uint64_t between(struct random *random, uint64_t low, uint64_t high)
{
    return high - low == UINT64_MAX ? random_u64(random) : low + random_below(random, high - low + 1);
}

/* Change what a random record may not be. */
static void make_sound(struct random *random, uint64_t boot_us, const struct rec_keyframe *part,
                       const struct rec_shape *shape, struct record *r)
{
    if (shape->entity != 0 && shape->verb == REC_END) {
        order(&r->iv.first_seen, &r->iv.last_seen);
        order(&r->iv.last_seen, &r->iv.ended);
        order(&r->iv.first_seen, &r->iv.last_seen);
    }
    if (shape->entity != 0 && shape->verb == REC_SIGHT && part) {
        r->process.pid = shape->entity == REC_PROCESS ? between(random, part->low, part->high) : r->process.pid;
        r->file.pid = shape->entity == REC_FILE ? between(random, part->low, part->high) : r->file.pid;
        if (shape->entity == REC_SOCKET) {
            r->socket.netns = between(random, part->low, part->high);
        }
    }
    switch (r->kind) {
    case REC_TICK:
        r->tick.boot_us = boot_us;
        break;
    case REC_KEYFRAME:
        r->keyframe.hash_key = slice_of(bytes + random_below(random, 100), 16);
        r->keyframe.entity = (const uint64_t[]){ 16, 18, 19 }[random_below(random, 3)];
        order(&r->keyframe.low, &r->keyframe.high);
        order(&r->keyframe.low_cookie, &r->keyframe.high_cookie);
        break;
    case REC_GAP:
        r->gap.digest.len = r->gap.digest.len ? 32 : 0;
        r->gap.digest.data = bytes;
        r->gap.from_boot.len = r->gap.from_boot.len ? 16 : 0;
        r->gap.from_boot.data = bytes + 32;
        order(&r->gap.from, &r->gap.to);
        break;
    case REC_KEYCHANGE:
        r->keychange.public_key = slice_of(bytes + random_below(random, 100), 32);
        break;
    default:
        break;
    }
}

void random_record(struct random *random, uint32_t kind, uint64_t boot_us, unsigned percent,
                   const struct rec_keyframe *part, struct record *out)
{
    const struct rec_shape *shape = rec_shape(kind);

    memset(out, 0, sizeof(*out));
    out->kind = kind;
    out->entity = shape->entity;
    out->verb = shape->verb;
    for (const struct rec_field *f = shape->fields; f < shape->fields + shape->count; f++) {
        bool set = random_chance(random, percent);

        if (!rec_carries(shape, f)) {
            continue;
        }
        if (f->type == REC_TYPE_A) {
            rec_set_u64(out, f, set ? between(random, 0, boot_us) : boot_us);
        } else if (set && (f->type == REC_TYPE_T || f->type == REC_TYPE_B)) {
            rec_set_slice(out, f, random_text(random));
        } else if (set) {
            rec_set_u64(out, f, random_magnitude(random));
        }
    }
    make_sound(random, boot_us, part, shape, out);
}

bool random_record_equal(const struct record *a, const struct record *b)
{
    const struct rec_shape *shape = rec_shape(a->kind);

    if (a->kind != b->kind || a->entity != b->entity || a->verb != b->verb || a->unknown != b->unknown) {
        return false;
    }
    for (const struct rec_field *f = shape->fields; f < shape->fields + shape->count; f++) {
        if (f->type == REC_TYPE_T || f->type == REC_TYPE_B ? !slice_eq(rec_get_slice(a, f), rec_get_slice(b, f))
                                                           : rec_get_u64(a, f) != rec_get_u64(b, f)) {
            return false;
        }
    }
    return true;
}
