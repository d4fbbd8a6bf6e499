/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * db_class.h -- a server's or client library's error number -> what to do with the batch. Pure.
 */
#pragma once

enum db_class {
    DB_CLASS_RETRY,    /* the server asks for it, or is away: the same batch again, later */
    DB_CLASS_CONFLICT, /* a duplicate key: one bundle contradicts what is there */
    DB_CLASS_REFUSED,  /* a value that the table can't hold */
    DB_CLASS_BROKEN,   /* schema or rights: no bundle's fault, wait for someone to act */
    DB_CLASS_UNKNOWN,  /* again a few times, then the bundle is set aside with an alarm */
};

enum db_class db_class_of(unsigned error); /* 0: none, an error of our own: REFUSED */
const char *db_class_word(enum db_class c);
