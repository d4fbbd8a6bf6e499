/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/agent_conf.h"

#include "common/base/compiler.h"
#include "common/base/err.h"

static const struct conf_option options[] = {
    CONF_SECTION("agent", "Folders and users of both processes."),
    CONF_PATH(
        struct agent_conf, state_dir, "state_dir", "/var/lib/pofr", CONF_NONEMPTY,
        "The host's identity and the spool. Must lie on a local disk: what is said about crashes relies on fsync."),
    CONF_PATH(struct agent_conf, runtime_dir, "runtime_dir", "/run/pofr", CONF_NONEMPTY,
              "The socket between collector and shipper, and lock files."),
    CONF_STRING(struct agent_conf, collector_user, "collector_user", "", 0,
                "The collector becomes this user, keeping only the capabilities that capture needs. Empty: it stays "
                "what it was started as. As an ordinary user without capabilities it sees only that user's files."),
    CONF_STRING(struct agent_conf, shipper_user, "shipper_user", "", 0,
                "The shipper becomes this user, without any capability. Empty: it stays what it was started as."),
    CONF_BOOL(struct agent_conf, container, "container", "no", 0,
              "yes: the agent runs in a container and records the machine around it. The container must have the "
              "machine's process and network namespaces; what the machine says of itself in files (users, groups, "
              "logins, its system) is then read where process 1 sees it, and names of the machine and of control "
              "groups are those that process 1 knows."),

    CONF_SECTION("collect", "What is captured, and what it may cost."),
    CONF_USEC(struct agent_conf, tick_us, "tick", "300ms", "10ms", "1h", CONF_RELOAD,
              "Time from one look to the next. Shorter sees more of what lives between two looks, and costs CPU in "
              "proportion."),
    CONF_USEC(
        struct agent_conf, keyframe_us, "keyframe_every", "10min", "10s", "24h", CONF_RELOAD,
        "How often everything that is open is written in full, so that the cluster can heal. Shorter heals sooner "
        "and costs bandwidth: one keyframe is about as large as an hour of a quiet host's differences."),
    CONF_USEC(struct agent_conf, bundle_age_us, "bundle_age", "4s", "10ms", "10min", CONF_RELOAD,
              "A bundle is signed and offered to the shipper when it is this old. Shorter shortens the way to the "
              "database; each costs about 700 bytes."),
    CONF_SIZE(struct agent_conf, bundle_size, "bundle_size", "256K", "16K", "4M", CONF_RELOAD,
              "... or when it has this many bytes before compression."),
    CONF_USEC(struct agent_conf, facts_us, "facts_every", "10s", "1s", "1h", CONF_RELOAD,
              "How often users, groups, interfaces, routes, logins and hardware are looked at."),
    CONF_USEC(
        struct agent_conf, full_list_us, "full_list_every", "10s", "300ms", "10min", CONF_RELOAD,
        "How often /proc is listed in full although events tell which processes are new. A difference is a finding."),
    CONF_UINT(
        struct agent_conf, reconcile_part, "reconcile_part", "100", "1", "100000", "", CONF_RELOAD,
        "One in so many processes is read again at each tick, or in 300 ms where ticks are shorter, although nothing "
        "says that it changed."),
    CONF_UINT(
        struct agent_conf, socket_budget, "socket_budget", "10", "1", "100", "percent", CONF_RELOAD,
        "Share of a tick that sockets of network namespaces other than the host's may take; what is over it waits "
        "for the next tick, in turn."),
    CONF_UINT(struct agent_conf, exec_budget, "exec_budget", "5", "0", "100", "percent", CONF_RELOAD,
              "Share of one CPU for reading arguments at the moment of exec. Above it arguments of short-lived "
              "processes are missed, and counted. 0: arguments are read at the tick alone."),
    CONF_BOOL(struct agent_conf, sandbox, "sandbox", "yes", 0,
              "Forbid the collector, by seccomp, what it never does: network sockets, exec, mounts, modules, writing "
              "to other processes."),

    CONF_SECTION("spool", "What waits for the gateway."),
    CONF_SIZE(struct agent_conf, spool_limit, "limit", "2G", "4M", "1T", CONF_RELOAD,
              "Bytes on disk. When it is full of what the gateway does not have yet, the newest is refused, counted, "
              "and the gap is signed; the last tenth takes no files and no arguments."),
    CONF_SIZE(struct agent_conf, segment_size, "segment_size", "8M", "256K", "1G", CONF_RELOAD,
              "Size of one file of the spool; room is made by removing whole files."),
    CONF_SIZE(
        struct agent_conf, refused_limit, "refused_limit", "64M", "0", "1G", CONF_RELOAD,
        "Bytes of bundles that the gateway refused finally, kept for whoever wants to know why. The oldest go first."),
    CONF_SIZE(
        struct agent_conf, queue_limit, "queue_limit", "16M", "1M", "1G", CONF_RELOAD,
        "Bytes that may wait for the disk in memory. Capture never waits: what does not fit is lost and counted."),

    CONF_SECTION("ship", "Where to."),
    CONF_STRING(struct agent_conf, gateway, "gateway", "", CONF_RELOAD,
                "Gateways as host:port, with commas between; tried in turn."),
    CONF_USEC(struct agent_conf, connect_timeout_us, "connect_timeout", "15s", "1s", "5min", CONF_RELOAD,
              "From connecting to the gateway's first answer."),
    CONF_USEC(struct agent_conf, retry_min_us, "retry_min", "1s", "100ms", "1h", CONF_RELOAD,
              "Shortest wait after a failure; it grows with each failure and is spread at random."),
    CONF_USEC(struct agent_conf, retry_max_us, "retry_max", "2min", "1s", "24h", CONF_RELOAD,
              "Longest wait after a failure."),
};

static int check(const void *values, struct pofr_err *err)
{
    const struct agent_conf *c = values;

    if (c->segment_size * 2 > c->spool_limit) {
        return pofr_err_set(err, POFR_ECONFIG, "[spool] segment_size must not exceed half of limit");
    }
    if (c->retry_min_us > c->retry_max_us) {
        return pofr_err_set(err, POFR_ECONFIG, "[ship] retry_min must not exceed retry_max");
    }
    return 0;
}

const struct conf_table agent_conf_table =
    CONF_TABLE("pofr-agent", "/etc/pofr/agent.conf", struct agent_conf, options, check);
