/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "workers/tell.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/buf.h"
#include "common/os/clock.h"
#include "common/os/log.h"

#define SOON_US   (2 * CLOCK_US_PER_S)  /* after a change */
#define AGAIN_US  (10 * CLOCK_US_PER_S) /* without one, so that what is told is known to be of now */
#define FAILED_US (30 * CLOCK_US_PER_S)
#define SLOT_TEXT 32u

struct tell {
    struct db_address catalog;
    const char *worker;
    pthread_t thread;
    pthread_mutex_t lock; /* of stop, slots, count, changed */
    pthread_cond_t wake;
    bool stop, changed;
    struct tell_slot slots[TELL_SLOTS_MAX];
    size_t count;
    struct db *db; /* from here on the thread's own */
    bool failed;
};

static bool is_same(const struct tell *t, const struct tell_slot *slots, size_t count)
{
    bool same = t->count == count;

    for (size_t i = 0; i < count && same; i++) {
        same = t->slots[i].slot == slots[i].slot && strcmp(t->slots[i].cause, slots[i].cause) == 0;
    }
    return same;
}

void tell_slots(struct tell *t, const struct tell_slot *slots, size_t count)
{
    count = count < TELL_SLOTS_MAX ? count : TELL_SLOTS_MAX;
    pthread_mutex_lock(&t->lock);
    if (!is_same(t, slots, count)) {
        memcpy(t->slots, slots, count * sizeof(*slots));
        t->count = count;
        t->changed = true;
        pthread_cond_signal(&t->wake);
    }
    pthread_mutex_unlock(&t->lock);
}

/* With the lock held. */
static void format(const struct tell *t, struct buf *out)
{
    buf_u8(out, '[');
    for (size_t i = 0; i < t->count; i++) {
        buf_printf(out, "%s[%u,\"%s\"]", i ? "," : "", t->slots[i].slot, t->slots[i].cause);
    }
    buf_u8(out, ']');
}

static bool send_text(struct tell *t, struct slice text)
{
    const struct db_value values[] = { DB_V_C(t->worker), DB_V_S(text) };
    struct pofr_err err = { 0 };
    int code = t->db ? 0 : db_connect(&t->catalog, &t->db, &err);

    if (code == 0) {
        code = db_run(t->db, "CALL report_slots(?, ?)", values, pofr_countof(values), NULL, &err);
    }
    if (code) {
        db_close(t->db);
        t->db = NULL;
        if (!t->failed) {
            log_warn("tell", "slots_not_told", "error=\"%s\"", err.text);
        }
    }
    t->failed = code != 0;
    return code == 0;
}

/* Until due, or sooner where something changed: but not before soon. False: the end. */
static bool wait_for_news(struct tell *t, int64_t soon_us, int64_t due_us, struct buf *text)
{
    bool go_on;

    pthread_mutex_lock(&t->lock);
    while (!t->stop) {
        int64_t now = clock_mono_us(), until = t->changed && soon_us < due_us ? soon_us : due_us;
        struct timespec at = { until / CLOCK_US_PER_S, until % CLOCK_US_PER_S * 1000 };

        if (now >= until) {
            break;
        }
        (void)pthread_cond_timedwait(&t->wake, &t->lock, &at);
    }
    go_on = !t->stop;
    t->changed = false;
    buf_reset(text);
    format(t, text);
    pthread_mutex_unlock(&t->lock);
    return go_on;
}

static void *run(void *arg)
{
    struct tell *t = arg;
    struct buf text = BUF_INIT(TELL_SLOTS_MAX * SLOT_TEXT + 2);
    int64_t soon = clock_mono_us(), due = soon + AGAIN_US;

    while (wait_for_news(t, soon, due, &text)) {
        bool told = text.len <= 2 || text.err || send_text(t, buf_slice(&text));

        soon = clock_mono_us() + (told ? SOON_US : FAILED_US);
        due = clock_mono_us() + (told ? AGAIN_US : FAILED_US);
    }
    buf_free(&text);
    return NULL;
}

int tell_start(const struct db_address *catalog, const char *worker, struct tell **out, struct pofr_err *err)
{
    struct tell *t = calloc(1, sizeof(*t));
    pthread_condattr_t monotonic;

    if (!t) {
        return pofr_err_set(err, POFR_ENOMEM, "tell");
    }
    t->catalog = *catalog;
    t->worker = worker;
    (void)pthread_mutex_init(&t->lock, NULL); /* none of these can fail */
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&t->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    errno = pthread_create(&t->thread, NULL, run, t);
    if (errno) {
        pthread_cond_destroy(&t->wake);
        pthread_mutex_destroy(&t->lock);
        free(t);
        return pofr_err_sys(err, POFR_ESYSTEM, "the telling thread");
    }
    *out = t;
    return 0;
}

void tell_stop(struct tell *t)
{
    if (!t) {
        return;
    }
    pthread_mutex_lock(&t->lock);
    t->stop = true;
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->lock);
    (void)pthread_join(t->thread, NULL); /* it ends by itself */
    db_close(t->db);
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->lock);
    free(t);
}
