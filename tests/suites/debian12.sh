#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# a new Debian 12: packages, unit tests and quickstart where nothing was prepared
# timeout: 1500
# order: 95
# long: yes
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/chroot.sh"
enter_own_mounts "$@"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"
trap 'chroot_end; suite_finish' EXIT

chroot_make bookworm
cases packages_come_and_nothing_starts unit_tests_pass quickstart_answers
