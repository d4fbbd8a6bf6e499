/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/sha256.h"

#include "tests/support/check.h"

#include "common/base/hex.h"

static const char of_abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
static const char of_nothing[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static void assert_digest(const uint8_t digest[SHA256_SIZE], const char *expected)
{
    char text[SHA256_TEXT_SIZE];

    assert_string_equal(hex_encode(slice_of(digest, SHA256_SIZE), text), expected);
}

static void one_shot_gives_the_published_values(void **state)
{
    uint8_t digest[SHA256_SIZE];

    (void)state;
    assert_int_equal(sha256(slice_str("abc"), digest), 0);
    assert_digest(digest, of_abc);
    assert_int_equal(sha256(SLICE_EMPTY, digest), 0);
    assert_digest(digest, of_nothing);
}

static void pieces_give_the_same_and_the_state_is_used_again(void **state)
{
    struct sha256 h = { 0 };
    uint8_t digest[SHA256_SIZE];

    (void)state;
    for (int round = 0; round < 2; round++) {
        assert_int_equal(sha256_init(&h), 0);
        assert_int_equal(sha256_update(&h, slice_str("a")), 0);
        assert_int_equal(sha256_update(&h, SLICE_EMPTY), 0);
        assert_int_equal(sha256_update(&h, slice_str("bc")), 0);
        assert_int_equal(sha256_final(&h, digest), 0);
        assert_digest(digest, of_abc);
    }
    assert_int_equal(sha256_init(&h), 0);
    assert_int_equal(sha256_update(&h, slice_str("thrown away")), 0);
    assert_int_equal(sha256_init(&h), 0);
    assert_int_equal(sha256_final(&h, digest), 0);
    assert_digest(digest, of_nothing);
    sha256_fini(&h);
    sha256_fini(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_shot_gives_the_published_values),
        cmocka_unit_test(pieces_give_the_same_and_the_state_is_used_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
