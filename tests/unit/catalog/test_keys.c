/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/catalog/keys.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/catalog/keys_parts.h"
#include "common/os/fsio.h"
#include "common/os/log.h"
#include "tests/support/check.h"
#include "tests/support/mutate.h"

static struct keys_host host(uint64_t number, enum keys_state state, const char *name)
{
    struct keys_host h = { 0 };

    h.host_id = number * 1024 + 7;
    memset(h.uuid.b, (int)number, sizeof(h.uuid.b));
    h.slot = 7;
    h.state = state;
    h.enrolled_us = 1700000000000000 + (int64_t)number;
    (void)snprintf(h.host, sizeof(h.host), "%s", name);
    (void)snprintf(h.host_group, sizeof(h.host_group), "web");
    return h;
}

static struct keys_key key(uint64_t number, uint8_t fill, int64_t to)
{
    struct keys_key k;

    memset(&k, 0, sizeof(k));
    memset(k.key_id, fill + 1, 32);
    memset(k.public_key, fill, 32);
    k.host_id = number * 1024 + 7;
    k.valid_from_us = 1;
    k.valid_to_us = to;
    return k;
}

static void fill(struct keys_table *t)
{
    struct keys_host h;
    struct keys_key k;
    bool changed = false;

    keys_table_init(t);
    t->change = 42;
    h = host(1, KEYS_ACTIVE, "alpha");
    assert_int_equal(keys_table_put_host(t, &h, &changed), 0);
    h = host(2, KEYS_RETIRED, "beta");
    assert_int_equal(keys_table_put_host(t, &h, &changed), 0);
    k = key(1, 10, 500);
    assert_int_equal(keys_table_put_key(t, &k, &changed), 0);
    k = key(1, 20, KEYS_FOREVER_US);
    assert_int_equal(keys_table_put_key(t, &k, &changed), 0);
    assert_true(changed);
    t->slots[7] = (struct keys_slot){ 7, 3, 9 };
    t->shards = calloc(1, sizeof(*t->shards));
    assert_non_null(t->shards);
    t->shards_count = 1;
    t->shards[0].shard_id = 3;
    t->shards[0].port = 3307;
    (void)snprintf(t->shards[0].address, sizeof(t->shards[0].address), "db.example");
}

static void same_values_are_no_change_and_new_ones_are(void **state)
{
    struct keys_table t;
    struct keys_host h = host(1, KEYS_ACTIVE, "alpha");
    struct keys_key k = key(1, 20, KEYS_FOREVER_US);
    bool changed = false;

    (void)state;
    fill(&t);
    assert_int_equal(keys_table_put_host(&t, &h, &changed), 0);
    assert_int_equal(keys_table_put_key(&t, &k, &changed), 0);
    assert_false(changed);
    (void)snprintf(h.host, sizeof(h.host), "renamed");
    h.state = KEYS_RETIRED;
    assert_int_equal(keys_table_put_host(&t, &h, &changed), 0);
    assert_true(changed);
    assert_string_equal(keys_table_host(&t, &h.uuid)->host, "renamed");
    changed = false;
    k.valid_to_us = 99;
    assert_int_equal(keys_table_put_key(&t, &k, &changed), 0);
    assert_true(changed);
    assert_int_equal(t.hosts_count, 2);
    assert_int_equal(t.keys_count, 2);
    keys_table_free(&t);
}

static void a_host_id_never_passes_to_another_uuid(void **state)
{
    struct keys_table t;
    struct keys_host h = host(1, KEYS_ACTIVE, "other");
    bool changed = false;

    (void)state;
    fill(&t);
    h.uuid.b[0] ^= 1;
    assert_int_equal(keys_table_put_host(&t, &h, &changed), POFR_EFORMAT);
    h = host(1, KEYS_ACTIVE, "other");
    h.host_id += 1024 * 50;
    assert_int_equal(keys_table_put_host(&t, &h, &changed), POFR_EFORMAT);
    keys_table_free(&t);
}

static void the_file_gives_back_what_was_written(void **state)
{
    struct keys_table t, back;
    struct keys_host h = host(2, KEYS_RETIRED, "beta");
    struct keys_key k = key(1, 10, 500);
    struct buf file = BUF_INIT(65536);
    bool changed = false;

    (void)state;
    fill(&t);
    keys_table_init(&back);
    keys_file_write(&t, &file);
    assert_int_equal(file.err, 0);
    assert_int_equal(keys_file_read(&back, buf_slice(&file)), 0);
    assert_int_equal(back.change, 42);
    assert_int_equal(keys_table_put_host(&back, &h, &changed), 0);
    assert_int_equal(keys_table_put_key(&back, &k, &changed), 0);
    assert_false(changed);
    assert_int_equal(back.slots[7].generation, 9);
    assert_int_equal(back.shards_count, 1);
    assert_string_equal(back.shards[0].address, "db.example");
    keys_table_free(&t);
    keys_table_free(&back);
    buf_free(&file);
}

static void refuse(struct slice mutant, const char *what, size_t at, void *arg)
{
    struct keys_table t;

    (void)what;
    (void)at;
    (void)arg;
    keys_table_init(&t);
    assert_int_not_equal(keys_file_read(&t, mutant), 0);
    keys_table_free(&t);
}

static void a_damaged_file_is_refused_wherever_it_is_damaged(void **state)
{
    struct keys_table t;
    struct buf file = BUF_INIT(65536);

    (void)state;
    fill(&t);
    keys_file_write(&t, &file);
    assert_true(mutate_each(buf_slice(&file), refuse, NULL) > 1000);
    keys_table_free(&t);
    buf_free(&file);
}

static void a_copy_on_disk_serves_while_the_catalog_is_down(void **state)
{
    char path[] = "/tmp/pofr-keys-XXXXXX";
    int fd = mkstemp(path);
    struct keys_table t;
    struct buf file = BUF_INIT(65536);
    struct keys_options o = { .catalog = { .host = "127.0.0.1", .port = 1, .user = "x", .connect_timeout_s = 1 },
                              .file = path };
    struct keys *k = NULL;
    struct keys_host h, wanted = host(1, KEYS_ACTIVE, "alpha");
    struct keys_key found, revoked = key(1, 10, 500);
    struct keys_slot slot;
    struct keys_shard shard;

    (void)state;
    assert_true(fd >= 0);
    fill(&t);
    keys_file_write(&t, &file);
    assert_int_equal(fsio_write(fd, buf_slice(&file), NULL), 0);
    close(fd);
    assert_int_equal(keys_open(&o, &k, NULL), 0);
    assert_true(keys_loaded(k));
    assert_int_equal(keys_age_us(k), -1);
    assert_int_equal(keys_host(k, &wanted.uuid, &h), 0);
    assert_string_equal(h.host, "alpha");
    assert_int_equal(keys_key(k, revoked.public_key, &found, &h), 0);
    assert_int_equal(found.valid_to_us, 500);
    assert_int_equal(keys_slot(k, 7, &slot), 0);
    assert_int_equal(slot.shard_id, 3);
    assert_int_equal(keys_slot(k, 8, &slot), POFR_ENOTFOUND);
    assert_int_equal(keys_shard(k, 3, &shard), 0);
    assert_int_equal(shard.port, 3307);
    assert_int_not_equal(keys_refresh(k, NULL), 0);
    wanted.uuid.b[0] ^= 1;
    assert_int_equal(keys_host(k, &wanted.uuid, NULL), POFR_ENOTFOUND);
    assert_int_not_equal(keys_ask_host(k, &wanted.uuid, NULL), POFR_ENOTFOUND);
    keys_close(k);
    keys_table_free(&t);
    buf_free(&file);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_values_are_no_change_and_new_ones_are),
        cmocka_unit_test(a_host_id_never_passes_to_another_uuid),
        cmocka_unit_test(the_file_gives_back_what_was_written),
        cmocka_unit_test(a_damaged_file_is_refused_wherever_it_is_damaged),
        cmocka_unit_test(a_copy_on_disk_serves_while_the_catalog_is_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
