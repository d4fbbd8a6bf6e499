/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/look/exec_readers.h"

#define HANG_US     INT64_C(1000000)
#define WAIT_NS     UINT64_C(10000000000)   /* between attempts that fail, twice as long after each, */
#define WAIT_MAX_NS UINT64_C(3600000000000) /* up to this: an attempt may cost half a second of a tick */

static void add(struct exec_reader_figures *sum, const struct exec_reader_figures *f)
{
    sum->read += f->read;
    sum->missed += f->missed;
    sum->lost += f->lost;
    sum->asleep += f->asleep;
}

void exec_readers_init(struct exec_readers *r, const struct exec_reader_conf *conf)
{
    *r = (struct exec_readers){ .conf = *conf };
}

void exec_readers_fini(struct exec_readers *r)
{
    exec_reader_free(r->reader);
    for (uint32_t i = 0; i < r->left_count; i++) {
        exec_reader_free(r->left[i]);
    }
    *r = (struct exec_readers){ .reader = NULL };
}

bool exec_readers_due(const struct exec_readers *r, uint64_t now_ns)
{
    return r->wanted && !r->reader && r->left_count < EXEC_READERS_MAX && now_ns >= r->retry_ns;
}

static void failed(struct exec_readers *r, const char *reason, uint64_t now_ns)
{
    r->reader = NULL;
    r->reason = reason;
    r->wait_ns = r->wait_ns == 0 ? WAIT_NS : r->wait_ns * 2 < WAIT_MAX_NS ? r->wait_ns * 2 : WAIT_MAX_NS;
    r->retry_ns = now_ns + r->wait_ns;
}

/* It ends itself, now or when it wakes; nobody waits for that. */
static void put_aside(struct exec_readers *r)
{
    exec_reader_leave(r->reader);
    r->left[r->left_count++] = r->reader;
    r->reader = NULL;
}

static const char *hanging(const struct exec_readers *r)
{
    return r->left_count == EXEC_READERS_MAX ? "too many readings of arguments hang in the kernel"
                                             : "a reading of arguments hangs in the kernel";
}

bool exec_readers_open(struct exec_readers *r, uint64_t now_ns)
{
    const char *reason = NULL;

    if (!r->wanted) {
        r->wanted = true;
        r->from_ns = now_ns;
    }
    r->since_ns = now_ns;
    r->told = 0;
    if (exec_reader_new(&r->conf, &r->reader, &reason) != 0) {
        failed(r, reason, now_ns);
        return false;
    }
    r->reason = NULL;
    return true;
}

bool exec_readers_confirm(struct exec_readers *r, uint32_t pid, uint32_t limit_ms, uint64_t now_ns)
{
    bool hangs;

    if (pid != 0 && exec_reader_wait_for(r->reader, pid, limit_ms)) {
        r->wait_ns = 0;
        return true;
    }
    hangs = exec_reader_hangs(r->reader, 0);
    put_aside(r); /* what it has read is missed: the connector still tells of these */
    if (hangs) {
        r->reason = hanging(r);
    } else {
        failed(r, "the connector told its second socket nothing", now_ns);
    }
    return false;
}

void exec_readers_told(struct exec_readers *r, uint64_t timestamp_ns)
{
    if (!r->wanted || timestamp_ns < r->from_ns) {
        return;
    }
    if (r->reader && timestamp_ns >= r->since_ns) {
        r->told++;
    } else {
        r->past.missed++;
    }
}

/* Those that came back make room. */
static void reap(struct exec_readers *r)
{
    for (uint32_t i = 0; i < r->left_count;) {
        if (!exec_reader_returned(r->left[i])) {
            i++;
            continue;
        }
        exec_reader_free(r->left[i]);
        r->left[i] = r->left[--r->left_count];
    }
}

/* What it was told of and has neither read nor counted waits in its socket: nobody will read that. */
static void leave(struct exec_readers *r, exec_reading_fn fn, void *ctx)
{
    struct exec_reader *left = r->reader;
    struct exec_reader_figures f;
    uint64_t done;

    put_aside(r);
    exec_reader_take(left, 0, fn, ctx);
    exec_reader_figures(left, &f);
    done = f.read + f.missed + f.lost;
    f.missed += r->told > done ? r->told - done : 1; /* the one that hangs, at least */
    add(&r->past, &f);
    r->reason = hanging(r);
}

void exec_readers_take(struct exec_readers *r, int64_t elapsed_us, exec_reading_fn fn, void *ctx)
{
    reap(r);
    if (!r->reader) {
        return;
    }
    exec_reader_take(r->reader, elapsed_us, fn, ctx);
    if (exec_reader_hangs(r->reader, HANG_US)) {
        leave(r, fn, ctx);
    }
}

void exec_readers_figures(struct exec_readers *r, struct exec_reader_figures *out)
{
    struct exec_reader_figures now;

    *out = r->past;
    if (r->reader) {
        exec_reader_figures(r->reader, &now);
        add(out, &now);
    }
}
