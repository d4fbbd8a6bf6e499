/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nss_child.h -- names of ids that no file has, asked of NSS by a child without rights.
 *
 * NSS loads modules that talk to the network and crash; so a forked child under uid nobody, without capabilities and
 * with nothing open but one socket, answers one question at a time. Where an answer takes longer than the limit it is
 * given up, and there are no more answers. Questions and answers go through a bounded queue: nobody waits, for its end
 * neither.
 *
 * One owner. The child must be forked before threads hold locks of ours: nss_child_new() is called at the start.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/record/record.h"

struct nss_child;

/* Forks the child at once. limit_s: of one answer. POFR_ESYSTEM. */
POFR_MUST_USE int nss_child_new(unsigned limit_s, struct nss_child **out_child, struct pofr_err *err);
void nss_child_free(struct nss_child *c); /* the child ends; NULL is allowed */

/* Ask; the answer comes by nss_child_poll(). POFR_EFULL: too many questions wait. POFR_EUNSUPPORTED: there is no child any more. */
POFR_MUST_USE int nss_child_ask(struct nss_child *c, bool is_group, uint32_t id);

struct nss_answer {
    bool is_group;
    uint32_t id;
    bool found;
    struct slice name, comment, home, shell, members; /* valid until the next poll */
    uint32_t gid;                                     /* of a user */
};

/* 1: *out is an answer; 0: none now. Never waits. */
int nss_child_poll(struct nss_child *c, struct nss_answer *out);
