/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/collect/refused.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/spool/format.h"
#include "common/os/fsio.h"

/* Bytes in the folder, and its oldest bundle (0: none). */
static int survey(const char *folder, uint64_t *out_bytes, uint64_t *out_oldest, uint64_t *out_oldest_bytes,
                  struct pofr_err *err)
{
    DIR *d = opendir(folder);
    struct dirent *e;
    uint64_t sequence;
    struct stat st;

    *out_bytes = *out_oldest = *out_oldest_bytes = 0;
    if (d == NULL) {
        return pofr_err_sys(err, fsio_code(errno), "%s", folder);
    }
    while ((e = readdir(d)) != NULL) {
        if (!spool_refused_name_parse(e->d_name, &sequence) || fstatat(dirfd(d), e->d_name, &st, 0) != 0) {
            continue;
        }
        *out_bytes += (uint64_t)st.st_size;
        if (*out_oldest == 0 || sequence < *out_oldest) {
            *out_oldest = sequence;
            *out_oldest_bytes = (uint64_t)st.st_size;
        }
    }
    (void)closedir(d); /* only read */
    return 0;
}

int refused_keep(const char *dir, uint64_t sequence, struct slice block, uint64_t limit, uint64_t *out_dropped,
                 struct pofr_err *err)
{
    char folder[PATH_MAX - 64], path[PATH_MAX], name[SPOOL_NAME_SIZE];
    uint64_t bytes, oldest, oldest_bytes;
    int rc;

    *out_dropped = 0;
    if (snprintf(folder, sizeof(folder), "%s/%s", dir, SPOOL_REFUSED) >= (int)sizeof(folder)) {
        return pofr_err_set(err, POFR_ETOOBIG, "%s: path too long", dir);
    }
    rc = fsio_mkdirs(folder, 0750, err);
    if (rc == 0 && block.len > limit) {
        *out_dropped = block.len;
        return 0;
    }
    for (rc = rc != 0 ? rc : survey(folder, &bytes, &oldest, &oldest_bytes, err);
         rc == 0 && oldest != 0 && bytes + block.len > limit;
         rc = survey(folder, &bytes, &oldest, &oldest_bytes, err)) {
        snprintf(path, sizeof(path), "%s/%s", folder, spool_refused_name(oldest, name));
        if (unlink(path) != 0) {
            return pofr_err_sys(err, POFR_ESYSTEM, "%s: remove", path);
        }
        *out_dropped += oldest_bytes;
    }
    if (rc != 0) {
        return rc;
    }
    snprintf(path, sizeof(path), "%s/%s", folder, spool_refused_name(sequence, name));
    return fsio_replace(path, block, 0640, err);
}
