# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# next.sh -- the version behind this one: this tree with tests/data/next/next.patch, which writes a kind of record, a field and a
# message of which this one knows nothing, and has a table and a column more. Source it behind suite.sh.

NEXT=$POFR_TREE/build/next

# next_make: its sources as they are here now, its programs in NEXT/build/release
next_make() {
    rm -rf -- "$NEXT"
    mkdir -p -- "$NEXT"
    git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$NEXT" --
    patch --forward --batch --silent -d "$NEXT" -p1 <tests/data/next/next.patch
    cmake -S "$NEXT" -B "$NEXT/build/release" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DBUILD_TESTING=OFF
    cmake --build "$NEXT/build/release"
}
