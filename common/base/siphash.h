/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * siphash.h -- SipHash-2-4 with 64 bits: keyed hash for tables that strangers fill and for row digests.
 */
#pragma once

#include <stdint.h>

#include "common/base/slice.h"

#define SIPHASH_KEY_SIZE 16

uint64_t siphash24(const uint8_t key[SIPHASH_KEY_SIZE], struct slice data);
