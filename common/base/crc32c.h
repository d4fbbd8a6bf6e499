/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * crc32c.h -- CRC-32C (Castagnoli): finds torn and rotten bytes on disk. Not a defence against anyone.
 */
#pragma once

#include <stdint.h>

#include "common/base/slice.h"

/* Start with crc 0; feed the result back in for the next piece. */
uint32_t crc32c(uint32_t crc, struct slice data);

/* The portable way, which crc32c() takes where the CPU has no instruction for it. */
uint32_t crc32c_table(uint32_t crc, struct slice data);
