#!/bin/sh
# Inside the virtual machine: two pods behind veth pairs of one node, with policies at both. Says
# which of them were reached when. $1: the repository, $2: the Node program, $3: a directory.
set -u
root=$1
node=$2
directory=$3
for module in veth sch_ingress cls_bpf; do modprobe "$module"; done
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
for number in 1 2; do
	ip netns add "pod$number"
	ip link add "veth$number" type veth peer name eth0 netns "pod$number"
	ip link set "veth$number" address 02:00:00:00:00:01 up
	for words in "link set lo up" "link set eth0 address 02:00:00:00:00:02 up" \
		"address add 10.99.0.$number/32 dev eth0" \
		"address add fd99::$number/128 dev eth0 nodad" \
		"route add 169.254.1.1 dev eth0 scope link" \
		"route add default via 169.254.1.1 dev eth0" \
		"neighbour add 169.254.1.1 lladdr 02:00:00:00:00:01 dev eth0" \
		"route add default via fe80::1 dev eth0" \
		"neighbour add fe80::1 lladdr 02:00:00:00:00:01 dev eth0"; do
		# shellcheck disable=SC2086
		ip -n "pod$number" $words
	done
	for address in "10.99.0.$number" "fd99::$number"; do
		ip route add "$address" dev "veth$number"
		ip neighbour add "$address" lladdr 02:00:00:00:00:02 dev "veth$number"
	done
done

policy() {
	"$node" --disable-warning=ExperimentalWarning "$root/tests/vm/policy-smoke.ts" "$directory" "$1"
}

reached() {
	for address in 10.99.0.2 fd99::2; do
		program=ping
		case $address in *:*) program=ping6 ;; esac
		answer=no
		ip netns exec pod1 busybox $program -c 1 -W 5 -s "$1" "$address" >/dev/null 2>&1 && answer=yes
		printf ' %s' "$answer"
	done
}

for step in off closed allowed denied allowed; do
	policy "$step" || exit 1
	echo "$step:$(reached 56)$(reached 4000)"
done
# A connection that is under way: every question of this ping is of one echo's identifier.
ip netns exec pod1 busybox ping -i 1 10.99.0.2 >"$directory/ping" 2>&1 &
ping=$!
until grep -q 'seq=2 ' "$directory/ping"; do sleep 0.2; done
policy denied || exit 1
before=$(grep -c 'seq=' "$directory/ping")
sleep 4
after=$(grep -c 'seq=' "$directory/ping")
echo "cut: $((after - before))"
policy allowed || exit 1
until [ "$(grep -c 'seq=' "$directory/ping")" -gt "$after" ]; do sleep 0.2; done
kill "$ping"
policy report
