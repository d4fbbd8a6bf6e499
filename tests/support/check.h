/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * check.h -- cmocka with the headers that it wants before it, and the ways to compare that we use.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/slice.h"

/* A slice holds exactly this text. */
#define assert_slice_str(s, text)                                                                                      \
    do {                                                                                                               \
        struct slice pofr_s_ = (s);                                                                                    \
        assert_int_equal(pofr_s_.len, strlen(text));                                                                   \
        if (pofr_s_.len > 0) {                                                                                         \
            assert_memory_equal(pofr_s_.data, text, pofr_s_.len);                                                      \
        }                                                                                                              \
    } while (0)
