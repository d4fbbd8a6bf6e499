/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/check.h"

#include <string.h>

#include "common/base/err.h"
#include "common/base/sha256.h"
#include "common/record/limits.h"
#include "gateway/intake.h"
#include "tests/support/mutate.h"
#include "tests/support/session_rig.h"

static struct rig r;
static struct buf block;

static int set_up(void **state)
{
    (void)state;
    rig_init(&r);
    buf_init(&block, BUNDLE_MAX);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buf_free(&block);
    rig_fini(&r);
    return 0;
}

static void expect(uint64_t sequence, uint64_t max, enum message_refuse code, bool readable)
{
    struct intake in;
    uint8_t digest[32];

    assert_int_equal(intake_check(buf_slice(&block), sequence, &r.host, max, r.keys, &in), 0);
    assert_int_equal(in.refuse, code);
    assert_int_equal(in.readable, readable);
    if (code != 0) {
        assert_true(strlen(in.reason) > 0);
    }
    if (readable) {
        assert_memory_equal(in.digest, r.last_digest, 32);
        assert_int_equal(in.boot.b[0], 0x33);
    } else {
        assert_int_equal(sha256(buf_slice(&block), digest), 0);
        assert_memory_equal(in.digest, digest, 32);
    }
}

static void a_good_bundle_passes(void **state)
{
    (void)state;
    rig_seal(&r, &r.host, 3, NULL, r.key, &block);
    expect(3, BUNDLE_MAX, 0, true);
}

static void each_key_that_the_host_ever_had_may_sign(void **state)
{
    (void)state;
    rig_seal(&r, &r.host, 3, NULL, r.old_key, &block);
    expect(3, BUNDLE_MAX, 0, true);
}

static void another_hosts_key_may_not_sign(void **state)
{
    (void)state;
    rig_seal(&r, &r.host, 3, NULL, r.foreign_key, &block);
    expect(3, BUNDLE_MAX, MESSAGE_REFUSE_SIGNATURE, true);
}

static void a_key_that_nobody_knows_may_not_sign(void **state)
{
    struct sshkey *key = NULL;

    (void)state;
    assert_int_equal(sshkey_generate(&key), 0);
    rig_seal(&r, &r.host, 3, NULL, key, &block);
    sshkey_free(key);
    expect(3, BUNDLE_MAX, MESSAGE_REFUSE_SIGNATURE, true);
}

static void a_bundle_of_another_host_is_refused_even_with_that_hosts_key(void **state)
{
    (void)state;
    rig_seal(&r, &r.other_host, 3, NULL, r.foreign_key, &block);
    expect(3, BUNDLE_MAX, MESSAGE_REFUSE_HOST, true);
    buf_reset(&block);
    rig_seal(&r, &r.other_host, 3, NULL, r.key, &block);
    expect(3, BUNDLE_MAX, MESSAGE_REFUSE_HOST, true);
}

static void message_and_statement_must_name_one_sequence(void **state)
{
    (void)state;
    rig_seal(&r, &r.host, 3, NULL, r.key, &block);
    expect(4, BUNDLE_MAX, MESSAGE_REFUSE_STATEMENT, true);
}

static void what_is_too_large_is_not_even_opened(void **state)
{
    (void)state;
    rig_seal(&r, &r.host, 3, NULL, r.key, &block);
    expect(3, block.len - 1, MESSAGE_REFUSE_SIZE, false);
    expect(3, block.len, 0, true);
}

static void an_unknown_version_is_refused_as_a_statement(void **state)
{
    (void)state;
    rig_seal(&r, &r.host, 3, NULL, r.key, &block);
    memcpy(block.data, "pofr-bundle 2", 13);
    expect(3, BUNDLE_MAX, MESSAGE_REFUSE_STATEMENT, false);
}

static void refused(struct slice mutant, const char *what, size_t at, void *arg)
{
    struct intake in;

    (void)arg;
    memset(&in, 0, sizeof(in));
    if (intake_check(mutant, 3, &r.host, BUNDLE_MAX, r.keys, &in) != 0 || in.refuse == 0) {
        fail_msg("%s at %zu was not refused", what, at);
    }
}

static void every_cut_and_every_flipped_bit_is_refused(void **state)
{
    (void)state;
    rig_seal(&r, &r.host, 3, NULL, r.key, &block);
    assert_true(mutate_each(buf_slice(&block), refused, NULL) > 5000);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_good_bundle_passes),
        T(each_key_that_the_host_ever_had_may_sign),
        T(another_hosts_key_may_not_sign),
        T(a_key_that_nobody_knows_may_not_sign),
        T(a_bundle_of_another_host_is_refused_even_with_that_hosts_key),
        T(message_and_statement_must_name_one_sequence),
        T(what_is_too_large_is_not_even_opened),
        T(an_unknown_version_is_refused_as_a_statement),
        T(every_cut_and_every_flipped_bit_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
