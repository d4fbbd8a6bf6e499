/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/look/parse_cn.h"

#include "tests/support/check.h"
#include "tests/support/mutate.h"

#include "common/base/compiler.h"
#include "common/base/err.h"

enum {
    HEAD = 16 + 20,
    EVENT = 16
};

/* A datagram of the kernel with these words after the event's head. */
static struct slice datagram(uint8_t *out, uint32_t what, const uint32_t *words, size_t count)
{
    uint32_t len = HEAD + EVENT + (uint32_t)count * 4, index = 1, sequence = 77, cpu = 3;
    uint16_t length = (uint16_t)(EVENT + count * 4);
    uint64_t time = UINT64_C(123456789012345);

    memset(out, 0, len);
    memcpy(out, &len, 4);
    memcpy(out + 16, &index, 4);
    memcpy(out + 20, &index, 4);
    memcpy(out + 24, &sequence, 4);
    memcpy(out + 32, &length, 2);
    memcpy(out + HEAD, &what, 4);
    memcpy(out + HEAD + 4, &cpu, 4);
    memcpy(out + HEAD + 8, &time, 8);
    memcpy(out + HEAD + 16, words, count * 4);
    return slice_of(out, len);
}

static void each_kind_says_whom_it_is_about(void **state)
{
    static const uint32_t words[6] = { 11, 12, 13, 14, 15, 16 };
    static const struct {
        uint32_t what;
        size_t words;
        uint32_t tid, pid, parent;
    } cases[] = {
        { CN_FORK, 4, 13, 14, 12 },    { CN_EXEC, 2, 11, 12, 0 },  { CN_UID, 4, 11, 12, 0 },
        { CN_GID, 4, 11, 12, 0 },      { CN_SID, 2, 11, 12, 0 },   { CN_COMM, 6, 11, 12, 0 },
        { CN_COREDUMP, 4, 11, 12, 0 }, { CN_EXIT, 6, 11, 12, 16 }, { CN_EXIT, 4, 11, 12, 0 },
        { CN_PTRACE, 4, 0, 0, 0 },     { 0x1000, 1, 0, 0, 0 },     { CN_NONE, 1, 0, 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < pofr_countof(cases); i++) {
        uint8_t bytes[128];
        struct cn_message m;

        assert_int_equal(cn_parse(datagram(bytes, cases[i].what, words, cases[i].words), &m), 0);
        assert_true(m.what == cases[i].what);
        assert_int_equal(m.tid, cases[i].tid);
        assert_int_equal(m.pid, cases[i].pid);
        assert_int_equal(m.parent, cases[i].parent);
        assert_int_equal(m.sequence, 77);
        assert_int_equal(m.cpu, 3);
        assert_true(m.timestamp_ns == UINT64_C(123456789012345));
    }
}

static void what_a_kind_carries_is_there(void **state)
{
    static const uint32_t words[6] = { 11, 12, 0x100, 4000000000u, 0, 0 };
    uint8_t bytes[128];
    struct cn_message m;

    (void)state;
    assert_int_equal(cn_parse(datagram(bytes, CN_EXIT, words, 6), &m), 0);
    assert_int_equal(m.exit_code, 0x100);
    assert_int_equal(cn_parse(datagram(bytes, CN_UID, words, 4), &m), 0);
    assert_int_equal(m.real, 0x100);
    assert_true(m.effective == 4000000000u);
    assert_int_equal(cn_parse(datagram(bytes, CN_NONE, words, 1), &m), 0);
    assert_int_equal(m.error, 11);
}

static void what_is_not_of_the_kernels_form_is_refused(void **state)
{
    static const uint32_t words[6] = { 0 };
    uint8_t bytes[128];
    struct cn_message m;

    (void)state;
    assert_int_equal(cn_parse(SLICE_EMPTY, &m), POFR_ETRUNCATED);
    assert_int_equal(cn_parse(datagram(bytes, CN_FORK, words, 3), &m), POFR_ETRUNCATED);
    (void)datagram(bytes, CN_FORK, words, 4);
    bytes[16] = 2; /* another connector's */
    assert_int_equal(cn_parse(slice_of(bytes, HEAD + EVENT + 16), &m), POFR_EFORMAT);
    (void)datagram(bytes, CN_FORK, words, 4);
    bytes[32] = 200; /* longer than what came */
    assert_int_equal(cn_parse(slice_of(bytes, HEAD + EVENT + 16), &m), POFR_ETRUNCATED);
}

static void parse_mutant(struct slice mutant, const char *what, size_t at, void *arg)
{
    struct cn_message m;

    (void)what;
    (void)at;
    (void)arg;
    assert_true(cn_parse(mutant, &m) <= 0);
}

static void no_mutant_is_read_beyond_its_end(void **state)
{
    static const uint32_t words[6] = { 11, 12, 13, 14, 15, 16 };
    uint8_t bytes[128];

    (void)state;
    mutate_each(datagram(bytes, CN_COMM, words, 6), parse_mutant, NULL);
    mutate_each(datagram(bytes, CN_FORK, words, 4), parse_mutant, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_says_whom_it_is_about),
        cmocka_unit_test(what_a_kind_carries_is_there),
        cmocka_unit_test(what_is_not_of_the_kernels_form_is_refused),
        cmocka_unit_test(no_mutant_is_read_beyond_its_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
