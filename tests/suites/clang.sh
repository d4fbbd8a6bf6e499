#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# everything with clang, optimised, without sanitizers, and all of CTest
# timeout: 600
# order: 20
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"

build_preset clang || { case_result fail 0.0 clang/build "the clang preset does not build"; exit 1; }
run_ctest clang clang/
