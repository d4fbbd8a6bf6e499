/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/evidence/statement.h"

#include <string.h>

#include "common/base/compiler.h"
#include "common/base/cursor.h"
#include "common/base/hex.h"
#include "common/base/parse_num.h"
#include "common/base/sha256.h"
#include "common/record/limits.h"

#define FIRST_KIND 4u /* STRING, TICK and KEYFRAME are not counted */
#define FIRST_LOST 1u

static const char *const origins[] = { "", "first", "continues", "restart", "recovered", "lost" };
static const char *const keyframes[] = { "no", "part", "last" };

const char *statement_origin_name(enum statement_origin origin)
{
    return origin >= STATEMENT_FIRST && origin <= STATEMENT_LOST ? origins[origin] : "unknown";
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i]) {
            return false;
        }
    }
    return true;
}

/* --- write ---------------------------------------------------------------------------------------- */

static void put_hex(struct buf *out, const char *name, const uint8_t *bytes, size_t len)
{
    char text[2 * 32 + 1];

    hex_encode(slice_of(bytes, len), text);
    buf_str(out, name);
    buf_u8(out, ' ');
    buf_str(out, text);
    buf_u8(out, '\n');
}

static void put_u(struct buf *out, const char *name, uint64_t value)
{
    buf_str(out, name);
    buf_u8(out, ' ');
    buf_decimal(out, value);
    buf_u8(out, '\n');
}

static void put_counts(struct buf *out, const char *name, const struct statement_count *counts, unsigned len)
{
    buf_str(out, name);
    buf_str(out, len ? "" : " -");
    for (unsigned i = 0; i < len; i++) {
        buf_u8(out, ' ');
        buf_decimal(out, counts[i].kind);
        buf_u8(out, ':');
        buf_decimal(out, counts[i].here);
        buf_u8(out, ':');
        buf_decimal(out, counts[i].total);
    }
    buf_u8(out, '\n');
}

/* What a struct must hold for its text to be readable again. */
static bool counts_ok(const struct statement_count *counts, unsigned len, unsigned max, uint32_t first)
{
    if (len > max) {
        return false;
    }
    for (unsigned i = 0; i < len; i++) {
        if (counts[i].total == 0 || counts[i].here > counts[i].total || counts[i].kind < first ||
            (i && counts[i].kind <= counts[i - 1].kind)) {
            return false;
        }
    }
    return true;
}

static bool statement_ok(const struct statement *s)
{
    bool first = s->origin == STATEMENT_FIRST || s->origin == STATEMENT_LOST ||
                 (s->origin == STATEMENT_RECOVERED && s->sequence == 1);
    bool chained = !is_zero(s->previous, 32);
    size_t recorder_len = strnlen(s->recorder, sizeof(s->recorder));

    if (s->version != 1 || s->origin < STATEMENT_FIRST || s->origin > STATEMENT_LOST || s->sequence == 0 ||
        s->keyframe > 2 || (chained && first) || (!chained && !first)) {
        return false;
    }
    if (s->from_boot_us > s->to_boot_us || s->ticks > s->ticks_total || s->payload_size > REC_PAYLOAD_MAX ||
        s->payload_bytes > BUNDLE_MAX || recorder_len == 0 || recorder_len >= sizeof(s->recorder)) {
        return false;
    }
    for (size_t i = 0; i < recorder_len; i++) {
        if (s->recorder[i] <= ' ' || s->recorder[i] > '~') {
            return false;
        }
    }
    return counts_ok(s->counts, s->counts_len, STATEMENT_COUNTS_MAX, FIRST_KIND) &&
           counts_ok(s->lost, s->lost_len, pofr_countof(s->lost), FIRST_LOST);
}

int statement_format(const struct statement *s, struct buf *out)
{
    size_t at = out->len;
    char uuid[UUID_TEXT_SIZE];

    if (!statement_ok(s)) {
        return POFR_EUSAGE;
    }
    buf_str(out, "pofr-bundle 1\n");
    buf_printf(out, "host %s\n", uuid_format(&s->host, uuid));
    put_hex(out, "run", s->run, 16);
    put_u(out, "sequence", s->sequence);
    if (is_zero(s->previous, 32)) {
        buf_str(out, "previous none\n");
    } else {
        put_hex(out, "previous", s->previous, 32);
    }
    buf_printf(out, "origin %s\n", origins[s->origin]);
    buf_printf(out, "boot %s\n", uuid_format(&s->boot, uuid));
    put_u(out, "boot-from", s->from_boot_us);
    put_u(out, "boot-to", s->to_boot_us);
    put_u(out, "wall-from", s->from_wall_us);
    put_u(out, "wall-to", s->to_wall_us);
    buf_printf(out, "ticks %llu %llu\n", (unsigned long long)s->ticks, (unsigned long long)s->ticks_total);
    buf_printf(out, "keyframe %s\n", keyframes[s->keyframe]);
    put_counts(out, "records", s->counts, s->counts_len);
    put_counts(out, "lost", s->lost, s->lost_len);
    put_u(out, "payload-size", s->payload_size);
    put_u(out, "payload-bytes", s->payload_bytes);
    put_hex(out, "payload-sha256", s->payload_digest, 32);
    put_hex(out, "key", s->key_id, 32);
    buf_printf(out, "recorder %s\n", s->recorder);
    buf_str(out, "end\n");
    if (!out->err && out->len - at > STATEMENT_MAX) {
        buf_truncate(out, at);
        return POFR_ETOOBIG;
    }
    return out->err;
}

/* --- read ----------------------------------------------------------------------------------------- */

struct reader {
    struct slice rest;
    const char *bad; /* name of the first line that was not as it must be */
};

/* The value of the next line, which must be called name. */
static struct slice line(struct reader *r, const char *name)
{
    size_t at = slice_find(r->rest, '\n');
    struct slice text = slice_sub(r->rest, 0, at);
    size_t len = strlen(name);

    if (r->bad) {
        return SLICE_EMPTY;
    }
    if (at == r->rest.len || text.len <= len + 1 || memcmp(text.data, name, len) != 0 || text.data[len] != ' ') {
        r->bad = name;
        return SLICE_EMPTY;
    }
    r->rest = slice_sub(r->rest, at + 1, SIZE_MAX);
    return slice_sub(text, len + 1, SIZE_MAX);
}

static uint64_t read_u(struct reader *r, const char *name, uint64_t max)
{
    struct slice text = line(r, name);
    uint64_t value = 0;

    if (!r->bad && parse_canonical_u64(text, max, &value)) {
        r->bad = name;
    }
    return value;
}

static void read_hex(struct reader *r, const char *name, uint8_t *out, size_t len)
{
    struct slice text = line(r, name);

    if (!r->bad && hex_decode_lower(text, out, len)) {
        r->bad = name;
    }
}

static void read_uuid(struct reader *r, const char *name, struct uuid *out)
{
    struct slice text = line(r, name);
    char again[UUID_TEXT_SIZE];

    if (!r->bad && (uuid_parse(text, out) || !slice_eq_str(text, uuid_format(out, again)))) {
        r->bad = name;
    }
}

static unsigned read_word(struct reader *r, const char *name, const char *const *words, unsigned count)
{
    struct slice text = line(r, name);

    for (unsigned i = 0; i < count && !r->bad; i++) {
        if (words[i][0] && slice_eq_str(text, words[i])) {
            return i;
        }
    }
    r->bad = r->bad ? r->bad : name;
    return 0;
}

static unsigned read_counts(struct reader *r, const char *name, struct statement_count *out, unsigned max)
{
    struct slice text = line(r, name);
    unsigned len = 0;

    if (r->bad || slice_eq_str(text, "-")) {
        return 0;
    }
    while (!slice_empty(text)) {
        struct slice rest = slice_split(&text, ' ');
        struct slice kind = slice_split(&rest, ':');
        struct slice here = slice_split(&rest, ':');
        uint64_t number = 0;

        if (len == max || parse_canonical_u64(kind, UINT32_MAX, &number) ||
            parse_canonical_u64(here, UINT64_MAX, &out[len].here) ||
            parse_canonical_u64(rest, UINT64_MAX, &out[len].total)) {
            r->bad = name;
            return 0;
        }
        out[len++].kind = (uint32_t)number;
    }
    return len;
}

static void read_pair(struct reader *r, const char *name, uint64_t *out_first, uint64_t *out_second)
{
    struct slice text = line(r, name);
    struct slice first = slice_split(&text, ' ');

    if (!r->bad &&
        (parse_canonical_u64(first, UINT64_MAX, out_first) || parse_canonical_u64(text, UINT64_MAX, out_second))) {
        r->bad = name;
    }
}

static void read_previous(struct reader *r, uint8_t out[32])
{
    struct slice text = line(r, "previous");

    if (r->bad || slice_eq_str(text, "none")) {
        return;
    }
    if (hex_decode_lower(text, out, 32) || is_zero(out, 32)) {
        r->bad = "previous";
    }
}

static void read_recorder(struct reader *r, char *out, size_t size)
{
    struct slice text = line(r, "recorder");

    if (r->bad || text.len >= size) {
        r->bad = r->bad ? r->bad : "recorder";
        return;
    }
    memcpy(out, text.data, text.len);
    out[text.len] = 0;
}

int statement_parse(struct slice text, struct statement *out_statement, struct pofr_err *err)
{
    struct reader r = { .rest = text };
    struct buf again = BUF_INIT(2 * STATEMENT_MAX);
    struct statement s = { .version = 1 };
    struct slice version = line(&r, "pofr-bundle");
    int code;

    if (r.bad || text.len > STATEMENT_MAX) {
        return pofr_err_set(err, POFR_EFORMAT, "not a statement");
    }
    if (!slice_eq_str(version, "1")) {
        return pofr_err_set(err, POFR_EUNSUPPORTED, "statement of a version that this program does not know");
    }
    read_uuid(&r, "host", &s.host);
    read_hex(&r, "run", s.run, 16);
    s.sequence = read_u(&r, "sequence", UINT64_MAX);
    read_previous(&r, s.previous);
    s.origin = (enum statement_origin)read_word(&r, "origin", origins, pofr_countof(origins));
    read_uuid(&r, "boot", &s.boot);
    s.from_boot_us = read_u(&r, "boot-from", UINT64_MAX);
    s.to_boot_us = read_u(&r, "boot-to", UINT64_MAX);
    s.from_wall_us = read_u(&r, "wall-from", UINT64_MAX);
    s.to_wall_us = read_u(&r, "wall-to", UINT64_MAX);
    read_pair(&r, "ticks", &s.ticks, &s.ticks_total);
    s.keyframe = read_word(&r, "keyframe", keyframes, pofr_countof(keyframes));
    s.counts_len = read_counts(&r, "records", s.counts, STATEMENT_COUNTS_MAX);
    s.lost_len = read_counts(&r, "lost", s.lost, pofr_countof(s.lost));
    s.payload_size = read_u(&r, "payload-size", REC_PAYLOAD_MAX);
    s.payload_bytes = read_u(&r, "payload-bytes", BUNDLE_MAX);
    read_hex(&r, "payload-sha256", s.payload_digest, 32);
    read_hex(&r, "key", s.key_id, 32);
    read_recorder(&r, s.recorder, sizeof(s.recorder));
    if (!r.bad && !slice_eq_str(r.rest, "end\n")) {
        r.bad = "end";
    }
    if (r.bad) {
        return pofr_err_set(err, POFR_EFORMAT, "statement: line \"%s\" is missing or not as it must be", r.bad);
    }
    /* One struct, one text: what would be written differently is refused. */
    code = statement_format(&s, &again);
    if (code || !slice_eq(buf_slice(&again), text)) {
        code = pofr_err_set(err, POFR_EFORMAT, "statement contradicts itself or is not in its one form");
    }
    buf_free(&again);
    if (!code) {
        *out_statement = s;
    }
    return code;
}

void statement_digest(struct slice text, uint8_t out_digest[32])
{
    if (sha256(text, out_digest)) {
        memset(out_digest, 0, 32);
    }
}

/* --- counts for the ledger ------------------------------------------------------------------------ */

static void pack(struct buf *out, const struct statement_count *counts, unsigned len)
{
    buf_varint(out, len);
    for (unsigned i = 0; i < len; i++) {
        buf_varint(out, counts[i].kind);
        buf_varint(out, counts[i].here);
        buf_varint(out, counts[i].total);
    }
}

int statement_pack_counts(const struct statement *s, struct buf *out)
{
    pack(out, s->counts, s->counts_len);
    pack(out, s->lost, s->lost_len);
    return out->err;
}

static unsigned unpack(struct cursor *c, struct statement_count *counts, unsigned max)
{
    uint64_t len = cursor_varint_max(c, max);

    for (uint64_t i = 0; i < len && !c->err; i++) {
        counts[i].kind = (uint32_t)cursor_varint_max(c, UINT32_MAX);
        counts[i].here = cursor_varint(c);
        counts[i].total = cursor_varint(c);
    }
    return c->err ? 0 : (unsigned)len;
}

int statement_unpack_counts(struct slice blob, struct statement *s)
{
    struct cursor c = cursor_of(blob);

    s->counts_len = unpack(&c, s->counts, STATEMENT_COUNTS_MAX);
    s->lost_len = unpack(&c, s->lost, pofr_countof(s->lost));
    return cursor_done(&c);
}

uint64_t statement_records(const struct statement *s)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < s->counts_len; i++) {
        sum += s->counts[i].here;
    }
    return sum;
}

uint64_t statement_records_total(const struct statement *s)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < s->counts_len; i++) {
        sum += s->counts[i].total;
    }
    return sum;
}
