#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# clang-tidy over every source file
# timeout: 900
# order: 40
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"

every_file_is_tidy() { build_preset tidy -- -k 0; } # all findings, not the first
cases every_file_is_tidy
