#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# everything with gcc, address and undefined sanitizers, and all of CTest
# timeout: 600
# order: 10
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"

build_preset dev || { case_result fail 0.0 unit/build "the dev preset does not build"; exit 1; }
run_ctest dev ""
