#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# a new Debian 13: packages, unit tests, quickstart, and accounts of SCRAM where nothing was prepared
# timeout: 1800
# order: 95
# long: yes
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/chroot.sh"
enter_own_mounts "$@"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"
trap 'chroot_end; suite_finish' EXIT

# Here librdkafka and Kafka 4 understand each other: gateway, workers, merger and pofrctl come in by SCRAM.
accounts_of_scram_do_as_well() {
    local last
    in_chroot /src/tests/run tls/the_whole_path_goes_by_tls tls/accounts_of_scram_do_as_well | tee "$POFR_TEST_WORK/scram.out"
    last=$(tail -n 1 "$POFR_TEST_WORK/scram.out")
    [[ $last == '2 passed, 0 failed' ]]
    grep -q '^all came by SCRAM' "$ROOT"/src/build/test-logs/tls.accounts_of_scram_do_as_well.log
}

chroot_make trixie
cases packages_come_and_nothing_starts unit_tests_pass quickstart_answers accounts_of_scram_do_as_well
