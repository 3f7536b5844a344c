#!/bin/sh
# Makes the Debian root that the image stands on where there is no registry to take one from: a
# minimal Debian with the image's packages, as a tar file. Mounts what it needs and leaves that to
# whoever gave it a mount namespace of its own, so that nothing stays mounted however it ends.
#
#   make-base.sh ROOT SUITE MIRROR APT_DIRECTORY PACKAGE_LIST TAR
#
# ROOT is made. APT_DIRECTORY holds this machine's mirrors as apt reads them; they are in the root
# while packages are installed, and not in the tar file.
set -eu

root=$1 suite=$2 mirror=$3 apt=$4 list=$5 tar=$6
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
authorities=/etc/ssl/certs/ca-certificates.crt

echo "unpacking a minimal Debian ($suite)"
debootstrap --variant=minbase "$suite" "$root" "$mirror"

echo "installing the packages of the image"
cp "$apt/sources.list" "$root/etc/apt/sources.list"
cp "$apt/mirrors.conf" "$root/etc/apt/apt.conf.d/99mirrors"
if [ -e "$authorities" ]; then
	cp "$authorities" "$root/tmp/authorities.crt"
	echo 'Acquire::https::CAInfo "/tmp/authorities.crt";' >>"$root/etc/apt/apt.conf.d/99mirrors"
fi
cp "$here/install-packages.sh" "$list" "$root/tmp/"
mount -t proc proc "$root/proc"
chroot "$root" sh /tmp/install-packages.sh "/tmp/$(basename "$list")"
umount "$root/proc"

echo "packing"
# What is this machine's own: its mirrors, its name, its name servers, its authorities.
rm -rf "$root/etc/apt/sources.list" "$root/etc/apt/apt.conf.d/99mirrors" "$root/etc/hostname" \
	"$root/etc/resolv.conf" "$root/tmp"/* "$root/run"/* "$root/debootstrap"
tar --numeric-owner --sort=name --exclude=./dev/* -C "$root" -cf "$tar" .
