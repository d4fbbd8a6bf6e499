/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/collect/status.h"

#include <string.h>

#include "common/base/compiler.h"
#include "common/base/hex.h"

/* One line per figure: its name in JSON and (with pofr_agent_ in front) in OpenMetrics. */
struct figure {
    const char *name;
    char type; /* c counter, g gauge */
    const char *help;
    uint64_t value;
};

static unsigned figures_of(const struct status_in *in, struct figure *f)
{
    const struct writer_figures *w = &in->writer;
    const struct recording_figures *c = &in->recording;
    const struct status_shipper *s = &in->shipper;
    const struct figure list[] = {
        { "ticks", 'c', "Looks made since the start.", c->ticks },
        { "ticks_skipped", 'c', "Looks that were due and not made.", c->skipped },
        { "overruns", 'c', "Times that looks were skipped.", c->overruns },
        { "look_microseconds", 'g', "The last tick took so long.", c->look_us },
        { "look_max_microseconds", 'g', "The longest tick since the start.", c->look_us_max },
        { "processes", 'g', "Processes held open.", c->state.processes },
        { "files", 'g', "Files held open.", c->state.files },
        { "sockets", 'g', "Sockets held open, once per owner.", c->state.sockets },
        { "facts", 'g', "Facts of the host held.", c->state.facts },
        { "string_bytes", 'g', "Bytes of paths, names and arguments held.", c->state.string_bytes },
        { "records", 'c', "Records made since the start.", c->pack.records },
        { "keyframes", 'c', "Keyframes made since the start.", c->keyframes },
        { "reconciled", 'c', "Processes read again although nothing said that they changed.", c->reconciled },
        { "reconcile_wrong", 'c', "Of these, had changed.", c->state.reconcile_wrong },
        { "blocked_looks", 'c', "Looks at a process given up because they blocked.", c->blocked_looks },
        { "execs_unread", 'c', "Programs of which only the time of their start is known.", c->state.execs_unread },
        { "records_unsound", 'c', "Records that the format did not take.", c->pack.unsound },
        { "lean", 'g', "1: the spool is nearly full: no files, no arguments.", c->lean },
        { "sequence", 'g', "The newest durable bundle.", w->sequence },
        { "acked", 'g', "All bundles up to here are with the gateway.", w->acked },
        { "oldest", 'g', "The oldest bundle in the spool.", w->oldest },
        { "records_total", 'c', "Records signed since the host's first.", w->records_total },
        { "lost_total", 'c', "Records, events, ticks counted as lost since the host's first.", w->lost_total },
        { "spool_bytes", 'g', "Bytes of the spool's segments.", w->bytes },
        { "spool_held_bytes", 'g', "Of these, not acked.", w->bytes_held },
        { "spool_limit_bytes", 'g', "The spool's limit.", w->limit },
        { "queue_bytes", 'g', "Bytes that wait for the disk.", w->queue_bytes },
        { "bundles", 'c', "Bundles signed since the start.", w->bundles },
        { "bundle_bytes", 'c', "Their bytes.", w->bundle_bytes },
        { "refused_full", 'c', "Records refused because the spool was full.", w->refused_full },
        { "lost_writer", 'c', "Records lost because the disk did not keep up.", c->pack.lost_records },
        { "disk_errors", 'c', "Errors of the disk.", w->errors },
        { "disk_failing", 'g', "1: the disk does not take what it should.", w->failing },
        { "journal_missed", 'c', "Ticks that the journal did not take.", w->journal_missed },
        { "acks_unknown", 'c', "Acks of bundles that are not there.", w->acks_unknown },
        { "connected", 'g', "1: a session with a gateway is open.", s->connected },
        { "sent_bytes", 'c', "Bytes sent since the shipper's start.", s->sent_bytes },
        { "bundles_acked", 'c', "Bundles acked since the shipper's start.", s->bundles_acked },
        { "sessions", 'c', "Sessions opened since the shipper's start.", s->sessions },
        { "session_failures", 'c', "Sessions that failed or ended with an error.", s->failures },
    };
    unsigned n = pofr_countof(list);

    for (unsigned i = 0; f != NULL && i < n; i++) {
        f[i] = list[i];
    }
    return n;
}

#define FIGURES_MAX 64

static void put_json(const struct status_in *in, const struct figure *f, unsigned n, struct buf *out)
{
    char host[UUID_TEXT_SIZE], boot[UUID_TEXT_SIZE], run[HEX_TEXT_SIZE(16)];

    buf_printf(out, "{\"host\":\"%s\",\"boot\":\"%s\",\"run\":\"%s\"", uuid_format(&in->host, host),
               uuid_format(&in->boot, boot), hex_encode(slice_of(in->run, sizeof(in->run)), run));
    for (unsigned i = 0; i < n; i++) {
        buf_printf(out, ",\"%s\":%llu", f[i].name, (unsigned long long)f[i].value);
    }
    /* both were escaped when they came: \xNN there is \\xNN in JSON */
    buf_str(out, ",\"gateway\":\"");
    for (const char *c = in->shipper.gateway; *c != '\0'; c++) {
        if ((unsigned char)*c >= ' ' && (unsigned char)*c < 127 && *c != '"' && *c != '\\') {
            buf_u8(out, (uint8_t)*c);
        }
    }
    buf_str(out, "\",\"last_error\":\"");
    for (const char *c = in->shipper.last_error; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\') {
            buf_u8(out, '\\');
        }
        buf_u8(out, (uint8_t)*c);
    }
    buf_str(out, "\"}\n");
}

/* There is a counter "records", since the start: in OpenMetrics both would be records_total. */
static const char *metric_name(const char *name)
{
    return strcmp(name, "records_total") == 0 ? "signed_records" : strcmp(name, "lost_total") == 0 ? "lost" : name;
}

static void put_metrics(const struct figure *f, unsigned n, struct buf *out)
{
    for (unsigned i = 0; i < n; i++) {
        const char *name = metric_name(f[i].name);

        buf_printf(out, "# TYPE pofr_agent_%s %s\n# HELP pofr_agent_%s %s\npofr_agent_%s%s %llu\n", name,
                   f[i].type == 'c' ? "counter" : "gauge", name, f[i].help, name, f[i].type == 'c' ? "_total" : "",
                   (unsigned long long)f[i].value);
    }
    buf_str(out, "# EOF\n");
}

static void put_people(const struct status_in *in, const struct figure *f, unsigned n, struct buf *out)
{
    char host[UUID_TEXT_SIZE];

    buf_printf(out, "%-24s %s\n%-24s %s%s%s\n", "host", uuid_format(&in->host, host), "gateway",
               in->shipper.told ? in->shipper.connected ? "connected " : "not connected " : "no shipper ",
               in->shipper.gateway, "");
    if (in->shipper.last_error[0] != '\0') {
        buf_printf(out, "%-24s %s\n", "last error", in->shipper.last_error);
    }
    if (in->writer.failing) {
        buf_printf(out, "%-24s %s\n", "disk", in->writer.error);
    }
    for (unsigned i = 0; i < n; i++) {
        buf_printf(out, "%-24s %llu\n", f[i].name, (unsigned long long)f[i].value);
    }
}

void status_text(const struct status_in *in, enum ipc_status_form form, struct buf *out)
{
    struct figure f[FIGURES_MAX];
    unsigned n = figures_of(in, f);

    switch (form) {
    case IPC_STATUS_METRICS:
        put_metrics(f, n, out);
        break;
    case IPC_STATUS_PEOPLE:
        put_people(in, f, n, out);
        break;
    default:
        put_json(in, f, n, out);
        break;
    }
}
