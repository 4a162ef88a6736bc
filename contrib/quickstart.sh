#!/bin/sh
# quickstart.sh - from a fresh Debian 12 to a first answer and a live switch.
#
# Installs the Debian packages that are missing, builds into build/release, starts modelpd, asks a first
# question, switches while a second client watches, ends the daemon with kill -9 and shows that the switch is
# still there. Safe to run twice: it puts the live choice back, and touches nothing but its build folder and
# modelpd's own paths.
set -eu
cd "$(dirname "$0")/.."
. contrib/packages.sh

say() { printf '\n\033[1m%s\033[0m\n' "$*" | if [ -t 1 ]; then cat; else sed 's/\x1b\[[0-9;]*m//g'; fi; }
show() { printf '$ mpc'; for word in "$@"; do case $word in *[\ \{\|]*) printf " '%s'" "$word" ;; *) printf ' %s' "$word" ;; esac; done; printf '\n'; "$mpc" "$@"; }

say "1. Packages and build"
# shellcheck disable=SC2086
install_packages $build_packages
cmake --preset release >/dev/null
cmake --build --preset release
bin=$PWD/build/release/bin
mpc=$bin/modelpc

say "2. The daemon starts with the first command"
show status

say "3. A provider: a local server if one runs here, else the built-in echo"
"$mpc" provider detect || true
target=$("$mpc" rpc provider.detect --json 2>/dev/null | tr ',{' '\n\n' | sed -n 's/^"ref":"\([^"]*\)".*/\1/p' | head -n 1)
target=${target:-echo:echo}
echo "using $target"
show prompt -m "$target" "Hello, is anybody there?"

say "4. A live switch, seen by a second client at once"
seen=$(mktemp)
"$mpc" watch --format '{active.ref}' >"$seen" &
watcher=$!
trap 'kill "$watcher" 2>/dev/null || :; rm -f "$seen"' EXIT INT TERM
tries=0
while [ ! -s "$seen" ] && [ $tries -lt 50 ]; do
	sleep 0.1
	tries=$((tries + 1))
done
show switch echo:tour --for 10m
sleep 0.3
printf 'the second client saw: '
paste -s -d ' ' "$seen" | sed 's/ / -> /g'

say "5. The daemon dies by kill -9; the switch is still there"
pid=$("$mpc" rpc sys.info --json | tr ',{' '\n\n' | sed -n 's/^"pid"://p')
kill -9 "$pid"
show which
show switch -

say "6. Where things stand"
show status
cat <<END

What to do next (put $bin on your PATH, or: cmake --install build/release)
  mpc providers                       what is known; mpc key set openrouter   stores a key, sealed
  mpc switch openrouter:claude-sonnet-4   for every terminal and editor, until you switch again
  git diff | mpc p "write a commit message"
  mpc --help                          everything else; mpc doctor if something is odd
END
