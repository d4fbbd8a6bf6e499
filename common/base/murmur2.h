/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * murmur2.h -- the hash of Kafka's default partitioner: what a Java producer would do with this key.
 */
#pragma once

#include <stdint.h>

#include "common/base/slice.h"

uint32_t murmur2(struct slice key);

/* Kafka's partition of a key: (murmur2(key) & 0x7fffffff) % partitions; partitions > 0. */
uint32_t murmur2_partition(struct slice key, uint32_t partitions);
