/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clones.h -- hosts that are two machines, or machines that are two hosts: what host list and status say of them.
 *
 *   key          two machines were at work with this host's key within a day (finding "clone", by the worker)
 *   machine_id   another host that is pending or active has the same machine id
 */
#pragma once

#include "common/base/buf.h"
#include "common/db/db.h"
#include "ctl/ctl.h"

/* host_ids with commas between, of hosts whose key was at work twice; appended to out. Asks the head. */
POFR_MUST_USE int clones_of_keys(struct db *head, struct buf *out, struct pofr_err *err);

/* SQL in the catalog, of a row h of host. */
#define CLONES_TWINS                                                                                                   \
    "FROM host o WHERE o.machine_id = h.machine_id AND o.machine_id <> '' AND o.number <> h.number AND "               \
    "o.state IN ('pending', 'active') AND h.state IN ('pending', 'active')"
/* The words above, or NULL. One parameter: what clones_of_keys() said. */
#define CLONES_WORDS                                                                                                   \
    "NULLIF(CONCAT_WS(' ', IF(FIND_IN_SET(h.host_id, ?) AND h.state = 'active', 'key', NULL), IF(EXISTS (SELECT "      \
    "1 " CLONES_TWINS "), 'machine_id', NULL)), '')"
/* The first five with the same machine id, or NULL. */
#define CLONES_OTHERS "(SELECT GROUP_CONCAT(o.host ORDER BY o.number SEPARATOR ' ' LIMIT 5) " CLONES_TWINS ")"

/* The part of status: all such hosts of the catalog, at most ten. head NULL: says that they are not known. */
POFR_MUST_USE int clones_part(struct ctl *c, struct db *head, struct pofr_err *err);
