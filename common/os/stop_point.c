/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/os/stop_point.h"

#if defined(POFR_STOP_POINTS)
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How often the one point that is asked for was passed: one process, one point. */
static atomic_ulong passages;

static void tell(const char *name)
{
    const char *path = getenv("POFR_STOP_FILE");
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
    char line[128];
    size_t len = strlen(name);

    if (fd >= 0 && len < sizeof(line)) {
        memcpy(line, name, len);
        line[len] = '\n';
        if (write(fd, line, len + 1) < 0) {
            abort(); /* the test would wait for ever */
        }
        (void)close(fd); /* it was written */
    }
}

void stop_point_reached(const char *name)
{
    const char *at = getenv("POFR_STOP_AT");
    size_t len = strlen(name);
    unsigned long wanted = 1;

    if (!at || strncmp(at, name, len) != 0 || (at[len] != '\0' && at[len] != ':')) {
        return;
    }
    if (at[len] == ':') {
        wanted = strtoul(at + len + 1, NULL, 10);
    }
    if (atomic_fetch_add(&passages, 1) + 1 == wanted) {
        tell(name);
        (void)kill(getpid(), SIGSTOP); /* can't fail for ourselves */
    }
}
#endif
