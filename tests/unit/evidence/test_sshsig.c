/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The other side of every exchange here is the real ssh-keygen. */
#include "common/evidence/sshsig.h"

#include "tests/support/check.h"
#include "tests/support/mutate.h"

#include <stdio.h>

#include "tests/support/shell.h"
#include "tests/support/tmpdir.h"

static const char text[] = "a text to sign\nof two lines\n";

static struct sshkey *read_key(const char *dir, const char *name)
{
    struct buf file = BUF_INIT(16384);
    struct sshkey *k = NULL;
    struct pofr_err err = { 0 };

    shell_read(dir, name, &file);
    if (sshkey_read_private(buf_slice(&file), &k, &err) != 0) {
        fail_msg("%s: %s", name, err.text);
    }
    buf_free(&file);
    return k;
}

static struct sshkey *new_key(void)
{
    struct sshkey *k = NULL;

    assert_int_equal(sshkey_generate(&k), 0);
    return k;
}

static void a_key_of_ssh_keygen_is_read_with_any_comment(void **state)
{
    static const char *const comments[] = { "",      "a",      "ab",      "abc",      "abcd",
                                            "abcde", "abcdef", "abcdefg", "abcdefgh", "a b c@d" };
    const char *dir = *state;

    for (size_t i = 0; i < pofr_countof(comments); i++) { /* every length of padding */
        char script[200];
        struct buf line = BUF_INIT(1000);
        struct sshkey *k;
        uint8_t public_key[32];

        (void)snprintf(script, sizeof(script), "rm -f k k.pub; ssh-keygen -q -t ed25519 -N '' -C '%s' -f k",
                       comments[i]);
        assert_int_equal(shell_run(dir, script), 0);
        k = read_key(dir, "k");
        shell_read(dir, "k.pub", &line);
        assert_int_equal(sshkey_public_parse(buf_slice(&line), public_key), 0);
        assert_memory_equal(sshkey_public(k), public_key, 32);
        sshkey_free(k);
        buf_free(&line);
    }
}

static void ssh_keygen_reads_the_key_that_we_write(void **state)
{
    static const char *const comments[] = { NULL, "", "a", "pofr", "12345", "123456", "1234567" };
    const char *dir = *state;

    for (size_t i = 0; i < pofr_countof(comments); i++) {
        struct sshkey *k = new_key(), *back;
        struct buf file = BUF_INIT(16384), want = BUF_INIT(1000), got = BUF_INIT(1000);

        assert_int_equal(sshkey_write_private(k, comments[i], &file), 0);
        shell_write(dir, "ours", buf_slice(&file));
        assert_int_equal(shell_run(dir, "chmod 600 ours && ssh-keygen -y -f ours >ours.pub"), 0);
        assert_int_equal(sshkey_public_format(sshkey_public(k), comments[i], &want), 0);
        shell_read(dir, "ours.pub", &got);
        assert_true(slice_eq(buf_slice(&want), buf_slice(&got)));
        back = read_key(dir, "ours");
        assert_memory_equal(sshkey_public(k), sshkey_public(back), 32);
        sshkey_free(k);
        sshkey_free(back);
        buf_free(&file);
        buf_free(&want);
        buf_free(&got);
    }
}

static void a_key_that_we_can_not_use_is_refused_with_the_reason(void **state)
{
    static const struct {
        const char *script;
        int code;
    } cases[] = {
        { "ssh-keygen -q -t ed25519 -N 'secret phrase' -C c -f k", POFR_EUNSUPPORTED },
        { "ssh-keygen -q -t ecdsa -N '' -C c -f k", POFR_EUNSUPPORTED },
        { "ssh-keygen -q -t rsa -m PEM -N '' -C c -f k", POFR_EFORMAT },
        { "ssh-keygen -q -t ed25519 -N '' -C c -f k; sed -i '3d' k", POFR_EFORMAT },
        { ": >k", POFR_EFORMAT },
    };
    const char *dir = *state;

    for (size_t i = 0; i < pofr_countof(cases); i++) {
        struct buf file = BUF_INIT(16384);
        struct sshkey *k = NULL;

        assert_int_equal(shell_run(dir, "rm -f k"), 0);
        assert_int_equal(shell_run(dir, cases[i].script), 0);
        shell_read(dir, "k", &file);
        assert_int_equal(sshkey_read_private(buf_slice(&file), &k, NULL), cases[i].code);
        assert_null(k);
        buf_free(&file);
    }
}

static void try_key(struct slice mutant, const char *what, size_t at, void *arg)
{
    struct sshkey *k = NULL;

    (void)what;
    (void)at;
    if (sshkey_read_private(mutant, &k, NULL) == 0) { /* a bit of the comment or of the two check numbers */
        assert_memory_equal(sshkey_public(k), arg, 32);
    }
    sshkey_free(k);
}

static void a_damaged_key_file_never_gives_another_key(void **state)
{
    struct sshkey *k = new_key();
    struct buf file = BUF_INIT(16384);

    (void)state;
    assert_int_equal(sshkey_write_private(k, "c", &file), 0);
    (void)mutate_each(buf_slice(&file), try_key, (void *)sshkey_public(k));
    buf_free(&file);
    sshkey_free(k);
}

static void our_signature_is_the_one_that_ssh_keygen_makes(void **state)
{
    const char *dir = *state;
    struct sshkey *k;
    struct buf theirs = BUF_INIT(4096), ours = BUF_INIT(4096);
    uint8_t signature[64], public_key[32], parsed[64];

    shell_write(dir, "text", slice_str(text));
    assert_int_equal(
        shell_run(dir, "ssh-keygen -q -t ed25519 -N '' -C c -f k && ssh-keygen -q -Y sign -f k -n pofr-bundle text"),
        0);
    shell_read(dir, "text.sig", &theirs);
    k = read_key(dir, "k");
    assert_int_equal(sshsig_sign(k, slice_str(text), signature, &ours), 0);
    assert_true(slice_eq(buf_slice(&ours), buf_slice(&theirs)));
    assert_int_equal(sshsig_parse(buf_slice(&theirs), public_key, parsed), 0);
    assert_memory_equal(public_key, sshkey_public(k), 32);
    assert_memory_equal(parsed, signature, 64);
    assert_int_equal(sshsig_verify(public_key, parsed, slice_str(text)), 0);
    sshkey_free(k);
    buf_free(&theirs);
    buf_free(&ours);
}

static void ssh_keygen_verifies_what_we_sign(void **state)
{
    const char *dir = *state;
    struct sshkey *k = new_key();
    struct buf armored = BUF_INIT(4096), allowed = BUF_INIT(4096);
    uint8_t signature[64];

    assert_int_equal(sshsig_sign(k, slice_str(text), signature, &armored), 0);
    buf_str(&allowed, "ann namespaces=\"pofr-bundle\" ");
    assert_int_equal(sshkey_public_format(sshkey_public(k), NULL, &allowed), 0);
    shell_write(dir, "text", slice_str(text));
    shell_write(dir, "text.sig", buf_slice(&armored));
    shell_write(dir, "allowed", buf_slice(&allowed));
    assert_int_equal(
        shell_run(dir, "ssh-keygen -q -Y verify -f allowed -I ann -n pofr-bundle -s text.sig <text >/dev/null"), 0);
    assert_int_not_equal(shell_run(dir, "echo more >>text; ssh-keygen -q -Y verify -f allowed -I ann -n pofr-bundle -s "
                                        "text.sig <text >/dev/null 2>&1"),
                         0);
    sshkey_free(k);
    buf_free(&armored);
    buf_free(&allowed);
}

static void a_signature_in_another_namespace_hash_or_form_is_refused(void **state)
{
    static const char *const scripts[] = {
        "ssh-keygen -q -Y sign -f k -n other text",
        "ssh-keygen -q -Y sign -f k -n pofr-bundle -O hashalg=sha256 text",
        "ssh-keygen -q -Y sign -f k -n pofr-bundle text && sed -i 's/$/\\r/' text.sig",
        "ssh-keygen -q -Y sign -f k -n pofr-bundle text && sed -i '2{N;s/\\n//}' text.sig",
        "ssh-keygen -q -Y sign -f k -n pofr-bundle text && echo >>text.sig",
        "ssh-keygen -q -t ecdsa -N '' -C c -f e && ssh-keygen -q -Y sign -f e -n pofr-bundle text",
    };
    const char *dir = *state;

    shell_write(dir, "text", slice_str(text));
    assert_int_equal(shell_run(dir, "ssh-keygen -q -t ed25519 -N '' -C c -f k"), 0);
    for (size_t i = 0; i < pofr_countof(scripts); i++) {
        struct buf armored = BUF_INIT(8192);
        uint8_t public_key[32], signature[64];

        assert_int_equal(shell_run(dir, "rm -f text.sig"), 0);
        assert_int_equal(shell_run(dir, scripts[i]), 0);
        shell_read(dir, "text.sig", &armored);
        assert_int_equal(sshsig_parse(buf_slice(&armored), public_key, signature), POFR_EFORMAT);
        buf_free(&armored);
    }
}

struct forged {
    const uint8_t *public_key;
    size_t parsed;
};

static void try_signature(struct slice mutant, const char *what, size_t at, void *arg)
{
    struct forged *f = arg;
    uint8_t public_key[32], signature[64];

    (void)what;
    (void)at;
    if (sshsig_parse(mutant, public_key, signature) == 0) {
        f->parsed++;
        assert_true(memcmp(public_key, f->public_key, 32) != 0 ||
                    sshsig_verify(public_key, signature, slice_str(text)) == POFR_ESIGNATURE);
    }
}

static void no_other_text_of_a_signature_verifies(void **state)
{
    struct sshkey *k = new_key();
    struct buf armored = BUF_INIT(4096);
    struct forged f = { sshkey_public(k), 0 };
    uint8_t signature[64];

    (void)state;
    assert_int_equal(sshsig_sign(k, slice_str(text), signature, &armored), 0);
    (void)mutate_each(buf_slice(&armored), try_signature, &f);
    assert_true(f.parsed > 0); /* some were well-formed, of other bytes */
    sshkey_free(k);
    buf_free(&armored);
}

static void each_bit_of_key_signature_and_text_counts(void **state)
{
    struct sshkey *k = new_key();
    struct buf armored = BUF_INIT(4096);
    uint8_t signature[64], public_key[32], bad[64];

    (void)state;
    assert_int_equal(sshsig_sign(k, slice_str(text), signature, &armored), 0);
    memcpy(public_key, sshkey_public(k), 32);
    assert_int_equal(sshsig_verify(public_key, signature, slice_str(text)), 0);
    for (size_t bit = 0; bit < 512; bit++) {
        memcpy(bad, signature, 64);
        bad[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(sshsig_verify(public_key, bad, slice_str(text)), POFR_ESIGNATURE);
    }
    for (size_t bit = 0; bit < 256; bit++) {
        memcpy(bad, public_key, 32);
        bad[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(sshsig_verify(bad, signature, slice_str(text)), POFR_ESIGNATURE);
    }
    assert_int_equal(sshsig_verify(public_key, signature, slice_str("another text")), POFR_ESIGNATURE);
    assert_int_equal(sshsig_verify(public_key, signature, SLICE_EMPTY), POFR_ESIGNATURE);
    sshkey_free(k);
    buf_free(&armored);
}

static void the_fingerprint_is_the_one_that_ssh_keygen_shows(void **state)
{
    const char *dir = *state;
    struct sshkey *k;
    struct buf shown = BUF_INIT(1000);
    char ours[64];

    assert_int_equal(
        shell_run(dir, "ssh-keygen -q -t ed25519 -N '' -C c -f k && ssh-keygen -l -f k | cut -d' ' -f2 >fp"), 0);
    k = read_key(dir, "k");
    sshkey_fingerprint(sshkey_public(k), ours, sizeof(ours));
    shell_read(dir, "fp", &shown);
    assert_slice_str(slice_trim(buf_slice(&shown)), ours);
    sshkey_free(k);
    buf_free(&shown);
}

static void a_public_line_of_another_kind_is_refused(void **state)
{
    static const char *const lines[] = {
        "",
        "ssh-ed25519",
        "ssh-ed25519 ",
        "ssh-ed25519 AAAA",
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fAA==",
    };
    uint8_t key[32];

    (void)state;
    for (size_t i = 0; i < pofr_countof(lines); i++) {
        assert_int_equal(sshkey_public_parse(slice_str(lines[i]), key), POFR_EFORMAT);
    }
    assert_int_equal(
        sshkey_public_parse(
            slice_str("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f a comment\n"),
            key),
        0);
    for (uint8_t i = 0; i < 32; i++) {
        assert_int_equal(key[i], i);
    }
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, tmpdir_setup, tmpdir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIR(a_key_of_ssh_keygen_is_read_with_any_comment),
        IN_DIR(ssh_keygen_reads_the_key_that_we_write),
        IN_DIR(a_key_that_we_can_not_use_is_refused_with_the_reason),
        cmocka_unit_test(a_damaged_key_file_never_gives_another_key),
        IN_DIR(our_signature_is_the_one_that_ssh_keygen_makes),
        IN_DIR(ssh_keygen_verifies_what_we_sign),
        IN_DIR(a_signature_in_another_namespace_hash_or_form_is_refused),
        cmocka_unit_test(no_other_text_of_a_signature_verifies),
        cmocka_unit_test(each_bit_of_key_signature_and_text_counts),
        IN_DIR(the_fingerprint_is_the_one_that_ssh_keygen_shows),
        cmocka_unit_test(a_public_line_of_another_kind_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
