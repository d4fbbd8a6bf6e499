/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * compiler.h -- the few compiler attributes and macros everyone uses.
 */
#pragma once

#include <stddef.h>

/* The result must be looked at; to ignore it on purpose write POFR_IGNORE(call) and the reason (gcc takes no (void)). */
#define POFR_MUST_USE __attribute__((warn_unused_result))
#define POFR_IGNORE(call)                                                                                              \
    do {                                                                                                               \
        POFR_UNUSED __typeof__(call) pofr_ignored_ = (call);                                                           \
    } while (0)

/* Argument number fmt is a printf format whose values start at argument number first. */
#define POFR_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))

#define POFR_NORETURN    __attribute__((noreturn))
#define POFR_UNUSED      __attribute__((unused))
#define POFR_FALLTHROUGH __attribute__((fallthrough))

/* Overflow in here is wanted (hash functions). */
#if defined(__clang__)
#define POFR_WRAPS __attribute__((no_sanitize("unsigned-integer-overflow")))
#else
#define POFR_WRAPS
#endif

#define pofr_likely(x)   __builtin_expect(!!(x), 1)
#define pofr_unlikely(x) __builtin_expect(!!(x), 0)

/* Number of elements; refuses a pointer at compile time. */
#define pofr_countof(a)                                                                                                \
    (sizeof(a) / sizeof((a)[0]) +                                                                                      \
     0 * sizeof(struct {                                                                                               \
         _Static_assert(!__builtin_types_compatible_p(__typeof__(a), __typeof__(&(a)[0])),                             \
                        "an array is needed, not a pointer");                                                          \
         int unused;                                                                                                   \
     }))

#define pofr_container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
