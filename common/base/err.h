/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * err.h -- the errors of this project: one list (err.def), each with what to do with the data.
 *
 * Functions return 0 or a negative POFR_E*. Functions at a module's edge also take a struct pofr_err
 * (NULL is allowed), which says in words what happened. The text is lower-case, has no full stop, holds
 * the values that matter and never a secret.
 */
#pragma once

#include "common/base/compiler.h"

enum pofr_err_number { /* not for use: positive numbers, in the order of err.def */
    POFR_ERR_NUMBER_OK,
#define POFR_ERR(name, class, text) POFR_ERR_NUMBER_##name,
#include "common/base/err.def"
#undef POFR_ERR
    POFR_ERR_NUMBER_END
};

enum pofr_err_code {
    POFR_OK = 0,
#define POFR_ERR(name, class, text) POFR_E##name = -POFR_ERR_NUMBER_##name,
#include "common/base/err.def"
#undef POFR_ERR
};

enum pofr_err_class {
    POFR_CLASS_OK,     /* not an error (code 0) */
    POFR_CLASS_RETRY,  /* keep the data and try again later */
    POFR_CLASS_POISON, /* set this piece of data aside and go on */
    POFR_CLASS_FATAL,  /* stop the process */
};

struct pofr_err {
    int code; /* 0 or POFR_E* */
    int sys;  /* errno, where there was one, else 0 */
    char text[240];
};

/* "TRUNCATED"; "OK" for 0; "UNKNOWN" for a number that is not ours. Static. */
const char *pofr_err_name(int code);

/* The text of err.def. Static. */
const char *pofr_err_text(int code);

/* A number that is not ours is our own bug: FATAL. */
enum pofr_err_class pofr_err_class(int code);
const char *pofr_err_class_name(enum pofr_err_class c);

/* Fill err (NULL: nothing) and return code. errno is kept. */
int pofr_err_set(struct pofr_err *err, int code, const char *fmt, ...) POFR_PRINTF(3, 4);

/* The same, and err->sys = errno, and ": <text of errno>" is appended. */
int pofr_err_sys(struct pofr_err *err, int code, const char *fmt, ...) POFR_PRINTF(3, 4);

/* Put "what: " in front of the text that err has already; returns err->code. For adding context on the way up. */
int pofr_err_prefix(struct pofr_err *err, const char *fmt, ...) POFR_PRINTF(2, 3);

#ifdef __clang_analyzer__ /* it sees one file at a time: "return code" would be hidden from it */
#define pofr_err_set(err, code, ...) ((void)pofr_err_set(err, code, __VA_ARGS__), (code))
#define pofr_err_sys(err, code, ...) ((void)pofr_err_sys(err, code, __VA_ARGS__), (code))
#endif
