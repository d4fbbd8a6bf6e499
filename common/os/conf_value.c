/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/os/conf_parts.h"

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/hostport.h"
#include "common/base/parse_num.h"
#include "common/os/log.h"

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest first: the first that divides a value is how it is printed. */
static const struct unit size_units[] = {
    { "T", UINT64_C(1) << 40 },
    { "G", UINT64_C(1) << 30 },
    { "M", UINT64_C(1) << 20 },
    { "K", UINT64_C(1) << 10 },
    { "", 1 },
};
static const struct unit time_units[] = {
    { "d", UINT64_C(86400000000) },
    { "h", UINT64_C(3600000000) },
    { "min", 60000000 },
    { "s", 1000000 },
    { "ms", 1000 },
    { "us", 1 },
};

const char *conf_type_name(enum conf_type type)
{
    static const char *const names[] = { "section", "text",   "path",   "size", "duration",
                                         "number",  "yes/no", "choice", "list" };

    return names[type];
}

/* Digits and one of the units. Bare "0" needs no unit. */
static int read_amount(struct slice text, const struct unit *units, size_t count, uint64_t max, uint64_t *out)
{
    size_t digits = 0;
    struct slice unit;
    uint64_t n;

    while (digits < text.len && text.data[digits] >= '0' && text.data[digits] <= '9') {
        digits++;
    }
    unit = slice_sub(text, digits, SIZE_MAX);
    if (parse_u64(slice_sub(text, 0, digits), UINT64_MAX, &n) != 0) {
        return digits == 0 ? POFR_EFORMAT : POFR_ETOOBIG;
    }
    for (size_t i = 0; i < count; i++) {
        if (slice_eq_str(unit, units[i].name)) {
            if (__builtin_mul_overflow(n, units[i].factor, &n) || n > max) {
                return POFR_ETOOBIG;
            }
            *out = n;
            return 0;
        }
    }
    if (n == 0 && unit.len == 0) {
        *out = 0;
        return 0;
    }
    return POFR_EFORMAT;
}

static int read_number(const struct conf_option *o, struct slice text, uint64_t *out)
{
    switch (o->type) {
    case CONF_TYPE_SIZE:
        return read_amount(text, size_units, pofr_countof(size_units), UINT64_MAX, out);
    case CONF_TYPE_USEC:
        return read_amount(text, time_units, pofr_countof(time_units), INT64_MAX, out);
    default:
        return parse_u64(text, UINT32_MAX, out);
    }
}

static const char *expected(const struct conf_option *o)
{
    switch (o->type) {
    case CONF_TYPE_SIZE:
        return "a size like 512, 64K, 16M or 2G";
    case CONF_TYPE_USEC:
        return "a duration like 500us, 300ms, 10s, 5min, 2h or 1d";
    case CONF_TYPE_UINT:
        return "a whole number";
    case CONF_TYPE_BOOL:
        return "yes or no";
    default:
        return "another value";
    }
}

static int is_no(const struct conf_option *o, struct slice text, struct pofr_err *err)
{
    char shown[64];

    return pofr_err_set(err, POFR_ECONFIG, "\"%s\" is not %s", log_escape(text, shown, sizeof(shown)), expected(o));
}

static int read_bounded(const struct conf_option *o, struct slice text, uint64_t *out, struct pofr_err *err)
{
    uint64_t v = 0, min = 0, max = UINT64_MAX;
    char shown[64];
    int rc = read_number(o, text, &v);

    if (rc == POFR_EFORMAT) {
        return is_no(o, text, err);
    }
    if ((o->min && read_number(o, slice_str(o->min), &min) != 0) ||
        (o->max && read_number(o, slice_str(o->max), &max) != 0)) {
        return pofr_err_set(err, POFR_EUSAGE, "the option table has a bad limit");
    }
    if (rc != 0 || v < min || v > max) {
        return pofr_err_set(err, POFR_ECONFIG, "%s is not within %s to %s", log_escape(text, shown, sizeof(shown)),
                            o->min ? o->min : "0", o->max ? o->max : "the largest number");
    }
    *out = v;
    return 0;
}

static int read_bool(const struct conf_option *o, struct slice text, bool *out, struct pofr_err *err)
{
    static const char *const words[] = { "no", "yes", "false", "true", "off", "on" };

    for (size_t i = 0; i < pofr_countof(words); i++) {
        if (slice_eq_str(text, words[i])) {
            *out = i % 2 == 1;
            return 0;
        }
    }
    return is_no(o, text, err);
}

static int read_choice(const struct conf_option *o, struct slice text, int *out, struct pofr_err *err)
{
    struct buf all = BUF_INIT(160);
    char shown[64];
    int rc;

    for (int i = 0; o->choices[i]; i++) {
        if (slice_eq_str(text, o->choices[i])) {
            *out = i;
            return 0;
        }
    }
    for (int i = 0; o->choices[i]; i++) {
        buf_printf(&all, "%s%s", i ? ", " : "", o->choices[i]);
    }
    rc = pofr_err_set(err, POFR_ECONFIG, "\"%s\" is none of %.*s", log_escape(text, shown, sizeof(shown)),
                      SLICE_FMT(buf_slice(&all)));
    buf_free(&all);
    return rc;
}

static int no_memory(struct pofr_err *err)
{
    return pofr_err_set(err, POFR_ENOMEM, "out of memory");
}

static int must_not_be_empty(struct pofr_err *err)
{
    return pofr_err_set(err, POFR_ECONFIG, "must not be empty");
}

static int check_host(const struct conf_option *o, struct slice text, struct pofr_err *err)
{
    struct hostport at;
    char shown[64];

    if (!(o->flags & CONF_HOST) || text.len == 0 || hostport_parse(text, o->flags & CONF_PORT ? -1 : 0, &at) == 0) {
        return 0;
    }
    return pofr_err_set(err, POFR_ECONFIG, "\"%s\" is not host:port", log_escape(text, shown, sizeof(shown)));
}

static int read_list(const struct conf_option *o, struct slice text, struct conf_list *out, struct arena *memory,
                     struct pofr_err *err)
{
    const char **items = arena_array(memory, CONF_LIST_MAX, sizeof(*items));
    size_t count = 0;

    if (!items) {
        return no_memory(err);
    }
    if (text.len == 0 && (o->flags & CONF_NONEMPTY)) {
        return must_not_be_empty(err);
    }
    while (text.len > 0) {
        bool more = slice_find(text, ',') < text.len;
        struct slice item = slice_trim(slice_split(&text, ','));

        if (item.len == 0 || (more && text.len == 0)) {
            return pofr_err_set(err, POFR_ECONFIG, "an item of the list is empty");
        }
        if (count == CONF_LIST_MAX) {
            return pofr_err_set(err, POFR_ECONFIG, "more than %u items", CONF_LIST_MAX);
        }
        if (check_host(o, item, err) != 0) {
            return POFR_ECONFIG;
        }
        items[count] = arena_strdup(memory, item);
        if (!items[count++]) {
            return no_memory(err);
        }
    }
    *out = (struct conf_list){ items, count };
    return 0;
}

static bool is_secret(const struct conf_option *o)
{
    size_t len = strlen(o->name);

    return len > 5 && strcmp(o->name + len - 5, "_file") == 0;
}

static int read_text(const struct conf_option *o, struct slice text, const char **out, struct arena *memory,
                     struct pofr_err *err)
{
    char shown[64];

    if (text.len == 0 && (o->flags & CONF_NONEMPTY)) {
        return must_not_be_empty(err);
    }
    if (o->type == CONF_TYPE_PATH && text.len > 0 && text.data[0] != '/' &&
        !(is_secret(o) && slice_starts_with(text, slice_str("credential:")))) {
        return pofr_err_set(err, POFR_ECONFIG, "\"%s\" is not an absolute path",
                            log_escape(text, shown, sizeof(shown)));
    }
    if (check_host(o, text, err) != 0) {
        return POFR_ECONFIG;
    }
    *out = arena_strdup(memory, text);
    return *out ? 0 : no_memory(err);
}

int conf_value_read(const struct conf_option *o, struct slice text, void *values, struct arena *memory,
                    struct pofr_err *err)
{
    void *field = (char *)values + o->offset;
    uint64_t n = 0;
    int rc;

    if (text.len > CONF_VALUE_MAX) {
        return pofr_err_set(err, POFR_ECONFIG, "longer than %u bytes", CONF_VALUE_MAX);
    }
    switch (o->type) {
    case CONF_TYPE_BOOL:
        return read_bool(o, text, field, err);
    case CONF_TYPE_ENUM:
        return read_choice(o, text, field, err);
    case CONF_TYPE_LIST:
        return read_list(o, text, field, memory, err);
    case CONF_TYPE_STRING:
    case CONF_TYPE_PATH:
        return read_text(o, text, field, memory, err);
    case CONF_TYPE_SIZE:
    case CONF_TYPE_USEC:
    case CONF_TYPE_UINT:
        rc = read_bounded(o, text, &n, err);
        if (rc != 0) {
            return rc;
        }
        if (o->type == CONF_TYPE_SIZE) {
            *(uint64_t *)field = n;
        } else if (o->type == CONF_TYPE_USEC) {
            *(int64_t *)field = (int64_t)n;
        } else {
            *(uint32_t *)field = (uint32_t)n;
        }
        return 0;
    case CONF_TYPE_SECTION:
        break;
    }
    return pofr_err_set(err, POFR_EUSAGE, "a section has no value");
}

static void write_amount(struct buf *out, uint64_t v, const struct unit *units)
{
    while (v > 0 && v % units->factor != 0) { /* ends at the unit of 1 */
        units++;
    }
    if (v == 0) {
        buf_str(out, "0");
    } else {
        buf_printf(out, "%llu%s", (unsigned long long)(v / units->factor), units->name);
    }
}

void conf_value_write(const struct conf_option *o, const void *values, struct buf *out)
{
    const void *field = (const char *)values + o->offset;
    const struct conf_list *list = field;

    switch (o->type) {
    case CONF_TYPE_STRING:
    case CONF_TYPE_PATH:
        buf_str(out, *(const char *const *)field);
        break;
    case CONF_TYPE_SIZE:
        write_amount(out, *(const uint64_t *)field, size_units);
        break;
    case CONF_TYPE_USEC:
        write_amount(out, (uint64_t) * (const int64_t *)field, time_units);
        break;
    case CONF_TYPE_UINT:
        buf_printf(out, "%u", *(const uint32_t *)field);
        break;
    case CONF_TYPE_BOOL:
        buf_str(out, *(const bool *)field ? "yes" : "no");
        break;
    case CONF_TYPE_ENUM:
        buf_str(out, o->choices[*(const int *)field]);
        break;
    case CONF_TYPE_LIST:
        for (size_t i = 0; i < list->count; i++) {
            buf_printf(out, "%s%s", i ? ", " : "", list->items[i]);
        }
        break;
    case CONF_TYPE_SECTION:
        break;
    }
}
