/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * head_reach.c -- does a shard answer the head? That it answers pofrctl says little: address, CA file and certificate of
 * these connections are of the head's machine.
 */
#include <stdio.h>

#include "ctl/head_parts.h"

static int run(struct db *db, const char *sql, struct pofr_err *err)
{
    return db_run(db, sql, NULL, 0, NULL, err);
}

/* A table of its own: a shard that owns no slot has no part in the others. */
static int make(struct ctl *c, struct db *head, const struct ctl_shard *s, struct pofr_err *err)
{
    struct ctl_shard probe = *s;
    struct buf sql = BUF_INIT(16384);
    int code;

    snprintf(probe.name, sizeof(probe.name), "%s", HEAD_PROBE);
    code = head_make_server(c, head, &probe, err);
    if (!code) {
        code = run(head, "CREATE OR REPLACE DATABASE pofr_reach CHARACTER SET utf8mb4", err);
    }
    if (!code) {
        buf_str(&sql, "CREATE TABLE pofr_reach.host (host_id INT UNSIGNED NOT NULL) ENGINE=SPIDER COMMENT='wrapper "
                      "\"mysql\", srv \"" HEAD_PROBE "\", database \"pofr\", table \"host\"");
        code = head_protect(c, &sql, err);
    }
    if (!code) {
        buf_str(&sql, "'");
        code = sql.err ? pofr_err_set(err, POFR_ENOMEM, "statement") : db_script(head, buf_slice(&sql), err);
    }
    buf_free(&sql);
    return code;
}

/*
 * Over a connection of its own: Spider hands on the number of its own connection's error (2026: TLS), and a client that is told
 * such a number takes its connection to the head for lost.
 */
static int question(struct ctl *c, struct pofr_err *err)
{
    struct db_result *r = NULL;
    struct db *head = NULL;
    int code = ctl_head(c, NULL, &head, err);

    if (!code) {
        code = db_run(head, "SELECT host_id FROM pofr_reach.host LIMIT 1", NULL, 0, &r, err);
    }
    db_result_free(r);
    db_close(head);
    return code;
}

static int ask(struct ctl *c, struct db *head, const struct ctl_shard *s, struct pofr_err *err)
{
    int code = make(c, head, s, err);

    if (!code) {
        code = question(c, err);
        if (code) {
            ctl_warn("the head does not reach shard %s at %s:%u: %s", s->name, s->address, s->port, err->text);
            *err = (struct pofr_err){ .code = POFR_ENOTFOUND };
            code = POFR_ENOTFOUND;
        }
    }
    POFR_IGNORE(run(head, "DROP DATABASE IF EXISTS pofr_reach", NULL)); /* else head_build() and the next one do */
    POFR_IGNORE(run(head, "DROP SERVER IF EXISTS `" HEAD_PROBE "`", NULL));
    return code;
}

static void advise(const struct ctl_conf *f)
{
    const struct tls_files *t = &f->spider;

    if (f->shard_tls.on) {
        ctl_warn(
            "on the head's machine that address must be the shard's, too, and mariadbd must be able to read %s%s%s "
            "([head] shards_ca_file, shards_certificate_file), which must vouch for the shard's certificate; then "
            "the same command again",
            t->ca_file, t->certificate_file[0] ? " and " : "", t->certificate_file);
    } else {
        ctl_warn("on the head's machine that address must be the shard's, too; then the same command again");
    }
}

int head_reaches(struct ctl *c, const struct ctl_shard *shards, size_t count, struct pofr_err *err)
{
    struct db *head = NULL;
    size_t missing = 0;
    int code = ctl_head(c, NULL, &head, err);

    if (!code) {
        code = ctl_lock(head, "pofr_reach", "another pofrctl asks whether the head reaches a shard", err);
    }
    for (size_t i = 0; i < count && !code; i++) {
        code = ask(c, head, &shards[i], err);
        if (code == POFR_ENOTFOUND) {
            missing++;
            code = 0;
        }
    }
    db_close(head);
    if (!code && missing) {
        advise(c->conf);
        code =
            pofr_err_set(err, POFR_ENOTFOUND, "%zu of %zu shard%s do%s not answer the head: analysts would get errors",
                         missing, count, count == 1 ? "" : "s", missing == 1 ? "es" : "");
    }
    return code;
}
