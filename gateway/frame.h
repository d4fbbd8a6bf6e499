/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * frame.h -- bytes of a channel -> one whole message at a time, in memory that was reserved before its first
 * byte was stored. So whoever has begun a bundle can end it, and sessions can't wait for each other.
 *
 * Messages up to FRAME_SMALL are not counted: a session has one of them at most.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/slice.h"
#include "common/wire/message.h"

#define FRAME_SMALL 4096u /* of every message but BUNDLE; all that a stranger may send */

struct frame_memory { /* a lane's share of the bytes that may be unacked */
    uint64_t used, max;
};

struct frame { /* zeroed, then memory set */
    struct frame_memory *memory;
    uint8_t head[MESSAGE_HEADER];
    size_t head_len;
    uint8_t *data; /* NULL while the header is read */
    size_t len, size;
};

/* How many bytes it wants: up to the end of the header, or of the message. 0: frame_begin() is due, or it is
 * whole. */
size_t frame_wants(const struct frame *f);
/* At most frame_wants() bytes. */
void frame_add(struct frame *f, struct slice bytes);

bool frame_is_empty(const struct frame *f);
bool frame_has_header(const struct frame *f); /* and nothing behind it: frame_begin() is due */
bool frame_is_whole(const struct frame *f);
enum message_type frame_type(const struct frame *f); /* once the header is there */

/*
 * The header is there: memory for the rest. POFR_EFULL: the lane's share is used up (it may be called again);
 * POFR_ENOMEM; POFR_ETOOBIG: larger than max; another: this is no message.
 */
POFR_MUST_USE int frame_begin(struct frame *f, size_t max);

/* The whole message as it came. */
struct slice frame_bytes(const struct frame *f);
/* Its memory becomes the caller's, who gives it to frame_release(); f is empty again. */
uint8_t *frame_take(struct frame *f, size_t *out_size);
void frame_drop(struct frame *f);
void frame_release(struct frame_memory *memory, uint8_t *data, size_t size);
