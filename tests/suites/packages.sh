#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# the Debian packages: what is in them, lintian; with --long installed, started, upgraded, removed, purged
# timeout: 400
# long-timeout: 1500
# order: 45
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/chroot.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/box.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/services.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/packages.sh"
trap 'box_end; suite_finish' EXIT

BOX_MORE=(mariadb-server mariadb-backup)
DAEMONS=(agent gateway worker merger)
OUT=$POFR_TREE/build/packages
FILES=$POFR_TEST_WORK/files # every package, unpacked

packages_are_built() {
    local package
    mkdir -p -- "$FILES"
    deploy/packages/build --suffix +test1 >"$POFR_TEST_WORK/built"
    cat -- "$POFR_TEST_WORK/built"
    equal "$(sed -nE 's|.*/([^_]*)_.*|\1|p' "$POFR_TEST_WORK/built" | grep -v dbgsym | sort | tr '\n' ' ')" \
        "pofr pofr-agent pofr-backup pofr-common pofr-gateway pofr-merger pofr-worker pofrctl " "packages"
    for package in pofr pofr-backup pofr-common pofrctl "${DAEMONS[@]/#/pofr-}"; do
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
                "usr/share/bash-completion/completions/pofr-$name" \
                "usr/share/lintian/overrides/pofr-$name"
            [[ ! -e deploy/systemd/tmpfiles/pofr-$name.conf ]] || printf 'usr/lib/tmpfiles.d/pofr-%s.conf\n' "$name"
            units_of "$name" | sed 's|^|systemd/system/|'
        } | sort)
    done
    diff <(list_files pofrctl | grep -vE '/share/(doc|man)/') <({
        printf '%s\n' etc/pofr/ctl.conf usr/bin/pofrctl usr/share/bash-completion/completions/pofrctl
        find sql -type f -printf 'usr/share/pofr/%p\n'
        find deploy/monitoring -name '*.yml' -printf 'usr/share/pofr/monitoring/%P\n' -o -name '*.json' -printf 'usr/share/pofr/monitoring/%P\n'
    } | sort)
    diff <(list_files pofr-backup | grep -v /share/doc/) <({
        printf '%s\n' usr/bin/pofr-backup usr/share/man/man8/pofr-backup.8.gz
        printf 'systemd/system/pofr-backup.%s\n' service timer
    } | sort)
    [[ -s $FILES/pofrctl/usr/share/doc/pofrctl/OPERATING.md.gz && -s $FILES/pofr-common/usr/share/doc/pofr-common/README.Debian ]]
    equal "$(cd -- "$FILES/pofrctl/usr/share/doc/pofrctl/examples" && find . -type f -printf '%P\n' | sort | tr '\n' ' ')" \
        "head.cnf kafka.service server.properties shard.cnf tls.cnf " "settings of the servers"
    fails grep -n '@[A-Z_]*@' "$FILES/pofrctl/usr/share/doc/pofrctl/examples/server.properties"
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
        [[ $program != */pofr-backup ]] || continue # a script
        fails grep -qa POFR_STOP_AT "$program"
        readelf --wide --dynamic "$program" | grep -q BIND_NOW
    done
    find "$FILES" -path '*/systemd/system/*.service' -exec cat {} + | sed -nE 's/^Exec[A-Za-z]*=([^ ]+).*/\1/p' | sort -u |
        diff - <(printf '%s\n' /bin/kill /bin/true /usr/bin/pofr-backup "${DAEMONS[@]/#//usr/bin/pofr-}" | sort)
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
each_case "${QUICK[@]}"
if ! is_more_wanted "${QUICK[@]}"; then
    [[ $suite_failures -eq 0 ]]
    exit
fi

# --- in a clean system, with the commands of docs/OPERATING.md ----------------------------------------------------
#
# Kafka and MariaDB are the suite's own cluster, on this machine; the box has nothing but Debian.

PACKAGES=(pofr pofr-agent pofr-backup pofr-common pofr-gateway pofr-merger pofr-worker pofrctl)
HERE=/var/tmp/debs # in the box: where an operator would have copied them

# box_block N: the Nth block of commands of the page
box_block() { in_box env DEBIAN_FRONTEND=noninteractive sh -exc "cd $HERE; $(packages_block "$1")"; }

# box_packages: the newest build is what lies there
box_packages() {
    local package
    rm -rf -- "$BOX$HERE"
    mkdir -p -- "$BOX$HERE"
    for package in "${PACKAGES[@]}"; do cp -- "$(package_file "$OUT" "$package")" "$BOX$HERE/"; done
}

# installed_version: of all packages, which is one
installed_version() { in_box dpkg-query -W -f '${db:Status-Abbrev}${Version}\n' "${PACKAGES[@]}" | sort -u; }

no_unit_failed() { equal "$(in_box systemctl --failed --no-legend)" "" "failed units"; }

# what_is_kept: of what the host and the gateway are known by, and what was stored
what_is_kept() {
    (cd -- "$BOX" && sha256sum var/lib/pofr/agent/host.uuid var/lib/pofr/gateway/host_key && find var/lib/pofr/agent -maxdepth 1 -name '*key*' -exec sha256sum {} +) | sort
    sql 'SELECT host, host_uuid FROM host ORDER BY host'
}

a_new_installation_starts_nothing_and_nothing_fails() {
    local unit user begin
    box_packages
    begin=$(now_ms)
    box_block 1
    printf '%s\n' $(($(now_ms) - begin)) >"$POFR_TEST_WORK/took"
    equal "$(installed_version)" "ii $(deploy/packages/build --version --suffix +test1)" "what is installed"
    for unit in pofr-collector pofr-shipper pofr-gateway.socket pofr-gateway pofr.target; do
        equal "$(show "$unit" ActiveState)" inactive "$unit"
    done
    equal "$(in_box systemctl list-units --all --no-legend --plain 'pofr-worker@*' 'pofr-merger@*')" "" "instances"
    equal "$(in_box systemctl is-enabled pofr-agent pofr-gateway.socket pofr-gateway pofr.target | tr '\n' ' ')" \
        "enabled disabled disabled disabled " "what starts at boot"
    equal "$(show pofr-collector ConditionResult)" no "collector of a machine that is not enrolled"
    no_unit_failed
    equal "$(in_box dpkg --verify "${PACKAGES[@]}")" "" "what dpkg finds altered"
    for user in collector shipper gateway worker merger; do in_box id "pofr-$user"; done
    equal "$(in_box stat -c '%a %U %n' /etc/pofr /etc/pofr/secrets /etc/pofr/tls /var/lib/pofr /var/lib/pofr/agent /var/lib/pofr/agent/spool /var/lib/pofr/gateway | tr '\n' ' ')" \
        "755 root /etc/pofr 700 root /etc/pofr/secrets 755 root /etc/pofr/tls 755 root /var/lib/pofr 755 pofr-collector /var/lib/pofr/agent 2750 pofr-collector /var/lib/pofr/agent/spool 750 pofr-gateway /var/lib/pofr/gateway " folders
}

configured_services_run_and_record() {
    local begin
    begin=$(now_ms)
    in_box systemctl daemon-reload
    box_block 2
    (umask 077 && ctl token create --output "$BOX$HERE/token")
    in_box hostname box
    box_block 3
    [[ ! -e $BOX$HERE/token ]]
    wait_until 60 answers_to "SELECT COUNT(*) > 0 FROM process WHERE host = 'box'" 1
    printf 'figure: packages installed in %s s, from services enabled and host enrolled to its first rows in SQL %s s more\n' \
        "$(seconds "$(cat -- "$POFR_TEST_WORK/took")")" "$(seconds $(($(now_ms) - begin)))"
    wait_until 60 all_are_active
    witness p1
    no_unit_failed
}

# dpkg may call them again at any time: after a run that was cut off, by dpkg-reconfigure.
maintainer_scripts_can_be_repeated() {
    local package before
    before=$(what_is_kept)
    for package in "${PACKAGES[@]}"; do
        [[ -e $BOX/var/lib/dpkg/info/$package.postinst ]] || continue
        in_box "/var/lib/dpkg/info/$package.postinst" configure "$(deploy/packages/build --version --suffix +test1)"
        in_box "/var/lib/dpkg/info/$package.postinst" configure ''
    done
    wait_until 60 all_are_active
    equal "$(what_is_kept)" "$before" "what is kept"
    no_unit_failed
}

# second_version: a tree whose first configurations of agent and worker have one line more
second_version() {
    local tree=$POFR_TEST_WORK/tree name
    if [[ ! -d $tree ]]; then
        mkdir -- "$tree"
        tree_files | tar --null -T - -cf - | tar -C "$tree" -xf -
        for name in agent worker; do printf '# of the second version\n' >>"$tree/deploy/systemd/etc/$name.conf"; done
    fi
    "$tree/deploy/packages/build" --suffix +test2 --output "$OUT"
}

an_upgrade_keeps_what_was_edited_and_restarts_what_runs() {
    local unit before knocking
    local -A pid=()
    second_version
    box_packages
    before=$(what_is_kept)
    in_box systemctl stop pofr-worker@2 # enabled, and stopped for a reason that only its operator knows
    for unit in "${SERVICES[@]}"; do pid[$unit]=$(show "$unit" MainPID); done
    knock 25 >"$POFR_TEST_WORK/knocked" &
    knocking=$!
    box_block 4
    equal "$(installed_version)" "ii $(deploy/packages/build --version --suffix +test2)" "what is installed"
    wait "$knocking"
    equal "$(cat -- "$POFR_TEST_WORK/knocked")" "0 True" "refused, and the last one was greeted"
    for unit in "${SERVICES[@]}"; do
        [[ $unit != pofr-worker@2 ]] || continue
        wait_until 60 is_active "$unit"
        fails equal "$(show "$unit" MainPID)" "${pid[$unit]}" "pid of $unit"
    done
    is_inactive pofr-worker@2
    grep -q '^# of the second version' "$BOX/etc/pofr/agent.conf"       # nobody had edited it
    fails grep -q '^# of the second version' "$BOX/etc/pofr/worker.conf" # this one, somebody had
    grep -q '^# of the second version' "$BOX/etc/pofr/worker.conf.dpkg-dist"
    equal "$(what_is_kept)" "$before" "what is kept"
    in_box systemctl start pofr-worker@2
    witness p2
    equal "$(sql "SELECT COUNT(*) FROM gap WHERE host = 'box' AND kind = 'sequence' AND explained = 0")" 0 "bundles that are missing"
    ctl verify box
    no_unit_failed
}

in_box_mariadb() { in_box mariadb --batch --skip-column-names -e "$1"; }
mariadb_answers() { in_box mariadb -e 'SELECT 1' >/dev/null 2>&1; }

# The box's own server, from the same Debian: what a shard or the head is on such a machine.
a_server_is_backed_up_by_the_timer_and_comes_back() {
    local before saved
    in_box systemctl start mariadb
    in_box mkdir -p /var/lib/prometheus/node-exporter
    in_box_mariadb 'CREATE DATABASE kept; CREATE TABLE kept.t (n INT PRIMARY KEY); INSERT INTO kept.t VALUES (1), (2), (3)'
    in_box sh -exc "$(page_block docs/OPERATING.md '## Backup and restore' 1)"
    equal "$(show pofr-backup.timer ActiveState) $(in_box systemctl is-enabled pofr-backup.timer)" "active enabled" timer
    [[ -n $(show pofr-backup.timer NextElapseUSecRealtime) ]]
    before=$(in_box date +%s)
    in_box sh -exc "$(page_block docs/OPERATING.md '## Backup and restore' 2)"
    equal "$(show pofr-backup Result) $(in_box find /var/backups/pofr -mindepth 1 -maxdepth 1 -type d | wc -l)" "success 1" "first backup"
    [[ $(in_box sed -n 's/^pofr_backup_timestamp_seconds{server="box"} //p' /var/lib/prometheus/node-exporter/pofr-backup.prom) -ge $before ]]
    in_box_mariadb 'DROP DATABASE kept'
    saved=$(in_box find /var/backups/pofr -mindepth 1 -maxdepth 1 -type d -printf '%f')
    in_box sh -exc "$(page_block docs/OPERATING.md '### A shard is lost' | sed "s|/[0-9]*T[0-9]*Z|/$saved|")"
    wait_until 30 mariadb_answers
    equal "$(in_box_mariadb 'SELECT SUM(n) FROM kept.t')" 6 "what came back"
    in_box systemctl stop mariadb.socket mariadb
    fails in_box systemctl start pofr-backup # there is no server: it fails, and the one that there is stays
    said pofr-backup | grep -q 'mariadb-backup failed'
    equal "$(in_box pofr-backup list /var/backups/pofr | cut -f1)" "/var/backups/pofr/$saved" "what is there"
    in_box systemctl reset-failed pofr-backup
}

what_was_removed_goes_on_when_it_is_back() {
    local before kept
    before=$(sha256sum "$BOX"/etc/pofr/*.conf "$BOX"/etc/pofr/secrets/*)
    kept=$(what_is_kept)
    box_block 5
    equal "$(in_box sh -c 'ls /usr/bin/pofr* 2>/dev/null')" "" programs
    equal "$(in_box systemctl list-units --no-legend --plain --state=active,activating,failed 'pofr*')" "" "units"
    equal "$(in_box pgrep -c '^pofr-' || true)" 0 "processes"
    equal "$(sha256sum "$BOX"/etc/pofr/*.conf "$BOX"/etc/pofr/secrets/*)" "$before" configuration
    equal "$(what_is_kept)" "$kept" "what is kept"
    box_block 1
    wait_until 60 is_active pofr-collector # it is enrolled still
    box_block 2
    wait_until 60 all_are_active
    witness p3
    ctl verify box
    no_unit_failed
}

purge_leaves_nothing_of_ours() {
    local stored
    stored=$(sql "SELECT COUNT(*) > 0 FROM bundle WHERE host = 'box'")
    box_block 6
    equal "$(in_box sh -c "dpkg-query -W -f '\${db:Status-Abbrev}\${Package}\n' 'pofr*' 2>/dev/null" | grep -v '^un' || true)" "" "what dpkg knows of"
    # what this test put there as an operator would, and nothing else
    equal "$(in_box find /etc /var/lib /usr /run /lib/systemd -xdev -iname '*pofr*' -not -path '/etc/systemd/system/*.d' | sort | tr '\n' ' ')" "/etc/pofr " "files"
    equal "$(in_box find /etc/pofr -mindepth 1 | sort | tr '\n' ' ')" "/etc/pofr/merger-shard2.conf /etc/pofr/tls /etc/pofr/tls/ca.crt " "configuration"
    equal "$(in_box pgrep -c '^pofr-' || true)" 0 "processes"
    no_unit_failed
    equal "$stored $(sql "SELECT COUNT(*) > 0 FROM bundle WHERE host = 'box'")" "1 1" "what is stored"
}

box_up() {
    build_preset release
    quickstart --tls >/dev/null
    quickstart kill gateway worker1 worker2 merger collector shipper
    box_make empty
    box_start
}

# Each needs what those before it left; one that was not asked for is made without being counted.
box_up
MORE=(a_new_installation_starts_nothing_and_nothing_fails configured_services_run_and_record maintainer_scripts_can_be_repeated
    a_server_is_backed_up_by_the_timer_and_comes_back
    an_upgrade_keeps_what_was_edited_and_restarts_what_runs what_was_removed_goes_on_when_it_is_back purge_leaves_nothing_of_ours)
for name in "${MORE[@]}"; do
    if [[ $POFR_TEST_ONLY == "  " || $POFR_TEST_ONLY == *" packages/$name "* ]]; then each_case "$name"; else "$name"; fi
    [[ $name != a_new_installation* ]] || { box_configure /etc/pofr; box_give_keys; }
done
[[ $suite_failures -eq 0 ]]
