# lib.sh: names and addresses of the real node. Sourced, never run.
# shellcheck shell=bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

NODE_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
N_API=10.77.0.1		# the node, the API server, DNS
N_GIT=10.77.0.3		# git.test, https
N_REGISTRY=10.77.0.4	# registry.test, https; the same store as http at N_API:5000, where containerd pulls and the tests push
N_PODS=10.244.0
N_TOOLS="cluster containerd shim ctr coredns olareg crane cosign regauth gitserver"

# node_pid DIR: the node's process 1, by its number out here; empty when it is gone (an old number may be another process by now).
node_pid() {
	local pid
	pid=$(cat "$1/node.pid" 2>/dev/null) && grep -q node/inside "/proc/$pid/cmdline" 2>/dev/null && echo "$pid" || true
}
