/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "workers/notes.h"

#include <inttypes.h>
#include <stdio.h>

/* Printable ASCII without quote and backslash; the rest as "?": a version is no place for anything else. */
static void clean_text(struct slice s, char *out, size_t size)
{
    size_t n = s.len < size - 1 ? s.len : size - 1;

    for (size_t i = 0; i < n; i++) {
        uint8_t c = s.data[i];

        out[i] = c >= 0x20 && c < 0x7f && c != '"' && c != '\\' ? (char)c : '?';
    }
    out[n] = 0;
}

void notes_recorder(const struct rec_recorder *r, char *out, size_t size)
{
    char version[80];
    int n;

    clean_text(r->version, version, sizeof(version));
    n = snprintf(out, size,
                 "{\"tick_us\":%" PRIu64 ",\"cpu_collect_us\":%" PRIu64 ",\"cpu_ship_us\":%" PRIu64
                 ",\"memory_bytes\":%" PRIu64 ",\"ticks\":%" PRIu64 ",\"overruns\":%" PRIu64 ",\"skipped\":%" PRIu64
                 ",\"reconciled\":%" PRIu64 ",\"reconcile_wrong\":%" PRIu64 ",\"spool_bytes\":%" PRIu64
                 ",\"spool_limit\":%" PRIu64 ",\"spool_oldest\":%" PRIu64 ",\"spool_acked\":%" PRIu64
                 ",\"blocked_looks\":%" PRIu64 ",\"version\":\"%s\"}",
                 r->tick_us, r->cpu_collect_us, r->cpu_ship_us, r->memory_bytes, r->ticks, r->overruns, r->skipped,
                 r->reconciled, r->reconcile_wrong, r->spool_bytes, r->spool_limit, r->spool_oldest, r->spool_acked,
                 r->blocked_looks, version);
    if (n < 0 || (size_t)n >= size) {
        snprintf(out, size, "{}");
    }
}
