#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# the Debian packages: what is in them, lintian; with --long installed, started, upgraded, removed, purged
# timeout: 400
# long-timeout: 1500
# order: 45
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/packages.sh"

DAEMONS=(agent gateway worker merger)
OUT=$POFR_TREE/build/packages
FILES=$POFR_TEST_WORK/files # every package, unpacked

packages_are_built() {
    local package
    mkdir -p -- "$FILES"
    deploy/packages/build --suffix +test1 >"$POFR_TEST_WORK/built"
    cat -- "$POFR_TEST_WORK/built"
    equal "$(sed -nE 's|.*/([^_]*)_.*|\1|p' "$POFR_TEST_WORK/built" | grep -v dbgsym | sort | tr '\n' ' ')" \
        "pofr pofr-agent pofr-common pofr-gateway pofr-merger pofr-worker pofrctl " "packages"
    for package in pofr pofr-common pofrctl "${DAEMONS[@]/#/pofr-}"; do
        equal "$(dpkg-deb -f "$(package_file "$OUT" "$package")" Version)" "$(deploy/packages/build --version --suffix +test1)" "version of $package"
        dpkg-deb -x "$(package_file "$OUT" "$package")" "$FILES/$package"
    done
    dpkg --compare-versions "$(deploy/packages/build --version)" lt "$(deploy/packages/build --version --suffix +test1)"
    dpkg --compare-versions "$(deploy/packages/build --version --suffix '~rc1')" lt "$(deploy/packages/build --version)"
}

# As `cmake --install` has them, but for where first configurations go; without documents.
each_file_is_in_the_package_of_its_program() {
    local name
    for name in "${DAEMONS[@]}"; do
        diff <(list_files "pofr-$name" | grep -v '/share/doc/') <({
            printf '%s\n' "etc/pofr/$name.conf" "usr/bin/pofr-$name" "usr/lib/sysusers.d/pofr-$name.conf" \
                "usr/share/man/man5/pofr-$name.conf.5.gz" "usr/share/man/man8/pofr-$name.8.gz" \
                "usr/share/lintian/overrides/pofr-$name"
            [[ ! -e deploy/systemd/tmpfiles/pofr-$name.conf ]] || printf 'usr/lib/tmpfiles.d/pofr-%s.conf\n' "$name"
            units_of "$name" | sed 's|^|systemd/system/|'
        } | sort)
    done
    diff <(list_files pofrctl | grep -vE '/share/(doc|man)/') <({
        printf '%s\n' etc/pofr/ctl.conf usr/bin/pofrctl
        find sql -type f -printf 'usr/share/pofr/%p\n'
    } | sort)
    [[ -s $FILES/pofrctl/usr/share/doc/pofrctl/OPERATING.md.gz && -s $FILES/pofr-common/usr/share/doc/pofr-common/README.Debian ]]
    equal "$(list_files pofr | grep -v /share/doc/)" "" "files of the package that has none"
}
list_files() { (cd -- "$FILES/$1" && find . -type f -printf '%P\n') | sed -E 's|^(usr/)?lib/systemd/|systemd/|' | sort; }
units_of() {
    case $1 in
    agent) printf 'pofr-%s.service\n' agent collector shipper ;;
    gateway) printf 'pofr-gateway.%s\n' service socket ;;
    *) printf 'pofr-%s@.service\n' "$1" ;;
    esac
}

# What dpkg asks before it replaces: each package has one, which its program takes.
first_configurations_are_conffiles_and_good() {
    local name
    for name in "${DAEMONS[@]}"; do
        equal "$(conffiles "pofr-$name")" "/etc/pofr/$name.conf" "conffiles of pofr-$name"
    done
    equal "$(conffiles pofrctl)" /etc/pofr/ctl.conf "conffiles of pofrctl"
    "$FILES/pofr-agent/usr/bin/pofr-agent" collect --config "$FILES/pofr-agent/etc/pofr/agent.conf" --check-config
    "$FILES/pofr-gateway/usr/bin/pofr-gateway" --config "$FILES/pofr-gateway/etc/pofr/gateway.conf" --check-config
    "$FILES/pofr-worker/usr/bin/pofr-worker" --config "$FILES/pofr-worker/etc/pofr/worker.conf" --instance 1 --check-config
    "$FILES/pofr-merger/usr/bin/pofr-merger" --config "$FILES/pofr-merger/etc/pofr/merger.conf" --instance shard-1 --check-config
    "$FILES/pofrctl/usr/bin/pofrctl" --config "$FILES/pofrctl/etc/pofr/ctl.conf" --check-config
}
conffiles() { dpkg-deb --ctrl-tarfile "$(package_file "$OUT" "$1")" | tar -xO ./conffiles; }

units_and_programs_are_those_of_this_prefix() {
    local program
    for program in "$FILES"/*/usr/bin/*; do
        "$program" --version | grep -E "^${program##*/} [0-9]+\.[0-9]+\.[0-9]+$"
        fails grep -qaF "$POFR_TREE" "$program"
        fails grep -qa POFR_STOP_AT "$program"
        readelf --wide --dynamic "$program" | grep -q BIND_NOW
    done
    find "$FILES" -path '*/systemd/system/*.service' -exec cat {} + | sed -nE 's/^Exec[A-Za-z]*=([^ ]+).*/\1/p' | sort -u |
        diff - <(printf '%s\n' /bin/kill /bin/true "${DAEMONS[@]/#//usr/bin/pofr-}" | sort)
}

# An agent is on every machine: it must not bring what only the cluster needs.
the_agent_needs_little() {
    fails grep -E 'mariadb|kafka|microhttpd|libssh-4' <<<"$(dpkg-deb -f "$(package_file "$OUT" pofr-agent)" Depends)"
}

lintian_finds_nothing() { packages_lintian "$OUT"; }

QUICK=(packages_are_built each_file_is_in_the_package_of_its_program first_configurations_are_conffiles_and_good
    units_and_programs_are_those_of_this_prefix the_agent_needs_little lintian_finds_nothing)
if [[ $POFR_TEST_ONLY != "  " && $POFR_TEST_ONLY != *packages_are_built* ]]; then
    packages_are_built >/dev/null
fi
cases "${QUICK[@]}"
