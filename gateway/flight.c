/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/flight.h"

#include <stdlib.h>
#include <string.h>

#include "common/os/clock.h"
#include "gateway/gateway_stat.h"

void flights_init(struct flights *fs, struct frame_memory *memory, struct stat_set *stats)
{
    memset(fs, 0, sizeof(*fs));
    fs->last = &fs->first;
    fs->memory = memory;
    fs->stats = stats;
}

struct flight *flights_add(struct flights *fs, struct frame *frame, struct slice block, uint64_t sequence,
                           const struct intake *in)
{
    struct flight *f = (struct flight *)calloc(1, sizeof(*f));

    if (!f) {
        return NULL;
    }
    f->data = frame_take(frame, &f->size);
    f->block = block;
    f->sequence = sequence;
    f->boot = in->boot;
    memcpy(f->digest, in->digest, sizeof(f->digest));
    f->since_us = clock_mono_us();
    f->state = in->refuse != 0 ? FLIGHT_REFUSED : FLIGHT_PENDING;
    f->refuse = in->refuse;
    f->reason = in->reason;
    *fs->last = f;
    fs->last = &f->next;
    fs->count++;
    fs->bytes += f->size;
    stat_change(fs->stats, STAT_gateway_unacked_bundles, 1);
    stat_change(fs->stats, STAT_kafka_producer_queue, (int64_t)f->size);
    return f;
}

static void take_out(struct flights *fs, struct flight **at)
{
    struct flight *f = *at;

    *at = f->next;
    if (fs->last == &f->next) {
        fs->last = at;
    }
    f->next = NULL;
    fs->count--;
    fs->bytes -= f->size;
    stat_change(fs->stats, STAT_gateway_unacked_bundles, -1);
    stat_change(fs->stats, STAT_kafka_producer_queue, -(int64_t)f->size);
}

struct flight *flights_pop(struct flights *fs)
{
    struct flight *f = fs->first;

    if (!f || (f->state != FLIGHT_REPORTED && f->state != FLIGHT_REFUSED)) {
        return NULL;
    }
    take_out(fs, &fs->first);
    return f;
}

void flights_remove(struct flights *fs, struct flight *f)
{
    struct flight **at = &fs->first;

    while (*at != f) {
        at = &(*at)->next;
    }
    take_out(fs, at);
}

void flights_free_one(struct flights *fs, struct flight *f)
{
    frame_release(fs->memory, f->data, f->size);
    free(f);
}

void flights_drop(struct flights *fs)
{
    struct flight **at = &fs->first, *f;

    while ((f = *at) != NULL) {
        if (f->state == FLIGHT_PUBLISHED) {
            at = &f->next;
        } else {
            take_out(fs, at);
            flights_free_one(fs, f);
        }
    }
}
