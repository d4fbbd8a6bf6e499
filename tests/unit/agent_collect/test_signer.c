/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/check.h"

#include <stdlib.h>
#include <string.h>

#include "agent/collect/signer.h"
#include "common/base/buf.h"
#include "common/evidence/sshsig.h"

struct parts {
    size_t session_len;
    uint8_t type;
    const char *user, *service, *method;
    uint8_t has_signature;
    const char *algorithm;
    const uint8_t *key;
};

static struct uuid host;
static const uint8_t own_key[32] = { 7, 7, 7 };
static const uint8_t other_key[32] = { 8 };
static char own_name[UUID_TEXT_SIZE];

static int setup(void **state)
{
    (void)state;
    assert_int_equal(uuid_random(&host), 0);
    (void)uuid_format(&host, own_name);
    return 0;
}

static struct parts right(void)
{
    return (struct parts){ 32, 50, own_name, "ssh-connection", "publickey", 1, "ssh-ed25519", own_key };
}

static void build(const struct parts *p, struct buf *out)
{
    uint8_t session[128] = { 1, 2, 3 }, blob[51];

    buf_reset(out);
    sshkey_public_blob(p->key, blob);
    buf_str32be(out, slice_of(session, p->session_len));
    buf_u8(out, p->type);
    buf_str32be(out, slice_str(p->user));
    buf_str32be(out, slice_str(p->service));
    buf_str32be(out, slice_str(p->method));
    buf_u8(out, p->has_signature);
    buf_str32be(out, slice_str(p->algorithm));
    buf_str32be(out, slice_of(blob, sizeof(blob)));
}

static bool accepts(const struct parts *p)
{
    struct buf b = BUF_INIT(4096);
    bool yes;

    build(p, &b);
    yes = signer_accepts(buf_slice(&b), &host, own_key);
    buf_free(&b);
    return yes;
}

static void the_login_of_this_host_is_signed(void **state)
{
    struct parts p = right();

    (void)state;
    assert_true(accepts(&p));
    p.session_len = 64;
    assert_true(accepts(&p));
}

static void nothing_but_that_is_signed(void **state)
{
    struct parts wrong[] = { right(), right(), right(), right(), right(), right(), right(), right(), right(), right() };

    (void)state;
    wrong[0].session_len = 19;
    wrong[1].session_len = 65;
    wrong[2].type = 51;
    wrong[3].user = "root";
    wrong[4].user = "enrol";
    wrong[5].service = "ssh-userauth";
    wrong[6].method = "hostbased";
    wrong[7].has_signature = 0;
    wrong[8].algorithm = "ssh-rsa";
    wrong[9].key = other_key;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (accepts(&wrong[i])) {
            fail_msg("case %zu", i);
        }
    }
}

static void no_cut_and_no_flipped_bit_passes_but_in_the_session_id(void **state)
{
    struct parts p = right();
    struct buf b = BUF_INIT(4096);

    (void)state;
    build(&p, &b);
    for (size_t cut = 0; cut < b.len; cut++) {
        uint8_t *copy = malloc(cut + 1);

        assert_non_null(copy);
        memcpy(copy, b.data, cut);
        assert_false(signer_accepts(slice_of(copy, cut), &host, own_key));
        free(copy);
    }
    for (size_t bit = 0; bit < b.len * 8; bit++) {
        size_t byte = bit / 8;

        b.data[byte] ^= (uint8_t)(1u << (bit % 8));
        assert_int_equal(signer_accepts(buf_slice(&b), &host, own_key), byte >= 4 && byte < 4 + 32);
        b.data[byte] ^= (uint8_t)(1u << (bit % 8));
    }
    buf_u8(&b, 0);
    assert_false(signer_accepts(buf_slice(&b), &host, own_key));
    buf_free(&b);
}

static void a_bundles_text_is_not_signed(void **state)
{
    (void)state;
    assert_false(signer_accepts(slice_str("pofr-bundle 1\nhost x\n"), &host, own_key));
    assert_false(signer_accepts(SLICE_EMPTY, &host, own_key));
}

static void it_signs_once_a_second(void **state)
{
    struct signer_pace p = { 0 };

    (void)state;
    assert_int_equal(signer_wait_ms(&p, 5000000), 0);
    assert_int_equal(signer_wait_ms(&p, 5000001), 1000);
    assert_int_equal(signer_wait_ms(&p, 5900000), 100);
    assert_int_equal(signer_wait_ms(&p, 6000000), 0);
    assert_int_equal(signer_wait_ms(&p, 6999999), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_login_of_this_host_is_signed),
        cmocka_unit_test(nothing_but_that_is_signed),
        cmocka_unit_test(no_cut_and_no_flipped_bit_passes_but_in_the_session_id),
        cmocka_unit_test(a_bundles_text_is_not_signed),
        cmocka_unit_test(it_signs_once_a_second),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
