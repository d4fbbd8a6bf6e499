#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# docs/OPERATING.md, "On several machines", command by command: four machines with systemd, packages, encrypted connections
# timeout: 900
# order: 96
# long: yes
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/chroot.sh"
enter_own_mounts "$@"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/box.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/packages.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/machines.sh"
trap 'machines_end; suite_finish' EXIT

MACHINES=('db1 10.0.0.11' 'app1 10.0.0.12' 'web1 10.0.0.21' 'web2 10.0.0.22')
BOX_MORE=(openssh-server openssh-client)
DEBS=$POFR_TEST_WORK/packages
BLOCKS=$POFR_TEST_WORK/blocks
KAFKA=$POFR_TEST_WORK/kafka # /opt/kafka of db1

# what_the_page_installs: packages of Debian's, those that ours depend on too
what_the_page_installs() {
    local name
    for name in common gateway worker merger agent; do dpkg-deb -f "$(package_file "$DEBS" "pofr-$name")" Depends Pre-Depends; done
    dpkg-deb -f "$(package_file "$DEBS" pofrctl)" Depends
    printf '%s\n' default-jre-headless mariadb-server mariadb-plugin-spider mariadb-client tzdata
}

# kafka_make: as the archive has it, of Maven's jars
kafka_make() {
    mkdir -p -- "$KAFKA/bin" "$KAFKA/libs"
    cp -- deploy/kafka/log4j2.yaml "$KAFKA/"
    printf '#!/bin/sh\nexec java $KAFKA_HEAP_OPTS -Dlog4j2.configurationFile=/opt/kafka/log4j2.yaml -cp "/opt/kafka/libs/*" kafka.Kafka "$@"\n' >"$KAFKA/bin/kafka-server-start.sh"
    printf '#!/bin/sh\nexec java -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile=/opt/kafka/log4j2.yaml -cp "/opt/kafka/libs/*" kafka.tools.StorageTool "$@"\n' >"$KAFKA/bin/kafka-storage.sh"
    chmod 755 -- "$KAFKA"/bin/*
}

# machine_up NAME
machine_up() {
    local -a more=()
    [[ $1 != db1 ]] || more=("--bind-ro=$KAFKA:/opt/kafka" "--bind-ro=$JARS:/opt/kafka/libs")
    machine_use "$1" "${more[@]}"
    box_start
}

# page_blocks: the section's blocks, in files NUMBER.MACHINE; prints whose they are
page_blocks() {
    mkdir -p -- "$BLOCKS"
    awk -v to="$BLOCKS/" '
        /^##/ { here = $0 == "### On several machines" }
        here && /^```[a-z]+[0-9]$/ { file = to (++n) "." substr($0, 4); print substr($0, 4); next }
        /^```/ { file = "" }
        file { print > file }' docs/OPERATING.md | tr '\n' ' '
}

# page_run N NAME: the Nth block, on that machine, as root who logged in
page_run() {
    printf '\n--- %s\n' "$2"
    in_machine "$2" env HOME=/root DEBIAN_FRONTEND=noninteractive bash -exo pipefail -c "cd; $(cat "$BLOCKS/$1".*)"
}

ctl() { in_machine app1 pofrctl "$@"; }
analyst() { in_network app1 mariadb --defaults-file="$POFR_TEST_WORK/analyst.cnf" --host=db1.example.org --batch --skip-column-names pofr -e "$1"; }
answers_to() { [[ $(analyst "$1") == "$2" ]]; }
both_have_rows() { answers_to "SELECT COUNT(DISTINCT host) FROM process WHERE host IN ('web1', 'web2')" 2; }

no_unit_failed() { equal "$(in_machine "$1" systemctl --failed --no-legend)" "" "failed units of $1"; }

# analyst_conf: with the password that was made there
analyst_conf() {
    (
        umask 077
        printf '[client]\nuser = pofr_analyst\npassword = "%s"\nssl-ca = %s\nssl-verify-server-cert\n' \
            "$(cat -- "$POFR_TEST_WORK/app1/etc/pofr/secrets/analyst.pw")" "$POFR_TEST_WORK/app1/etc/pofr/tls/ca.crt" >"$POFR_TEST_WORK/analyst.cnf"
    )
}

the_pages_commands_lead_from_nothing_to_rows_of_both_hosts() {
    local begin number machine
    equal "$(page_blocks)" "app1 db1 db1 db1 app1 web1 app1 " "machines of the blocks"
    begin=$(now_ms)
    for number in 1 2 3 4 5; do
        machine=$(printf '%s\n' "$BLOCKS/$number".*)
        page_run "$number" "${machine##*.}"
    done
    analyst_conf
    page_run 6 web1
    page_run 6 web2
    wait_until 60 both_have_rows
    printf 'figure: from the first apt-get to the first rows of two hosts %s s\n' "$(seconds $(($(now_ms) - begin)))"
    page_run 7 app1
    for machine in "${!ADDRESS[@]}"; do no_unit_failed "$machine"; done
}

# everything_is_stored: whatever both hosts signed, row for row
everything_is_stored() {
    wait_until 60 answers_to 'SELECT COUNT(*) FROM (SELECT host FROM bundle GROUP BY host HAVING COUNT(*) > 2) t' 2
    in_network app1 tests/support/equal.py --shards db1.example.org:3307 --options "$POFR_TEST_WORK/analyst.cnf" --wait 90 --min 2 \
        "$POFR_TEST_WORK"/web{1,2}/var/lib/pofr/agent
    equal "$(analyst 'SELECT host, lost, set_aside, unaccounted FROM conservation WHERE lost <> 0 OR set_aside <> 0 OR unaccounted <> 0')" '' \
        "bundles that are not stored"
}

# it_is_well: no slot has a problem, everything answers, nothing is missing
it_is_well() {
    ctl topic health && ctl status --json >"$POFR_TEST_WORK/status.json" &&
        jq -e '.complete and .unreachable == []' "$POFR_TEST_WORK/status.json" >/dev/null
}

the_cluster_says_that_all_is_well() {
    wait_until 60 it_is_well
    ctl status
    ctl topic check
    ctl verify web1
    ctl verify web2
    everything_is_stored
}

# shown CERTIFICATE OPTION...: what a broker says to who shows it, or shows none
shown() {
    in_network web1 openssl s_client -connect db1.example.org:9092 -verify_return_error -tls1_2 -CAfile "$CA" "$@" </dev/null
}

who_has_no_certificate_of_the_ca_is_refused() {
    local server other=$POFR_TEST_WORK/other said=$POFR_TEST_WORK/said
    CA=$POFR_TEST_WORK/app1/etc/pofr/tls/ca.crt
    { sed '/^ssl-/d' "$POFR_TEST_WORK/analyst.cnf" && printf 'skip-ssl\n'; } >"$POFR_TEST_WORK/plain.cnf"
    build/release/ctl/pofrctl --config /dev/null pki ensure --dir "$other" pofr-admin
    shown -cert "$POFR_TEST_WORK/app1/etc/pofr/tls/worker.pem" -key "$POFR_TEST_WORK/app1/etc/pofr/tls/worker.pem" >/dev/null
    fails shown >"$said" 2>&1
    grep 'SSL alert number' "$said"
    fails shown -cert "$other/pofr-admin.pem" -key "$other/pofr-admin.pem" >"$said" 2>&1
    grep 'SSL alert number' "$said"
    for server in 3306 3307; do
        in_network app1 mariadb --defaults-file="$POFR_TEST_WORK/analyst.cnf" --host=db1.example.org --port=$server -e 'SELECT 1'
        fails in_network app1 mariadb --defaults-file="$POFR_TEST_WORK/plain.cnf" --host=db1.example.org --port=$server -e 'SELECT 1' 2>"$said"
        grep -E '^ERROR (3159|1045)' "$said" # no insecure transport; REQUIRE SSL
        fails in_network app1 mariadb --defaults-file="$POFR_TEST_WORK/analyst.cnf" --host=db1.example.org --port=$server \
            --ssl-ca="$other/ca.crt" -e 'SELECT 1' 2>"$said"
        grep 'certificate' "$said"
    done
}

# witness NAME: a process on web1; nothing is done to find it
witness() { in_machine web1 sh -c "cp /bin/sleep /root/$1 && setsid /root/$1 3000 >/dev/null 2>&1 &"; }
witness_is_found() { answers_to "SELECT COUNT(*) FROM process WHERE host = 'web1' AND exe = '/root/$1'" 1; }
is_cut_off() { ! in_machine "$1" pofr-agent status --connected; }

the_machine_of_the_services_loses_its_power_and_comes_back_by_itself() {
    in_machine app1 true
    box_stop
    wait_until 60 is_cut_off web1
    witness w1
    machine_up app1
    wait_until 120 witness_is_found w1
    wait_until 60 it_is_well
    no_unit_failed app1
    everything_is_stored
}

# Those that need the servers are up before these, and wait.
all_machines_lose_their_power_and_come_back_by_themselves() {
    local name
    for name in web1 db1 app1 web2; do
        in_machine "$name" true
        box_stop
    done
    for name in app1 web1 web2 db1; do
        machine_up "$name" & # it is up when what is enabled has started
        sleep 1
    done
    wait
    witness w2
    wait_until 120 witness_is_found w2
    wait_until 60 it_is_well
    for name in "${!ADDRESS[@]}"; do no_unit_failed "$name"; done
    everything_is_stored
}

build_preset release >/dev/null
JARS=$(deploy/kafka/fetch)
deploy/packages/build --suffix +test1 --output "$DEBS" >/dev/null
mapfile -t MIRROR_PACKAGES < <(what_the_page_installs | sed 's/^[A-Za-z-]*: //' | tr ',' '\n' | sed -E 's/^ *([^ |]+).*/\1/' | grep -v '^pofr' | sort -u)
kafka_make
machines_begin
for name in db1 app1 web1 web2; do
    machine_make "$name"
    [[ $name == db1 ]] || cp -- "$DEBS"/pofr*.deb "$BOX/root/"
    machine_up "$name"
done
# Each needs what those before it left; one that was not asked for is made without being counted.
for name in the_pages_commands_lead_from_nothing_to_rows_of_both_hosts the_cluster_says_that_all_is_well \
    who_has_no_certificate_of_the_ca_is_refused the_machine_of_the_services_loses_its_power_and_comes_back_by_itself \
    all_machines_lose_their_power_and_come_back_by_themselves; do
    if [[ $POFR_TEST_ONLY == "  " || $POFR_TEST_ONLY == *" machines/$name "* ]]; then each_case "$name"; else "$name"; fi
    [[ $suite_failures -eq 0 ]] || break
done
[[ $suite_failures -eq 0 ]]
