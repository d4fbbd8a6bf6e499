/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A configuration that is taken, printed and taken again says the same. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/err.h"
#include "common/os/conf.h"

struct sample {
    const char *text;
    const char *path;
    const char *secret_file;
    uint64_t size;
    int64_t time_us;
    uint32_t number;
    bool on;
    int choice;
    struct conf_list list;
};

static const char *const choices[] = { "one", "two", NULL };
static const struct conf_option options[] = {
    CONF_STRING(struct sample, text, "text", "", 0, ""),
    CONF_SECTION("a", ""),
    CONF_PATH(struct sample, path, "path", "/x", CONF_NONEMPTY, ""),
    CONF_SECRET_FILE(struct sample, secret_file, "secret_file", "", 0, ""),
    CONF_SIZE(struct sample, size, "size", "1M", "0", NULL, 0, ""),
    CONF_USEC(struct sample, time_us, "time", "1s", "0", NULL, 0, ""),
    CONF_SECTION("b", ""),
    CONF_UINT(struct sample, number, "number", "1", "1", "100", "", 0, ""),
    CONF_BOOL(struct sample, on, "on", "no", 0, ""),
    CONF_ENUM(struct sample, choice, "choice", "one", choices, 0, ""),
    CONF_LIST(struct sample, list, "list", "", 0, ""),
};
static const struct conf_table table = CONF_TABLE("fuzz", "/fuzz", struct sample, options, NULL);

/* The values as text, without the lines that say where they come from. */
static size_t print(const struct conf *c, char **out)
{
    size_t size = 0, kept = 0;
    FILE *f = open_memstream(out, &size);
    bool comment = false;

    if (!f) {
        abort();
    }
    conf_print(c, f);
    (void)fclose(f); /* memory only */
    for (size_t i = 0; i < size; i++) {
        comment = i == 0 || (*out)[i - 1] == '\n' ? (*out)[i] == '#' : comment;
        if (!comment) {
            (*out)[kept++] = (*out)[i];
        }
    }
    return kept;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf *first = NULL, *second = NULL;
    char *text = NULL, *again = NULL;
    struct pofr_err err = { 0 };
    size_t len, len_again;

    if (conf_parse(&table, slice_of(data, size), "fuzz", &first, &err) != 0) {
        if (err.text[0] == '\0') {
            abort();
        }
        return 0;
    }
    len = print(first, &text);
    if (conf_parse(&table, slice_of(text, len), "again", &second, &err) != 0) {
        abort();
    }
    len_again = print(second, &again);
    if (!slice_eq(slice_of(text, len), slice_of(again, len_again))) {
        abort();
    }
    free(text);
    free(again);
    conf_free(first);
    conf_free(second);
    return 0;
}
