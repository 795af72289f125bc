"""The world of the cluster's story: Countersign in its pod, a team, its repository, and small images that really run."""

import base64
import contextlib
import os
import pathlib
import re
import signal
import threading
import time

from harness.apps import Apps
from harness.auditlog import ApiServerLog, CountersignLog
from harness.controller import ACCOUNT, NAMESPACE, binary, cli, process_status
from harness.gitrepo import Repo
from harness.stack import ROOT, run
from harness.tenant import WORKLOAD_RULES, Tenant, image_policy, obj, role_pair
from harness.wait import SCALE, until
from harness.web import parse

USER = "65532"
POD = "countersign-controller-0"
PROGRAM = r"""
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
static void stop(int s) { (void)s; _exit(0); }
int main(int count, char **words)
{
	signal(SIGTERM, stop);
	printf("%s runs\n", count > 1 ? words[1] : "%NAME%");
	fflush(stdout);
	if (count > 2)
		return 0; /* an init container */
	for (;;)
		pause();
}
"""


class Image:
    """An image that runs, by the name under which the cluster and Countersign know it."""

    def __init__(self, stack, name, tag, digest):
        self.stack, self.name, self.tag, self.digest = stack, name, tag, digest

    @property
    def ref(self):
        return f"{self.stack.registry_name}/{self.name}:{self.tag}"

    @property
    def pinned(self):
        return f"{self.stack.registry_name}/{self.name}@{self.digest}"

    @property
    def pinned_tag(self):
        return f"{self.ref}@{self.digest}"

    def sign(self, key):
        run(self.stack.cosign, "sign", "--key", key.private, "--yes", "--tlog-upload=false", "--use-signing-config=false",
            f"{self.stack.registry}/{self.name}@{self.digest}", env={"COSIGN_PASSWORD": ""})
        return self


def lives(pid):
    """Not one that is dead and only not yet reaped."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _kills(events):
    """How many the OOM killer took of a control group; of one that is gone, all."""
    try:
        return next(int(line.split()[1]) for line in events.read_text().splitlines() if line.startswith("oom_kill "))
    except OSError:
        return -1


def open_in(pid):
    """What is wrong with how that process is closed in, or None."""
    status = process_status(pid)
    good = set(status["Uid"].split()) == {USER} and set(status["Gid"].split()) == {USER} and status["Seccomp"] == "2" and status["NoNewPrivs"] == "1"
    return None if good and all(int(status[f"Cap{kind}"], 16) == 0 for kind in ("Eff", "Prm", "Inh", "Bnd", "Amb")) else str(status)


class World(Apps):
    system = NAMESPACE

    def __init__(self, stack, kube, keys, folder):
        self.stack, self.kube, self.folder = stack, kube, pathlib.Path(folder)
        self.key = keys("release")
        self.requests = ApiServerLog(stack)
        self.repo = Repo(stack, self.folder / "shop", "ops/shop", tls=True)
        self.own = Repo(stack, self.folder / "own", "ops/countersign", tls=True)
        self.team = Tenant(kube, NAMESPACE, "shop", ["shop"], ["https://git.test/open/ops/*"], rules=WORKLOAD_RULES)
        self.played, self.failed = [], None

    # --- images ---

    def image(self, name, tag="1", signed=True):
        """Builds and pushes shop/NAME:TAG: a static program that says its name and waits."""
        work = self.folder / f"image-{name}-{tag}"
        work.mkdir(exist_ok=True)
        (work / "main.c").write_text(PROGRAM.replace("%NAME%", f"{name} {tag}"))
        run("gcc", "-static", "-Os", "-s", "-o", work / "app", work / "main.c")
        run("tar", "-C", work, "--owner=0", "--group=0", "-cf", work / "layer.tar", "app")
        reference = f"{self.stack.registry}/shop/{name}:{tag}"
        run(self.stack.crane, "append", "--oci-empty-base", "--new_layer", work / "layer.tar", "--new_tag", reference)
        run(self.stack.crane, "mutate", "--entrypoint", "/app", "--user", USER, "--set-platform", "linux/amd64", "--tag", reference, reference)
        image = Image(self.stack, f"shop/{name}", tag, run(self.stack.crane, "digest", reference).stdout.strip())
        return image.sign(self.key) if signed else image

    def build_own(self, epoch, signed=True):
        """Makes, pushes and signs the image of Countersign itself; another epoch is another version."""
        tag = str(epoch)
        key = ["--key", self.key.private] if signed else []
        done = run(ROOT / "hack/image", self.folder / f"own-{tag}", "--push", f"{self.stack.registry}/countersign:{tag}", *key, seconds=900,
                   env={"SOURCE_DATE_EPOCH": tag, "COSIGN_PASSWORD": ""})
        digest = re.search(r"@(sha256:[0-9a-f]{64})", done.stdout)[1]
        return Image(self.stack, "countersign", tag, digest), done.stdout

    # --- the installation ---

    def manifests(self, image):
        """install.yaml of this version, for that image. Repositories are looked at every second, to wait less; the project "platform" may manage
        the installation itself."""
        text = cli("install", "--export", "--image", image.pinned, check=True).stdout
        assert text.count('"--listen=:8080"]') == 1
        return text.replace('"--listen=:8080"]', '"--listen=:8080", --poll=1s, --admin-project=platform]')

    def install(self, image):
        file = self.folder / "install.yaml"
        file.write_text(self.manifests(image))
        self.kube.kubectl("apply", "--server-side", "-f", str(file))
        return file

    def connect(self):
        """What an administrator does once for a team: authorities of Git and registry, project, right, policies."""
        ca = pathlib.Path(self.stack.git_ca).read_text()
        self.kube.apply(obj("v1", "ConfigMap", "countersign-tls-certs", NAMESPACE, data={"git.test": ca, "registry.test": ca}),
                        obj("v1", "Namespace", "shop"))
        self.team.create()
        self.kube.apply(image_policy(NAMESPACE, "shop", ["registry.test/shop/**"], [self.key]))

    # --- pods and their processes ---

    def pod(self, name=POD, namespace=NAMESPACE):
        return self.kube.find("v1", "Pod", namespace, name)

    def ready(self, name=POD, after_uid=None, restarts=None, seconds=60):
        """Waits until the pod is ready; another one than `after_uid`, with at least so many restarts."""
        def look():
            pod = self.pod(name) or {}
            status = (pod.get("status", {}).get("containerStatuses") or [{}])[0]
            return {"uid": pod.get("metadata", {}).get("uid"), "ready": status.get("ready", False), "restarts": status.get("restartCount", 0),
                    "state": status.get("state"), "image": status.get("imageID", "")}

        return until(f"pod {name} to be ready", look, lambda s: s["ready"] and s["uid"] != after_uid and (restarts is None or s["restarts"] >= restarts),
                     seconds)

    def said(self, pod=POD, lines=40):
        """The last lines that the containers of all pods of that name wrote."""
        files = sorted((self.stack.folder / "log/pods").glob(f"{NAMESPACE}_{pod}_*/*/*.log"), key=lambda f: f.stat().st_mtime)
        return "\n".join("".join(f.read_text(errors="replace") for f in files).splitlines()[-lines:])

    def processes(self, pod=POD):
        """role → pids (of the machine) of that pod's processes."""
        uid = self.pod(pod)["metadata"]["uid"]
        out = {}
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                if not re.search(r"(^|/)countersign$", words[0]) or uid not in (entry / "cgroup").read_text().replace("_", "-"):
                    continue
                role = words[words.index("--role") + 1] if "--role" in words else "supervisor"
                out.setdefault(role, []).append(int(entry.name))
        return out

    def leader(self):
        lease = self.kube.get("coordination.k8s.io/v1", "Lease", NAMESPACE, "countersign")
        return lease["spec"]["holderIdentity"].split("_")[0]

    def cost(self):
        """Memory of all processes of the pod that leads (each shared page by its share), and their processor time."""
        kib = count = 0
        for pids in self.processes(self.leader()).values():
            for pid in pids:
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    kib += int(re.search(r"(?m)^Pss:\s+(\d+)", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text())[1])
                    count += 1
        return f"{kib / 1024:.0f} MiB in {count} processes, {self.processor_time():.2f} s"

    def processor_time(self):
        """Seconds that the processes of the pod that leads, as they are now, have run."""
        seconds = 0
        for pid in [pid for pids in self.processes(self.leader()).values() for pid in pids]:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                seconds += int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
        return seconds

    def at_rest(self, seconds=5):
        """Percent of a core that the pod uses while nothing happens; its repositories are looked at every second."""
        before = self.processor_time()
        time.sleep(seconds)
        return 100 * (self.processor_time() - before) / seconds

    @contextlib.contextmanager
    def watched(self):
        """Inside the block each process of the pod is looked at, again and again: role → how often it was found closed in."""
        seen, wrong, end = {}, [], threading.Event()

        def watch():
            while not end.is_set():
                with contextlib.suppress(AttributeError, TypeError):  # no pod in this moment
                    for role, pid in [(role, pid) for role, pids in self.processes().items() for pid in pids]:
                        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                            why = open_in(pid)
                            seen[role] = seen.get(role, 0) + 1
                            wrong.extend([f"{role}: {why}"] if why else [])

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield seen
        finally:
            end.set()
            thread.join()
        assert not wrong, wrong

    def metrics(self, pod=POD):
        return parse(self.kube.kubectl("get", "--raw", f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}:8080/proxy/metrics").stdout)

    def kill(self, role, number=signal.SIGKILL, pod=POD):
        (pid, *_) = self.processes(pod)[role]
        os.kill(pid, number)
        return pid

    def run_out_of_memory(self, work, pid=None):
        """The container's limit is drawn in around what is used until the kernel's OOM killer took a process, its own first choice (or `pid`, made that); how many."""
        core = self.processes()["core"][0]
        if pid:
            pathlib.Path(f"/proc/{pid}/oom_score_adj").write_text("1000")
        line = next(x for x in pathlib.Path(f"/proc/{core}/cgroup").read_text().splitlines() if ":memory:" in x or x.startswith("0::"))
        old = ":memory:" in line
        group = pathlib.Path("/sys/fs/cgroup/memory" if old else "/sys/fs/cgroup") / line.split(":", 2)[2].lstrip("/")
        limit, usage, events = ((group / name) for name in (("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.oom_control") if old else
                                                            ("memory.max", "memory.current", "memory.events")))
        limit_before, kills_before, end = limit.read_text().strip(), _kills(events), time.monotonic() + 20 * SCALE
        working = threading.Thread(target=work)
        working.start()
        try:
            while _kills(events) == kills_before or (pid and lives(pid)):
                assert time.monotonic() < end, "the OOM killer did not come"
                kills = _kills(events)
                # as far in as the kernel lets us (EBUSY: nothing more can be reclaimed); what is asked for next is then too much
                for less in (2 << 20, 1 << 19, 1 << 17, 1 << 14, 0):
                    with contextlib.suppress(OSError):
                        limit.write_text(str(int(usage.read_text()) - less))
                        break
                if not working.is_alive():
                    working = threading.Thread(target=work)
                    working.start()
                # once one is dead the limit is given back at once: the others are to live
                until_dead = time.monotonic() + 0.5
                while _kills(events) == kills and time.monotonic() < until_dead:
                    time.sleep(0.001)
                with contextlib.suppress(OSError):
                    limit.write_text(limit_before)
            return _kills(events) - kills_before
        finally:
            working.join()

    def inside(self, *command):
        """Runs a command among the node's own processes."""
        return run(ROOT / "hack/stack/node/in", self.stack.folder, "--all", *command, seconds=120)

    def part(self, verb, *names):
        self.inside(ROOT / "hack/stack/part", self.stack.folder, verb, *names)

    # --- the log on its volume ---

    def log_of(self, number=0):
        claim = self.kube.get("v1", "PersistentVolumeClaim", NAMESPACE, f"data-countersign-controller-{number}")
        volume = self.kube.get("v1", "PersistentVolume", None, claim["spec"]["volumeName"])
        return CountersignLog(binary(), volume["spec"]["local"]["path"])

    @property
    def log(self):
        return self.log_of(0)

    def whole(self, *numbers):
        """Every log verifies, every write of the cluster's audit log is in one of them, and none took effect twice."""
        records = []
        for number in numbers or (0,):
            done = self.log_of(number).verify()
            assert done.returncode == 0, done.stdout + done.stderr
            records += self.log_of(number).records()
        sent = self.requests.governed(user=f":{NAMESPACE}:{ACCOUNT}")
        recorded = {a["audit_id"] for r in records if r["kind"] == "sync.result" for o in r["objects"] for a in o["attempts"]}
        assert {e["auditID"] for e in sent} <= recorded, f"writes without a record: {[e['auditID'] for e in sent if e['auditID'] not in recorded]}"
        self._once(records, [e["auditID"] for e in sent if e["responseStatus"]["code"] < 300])
        return len(sent)

    def _once(self, records, answered):
        """What a commit says of an object is written once, whatever died in between; only what others changed is written again. To adopt an object
        takes two requests, of one intent: one that takes the former manager's fields from it, and the apply."""
        announced = {o["audit_id"]: (r.get("git", {}).get("commit"), o["op"], o["gvk"], o.get("ns"), o["name"], o.get("sha256_after"))
                     for r in records if r["kind"] == "sync.intent" for o in r["objects"]}
        acts = [audit_id.rsplit(".", 1)[0] for audit_id in answered]
        acts = [act for act in acts if announced[act][1] != "adopt"] + sorted({act for act in acts if announced[act][1] == "adopt"})
        written = [announced[act] for act in acts]
        twice = [w for w in set(written) if w[1] != "heal" and written.count(w) > 1]
        assert not twice and len(answered) == len(set(answered)), f"written twice: {twice}"

    def applier(self):
        """The account with which Countersign manages itself: an administrator's choice, and an administrator's rights."""
        rbac = "rbac.authorization.k8s.io"
        return [obj("v1", "ServiceAccount", "platform-applier", NAMESPACE),
                obj(f"{rbac}/v1", "ClusterRoleBinding", "platform-applier", roleRef={"apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-admin"},
                    subjects=[{"kind": "ServiceAccount", "name": "platform-applier", "namespace": NAMESPACE}]),
                *role_pair("Role", "impersonate-platform-applier", NAMESPACE,
                           [{"apiGroups": [""], "resources": ["serviceaccounts"], "resourceNames": ["platform-applier"], "verbs": ["impersonate"]}],
                           ACCOUNT, NAMESPACE)]

    def flip_byte(self):
        """Somebody on the node changes one byte of the log; returns what undoes it."""
        tile = next(p for p in sorted((self.log.folder / "tile").rglob("*")) if p.is_file() and "entries" in str(p))
        data = tile.read_bytes()
        at = len(data) // 2
        tile.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1:])
        return lambda: tile.write_bytes(data)

    def token_of_pod(self, pod=POD):
        """The projected token as the pod sees it."""
        uid = self.pod(pod)["metadata"]["uid"]
        (folder,) = pathlib.Path(self.stack.folder / "kubelet/pods" / uid / "volumes/kubernetes.io~projected").glob("kube-api-access-*")
        text = self.inside("cat", f"/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~projected/{folder.name}/token").stdout
        return base64.urlsafe_b64decode(text.split(".")[1] + "==")
