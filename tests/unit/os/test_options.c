/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/os/options.h"

#include <stdio.h>
#include <unistd.h>

#include "tests/support/check.h"
#include "tests/support/tmpdir.h"

#include "common/base/err.h"
#include "common/os/conf.h"
#include "common/os/fsio.h"

struct sample {
    uint32_t workers;
};

static const struct conf_option conf_options[] = {
    CONF_SECTION("main", "All."),
    CONF_UINT(struct sample, workers, "workers", "2", "1", "64", "threads", 0, "How many."),
};
static const struct conf_table table =
    CONF_TABLE("pofr-sample", "/nonexistent/sample.conf", struct sample, conf_options, NULL);

static const struct options_extra extra[] = { { "state-dir", "DIR", "Where state is kept." },
                                              { "once", NULL, "One round." } };
static const char *const libraries[] = { "libsample 1.2", NULL };
static const struct options_spec spec = {
    "pofr-sample", "Does nothing.", "[word]", &table, extra, pofr_countof(extra), libraries, false,
};

static char said[8192];
static struct options options;
static int code;

/* options_parse() of words (ends with NULL), with what it writes to fd (1 or 2) kept in said. */
static bool parse_with(const struct options_spec *s, int fd, const char *const *words)
{
    static char room[16][TMPDIR_PATH_SIZE]; /* getopt may permute and keep pointers */
    static char *argv[17];
    FILE *file = tmpfile();
    int saved, argc = 0;
    bool go_on;
    size_t n;

    for (; words[argc]; argc++) {
        (void)snprintf(room[argc], sizeof(room[argc]), "%s", words[argc]);
        argv[argc] = room[argc];
    }
    argv[argc] = NULL;
    assert_int_equal(fflush(NULL), 0);
    saved = dup(fd);
    assert_true(dup2(fileno(file), fd) >= 0);
    go_on = options_parse(s, argc, argv, &options, &code);
    assert_int_equal(fflush(NULL), 0);
    assert_true(dup2(saved, fd) >= 0);
    (void)close(saved);
    rewind(file);
    n = fread(said, 1, sizeof(said) - 1, file);
    said[n] = '\0';
    (void)fclose(file);
    return go_on;
}

#define PARSE(fd, ...) parse_with(&spec, fd, (const char *const[]){ "pofr-sample", __VA_ARGS__, NULL })

static char path[TMPDIR_PATH_SIZE];

static int setup(void **state)
{
    int rc = tmpdir_setup(state);

    tmpdir_join(*state, "sample.conf", path);
    return rc ? rc : fsio_replace(path, slice_str("[main]\nworkers = 7\n"), 0644, NULL);
}

static void a_good_command_line_loads_the_configuration(void **state)
{
    (void)state;
    assert_true(PARSE(1, "--config", path, "--state-dir=/x", "collect", "--once"));
    assert_int_equal(((const struct sample *)conf_values(options.conf))->workers, 7);
    assert_string_equal(options.config_path, path);
    assert_string_equal(options.extra[0], "/x");
    assert_null(options.extra[1]); /* after the first word, options are the word's own */
    assert_int_equal(options.first, 4);
    conf_free(options.conf);
}

static void what_works_without_a_configuration_does_not_ask_for_one(void **state)
{
    struct options_spec may = spec;

    (void)state;
    may.conf_may_lack = true;
    assert_true(parse_with(&may, 2, (const char *const[]){ "pofr-sample", "collect", NULL }));
    assert_null(options.conf);
    assert_string_equal(said, "");
    assert_false(parse_with(&may, 2, (const char *const[]){ "pofr-sample", "--check-config", NULL }));
    assert_int_equal(code, POFR_EXIT_USAGE);
    assert_true(parse_with(&may, 2, (const char *const[]){ "pofr-sample", "--config", path, NULL }));
    assert_non_null(options.conf);
    conf_free(options.conf);
    assert_false(PARSE(2, "collect"));
    assert_int_equal(code, POFR_EXIT_USAGE);
}

static void several_share_a_file_by_their_instance(void **state)
{
    (void)state;
    assert_int_equal(fsio_replace(path, slice_str("[main]\nworkers = %i\n"), 0644, NULL), 0);
    assert_true(PARSE(1, "--config", path, "--instance", "12", "collect"));
    assert_int_equal(((const struct sample *)conf_values(options.conf))->workers, 12);
    conf_free(options.conf);
    assert_false(PARSE(2, "--config", path, "--instance", "../12"));
    assert_int_equal(code, POFR_EXIT_USAGE);
    assert_non_null(strstr(said, "--instance takes"));
    assert_false(PARSE(2, "--config", path));
    assert_int_equal(code, POFR_EXIT_USAGE);
    assert_non_null(strstr(said, "sample.conf:2: workers: %i needs --instance"));
    assert_int_equal(fsio_replace(path, slice_str("[main]\nworkers = 7\n"), 0644, NULL), 0);
}

static void help_names_every_option(void **state)
{
    (void)state;
    assert_false(PARSE(1, "--help"));
    assert_int_equal(code, POFR_EXIT_DONE);
    assert_non_null(strstr(said, "Usage: pofr-sample [options] [word]\n"));
    assert_non_null(strstr(said, "--state-dir DIR"));
    assert_non_null(strstr(said, "--once "));
    assert_non_null(strstr(said, "--check-config"));
    assert_non_null(strstr(said, "/nonexistent/sample.conf"));
}

static void version_names_the_libraries(void **state)
{
    (void)state;
    assert_false(PARSE(1, "--version"));
    assert_int_equal(code, POFR_EXIT_DONE);
    assert_string_equal(said, "pofr-sample " POFR_VERSION "\nlibsample 1.2\n");
}

static void check_config_answers_yes_or_no(void **state)
{
    (void)state;
    assert_false(PARSE(1, "--config", path, "--check-config"));
    assert_int_equal(code, POFR_EXIT_DONE);
    assert_null(options.conf);
    assert_int_equal(fsio_replace(path, slice_str("[main]\nworkers = 70\n"), 0644, NULL), 0);
    assert_false(PARSE(2, "--config", path, "--check-config"));
    assert_int_equal(code, POFR_EXIT_NO);
    assert_non_null(strstr(said, "sample.conf:2: workers: 70 is not within 1 to 64\n"));
    assert_false(PARSE(2, "--config", path));
    assert_int_equal(code, POFR_EXIT_USAGE);
    assert_false(PARSE(2, "--check-config"));
    assert_int_equal(code, POFR_EXIT_USAGE);
    assert_non_null(strstr(said, "/nonexistent/sample.conf"));
}

/* Only where there is somebody to ask: in a program with [metrics] listen. */
static void health_asks_who_runs_with_this_configuration(void **state)
{
    struct served {
        const char *listen;
    };
    static const struct conf_option served_options[] = {
        CONF_SECTION("main", "All."),
        CONF_STRING(struct served, listen, "listen", "127.0.0.1:1", 0, "Not this one."),
        CONF_SECTION("metrics", "Health."),
        CONF_STRING(struct served, listen, "listen", "", 0, "Where."),
    };
    static const struct conf_table served_table =
        CONF_TABLE("pofr-sample", "/nonexistent/sample.conf", struct served, served_options, NULL);
    static const struct options_spec served = {
        "pofr-sample", "Serves.", "", &served_table, NULL, 0, libraries, false
    };
    const char *const words[] = { "pofr-sample", "--health", "--config", path, NULL };

    (void)state;
    assert_false(PARSE(2, "--health"));
    assert_int_equal(code, POFR_EXIT_USAGE);
    assert_int_equal(fsio_replace(path, slice_str("[metrics]\nlisten = 127.0.0.1:1\n"), 0644, NULL), 0);
    assert_false(parse_with(&served, 2, words));
    assert_int_equal(code, POFR_EXIT_RETRY); /* nobody listens on port 1 */
    assert_non_null(strstr(said, "127.0.0.1:1: "));
    assert_int_equal(fsio_replace(path, slice_str("[metrics]\nlisten =\n"), 0644, NULL), 0);
    assert_false(parse_with(&served, 2, words));
    assert_int_equal(code, POFR_EXIT_USAGE);
    assert_non_null(strstr(said, "[metrics] listen is empty"));
    assert_null(options.conf);
}

static void print_config_shows_value_and_origin(void **state)
{
    (void)state;
    assert_false(PARSE(1, "--print-config", "--config", path));
    assert_int_equal(code, POFR_EXIT_DONE);
    assert_non_null(strstr(said, "sample.conf:2\nworkers = 7\n"));
}

static void documents_need_no_file(void **state)
{
    (void)state;
    assert_false(PARSE(1, "--config-docs", "markdown"));
    assert_int_equal(code, POFR_EXIT_DONE);
    assert_non_null(strstr(said, "| `workers` |"));
    assert_false(PARSE(1, "--config-docs", "man"));
    assert_non_null(strstr(said, ".B workers"));
    assert_false(PARSE(1, "--config-docs", "sample"));
    assert_non_null(strstr(said, "#workers = 2"));
    assert_false(PARSE(2, "--config-docs", "pdf"));
    assert_int_equal(code, POFR_EXIT_USAGE);
}

static void wrong_use_is_exit_code_2(void **state)
{
    struct options_spec no_words = spec;
    const char *const argv[] = { "pofr-sample", "word", NULL };

    (void)state;
    assert_false(PARSE(2, "--nonsense"));
    assert_int_equal(code, POFR_EXIT_USAGE);
    assert_false(PARSE(2, "--config"));
    assert_int_equal(code, POFR_EXIT_USAGE);
    no_words.synopsis = "";
    assert_false(parse_with(&no_words, 2, argv));
    assert_int_equal(code, POFR_EXIT_USAGE);
    assert_non_null(strstr(said, "\"word\" is not expected"));
}

static void a_program_is_called_by_its_name_wherever_it_lies(void **state)
{
    const char *const argv[] = { "/somewhere/build/pofr-sample", "--nonsense", NULL };

    (void)state;
    assert_false(parse_with(&spec, 2, argv));
    assert_non_null(strstr(said, "pofr-sample: unrecognized option"));
    assert_null(strstr(said, "build"));
}

static void a_program_without_configuration_takes_only_its_own(void **state)
{
    static const struct options_spec bare = { "pofrctl", "Asks.", "noun verb", NULL, NULL, 0, NULL, false };
    const char *const argv[] = { "pofrctl", "host", "list", "--json", NULL };
    const char *const wrong[] = { "pofrctl", "--config", "x", NULL };

    (void)state;
    assert_true(parse_with(&bare, 1, argv));
    assert_int_equal(options.first, 1);
    assert_null(options.conf);
    assert_false(parse_with(&bare, 2, wrong));
}

static void exit_codes_follow_the_class_of_the_error(void **state)
{
    (void)state;
    assert_int_equal(options_exit_of(0), 0);
    assert_int_equal(options_exit_of(POFR_ENOTFOUND), 1);
    assert_int_equal(options_exit_of(POFR_ECONFIG), 2);
    assert_int_equal(options_exit_of(POFR_EUSAGE), 2);
    assert_int_equal(options_exit_of(POFR_ETIMEOUT), 3);
    assert_int_equal(options_exit_of(POFR_EPERMISSION), 4);
    assert_int_equal(options_exit_of(POFR_EREFUSED), 4);
}

#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, setup, tmpdir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_good_command_line_loads_the_configuration),
        IN_FOLDER(what_works_without_a_configuration_does_not_ask_for_one),
        IN_FOLDER(several_share_a_file_by_their_instance),
        cmocka_unit_test(help_names_every_option),
        cmocka_unit_test(version_names_the_libraries),
        IN_FOLDER(check_config_answers_yes_or_no),
        IN_FOLDER(health_asks_who_runs_with_this_configuration),
        IN_FOLDER(print_config_shows_value_and_origin),
        cmocka_unit_test(documents_need_no_file),
        cmocka_unit_test(wrong_use_is_exit_code_2),
        cmocka_unit_test(a_program_is_called_by_its_name_wherever_it_lies),
        cmocka_unit_test(a_program_without_configuration_takes_only_its_own),
        cmocka_unit_test(exit_codes_follow_the_class_of_the_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
