/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The first byte says which file of the host; each item is whole, and no more are made than the limit. */
#include <stdint.h>
#include <stdlib.h>

#include "agent/look/host_items.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(data + 1, size > 0 ? size - 1 : 0);
    struct host_items h = { .items = NULL };
    struct buf printed = BUF_INIT(1 << 24);

    arena_init(&h.arena, 1 << 24);
    switch (size > 0 ? data[0] : 0) {
    case 'p':
        host_parse_passwd(text, &h);
        break;
    case 'g':
        host_parse_group(text, &h);
        break;
    case 's':
        host_parse_session(text, slice_str("c1"), &h);
        break;
    default:
        host_parse_utmp(text, &h);
    }
    if (h.count > HOST_ITEMS_MAX) {
        abort();
    }
    for (size_t i = 0; i < h.count; i++) {
        rec_print(&h.items[i], &printed); /* touches every byte */
        buf_reset(&printed);
    }
    buf_free(&printed);
    arena_free(&h.arena);
    free(h.items);
    return 0;
}
