/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * record.def unrolled: one table of fields per struct, one shape per kind. A new entity or field there
 * needs no line here.
 */
#include "common/record/record_table.h"

#include "common/base/compiler.h"

#define WIRE_U REC_WIRE_VARINT
#define WIRE_S REC_WIRE_ZIGZAG
#define WIRE_T REC_WIRE_VARINT
#define WIRE_B REC_WIRE_BYTES
#define WIRE_H REC_WIRE_EIGHT
#define WIRE_A REC_WIRE_VARINT

#define ALL_VERBS       (1 << REC_START | 1 << REC_END | 1 << REC_SIGHT)
#define FIRST_END_FIELD 3 /* interval fields from last_seen on are of the END alone */

/* "self" is the struct of the kind at hand; every struct lies at the start of the record's union. */
#define UNION offsetof(struct record, iv)
#define ROW(number, name, type, role, verbs)                                                                           \
    { (uint16_t)(UNION + offsetof(self, name)), number, REC_TYPE_##type, REC_ROLE_##role, WIRE_##type, verbs, #name },
#define OWN_FIELD(number, name, type, role) ROW(number, name, type, role, ALL_VERBS)
#define INTERVAL_FIELD(number, name, type, role)                                                                       \
    { (uint16_t)(UNION + offsetof(struct rec_interval, name)), number, REC_TYPE_##type, REC_ROLE_##role, WIRE_##type,  \
      (number) < FIRST_END_FIELD ? ALL_VERBS : 1 << REC_END,   #name },

#define COUNT_U                         0U
#define COUNT_S                         0U
#define COUNT_T                         0U
#define COUNT_B                         1U
#define COUNT_H                         0U
#define COUNT_A                         0U
#define COUNT(number, name, type, role) +COUNT_##type
#define ASSERT_LIMITS(UPPER)                                                                                           \
    _Static_assert(pofr_countof(fields) <= REC_FIELDS_MAX && (POFR_##UPPER##_FIELDS(COUNT)) <= REC_BYTES_FIELDS_MAX,   \
                   "too many fields")

#define ENTITY(number, lower, UPPER)                                                                                   \
    static const struct rec_shape *lower##_shape(uint32_t verb)                                                        \
    {                                                                                                                  \
        typedef struct rec_##lower self;                                                                               \
        static const struct rec_field fields[] = { POFR_INTERVAL_FIELDS(INTERVAL_FIELD)                                \
                                                       POFR_##UPPER##_FIELDS(OWN_FIELD) };                             \
        static const struct rec_shape shapes[] = {                                                                     \
            { #lower ".start", fields, pofr_countof(fields), REC_START, number },                                      \
            { #lower ".end", fields, pofr_countof(fields), REC_END, number },                                          \
            { #lower ".sight", fields, pofr_countof(fields), REC_SIGHT, number },                                      \
        };                                                                                                             \
                                                                                                                       \
        ASSERT_LIMITS(UPPER);                                                                                          \
        _Static_assert(offsetof(struct record, lower) == UNION, "interval fields come first");                         \
        return verb < pofr_countof(shapes) ? &shapes[verb] : NULL;                                                     \
    }
POFR_ENTITIES(ENTITY)
#undef ENTITY

#define SINGLE(number, lower, UPPER)                                                                                   \
    static const struct rec_shape *lower##_shape(void)                                                                 \
    {                                                                                                                  \
        typedef struct rec_##lower self;                                                                               \
        static const struct rec_field fields[] = { POFR_##UPPER##_FIELDS(OWN_FIELD) };                                 \
        static const struct rec_shape shape = { #lower, fields, pofr_countof(fields), 0, 0 };                          \
                                                                                                                       \
        ASSERT_LIMITS(UPPER);                                                                                          \
        _Static_assert(offsetof(struct record, lower) == UNION, "the union has one start");                            \
        return &shape;                                                                                                 \
    }
POFR_SINGLES(SINGLE)
#undef SINGLE

const struct rec_shape *rec_shape(uint32_t kind)
{
    if (kind < 64) {
        switch (kind) {
#define SINGLE(number, lower, UPPER)                                                                                   \
    case number:                                                                                                       \
        return lower##_shape();
            POFR_SINGLES(SINGLE)
#undef SINGLE
        default:
            return NULL;
        }
    }
    switch (kind / 4) {
#define ENTITY(number, lower, UPPER)                                                                                   \
    case number:                                                                                                       \
        return lower##_shape(kind % 4);
        POFR_ENTITIES(ENTITY)
#undef ENTITY
    default:
        return NULL;
    }
}

bool rec_kind_is_entity(uint32_t kind)
{
    return kind >= 64 && rec_shape(kind) != NULL;
}

const char *rec_kind_name(uint32_t kind)
{
    const struct rec_shape *shape = rec_shape(kind);

    if (kind == REC_STRING) {
        return "string";
    }
    return shape ? shape->name : NULL;
}

const char *rec_entity_name(unsigned entity)
{
    switch (entity) {
#define ENTITY(number, lower, UPPER)                                                                                   \
    case number:                                                                                                       \
        return #lower;
        POFR_ENTITIES(ENTITY)
#undef ENTITY
    default:
        return NULL;
    }
}

const char *rec_end_source_name(uint64_t source)
{
    switch (source) {
    case REC_END_EXIT:
        return "exit";
    case REC_END_GONE:
        return "gone";
    case REC_END_EXEC:
        return "exec";
    case REC_END_CHANGE:
        return "change";
    case REC_END_CLOSE:
        return "close";
    case REC_END_REBOOT:
        return "reboot";
    case REC_END_RETIRED:
        return "retired";
    default:
        return "unknown";
    }
}

const char *rec_gap_kind_name(uint64_t kind)
{
    static const char *const names[] = {
        [REC_GAP_STOPPED] = "stopped", [REC_GAP_CRASH] = "crash",   [REC_GAP_SPOOL] = "spool",
        [REC_GAP_REFUSED] = "refused", [REC_GAP_WRITER] = "writer", [REC_GAP_TICKS] = "ticks",
        [REC_GAP_STATE] = "state",
    };

    return kind < pofr_countof(names) && names[kind] ? names[kind] : "unknown";
}

const char *rec_file_kind_name(uint64_t kind)
{
    static const char *const names[] = {
        [REC_FILE_UNKNOWN] = "unknown",     [REC_FILE_REGULAR] = "regular", [REC_FILE_DIRECTORY] = "directory",
        [REC_FILE_CHARACTER] = "character", [REC_FILE_BLOCK] = "block",     [REC_FILE_FIFO] = "fifo",
        [REC_FILE_SOCKET] = "socket",       [REC_FILE_SYMLINK] = "symlink", [REC_FILE_ANONYMOUS] = "anonymous",
    };

    return kind < pofr_countof(names) ? names[kind] : "unknown";
}
