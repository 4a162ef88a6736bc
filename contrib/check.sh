#!/bin/sh
# check.sh - installs the Debian packages that are missing, builds with ASan and UBSan, runs every test.
set -eu
cd "$(dirname "$0")/.."
. contrib/packages.sh
# shellcheck disable=SC2086
install_packages $test_packages
cmake --preset dev >/dev/null
cmake --build --preset dev
ctest --preset dev "$@"
