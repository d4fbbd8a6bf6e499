/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/hashmap.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/check.h"

#include "common/base/err.h"

#define MANY 5000

static uint64_t numbers[MANY];

static void fill_numbers(void)
{
    for (size_t i = 0; i < MANY; i++) {
        numbers[i] = i * 1000;
    }
}

static bool has_number(const void *value, const void *key)
{
    return *(const uint64_t *)value == *(const uint64_t *)key;
}

static void what_was_inserted_is_found_until_removed(void **state)
{
    struct hashmap m;

    (void)state;
    fill_numbers();
    hashmap_init(&m, MANY, 0);
    assert_null(hashmap_get(&m, 5, NULL, NULL));
    assert_null(hashmap_remove(&m, 5, NULL, NULL));
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(hashmap_insert(&m, numbers[i], &numbers[i]), 0);
    }
    for (size_t i = 0; i < MANY; i += 2) {
        assert_ptr_equal(hashmap_remove(&m, numbers[i], NULL, NULL), &numbers[i]);
    }
    for (size_t i = 0; i < MANY; i++) {
        assert_ptr_equal(hashmap_get(&m, numbers[i], NULL, NULL), i % 2 ? &numbers[i] : NULL);
    }
    assert_int_equal(m.count, MANY / 2);
    hashmap_free(&m);
    assert_int_equal(m.count, 0);
}

static void keys_with_the_same_hash_are_told_apart(void **state)
{
    struct hashmap m;

    (void)state;
    fill_numbers();
    hashmap_init(&m, 100, 7);
    for (size_t i = 0; i < 50; i++) {
        assert_int_equal(hashmap_insert(&m, 42, &numbers[i]), 0);
    }
    for (size_t i = 0; i < 50; i += 3) {
        assert_ptr_equal(hashmap_remove(&m, 42, has_number, &numbers[i]), &numbers[i]);
    }
    for (size_t i = 0; i < 50; i++) {
        assert_ptr_equal(hashmap_get(&m, 42, has_number, &numbers[i]), i % 3 ? &numbers[i] : NULL);
    }
    hashmap_free(&m);
}

static void the_maximum_is_kept(void **state)
{
    struct hashmap m;

    (void)state;
    fill_numbers();
    hashmap_init(&m, 2, 0);
    assert_int_equal(hashmap_insert(&m, 1, &numbers[0]), 0);
    assert_int_equal(hashmap_insert(&m, 2, &numbers[1]), 0);
    assert_int_equal(hashmap_insert(&m, 3, &numbers[2]), POFR_EFULL);
    assert_null(hashmap_get(&m, 3, NULL, NULL));
    hashmap_free(&m);
}

static void a_walk_meets_each_value_once(void **state)
{
    static unsigned met[MANY];
    struct hashmap m;
    uint64_t *v;
    size_t at = 0;

    (void)state;
    fill_numbers();
    memset(met, 0, sizeof(met));
    hashmap_init(&m, MANY, 0);
    assert_null(hashmap_next(&m, &at));
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(hashmap_insert(&m, numbers[i], &numbers[i]), 0);
    }
    at = 0;
    while ((v = hashmap_next(&m, &at)) != NULL) {
        met[v - numbers]++;
    }
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(met[i], 1);
    }
    hashmap_free(&m);
}

struct asked {
    unsigned times[MANY];
    size_t keep_every;
};

static bool keep_some(void *value, void *arg)
{
    struct asked *a = arg;
    size_t i = (size_t)((uint64_t *)value - numbers);

    a->times[i]++;
    return i % a->keep_every == 0;
}

static void retain_asks_each_value_once_and_keeps_the_rest_reachable(void **state)
{
    static struct asked asked;

    (void)state;
    fill_numbers();
    for (size_t n = 1; n <= 40; n++) {
        struct hashmap m;

        hashmap_init(&m, MANY, n);
        memset(&asked, 0, sizeof(asked));
        asked.keep_every = 1 + n % 4;
        for (size_t i = 0; i < n * 100; i++) {
            assert_int_equal(hashmap_insert(&m, i % 50, &numbers[i]), 0); /* long runs */
        }
        assert_int_equal(hashmap_retain(&m, keep_some, &asked),
                         n * 100 - (n * 100 + asked.keep_every - 1) / asked.keep_every);
        for (size_t i = 0; i < n * 100; i++) {
            assert_int_equal(asked.times[i], 1);
            assert_ptr_equal(hashmap_get(&m, i % 50, has_number, &numbers[i]),
                             i % asked.keep_every == 0 ? &numbers[i] : NULL);
        }
        hashmap_free(&m);
    }
}

static void memory_goes_back_when_most_have_left(void **state)
{
    struct hashmap m;
    size_t largest;

    (void)state;
    fill_numbers();
    hashmap_init(&m, MANY, 0);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(hashmap_insert(&m, numbers[i], &numbers[i]), 0);
    }
    largest = m.cap;
    for (size_t i = 10; i < MANY; i++) {
        assert_non_null(hashmap_remove(&m, numbers[i], NULL, NULL));
    }
    assert_true(m.cap < largest / 16);
    for (size_t i = 0; i < 10; i++) {
        assert_ptr_equal(hashmap_get(&m, numbers[i], NULL, NULL), &numbers[i]);
    }
    hashmap_free(&m);
}

/* Compared with a plain array, over many random steps. */
static void random_steps_agree_with_a_plain_table(void **state)
{
    static bool there[256];
    static uint64_t values[256];
    struct hashmap m;
    uint64_t x = 1;

    (void)state;
    memset(there, 0, sizeof(there));
    hashmap_init(&m, 256, 3);
    for (size_t step = 0; step < 100000; step++) {
        size_t k;

        x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
        k = (size_t)(x >> 33) % (step / 1000 % 2 ? 256 : 40);
        if ((x >> 60) % 2 && !there[k]) {
            assert_int_equal(hashmap_insert(&m, k, &values[k]), 0);
            there[k] = true;
        } else {
            assert_ptr_equal(hashmap_remove(&m, k, NULL, NULL), there[k] ? &values[k] : NULL);
            there[k] = false;
        }
        k = (k * 7 + 1) % 256;
        assert_ptr_equal(hashmap_get(&m, k, NULL, NULL), there[k] ? &values[k] : NULL);
    }
    hashmap_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_inserted_is_found_until_removed),
        cmocka_unit_test(keys_with_the_same_hash_are_told_apart),
        cmocka_unit_test(the_maximum_is_kept),
        cmocka_unit_test(a_walk_meets_each_value_once),
        cmocka_unit_test(retain_asks_each_value_once_and_keeps_the_rest_reachable),
        cmocka_unit_test(memory_goes_back_when_most_have_left),
        cmocka_unit_test(random_steps_agree_with_a_plain_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
