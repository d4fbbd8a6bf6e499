/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stddef.h>

#include "common/base/err.h"
#include "common/os/fsio.h"

const char *machine_root(bool container)
{
    return container ? "/proc/1/root" : "";
}

int machine_join(struct pofr_err *err)
{
    static const struct {
        const char *path;
        int kind;
    } namespaces[] = { { "/proc/1/ns/uts", CLONE_NEWUTS }, { "/proc/1/ns/cgroup", CLONE_NEWCGROUP } };
    int code = 0;

    for (size_t i = 0; i < pofr_countof(namespaces); i++) {
        int fd = open(namespaces[i].path, O_RDONLY | O_CLOEXEC);

        if (fd < 0 && errno == ENOENT) { /* control groups have names of their own since 4.6 */
            continue;
        }
        if (fd < 0 || setns(fd, namespaces[i].kind) != 0) {
            code = pofr_err_sys(err, POFR_EPERMISSION, "%s", namespaces[i].path);
        }
        fsio_close(&fd);
    }
    return code;
}
