#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# the thread sanitizer over the tests of what has threads
# timeout: 600
# order: 30
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"

# Where addresses are spread widely (vm.mmap_rnd_bits > 28) this sanitizer finds no room for its own.
if setarch -R true 2>/dev/null; then CTEST_WRAPPER=(setarch -R); fi
build_preset tsan || { case_result fail 0.0 tsan/build "the tsan preset does not build"; exit 1; }
run_ctest tsan tsan/ -R '^unit/'
