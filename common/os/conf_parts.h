/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conf_parts.h -- what conf.c, conf_value.c and conf_print.c share. Not for others.
 */
#pragma once

#include "common/base/arena.h"
#include "common/os/conf.h"

struct buf;

struct conf {
    const struct conf_table *table;
    struct arena memory; /* all strings and lists of values */
    void *values;        /* the program's struct */
    const char *path;
    const char *instance; /* what "%i" stands for; NULL: nothing */
    unsigned *lines;      /* per option: the line it was given in; 0: default */
};

/* Read text as a value of option o into values. On error only the reason is written, without name and place. */
POFR_MUST_USE int conf_value_read(const struct conf_option *o, struct slice text, void *values, struct arena *memory,
                                  struct pofr_err *err);

/* Append the value as it could stand in the file. */
void conf_value_write(const struct conf_option *o, const void *values, struct buf *out);

/* "size", "duration" … */
const char *conf_type_name(enum conf_type type);

/* The section that option i of t stands in; "" before the first. */
const char *conf_section_of(const struct conf_table *t, size_t i);
