/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * record_table.h -- the fields of record.def as tables, for the generic loops of this folder. Not for others.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/record/record.h"

enum rec_type {
    REC_TYPE_U,
    REC_TYPE_S,
    REC_TYPE_T,
    REC_TYPE_B,
    REC_TYPE_H,
    REC_TYPE_A
};
enum rec_role {
    REC_ROLE_ID,
    REC_ROLE_AT,
    REC_ROLE_FX,
    REC_ROLE_VO,
    REC_ROLE_IV
};
enum rec_wire {
    REC_WIRE_VARINT = 0,
    REC_WIRE_ZIGZAG = 1,
    REC_WIRE_BYTES = 2,
    REC_WIRE_EIGHT = 3
};

struct rec_field {
    uint16_t offset; /* in struct record */
    uint8_t number;
    uint8_t type;  /* enum rec_type */
    uint8_t role;  /* enum rec_role */
    uint8_t wire;  /* enum rec_wire */
    uint8_t verbs; /* bit 1 << verb: that verb carries it (singles: verb 0) */
    const char *name;
};

struct rec_shape { /* of one kind of record */
    const char *name;
    const struct rec_field *fields; /* ascending by number; also those that the verb does not carry */
    uint8_t count;
    uint8_t verb;
    uint16_t entity; /* 0: a single */
};

#define REC_FIELDS_MAX       64U /* of one kind */
#define REC_BYTES_FIELDS_MAX 4U  /* of type B */
#define REC_KINDS_MAX        512U

/* NULL: a kind that record.def does not know (STRING too). */
const struct rec_shape *rec_shape(uint32_t kind);

static inline bool rec_carries(const struct rec_shape *shape, const struct rec_field *f)
{
    return (f->verbs >> shape->verb & 1) != 0;
}

static inline uint64_t rec_get_u64(const struct record *r, const struct rec_field *f)
{
    uint64_t v;

    memcpy(&v, (const uint8_t *)r + f->offset, sizeof(v));
    return v;
}

static inline struct slice rec_get_slice(const struct record *r, const struct rec_field *f)
{
    struct slice s;

    memcpy(&s, (const uint8_t *)r + f->offset, sizeof(s));
    return s;
}

static inline void rec_set_u64(struct record *r, const struct rec_field *f, uint64_t v)
{
    memcpy((uint8_t *)r + f->offset, &v, sizeof(v));
}

static inline void rec_set_slice(struct record *r, const struct rec_field *f, struct slice s)
{
    memcpy((uint8_t *)r + f->offset, &s, sizeof(s));
}

/* How many bytes a T or B field may have. */
static inline size_t rec_field_max(const struct rec_shape *shape, const struct rec_field *f)
{
    if (f->type == REC_TYPE_B) {
        return REC_BYTES_MAX;
    }
    return shape->entity == REC_PROCESS && f->offset == offsetof(struct record, process.arguments) ? REC_ARGUMENTS_MAX
                                                                                                   : REC_TEXT_MAX;
}
