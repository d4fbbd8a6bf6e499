/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/evidence/bundle.h"

#include "tests/support/check.h"
#include "tests/support/mutate.h"

#include <stdio.h>
#include <zstd.h>

#include "common/base/hex.h"
#include "common/base/sha256.h"
#include "common/record/limits.h"
#include "tests/support/random.h"
#include "tests/support/shell.h"
#include "tests/support/tmpdir.h"

static struct statement some_statement(void)
{
    struct statement s = {
        .version = 1, .sequence = 1, .origin = STATEMENT_FIRST, .ticks = 3, .ticks_total = 3, .recorder = "pofr-test/1"
    };

    s.host.b[0] = 7;
    s.from_wall_us = s.to_wall_us = 1700000000000000;
    return s;
}

/* A block that holds payload; the key is the caller's to free. */
static struct sshkey *seal(struct slice payload, struct buf *out, uint8_t digest[32])
{
    struct statement s = some_statement();
    struct sshkey *k = NULL;

    assert_int_equal(sshkey_generate(&k), 0);
    assert_int_equal(bundle_seal(&s, payload, k, out, digest), 0);
    return k;
}

static void opens_verifies_and_unpacks_to_what_was_sealed(void **state)
{
    static uint8_t noise[70000];
    const struct slice payloads[] = { SLICE_EMPTY, slice_str("x"), slice_of(noise, 1000),
                                      slice_of(noise, sizeof(noise)) };
    struct random random = { 1 };

    (void)state;
    for (size_t i = 0; i < sizeof(noise); i++) {
        noise[i] = (uint8_t)random_below(&random, 1 + i % 256);
    }
    for (size_t i = 0; i < pofr_countof(payloads); i++) {
        struct buf block = BUF_INIT(BUNDLE_MAX);
        uint8_t digest[32];
        struct sshkey *k = seal(payloads[i], &block, digest);
        struct bundle_view v;
        struct arena arena;
        struct slice back;

        arena_init(&arena, REC_PAYLOAD_MAX);
        assert_int_equal(bundle_open(buf_slice(&block), &v, NULL), 0);
        assert_memory_equal(v.statement_digest, digest, 32);
        assert_memory_equal(v.public_key, sshkey_public(k), 32);
        assert_int_equal(v.statement.payload_size, payloads[i].len);
        assert_int_equal(bundle_verify(&v, sshkey_public(k)), 0);
        assert_int_equal(bundle_payload(&v, &arena, &back), 0);
        assert_true(slice_eq(back, payloads[i]));
        arena_free(&arena);
        buf_free(&block);
        sshkey_free(k);
    }
}

static void the_largest_payload_goes_through_and_one_more_byte_does_not(void **state)
{
    uint8_t *bytes = calloc(1, REC_PAYLOAD_MAX + 1);
    struct random random = { 2 };
    struct buf block = BUF_INIT(BUNDLE_MAX);
    struct statement s = some_statement();
    struct arena arena;
    struct bundle_view v;
    struct slice back;
    uint8_t digest[32];
    struct sshkey *k;

    (void)state;
    assert_non_null(bytes);
    for (size_t i = 0; i + 8 <= REC_PAYLOAD_MAX; i += 8) { /* noise does not compress */
        uint64_t v8 = random_u64(&random);

        memcpy(bytes + i, &v8, 8);
    }
    arena_init(&arena, REC_PAYLOAD_MAX);
    k = seal(slice_of(bytes, REC_PAYLOAD_MAX), &block, digest);
    assert_true(block.len <= BUNDLE_MAX);
    assert_int_equal(bundle_open(buf_slice(&block), &v, NULL), 0);
    assert_int_equal(bundle_payload(&v, &arena, &back), 0);
    assert_true(slice_eq(back, slice_of(bytes, REC_PAYLOAD_MAX)));
    buf_reset(&block);
    assert_int_equal(bundle_seal(&s, slice_of(bytes, REC_PAYLOAD_MAX + 1), k, &block, digest), POFR_ETOOBIG);
    assert_int_equal(block.len, 0);
    arena_free(&arena);
    buf_free(&block);
    sshkey_free(k);
    free(bytes);
}

static void a_failed_seal_appends_nothing(void **state)
{
    struct statement s = some_statement();
    struct buf block = BUF_INIT(700);
    uint8_t digest[32];
    struct sshkey *k = NULL;

    (void)state;
    assert_int_equal(sshkey_generate(&k), 0);
    buf_str(&block, "before");
    assert_int_equal(bundle_seal(&s, slice_str("payload"), k, &block, digest), POFR_ETOOBIG);
    assert_slice_str(buf_slice(&block), "before");
    buf_reset(&block);
    s.sequence = 0;
    assert_int_equal(bundle_seal(&s, slice_str("payload"), k, &block, digest), POFR_EUSAGE);
    assert_int_equal(block.len, 0);
    sshkey_free(k);
    buf_free(&block);
}

static void sealing_again_gives_the_same_bytes(void **state)
{
    struct statement s = some_statement(), t = some_statement();
    struct buf a = BUF_INIT(BUNDLE_MAX), b = BUF_INIT(BUNDLE_MAX);
    uint8_t digest[32];
    struct sshkey *k = NULL;

    (void)state;
    assert_int_equal(sshkey_generate(&k), 0);
    assert_int_equal(bundle_seal(&s, slice_str("payload payload"), k, &a, digest), 0);
    assert_int_equal(bundle_seal(&t, slice_str("payload payload"), k, &b, digest), 0);
    assert_true(slice_eq(buf_slice(&a), buf_slice(&b)));
    sshkey_free(k);
    buf_free(&a);
    buf_free(&b);
}

/* --- damage --------------------------------------------------------------------------------------- */

struct original {
    const uint8_t *public_key;
    size_t opened;
};

static void try_block(struct slice mutant, const char *what, size_t at, void *arg)
{
    struct original *o = arg;
    struct bundle_view v;
    int code = bundle_open(mutant, &v, NULL);

    (void)at;
    if (what[0] == 'c') {
        assert_true(code == POFR_ETRUNCATED || code == POFR_EFORMAT);
    }
    if (code == 0) {
        o->opened++;
        code = bundle_verify(&v, o->public_key);
        assert_int_equal(code, POFR_ESIGNATURE);
    } else {
        assert_true(code == POFR_ETRUNCATED || code == POFR_EFORMAT || code == POFR_EUNSUPPORTED);
    }
}

static void every_cut_and_every_flipped_bit_is_found(void **state)
{
    struct buf block = BUF_INIT(BUNDLE_MAX);
    uint8_t digest[32];
    struct sshkey *k = seal(slice_str("a small payload, a small payload, a small payload"), &block, digest);
    struct original o = { sshkey_public(k), 0 };

    (void)state;
    assert_int_equal(mutate_each(buf_slice(&block), try_block, &o), block.len * 9);
    assert_true(o.opened > 0); /* some only the signature could tell */
    buf_free(&block);
    sshkey_free(k);
}

static void another_key_does_not_verify(void **state)
{
    struct buf block = BUF_INIT(BUNDLE_MAX);
    uint8_t digest[32];
    struct sshkey *k = seal(slice_str("p"), &block, digest), *other = NULL;
    struct bundle_view v;

    (void)state;
    assert_int_equal(sshkey_generate(&other), 0);
    assert_int_equal(bundle_open(buf_slice(&block), &v, NULL), 0);
    assert_int_equal(bundle_verify(&v, sshkey_public(other)), POFR_ESIGNATURE);
    sshkey_free(k);
    sshkey_free(other);
    buf_free(&block);
}

static void what_is_no_bundle_is_refused(void **state)
{
    struct buf block = BUF_INIT(2 * BUNDLE_MAX);
    struct bundle_view v;
    struct pofr_err err;

    (void)state;
    assert_int_equal(bundle_open(SLICE_EMPTY, &v, NULL), POFR_ETRUNCATED);
    for (int i = 0; i < 3000; i++) {
        buf_str(&block, "noise\n");
    }
    assert_int_equal(bundle_open(buf_slice(&block), &v, &err), POFR_EFORMAT);
    (void)buf_reserve(&block, BUNDLE_MAX + 1);
    memset(block.data, 'x', BUNDLE_MAX + 1);
    assert_int_equal(bundle_open(slice_of(block.data, BUNDLE_MAX + 1), &v, &err), POFR_ETOOBIG);
    buf_free(&block);
}

/* --- payloads that are not what the statement says ------------------------------------------------- */

/* A signed block around any bytes: what a hostile host can make. */
static int payload_code(struct slice packed, uint64_t size)
{
    struct statement s = some_statement();
    struct buf block = BUF_INIT(BUNDLE_MAX);
    struct sshkey *k = NULL;
    uint8_t signature[64];
    struct bundle_view v;
    struct arena arena;
    struct slice back;
    int code;

    arena_init(&arena, REC_PAYLOAD_MAX);
    assert_int_equal(sshkey_generate(&k), 0);
    s.payload_size = size;
    s.payload_bytes = packed.len;
    assert_int_equal(sha256(packed, s.payload_digest), 0);
    assert_int_equal(sha256(slice_of(sshkey_public(k), 32), s.key_id), 0);
    assert_int_equal(statement_format(&s, &block), 0);
    assert_int_equal(sshsig_sign(k, buf_slice(&block), signature, &block), 0);
    buf_append(&block, packed);
    assert_int_equal(bundle_open(buf_slice(&block), &v, NULL), 0);
    assert_int_equal(bundle_verify(&v, sshkey_public(k)), 0);
    code = bundle_payload(&v, &arena, &back);
    arena_free(&arena);
    sshkey_free(k);
    buf_free(&block);
    return code;
}

static void a_payload_is_one_frame_of_the_size_that_the_statement_says(void **state)
{
    static const uint8_t skippable[] = { 0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4 };
    uint8_t packed[512], two[1024];
    size_t n = ZSTD_compress(packed, sizeof(packed), "hello hello hello", 17, 3);

    (void)state;
    assert_false(ZSTD_isError(n));
    assert_int_equal(payload_code(slice_of(packed, n), 17), 0);
    assert_int_equal(payload_code(slice_of(packed, n), 16), POFR_EFORMAT);
    assert_int_equal(payload_code(slice_of(packed, n), 18), POFR_EFORMAT);
    assert_int_equal(payload_code(slice_of(packed, n - 1), 17), POFR_EFORMAT);
    assert_int_equal(payload_code(SLICE_EMPTY, 0), POFR_EFORMAT);
    assert_int_equal(payload_code(slice_of(skippable, sizeof(skippable)), 0), POFR_EFORMAT);
    memcpy(two, packed, n);
    memcpy(two + n, packed, n);
    assert_int_equal(payload_code(slice_of(two, 2 * n), 34), POFR_EFORMAT);
    memcpy(two + n, skippable, sizeof(skippable));
    assert_int_equal(payload_code(slice_of(two, n + sizeof(skippable)), 17), POFR_EFORMAT);
    two[n] = 0;
    assert_int_equal(payload_code(slice_of(two, n + 1), 17), POFR_EFORMAT);
}

static void a_bomb_is_not_unpacked_beyond_the_arena(void **state)
{
    struct statement s = some_statement();
    uint8_t *zeros = calloc(1, REC_PAYLOAD_MAX);
    struct buf block = BUF_INIT(BUNDLE_MAX);
    struct sshkey *k = NULL;
    uint8_t digest[32];
    struct bundle_view v;
    struct arena arena;
    struct slice back;

    (void)state;
    assert_non_null(zeros);
    assert_int_equal(sshkey_generate(&k), 0);
    assert_int_equal(bundle_seal(&s, slice_of(zeros, REC_PAYLOAD_MAX), k, &block, digest), 0);
    assert_true(block.len < 5000);
    assert_int_equal(bundle_open(buf_slice(&block), &v, NULL), 0);
    arena_init(&arena, 1000000);
    assert_int_equal(bundle_payload(&v, &arena, &back), POFR_ETOOBIG);
    arena_free(&arena);
    sshkey_free(k);
    buf_free(&block);
    free(zeros);
}

/* --- the recipe of docs/RECORD.md ------------------------------------------------------------------- */

/* The fenced commands of part 1, as they stand in the document. */
static void read_recipe(struct buf *out)
{
    struct buf doc = BUF_INIT(1U << 20);
    const char *begin, *end, *text;

    shell_read(SOURCE_DIR, "docs/RECORD.md", &doc);
    text = buf_cstr(&doc);
    assert_non_null(text);
    begin = strstr(text, "With stock tools:\n\n```sh\n");
    assert_non_null(begin);
    begin += strlen("With stock tools:\n\n```sh\n");
    end = strstr(begin, "```\n");
    assert_non_null(end);
    buf_bytes(out, begin, (size_t)(end - begin));
    buf_free(&doc);
}

static void stock_tools_take_a_bundle_apart_as_the_document_says(void **state)
{
    static const char payload[] = "the payload\n-----BEGIN SSH SIGNATURE-----\nis not text \xff\x00\x01";
    const char *dir = *state;
    struct buf block = BUF_INIT(BUNDLE_MAX), recipe = BUF_INIT(65536), allowed = BUF_INIT(4096), got = BUF_INIT(65536);
    uint8_t digest[32];
    struct sshkey *k = seal(slice_of(payload, sizeof(payload)), &block, digest);
    struct bundle_view v;
    char uuid[UUID_TEXT_SIZE];
    size_t at;

    assert_int_equal(bundle_open(buf_slice(&block), &v, NULL), 0);
    uuid_format(&v.statement.host, uuid);
    buf_printf(&allowed, "NAME,%s namespaces=\"pofr-bundle\" ", uuid);
    assert_int_equal(sshkey_public_format(sshkey_public(k), NULL, &allowed), 0);
    shell_write(dir, "BUNDLE", buf_slice(&block));
    shell_write(dir, "allowed_signers", buf_slice(&allowed));
    buf_str(&recipe, "set -e\nexec >output\n");
    read_recipe(&recipe);
    assert_int_equal(shell_run(dir, buf_cstr(&recipe)), 0);

    shell_read(dir, "payload", &got);
    assert_true(slice_eq(buf_slice(&got), slice_of(payload, sizeof(payload))));
    buf_reset(&got);
    shell_read(dir, "statement", &got);
    assert_true(slice_eq(buf_slice(&got), v.statement_text));
    buf_reset(&got);
    shell_read(dir, "statement.sig", &got);
    assert_true(slice_eq(buf_slice(&got), v.signature_text));
    buf_reset(&got);
    shell_read(dir, "output", &got);
    assert_non_null(strstr(buf_cstr(&got), "Good \"pofr-bundle\" signature for 07000000-"));
    assert_non_null(strstr(buf_cstr(&got), "payload.zst: OK"));

    at = v.statement_text.len - strlen("1\nend\n"); /* and with a byte of the statement changed, ssh-keygen says no */
    assert_int_equal(block.data[at], '1');
    block.data[at] = '2';
    shell_write(dir, "BUNDLE", buf_slice(&block));
    buf_str(&recipe, "\n");
    assert_int_not_equal(shell_run(dir, buf_cstr(&recipe)), 0);
    sshkey_free(k);
    buf_free(&block);
    buf_free(&recipe);
    buf_free(&allowed);
    buf_free(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_verifies_and_unpacks_to_what_was_sealed),
        cmocka_unit_test(the_largest_payload_goes_through_and_one_more_byte_does_not),
        cmocka_unit_test(a_failed_seal_appends_nothing),
        cmocka_unit_test(sealing_again_gives_the_same_bytes),
        cmocka_unit_test(every_cut_and_every_flipped_bit_is_found),
        cmocka_unit_test(another_key_does_not_verify),
        cmocka_unit_test(what_is_no_bundle_is_refused),
        cmocka_unit_test(a_payload_is_one_frame_of_the_size_that_the_statement_says),
        cmocka_unit_test(a_bomb_is_not_unpacked_beyond_the_arena),
        cmocka_unit_test_setup_teardown(stock_tools_take_a_bundle_apart_as_the_document_says, tmpdir_setup,
                                        tmpdir_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
