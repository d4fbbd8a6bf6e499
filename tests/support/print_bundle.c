/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * print_bundle -- bundle files as text, by our own decoder: the statement, then a line per record
 * (rec_print()), then "end" and how many records, unknown kinds and unknown fields there were. For tests.
 *
 *   print_bundle [--payload] FILE...      --payload: the files are bare payloads, not compressed
 *
 * Exit code 1: one of them is not to be believed; a line "refused" says why.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/evidence/bundle.h"
#include "common/record/limits.h"
#include "common/record/record.h"
#include "tests/support/shell.h"

static int print_records(struct slice payload, struct arena *arena)
{
    struct buf line = BUF_INIT(8 * REC_BODY_MAX);
    struct rec_decoder d;
    struct record r;
    int rc;

    rec_decoder_init(&d, payload, arena);
    while ((rc = rec_next(&d, &r)) == 1) {
        buf_reset(&line);
        rec_print(&r, &line);
        (void)printf("%s\n", buf_cstr(&line));
    }
    buf_free(&line);
    if (rc == 0) {
        (void)printf("end records=%llu unknown_kinds=%llu unknown_fields=%llu\n", (unsigned long long)d.records,
                     (unsigned long long)d.unknown_kinds, (unsigned long long)d.unknown_fields);
    }
    return rc;
}

static int print_bundle(struct slice block, struct arena *arena)
{
    struct bundle_view v;
    struct slice payload;
    int rc = bundle_open(block, &v, NULL);

    if (rc == 0) {
        (void)fwrite(v.statement_text.data, 1, v.statement_text.len, stdout);
        rc = bundle_verify(&v, v.public_key);
    }
    if (rc == 0) {
        rc = bundle_payload(&v, arena, &payload);
    }
    return rc ? rc : print_records(payload, arena);
}

static int print_file(const char *file, bool bare)
{
    struct buf block = BUF_INIT(BUNDLE_MAX);
    struct arena arena;
    int rc;

    arena_init(&arena, REC_ARENA_MAX + REC_PAYLOAD_MAX);
    shell_read(file[0] == '/' ? "" : ".", file, &block);
    rc = bare ? print_records(buf_slice(&block), &arena) : print_bundle(buf_slice(&block), &arena);
    if (rc != 0) {
        (void)printf("refused %s\n", pofr_err_name(rc));
    }
    arena_free(&arena);
    buf_free(&block);
    return rc;
}

int main(int argc, char **argv)
{
    bool bare = argc > 1 && strcmp(argv[1], "--payload") == 0;
    int code = EXIT_SUCCESS;

    for (int i = bare ? 2 : 1; i < argc; i++) {
        if (print_file(argv[i], bare) != 0) {
            code = EXIT_FAILURE;
        }
    }
    return code;
}
