/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * agent_conf.h -- /etc/pofr/agent.conf: every option of pofr-agent, for all its subcommands.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/os/conf.h"

struct agent_conf {
    /* [agent] */
    const char *state_dir;      /* spool, identity */
    const char *runtime_dir;    /* the socket between collector and shipper */
    const char *collector_user; /* empty: stay as started */
    const char *shipper_user;
    bool container; /* record the machine around the container that we are in: see agent/machine.h */

    /* [collect] */
    int64_t tick_us;
    int64_t keyframe_us;
    int64_t bundle_age_us;
    uint64_t bundle_size;
    int64_t facts_us;        /* how often users, interfaces, routes, hardware, logins are looked at */
    int64_t full_list_us;    /* how often /proc is listed in full */
    uint32_t reconcile_part; /* one in so many processes is read again each tick (or 300 ms) whatever its clock says */
    uint32_t socket_budget;  /* percent of a tick that other network namespaces' sockets may cost */
    uint32_t exec_budget;    /* percent of a CPU for arguments at exec events */
    bool sandbox;

    /* [spool] */
    uint64_t spool_limit;
    uint64_t segment_size;
    uint64_t refused_limit;
    uint64_t queue_limit;

    /* [ship]: see agent/ship/ */
    const char *gateway; /* host:port, or several with commas: tried in turn */
    int64_t connect_timeout_us;
    int64_t retry_min_us;
    int64_t retry_max_us;
};

extern const struct conf_table agent_conf_table;
