/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * auth.h -- who is a peer that logs in as this user with this key? Nothing else decides that. Pure, but for
 * the copy of the catalog.
 *
 * The login proves the key; the user's name says which host it claims to be. A key that is not in the copy is
 * let in as SESSION_UNKNOWN: it may say HELLO, and the catalog decides. That can't be done within the login:
 * the loop waits for nobody.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "gateway/session.h"

struct keys;

/* 0, or the DENIAL_* + 1. */
POFR_MUST_USE int auth_judge(const struct keys *keys, const char *user, const uint8_t key[32], int64_t now_wall_us,
                             struct session_identity *out);
/* The same for a session that is there: by its host and key. With a key that is unknown now it is refused. */
void auth_judge_again(const struct keys *keys, const struct session_identity *was, int64_t now_wall_us,
                      struct session_identity *out);
