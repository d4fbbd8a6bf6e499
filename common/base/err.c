/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#undef pofr_err_set /* the analyzer's */
#undef pofr_err_sys

static const struct {
    const char *name;
    const char *text;
    enum pofr_err_class class;
} table[POFR_ERR_NUMBER_END] = {
    [POFR_ERR_NUMBER_OK] = { "OK", "no error", POFR_CLASS_OK },
#define POFR_ERR(name, class, text) [POFR_ERR_NUMBER_##name] = { #name, text, POFR_CLASS_##class },
#include "common/base/err.def"
#undef POFR_ERR
};

static bool is_ours(int code)
{
    return code <= 0 && code > -(int)POFR_ERR_NUMBER_END;
}

const char *pofr_err_name(int code)
{
    return is_ours(code) ? table[-code].name : "UNKNOWN";
}

const char *pofr_err_text(int code)
{
    return is_ours(code) ? table[-code].text : "unknown error code";
}

enum pofr_err_class pofr_err_class(int code)
{
    return is_ours(code) ? table[-code].class : POFR_CLASS_FATAL;
}

const char *pofr_err_class_name(enum pofr_err_class c)
{
    switch (c) {
    case POFR_CLASS_OK:
        return "ok";
    case POFR_CLASS_RETRY:
        return "retry";
    case POFR_CLASS_POISON:
        return "poison";
    case POFR_CLASS_FATAL:
        return "fatal";
    }
    return "fatal";
}

/* Format into a buffer of its own first: the values may point into err->text. */
POFR_PRINTF(2, 0) static void set_text(struct pofr_err *err, const char *fmt, va_list ap)
{
    char text[sizeof(err->text)];

    (void)vsnprintf(text, sizeof(text), fmt, ap); /* a cut text is still a text */
    memcpy(err->text, text, sizeof(text));
}

int pofr_err_set(struct pofr_err *err, int code, const char *fmt, ...)
{
    int saved = errno;
    va_list ap;

    if (err) {
        va_start(ap, fmt);
        set_text(err, fmt, ap);
        va_end(ap);
        err->code = code;
        err->sys = 0;
    }
    errno = saved;
    return code;
}

int pofr_err_sys(struct pofr_err *err, int code, const char *fmt, ...)
{
    int saved = errno;
    va_list ap;

    if (err) {
        char reason[96];
        size_t len;

        va_start(ap, fmt);
        set_text(err, fmt, ap);
        va_end(ap);
        err->code = code;
        err->sys = saved;
        len = strlen(err->text);
        (void)snprintf(err->text + len, sizeof(err->text) - len, ": %s", strerror_r(saved, reason, sizeof(reason)));
    }
    errno = saved;
    return code;
}

int pofr_err_prefix(struct pofr_err *err, const char *fmt, ...)
{
    char before[sizeof(err->text)];
    size_t len;
    va_list ap;

    if (!err) {
        return 0;
    }
    memcpy(before, err->text, sizeof(before));
    va_start(ap, fmt);
    set_text(err, fmt, ap);
    va_end(ap);
    len = strlen(err->text);
    (void)snprintf(err->text + len, sizeof(err->text) - len, ": %s", before);
    return err->code;
}
