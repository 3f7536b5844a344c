#!/bin/sh
# Runs inside the image, as root: installs the Debian packages of a list that are missing, with
# what Debian's security team has fixed since the base was made, and removes everything that only
# people at a keyboard read. Run again where all is installed, it asks no mirror.
#
#   install-packages.sh LIST
set -eu

list=$1
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

is_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=
for package in $(sed -n 's/^\([a-z0-9][^ ]*\) .*/\1/p' "$list"); do
	is_installed "$package" || missing="$missing $package"
done

if [ -n "$missing" ]; then
	# Debian starts a daemon as soon as its package is there; here nobody is to run it.
	printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
	chmod 755 /usr/sbin/policy-rc.d
	apt-get -q update
	apt-get -q -y upgrade
	apt-get -q -y install --no-install-recommends $missing
	rm -f /usr/sbin/policy-rc.d
fi

apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/cache/ldconfig/* \
	/var/lib/dpkg/*-old /usr/share/man /usr/share/info /usr/share/locale /usr/share/lintian \
	/usr/share/groff /usr/share/bash-completion /var/log/*
# Licences stay.
find /usr/share/doc -type f ! -name copyright -delete
find /usr/share/doc -depth -type d -empty -delete
