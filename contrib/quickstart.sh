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

bold= plain=
[ -t 1 ] && bold=$(printf '\033[1m') plain=$(printf '\033[0m')
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }

# show WORDS...: mpc as a person would type it, and what it says
show() {
	printf '$ mpc'
	for word in "$@"; do
		case $word in
		*[!A-Za-z0-9:@%+=,./_-]*) printf " '%s'" "$word" ;;
		*) printf ' %s' "$word" ;;
		esac
	done
	printf '\n'
	"$mpc" "$@" </dev/null
}

# column N of the running daemon's "version pid uptime_ms clients socket streams"; nothing when none runs
daemon() { "$mpc" daemon status --plain 2>/dev/null </dev/null | cut -f "$1"; }

# within TENTHS COMMAND...: waits until the command succeeds, but not for ever
within() {
	left=$1
	shift
	until "$@" 2>/dev/null; do
		left=$((left - 1))
		[ "$left" -gt 0 ] || return 1
		sleep 0.1
	done
}

# A fresh machine may lack what a login would have set.
if [ -z "${HOME:-}" ]; then
	HOME=$(getent passwd "$(id -u)" | cut -d: -f6)
	export HOME
fi
if [ -n "${XDG_RUNTIME_DIR:-}" ] && ! { [ -d "$XDG_RUNTIME_DIR" ] && [ -O "$XDG_RUNTIME_DIR" ]; }; then
	echo "note: XDG_RUNTIME_DIR=$XDG_RUNTIME_DIR is no folder of $(id -un)'s; going on without it (unset it, too)"
	unset XDG_RUNTIME_DIR
fi

say "1. Packages and build"
# shellcheck disable=SC2086
install_packages $build_packages
build release
bin=$PWD/build/release/bin
mpc=$bin/modelpc

say "2. The daemon starts with the first command"
uptime=$(daemon 3)
if [ -n "$uptime" ] && [ $(($(date +%s) - uptime / 1000)) -le "$(stat -c %Y "$bin/modelpd")" ]; then
	echo "a modelpd older than this build is running ($(daemon 1)); it is restarted, your choices stay"
	"$mpc" daemon restart --quiet
fi
show status

say "3. A provider: a local server if one runs here, else the built-in echo"
target=$("$mpc" provider detect --plain 2>/dev/null </dev/null | cut -f 4 | grep -m 1 . || :)
if [ -n "$target" ]; then
	show provider detect
else
	echo "no local model server was found: the built-in echo stands in"
	target=echo:echo
fi
show prompt -m "$target" -o max_tokens=200 "Hello, is anybody there?" || {
	echo "$target did not answer; the built-in echo stands in"
	show prompt -m echo:echo "Hello, is anybody there?"
}

say "4. A live switch, seen by a second client at once"
seen=$(mktemp)
watcher= switched=
leave() {
	[ -z "$watcher" ] || kill "$watcher" 2>/dev/null || :
	rm -f "$seen"
	# interrupted in the middle: what was chosen before comes back
	[ -z "$switched" ] || "$mpc" switch - --quiet >/dev/null 2>&1 </dev/null || :
}
trap leave EXIT
trap 'exit 130' HUP INT PIPE TERM
"$mpc" watch --format '{active.ref}' >"$seen" 2>/dev/null </dev/null &
watcher=$!
within 50 test -s "$seen"
switched=yes
show switch echo:tour --for 10m
within 20 grep -q echo:tour "$seen"
echo "the second client saw: $(paste -s -d ' ' "$seen" | sed 's/ / -> /g')"
kill "$watcher"
watcher=

say "5. The daemon dies by kill -9; the switch is still there"
# (a container without an init keeps the dead as zombies)
is_gone() { ! kill -0 "$1" || grep -q '^State:.Z' "/proc/$1/status"; }
pid=$(daemon 2)
if [ "$(daemon 6)" = 0 ]; then
	echo "\$ kill -9 $pid"
	kill -9 "$pid"
	within 50 is_gone "$pid" || :
else
	echo "(somebody's answer is being streamed: the daemon is left alive this time)"
fi
show which
show switch -
switched=

say "6. Where things stand"
show status
cat <<END

What to do next (put $bin on your PATH, or: cmake --install build/release)
  mpc providers                          what is known; mpc key set openrouter stores a key, sealed
  mpc switch openrouter:claude-sonnet-4  for every terminal and editor, until you switch again
  git diff | mpc p "write a commit message"
  mpc --help                             everything else; mpc doctor if something is odd
  mpc daemon stop                        end the daemon; the next mpc starts it again
END
