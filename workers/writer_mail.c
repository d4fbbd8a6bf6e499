/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands to the thread, events from it: the two mailboxes of writer.h. */
#include "workers/writer_parts.h"

#include <errno.h>
#include <stdlib.h>

#include "common/os/log.h"

/* What was taken from Kafka can't be lost silently: the supervisor starts us again where the shard stands. */
_Noreturn void writer_out_of_memory(void)
{
    log_error("writer", "no_memory", "errno=%d", errno);
    abort();
}

static void post(struct writer *w, const struct command *c)
{
    struct command *node = malloc(sizeof(*node));

    if (!node) {
        writer_out_of_memory();
    }
    *node = *c;
    node->next = NULL;
    pthread_mutex_lock(&w->lock);
    *w->inbox_end = node;
    w->inbox_end = &node->next;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

void writer_load(struct writer *w, unsigned slot, uint64_t epoch)
{
    post(w, &(struct command){ .kind = COMMAND_LOAD, .slot = slot, .epoch = epoch });
}

void writer_skip(struct writer *w, unsigned slot, uint64_t epoch, int64_t low)
{
    post(w, &(struct command){ .kind = COMMAND_SKIP, .slot = slot, .epoch = epoch, .low = low });
}

void writer_reincarnate(struct writer *w, unsigned slot, uint64_t epoch, int64_t low)
{
    post(w, &(struct command){ .kind = COMMAND_REINCARNATE, .slot = slot, .epoch = epoch, .low = low });
}

void writer_append(struct writer *w, uint64_t epoch, struct message *m)
{
    post(w, &(struct command){ .kind = COMMAND_APPEND, .slot = m->slot, .epoch = epoch, .message = m });
}

void writer_drop(struct writer *w, unsigned slot, uint64_t epoch)
{
    post(w, &(struct command){ .kind = COMMAND_DROP, .slot = slot, .epoch = epoch });
}

void writer_sync(struct writer *w)
{
    post(w, &(struct command){ .kind = COMMAND_SYNC });
}

void writer_relayed(struct writer *w, struct store_aside *done)
{
    post(w, &(struct command){ .kind = COMMAND_RELAYED, .aside = done });
}

void writer_emit(struct writer *w, const struct writer_event *e)
{
    struct event_node *node = malloc(sizeof(*node));

    if (!node) {
        writer_out_of_memory();
    }
    node->e = *e;
    node->next = NULL;
    pthread_mutex_lock(&w->lock);
    *w->outbox_end = node;
    w->outbox_end = &node->next;
    pthread_mutex_unlock(&w->lock);
    w->o.wake(w->o.arg);
}

bool writer_event(struct writer *w, struct writer_event *out)
{
    struct event_node *node;

    pthread_mutex_lock(&w->lock);
    node = w->outbox;
    if (node) {
        w->outbox = node->next;
        if (!w->outbox) {
            w->outbox_end = &w->outbox;
        }
    }
    pthread_mutex_unlock(&w->lock);
    if (node) {
        *out = node->e;
        free(node);
    }
    return node != NULL;
}

struct store_aside *writer_unrelayed(struct writer *w)
{
    struct store_aside *list;

    pthread_mutex_lock(&w->lock);
    list = w->aside;
    w->aside = NULL;
    pthread_mutex_unlock(&w->lock);
    return list;
}

void writer_emit_slot(struct writer *w, enum writer_event_kind kind, unsigned slot, uint64_t epoch,
                      const struct store_position *at)
{
    struct writer_event e = { .kind = kind, .slot = slot, .epoch = epoch, .found = at != NULL };

    if (at) {
        e.at = *at;
    }
    writer_emit(w, &e);
}

void writer_emit_taken(struct writer *w, unsigned slot, uint64_t bytes)
{
    writer_emit(w, &(struct writer_event){ .kind = WRITER_TAKEN, .slot = slot, .bytes = bytes });
}
