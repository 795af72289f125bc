# lib.sh: what build, up, down and part share. Sourced, never run.
# shellcheck shell=bash

STACK=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$STACK/../.." && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/countersign

fail() { printf 'stack: error: %s\n' "$1" >&2; [ -z "${2:-}" ] || printf 'stack: hint: %s\n' "$2" >&2; exit 1; }

# One line a tool: name, version as shown, module folder, package, and link flags. The demo needs those that SPECIAL does not name;
# tlogcheck is the tests' second verifier of the audit log.
SPECIAL="containerd shim ctr coredns kustomize helm" # for the real node, and for the checks of the manifests
tools() {
	local k=v1.36.3 x
	x="-X k8s.io/component-base/version.gitVersion=$k -X k8s.io/component-base/version.gitMajor=1"
	x="$x -X k8s.io/component-base/version.gitMinor=36 -X k8s.io/client-go/pkg/version.gitVersion=$k"
	x="$x -X k8s.io/client-go/pkg/version.gitMajor=1 -X k8s.io/client-go/pkg/version.gitMinor=36"
	cat <<-END
		cluster|1.36.3|hack/stack/cluster|.|$x
		kwok|0.8.0|hack/stack/kwok|sigs.k8s.io/kwok/cmd/kwok|
		olareg|0.1.2|hack/stack/registry|github.com/olareg/olareg/cmd/olareg|
		crane|0.22.1|hack/stack/registry|github.com/google/go-containerregistry/cmd/crane|
		cosign|3.1.3|hack/stack/cosign|github.com/sigstore/cosign/v3/cmd/cosign|
		regauth|1|hack/stack/servers|./regauth|
		gitserver|1|hack/stack/servers|./gitserver|
		tlogcheck|1|test/tlogcheck|.|
		containerd|2.4.2|hack/stack/node/containerd|github.com/containerd/containerd/v2/cmd/containerd|
		shim|2.4.2|hack/stack/node/containerd|github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2|
		ctr|2.4.2|hack/stack/node/containerd|github.com/containerd/containerd/v2/cmd/ctr|
		coredns|1.14.7|hack/stack/node/dns|.|
		kustomize|5.8.2|hack/stack/kustomize|sigs.k8s.io/kustomize/kustomize/v5|
		helm|4.3.1|hack/stack/helm|helm.sh/helm/v4/cmd/helm|
	END
}

# tool NAME: sets t_name t_version t_folder t_package t_link and t_path, the binary in the cache. The path carries a digest of the
# module's own files, so that a changed recipe is another binary.
tool() {
	local digest
	IFS='|' read -r t_name t_version t_folder t_package t_link < <(tools | grep "^$1|") ||
		fail "no tool is called '$1'" "the tools are: $(tools | cut -d'|' -f1 | tr '\n' ' ')"
	t_folder=$ROOT/$t_folder
	digest=$(find "$t_folder" -type f \( -name '*.go' -o -name 'go.*' \) -print0 | sort -z | xargs -0 sha256sum |
		sed "s|$ROOT/||" | sha256sum | cut -c1-8)
	t_path=$CACHE/bin/$t_name-$t_version-$digest
}

# path_of NAME: prints where the built tool lies.
path_of() { tool "$1"; printf '%s\n' "$t_path"; }

# alive DIR NAME: does the process that the pid file names still run? A pid that was given to another program since does not count.
alive() {
	local pid started
	[ -e "$1/$2.pid" ] && read -r pid started < "$1/$2.pid" && [ -n "$pid" ] && [ "$(born "$pid")" = "$started" ]
}

# born PID: when the process started, in clock ticks after boot; empty when there is none.
born() {
	local stat
	{ stat=$(< "/proc/$1/stat"); } 2>/dev/null || return 0
	stat=${stat##*) }
	# shellcheck disable=SC2086
	set -- $stat
	[ "$1" = Z ] || printf '%s' "${20}"
}

# start DIR NAME: runs the command kept in DIR/NAME.cmd, its output appended to DIR/NAME.log.
start() {
	local pid
	! alive "$1" "$2" || return 0
	(
		exec 9>&-
		cd "$1" && exec setsid bash -c "exec $(cat "$1/$2.cmd")"
	) >> "$1/$2.log" 2>&1 < /dev/null &
	pid=$!
	printf '%s %s\n' "$pid" "$(born "$pid")" > "$1/$2.pid"
}

# part DIR NAME COMMAND…: keeps the command, for restarts, and starts it.
part() {
	local dir=$1 name=$2
	shift 2
	printf '%q ' "$@" > "$dir/$name.cmd"
	start "$dir" "$name"
}

# signal DIR NAME SIGNAL: to the process of that part, if it runs.
signal() {
	local pid
	! alive "$1" "$2" || { read -r pid _ < "$1/$2.pid" && kill -s "$3" "$pid" 2>/dev/null; } || true
}

# stop DIR NAME…: asks all, then waits for each, and kills what is still there after 10 s. A stopped (SIGSTOP) part is continued first.
stop() {
	local dir=$1 name i
	shift
	for name; do signal "$dir" "$name" CONT; signal "$dir" "$name" "$([ "$name" = apiserver ] && echo KILL || echo TERM)"; done
	for name; do
		for ((i = 0; i < 200; i++)); do
			alive "$dir" "$name" || break
			[ "$i" != 190 ] || signal "$dir" "$name" KILL
			sleep 0.05
		done
		rm -f "$dir/$name.pid"
	done
}

# until_true SECONDS WHAT COMMAND…: waits, and names what did not come.
until_true() {
	local seconds=$1 what=$2 i
	shift 2
	for ((i = 0; i < seconds * 20; i++)); do
		! "$@" > /dev/null 2>&1 || return 0
		sleep 0.05
	done
	fail "$what did not come up in $seconds s" "see the logs in ${DIR:-the folder of the stack}"
}

listens() { (exec 3<> "/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
