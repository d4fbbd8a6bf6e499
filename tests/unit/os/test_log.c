/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/os/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/check.h"
#include "tests/support/fake_clock.h"

#include "common/os/clock.h"

#define MINUTE (60 * CLOCK_US_PER_S)

static char lines[200][LOG_LINE_MAX];
static size_t count;

static void remember(enum log_level level, const char *line, void *arg)
{
    (void)level;
    (void)arg;
    if (count < 200) {
        (void)snprintf(lines[count], LOG_LINE_MAX, "%s", line);
    }
    count++;
}

static int setup(void **state)
{
    (void)state;
    count = 0;
    fake_clock_reset();
    log_set_level(LOG_LEVEL_INFO);
    log_set_sink(remember, NULL);
    return 0;
}

static void a_line_is_level_area_event_context_values(void **state)
{
    (void)state;
    log_warn("spool", "segment_repaired", "file=%s kept=%d", "7", 12);
    log_info("service", "started", "");
    log_with("host=web1 peer=192.0.2.7", LOG_LEVEL_ERROR, "session", "closed", "reason=%s", "limit");
    assert_string_equal(lines[0], "warn spool segment_repaired file=7 kept=12");
    assert_string_equal(lines[1], "info service started");
    assert_string_equal(lines[2], "error session closed host=web1 peer=192.0.2.7 reason=limit");
    assert_int_equal(count, 3);
}

static void levels_above_the_limit_are_silent_and_errno_stays(void **state)
{
    (void)state;
    errno = EAGAIN;
    log_debug("a", "b", "");
    assert_int_equal(count, 0);
    assert_false(log_enabled(LOG_LEVEL_DEBUG));
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("a", "b", "%m");
    log_set_level(LOG_LEVEL_ERROR);
    log_warn("a", "c", "");
    assert_int_equal(count, 1);
    assert_int_equal(errno, EAGAIN);
}

static void no_value_can_begin_another_line(void **state)
{
    (void)state;
    log_info("a", "b", "name=%s", "x\nerror a b\x1b[2J\xff\x7f");
    assert_string_equal(lines[0], "info a b name=x\\x0aerror a b\\x1b[2J\\xff\\x7f");
}

static void a_quoted_value_ends_where_its_quotes_are(void **state)
{
    char text[32];

    (void)state;
    log_info("a", "b", "error=\"%s\" n=%d to=\"%s\"", "no \"x\" y=\"1\"", 7, "");
    assert_string_equal(lines[0], "info a b error=\"no \\\"x\\\" y=\\\"1\\\"\" n=7 to=\"\"");
    log_info("a", "c", "user=\"%s\"", log_escape(slice_str("a\"b\\\n"), text, sizeof(text)));
    assert_string_equal(lines[1], "info a c user=\"a\\\"b\\\\\\x0a\"");
    log_info("a", "d", "plain=%s q=\"%s\" path=\"%s\"", "a\"b", "two\nlines", "end\\");
    assert_string_equal(lines[2], "info a d plain=a\"b q=\"two\\x0alines\" path=\"end\\\\\"");
}

static void a_long_line_is_cut_and_says_so(void **state)
{
    static char big[5000];

    (void)state;
    memset(big, 'x', sizeof(big) - 1);
    log_info("a", "b", "v=%s", big);
    assert_in_range(strlen(lines[0]), LOG_LINE_MAX - 8, LOG_LINE_MAX - 1);
    assert_string_equal(lines[0] + strlen(lines[0]) - 4, "x...");
    memset(big, '\n', sizeof(big) - 1);
    log_info("a", "c", "v=%s", big);
    assert_string_equal(lines[1] + strlen(lines[1]) - 3, "...");
}

static void the_same_event_too_often_becomes_a_count(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        log_warn("a", "storm", "i=%d", i);
    }
    log_warn("a", "other", "");
    assert_int_equal(count, LOG_BURST + 1);
    fake_clock_advance(MINUTE);
    log_info("a", "later", "");
    assert_int_equal(count, LOG_BURST + 3);
    assert_string_equal(lines[LOG_BURST + 1], "warn a storm suppressed=30");
    assert_string_equal(lines[LOG_BURST + 2], "info a later");
    log_warn("a", "storm", "again");
    assert_string_equal(lines[LOG_BURST + 3], "warn a storm again");
}

static void flush_writes_what_was_held_back(void **state)
{
    (void)state;
    for (unsigned i = 0; i < LOG_BURST + 3; i++) {
        log_warn("a", "storm", "");
    }
    log_flush();
    log_flush();
    assert_int_equal(count, LOG_BURST + 1);
    assert_string_equal(lines[LOG_BURST], "warn a storm suppressed=3");
}

static void more_events_than_places_lose_no_count(void **state)
{
    (void)state;
    for (unsigned i = 0; i < LOG_BURST + 5; i++) {
        log_warn("a", "storm", "");
    }
    fake_clock_advance(1);
    for (int i = 0; i < 64; i++) {
        char event[24];

        (void)snprintf(event, sizeof(event), "event%d", i);
        log_info("a", event, "");
    }
    assert_int_equal(count, LOG_BURST + 1 + 64);
    assert_string_equal(lines[LOG_BURST + 63], "warn a storm suppressed=5");
}

static void escaped_text_is_printable_and_fits(void **state)
{
    char out[32];

    (void)state;
    assert_string_equal(log_escape(slice_str("plain text"), out, sizeof(out)), "plain text");
    assert_string_equal(log_escape(slice_of("a\"b\\c\n\0\xe4", 8), out, sizeof(out)), "a\\\"b\\\\c\\x0a\\x00\\xe4");
    for (size_t size = 1; size < 20; size++) {
        (void)log_escape(slice_str("\n\n\n\n\n\n\n\n"), out, size);
        assert_true(strlen(out) < size);
    }
    assert_string_equal(log_escape(slice_str("abcdefghij"), out, 8), "abcd...");
    assert_string_equal(log_escape(slice_str("abcdefg"), out, 8), "abcdefg");
    assert_string_equal(log_escape(slice_str("abcd\n"), out, 8), "abcd...");
    assert_string_equal(log_escape(SLICE_EMPTY, out, 1), "");
}

/* What really goes to stderr: with a time, or with a priority where the journal listens on this very stream. */
static void stderr_gets_time_or_priority(void **state)
{
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);
    char line[256] = "", stream[64];
    struct stat st;

    (void)state;
    log_set_sink(NULL, NULL);
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
    (void)setenv("JOURNAL_STREAM", "1:2", 1);
    log_warn("a", "b", "c=d");
    assert_int_equal(fstat(STDERR_FILENO, &st), 0);
    (void)snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
    (void)setenv("JOURNAL_STREAM", stream, 1);
    log_warn("a", "b", "c=d");
    (void)unsetenv("JOURNAL_STREAM");
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    (void)close(saved);
    rewind(file);
    assert_non_null(fgets(line, sizeof(line), file));
    assert_string_equal(line, "2026-01-01T00:00:00.000000Z warn a b c=d\n");
    assert_non_null(fgets(line, sizeof(line), file));
    assert_string_equal(line, "<4>a b c=d\n");
    assert_null(fgets(line, sizeof(line), file));
    (void)fclose(file);
}

static void *log_often(void *arg)
{
    for (int i = 0; i < 1000; i++) {
        log_warn("thread", arg, "i=%d", i);
    }
    return NULL;
}

static void threads_count_together(void **state)
{
    static char shared[] = "shared";
    pthread_t threads[4];

    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, log_often, shared), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    log_flush();
    assert_int_equal(count, LOG_BURST + 1);
    assert_string_equal(lines[LOG_BURST], "warn thread shared suppressed=3980");
}

#define LOGGED(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOGGED(a_line_is_level_area_event_context_values),
        LOGGED(levels_above_the_limit_are_silent_and_errno_stays),
        LOGGED(no_value_can_begin_another_line),
        LOGGED(a_quoted_value_ends_where_its_quotes_are),
        LOGGED(a_long_line_is_cut_and_says_so),
        LOGGED(the_same_event_too_often_becomes_a_count),
        LOGGED(flush_writes_what_was_held_back),
        LOGGED(more_events_than_places_lose_no_count),
        LOGGED(escaped_text_is_printable_and_fits),
        LOGGED(stderr_gets_time_or_priority),
        LOGGED(threads_count_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
