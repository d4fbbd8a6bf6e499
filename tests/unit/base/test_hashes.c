/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hashes whose values others compute too: siphash, crc32c, murmur2, against published values. */
#include "common/base/siphash.h"

#include "tests/support/check.h"

#include "common/base/compiler.h"
#include "common/base/crc32c.h"
#include "common/base/murmur2.h"

static void siphash_gives_the_published_values(void **state)
{
    /* vectors_sip64 of the reference implementation: key 00..0f, input 00..len-1 */
    static const uint64_t expected[] = {
        UINT64_C(0x726fdb47dd0e0e31), UINT64_C(0x74f839c593dc67fd), UINT64_C(0x0d6c8009d9a94f5a),
        UINT64_C(0x85676696d7fb7e2d), UINT64_C(0xcf2794e0277187b7), UINT64_C(0x18765564cd99a68d),
        UINT64_C(0xcbc9466e58fee3ce), UINT64_C(0xab0200f58b01d137), UINT64_C(0x93f5f5799a932462),
    };
    uint8_t key[SIPHASH_KEY_SIZE], input[15];

    (void)state;
    for (size_t i = 0; i < sizeof(key); i++) {
        key[i] = (uint8_t)i;
    }
    for (size_t i = 0; i < sizeof(input); i++) {
        input[i] = (uint8_t)i;
    }
    for (size_t len = 0; len < pofr_countof(expected); len++) {
        assert_true(siphash24(key, slice_of(input, len)) == expected[len]);
    }
    assert_true(siphash24(key, slice_of(input, 15)) == UINT64_C(0xa129ca6149be45e5)); /* the paper's example */
    assert_true(siphash24(key, SLICE_EMPTY) == expected[0]);
}

static void crc32c_gives_the_published_values(void **state)
{
    static uint8_t zeros[32], ones[32], rising[32]; /* RFC 3720, B.4 */

    (void)state;
    memset(ones, 0xff, sizeof(ones));
    for (size_t i = 0; i < sizeof(rising); i++) {
        rising[i] = (uint8_t)i;
    }
    assert_int_equal(crc32c(0, slice_str("123456789")), 0xe3069283);
    assert_int_equal(crc32c(0, slice_of(zeros, 32)), 0x8a9136aa);
    assert_int_equal(crc32c(0, slice_of(ones, 32)), 0x62a8ab43);
    assert_int_equal(crc32c(0, slice_of(rising, 32)), 0x46dd794e);
    assert_int_equal(crc32c(0, SLICE_EMPTY), 0);
}

static void crc32c_is_the_same_in_pieces_and_by_table(void **state)
{
    uint8_t data[100];
    uint32_t whole;

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * 37 + 11);
    }
    whole = crc32c(0, slice_of(data, sizeof(data)));
    for (size_t cut = 0; cut <= sizeof(data); cut++) {
        uint32_t crc = crc32c(0, slice_of(data, cut));

        assert_int_equal(crc32c(crc, slice_of(data + cut, sizeof(data) - cut)), whole);
        assert_int_equal(crc32c_table(0, slice_of(data, cut)), crc);
    }
}

static void murmur2_gives_kafkas_values(void **state)
{
    /* those of librdkafka's own test, which come from the Java client */
    static const struct {
        const char *key;
        uint32_t hash;
    } cases[] = {
        { "kafka", 0xd067cf64 },
        { "giberish123456789", 0x8f552b0c },
        { "1234", 0x9fc97b14 },
        { "234", 0xe7c009ca },
        { "34", 0x873930da },
        { "4", 0x5a4b5ca1 },
        { "PreAmbleWillBeRemoved,ThePrePartThatIs", 0x78424f1c },
        { "reAmbleWillBeRemoved,ThePrePartThatIs", 0x4a62b377 },
        { "eAmbleWillBeRemoved,ThePrePartThatIs", 0xe0e4e09e },
        { "AmbleWillBeRemoved,ThePrePartThatIs", 0x62b8b43f },
        { "", 0x106e08d9 },
    };

    (void)state;
    for (size_t i = 0; i < pofr_countof(cases); i++) {
        assert_int_equal(murmur2(slice_str(cases[i].key)), cases[i].hash);
    }
}

static void a_partition_leaves_the_sign_out(void **state)
{
    (void)state;
    assert_int_equal(murmur2_partition(slice_str("kafka"), 64), (0xd067cf64 & 0x7fffffff) % 64);
    assert_int_equal(murmur2_partition(slice_str("kafka"), 1), 0);
    assert_int_equal(murmur2_partition(slice_str("kafka"), 1000003), (0xd067cf64 & 0x7fffffff) % 1000003);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(siphash_gives_the_published_values),
        cmocka_unit_test(crc32c_gives_the_published_values),
        cmocka_unit_test(crc32c_is_the_same_in_pieces_and_by_table),
        cmocka_unit_test(murmur2_gives_kafkas_values),
        cmocka_unit_test(a_partition_leaves_the_sign_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
