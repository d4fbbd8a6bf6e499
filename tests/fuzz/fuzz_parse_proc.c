/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The first byte says which parser of procfs, cgroups or the proc connector; what it gives lies inside of what it was given. */
#include <stdint.h>
#include <stdlib.h>

#include "agent/look/container.h"
#include "agent/look/parse_cn.h"
#include "agent/look/parse_proc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_lie_in(struct slice part, struct slice whole)
{
    if (part.len > 0 && (part.data < whole.data || part.data + part.len > whole.data + whole.len)) {
        abort();
    }
}

static void must_end(struct slice text)
{
    uint32_t number;
    size_t left = text.len + 1;

    while (proc_dirent_next(&text, &number)) {
        if (text.len >= left) {
            abort();
        }
        left = text.len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(data + 1, size > 0 ? size - 1 : 0), link = text;
    struct proc_stat stat;
    struct proc_ids ids;
    struct cn_message message;
    uint64_t inode;
    uint32_t number;

    switch (size > 0 ? data[0] : 0) {
    case 's':
        if (proc_stat_parse(text, &stat) == 0) {
            must_lie_in(stat.comm, text);
            must_lie_in(proc_comm_stable(stat.comm, true), stat.comm);
        }
        break;
    case 'u':
        if (proc_status_parse(text, &ids) != 0 && proc_fdinfo_flags_parse(text, &number) != 0 &&
            proc_u32_parse(text, &number) != 0) {
            break;
        }
        break;
    case 'l':
        (void)proc_link_parse(text, &inode);
        if (proc_link_deleted(&link) && link.len + 10 != text.len) {
            abort();
        }
        break;
    case 'd':
        must_end(text);
        break;
    case 'c':
        must_lie_in(cgroup_path(text), text);
        must_lie_in(cgroup_container(text), text);
        break;
    default:
        if (cn_parse(text, &message) > 0) {
            abort();
        }
    }
    return 0;
}
