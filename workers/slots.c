/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "workers/slots.h"

#include <string.h>

static struct slot_action act(enum slot_do what)
{
    return (struct slot_action){ what, 0 };
}

static struct slot_action act_at(enum slot_do what, int64_t offset)
{
    return (struct slot_action){ what, offset };
}

const char *slot_state_name(enum slot_state s)
{
    static const char *const names[] = { "none", "unmapped", "loading", "limits", "checking", "jumping", "active" };

    return names[s];
}

static struct slot_action load(struct slot *s)
{
    s->epoch++;
    s->seeks = 0;
    if (s->shard_id == 0) {
        s->state = SLOT_UNMAPPED;
        return act(SLOT_DO_WAIT);
    }
    s->state = SLOT_LOADING;
    return act(SLOT_DO_LOAD);
}

struct slot_action slot_assigned(struct slot *s)
{
    return load(s);
}

void slot_revoked(struct slot *s)
{
    s->epoch++;
    s->state = SLOT_NONE;
}

struct slot_action slot_mapped(struct slot *s, unsigned shard_id, uint32_t generation)
{
    bool same = s->shard_id == shard_id && s->generation == generation;

    s->shard_id = shard_id;
    s->generation = generation;
    if (s->state == SLOT_NONE || (same && s->state != SLOT_UNMAPPED)) {
        return act(SLOT_DO_NOTHING);
    }
    return load(s);
}

struct slot_action slot_loaded(struct slot *s, const struct store_position *at)
{
    if (s->state != SLOT_LOADING) {
        return act(SLOT_DO_NOTHING);
    }
    if (!at || !at->owned || at->generation != s->generation) {
        s->state = SLOT_UNMAPPED; /* the move is under way: map and shard will agree again */
        return act(SLOT_DO_WAIT);
    }
    s->at = *at;
    s->expected = at->next_offset;
    s->state = SLOT_LIMITS;
    return act(SLOT_DO_ASK_LIMITS);
}

static struct slot_action go_on(struct slot *s)
{
    s->state = SLOT_ACTIVE;
    s->expected = s->at.next_offset;
    s->seeks = 0;
    return act_at(SLOT_DO_SEEK, s->expected);
}

static struct slot_action jump(struct slot *s, enum slot_do how)
{
    s->state = SLOT_JUMPING;
    return act_at(how, s->low);
}

static bool nothing_to_compare(const struct slot *s, int64_t low)
{
    static const uint8_t none[32];

    return s->at.next_offset == 0 || memcmp(s->at.before_digest, none, 32) == 0 || low >= s->at.next_offset;
}

struct slot_action slot_limits(struct slot *s, int64_t low, int64_t high)
{
    int64_t next = s->at.next_offset;

    if (s->state != SLOT_LIMITS) {
        return act(SLOT_DO_NOTHING);
    }
    s->low = low;
    if (high < next) { /* the log ends before what was stored of it */
        return jump(s, SLOT_DO_REINCARNATE);
    }
    if (low > next) {
        return jump(s, SLOT_DO_SKIP);
    }
    if (nothing_to_compare(s, low)) {
        return go_on(s);
    }
    s->state = SLOT_CHECKING;
    s->expected = next - 1;
    s->seeks = 0;
    return act_at(SLOT_DO_SEEK, s->expected);
}

/* Not the message that was expected: fetching jumped. */
static struct slot_action elsewhere(struct slot *s)
{
    if (s->seeks < SLOT_SEEKS_MAX) {
        s->seeks++;
        return act_at(SLOT_DO_SEEK, s->expected);
    }
    return load(s); /* the shard knows how far it got; the log's limits then say what is missing */
}

struct slot_action slot_message(struct slot *s, int64_t offset, const uint8_t digest[32])
{
    if (s->state != SLOT_ACTIVE && s->state != SLOT_CHECKING) {
        return act(SLOT_DO_DROP);
    }
    if (offset != s->expected) {
        return elsewhere(s);
    }
    if (s->state == SLOT_CHECKING) {
        if (memcmp(digest, s->at.before_digest, 32) != 0) {
            return jump(s, SLOT_DO_REINCARNATE);
        }
        s->state = SLOT_ACTIVE;
        s->expected = s->at.next_offset;
        s->seeks = 0;
        return act(SLOT_DO_DROP);
    }
    s->expected++;
    s->seeks = 0;
    return act(SLOT_DO_ENQUEUE);
}

struct slot_action slot_stalled(struct slot *s)
{
    return s->state == SLOT_ACTIVE || s->state == SLOT_CHECKING ? load(s) : act(SLOT_DO_NOTHING);
}

struct slot_action slot_jumped(struct slot *s, const struct store_position *at)
{
    if (s->state != SLOT_JUMPING) {
        return act(SLOT_DO_NOTHING);
    }
    if (!at) {
        return load(s);
    }
    s->at = *at;
    return go_on(s);
}

struct slot_action slot_fenced(struct slot *s)
{
    return s->state == SLOT_NONE ? act(SLOT_DO_NOTHING) : load(s);
}
