/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * exec_readers.h -- the reader of arguments that is at work, and those that hang.
 *
 * One that hangs in a reading for longer than a second is left behind and another takes its place, as long as fewer than
 * EXEC_READERS_MAX hang; one that comes back makes room. While there is none, and of what one that was left behind had not
 * read yet, each exec counts as missed: the connector's own socket tells of all of them.
 * One owner.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/look/exec_reader.h"

#define EXEC_READERS_MAX 4u

struct exec_readers {
    struct exec_reader_conf conf;
    struct exec_reader *reader; /* NULL: none */
    struct exec_reader *left[EXEC_READERS_MAX];
    uint32_t left_count;
    const char *reason; /* why there is none. NULL: there is one, or none was ever wanted */
    bool wanted;
    uint64_t from_ns;  /* execs before that are nobody's: it was before the first reader */
    uint64_t since_ns; /* this reader hears of what happens from here on */
    uint64_t told;     /* execs since then */
    uint64_t retry_ns, wait_ns;
    struct exec_reader_figures past; /* of those left behind, and of times without any */
};

/* Nothing is started yet. */
void exec_readers_init(struct exec_readers *r, const struct exec_reader_conf *conf);
void exec_readers_fini(struct exec_readers *r);

/* Is another to be made now? (CLOCK_MONOTONIC, as everywhere here.) */
bool exec_readers_due(const struct exec_readers *r, uint64_t now_ns);

/* Make one. false: reason says why not, and when to try again is noted. */
bool exec_readers_open(struct exec_readers *r, uint64_t now_ns);

/* Does it hear? pid made a session after exec_readers_open(). false: it is none; as above. */
bool exec_readers_confirm(struct exec_readers *r, uint32_t pid, uint32_t limit_ms, uint64_t now_ns);

/* The connector told of an exec. */
void exec_readers_told(struct exec_readers *r, uint64_t timestamp_ns);

/* Give out what was read, after all events of before were told; leave behind who hangs. */
void exec_readers_take(struct exec_readers *r, int64_t elapsed_us, exec_reading_fn fn, void *ctx);

/* Totals of all readers. */
void exec_readers_figures(struct exec_readers *r, struct exec_reader_figures *out);
