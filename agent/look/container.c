/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What they call their groups (one line each of /proc/PID/cgroup, "number:controllers:path"):
 *
 *   docker        /docker/<id>                    /system.slice/docker-<id>.scope
 *   podman        /machine.slice/libpod-<id>.scope/container   /user.slice/.../libpod-<id>.scope
 *                 (libpod-conmon-<id> is the monitor outside of it: none)
 *   kubernetes    /kubepods/burstable/pod<uid>/<id>   /kubepods.slice/.../cri-containerd-<id>.scope, crio-<id>.scope
 *                 (crio-conmon-<id>: none)
 *   containerd    /<namespace>/<id>   ctr and nerdctl: id is 64 hex digits, or a name that nothing tells from a service's
 *   lxc           /lxc/<name>/...     /lxc.payload.<name>/...   (lxc.monitor.<name>: none)
 *   nspawn        /machine.slice/machine-<name>.scope   /machine.slice/systemd-nspawn@<name>.service
 */
#include "agent/look/container.h"

#include <stdbool.h>

#define ID_LEN 64

/* Path of a line; empty for a line that is none. */
static struct slice line_path(struct slice line, struct slice *out_controllers)
{
    struct slice rest = line;

    (void)slice_split(&rest, ':'); /* number */
    *out_controllers = slice_split(&rest, ':');
    return rest.len > 0 && rest.data[0] == '/' ? rest : SLICE_EMPTY;
}

struct slice cgroup_path(struct slice text)
{
    struct slice best = SLICE_EMPTY;
    int best_rank = 0;

    while (text.len > 0) {
        struct slice line = slice_split(&text, '\n');
        struct slice controllers;
        struct slice path = line_path(line, &controllers);
        int rank;

        if (path.len == 0) {
            continue;
        }
        if (path.len == 1) {
            rank = 1;
        } else if (controllers.len == 0) {
            rank = 4;
        } else {
            rank = slice_eq_str(controllers, "name=systemd") ? 3 : 2;
        }
        if (rank > best_rank) {
            best = path;
            best_rank = rank;
        }
    }
    return best;
}

static bool is_id(struct slice s)
{
    if (s.len != ID_LEN) {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (!((s.data[i] >= '0' && s.data[i] <= '9') || (s.data[i] >= 'a' && s.data[i] <= 'f'))) {
            return false;
        }
    }
    return true;
}

/* What is between prefix and suffix; empty where s is not of that form. */
static struct slice between(struct slice s, const char *prefix, const char *suffix)
{
    struct slice p = slice_str(prefix), e = slice_str(suffix);

    if (s.len <= p.len + e.len || !slice_starts_with(s, p) || !slice_eq(slice_sub(s, s.len - e.len, e.len), e)) {
        return SLICE_EMPTY;
    }
    return slice_sub(s, p.len, s.len - p.len - e.len);
}

/* The id in one component: bare, or as PROGRAM-<id>.scope. */
static struct slice component_id(struct slice part)
{
    static const char *const prefixes[] = { "docker-", "libpod-", "cri-containerd-", "crio-", "nerdctl-" };

    if (is_id(part)) {
        return part;
    }
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        struct slice id = between(part, prefixes[i], ".scope");

        if (is_id(id)) {
            return id;
        }
        id = between(part, prefixes[i], ""); /* cgroupfs driver of podman */
        if (is_id(id)) {
            return id;
        }
    }
    return SLICE_EMPTY;
}

static struct slice component_name(struct slice parent, struct slice part)
{
    struct slice name = between(part, "lxc.payload.", "");

    if (name.len > 0) {
        return name;
    }
    if (slice_eq_str(parent, "lxc")) {
        return part;
    }
    if (!slice_eq_str(parent, "machine.slice")) {
        return SLICE_EMPTY;
    }
    name = between(part, "systemd-nspawn@", ".service");
    return name.len > 0 ? name : between(part, "machine-", ".scope");
}

static struct slice path_container(struct slice path)
{
    struct slice found = SLICE_EMPTY, parent = SLICE_EMPTY;

    while (path.len > 0) {
        struct slice part = slice_split(&path, '/');
        struct slice id = component_id(part);

        if (id.len == 0) {
            id = component_name(parent, part);
        }
        if (id.len > 0) {
            found = id;
        }
        parent = part;
    }
    return found;
}

struct slice cgroup_container(struct slice text)
{
    while (text.len > 0) {
        struct slice line = slice_split(&text, '\n');
        struct slice controllers;
        struct slice id = path_container(line_path(line, &controllers));

        if (id.len > 0) {
            return id;
        }
    }
    return SLICE_EMPTY;
}
