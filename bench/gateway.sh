#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# gateway.sh -- what a session, an idle session and a bundle cost a gateway, with a real broker behind it; and how long
# thousands of agents take that come at once. CPU is the gateway's own, all threads, and is measured against one Ed25519
# verification in the same run: client and server share the machine, so rates say little and ratios more. The gateway has
# one thread, on one core; the agents have the other cores.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/../deploy/lib/base.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
cd -- "$POFR_TREE"

SESSIONS=${BENCH_SESSIONS:-2000} IDLE=${BENCH_IDLE:-1000} BUNDLES=${BENCH_BUNDLES:-3000} STORM=${BENCH_STORM:-10000}
trap 'gateway_end || true; bench_remove' EXIT

# A gateway of our own: one thread, on the last core.
CORES=$(nproc) PID=
gateway_start() {
    taskset -c "$((CORES - 1))" "$BUILD/gateway/pofr-gateway" --config "$WORK/gateway.conf" >"$WORK/gateway.log" 2>&1 &
    PID=$!
    wait_until 60 grep -q 'gateway ready' "$WORK/gateway.log"
}
gateway_end() {
    [[ -n $PID ]] || return 0
    kill "$PID"
    wait "$PID" || true
    PID=
}

# Nanoseconds of the scheduler: ticks of 10 ms would be as long as several sessions.
gateway_ms() { awk '{ sum += $1 } END { printf "%.3f", sum / 1e6 }' "/proc/$PID/task/"*/schedstat; }
pss_kb() { awk '/^Pss:/ { print $2 }' "/proc/$PID/smaps_rollup"; }
calc() { awk "BEGIN { printf \"%.6g\", $1 }"; }

quickstart start kafka head >&2
ctl migrate >&2
ctl topic create >&2
"$BUILD/bench/bench_gateway" prepare "$((STORM > IDLE ? STORM : IDLE))" "$WORK/keys" |
    mariadb --defaults-file="$POFR_STATE/etc/admin.cnf" --port="$(part head 3)" pofr_catalog
quickstart start gateway >&2 # writes its configuration
AT=127.0.0.1:$(part gateway 3)
quickstart kill gateway >&2
awk '{ print } /^listen = / && !done { print "threads = 1"; done = 1 }' "$POFR_STATE/etc/gateway.conf" >"$WORK/gateway.conf"
gateway_start
bench() { taskset -c "$([[ $CORES -gt 1 ]] && echo "0-$((CORES - 2))" || echo 0)" "$BUILD/bench/bench_gateway" "$@"; }

verify_ms=$(calc "$(bench verify 10000) * 1000 / 10000")
figure "Ed25519 verification" "$verify_ms" ms

bench cycles "$AT" "$WORK/keys" 200 4 20000 >/dev/null # warm
for bytes in 0 50000; do
    what="a new session, HELLO and WELCOME"
    [[ $bytes -eq 0 ]] || what="a new session with one 50 KB bundle"
    for processes in 1 8; do
        before=$(gateway_ms)
        seconds=$(bench cycles "$AT" "$WORK/keys" "$SESSIONS" "$processes" "$bytes")
        ms=$(calc "($(gateway_ms) - $before) / $SESSIONS")
        figure "CPU of $what, $processes at once" "$ms" ms "$verify_ms" "one verification"
        figure "... sessions a second, client on the other cores" "$(calc "$SESSIONS / $seconds")" "1/s"
        figure "... sessions a second that one core could carry" "$(calc "1000 / $ms")" "1/s" 45 "sshd with forced command"
    done
done

for bytes in 20000 50000; do
    before=$(gateway_ms)
    seconds=$(bench stream "$AT" "$WORK/keys" 4 "$((BUNDLES / 4))" "$bytes")
    ms=$(calc "($(gateway_ms) - $before) / $BUNDLES")
    figure "CPU of a bundle of $bytes bytes, 4 sessions" "$ms" ms "$verify_ms" "one verification"
    figure "... bundles a second" "$(calc "$BUNDLES / $seconds")" "1/s"
done

gateway_end
gateway_start
before=$(gateway_ms)
read -r seconds tries <<<"$(bench storm "$AT" "$WORK/keys" "$STORM" 4)"
ms=$(calc "($(gateway_ms) - $before) / $STORM")
figure "$STORM agents at once, until all have their WELCOME" "$seconds" s
figure "... connections that they tried" "$tries" "" "$STORM" "agents"
figure "... CPU of the gateway for each" "$ms" ms "$verify_ms" "one verification"
figure "... its share of its core meanwhile" "$(calc "$ms * $STORM / $seconds / 10")" "%"

gateway_end
gateway_start
before=$(pss_kb)
mkfifo "$WORK/hold"
bench idle "$AT" "$WORK/keys" "$IDLE" <"$WORK/hold" >"$WORK/idle" &
idle_pid=$!
exec 7>"$WORK/hold"
wait_until 120 grep -q open "$WORK/idle"
figure "memory of an idle session ($IDLE of them)" "$(calc "($(pss_kb) - $before) / $IDLE")" KB 1900 "sshd"
before=$(gateway_ms) begin=$(now_ms)
timeout 10 tail -f /dev/null || true
figure "CPU of $IDLE idle sessions" "$(calc "($(gateway_ms) - $before) / ($(now_ms) - $begin) * 100")" "% of a core"
exec 7>&-
wait "$idle_pid"
