/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/collect/sources.h"

#include <stdlib.h>
#include <string.h>

#include "agent/look/look_host.h"
#include "agent/machine.h"
#include "common/os/clock.h"
#include "common/os/log.h"

#define OTHER_NETNS_LEAST_US 1000
#define OWN_NETNS_APART_US   90000 /* walking the kernel's table costs the same however few sockets there are */

struct sources {
    struct agent_conf options;
    struct look_proc *proc;
    struct events *events;
    struct events_figures before; /* figures at the last tick */
    int64_t probed_us;
    bool drained_whole, lost_before;
    struct look_sock *sock;
    uint64_t socks_seen, socks_over;
    bool socks_incomplete, socks_own;
    bool refused; /* the last look at processes lacked the right to see what some have open */
    const char *socks_mode, *socks_reason;
    struct look_host *host;
    int64_t facts_us;
    bool facts_done;
    bool listed_once;
    int64_t listed_us;
    struct state *state; /* during a call */
    bool first;
};

int sources_new(const struct agent_conf *options, struct sources **out_sources, struct pofr_err *err)
{
    const struct look_host_conf hc = { .root = machine_root(options->container) };
    struct sources *s = calloc(1, sizeof(*s));
    int rc;

    if (s == NULL) {
        return pofr_err_set(err, POFR_ENOMEM, "sources");
    }
    s->options = *options;
    rc = look_host_new(&hc, &s->host, err);
    if (rc != 0) {
        sources_close(s);
        return rc;
    }
    *out_sources = s;
    return 0;
}

int sources_open(struct sources *s, struct pofr_err *err)
{
    struct events_conf ec = { .exec_share = s->options.exec_budget, .no_exec_reader = s->options.exec_budget == 0 };
    struct look_sock_conf sc = { .own_apart_us = OWN_NETNS_APART_US };
    int rc = look_proc_new(NULL, &s->proc, err);

    if (rc == 0) {
        rc = events_open(&ec, &s->events, err);
        s->probed_us = clock_mono_us();
    }
    return rc != 0 ? rc : look_sock_new(&sc, &s->sock, err);
}

void sources_close(struct sources *s)
{
    if (s == NULL) {
        return;
    }
    look_proc_free(s->proc);
    events_close(s->events);
    look_sock_free(s->sock);
    look_host_free(s->host);
    free(s);
}

void sources_options(struct sources *s, const struct agent_conf *options)
{
    s->options = *options;
}

void sources_ids(struct sources *s, const struct rec_process *p)
{
    look_host_uid(s->host, (uint32_t)p->ruid);
    look_host_uid(s->host, (uint32_t)p->euid);
    look_host_gid(s->host, (uint32_t)p->rgid);
    look_host_gid(s->host, (uint32_t)p->egid);
}

/* --- events ------------------------------------------------------------------------------------------------ */

#define PROBE_US INT64_C(60000000)

static void on_event(void *ctx, const struct event *e)
{
    struct sources *s = ctx;

    state_event(s->state, e);
    switch (e->kind) {
    case EVENT_FORK:
        look_proc_hint(s->proc, e->pid, LOOK_HINT_NEW);
        break;
    case EVENT_THREAD:
        look_proc_hint(s->proc, e->pid, LOOK_HINT_THREAD);
        break;
    case EVENT_EXEC:
    case EVENT_IDS:
    case EVENT_SESSION:
    case EVENT_NAME:
        look_proc_hint(s->proc, e->pid, LOOK_HINT_READ);
        break;
    case EVENT_EXIT:
        look_proc_hint(s->proc, e->pid, LOOK_HINT_EXIT);
        break;
    default:
        break;
    }
}

static void on_exec(void *ctx, const struct exec_seen *x)
{
    state_exec(((struct sources *)ctx)->state, x);
}

static const struct events_sink sink = { .event = on_event, .exec = on_exec };

void sources_drain(struct sources *s, struct state *state, struct sources_result *out)
{
    struct pofr_err err = { 0 };
    uint64_t lost = 0;
    int64_t now = clock_mono_us();
    int rc;

    s->state = state;
    rc = events_drain(s->events, &sink, s, &lost, &err);
    if (rc != 0) {
        log_warn("collect", "events_failed", "error=\"%s\"", err.text);
    }
    out->events_lost = lost;
    s->drained_whole = rc == 0 && lost == 0 && events_there(s->events);
    if (lost > 0 || now - s->probed_us >= PROBE_US) {
        events_probe(s->events);
        s->probed_us = now;
    }
}

static void report_events(struct sources *s, struct coverage *coverage, struct sources_result *out)
{
    struct events_figures f;
    const char *reason = events_reason(s->events);

    events_figures(s->events, &f);
    coverage_report(coverage, "events", events_mode(s->events),
                    out->events_lost > 0 ? "the kernel's buffer was full" : reason, f.received - s->before.received,
                    out->events_lost, false);
    out->arguments_lost = f.execs_missed + f.exec_events_lost - s->before.execs_missed - s->before.exec_events_lost;
    coverage_report(coverage, "arguments", events_exec_reader_there(s->events) ? "exec events" : "ticks",
                    !events_exec_reader_there(s->events) ? reason
                    : out->arguments_lost > 0            ? "gone before they were read"
                                                         : NULL,
                    f.execs_read - s->before.execs_read, out->arguments_lost, false);
    s->before = f;
}

/* --- processes and files --------------------------------------------------------------------------------------- */

static void look_processes(struct sources *s, struct coverage *coverage, struct sources_result *out)
{
    struct look_ask ask = { .reconcile_part = s->options.reconcile_part, .now_us = clock_mono_us() };
    struct look_result r = { 0 };
    struct pofr_err err = { 0 };
    bool whole = s->drained_whole && !s->lost_before;
    const char *reason = NULL;
    int rc;

    s->lost_before = !s->drained_whole;
    state_events_apply(s->state, whole);
    ask.told = whole;
    ask.list = !whole || !s->listed_once || ask.now_us - s->listed_us >= s->options.full_list_us;
    ask.full = !s->listed_once;
    state_look_begin(s->state, s->first);
    rc = look_proc_run(s->proc, &ask, &state_look_sink, s->state, &r, &err);
    if (rc != 0) {
        log_warn("collect", "look_failed", "error=\"%s\"", err.text);
        r.complete = false;
    }
    state_look_end(s->state, r.complete);
    if (r.complete && ask.list) {
        s->listed_once = true;
        s->listed_us = ask.now_us;
    }
    out->reconciled = r.reconciled;
    out->blocked = r.blocked;
    out->vanished = r.vanished;
    out->unannounced = r.unannounced;
    out->left_behind = r.left_behind;
    reason = r.over_limit > 0 ? "more processes than the limit"
             : r.blocked > 0  ? "reading a process blocked"
             : !r.complete    ? "the look came to no end"
                              : look_proc_limits(s->proc);
    coverage_report(coverage, "processes", whole ? "gate, list from events" : "gate, list from /proc", reason,
                    r.processes, r.blocked + r.over_limit, !r.complete);
    s->refused = r.refused > 0 || !look_proc_sees_others(s->proc);
    reason = s->refused ? "no right to see the files of other users' processes (CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH)"
             : r.sliced > 0 ? "large tables are read in parts"
                            : NULL;
    coverage_report(coverage, "files", "links", reason, r.files, 0, s->refused);
}

/* --- sockets --------------------------------------------------------------------------------------------------- */

static void on_socket(void *ctx, const struct rec_socket *r)
{
    struct sources *s = ctx;

    state_sock_sink.socket(s->state, r);
}

static void on_netns_end(void *ctx, const struct look_netns_result *r)
{
    struct sources *s = ctx;

    s->socks_own |= r->inode == look_sock_own(s->sock);
    s->socks_seen += r->sockets;
    s->socks_over += r->over_limit + r->doubtful;
    s->socks_incomplete |= r->whole != LOOK_SOCK_ALL;
    s->socks_mode = r->texts & 1u << LOOK_SOCK_TCP ? "text of /proc/PID/net" : s->socks_mode;
    s->socks_reason = r->reason != NULL ? r->reason : s->socks_reason;
    state_sock_sink.netns_end(s->state, r);
}

#define NETNS_LIMIT "more network namespaces than the limit: those beyond are lost, at least a socket each"
#define NETNS_WAIT  "network namespaces wait for their first look: as lost as they are many, at least a socket each"
#define HOLDERS     "no right to see other users' processes: who holds their sockets, which network namespaces they are in"

/* Both must be said, and texts are static: so each is there twice. NULL: nothing but that to say. */
static const char *with_holders(const char *reason)
{
    static const char *const both[][2] = {
        { LOOK_SOCK_REFUSED, HOLDERS "; " LOOK_SOCK_REFUSED },
        { LOOK_SOCK_LIMIT, HOLDERS "; " LOOK_SOCK_LIMIT },
        { LOOK_SOCK_INTERRUPTED, HOLDERS "; " LOOK_SOCK_INTERRUPTED },
        { LOOK_SOCK_TEXT, HOLDERS "; " LOOK_SOCK_TEXT },
        { LOOK_SOCK_SOME_TEXT, HOLDERS "; " LOOK_SOCK_SOME_TEXT },
        { LOOK_SOCK_DOUBTFUL, HOLDERS "; " LOOK_SOCK_DOUBTFUL },
        { NETNS_LIMIT, HOLDERS "; " NETNS_LIMIT },
        { NETNS_WAIT, HOLDERS "; " NETNS_WAIT },
    };

    for (size_t i = 0; reason != NULL && i < pofr_countof(both); i++) {
        if (strcmp(reason, both[i][0]) == 0) {
            return both[i][1];
        }
    }
    return reason != NULL ? reason : HOLDERS;
}

static void look_sockets(struct sources *s, struct coverage *coverage)
{
    static const struct look_sock_sink sock_sink = { .socket = on_socket, .netns_end = on_netns_end };
    struct pofr_err err = { 0 };
    const struct look_netns *list;
    int64_t budget = s->options.tick_us * (int64_t)s->options.socket_budget / 100;
    struct look_sock_unseen unseen;
    size_t count = 0;
    int rc;

    list = state_netns(s->state, &count);
    state_sockets_begin(s->state, s->first);
    rc = look_sock_run(s->sock, list, count, budget < OTHER_NETNS_LEAST_US ? OTHER_NETNS_LEAST_US : budget, &sock_sink,
                       s, &err);
    if (rc != 0) {
        log_warn("collect", "sockets_failed", "error=\"%s\"", err.text);
        s->socks_reason = "the look failed";
    }
    state_sockets_end(s->state);
    if (!s->socks_own && rc == 0) {
        return; /* not due: told with the next one */
    }
    look_sock_unseen(s->sock, &unseen);
    s->socks_over += unseen.over_limit + unseen.waiting; /* each has sockets of the kernel, if no others */
    s->socks_incomplete |= unseen.over_limit + unseen.waiting > 0;
    s->socks_reason = unseen.over_limit > 0 ? NETNS_LIMIT : unseen.waiting > 0 ? NETNS_WAIT : s->socks_reason;
    coverage_report(coverage, "sockets", s->socks_mode ? s->socks_mode : "sock_diag",
                    s->refused ? with_holders(s->socks_reason) : s->socks_reason, s->socks_seen, s->socks_over,
                    s->socks_incomplete || s->refused);
    s->socks_seen = s->socks_over = 0;
    s->socks_incomplete = s->socks_own = false;
    s->socks_mode = s->socks_reason = NULL;
}

/* --- facts ----------------------------------------------------------------------------------------------------- */

static const unsigned entity_of[LOOK_FACTS] = {
    [LOOK_USERS] = REC_USER,        [LOOK_GROUPS] = REC_GROUP,      [LOOK_NETINT] = REC_NETINT,
    [LOOK_NETROUTE] = REC_NETROUTE, [LOOK_HOSTINFO] = REC_HOSTINFO, [LOOK_HWINFO] = REC_HWINFO,
    [LOOK_LOGIN] = REC_LOGIN,
};

static void on_fact(void *ctx, const struct record *r)
{
    struct sources *s = ctx;

    state_fact(s->state, r, s->first);
}

static void look_facts(struct sources *s, struct coverage *coverage)
{
    int64_t now = clock_mono_us();
    const char *reason = NULL;
    uint64_t items = 0, over = 0;

    if (s->facts_done && now - s->facts_us < s->options.facts_us) {
        return;
    }
    for (int what = 0; what < LOOK_FACTS; what++) {
        struct look_fact_result r = { 0 };
        struct pofr_err err = { 0 };
        int rc = look_host_run(s->host, (enum look_fact)what, !s->facts_done, on_fact, s, &r, &err);

        if (rc != 0) {
            log_warn("collect", "facts_failed", "error=\"%s\"", err.text);
            reason = "a look failed";
            continue;
        }
        if (r.changed) {
            state_facts_end(s->state, entity_of[what], r.complete);
        } else {
            state_facts_held(s->state, entity_of[what]);
        }
        reason = r.reason != NULL ? r.reason : reason;
        items += r.items;
        over += r.over_limit;
    }
    coverage_report(coverage, "facts", "files and netlink", reason, items, over, false);
    s->facts_done = true;
    s->facts_us = now;
}

void sources_look(struct sources *s, struct state *state, struct coverage *coverage, bool first,
                  struct sources_result *out)
{
    s->state = state;
    s->first = first;
    look_processes(s, coverage, out);
    report_events(s, coverage, out);
    look_sockets(s, coverage);
    look_facts(s, coverage);
}
