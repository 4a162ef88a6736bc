#!/bin/sh
# check.sh - installs the Debian packages that are missing, builds with ASan and UBSan, runs every test.
# Words given to it go to ctest: sh contrib/check.sh -R e2e
set -eu
cd "$(dirname "$0")/.."
. contrib/packages.sh
# shellcheck disable=SC2086
install_packages $test_packages
[ "$(id -u)" = 0 ] || echo "note: not root: the few cases that change owners or look into other processes are skipped"
build dev
exec ctest --preset dev "$@"
