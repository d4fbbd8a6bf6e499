/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/evidence/statement.h"

#include "tests/support/check.h"
#include "tests/support/mutate.h"

#include <stdio.h>

#include "common/base/hex.h"
#include "common/record/limits.h"
#include "tests/support/random.h"

static const char known[] = "pofr-bundle 1\n"
                            "host 01020304-0506-0708-090a-0b0c0d0e0f10\n"
                            "run 000102030405060708090a0b0c0d0e0f\n"
                            "sequence 42\n"
                            "previous 2020202020202020202020202020202020202020202020202020202020202020\n"
                            "origin continues\n"
                            "boot 11111111-2222-3333-4444-555555555555\n"
                            "boot-from 1000000\n"
                            "boot-to 4900000\n"
                            "wall-from 1700000000000000\n"
                            "wall-to 1700000003900000\n"
                            "ticks 14 600\n"
                            "keyframe part\n"
                            "records 7:1:42 64:3:100 65:0:98\n"
                            "lost 4:0:7\n"
                            "payload-size 1234\n"
                            "payload-bytes 567\n"
                            "payload-sha256 3030303030303030303030303030303030303030303030303030303030303030\n"
                            "key 4040404040404040404040404040404040404040404040404040404040404040\n"
                            "recorder pofr-agent/0.1.0\n"
                            "end\n";

static struct statement known_statement(void)
{
    struct statement s = {
        .version = 1,
        .sequence = 42,
        .origin = STATEMENT_CONTINUES,
        .from_boot_us = 1000000,
        .to_boot_us = 4900000,
        .from_wall_us = 1700000000000000,
        .to_wall_us = 1700000003900000,
        .ticks = 14,
        .ticks_total = 600,
        .keyframe = 1,
        .counts_len = 3,
        .counts = { { 7, 1, 42 }, { 64, 3, 100 }, { 65, 0, 98 } },
        .lost_len = 1,
        .lost = { { STATEMENT_LOST_TICKS, 0, 7 } },
        .payload_size = 1234,
        .payload_bytes = 567,
        .recorder = "pofr-agent/0.1.0",
    };

    for (uint8_t i = 0; i < 16; i++) {
        s.host.b[i] = i + 1;
        s.run[i] = i;
    }
    assert_int_equal(uuid_parse(slice_str("11111111-2222-3333-4444-555555555555"), &s.boot), 0);
    memset(s.previous, 0x20, 32);
    memset(s.payload_digest, 0x30, 32);
    memset(s.key_id, 0x40, 32);
    return s;
}

static int parse(const char *text)
{
    struct statement s;

    return statement_parse(slice_str(text), &s, NULL);
}

static void the_text_is_the_documented_one(void **state)
{
    struct statement s = known_statement();
    struct statement back;
    struct buf b = BUF_INIT(STATEMENT_MAX);
    struct buf again = BUF_INIT(STATEMENT_MAX);
    uint8_t digest[32];
    char hex[HEX_TEXT_SIZE(32)];

    (void)state;
    assert_int_equal(statement_format(&s, &b), 0);
    assert_slice_str(buf_slice(&b), known);
    assert_int_equal(statement_parse(slice_str(known), &back, NULL), 0);
    assert_int_equal(back.sequence, 42);
    assert_int_equal(back.counts[1].total, 100);
    assert_int_equal(back.lost[0].kind, STATEMENT_LOST_TICKS);
    assert_int_equal(statement_records(&back), 4);
    assert_int_equal(statement_records_total(&back), 240);
    assert_int_equal(statement_format(&back, &again), 0);
    assert_slice_str(buf_slice(&again), known);
    statement_digest(buf_slice(&b), digest);
    assert_string_equal(hex_encode(slice_of(digest, 32), hex),
                        "b3c133f5c28e20fbe9244756b9750c04ec9eff4aa5cb87abeced0d58e75acbbc");
    buf_free(&b);
    buf_free(&again);
}

static unsigned random_counts(struct random *random, struct statement_count *out, unsigned max, uint32_t first)
{
    unsigned len = (unsigned)random_below(random, max);
    uint32_t kind = first;

    for (unsigned i = 0; i < len; i++) {
        kind += 1 + (uint32_t)random_below(random, 3);
        out[i].kind = kind;
        out[i].total = 1 + (random_magnitude(random) >> 8);
        out[i].here = random_below(random, out[i].total + 1);
    }
    return len;
}

static struct statement random_statement(struct random *random)
{
    static const enum statement_origin origins[] = { STATEMENT_FIRST, STATEMENT_CONTINUES, STATEMENT_RESTART,
                                                     STATEMENT_RECOVERED, STATEMENT_LOST };
    struct statement s = { .version = 1 };

    random_bytes(random, s.host.b, 16);
    random_bytes(random, s.boot.b, 16);
    random_bytes(random, s.run, 16);
    random_bytes(random, s.payload_digest, 32);
    random_bytes(random, s.key_id, 32);
    s.sequence = 2 + (random_magnitude(random) >> 1);
    s.origin = origins[random_below(random, 5)];
    if (s.origin != STATEMENT_FIRST && s.origin != STATEMENT_LOST) {
        random_bytes(random, s.previous, 32);
    }
    s.to_boot_us = random_magnitude(random);
    s.from_boot_us = s.to_boot_us - random_below(random, s.to_boot_us / 2 + 1);
    s.from_wall_us = random_magnitude(random);
    s.to_wall_us = random_magnitude(random);
    s.ticks_total = random_magnitude(random);
    s.ticks = random_below(random, s.ticks_total / 2 + 1);
    s.keyframe = random_below(random, 3);
    s.counts_len = random_counts(random, s.counts, 60, 3);
    s.lost_len = random_counts(random, s.lost, 20, 0);
    s.payload_size = random_below(random, REC_PAYLOAD_MAX + 1);
    s.payload_bytes = random_below(random, BUNDLE_MAX + 1);
    (void)snprintf(s.recorder, sizeof(s.recorder), "pofr/%llu", (unsigned long long)random_magnitude(random));
    return s;
}

static void what_was_formatted_is_parsed_to_the_same(void **state)
{
    struct random random = { 1 };

    (void)state;
    for (int i = 0; i < 2000; i++) {
        struct statement s = random_statement(&random), back, unpacked = { 0 };
        struct buf b = BUF_INIT(STATEMENT_MAX);
        struct buf packed = BUF_INIT(65536);

        assert_int_equal(statement_format(&s, &b), 0);
        memset(&back, 0xee, sizeof(back));
        assert_int_equal(statement_parse(buf_slice(&b), &back, NULL), 0);
        assert_memory_equal(back.host.b, s.host.b, 16);
        assert_memory_equal(back.previous, s.previous, 32);
        assert_int_equal(back.origin, s.origin);
        assert_true(back.to_wall_us == s.to_wall_us && back.ticks == s.ticks && back.ticks_total == s.ticks_total);
        assert_int_equal(back.counts_len, s.counts_len);
        assert_memory_equal(back.counts, s.counts, s.counts_len * sizeof(s.counts[0]));
        assert_int_equal(back.lost_len, s.lost_len);
        assert_memory_equal(back.lost, s.lost, s.lost_len * sizeof(s.lost[0]));
        assert_string_equal(back.recorder, s.recorder);

        assert_int_equal(statement_pack_counts(&s, &packed), 0);
        assert_int_equal(statement_unpack_counts(buf_slice(&packed), &unpacked), 0);
        assert_int_equal(unpacked.counts_len, s.counts_len);
        assert_memory_equal(unpacked.counts, s.counts, s.counts_len * sizeof(s.counts[0]));
        assert_int_equal(unpacked.lost_len, s.lost_len);
        assert_memory_equal(unpacked.lost, s.lost, s.lost_len * sizeof(s.lost[0]));
        assert_int_not_equal(statement_unpack_counts(slice_sub(buf_slice(&packed), 0, packed.len - 1), &unpacked), 0);
        buf_free(&b);
        buf_free(&packed);
    }
}

static void reparse(struct slice mutant, const char *what, size_t at, void *arg)
{
    struct statement s;
    struct buf again = BUF_INIT(STATEMENT_MAX);
    int code = statement_parse(mutant, &s, NULL);

    (void)at;
    (void)arg;
    if (what[0] == 'c') {
        assert_int_not_equal(code, 0);
    }
    if (code == 0) { /* a digit became another: still the one text of what was read */
        assert_int_equal(statement_format(&s, &again), 0);
        assert_true(slice_eq(buf_slice(&again), mutant));
    } else {
        assert_true(code == POFR_EFORMAT || code == POFR_EUNSUPPORTED);
    }
    buf_free(&again);
}

static void only_the_one_text_of_a_statement_is_accepted(void **state)
{
    (void)state;
    assert_int_equal(mutate_each(slice_str(known), reparse, NULL), (sizeof(known) - 1) * 9);
}

/* known with one text in place of another */
static int parse_with(const char *from, const char *to)
{
    char text[2 * sizeof(known)];
    const char *at = strstr(known, from);

    assert_non_null(at);
    assert_true(snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - known), known, to, at + strlen(from)) <
                (int)sizeof(text));
    return parse(text);
}

static void every_other_way_to_say_it_is_refused(void **state)
{
    static const char *const cases[][2] = {
        { "sequence 42\n", "sequence 042\n" },
        { "sequence 42\n", "sequence +42\n" },
        { "sequence 42\n", "sequence  42\n" },
        { "sequence 42\n", "sequence 42 \n" },
        { "sequence 42\n", "sequence 42\r\n" },
        { "sequence 42\n", "sequence 0\n" },
        { "sequence 42\n", "sequence 18446744073709551616\n" },
        { "sequence 42\n", "" },
        { "sequence 42\n", "sequence 42\nsequence 42\n" },
        { "sequence 42\n", "Sequence 42\n" },
        { "0b0c0d0e0f10\n", "0B0c0d0e0f10\n" },
        { "run 0001", "run 00" },
        { "previous 20", "previous none20" },
        { "origin continues", "origin first" },
        { "origin continues", "origin unknown" },
        { "origin continues", "origin " },
        { "boot-from 1000000", "boot-from 4900001" },
        { "ticks 14 600", "ticks 14" },
        { "ticks 14 600", "ticks 601 600" },
        { "ticks 14 600", "ticks 14 600 1" },
        { "keyframe part", "keyframe" },
        { "keyframe part", "keyframe yes" },
        { "records 7:1:42", "records 3:1:42" },
        { "records 7:1:42", "records 64:1:42" },
        { "records 7:1:42", "records 7:43:42" },
        { "records 7:1:42", "records 7:0:0" },
        { "records 7:1:42", "records 7:1:42:1" },
        { "records 7:1:42", "records 7:1" },
        { "records 7:1:42", "records  7:1:42" },
        { "records 7:1:42 ", "records - " },
        { "65:0:98", "65:0:98 " },
        { "lost 4:0:7", "lost" },
        { "lost 4:0:7", "lost 0:0:7" },
        { "payload-size 1234", "payload-size 8388609" },
        { "payload-bytes 567", "payload-bytes 9437185" },
        { "recorder pofr-agent/0.1.0", "recorder pofr agent" },
        { "recorder pofr-agent/0.1.0", "recorder \xc3\xa4" },
        { "recorder pofr-agent/0.1.0", "recorder " },
        { "recorder pofr-agent/0.1.0", "recorder 0123456789012345678901234567890123456789012345678901234567890123" },
        { "end\n", "end\n\n" },
        { "end\n", "end" },
        { "end\n", "end 1\n" },
    };

    (void)state;
    assert_int_equal(parse(known), 0);
    assert_int_equal(parse(""), POFR_EFORMAT);
    for (size_t i = 0; i < pofr_countof(cases); i++) {
        if (parse_with(cases[i][0], cases[i][1]) != POFR_EFORMAT) {
            fail_msg("accepted: %s", cases[i][1]);
        }
    }
    assert_int_equal(parse_with("lost 4:0:7", "lost -"), 0);
    assert_int_equal(parse_with("records 7:1:42 64:3:100 65:0:98", "records -"), 0);
}

static void another_version_is_not_supported_rather_than_broken(void **state)
{
    (void)state;
    assert_int_equal(parse_with("pofr-bundle 1\n", "pofr-bundle 2\n"), POFR_EUNSUPPORTED);
    assert_int_equal(parse("pofr-bundle 2\nanything\n"), POFR_EUNSUPPORTED);
}

static void what_contradicts_itself_is_not_formatted(void **state)
{
    struct statement s = known_statement();
    struct buf b = BUF_INIT(STATEMENT_MAX);

    (void)state;
    s.origin = STATEMENT_FIRST; /* with a statement before it */
    assert_int_equal(statement_format(&s, &b), POFR_EUSAGE);
    memset(s.previous, 0, 32);
    assert_int_equal(statement_format(&s, &b), 0);
    buf_reset(&b);
    s.origin = STATEMENT_CONTINUES; /* without one */
    assert_int_equal(statement_format(&s, &b), POFR_EUSAGE);
    assert_int_equal(b.len, 0);
    s = known_statement();
    s.counts_len = STATEMENT_COUNTS_MAX;
    for (unsigned i = 0; i < STATEMENT_COUNTS_MAX; i++) {
        s.counts[i] = (struct statement_count){ 100000 + i, UINT64_MAX, UINT64_MAX };
    }
    b.max = SIZE_MAX / 4;
    assert_int_equal(statement_format(&s, &b), POFR_ETOOBIG);
    assert_int_equal(b.len, 0);
    buf_free(&b);
}

static void origins_have_names(void **state)
{
    (void)state;
    assert_string_equal(statement_origin_name(STATEMENT_FIRST), "first");
    assert_string_equal(statement_origin_name(STATEMENT_LOST), "lost");
    assert_string_equal(statement_origin_name((enum statement_origin)0), "unknown");
    assert_string_equal(statement_origin_name((enum statement_origin)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_is_the_documented_one),
        cmocka_unit_test(what_was_formatted_is_parsed_to_the_same),
        cmocka_unit_test(only_the_one_text_of_a_statement_is_accepted),
        cmocka_unit_test(every_other_way_to_say_it_is_refused),
        cmocka_unit_test(another_version_is_not_supported_rather_than_broken),
        cmocka_unit_test(what_contradicts_itself_is_not_formatted),
        cmocka_unit_test(origins_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
