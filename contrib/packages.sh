# packages.sh - the Debian packages this project needs, how to install what is missing, and how to build quietly.
# Sourced by quickstart.sh and check.sh from the root of the sources; does nothing by itself.

# to build and run
build_packages="gcc cmake ninja-build pkg-config libc6-dev libevent-dev libcurl4-openssl-dev libmsgpack-dev
	libsqlite3-dev libsodium-dev libyaml-dev libsmartcols-dev libncurses-dev scdoc ca-certificates"
# to test
test_packages="$build_packages libcmocka-dev libjansson-dev python3 python3-pytest python3-msgpack neovim
	python3-hypothesis python3-prometheus-client clang clang-tidy cppcheck libclang-rt-14-dev openssl sqlite3 strace
	procps util-linux git tmux"

log=$PWD/build/contrib.log

# quietly WHAT COMMAND...: one line while it works; what the command said only when it fails.
quietly() {
	mkdir -p build
	printf '%s ... ' "$1"
	shift
	began=$(date +%s)
	if "$@" >"$log" 2>&1; then
		echo "done ($(($(date +%s) - began)) s)"
		return 0
	fi
	echo failed
	# ninja's first failure is the cause; everybody else's is near the end
	{ sed -n '/^FAILED/,$p' "$log" | grep . || cat "$log"; } | tail -n 60 >&2
	echo "all of it: $log" >&2
	return 1
}

# build PRESET: ninja keeps to one line on a terminal; elsewhere it is silent.
build() {
	quietly "configuring build/$1" cmake --preset "$1"
	if [ -t 1 ]; then
		NINJA_STATUS='building [%f/%t] ' cmake --build --preset "$1"
	else
		quietly "building build/$1" cmake --build --preset "$1"
	fi
}

please_install() {
	printf 'Missing packages. Please run, as root, and then this script again:\n  apt-get install %s\n' "$*" >&2
	return 1
}

apt_install() {
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q update &&
		apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@"
}

sudo_install() {
	sudo apt-get -q update &&
		sudo DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 install \
			--no-install-recommends "$@"
}

# install_packages NAME...: asks apt for what dpkg does not have.
install_packages() {
	if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
		echo "This is no Debian; the packages needed have these names there: $*"
		return 0
	fi
	missing=
	for package in "$@"; do
		case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
		"install ok installed") ;;
		*) missing="$missing $package" ;;
		esac
	done
	# shellcheck disable=SC2086
	set -- $missing
	if [ $# = 0 ]; then
		return 0
	elif [ "$(id -u)" = 0 ]; then
		quietly "installing $*" apt_install "$@"
	elif command -v sudo >/dev/null; then
		quietly "installing $*" sudo_install "$@" || please_install "$@"
	else
		please_install "$@"
	fi
}
