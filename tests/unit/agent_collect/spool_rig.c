/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool_rig.h"

#include "tests/support/check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/os/fsio.h"
#include "common/os/log.h"
#include "tests/support/shell.h"

static void silent(enum log_level level, const char *line, void *arg)
{
    (void)level;
    (void)line;
    (void)arg;
}

int spool_rig_setup(void **state)
{
    struct spool_rig *g = calloc(1, sizeof(*g));

    assert_non_null(g);
    (void)tmpdir_make(g->dir);
    (void)tmpdir_join(g->dir, SPOOL_DIR, g->spool_dir);
    assert_int_equal(sshkey_generate(&g->key), 0);
    assert_int_equal(uuid_random(&g->boot), 0);
    g->conf = (struct spool_conf){ .state_dir = g->dir,
                                   .limits = { .total = 64u << 20, .segment = 1u << 20 },
                                   .refused_limit = 1u << 20,
                                   .key = g->key };
    assert_int_equal(uuid_random(&g->conf.host), 0);
    spool_rig_new_run(g);
    g->next_tick = 1000000;
    log_set_sink(silent, NULL);
    *state = g;
    return 0;
}

int spool_rig_teardown(void **state)
{
    struct spool_rig *g = *state;

    log_set_sink(NULL, NULL);
    tmpdir_remove(g->dir);
    sshkey_free(g->key);
    free(g);
    return 0;
}

void spool_rig_new_run(struct spool_rig *g)
{
    assert_int_equal(fsio_random(g->conf.run, sizeof(g->conf.run), NULL), 0);
}

struct draft *spool_rig_draft(struct spool_rig *g, unsigned ticks, size_t bytes)
{
    struct draft *d = draft_new();
    struct rec_encoder *e;
    struct record r = { .kind = REC_TICK };
    uint8_t noise[4000];
    struct slice payload;

    assert_non_null(d);
    assert_int_equal(rec_encoder_new(&e), 0);
    for (unsigned i = 0; i < ticks; i++) {
        r = (struct record){ .kind = REC_TICK };
        r.tick = (struct rec_tick){ .boot_us = g->next_tick, .wall_us = 7 * g->next_tick };
        d->from_boot_us = i == 0 ? g->next_tick : d->from_boot_us;
        d->to_boot_us = g->next_tick;
        g->next_tick += 300000;
        assert_int_equal(rec_put(e, &r), 0);
        r = (struct record){ .kind = REC_FINDING };
        r.finding = (struct rec_finding){ .at = d->to_boot_us, .kind = slice_str("test"), .detail = slice_str("here") };
        assert_int_equal(rec_put(e, &r), 0);
    }
    for (size_t done = 0; done < bytes; done += sizeof(noise)) {
        assert_int_equal(fsio_random(noise, sizeof(noise), NULL), 0);
        r.finding.detail = slice_of(noise, bytes - done < sizeof(noise) ? bytes - done : sizeof(noise));
        assert_int_equal(rec_put(e, &r), 0);
    }
    d->from_wall_us = 7 * d->from_boot_us;
    d->to_wall_us = 7 * d->to_boot_us;
    d->ticks = ticks;
    d->boot = g->boot;
    memcpy(d->run, g->conf.run, sizeof(d->run));
    payload = rec_encoder_payload(e);
    d->payload = malloc(payload.len);
    assert_non_null(d->payload);
    memcpy(d->payload, payload.data, payload.len);
    d->payload_len = payload.len;
    draft_count(d, e);
    rec_encoder_free(e);
    return d;
}

void spool_rig_open(struct spool_rig *g, struct spool *out, struct spool_start *start)
{
    struct pofr_err err = { 0 };

    if (spool_open(&g->conf, out, start, &err) != 0) {
        fail_msg("%s", err.text);
    }
}

bool spool_rig_chain(struct spool_rig *g, struct spool_report *out)
{
    bool good = spool_check(g->spool_dir, sshkey_public(g->key), false, out);

    snapshot_free(out->snapshot);
    out->snapshot = NULL;
    return good;
}

void spool_rig_expect_chain(struct spool_rig *g, uint64_t last)
{
    struct spool_report r;

    if (!spool_rig_chain(g, &r)) {
        fail_msg("%s", r.problem);
    }
    assert_int_equal(r.last, last);
}

void spool_rig_copy(const struct spool_rig *g, const char *to)
{
    char script[2 * TMPDIR_PATH_SIZE + 64];

    snprintf(script, sizeof(script), "rm -rf '%s' && cp -a '%s' '%s'", to, g->dir, to);
    assert_int_equal(shell_run("/", script), 0);
}

void spool_rig_read(const struct spool_rig *g, const char *name, struct buf *out)
{
    char path[TMPDIR_PATH_SIZE];

    buf_reset(out);
    assert_int_equal(fsio_read(tmpdir_join(g->spool_dir, name, path), out, NULL), 0);
}

void spool_rig_write(const struct spool_rig *g, const char *name, struct slice bytes)
{
    char path[TMPDIR_PATH_SIZE];
    int fd = open(tmpdir_join(g->spool_dir, name, path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(fsio_write(fd, bytes, NULL), 0);
    assert_int_equal(close(fd), 0);
}
