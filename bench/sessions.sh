#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sessions.sh -- what a new session and a streamed bundle cost the gateway, with Kafka's ack behind each (see bench/run)
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/../deploy/lib/base.sh"
cd -- "$POFR_TREE"

WORK=$(mktemp -d "${TMPDIR:-/var/tmp}/pofr-b.XXXXXX")
chmod 711 -- "$WORK"
export POFR_STATE=$WORK/c POFR_BUILD=$POFR_TREE/build/release POFR_NO_INSTALL=1 POFR_NO_BUILD=1
SECONDS_EACH=${POFR_BENCH_SECONDS:-10}
trap 'deploy/quickstart destroy >&2 || true; rm -rf -- "$WORK"' EXIT

ctl() { "$POFR_BUILD/ctl/pofrctl" --config "$POFR_STATE/etc/ctl.conf" "$@" >&2; }
part() { deploy/quickstart parts | awk -v part="$1" -v column="$2" '$1 == part { print $column }'; }
cpu_ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }

# measure MODE HOSTS CONCURRENT BYTES -> cycles seconds p50 p99 failures client_cpu_us gateway_cpu_ms
measure() {
    local pid before after result
    ctl token create --output "$WORK/token" --uses "$2"
    pid=$(part gateway 2)
    # Enrolling costs the gateway, too: it is measured alone, for a second, and taken off.
    before=$(cpu_ticks "$pid")
    "$POFR_BUILD/bench/gateway_sessions" "$WORK/token" "$2" 1 0 "$4" "$1" >/dev/null
    after=$(cpu_ticks "$pid")
    local enrol=$((after - before))
    rm -f -- "$WORK/token"
    ctl token create --output "$WORK/token" --uses "$2"
    before=$(cpu_ticks "$pid")
    result=$("$POFR_BUILD/bench/gateway_sessions" "$WORK/token" "$2" "$3" "$SECONDS_EACH" "$4" "$1")
    after=$(cpu_ticks "$pid")
    rm -f -- "$WORK/token"
    printf '%s %d\n' "$result" $(((after - before - enrol) * 1000 / $(getconf CLK_TCK)))
}

# figures LABEL UNIT MODE HOSTS CONCURRENT BYTES
figures() {
    local cycles seconds p50 p99 failures client gateway
    printf 'sessions: %s\n' "$1" >&2
    read -r cycles seconds p50 p99 failures client gateway < <(measure "$3" "$4" "$5" "$6")
    awk -v label="$1" -v unit="$2" -v n="$cycles" -v s="$seconds" -v p50="$p50" -v p99="$p99" -v f="$failures" \
        -v client="$client" -v gateway="$gateway" 'BEGIN {
        printf "%s\t%.0f\t%ss/s\n", label, n / s, unit
        printf "%s, p50\t%.1f\tms\n%s, p99\t%.1f\tms\n", label, p50 / 1000, label, p99 / 1000
        if (n) printf "%s, gateway CPU\t%.3f\tms/%s\t%.3f\tthe client program\n", label, gateway / n, unit, client / 1000 / n
        if (f) printf "%s, failures\t%d\tin all\n", label, f
    }'
}

{
    deploy/quickstart start kafka head shard1 shard2
    ctl migrate
    ctl shard add shard1 --address "127.0.0.1:$(part shard1 3)" --if-exists update
    ctl shard add shard2 --address "127.0.0.1:$(part shard2 3)" --if-exists update
    ctl topic create
    deploy/quickstart start gateway
} >&2

figures "new sessions, one at a time" session new 10 1 50000
figures "new sessions, 32 at a time" session new 100 32 50000
figures "bundles of 50 KB, 8 sessions" bundle stream 40 8 50000
figures "bundles of 5 KB, 8 sessions" bundle stream 40 8 5000
