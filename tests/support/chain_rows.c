/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/chain_rows.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/hex.h"
#include "common/record/limits.h"

void chain_case_of(struct chain_case *c, uint64_t number)
{
    static const unsigned fates[] = { CHAIN_RESTARTS, CHAIN_RESTARTS | CHAIN_CRASHES,
                                      CHAIN_RESTARTS | CHAIN_CRASHES | CHAIN_LOSES_STATE, CHAIN_ALL };
    static const size_t reaches[] = { 1, 4, 1000 };

    *c = (struct chain_case){ .seed = number,
                              .bundles = 24,
                              .reach = reaches[number % 3],
                              .size = 3 + (unsigned)(number % 4),
                              .fates = fates[number / 3 % 4] | (number % 2 ? CHAIN_FULL : 0),
                              .drop = (unsigned)(number % 5) * 8 };
}

static const unsigned entities[] = {
#define ENTITY(number, lower, UPPER) number,
    POFR_ENTITIES(ENTITY)
#undef ENTITY
};

static int print_arguments(struct world *w, const struct host_boot *b, const struct stored_row *s, FILE *out)
{
    struct chain_arguments a = { 0 };
    int code = chain_arguments_of(w, b, s, &a);

    (void)fprintf(out, " arguments=");
    for (size_t i = 0; i < a.text.len && code == 0; i++) {
        (void)fprintf(out, "%02x", a.text.data[i]);
    }
    (void)fprintf(out, "/%" PRIu64 "/%" PRIu64, a.cut, a.unreadable);
    return code;
}

static int print_row(struct world *w, const struct host_boot *b, const struct stored_row *s, uint64_t seed, FILE *out)
{
    struct buf id = BUF_INIT(REC_BODY_MAX);
    char uuid[UUID_TEXT_SIZE];
    char *hex;
    const struct row *r = &s->row;
    int code = 0;

    rec_canonical(s->id, REC_CANONICAL_ID, &id);
    hex = malloc(HEX_TEXT_SIZE(id.len));
    if (!hex || id.err) {
        free(hex);
        buf_free(&id);
        return POFR_ENOMEM;
    }
    (void)fprintf(out,
                  "%" PRIu64 " %s/%u %s %s first=%" PRIu64 " last=%" PRIu64 " ended=%" PRId64 " before=%" PRIu64
                  " source=%d inferred=%d unseen=%d hash=%" PRIx64 " names=",
                  seed, uuid_format(&b->boot_id, uuid), b->branch, rec_entity_name(s->id->entity),
                  hex_encode(buf_slice(&id), hex), r->first, r->last, (int64_t)r->ended, r->before, (int)r->source,
                  r->inferred, r->unseen, r->hash);
    for (unsigned i = 0; i < r->names_count; i++) {
        (void)fprintf(out, "%" PRIu64 ",", r->names[i]);
    }
    if (s->id->entity == REC_PROCESS) {
        code = print_arguments(w, b, s, out);
    }
    (void)fputc('\n', out);
    free(hex);
    buf_free(&id);
    return code;
}

int chain_rows_print(struct world *w, const struct host *h, uint64_t seed, FILE *out)
{
    static const struct keyframe_mark all[] = {
        { .entity = REC_PROCESS, .high = UINT64_MAX },
        { .entity = REC_SOCKET, .high = UINT64_MAX, .high_cookie = UINT64_MAX },
        { .entity = REC_USER },
        { .entity = REC_COVERAGE },
    };
    int code = 0;

    for (const struct host_boot *b = h->boots; b; b = b->next) {
        for (size_t e = 0; e < pofr_countof(entities); e++) {
            struct row_list rows = { 0 };

            for (size_t m = 0; m < pofr_countof(all) && code == 0; m++) {
                if (keyframe_of_entity(&all[m], entities[e])) {
                    code = world_range(w, b, entities[e], &all[m], 0, &rows);
                }
            }
            for (size_t i = 0; i < rows.count && code == 0; i++) {
                code = print_row(w, b, &rows.rows[i], seed, out);
            }
        }
    }
    return code;
}
