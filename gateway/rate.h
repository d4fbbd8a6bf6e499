/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rate.h -- how fast one address may connect: a bucket of tokens per address, in a table of bounded size.
 *
 * A connection takes one token. One that shows a known key gets 15/16 of it back: so strangers, whose key exchange is
 * all that they want, are held to the rate, and a thousand hosts behind one address come again at once.
 *
 * Not thread-safe: limits.c holds its lock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"

#define RATE_ADDRESSES_MAX 65536u
#define RATE_ADDRESS_SIZE  16u

struct pofr_err;
struct rate;

POFR_MUST_USE int rate_new(struct rate **out, struct pofr_err *err);
void rate_free(struct rate *r); /* NULL is allowed */

/* Tokens that come back in a second (0: there is no limit), and how many a bucket holds. */
void rate_set(struct rate *r, uint32_t per_second, uint32_t burst);

/*
 * A connection came. False: there is no token, and none was taken. Where the table is full the address that was not seen
 * for the longest time is forgotten. Where memory is short there is no limit.
 */
bool rate_take(struct rate *r, const uint8_t address[RATE_ADDRESS_SIZE], int64_t now_us);
/* It showed a known key. */
void rate_give_back(struct rate *r, const uint8_t address[RATE_ADDRESS_SIZE]);

size_t rate_addresses(const struct rate *r);
