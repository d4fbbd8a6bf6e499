/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/wire/token.h"

#include <stdio.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/sha256.h"
#include "tests/support/check.h"
#include "tests/support/mutate.h"

#define PRINT  "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define SECRET "_-7dzLuqmYh3ZlVEMyIRAP_-7dzLuqmY"

static const char good[] = "pofr1.gw1.example.com:2222,[2001:db8::1]:22,10.0.0.7:2222." PRINT "." SECRET;

static void the_parts_come_out_as_they_went_in(void **state)
{
    struct token t;
    struct buf text = BUF_INIT(TOKEN_TEXT_MAX);

    (void)state;
    assert_int_equal(token_parse(slice_str(good), &t, NULL), 0);
    assert_int_equal(t.gateways_len, 3);
    assert_string_equal(t.gateways[0].host, "gw1.example.com");
    assert_int_equal(t.gateways[0].port, 2222);
    assert_string_equal(t.gateways[1].host, "2001:db8::1");
    assert_int_equal(t.gateways[1].port, 22);
    assert_int_equal(t.fingerprint[0], 0);
    assert_int_equal(t.fingerprint[31], 31);
    assert_string_equal(t.secret, SECRET);
    assert_int_equal(token_format(&t, &text), 0);
    assert_slice_str(buf_slice(&text), good);
    buf_free(&text);
}

static void blanks_and_newlines_around_it_do_not_matter(void **state)
{
    char text[sizeof(good) + 8];
    struct token t;

    (void)state;
    snprintf(text, sizeof(text), "\n %s \r\n", good);
    assert_int_equal(token_parse(slice_str(text), &t, NULL), 0);
}

static void a_secret_is_made_from_random_bytes(void **state)
{
    uint8_t random[TOKEN_SECRET_MAX];
    struct token t = { .gateways_len = 1, .gateways = { { "gw", 2222 } } }, back;

    (void)state;
    for (size_t len = TOKEN_SECRET_MIN; len <= TOKEN_SECRET_MAX; len++) {
        struct buf text = BUF_INIT(TOKEN_TEXT_MAX);

        memset(random, (int)(0xe0 + len), sizeof(random));
        assert_int_equal(token_set_secret(&t, random, len), 0);
        assert_true(token_secret_ok(slice_str(t.secret)));
        assert_int_equal(token_format(&t, &text), 0);
        assert_int_equal(token_parse(buf_slice(&text), &back, NULL), 0);
        assert_string_equal(back.secret, t.secret);
        buf_free(&text);
    }
    assert_int_equal(token_set_secret(&t, random, TOKEN_SECRET_MIN - 1), POFR_EUSAGE);
    assert_int_equal(token_set_secret(&t, random, TOKEN_SECRET_MAX + 1), POFR_EUSAGE);
}

static void what_is_not_a_token_is_refused(void **state)
{
    static const struct {
        const char *text;
        int code;
    } cases[] = {
        { "", POFR_EFORMAT },
        { "pofr1.", POFR_EFORMAT },
        { "pofr1." PRINT "." SECRET, POFR_EFORMAT },
        { "pofr1.." PRINT "." SECRET, POFR_EFORMAT },
        { "pofr2.gw:1." PRINT "." SECRET, POFR_EUNSUPPORTED },
        { "xpofr1.gw:1." PRINT "." SECRET, POFR_EFORMAT },
        { "pofr1.gw." PRINT "." SECRET, POFR_EFORMAT }, /* no port */
        { "pofr1.gw:0." PRINT "." SECRET, POFR_EFORMAT },
        { "pofr1.gw:65536." PRINT "." SECRET, POFR_EFORMAT },
        { "pofr1.gw:022." PRINT "." SECRET, POFR_EFORMAT }, /* a second text for the same token */
        { "pofr1.gw:1,." PRINT "." SECRET, POFR_EFORMAT },
        { "pofr1.gw:1,,gw:2." PRINT "." SECRET, POFR_EFORMAT },
        { "pofr1.g w:1." PRINT "." SECRET, POFR_EFORMAT },
        { "pofr1.g/w:1." PRINT "." SECRET, POFR_EFORMAT },
        { "pofr1.gw:1." PRINT "A." SECRET, POFR_EFORMAT }, /* fingerprint too long */
        { "pofr1.gw:1.AAAA." SECRET, POFR_EFORMAT },
        { "pofr1.gw:1." PRINT ".", POFR_EFORMAT },
        { "pofr1.gw:1." PRINT ".c2hvcnQ", POFR_EFORMAT },               /* secret too short */
        { "pofr1.gw:1." PRINT "." SECRET SECRET SECRET, POFR_EFORMAT }, /* too long */
        { "pofr1.gw:1." PRINT "." SECRET "+", POFR_EFORMAT },           /* not base64url */
        { "pofr1.gw:1." PRINT "." SECRET "=", POFR_EFORMAT },
    };
    struct token t;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(token_parse(slice_str(cases[i].text), &t, NULL), cases[i].code);
    }
}

static void more_gateways_than_fit_are_refused(void **state)
{
    struct buf text = BUF_INIT(8 * TOKEN_TEXT_MAX);
    struct token t;

    (void)state;
    buf_str(&text, "pofr1.");
    for (unsigned i = 0; i <= TOKEN_GATEWAYS_MAX; i++) {
        buf_printf(&text, "%sg%u:1", i ? "," : "", i);
    }
    buf_str(&text, "." PRINT "." SECRET);
    assert_int_equal(token_parse(buf_slice(&text), &t, NULL), POFR_ETOOBIG);
    buf_reset(&text);
    buf_str(&text, "pofr1.");
    while (text.len <= TOKEN_TEXT_MAX) {
        buf_str(&text, "a");
    }
    assert_int_equal(token_parse(buf_slice(&text), &t, NULL), POFR_ETOOBIG);
    buf_free(&text);
}

static void no_error_text_holds_the_secret(void **state)
{
    static const char *const bad[] = {
        "pofr1.gw:x." PRINT "." SECRET,
        "pofr1.gw:1." PRINT "." SECRET "!",
        "pofr1.gw:1.short." SECRET,
        "pofr1." SECRET,
        SECRET,
    };
    struct token t;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct pofr_err err = { 0 };

        assert_true(token_parse(slice_str(bad[i]), &t, &err) < 0);
        assert_true(err.text[0] != '\0');
        assert_null(strstr(err.text, "zLuqmYh3"));
    }
}

static void same_or_refused(struct slice mutant, const char *what, size_t at, void *arg)
{
    struct token t;
    struct buf text = BUF_INIT(TOKEN_TEXT_MAX);

    (void)what;
    (void)at;
    (void)arg;
    if (token_parse(mutant, &t, NULL) == 0) {
        assert_int_equal(token_format(&t, &text), 0);
        assert_true(slice_eq(buf_slice(&text), slice_trim(mutant)));
    }
    buf_free(&text);
}

static void every_cut_and_flip_is_refused_or_another_whole_token(void **state)
{
    (void)state;
    assert_true(mutate_each(slice_str(good), same_or_refused, NULL) > 1000);
}

static void the_hash_is_of_the_secret_text(void **state)
{
    uint8_t hash[32], expected[32];

    (void)state;
    assert_int_equal(token_hash(slice_str(SECRET), hash), 0);
    assert_int_equal(sha256(slice_str(SECRET), expected), 0);
    assert_memory_equal(hash, expected, 32);
    assert_int_equal(token_hash(slice_str("no"), hash), POFR_EFORMAT);
    assert_int_equal(token_hash(slice_str(good), hash), POFR_EFORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_parts_come_out_as_they_went_in),
        cmocka_unit_test(blanks_and_newlines_around_it_do_not_matter),
        cmocka_unit_test(a_secret_is_made_from_random_bytes),
        cmocka_unit_test(what_is_not_a_token_is_refused),
        cmocka_unit_test(more_gateways_than_fit_are_refused),
        cmocka_unit_test(no_error_text_holds_the_secret),
        cmocka_unit_test(every_cut_and_flip_is_refused_or_another_whole_token),
        cmocka_unit_test(the_hash_is_of_the_secret_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
