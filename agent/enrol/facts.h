/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * facts.h -- what ENROL says about this host, so that an operator knows it in the list. Nothing relies on it.
 */
#pragma once

#include "common/base/slice.h"

#define FACTS_SIZE 256

struct facts {
    char hostname[FACTS_SIZE];
    char machine_id[40]; /* /etc/machine-id; empty: none */
    char os[FACTS_SIZE]; /* PRETTY_NAME of /etc/os-release; empty: none */
    char kernel[FACTS_SIZE];
};

/* root: in front of every path. What can't be found stays empty. */
void facts_read(const char *root, struct facts *out);

/* The value of NAME= in a file like os-release, without its quotes, into out, cut to fit. Empty where there is none. */
void facts_os_release(struct slice text, const char *name, char *out, size_t size);

/* Is it 32 lower-case hex digits? */
int facts_is_machine_id(struct slice text);
