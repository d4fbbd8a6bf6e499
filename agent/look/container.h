/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * container.h -- /proc/PID/cgroup -> the group that we record, and the container that it belongs to. Pure.
 */
#pragma once

#include "common/base/slice.h"

/*
 * The path that says most: of the unified hierarchy (0::) unless that is "/", else of systemd's, else of the first
 * that is not "/", else "/"; empty where the text has no line. Borrowed from text.
 */
struct slice cgroup_path(struct slice text);

/*
 * The container, from any line: the id of docker, podman (libpod), cri-o, containerd and of kubernetes' pods (64 hex
 * digits; the innermost), the name of an lxc or systemd-nspawn one. Empty: none. Borrowed from text.
 * It says what the group is called, and root can call a group as he likes: no proof.
 */
struct slice cgroup_container(struct slice text);
