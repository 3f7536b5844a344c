#!/bin/sh
# What `npm start`, `npm test` and `npm run check|bench|build|docs|image` run: sets up what is
# missing (Debian packages, npm packages, eBPF objects), says what and why, then does the job with
# the project's own Node. POSIX sh, because it runs before anything of the project is installed.
set -eu

root=$(CDPATH= cd -- "$(dirname -- "$0")/../.." && pwd)
cd "$root"
here=deploy/setup
package_lists=$here/apt-packages.txt
verb=${1:-}
[ $# -gt 0 ] && shift
. "$here/packages.sh"

case $verb in
start | bench | build) setup=required ;;
# Building the image takes the tools that tests use.
image) setup=required package_lists="$package_lists $here/apt-packages-test.txt" ;;
# Tiers that cannot run here are skipped, loudly; what can run does.
test) setup=optional package_lists="$package_lists $here/apt-packages-test.txt" ;;
check) setup=optional ;;
docs) setup=none ;;
*)
	echo "usage: sh deploy/setup/run.sh start|test|check|bench|build|docs|image [ARGUMENTS]" >&2
	exit 2
	;;
esac

install_npm_packages
if [ "$setup" != none ]; then
	install_debian_packages || [ "$setup" = optional ] || exit 1
	build_bpf || [ "$setup" = optional ] || exit 1
fi

node="$root/node_modules/.bin/node --disable-warning=ExperimentalWarning"
case $verb in
start) exec $node deploy/start.ts "$@" ;;
test) exec $node tests/run.ts "$@" ;;
check) exec $node deploy/setup/check.ts "$@" ;;
bench) exec $node tests/bench/main.ts "$@" ;;
docs) exec $node deploy/docs/main.ts "$@" ;;
image) exec $node deploy/images/main.ts "$@" ;;
build) say "everything is installed and built" ;;
esac
