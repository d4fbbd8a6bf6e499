/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/frame.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"

size_t frame_wants(const struct frame *f)
{
    return f->data ? f->size - f->len : MESSAGE_HEADER - f->head_len;
}

void frame_add(struct frame *f, struct slice bytes)
{
    assert(bytes.len <= frame_wants(f));
    if (bytes.len == 0) {
        return;
    }
    if (f->data) {
        memcpy(f->data + f->len, bytes.data, bytes.len);
        f->len += bytes.len;
    } else {
        memcpy(f->head + f->head_len, bytes.data, bytes.len);
        f->head_len += bytes.len;
    }
}

bool frame_is_empty(const struct frame *f)
{
    return f->head_len == 0;
}

bool frame_has_header(const struct frame *f)
{
    return !f->data && f->head_len == MESSAGE_HEADER;
}

bool frame_is_whole(const struct frame *f)
{
    return f->data && f->len == f->size;
}

enum message_type frame_type(const struct frame *f)
{
    return (enum message_type)f->head[MESSAGE_HEADER - 1];
}

int frame_begin(struct frame *f, size_t max)
{
    struct message m;
    size_t size = 0;
    int rc;

    rc = message_get(slice_of(f->head, MESSAGE_HEADER), max, &m, &size);
    if (rc < 0) {
        return rc;
    }
    if (rc == 1) {
        size = MESSAGE_HEADER; /* no body */
    }
    if (size < MESSAGE_HEADER) {
        return POFR_EFORMAT;
    }
    /* one is always let through: it may be larger than the share */
    if (size > FRAME_SMALL && f->memory->used > 0 && f->memory->used + size > f->memory->max) {
        return POFR_EFULL;
    }
    f->data = (uint8_t *)malloc(size);
    if (!f->data) {
        return POFR_ENOMEM;
    }
    f->memory->used += size > FRAME_SMALL ? size : 0;
    memcpy(f->data, f->head, MESSAGE_HEADER);
    f->len = MESSAGE_HEADER;
    f->size = size;
    return 0;
}

struct slice frame_bytes(const struct frame *f)
{
    return slice_of(f->data, f->len);
}

static void forget(struct frame *f)
{
    f->data = NULL;
    f->head_len = f->len = f->size = 0;
}

uint8_t *frame_take(struct frame *f, size_t *out_size)
{
    uint8_t *data = f->data;

    *out_size = f->size;
    forget(f);
    return data;
}

void frame_drop(struct frame *f)
{
    frame_release(f->memory, f->data, f->size);
    forget(f);
}

void frame_release(struct frame_memory *memory, uint8_t *data, size_t size)
{
    if (data) {
        memory->used -= size > FRAME_SMALL ? size : 0;
        free(data);
    }
}
