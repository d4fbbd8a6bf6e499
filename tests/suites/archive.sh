#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# the agent as one archive: it needs no file but its own
# timeout: 300
# order: 45
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"

ROOT=$POFR_TEST_WORK/root
HERE=$ROOT/opt/pofr-agent

the_archive_is_built() {
    local archive
    archive=$(deploy/archive/build)
    mkdir -p -- "$ROOT"
    tar -C "$ROOT" -xzf "$archive"
    # /opt itself is not in it: whose that is, and with which rights, is the machine's
    equal "$(tar -tzf "$archive" | grep -cv '^opt/pofr-agent/' || true)" 0 "members that are elsewhere"
    ls -l -- "$archive"
}

# in_nothing COMMAND...: where there is the archive, and not even a shell
in_nothing() {
    if [[ $EUID -eq 0 ]]; then chroot "$ROOT" "$@"; else unshare --map-root-user --root="$ROOT" "$@"; fi
}

it_runs_where_there_is_nothing_else() {
    mkdir -p -- "$ROOT/etc/pofr"
    cp -- "$HERE/etc/agent.conf" "$ROOT/etc/pofr/"
    in_nothing /opt/pofr-agent/bin/pofr-agent --version | grep -E '^pofr-agent [0-9.]+$'
    in_nothing /opt/pofr-agent/bin/pofr-agent run --config /etc/pofr/agent.conf --check-config
    fails grep -qaF "$POFR_TREE" "$HERE/bin/pofr-agent"
    fails grep -qa POFR_STOP_AT "$HERE/bin/pofr-agent"
}

# It says where each library is from, and under which terms.
each_library_is_named_and_has_its_licence() {
    local name package
    diff <(find "$HERE/lib" -mindepth 1 -printf '%f\n' | sort) <(cut -d' ' -f1 "$HERE/share/doc/LIBRARIES" | sort)
    while read -r name package _; do [[ -s $HERE/share/doc/licences/$package ]]; done <"$HERE/share/doc/LIBRARIES"
    readelf --wide --dynamic "$HERE"/bin/pofr-agent "$HERE"/lib/*.so* | sed -nE 's/.*\(NEEDED\).*\[(.*)\]/\1/p' | sort -u |
        while read -r name; do [[ -s $HERE/lib/$name ]] || { printf 'no %s\n' "$name" >&2; exit 1; }; done
}

units_start_what_is_there() {
    sed -nE 's/^Exec[A-Za-z]*=([^ ]+).*/\1/p' "$HERE"/units/*.service | sort -u |
        diff - <(printf '%s\n' /bin/kill /bin/true /opt/pofr-agent/bin/pofr-agent)
    sh -n "$HERE/setup"
}

cases the_archive_is_built it_runs_where_there_is_nothing_else each_library_is_named_and_has_its_licence units_start_what_is_there
