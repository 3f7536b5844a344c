#!/bin/sh
# Runs inside the image: makes the folder that an agent copies to its node, with everything that
# the CNI plugin needs there. The node's own libc may be older, newer, or another one, so Node,
# `ip`, `nsenter` and libbpf come with every library they need and with the loader of those.
#
#   host-closure.sh APP TEMPLATE TARGET
set -eu

app=$1 template=$2 target=$3

mkdir -p "$target/bin" "$target/lib" "$target/libexec" "$target/app/agent" "$target/app/mesh"

# Libraries and the loader, under the names by which they are asked for.
copy_libraries() { # FILE
	ldd "$1" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) .*/\1/p' |
		while read -r library; do
			[ -e "$target/lib/${library##*/}" ] || cp -L "$library" "$target/lib/${library##*/}"
		done
}

# A hard link: in one layer it takes no room.
ln "$(readlink -f "$app/node_modules/.bin/node")" "$target/libexec/node"
for program in ip nsenter; do
	cp -L "$(command -v $program)" "$target/libexec/$program"
done
for program in node ip nsenter; do
	copy_libraries "$target/libexec/$program"
done

# Node loads these by name, so no `ldd` of Node names them.
libbpf=$(ldconfig -p | sed -n 's/.*libbpf\.so\.1 .*=> //p' | head -n 1)
cp -L "$libbpf" "$target/lib/libbpf.so.1"
copy_libraries "$libbpf"

cp -R "$app/agent/cni" "$target/app/agent/cni"
cp -R "$app/mesh/core" "$target/app/mesh/core"
cp -R "$app/bpf" "$target/app/bpf"
cp "$app/package.json" "$app/LICENSE" "$target/app/"

# The native part of koffi goes where koffi looks second. Where it looks first is a package that
# reads the program header of Node for its libc, and the running program is the loader here.
mkdir -p "$target/app/node_modules/koffi/build/koffi"
cp -R "$app/node_modules/koffi/." "$target/app/node_modules/koffi/"
for native in "$app"/node_modules/@koromix/koffi-linux-*/linux_*; do
	copy_libraries "$native/koffi.node"
	cp -R "$native" "$target/app/node_modules/koffi/build/koffi/"
done

cp "$template"/* "$target/bin/"
chmod 755 "$target"/bin/*
