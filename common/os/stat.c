/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CELLS    All numbers of a set lie in one array of 64-bit atomics. A counter or gauge has one cell per value
 *          of its label; a histogram has one per bucket, one for what is above all buckets, and one for the sum.
 *
 * THREADS  Relaxed atomic adds; an exposition may see a bucket before the sum of the same observation, never
 *          a count that differs from the sum of its own buckets (it is made of them).
 */
#include "common/os/stat.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/slice.h"

#define BUCKETS_MAX 20

struct buckets {
    size_t count;
    uint64_t upper[BUCKETS_MAX]; /* as recorded, inclusive */
    const char *le[BUCKETS_MAX]; /* as shown */
};

static const struct buckets seconds_buckets = {
    18,
    { 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000,
      30000000, 60000000 },
    { "0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0",
      "2.5", "5.0", "10.0", "30.0", "60.0" },
};
static const struct buckets bytes_buckets = {
    10,
    { 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216 },
    { "64.0", "256.0", "1024.0", "4096.0", "16384.0", "65536.0", "262144.0", "1.048576e+06", "4.194304e+06",
      "1.6777216e+07" },
};
static const struct buckets plain_buckets = {
    13,
    { 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10000, 100000, 1000000 },
    { "1.0", "2.0", "5.0", "10.0", "20.0", "50.0", "100.0", "200.0", "500.0", "1000.0", "10000.0", "100000.0",
      "1e+06" },
};

struct family {
    const struct stat_def *def;
    const struct buckets *buckets; /* of a histogram */
    size_t first;                  /* cell */
    size_t stride;                 /* cells per label value */
    unsigned values;               /* 1 without label */
    struct slice words[STAT_LABELS_MAX];
};

struct stat_set {
    struct family *families;
    size_t count;
    _Atomic uint64_t *cells;
    stat_extra_fn extra;
    void *extra_arg;
};

static bool is_name(const char *name)
{
    if (!name || !((*name >= 'a' && *name <= 'z') || *name == '_')) {
        return false;
    }
    for (; *name != '\0'; name++) {
        if (!((*name >= 'a' && *name <= 'z') || (*name >= '0' && *name <= '9') || *name == '_')) {
            return false;
        }
    }
    return true;
}

static const struct buckets *buckets_of(const struct stat_def *d)
{
    if (d->type != STAT_TYPE_HISTOGRAM) {
        return NULL;
    }
    return strcmp(d->unit, "seconds") == 0 ? &seconds_buckets
           : strcmp(d->unit, "bytes") == 0 ? &bytes_buckets
                                           : &plain_buckets;
}

static int split_words(struct family *f, struct pofr_err *err)
{
    struct slice rest = slice_trim(slice_str(f->def->values));

    for (f->values = 0; rest.len > 0; rest = slice_trim(rest)) {
        if (f->values == STAT_LABELS_MAX) {
            return pofr_err_set(err, POFR_EUSAGE, "%s: more than %u labels", f->def->name, STAT_LABELS_MAX);
        }
        f->words[f->values++] = slice_split(&rest, ' ');
    }
    if (f->values == 0) {
        return pofr_err_set(err, POFR_EUSAGE, "%s: a label without values", f->def->name);
    }
    return 0;
}

static int check_def(const struct stat_def *defs, size_t i, struct pofr_err *err)
{
    const struct stat_def *d = &defs[i];

    if (!is_name(d->name) || (d->label && !is_name(d->label))) {
        return pofr_err_set(err, POFR_EUSAGE, "%s: a name is made of a-z, 0-9 and _", d->name ? d->name : "?");
    }
    if (strcmp(d->unit, "") != 0 && strcmp(d->unit, "seconds") != 0 && strcmp(d->unit, "bytes") != 0) {
        return pofr_err_set(err, POFR_EUSAGE, "%s: unit \"%s\" is none of seconds, bytes, \"\"", d->name, d->unit);
    }
    for (size_t k = 0; k < i; k++) {
        if (strcmp(defs[k].name, d->name) == 0) {
            return pofr_err_set(err, POFR_EUSAGE, "%s is there twice", d->name);
        }
    }
    return 0;
}

int stat_new(const struct stat_def *defs, size_t count, struct stat_set **out, struct pofr_err *err)
{
    struct stat_set *s = calloc(1, sizeof(*s));
    size_t cells = 0;
    int rc = 0;

    if (s) {
        s->count = count;
        s->families = calloc(count ? count : 1, sizeof(*s->families));
    }
    if (!s || !s->families) {
        stat_free(s);
        return pofr_err_set(err, POFR_ENOMEM, "stat: out of memory");
    }
    for (size_t i = 0; i < count && rc == 0; i++) {
        struct family *f = &s->families[i];

        *f = (struct family){ .def = &defs[i], .buckets = buckets_of(&defs[i]), .first = cells, .values = 1 };
        f->stride = f->buckets ? f->buckets->count + 2 : 1;
        rc = check_def(defs, i, err);
        if (rc == 0 && defs[i].label) {
            rc = split_words(f, err);
        }
        cells += f->stride * f->values;
    }
    if (rc == 0) {
        s->cells = calloc(cells ? cells : 1, sizeof(*s->cells));
        rc = s->cells ? 0 : pofr_err_set(err, POFR_ENOMEM, "stat: out of memory");
    }
    if (rc != 0) {
        stat_free(s);
        return rc;
    }
    *out = s;
    return 0;
}

void stat_free(struct stat_set *s)
{
    if (s) {
        free(s->families);
        free(s->cells);
        free(s);
    }
}

/* A value out of range counts as the last one, so that nothing goes uncounted. */
static _Atomic uint64_t *cell(const struct stat_set *s, unsigned id, unsigned value, size_t offset)
{
    const struct family *f;

    assert(id < s->count);
    f = &s->families[id];
    return &s->cells[f->first + f->stride * (value < f->values ? value : f->values - 1) + offset];
}

void stat_add(struct stat_set *s, unsigned id, uint64_t n)
{
    stat_add_by(s, id, 0, n);
}

void stat_add_by(struct stat_set *s, unsigned id, unsigned value, uint64_t n)
{
    atomic_fetch_add_explicit(cell(s, id, value, 0), n, memory_order_relaxed);
}

void stat_put(struct stat_set *s, unsigned id, int64_t v)
{
    stat_put_by(s, id, 0, v);
}

void stat_put_by(struct stat_set *s, unsigned id, unsigned value, int64_t v)
{
    atomic_store_explicit(cell(s, id, value, 0), (uint64_t)v, memory_order_relaxed);
}

void stat_change(struct stat_set *s, unsigned id, int64_t n)
{
    atomic_fetch_add_explicit(cell(s, id, 0, 0), (uint64_t)n, memory_order_relaxed);
}

void stat_observe(struct stat_set *s, unsigned id, uint64_t v)
{
    stat_observe_by(s, id, 0, v);
}

void stat_observe_by(struct stat_set *s, unsigned id, unsigned value, uint64_t v)
{
    const struct buckets *b;
    size_t i = 0;

    assert(id < s->count && s->families[id].buckets);
    b = s->families[id].buckets;
    while (i < b->count && v > b->upper[i]) {
        i++;
    }
    atomic_fetch_add_explicit(cell(s, id, value, b->count + 1), v, memory_order_relaxed);
    atomic_fetch_add_explicit(cell(s, id, value, i), 1, memory_order_relaxed);
}

uint64_t stat_get(const struct stat_set *s, unsigned id)
{
    return stat_get_by(s, id, 0);
}

uint64_t stat_get_by(const struct stat_set *s, unsigned id, unsigned value)
{
    const struct buckets *b;
    uint64_t sum = 0;

    assert(id < s->count);
    b = s->families[id].buckets;
    for (size_t i = 0; i <= (b ? b->count : 0); i++) {
        sum += atomic_load_explicit(cell(s, id, value, i), memory_order_relaxed);
    }
    return sum;
}

int stat_value(const struct stat_set *s, unsigned id, const char *word)
{
    assert(id < s->count);
    for (unsigned i = 0; s->families[id].def->label && i < s->families[id].values; i++) {
        if (slice_eq_str(s->families[id].words[i], word)) {
            return (int)i;
        }
    }
    return -1;
}

void stat_set_extra(struct stat_set *s, stat_extra_fn fn, void *arg)
{
    s->extra = fn;
    s->extra_arg = arg;
}

void stat_write_head(struct buf *out, const char *family, enum stat_type type, const char *unit, const char *help)
{
    static const char *const names[] = { "counter", "gauge", "histogram" };

    buf_printf(out, "# TYPE %s %s\n", family, names[type]);
    if (*unit) {
        buf_printf(out, "# UNIT %s %s\n", family, unit);
    }
    buf_printf(out, "# HELP %s ", family);
    for (; *help != '\0'; help++) {
        if (*help == '\\' || *help == '"') {
            buf_u8(out, '\\');
        }
        buf_u8(out, *help == '\n' ? ' ' : (uint8_t)*help);
    }
    buf_u8(out, '\n');
}

/* "{reason="size",le="0.5"}", "{le="0.5"}" or nothing. */
static void write_labels(const struct family *f, unsigned value, const char *le, struct buf *out)
{
    if (!f->def->label && !le) {
        return;
    }
    buf_u8(out, '{');
    if (f->def->label) {
        buf_printf(out, "%s=\"%.*s\"%s", f->def->label, SLICE_FMT(f->words[value]), le ? "," : "");
    }
    if (le) {
        buf_printf(out, "le=\"%s\"", le);
    }
    buf_u8(out, '}');
}

/* Recorded microseconds are shown as seconds. */
static void write_number(const struct stat_def *d, int64_t v, struct buf *out)
{
    if (strcmp(d->unit, "seconds") == 0) {
        uint64_t size = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

        buf_printf(out, " %s%" PRIu64 ".%06" PRIu64 "\n", v < 0 ? "-" : "", size / 1000000, size % 1000000);
    } else if (d->type == STAT_TYPE_GAUGE) {
        buf_printf(out, " %" PRId64 "\n", v);
    } else {
        buf_printf(out, " %" PRIu64 "\n", (uint64_t)v);
    }
}

static void write_histogram(const struct stat_set *s, unsigned id, unsigned value, const char *name, struct buf *out)
{
    const struct family *f = &s->families[id];
    uint64_t sum = atomic_load_explicit(cell(s, id, value, f->buckets->count + 1), memory_order_relaxed);
    uint64_t total = 0;

    for (size_t i = 0; i <= f->buckets->count; i++) {
        total += atomic_load_explicit(cell(s, id, value, i), memory_order_relaxed);
        buf_printf(out, "%s_bucket", name);
        write_labels(f, value, i < f->buckets->count ? f->buckets->le[i] : "+Inf", out);
        buf_printf(out, " %" PRIu64 "\n", total);
    }
    buf_printf(out, "%s_count", name);
    write_labels(f, value, NULL, out);
    buf_printf(out, " %" PRIu64 "\n%s_sum", total, name);
    write_labels(f, value, NULL, out);
    write_number(f->def, (int64_t)sum, out);
}

static void write_family(const struct stat_set *s, unsigned id, struct buf *out)
{
    const struct family *f = &s->families[id];
    struct buf name = BUF_INIT(256);
    const char *text;

    buf_printf(&name, "pofr_%s%s%s", f->def->name, *f->def->unit ? "_" : "", f->def->unit);
    text = buf_cstr(&name);
    if (!text) {
        out->err = out->err ? out->err : name.err;
        return;
    }
    stat_write_head(out, text, f->def->type, f->def->unit, f->def->help);
    for (unsigned v = 0; v < f->values; v++) {
        if (f->buckets) {
            write_histogram(s, id, v, text, out);
            continue;
        }
        buf_printf(out, "%s%s", text, f->def->type == STAT_TYPE_COUNTER ? "_total" : "");
        write_labels(f, v, NULL, out);
        write_number(f->def, (int64_t)atomic_load_explicit(cell(s, id, v, 0), memory_order_relaxed), out);
    }
    buf_free(&name);
}

void stat_write(const struct stat_set *s, struct buf *out)
{
    for (size_t i = 0; i < s->count; i++) {
        write_family(s, (unsigned)i, out);
    }
    if (s->extra) {
        s->extra(out, s->extra_arg);
    }
    buf_str(out, "# EOF\n");
}
