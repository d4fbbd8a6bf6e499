/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/wire/message.h"

#include "tests/support/check.h"
#include "tests/support/mutate.h"

#include <stdlib.h>

#include "common/base/err.h"
#include "common/record/limits.h"

/* One of each type, every field set. */
static struct message samples[10];

static int fill_samples(void **state)
{
    struct message *m = samples;

    (void)state;
    m->type = MESSAGE_ENROL;
    m->enrol.version = 1;
    m->enrol.token = slice_str("token text");
    m->enrol.public_key = slice_str("0123456789abcdef0123456789abcdef");
    m->enrol.hostname = slice_str("a-host");
    m->enrol.machine_id = slice_str("aabb");
    m->enrol.os = slice_str("Debian 12");
    m->enrol.kernel = slice_str("6.1.0");
    m->enrol.agent_version = slice_str("0.1.0");
    (++m)->type = MESSAGE_ENROLLED;
    m->enrolled.version = 1;
    memset(m->enrolled.host.b, 0x11, 16);
    m->enrolled.name = slice_str("a-host");
    m->enrolled.approved = true;
    (++m)->type = MESSAGE_HELLO;
    m->hello.version = 1;
    memset(m->hello.host.b, 0x11, 16);
    memset(m->hello.boot.b, 0x22, 16);
    memset(m->hello.run, 0x33, 16);
    m->hello.boot_us = 123456789;
    m->hello.wall_us = 1700000000000000;
    m->hello.oldest = 7;
    m->hello.newest = UINT64_MAX;
    m->hello.agent_version = slice_str("0.1.0");
    (++m)->type = MESSAGE_WELCOME;
    m->welcome.version = 1;
    m->welcome.gateway = slice_str("gw1");
    m->welcome.bundle_max = BUNDLE_MAX;
    m->welcome.window = 8;
    m->welcome.wall_us = 1700000000000001;
    memset(m->welcome.key, 0x44, 32);
    m->welcome.wanted_len = 3;
    m->welcome.wanted[0] = (struct message_range){ 1, 1 };
    m->welcome.wanted[1] = (struct message_range){ 3, 300 };
    m->welcome.wanted[2] = (struct message_range){ 400, UINT64_MAX };
    (++m)->type = MESSAGE_BUNDLE;
    m->bundle.sequence = 9;
    m->bundle.block = slice_str("pofr-bundle 1\n...");
    (++m)->type = MESSAGE_ACK;
    m->ack.sequence = 9;
    memset(m->ack.digest, 0x55, 32);
    (++m)->type = MESSAGE_REFUSE;
    m->refuse.sequence = 9;
    memset(m->refuse.digest, 0x66, 32);
    m->refuse.final = true;
    m->refuse.code = MESSAGE_REFUSE_SIZE;
    m->refuse.reason = slice_str("too large");
    m->refuse.retry_ms = 1500;
    (++m)->type = MESSAGE_SLOW_DOWN;
    m->slow_down.wait_ms = 250;
    (++m)->type = MESSAGE_PING;
    m->ping.token = 77;
    (++m)->type = MESSAGE_PONG;
    m->ping.token = 78;
    return 0;
}

static void frame_of(const struct message *m, struct buf *out)
{
    assert_int_equal(message_put(m, out), 0);
}

static void every_type_comes_back_with_every_field(void **state)
{
    (void)state;
    for (size_t i = 0; i < pofr_countof(samples); i++) {
        struct buf frame = BUF_INIT(MESSAGE_MAX), again = BUF_INIT(MESSAGE_MAX);
        struct message m;
        size_t used = 0;

        frame_of(&samples[i], &frame);
        buf_str(&frame, "the next frame");
        memset(&m, 0xee, sizeof(m));
        assert_int_equal(message_get(buf_slice(&frame), MESSAGE_MAX, &m, &used), 1);
        assert_int_equal(m.type, samples[i].type);
        assert_int_equal(used, frame.len - strlen("the next frame"));
        frame_of(&m, &again); /* equal frames: all fields came through */
        assert_true(slice_eq(buf_slice(&again), slice_sub(buf_slice(&frame), 0, used)));
        buf_free(&frame);
        buf_free(&again);
    }
}

static void hello_is_the_documented_bytes(void **state)
{
    static const uint8_t want[] = { 0,  0, 0,  39, 3,   4,   1,   10,  16,  1,   1,   1,    1,  1,  1,
                                    1,  1, 1,  1,  1,   1,   1,   1,   1,   1,   16,  0xac, 2,  28, 7,
                                    32, 9, 38, 9,  'a', 'g', 'e', 'n', 't', '/', '1', '.',  '0' };
    struct message m = { .type = MESSAGE_HELLO };
    struct buf frame = BUF_INIT(1000);

    (void)state;
    m.hello.version = 1;
    memset(m.hello.host.b, 1, 16);
    m.hello.boot_us = 300;
    m.hello.oldest = 7;
    m.hello.newest = 9;
    m.hello.agent_version = slice_str("agent/1.0");
    frame_of(&m, &frame);
    assert_int_equal(frame.len, sizeof(want));
    assert_memory_equal(frame.data, want, sizeof(want));
    buf_free(&frame);
}

static void empty_fields_are_left_out_and_read_as_zero(void **state)
{
    (void)state;
    for (size_t i = 0; i < pofr_countof(samples); i++) {
        struct message m = { .type = samples[i].type }, back;
        struct buf frame = BUF_INIT(100);
        size_t used = 0;

        frame_of(&m, &frame);
        assert_int_equal(frame.len, MESSAGE_HEADER);
        assert_int_equal(message_get(buf_slice(&frame), 1, &back, &used), 1);
        assert_int_equal(used, MESSAGE_HEADER);
        assert_int_equal(back.hello.version, 0);
        buf_free(&frame);
    }
}

static void part_of_a_frame_asks_for_the_rest(void **state)
{
    struct buf frame = BUF_INIT(10000);
    struct message m;
    size_t used = 0;

    (void)state;
    frame_of(&samples[3], &frame);
    for (size_t len = 0; len < frame.len; len++) {
        assert_int_equal(message_get(slice_sub(buf_slice(&frame), 0, len), MESSAGE_MAX, &m, &used), 0);
        assert_int_equal(used, len < MESSAGE_HEADER ? MESSAGE_HEADER : frame.len);
    }
    buf_free(&frame);
}

static void a_length_over_the_maximum_is_refused_at_once(void **state)
{
    static const uint8_t head[] = { 0, 0, 16, 1, 5 };
    static const uint8_t zero[] = { 0, 0, 0, 0, 5 };
    struct message m;
    size_t used;

    (void)state;
    assert_int_equal(message_get(slice_of(head, 5), 4096, &m, &used), POFR_ETOOBIG);
    assert_int_equal(message_get(slice_of(head, 5), 4097, &m, &used), 0);
    assert_int_equal(message_get(slice_of(zero, 5), 4096, &m, &used), POFR_EFORMAT);
}

/* type and body as hex, without the length */
static int get(const char *hex, struct message *out)
{
    struct buf frame = BUF_INIT(10000);
    size_t used;
    int code;

    buf_u32be(&frame, (uint32_t)strlen(hex) / 2);
    for (; *hex; hex += 2) {
        const char digits[3] = { hex[0], hex[1], 0 };

        buf_u8(&frame, (uint8_t)strtoul(digits, NULL, 16));
    }
    code = message_get(buf_slice(&frame), MESSAGE_MAX, out, &used);
    buf_free(&frame);
    return code;
}

static void what_breaks_the_form_is_refused(void **state)
{
    static const char *const bodies[] = {
        "0900",           /* field number 0 */
        "0904",           /* a field without value */
        "09048000",       /* longer than needed */
        "090501",         /* another wire type */
        "0904010401",     /* a field twice */
        "06080104",       /* a digest as a number */
        "060a03010203",   /* a digest of 3 bytes */
        "060a20",         /* 32 bytes that are not there */
        "040c010401",     /* out of order */
        "041e0101",       /* a wanted range of one number */
        "041e020201",     /* ... that ends before it begins */
        "041e020001",     /* ... that begins at 0 */
        "041e03010101",   /* ... of three numbers */
        "041c01",         /* wanted of another wire type */
        "041e0201011a00", /* out of order after the repeated one */
        "021002",         /* a flag of 2 */
    };
    struct message m;

    (void)state;
    for (size_t i = 0; i < pofr_countof(bodies); i++) {
        if (get(bodies[i], &m) != POFR_EFORMAT) {
            fail_msg("accepted: %s", bodies[i]);
        }
    }
}

static void unknown_fields_are_skipped_and_unknown_types_told_apart(void **state)
{
    struct message m;

    (void)state;
    /* PING 7, then unknown fields 100 to 103 of each wire type */
    assert_int_equal(get("090407"
                         "900305"
                         "950306"
                         "9a0302ffff"
                         "9f030102030405060708",
                         &m),
                     1);
    assert_int_equal(m.ping.token, 7);
    assert_int_equal(get("0b", &m), POFR_EUNSUPPORTED);
    assert_int_equal(get("00", &m), POFR_EUNSUPPORTED);
    assert_int_equal(get("7f", &m), POFR_EUNSUPPORTED);
    assert_int_equal(get("80ffffff", &m), 1);
    assert_int_equal(m.type, MESSAGE_IGNORABLE);
    assert_int_equal(get("ff", &m), 1);
}

static void there_are_limits_to_text_and_to_wanted_ranges(void **state)
{
    static uint8_t bytes[5000];
    struct message m = { .type = MESSAGE_REFUSE };
    struct buf frame = BUF_INIT(20000);
    struct message back;
    size_t used;

    (void)state;
    m.refuse.reason = slice_of(bytes, 4096);
    frame_of(&m, &frame);
    assert_int_equal(message_get(buf_slice(&frame), MESSAGE_MAX, &back, &used), 1);
    buf_reset(&frame);
    m.refuse.reason.len++;
    frame_of(&m, &frame);
    assert_int_equal(message_get(buf_slice(&frame), MESSAGE_MAX, &back, &used), POFR_ETOOBIG);

    buf_reset(&frame);
    memset(&m, 0, sizeof(m));
    m.type = MESSAGE_WELCOME;
    m.welcome.wanted_len = MESSAGE_WANTED_MAX;
    for (unsigned i = 0; i < MESSAGE_WANTED_MAX; i++) {
        m.welcome.wanted[i] = (struct message_range){ i + 1, i + 1 };
    }
    frame_of(&m, &frame);
    assert_int_equal(message_get(buf_slice(&frame), MESSAGE_MAX, &back, &used), 1);
    assert_int_equal(back.welcome.wanted_len, MESSAGE_WANTED_MAX);
    buf_bytes(&frame, "\x1e\x02\x01\x01", 4); /* one more */
    buf_patch_u32be(&frame, 0, (uint32_t)frame.len - 4);
    assert_int_equal(message_get(buf_slice(&frame), MESSAGE_MAX, &back, &used), POFR_EFORMAT);
    m.welcome.wanted_len++;
    buf_reset(&frame);
    assert_int_equal(message_put(&m, &frame), POFR_EUSAGE);
    assert_int_equal(frame.len, 0);
    buf_free(&frame);
}

static void the_largest_bundle_fits_and_a_frame_that_does_not_is_not_put(void **state)
{
    uint8_t *block = calloc(1, MESSAGE_MAX);
    struct message m = { .type = MESSAGE_BUNDLE }, back;
    struct buf frame = BUF_INIT(2 * MESSAGE_MAX);
    size_t used;

    (void)state;
    assert_non_null(block);
    m.bundle.sequence = UINT64_MAX;
    m.bundle.block = slice_of(block, BUNDLE_MAX);
    frame_of(&m, &frame);
    assert_int_equal(message_get(buf_slice(&frame), MESSAGE_MAX, &back, &used), 1);
    assert_int_equal(back.bundle.block.len, BUNDLE_MAX);
    m.bundle.block.len = MESSAGE_MAX;
    buf_reset(&frame);
    assert_int_equal(message_put(&m, &frame), POFR_ETOOBIG);
    assert_int_equal(frame.len, 0);
    buf_free(&frame);
    free(block);
}

static void try_frame(struct slice mutant, const char *what, size_t at, void *arg)
{
    struct message m;
    size_t used = 0;
    int code = message_get(mutant, MESSAGE_MAX, &m, &used);

    (void)at;
    (void)arg;
    if (code == 1) {
        struct buf again = BUF_INIT(MESSAGE_MAX);

        assert_true(used <= mutant.len && what[0] == 'f');
        if (m.type < MESSAGE_IGNORABLE) { /* it can be said again */
            assert_int_equal(message_put(&m, &again), 0);
        }
        buf_free(&again);
    } else {
        assert_true(code == 0 || code == POFR_EFORMAT || code == POFR_ETOOBIG || code == POFR_EUNSUPPORTED);
    }
}

static void no_damage_is_read_beyond_its_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < pofr_countof(samples); i++) {
        struct buf frame = BUF_INIT(10000);

        frame_of(&samples[i], &frame);
        assert_int_equal(mutate_each(buf_slice(&frame), try_frame, NULL), frame.len * 9);
        buf_free(&frame);
    }
}

static void refusals_have_names(void **state)
{
    (void)state;
    assert_string_equal(message_refuse_name(MESSAGE_REFUSE_SIGNATURE), "signature");
    assert_string_equal(message_refuse_name(MESSAGE_REFUSE_ORDER), "order");
    assert_string_equal(message_refuse_name(0), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_comes_back_with_every_field),
        cmocka_unit_test(hello_is_the_documented_bytes),
        cmocka_unit_test(empty_fields_are_left_out_and_read_as_zero),
        cmocka_unit_test(part_of_a_frame_asks_for_the_rest),
        cmocka_unit_test(a_length_over_the_maximum_is_refused_at_once),
        cmocka_unit_test(what_breaks_the_form_is_refused),
        cmocka_unit_test(unknown_fields_are_skipped_and_unknown_types_told_apart),
        cmocka_unit_test(there_are_limits_to_text_and_to_wanted_ranges),
        cmocka_unit_test(the_largest_bundle_fits_and_a_frame_that_does_not_is_not_put),
        cmocka_unit_test(no_damage_is_read_beyond_its_end),
        cmocka_unit_test(refusals_have_names),
    };

    return cmocka_run_group_tests(tests, fill_samples, NULL);
}
