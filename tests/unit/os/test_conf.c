/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/os/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/check.h"
#include "tests/support/tmpdir.h"

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/os/fsio.h"

struct sample {
    const char *listen;
    const char *figures;
    const char *spool_dir;
    const char *password_file;
    uint64_t spool_max;
    int64_t tick_us;
    uint32_t workers;
    bool keep;
    int level;
    struct conf_list brokers;
};

static const char *const levels[] = { "error", "info", "debug", NULL };

static int check_sample(const void *values, struct pofr_err *err)
{
    const struct sample *s = values;

    if (s->workers == 13) {
        return pofr_err_set(err, POFR_ECONFIG, "13 workers bring bad luck");
    }
    return 0;
}

static const struct conf_option options[] = {
    CONF_SECTION("spool", "Where bundles wait."),
    CONF_PATH(struct sample, spool_dir, "dir", "/var/lib/pofr/spool", CONF_NONEMPTY, "A local disk: we rely on fsync."),
    CONF_SIZE(struct sample, spool_max, "max", "2G", "16M", "1T", CONF_RELOAD, "Beyond this the newest is refused."),
    CONF_SECTION("capture", "What is looked at."),
    CONF_USEC(struct sample, tick_us, "tick", "300ms", "10ms", "1h", CONF_RELOAD, "Shorter finds more | costs more."),
    CONF_UINT(struct sample, workers, "workers", "2", "1", "64", "threads", 0, "How many."),
    CONF_BOOL(struct sample, keep, "keep", "no", CONF_RELOAD, "Keep what was sent."),
    CONF_ENUM(struct sample, level, "level", "info", levels, CONF_RELOAD, "How much is logged."),
    CONF_SECTION("gateway", "Where it goes."),
    CONF_STRING(struct sample, listen, "listen", NULL, CONF_REQUIRED, "Address and port."),
    CONF_LIST(struct sample, brokers, "brokers", "", CONF_RELOAD | CONF_HOST, "Kafka's first contacts."),
    CONF_STRING(struct sample, figures, "figures", "", CONF_HOST | CONF_PORT, "Empty: none."),
    CONF_SECRET_FILE(struct sample, password_file, "password_file", "", 0, "Of the database.\n.Second -line \\here."),
};
static const struct conf_table table =
    CONF_TABLE("pofr-sample", "/etc/pofr/sample.conf", struct sample, options, check_sample);

#define NEEDED "[gateway]\nlisten = here:1\n"

static struct conf *parse(const char *text)
{
    struct conf *c = NULL;
    struct pofr_err err = { 0 };
    int rc = conf_parse(&table, slice_str(text), "f", &c, &err);

    if (rc != 0) {
        fail_msg("%s", err.text);
    }
    return c;
}

static void assert_refused(const char *text, const char *expected)
{
    struct conf *c = NULL;
    struct pofr_err err = { 0 };

    assert_int_equal(conf_parse(&table, slice_str(text), "f", &c, &err), POFR_ECONFIG);
    assert_string_equal(err.text, expected);
    assert_null(c);
}

static void options_not_given_have_their_default(void **state)
{
    struct conf *c = parse(NEEDED);
    const struct sample *s = conf_values(c);

    (void)state;
    assert_string_equal(s->spool_dir, "/var/lib/pofr/spool");
    assert_true(s->spool_max == UINT64_C(2) << 30);
    assert_int_equal(s->tick_us, 300000);
    assert_int_equal(s->workers, 2);
    assert_false(s->keep);
    assert_int_equal(s->level, 1);
    assert_string_equal(s->listen, "here:1");
    assert_int_equal(s->brokers.count, 0);
    assert_string_equal(s->password_file, "");
    assert_string_equal(conf_path(c), "f");
    conf_free(c);
}

static void every_type_is_read(void **state)
{
    struct conf *c = parse("# a comment\n; another\r\n\n"
                           "  [ spool ]  \n"
                           "dir=/x # not a comment\n"
                           "\tmax\t=\t64M\t\n"
                           "[gateway]\n"
                           "listen = a = b\n"
                           "brokers = k1:1, k2:2 ,k3:3\n"
                           "password_file = credential:db\n"
                           "[capture]\n"
                           "tick = 1h\nworkers = 64\nkeep = on\nlevel = debug\n"
                           "[spool]");
    const struct sample *s = conf_values(c);

    (void)state;
    assert_string_equal(s->spool_dir, "/x # not a comment");
    assert_true(s->spool_max == 64 << 20);
    assert_string_equal(s->listen, "a = b");
    assert_int_equal(s->brokers.count, 3);
    assert_string_equal(s->brokers.items[0], "k1:1");
    assert_string_equal(s->brokers.items[1], "k2:2");
    assert_string_equal(s->brokers.items[2], "k3:3");
    assert_string_equal(s->password_file, "credential:db");
    assert_int_equal(s->tick_us, INT64_C(3600000000));
    assert_int_equal(s->workers, 64);
    assert_true(s->keep);
    assert_int_equal(s->level, 2);
    conf_free(c);
}

static void each_mistake_is_named_with_its_place(void **state)
{
    (void)state;
    assert_refused("[spool]\nmx = 1\n", "f:2: unknown option \"mx\"");
    assert_refused("[spol]\n", "f:1: unknown section [spol]");
    assert_refused("[spool\n", "f:1: a section ends with ]");
    assert_refused("max = 64M\n", "f:1: unknown option \"max\" before the first [section]");
    assert_refused("[capture]\nmax = 64M\n", "f:2: unknown option \"max\"");
    assert_refused("\n[spool]\nmax = 64M\n[gateway]\n[spool]\nmax = 65M\n", "f:6: max was given in line 3 already");
    assert_refused("[spool]\nmax\n", "f:2: neither [section] nor \"name = value\": \"max\"");
    assert_refused("[spool]\nmax = 1M\n", "f:2: max: 1M is not within 16M to 1T");
    assert_refused("[spool]\nmax = 2T\n", "f:2: max: 2T is not within 16M to 1T");
    assert_refused("[spool]\nmax = 99999999T\n", "f:2: max: 99999999T is not within 16M to 1T");
    assert_refused("[spool]\nmax = 64m\n", "f:2: max: \"64m\" is not a size like 512, 64K, 16M or 2G");
    assert_refused("[spool]\nmax = -1\n", "f:2: max: \"-1\" is not a size like 512, 64K, 16M or 2G");
    assert_refused("[spool]\nmax =\n", "f:2: max: \"\" is not a size like 512, 64K, 16M or 2G");
    assert_refused("[spool]\ndir = x/y\n", "f:2: dir: \"x/y\" is not an absolute path");
    assert_refused("[spool]\ndir = credential:x\n", "f:2: dir: \"credential:x\" is not an absolute path");
    assert_refused("[spool]\ndir =\n", "f:2: dir: must not be empty");
    assert_refused("[capture]\ntick = 300\n",
                   "f:2: tick: \"300\" is not a duration like 500us, 300ms, 10s, 5min, 2h or 1d");
    assert_refused("[capture]\ntick = 9999999999d\n", "f:2: tick: 9999999999d is not within 10ms to 1h");
    assert_refused("[capture]\ntick = 0\n", "f:2: tick: 0 is not within 10ms to 1h");
    assert_refused("[capture]\nworkers = 65\n", "f:2: workers: 65 is not within 1 to 64");
    assert_refused("[capture]\nworkers = 2.5\n", "f:2: workers: \"2.5\" is not a whole number");
    assert_refused("[capture]\nkeep = maybe\n", "f:2: keep: \"maybe\" is not yes or no");
    assert_refused("[capture]\nlevel = loud\n", "f:2: level: \"loud\" is none of error, info, debug");
    assert_refused("[gateway]\nbrokers = a,,b\n", "f:2: brokers: an item of the list is empty");
    assert_refused("[gateway]\nbrokers = a,\n", "f:2: brokers: an item of the list is empty");
    assert_refused("[gateway]\nbrokers = a:1, b:99999\n", "f:2: brokers: \"b:99999\" is not host:port");
    assert_refused("[gateway]\nbrokers = a b\n", "f:2: brokers: \"a b\" is not host:port");
    assert_refused("[gateway]\nfigures = 127.0.0.1\n", "f:2: figures: \"127.0.0.1\" is not host:port");
    assert_refused("[gateway]\nfigures = 127.0.0.1:x\n", "f:2: figures: \"127.0.0.1:x\" is not host:port");
    assert_refused("[gateway]\nlisten = a\x01z\n", "f:2: a control byte");
    assert_refused("[gateway]\n", "f: [gateway] listen is required");
    assert_refused(NEEDED "[capture]\nworkers = 13\n", "f: 13 workers bring bad luck");
    assert_refused("[sp\"\xff]\n", "f:1: unknown section [sp\\\"\\xff]");
}

static void limits_of_the_file_hold(void **state)
{
    static char big[CONF_FILE_MAX + 2];
    struct buf text = BUF_INIT(100000);
    struct conf *c = NULL;
    struct pofr_err err = { 0 };

    (void)state;
    memset(big, '\n', sizeof(big));
    assert_int_equal(conf_parse(&table, slice_of(big, CONF_FILE_MAX + 1), "f", &c, &err), POFR_ECONFIG);
    memset(big, 'x', sizeof(big));
    buf_printf(&text, "[gateway]\nlisten = %.*s\n", (int)CONF_VALUE_MAX + 1, big);
    assert_int_equal(conf_parse(&table, buf_slice(&text), "f", &c, &err), POFR_ECONFIG);
    assert_string_equal(err.text, "f:2: listen: longer than 4096 bytes");
    buf_reset(&text);
    buf_str(&text, "[gateway]\nbrokers = x");
    for (unsigned i = 0; i < CONF_LIST_MAX; i++) {
        buf_str(&text, ",x");
    }
    assert_int_equal(conf_parse(&table, buf_slice(&text), "f", &c, &err), POFR_ECONFIG);
    assert_string_equal(err.text, "f:2: brokers: more than 64 items");
    buf_free(&text);
}

static void print_into(void (*print)(const struct conf_table *, FILE *), char *out, size_t size)
{
    FILE *f = fmemopen(out, size, "w");

    print(&table, f);
    (void)fclose(f);
}

static void what_is_printed_is_a_file_that_says_the_same(void **state)
{
    char first[4096], second[4096];
    struct conf *c =
        parse("[gateway]\nlisten = x\nbrokers=a,b\n[capture]\ntick = 1500ms\nkeep=true\n[spool]\nmax=1000M\n");
    struct conf *again;
    FILE *f = fmemopen(first, sizeof(first), "w");

    (void)state;
    conf_print(c, f);
    (void)fclose(f);
    assert_non_null(strstr(first, "# default\ndir = /var/lib/pofr/spool\n"));
    assert_non_null(strstr(first, "# f:5\ntick = 1500ms\n"));
    assert_non_null(strstr(first, "max = 1000M\n"));
    assert_non_null(strstr(first, "brokers = a, b\n"));
    assert_non_null(strstr(first, "keep = yes\n"));
    again = parse(first);
    f = fmemopen(second, sizeof(second), "w");
    conf_print(again, f);
    (void)fclose(f);
    assert_non_null(strstr(second, "\ntick = 1500ms\n"));
    assert_non_null(strstr(second, "\nbrokers = a, b\n"));
    conf_free(again);
    conf_free(c);
}

static void documents_come_from_the_table(void **state)
{
    char text[8192];

    (void)state;
    print_into(conf_print_markdown, text, sizeof(text));
    assert_non_null(strstr(text, "### [spool]\n\nWhere bundles wait.\n"));
    assert_non_null(strstr(text, "| `tick` | 300ms | 10ms to 1h | yes | Shorter finds more \\| costs more. |\n"));
    assert_non_null(strstr(text, "| `workers` | 2 | threads, 1 to 64 | no | How many. |\n"));
    assert_non_null(strstr(text, "| `listen` | required | text | no |"));
    assert_non_null(strstr(text, "| `level` | info | error, info, debug | yes |"));
    print_into(conf_print_man, text, sizeof(text));
    assert_non_null(strstr(text, ".SS [spool]\n"));
    assert_non_null(strstr(text, ".TP\n.B tick\n"));
    assert_non_null(strstr(text, "\n\\&.Second \\-line \\ehere.\n"));
}

static void the_sample_parses_once_what_is_required_is_filled_in(void **state)
{
    char text[8192];
    struct conf *c;
    char *line;

    (void)state;
    print_into(conf_print_sample, text, sizeof(text));
    assert_non_null(strstr(text, "# (10ms to 1h; SIGHUP)\n#tick = 300ms\n"));
    line = strstr(text, "#listen =");
    assert_non_null(line);
    *line = ' ';
    c = parse(text);
    conf_free(c);
}

struct changes {
    char text[500];
};

static void note_change(const char *section, const char *name, const char *before, const char *after, void *arg)
{
    struct changes *c = arg;
    size_t len = strlen(c->text);

    (void)snprintf(c->text + len, sizeof(c->text) - len, "%s.%s %s>%s;", section, name, before, after);
}

static struct conf *load(const char *path, const char *text)
{
    struct conf *c = NULL;

    assert_int_equal(fsio_replace(path, slice_str(text), 0644, NULL), 0);
    assert_int_equal(conf_load(&table, path, &c, NULL), 0);
    return c;
}

static void reload_takes_and_reports_what_may_change(void **state)
{
    char path[TMPDIR_PATH_SIZE];
    struct conf *old = load(tmpdir_join(*state, "c", path), NEEDED "brokers = a\n"), *new = NULL;
    struct changes changes = { "" };

    assert_int_equal(fsio_replace(path,
                                  slice_str(NEEDED "brokers = a,b\n[capture]\ntick = 1000ms\n[spool]\nmax = 2048M\n"),
                                  0644, NULL),
                     0);
    assert_int_equal(conf_reload(old, note_change, &changes, &new, NULL), 0);
    assert_string_equal(changes.text, "capture.tick 300ms>1s;gateway.brokers a>a, b;");
    assert_int_equal(((const struct sample *)conf_values(new))->tick_us, 1000000);
    assert_int_equal(((const struct sample *)conf_values(old))->tick_us, 300000);
    conf_free(old);
    conf_free(new);
}

static void reload_refuses_what_needs_a_restart(void **state)
{
    char path[TMPDIR_PATH_SIZE];
    struct conf *old = load(tmpdir_join(*state, "c", path), NEEDED), *new = NULL;
    struct changes changes = { "" };
    struct pofr_err err = { 0 };

    assert_int_equal(
        fsio_replace(path, slice_str("[gateway]\nlisten = there\n[capture]\nworkers=3\ntick=1s\n"), 0644, NULL), 0);
    assert_int_equal(conf_reload(old, note_change, &changes, &new, &err), POFR_ECONFIG);
    assert_string_equal(err.text, "capture.workers, gateway.listen: a change needs a restart");
    assert_string_equal(changes.text, "");
    assert_null(new);
    assert_int_equal(fsio_replace(path, slice_str("[gateway\n"), 0644, NULL), 0);
    assert_int_equal(conf_reload(old, NULL, NULL, &new, &err), POFR_ECONFIG);
    assert_int_equal(remove(path), 0);
    assert_int_equal(conf_reload(old, NULL, NULL, &new, &err), POFR_ENOTFOUND);
    conf_free(old);
    conf_free(NULL);
}

static void an_instance_stands_in_its_values_and_stays_there(void **state)
{
    static const char text[] = "[gateway]\nlisten = 127.0.0.%i:1%i\nbrokers = %H-%i, 100%\n[capture]\ntick = ";
    char path[TMPDIR_PATH_SIZE], name[256] = "", wanted[300], more[200];
    const struct sample *s;
    struct conf *old = NULL, *new = NULL;
    struct pofr_err err = { 0 };

    assert_int_equal(gethostname(name, sizeof(name) - 1), 0);
    (void)snprintf(wanted, sizeof(wanted), "%s-7", name);
    (void)snprintf(more, sizeof(more), "%s1s\n", text);
    (void)tmpdir_join(*state, "c", path);
    assert_int_equal(fsio_replace(path, slice_str(more), 0644, NULL), 0);
    assert_int_equal(conf_load_instance(&table, path, "7", &old, &err), 0);
    s = conf_values(old);
    assert_string_equal(s->listen, "127.0.0.7:17");
    assert_string_equal(s->brokers.items[0], wanted);
    assert_string_equal(s->brokers.items[1], "100%");
    (void)snprintf(more, sizeof(more), "%s2s\n", text);
    assert_int_equal(fsio_replace(path, slice_str(more), 0644, NULL), 0);
    assert_int_equal(conf_reload(old, NULL, NULL, &new, &err), 0);
    assert_string_equal(((const struct sample *)conf_values(new))->listen, "127.0.0.7:17");
    conf_free(old);
    conf_free(new);
    assert_int_equal(conf_load(&table, path, &new, &err), POFR_ECONFIG);
    assert_non_null(strstr(err.text, "c:2: listen: %i needs --instance, which was not given"));
}

static void an_instance_is_no_path_and_no_sentence(void **state)
{
    static const char *const bad[] = { "", "..", ".a", "a/b", "a b", "a\n", "\xc3\xa4", "%i" };
    struct conf *c = NULL;
    char path[TMPDIR_PATH_SIZE];

    assert_int_equal(fsio_replace(tmpdir_join(*state, "c", path), slice_str(NEEDED), 0644, NULL), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(conf_load_instance(&table, path, bad[i], &c, NULL), POFR_EUSAGE);
    }
    assert_int_equal(conf_load_instance(&table, path, "shard-1.a_B", &c, NULL), 0);
    conf_free(c);
}

static void a_table_with_a_bad_default_is_our_own_mistake(void **state)
{
    static const struct conf_option bad[] = {
        CONF_UINT(struct sample, workers, "workers", "0", "1", "64", "threads", 0, ""),
    };
    static const struct conf_table bad_table = CONF_TABLE("x", "/x", struct sample, bad, NULL);
    struct conf *c = NULL;
    struct pofr_err err = { 0 };

    (void)state;
    assert_int_not_equal(conf_parse(&bad_table, SLICE_EMPTY, "f", &c, &err), 0);
    assert_string_equal(err.text, "default of workers: 0 is not within 1 to 64");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_not_given_have_their_default),
        cmocka_unit_test(every_type_is_read),
        cmocka_unit_test(each_mistake_is_named_with_its_place),
        cmocka_unit_test(limits_of_the_file_hold),
        cmocka_unit_test(what_is_printed_is_a_file_that_says_the_same),
        cmocka_unit_test(documents_come_from_the_table),
        cmocka_unit_test(the_sample_parses_once_what_is_required_is_filled_in),
        cmocka_unit_test_setup_teardown(reload_takes_and_reports_what_may_change, tmpdir_setup, tmpdir_teardown),
        cmocka_unit_test_setup_teardown(reload_refuses_what_needs_a_restart, tmpdir_setup, tmpdir_teardown),
        cmocka_unit_test_setup_teardown(an_instance_stands_in_its_values_and_stays_there, tmpdir_setup,
                                        tmpdir_teardown),
        cmocka_unit_test_setup_teardown(an_instance_is_no_path_and_no_sentence, tmpdir_setup, tmpdir_teardown),
        cmocka_unit_test(a_table_with_a_bad_default_is_our_own_mistake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
