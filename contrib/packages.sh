# packages.sh - the Debian packages this project needs, and how to install what is missing.
# Sourced by quickstart.sh and check.sh; does nothing by itself.

# to build and run
build_packages="gcc cmake ninja-build pkg-config libc6-dev libevent-dev libcurl4-openssl-dev libmsgpack-dev
	libsqlite3-dev libsodium-dev libsmartcols-dev scdoc ca-certificates"
# to test
test_packages="$build_packages libcmocka-dev libjansson-dev python3-pytest python3-msgpack neovim cppcheck
	clang clang-tidy libclang-rt-14-dev openssl sqlite3 strace procps util-linux git"

# install_packages NAME...: asks apt for what dpkg does not have.
install_packages() {
	missing=
	for package in "$@"; do
		case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
		"install ok installed") ;;
		*) missing="$missing $package" ;;
		esac
	done
	[ -n "$missing" ] || return 0
	if ! command -v apt-get >/dev/null; then
		echo "These packages are needed (names of Debian 12):$missing" >&2
		return 1
	fi
	sudo=
	if [ "$(id -u)" != 0 ]; then
		sudo=sudo
		command -v sudo >/dev/null || {
			echo "Please install, as root: apt-get install$missing" >&2
			return 1
		}
	fi
	echo "installing:$missing"
	$sudo apt-get update -q >/dev/null
	# shellcheck disable=SC2086
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -q \
		--no-install-recommends $missing >/dev/null
}
