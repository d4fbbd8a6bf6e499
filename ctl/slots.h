/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * slots.h -- which slots a shard owns: planned first, then given, one after the other.
 */
#pragma once

#include "common/kafka/topic_rules.h"
#include "ctl/ctl.h"

#define SLOTS_MAX TOPIC_PARTITIONS_MAX

struct slot_set {
    bool in[SLOTS_MAX];
    unsigned count;
};

/* "0-31,40": ascending or not, each below slots. False: it is no such list. */
bool slots_parse(const char *text, unsigned slots, struct slot_set *out);

/* NULL: none of them has this id. */
const struct ctl_shard *slots_shard(const struct ctl_shard *shards, size_t count, uint64_t id);

/* The number of slots is that of the topic's partitions on the day of the first shard, and only grows. */
POFR_MUST_USE int slots_setting(struct ctl *c, struct db *catalog, unsigned *out_slots, struct pofr_err *err);

/*
 * Which slots the shard (id 0: a new one) is to get, of shards in all: wanted is "even" or NULL, "none", or a list
 * like "0-31,40". All that may be refused is refused here, before anything is changed.
 */
POFR_MUST_USE int slots_plan(struct db *catalog, const struct ctl_shard *to, size_t shards, unsigned slots,
                             const char *wanted, struct slot_set *out, struct pofr_err *err);

/* Give them; the shard's own rows of what it owns already are made again where they are missing. */
POFR_MUST_USE int slots_give(struct ctl *c, struct db *catalog, const struct ctl_shard *to,
                             const struct ctl_shard *shards, size_t count, const struct slot_set *set,
                             struct pofr_err *err);
