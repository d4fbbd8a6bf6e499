/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A real collector with and without the right to see what other users' processes have open: does the record say so? */
#include "tests/support/check.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/identity.h"
#include "agent/look/look_proc.h"
#include "collector_rig.h"

#define NO_FILES   "no right to see the files of other users' processes"
#define NO_HOLDERS "no right to see other users' processes: who holds their sockets"

/* Everything that a collector's run of some bundles has recorded, as text; the caller's to free. */
static char *record(struct collector_rig *h)
{
    struct spool_report r;
    char *text = NULL;
    size_t size = 0;
    FILE *dump = open_memstream(&text, &size);
    pid_t pid = collector_rig_start(h, NULL);
    int status;
    bool good;

    assert_non_null(dump);
    collector_rig_wait_bundles(h, 3, 0);
    status = collector_rig_end(pid, SIGTERM);
    good = spool_check_dump(h->spool, sshkey_public(h->key), true, dump, &r);
    assert_int_equal(fclose(dump), 0);
    snapshot_free(r.snapshot);
    if (status != 0 || !good) {
        collector_rig_print_log(h);
        fail_msg("status %x: %s", status, r.problem);
    }
    return text;
}

/* Ends of coverage of that source whose reason has this in it, and that say that the loss may be larger. */
static unsigned said(const char *text, const char *source, const char *reason)
{
    char name[64];
    unsigned count = 0;

    snprintf(name, sizeof(name), " source=\"%s\"", source);
    for (const char *line = text; *line != '\0';) {
        size_t len = strcspn(line, "\n");
        char copy[1024];

        snprintf(copy, sizeof(copy), "%.*s", (int)(len < sizeof(copy) ? len : sizeof(copy) - 1), line);
        count += strstr(copy, "coverage") != NULL && strstr(copy, name) != NULL && strstr(copy, reason) != NULL &&
                 strstr(copy, " lost_at_least=1") != NULL;
        line += len + (line[len] != '\0');
    }
    return count;
}

static void without_rights_files_and_sockets_say_what_was_not_seen(void **state)
{
    struct collector_rig *h = *state;
    char *text;

    if (geteuid() == 0) {
        collector_rig_run_as(h, "games");
    }
    text = record(h);
    assert_true(said(text, "files", NO_FILES) > 0);
    assert_true(said(text, "sockets", NO_HOLDERS) > 0);
    free(text);
}

static void with_all_rights_nothing_is_said(void **state)
{
    struct look_proc *l = NULL;
    bool all;
    char *text;

    assert_int_equal(look_proc_new(NULL, &l, NULL), 0);
    all = look_proc_sees_others(l);
    look_proc_free(l);
    if (!all) {
        print_message("no right to see others' files: not tried\n");
        return;
    }
    text = record(*state);
    assert_non_null(strstr(text, " source=\"files\""));
    assert_non_null(strstr(text, " source=\"sockets\""));
    if (strstr(text, "no right to see") != NULL) {
        fail_msg("%.400s", strstr(text, "no right to see") - 100);
    }
    free(text);
}

#define WITH(f) cmocka_unit_test_setup_teardown(f, collector_rig_setup, collector_rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(without_rights_files_and_sockets_say_what_was_not_seen),
        WITH(with_all_rights_nothing_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
