#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# the Debian packages on a new Debian 13: built there, lintian, installed, upgraded, removed, purged
# timeout: 1500
# order: 95
# long: yes
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/chroot.sh"
enter_own_mounts "$@"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/packages.sh"
trap 'chroot_end; suite_finish' EXIT

PACKAGES=(pofr pofr-agent pofr-backup pofr-common pofr-gateway pofr-merger pofr-worker pofrctl)
OUT=/src/build/packages
HERE=/var/tmp/debs

# in_debs COMMAND...: where an operator would have copied the packages
in_debs() { in_chroot env DEBIAN_FRONTEND=noninteractive sh -exc "cd $HERE; $1"; }

# packages_make SUFFIX: they are all that lies there then
packages_make() {
    local package
    in_chroot /src/deploy/packages/build --suffix "$1"
    rm -rf -- "$ROOT$HERE"
    mkdir -p -- "$ROOT$HERE"
    for package in "${PACKAGES[@]}"; do cp -- "$(package_file "$ROOT$OUT" "$package")" "$ROOT$HERE/"; done
}
installed_version() { in_chroot dpkg-query -W -f '${db:Status-Abbrev}${Version}\n' "${PACKAGES[@]}" | sort -u; }

# With what control says alone, and with nothing that deps would have brought.
they_are_built_with_what_control_asks_for() {
    in_chroot apt-get -q update
    in_chroot env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0 build-dep -y --no-install-recommends /src/deploy/packages
    packages_make +test1
    find "$ROOT$HERE" -name 'pofr-agent_*+deb13_*.deb' | grep .
    dpkg --compare-versions "$(deploy/packages/build --version)" lt "$(in_chroot /src/deploy/packages/build --version)"
}

lintian_finds_nothing() {
    in_chroot env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0 install -y --no-install-recommends lintian
    packages_lintian "$OUT" in_chroot
}

# Nothing runs in here: what the maintainer scripts do without systemd as the first process
an_installation_without_systemd_running_is_whole() {
    local user program
    in_debs "$(packages_block 1)"
    equal "$(installed_version)" "ii $(in_chroot /src/deploy/packages/build --version --suffix +test1)" "what is installed"
    for user in collector shipper gateway worker merger; do in_chroot id "pofr-$user"; done
    for program in pofr-agent pofr-gateway pofr-worker pofr-merger pofrctl; do in_chroot "$program" --version; done
    equal "$(in_chroot stat -c '%a %U' /var/lib/pofr/agent/spool)" "2750 pofr-collector" spool
    equal "$(in_chroot dpkg --verify "${PACKAGES[@]}")" "" "what dpkg finds altered"
    [[ -L $ROOT/etc/systemd/system/multi-user.target.wants/pofr-agent.service ]]
    [[ ! -e $ROOT/etc/systemd/system/sockets.target.wants/pofr-gateway.socket ]]
    equal "$(chroot_pids)" "" processes
}

# analyze FILE...: what it says of ours; it ends with 0 for a word that it does not know, too
analyze() { { in_chroot systemd-analyze verify --man=no "$@" 2>&1 || true; } | tee "$POFR_TEST_WORK/said"; }

units_are_without_fault_for_this_systemd() {
    local folder=/usr/lib/systemd/system
    cp -- "$ROOT$folder/pofr-worker@.service" "$ROOT/tmp/pofr-worker@1.service"
    cp -- "$ROOT$folder/pofr-merger@.service" "$ROOT/tmp/pofr-merger@shard1.service"
    analyze $folder/pofr.target $folder/pofr-{agent,collector,shipper,gateway}.service $folder/pofr-gateway.socket \
        /tmp/pofr-worker@1.service /tmp/pofr-merger@shard1.service
    equal "$(sed -n /pofr/p "$POFR_TEST_WORK/said")" "" "what systemd-analyze verify says"
    sed -i 's/^WatchdogSec=/WatchdogSecs=/' "$ROOT/tmp/pofr-worker@1.service" # would it say something?
    analyze /tmp/pofr-worker@1.service
    grep -q WatchdogSecs "$POFR_TEST_WORK/said"
}

what_was_edited_survives_an_upgrade() {
    printf '# edited\n' >>"$ROOT/etc/pofr/worker.conf"
    printf '# of the second version\n' | tee -a "$ROOT/src/deploy/systemd/etc/worker.conf" >>"$ROOT/src/deploy/systemd/etc/agent.conf"
    in_chroot sh -c 'echo 1 >/var/lib/pofr/agent/host.uuid'
    packages_make +test2
    in_debs "$(packages_block 4)"
    equal "$(installed_version)" "ii $(in_chroot /src/deploy/packages/build --version --suffix +test2)" "what is installed"
    equal "$(tail -n 1 -- "$ROOT/etc/pofr/worker.conf")" "# edited" worker.conf
    equal "$(tail -n 1 -- "$ROOT/etc/pofr/worker.conf.dpkg-dist")" "# of the second version" worker.conf.dpkg-dist
    equal "$(tail -n 1 -- "$ROOT/etc/pofr/agent.conf")" "# of the second version" agent.conf
}

removal_keeps_and_purge_deletes() {
    in_debs "$(packages_block 5)"
    [[ ! -e $ROOT/usr/bin/pofr-agent && -s $ROOT/etc/pofr/worker.conf && -s $ROOT/var/lib/pofr/agent/host.uuid ]]
    in_debs "$(packages_block 6)"
    equal "$(cd -- "$ROOT" && find etc var/lib usr run -xdev -iname '*pofr*')" "" "what is left"
}

chroot_make trixie
cases they_are_built_with_what_control_asks_for lintian_finds_nothing an_installation_without_systemd_running_is_whole \
    units_are_without_fault_for_this_systemd what_was_edited_survives_an_upgrade removal_keeps_and_purge_deletes
