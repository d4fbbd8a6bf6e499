/* SPDX-License-Identifier: GPL-2.0-or-later */
/* head_parts.h -- how the head is told of a shard: head.c makes its tables so, head_reach.c one to try it. */
#pragma once

#include "common/base/buf.h"
#include "ctl/head.h"

#define HEAD_PROBE "pofr.reach" /* the server that head_reaches() makes: no name of a shard has a dot */

/* The server s->name, in the place of one of this name. */
POFR_MUST_USE int head_make_server(struct ctl *c, struct db *head, const struct ctl_shard *s, struct pofr_err *err);

/* Append Spider's parameters for connections to shards, with a comma before each. */
POFR_MUST_USE int head_protect(const struct ctl *c, struct buf *to, struct pofr_err *err);
