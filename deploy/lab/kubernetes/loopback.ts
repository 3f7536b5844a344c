// The CNI plugin "loopback", which containerd asks for before a pod's own network. Machines have it
// from their distribution; a node of the lab gets this one, so that nothing need be installed.

/** A shell script; the configuration on its standard input says nothing that matters. */
export const LOOPBACK_PLUGIN = `#!/bin/sh
set -eu
cat > /dev/null
case "$CNI_COMMAND" in
ADD)
  nsenter --net="$CNI_NETNS" ip link set lo up
  printf '{"cniVersion":"0.3.1","interfaces":[{"name":"lo","sandbox":"%s"}],' "$CNI_NETNS"
  printf '"ips":[{"version":"4","address":"127.0.0.1/8","interface":0}]}\\n'
  ;;
VERSION) echo '{"cniVersion":"0.3.1","supportedVersions":["0.3.0","0.3.1","0.4.0","1.0.0"]}' ;;
esac
`;
