# The three steps of setting up, for run.sh: Debian packages, npm packages, eBPF objects. Each is
# quick when nothing is missing and leaves a log under build/ when it had to work.

say() { echo "tombolo: $*" >&2; }

# The end of a log, indented, so that the reason of a failure stands where it is reported.
show_tail() { tail -n 12 "$1" | sed 's/^/    /' >&2; }

# Runs a command with its output in a log; on failure says the sentence and shows the log's end.
run_logged() { # LOG SENTENCE COMMAND...
	log=$1 sentence=$2
	shift 2
	mkdir -p build
	if "$@" >"$log" 2>&1 </dev/null; then
		return 0
	fi
	say "$sentence; the end of $log says:"
	show_tail "$log"
	return 1
}

# Names in the lists, but for those whose command is there by another package.
wanted_debian_packages() {
	sed -n 's/^\([a-z0-9][^ ]*\) \(unless=\([^ ]*\)\)\{0,1\}.*/\1 \3/p' $package_lists |
		while read -r package command; do
			if [ -z "$command" ] || ! command -v "$command" >/dev/null; then
				echo "$package"
			fi
		done
}

is_debian_package() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing_debian_packages() {
	wanted=$(wanted_debian_packages)
	installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2>/dev/null |
		sed -n 's/^installed //p')
	for package in $wanted; do
		case "
$installed
" in
		*"
$package
"*) ;;
		*) echo "$package" ;;
		esac
	done
}

install_debian_packages() {
	if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
		tools_are_there && return 0
		say "this is no Debian: install the equivalents of $(all_package_names) by hand"
		return 1
	fi
	missing=$(missing_debian_packages)
	[ -z "$missing" ] && return 0
	if [ "$(id -u)" != 0 ]; then
		say "Debian packages are missing and installing them needs root:" \
			"run \`sudo apt-get install" $missing"\`"
		return 1
	fi
	say "installing Debian packages that are missing:"
	for package in $missing; do
		sed -n "s/^\($package\)  *\(unless=[^ ]* *\)\{0,1\}\(.*\)/    \1: \3/p" \
			$package_lists >&2
	done
	run_logged build/apt-update.log "cannot refresh Debian's package lists" \
		apt-get -q update || return 1
	without_services run_logged build/apt-install.log "cannot install Debian packages" \
		env DEBIAN_FRONTEND=noninteractive \
		apt-get -q install -y --no-install-recommends $missing
}

all_package_names() {
	sed -n 's/^\([a-z0-9][^ ]*\) .*/\1/p' $package_lists | tr '\n' ' ' | sed 's/ $//'
}

# On other distributions the packages have other names; what counts is that the tools are there.
tools_are_there() {
	for tool in etcd etcdctl nats-server clang bpftool make ip nsenter; do
		command -v "$tool" >/dev/null || return 1
	done
}

# Packages with a daemon that Debian would start: the package, its command, its service.
daemon_packages() {
	echo "etcd-server etcd etcd.service"
	echo "containerd containerd containerd.service"
	echo "nats-server nats-server nats-server.service"
}

# Debian starts a daemon as soon as its package is installed, and at every boot. Tombolo starts
# its own where it needs one; the package's stays off unless it was there before.
without_services() {
	policy=/usr/sbin/policy-rc.d
	new_daemons=$(daemon_packages | while read -r package command service; do
		command -v "$command" >/dev/null || echo "$package $service"
	done)
	made_policy=
	if [ ! -e "$policy" ]; then
		made_policy=yes
		trap 'rm -f "$policy"' EXIT
		trap 'exit 130' INT
		trap 'exit 143' TERM
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
	fi
	status=0
	"$@" || status=$?
	if [ -n "$made_policy" ]; then
		rm -f "$policy"
		trap - EXIT INT TERM
	fi
	if command -v deb-systemd-helper >/dev/null; then
		echo "$new_daemons" | while read -r package service; do
			[ -n "$package" ] && is_debian_package "$package" || continue
			# The helper refuses to work unless it believes that dpkg called it.
			DPKG_MAINTSCRIPT_PACKAGE=$package deb-systemd-helper disable "$service" \
				>/dev/null 2>&1 || true
		done
	fi
	return $status
}

# The stamp is the lock file's checksum, so that a changed lock means a new install and a mere
# checkout does not.
install_npm_packages() {
	stamp=node_modules/.tombolo-lock
	wanted=$(cksum <package-lock.json)
	if [ -x node_modules/.bin/node ]; then
		[ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return 0
		# Installed by hand since the lock file last changed: as good.
		if [ ! -e "$stamp" ] && [ node_modules/.package-lock.json -nt package-lock.json ]; then
			echo "$wanted" >"$stamp"
			return 0
		fi
	fi
	if ! command -v npm >/dev/null; then
		say "npm is missing: install Node 20 or newer with npm"
		exit 1
	fi
	say "installing npm packages (package-lock.json), Node 24 among them"
	run_logged build/npm-ci.log "cannot install npm packages" npm ci --no-progress || exit 1
	if [ ! -x node_modules/.bin/node ]; then
		say "cannot install npm packages: the \"node\" package's install script did not run;" \
			"allow it with \`npm config set ignore-scripts false\`"
		exit 1
	fi
	echo "$wanted" >"$stamp"
}

build_bpf() {
	if ! command -v clang >/dev/null || ! command -v make >/dev/null; then
		say "the eBPF programs are not built: clang or make is missing"
		return 1
	fi
	if make -C bpf -q >/dev/null 2>&1; then
		return 0
	fi
	say "building the eBPF programs"
	run_logged build/bpf-build.log "cannot build the eBPF programs" make -C bpf
}
