/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * random_bundle -- writes the bundles of a made-up host: a valid chain through restarts, crashes, lost state
 * and reboots, with keyframes in parts and over several bundles. For tests of whatever reads bundles.
 *
 *   random_bundle [--seed N] [--bundles N] [--size PROCESSES] [--key FILE] [--host UUID] [--kinds] [--calm] [--full] DIR
 *
 * DIR gets 000001.bundle …, allowed_signers, host (its uuid), key (unless --key named one), and truth: what
 * every END record said, and what is open at the end, in the form of rec_print(). --calm: one boot, no run
 * loses its state, so that truth is exactly the rows of a perfect server. --kinds: records of every kind with
 * random fields instead, which mean nothing (and no truth). --full: the spool is nearly full now and then, so that some
 * ENDs come without arguments; truth has them.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/err.h"
#include "common/base/parse_num.h"
#include "common/evidence/bundle.h"
#include "common/record/limits.h"
#include "tests/support/random_record.h"
#include "tests/support/random_statement.h"
#include "tests/support/random_world.h"
#include "tests/support/random_world_dress.h"
#include "tests/support/shell.h"

struct maker {
    const char *dir;
    struct random random; /* apart from the world's */
    struct random strips;
    bool full;
    struct random_world world;
    struct rec_encoder *encoder;
    struct sshkey *key;
    struct statement next; /* of the bundle in the making; sequence of the last one until it is sealed */
    uint64_t totals[STATEMENT_KINDS];
    struct record tick; /* the newest */
    bool first_of_run;
    struct buf truth, block;
};

static void must(int rc, const char *what)
{
    if (rc != 0) {
        (void)fprintf(stderr, "random_bundle: %s: %s\n", what, pofr_err_text(rc));
        exit(EXIT_FAILURE);
    }
}

static void begin_run(struct maker *m)
{
    random_bytes(&m->random, m->next.run, sizeof(m->next.run));
    m->first_of_run = true;
}

/* --- one bundle ----------------------------------------------------------------------------------- */

static void seal(struct maker *m, enum statement_origin origin)
{
    struct statement *s = &m->next;
    char name[32];

    if (rec_encoder_bytes(m->encoder) == 0) {
        return;
    }
    s->sequence++;
    s->origin = s->sequence == 1  ? STATEMENT_FIRST
                : origin          ? origin
                : m->first_of_run ? STATEMENT_RESTART
                                  : STATEMENT_CONTINUES;
    statement_count_records(s, m->encoder, m->totals);
    buf_reset(&m->block);
    must(bundle_seal(s, rec_encoder_payload(m->encoder), m->key, &m->block, s->previous), "seal");
    (void)snprintf(name, sizeof(name), "%06llu.bundle", (unsigned long long)s->sequence);
    shell_write(m->dir, name, buf_slice(&m->block));
    rec_encoder_reset(m->encoder);
    statement_sealed(s);
    m->first_of_run = false;
}

static void put_tick(struct maker *m, const struct record *r)
{
    statement_tick(&m->next, &r->tick, rec_encoder_bytes(m->encoder) == 0);
    m->tick = *r;
    must(rec_put(m->encoder, r), "tick");
}

static int take(const struct record *r, void *ctx)
{
    struct maker *m = ctx;
    struct record stripped;

    if (r->kind == REC_TICK) {
        put_tick(m, r);
        return 0;
    }
    if (statement_is_full(&m->random, r)) {
        seal(m, 0);
        put_tick(m, &m->tick);
    }
    if (r->kind == REC_KEYFRAME) {
        m->next.keyframe = r->keyframe.last ? 2 : 1;
    }
    if (rec_kind_is_entity(r->kind) && r->kind % 4 == REC_END) {
        rec_print(r, &m->truth);
        buf_str(&m->truth, "\n");
    }
    if (m->full && random_world_strips(&m->strips, r, &stripped)) {
        r = &stripped;
    }
    must(rec_put(m->encoder, r), rec_kind_name(r->kind));
    return 0;
}

/* --- lives ---------------------------------------------------------------------------------------- */

/* What happens to the collector between two bundles. */
static void fate(struct maker *m, bool calm)
{
    uint64_t dice = random_below(&m->random, 100);

    if (dice < 6) { /* stopped in good order */
        must(random_world_stop(&m->world, take, m), "stop");
        seal(m, 0);
        random_world_start(&m->world, true);
        begin_run(m);
    } else if (dice < 10 && !calm) { /* crashed; the next start seals what was left */
        seal(m, STATEMENT_RECOVERED);
        random_world_start(&m->world, random_chance(&m->random, 50));
        begin_run(m);
    } else if (dice < 13 && !calm) {
        seal(m, 0);
        random_world_reboot(&m->world);
        random_bytes(&m->random, m->next.boot.b, sizeof(m->next.boot.b));
        begin_run(m);
    } else {
        seal(m, 0);
    }
}

static void live(struct maker *m, uint64_t bundles, bool calm)
{
    while (m->next.sequence < bundles) {
        uint64_t ticks = 1 + random_below(&m->random, 14);

        for (; ticks > 0; ticks--) {
            bool keyframe = random_chance(&m->random, 5);

            must(random_world_tick(&m->world, keyframe, (unsigned)random_below(&m->random, 5), take, m), "world");
        }
        if (m->next.sequence + 1 < bundles) {
            fate(m, calm);
        } else {
            seal(m, 0); /* what was open then is the truth */
        }
    }
    for (size_t i = 0; i < m->world.open_len; i++) {
        rec_print(&m->world.open[i], &m->truth);
        buf_str(&m->truth, "\n");
    }
    must(m->truth.err, "truth");
    shell_write(m->dir, "truth", buf_slice(&m->truth));
}

static void put_any(struct maker *m, unsigned percent)
{
    struct record r;
    uint32_t kind = random_record_kind((unsigned)random_below(&m->random, 39));
    bool sight = rec_kind_is_entity(kind) && kind % 4 == REC_SIGHT;

    if (kind == REC_TICK || kind == REC_KIND(REC_COVERAGE, REC_SIGHT)) {
        return;
    }
    if (sight) { /* a part of its own around it, and the next tick behind */
        unsigned entity = kind / 4;
        struct record k = { .kind = REC_KEYFRAME };

        k.keyframe.entity = entity <= REC_FILE ? REC_PROCESS : entity == REC_SOCKET ? REC_SOCKET : REC_USER;
        k.keyframe.high = entity <= REC_FILE ? UINT32_MAX - 1 : UINT64_MAX;
        k.keyframe.high_cookie = UINT64_MAX;
        k.keyframe.hash_key = slice_str("0123456789abcdef");
        must(rec_put(m->encoder, &k), "keyframe");
        random_record(&m->random, kind, m->tick.tick.boot_us, percent, &k.keyframe, &r);
    } else {
        random_record(&m->random, kind, m->tick.tick.boot_us, percent, NULL, &r);
    }
    must(rec_put(m->encoder, &r), rec_kind_name(kind));
    if (sight || kind == REC_KEYFRAME) {
        r = m->tick;
        r.tick.boot_us += 1 + random_below(&m->random, 1000);
        put_tick(m, &r);
    }
}

static void write_kinds(struct maker *m, uint64_t bundles)
{
    while (m->next.sequence < bundles) {
        struct record r;
        uint64_t records = random_below(&m->random, 300);

        random_record(&m->random, REC_TICK, m->tick.tick.boot_us + 1 + random_below(&m->random, 1000000), 50, NULL, &r);
        put_tick(m, &r);
        for (; records > 0; records--) {
            put_any(m, (unsigned)random_below(&m->random, 101));
        }
        seal(m, 0);
    }
}

/* --- start ---------------------------------------------------------------------------------------- */

static void take_key(struct maker *m, const char *file)
{
    struct buf text = BUF_INIT(65536);

    if (file) {
        shell_read(".", file, &text);
        must(sshkey_read_private(buf_slice(&text), &m->key, NULL), file);
    } else {
        must(sshkey_generate(&m->key), "key");
        must(sshkey_write_private(m->key, "random_bundle", &text), "key");
        shell_write(m->dir, "key", buf_slice(&text));
    }
    buf_free(&text);
}

static void write_identity(struct maker *m)
{
    struct buf text = BUF_INIT(4096);
    char uuid[UUID_TEXT_SIZE];

    buf_printf(&text, "%s namespaces=\"pofr-bundle\" ", uuid_format(&m->next.host, uuid));
    must(sshkey_public_format(sshkey_public(m->key), NULL, &text), "allowed_signers");
    shell_write(m->dir, "allowed_signers", buf_slice(&text));
    buf_reset(&text);
    buf_printf(&text, "%s\n", uuid);
    shell_write(m->dir, "host", buf_slice(&text));
    buf_free(&text);
}

static uint64_t number(const char *text)
{
    uint64_t v = 0;

    must(parse_u64(slice_str(text), UINT64_MAX, &v), text);
    return v;
}

struct choice {
    uint64_t seed, bundles, size;
    const char *key, *host, *dir;
    bool kinds, calm, full;
};

/* False: wrong use. */
static bool read_choice(int argc, char **argv, struct choice *o)
{
    static const struct option options[] = {
        { "seed", required_argument, NULL, 's' },
        { "bundles", required_argument, NULL, 'b' },
        { "size", required_argument, NULL, 'z' },
        { "key", required_argument, NULL, 'k' },
        { "host", required_argument, NULL, 'h' },
        { "kinds", no_argument, NULL, 'a' },
        { "calm", no_argument, NULL, 'c' },
        { "full", no_argument, NULL, 'f' },
        { NULL, 0, NULL, 0 },
    };
    int c;

    *o = (struct choice){ .seed = 1, .bundles = 20, .size = 10 };
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 's':
            o->seed = number(optarg);
            break;
        case 'b':
            o->bundles = number(optarg);
            break;
        case 'z':
            o->size = number(optarg);
            break;
        case 'k':
            o->key = optarg;
            break;
        case 'h':
            o->host = optarg;
            break;
        case 'a':
            o->kinds = true;
            break;
        case 'c':
            o->calm = true;
            break;
        case 'f':
            o->full = true;
            break;
        default:
            return false;
        }
    }
    o->dir = argv[optind];
    return optind + 1 == argc && o->size >= 1 && o->size <= 200;
}

static void begin(struct maker *m, const struct choice *o)
{
    m->dir = o->dir;
    (void)mkdir(m->dir, 0777); /* may be there */
    m->random.state = ~o->seed;
    m->strips.state = o->seed;
    m->full = o->full;
    m->next.version = 1;
    (void)snprintf(m->next.recorder, sizeof(m->next.recorder), "random_bundle/%s", POFR_VERSION);
    random_bytes(&m->random, m->next.host.b, sizeof(m->next.host.b));
    random_bytes(&m->random, m->next.boot.b, sizeof(m->next.boot.b));
    if (o->host) {
        must(uuid_parse(slice_str(o->host), &m->next.host), "--host");
    }
    buf_init(&m->truth, 1U << 30);
    buf_init(&m->block, BUNDLE_MAX);
    random_world_init(&m->world, o->seed, (unsigned)o->size);
    must(rec_encoder_new(&m->encoder), "encoder");
    take_key(m, o->key);
    write_identity(m);
    begin_run(m);
}

int main(int argc, char **argv)
{
    static struct maker m; /* not small */
    struct choice o;

    if (!read_choice(argc, argv, &o)) {
        (void)fputs("usage: random_bundle [--seed N] [--bundles N] [--size 1..200] [--key FILE] [--host UUID] "
                    "[--kinds] [--calm] [--full] DIR\n",
                    stderr);
        return EXIT_FAILURE;
    }
    begin(&m, &o);
    if (o.kinds) {
        write_kinds(&m, o.bundles);
    } else {
        live(&m, o.bundles, o.calm);
    }
    rec_encoder_free(m.encoder);
    sshkey_free(m.key);
    buf_free(&m.truth);
    buf_free(&m.block);
    return EXIT_SUCCESS;
}
