#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machines with a systemd of their own that enrol unattended: by cloud-init, by what kickstart leaves, by Ansible with packages
# timeout: 1800
# order: 60
# jobs: 1
# long: yes
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/chroot.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/box.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/services.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/ansible.sh"
trap 'box_end; suite_finish' EXIT

W=$POFR_TEST_WORK
BOX_MORE=(cloud-init curl python3 python3-apt)

ctl() { build/release/ctl/pofrctl --quiet --config "$POFR_STATE/etc/ctl.conf" "$@"; }

cluster() {
    [[ ! -e $W/cluster ]] || return 0
    build_preset release >/dev/null
    quickstart start kafka head shard1 shard2
    ctl migrate
    ctl shard add shard1 --address "127.0.0.1:$(part_field shard1 3)" --if-exists update
    ctl shard add shard2 --address "127.0.0.1:$(part_field shard2 3)" --if-exists update
    ctl topic create
    quickstart start gateway worker1 worker2 merger
    touch "$W/cluster"
}

# token NAME: its one line
token() { ctl --json token create --host "$1" --expires 30m --gateway "127.0.0.1:$(part_field gateway 3)" | jq -r .token; }

# repository: what an operator's archive is, in the box
repository() {
    [[ -d $W/debs ]] || deploy/packages/build --output "$W/debs" >"$W/debs.log" 2>&1 || { tail -n 40 -- "$W/debs.log"; return 1; }
    mkdir -p -- "$BOX/var/tmp/archive"
    cp -- "$W"/debs/pofr-agent_*.deb "$W"/debs/pofr-common_*.deb "$BOX/var/tmp/archive/"
    (cd -- "$BOX/var/tmp/archive" && dpkg-scanpackages --multiversion . >Packages)
    rm -f -- "$BOX"/etc/apt/sources.list "$BOX"/etc/apt/sources.list.d/*
    printf 'deb [trusted=yes] file:/var/tmp/archive ./\n' >"$BOX/etc/apt/sources.list"
}

# box_new NAME: another machine than the last one
box_new() {
    box_end
    box_make empty
    printf '%s\n' "$1" >"$BOX/etc/hostname"
}

records() { answers_to "SELECT COUNT(*) FROM host WHERE host = '$1' AND bundles > 0" 1; }

# recorded NAME: it came by itself, its two services run, and SQL has what it recorded
recorded() {
    wait_until 300 records "$1" || { in_box journalctl --no-pager -n 60; return 1; }
    wait_until 60 is_active pofr-collector
    is_active pofr-shipper
    equal "$(sql "SELECT state FROM host WHERE host = '$1'")" active
}

# forgotten SECRET: on its disk and in its memory
forgotten() {
    sync
    nowhere "$1" "$BOX"/{etc,home,opt,root,var} "/proc/$BOX_LEADER/root/run" "/proc/$BOX_LEADER/root/tmp"
}

a_machine_of_a_cloud_enrols_at_its_first_boot() {
    local t seed
    cluster
    box_new cloud1
    repository
    t=$(token cloud1)
    seed=$BOX/var/lib/cloud/seed/nocloud
    mkdir -p -- "$seed"
    sed "s/TOKEN/$t/" deploy/enrol/cloud-init/pofr-agent.yaml >"$seed/user-data"
    grep -qF -- "      $t" "$seed/user-data"
    printf 'instance-id: i-1\nlocal-hostname: cloud1\n' >"$seed/meta-data"
    # of this machine's network, which is the box's too, nothing is to be changed; what a minimal system lacks is not to be made
    printf 'datasource_list: [NoCloud]\nnetwork: {config: disabled}\napt: {preserve_sources_list: true}\nlocale: false\nssh_genkeytypes: []\n' >"$BOX/etc/cloud/cloud.cfg.d/99-box.cfg"
    ROOT=$BOX in_chroot cloud-init schema --config-file /var/lib/cloud/seed/nocloud/user-data
    fails nowhere "${t##*.}" "$BOX/var/lib/cloud"
    box_start
    recorded cloud1
    in_box cloud-init status --wait || { in_box cat /var/log/cloud-init-output.log; return 1; }
    forgotten "${t##*.}"
    equal "$(in_box systemctl is-enabled pofr-agent)" enabled
    in_box sh /run/pofr-enrol/first-boot # again: nothing is done
    equal "$(admin_sql head "SELECT COUNT(*) FROM pofr_catalog.host WHERE host LIKE 'cloud1%'")" 1
}

a_machine_that_was_installed_enrols_when_it_starts() {
    local t
    cluster
    [[ -d $W/archive ]] || deploy/archive/build --output "$W/archive" >"$W/archive.log" 2>&1 || { tail -n 40 -- "$W/archive.log"; return 1; }
    box_new installed1
    cp -- "$W"/archive/pofr-agent-*.tar.gz "$BOX/var/tmp/agent.tar.gz"
    t=$(token installed1)
    sed -e "s/TOKEN/$t/" -e 's|"ARCHIVE"|"file:///var/tmp/agent.tar.gz"|' deploy/enrol/kickstart/pofr-agent.ks >"$BOX/root/anaconda-ks.cfg"
    part "$BOX/root/anaconda-ks.cfg" '%post --erroronfail --log=/var/log/pofr-post.log' %end >"$BOX/post"
    ROOT=$BOX in_chroot sh /post
    rm -- "$BOX/post"
    box_start
    recorded installed1
    forgotten "${t##*.}"
    [[ ! -e $BOX/etc/pofr/enrol.token ]]
    in_box systemctl start pofr-enrol # again: its condition is not met
    is_inactive pofr-enrol
    equal "$(admin_sql head "SELECT COUNT(*) FROM pofr_catalog.host WHERE host LIKE 'installed1%'")" 1
}

# From the operator's archive to a service that runs; then nothing; then another configuration, which restarts it
ansible_makes_a_service_of_it() {
    local pid
    cluster
    box_new playbook1
    repository
    box_start
    in_box apt-get -q update
    ansible_make
    inventory_of playbook1 "$BOX_LEADER"
    cat >"$A/variables.yml" <<EOV
pofr_ctl: [$POFR_TREE/build/release/ctl/pofrctl, --config, $POFR_STATE/etc/ctl.conf]
EOV
    play "$W/first"
    equal "$(recap "$W/first" failed)" 0
    recorded playbook1
    pid=$(show pofr-collector MainPID)
    play "$W/second"
    equal "$(recap "$W/second" changed) $(recap "$W/second" failed)" "0 0" "changes"
    equal "$(show pofr-collector MainPID)" "$pid" "the collector"
    cat >>"$A/variables.yml" <<EOV
pofr_agent_options:
  agent: {state_dir: /var/lib/pofr/agent, runtime_dir: /run/pofr/agent, collector_user: pofr-collector, shipper_user: pofr-shipper}
  collect: {tick: 500ms}
EOV
    play "$W/third"
    equal "$(recap "$W/third" failed)" 0
    fails equal "$(show pofr-collector MainPID)" "$pid" "the collector, with another configuration"
    is_active pofr-collector
    sed -i 's/tick: 500ms/tick: soon/' "$A/variables.yml" # which the agent does not take: the file stays as it is
    fails play "$W/fourth"
    grep -q '^tick = 500ms' "$BOX/etc/pofr/agent.conf"
}

# By the installer's own reader of such files
kickstart_takes_its_part() {
    local version
    python3 -m pip install -q --target "$W/pykickstart" pykickstart
    for version in RHEL8 RHEL9 F40; do
        PYTHONPATH=$W/pykickstart python3 "$W/pykickstart/bin/ksvalidator" --version "$version" deploy/enrol/kickstart/pofr-agent.ks
    done
    grep -v '^%end' deploy/enrol/kickstart/pofr-agent.ks >"$W/wrong.ks"
    fails env PYTHONPATH="$W/pykickstart" python3 "$W/pykickstart/bin/ksvalidator" --version RHEL9 "$W/wrong.ks"
}

cases kickstart_takes_its_part a_machine_of_a_cloud_enrols_at_its_first_boot a_machine_that_was_installed_enrols_when_it_starts \
    ansible_makes_a_service_of_it
