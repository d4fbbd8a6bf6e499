#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# the agent's archive on a new Debian 11: set up, enrolled, recorded, upgraded, removed
# timeout: 900
# order: 95
# long: yes
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/chroot.sh"
enter_own_mounts "$@"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"
trap 'chroot_end; suite_finish' EXIT

sql() { quickstart sql -N "$1"; }
answers_to() { [[ $(sql "$1") == "$2" ]]; }
is_over() { ! kill -0 "$1" 2>/dev/null; }

# page_line N: of the commands of deploy/archive; its last one, systemctl, finds nothing here
page_line() { page_block deploy/archive/README.md '# deploy/archive: the agent for other distributions' | sed -n "$1p"; }

it_is_set_up() {
    local user
    cp -- "$(deploy/archive/build)" "$ROOT/var/tmp/"
    in_chroot sh -exc "cd /var/tmp; $(page_line 1,2)"
    in_chroot pofr-agent --version
    for user in collector shipper; do in_chroot id "pofr-$user"; done
    equal "$(in_chroot stat -c '%a %U %G' /var/lib/pofr/agent /var/lib/pofr/agent/spool | tr '\n' ' ')" \
        "755 pofr-collector pofr-collector 2750 pofr-collector pofr-shipper " folders
}

# agent_runs SECONDS NAME: it records and sends, and a process of in there is found in SQL
agent_runs() {
    local pid status=0
    env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin chroot "$ROOT" pofr-agent run --config /etc/pofr/agent.conf >"$POFR_TEST_WORK/agent.log" 2>&1 </dev/null &
    pid=$!
    in_chroot sh -c "cp /bin/sleep /tmp/$1 && exec 3>/tmp/$1.file && exec setsid /tmp/$1 300 >/dev/null 2>&1" &
    wait_until 60 answers_to "SELECT COUNT(*) FROM fileinfo WHERE host = 'eleven' AND command = '$1' AND fd = 3 AND path LIKE '%/tmp/$1.file'" 1 || status=1
    kill -TERM "$pid" 2>/dev/null || status=2
    wait_until 60 is_over "$pid"
    wait "$pid" || status=$?
    [[ $status -eq 0 ]] || tail -n 40 -- "$POFR_TEST_WORK/agent.log"
    return "$status"
}

it_enrols_records_and_sends() {
    (umask 077 && quickstart ctl token create --output "$ROOT/var/tmp/token")
    in_chroot sh -exc "cd /var/tmp; $(page_line 3) --name eleven"
    in_chroot pofr-agent doctor --config /etc/pofr/agent.conf || true # what it says of this kernel is not asked here
    agent_runs w11a
    quickstart ctl verify eleven
    # users come by the name service of a glibc that is not the machine's
    equal "$(sql "SELECT COUNT(*) FROM userinfo WHERE host = 'eleven' AND name = 'pofr-collector' AND ended > UTC_TIMESTAMP()")" 1 "a user"
}

what_is_there_survives_an_upgrade_and_removal() {
    local before
    printf '# edited\n' >>"$ROOT/etc/pofr/agent.conf"
    before=$(cd -- "$ROOT" && sha256sum etc/pofr/agent.conf var/lib/pofr/agent/host.uuid)
    tar -C "$ROOT" -xzf "$(deploy/archive/build)"
    in_chroot /opt/pofr-agent/setup install
    equal "$(cd -- "$ROOT" && sha256sum etc/pofr/agent.conf var/lib/pofr/agent/host.uuid)" "$before" "what is kept"
    agent_runs w11b
    in_chroot /opt/pofr-agent/setup remove
    equal "$(cd -- "$ROOT" && sha256sum etc/pofr/agent.conf var/lib/pofr/agent/host.uuid)" "$before" "what is kept"
    equal "$(find "$ROOT/usr/local/bin" "$ROOT/etc/systemd" -name 'pofr*')" "" "what is left"
}

quickstart >/dev/null
quickstart kill collector shipper
# Another system: POFR_TEST_USERLAND=NAME, whose archive lies in build/chroot
chroot_make "${POFR_TEST_USERLAND:-bullseye}"
cases it_is_set_up it_enrols_records_and_sends what_is_there_survives_an_upgrade_and_removal
