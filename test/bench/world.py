"""What a scenario runs in: a control plane that is fresh for each turn, images, a repository, an installation, and the yardstick beside it."""

import contextlib
import gzip
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "test/e2e"))

from harness.auditlog import ApiServerLog  # noqa: E402
from harness.controller import ACCOUNT, NAMESPACE, Controller, Installation  # noqa: E402
from harness.gitrepo import Repo  # noqa: E402
from harness.images import Key, open_registry  # noqa: E402
from harness.kube import Kube, images  # noqa: E402
from harness.stack import Stack, run  # noqa: E402
from harness.tenant import API, Tenant, image_policy, obj  # noqa: E402
from harness.wait import until  # noqa: E402
from harness.web import Web, free_port, total  # noqa: E402

from workload import KINDS, files_of, objects_of  # noqa: E402

RULES = [{"apiGroups": ["", "apps", "networking.k8s.io"], "resources": ["deployments", "serviceaccounts", "services", "ingresses"],
          "verbs": ["*"]}]
APPS_IN_NAMESPACE = 500


class BareKube(Kube):
    """Also gives an answer as bytes: decoding it in Python would be part of what is measured."""

    def raw(self, path):
        connection = self._connection()
        connection.request("GET", path, None, {"Authorization": f"Bearer {self.token}", "Accept": "application/json", "Accept-Encoding": "gzip"})
        answer = connection.getresponse()
        text = answer.read()
        return gzip.decompress(text) if answer.headers.get("Content-Encoding") == "gzip" else text


class World:
    """One stack for a whole run of the bench; `fresh` empties its cluster."""

    def __init__(self, folder, images=100):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.stack_folder = self.folder / "s"
        if not (self.stack_folder / "env").exists():
            run(ROOT / "hack/stack/up", self.stack_folder, "--fast", seconds=1800)
        self.stack = Stack(self.stack_folder, owned=True)
        self.registry = open_registry(self.stack, self.folder / "registry")
        self.key = Key(self.stack.cosign, self.folder, "release")
        self.images = [None] * images
        self._make_images()
        self._turns = 0
        self.controller = None

    def close(self):
        if self.controller:
            if self.controller.running():
                self.controller.kill()
            shutil.rmtree(self.data, ignore_errors=True)
        run(ROOT / "hack/stack/down", self.stack_folder)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make_images(self):
        """Distinct images by tag, half of them signed in each of cosign's formats."""
        import concurrent.futures

        def make(number):
            self.images[number] = self._signed(number)

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(make, range(len(self.images))))

    def _signed(self, number):
        # the registry writes its layer file into its own folder: one folder an image, or two threads would meet
        registry = open_registry(self.stack, self.folder / f"registry{number % 2}-{number}")
        return registry.image(f"bench/app{number:03d}", "1.0.0").sign(self.key, "legacy" if number % 2 else "bundle")

    # --- a turn ---

    def fresh(self):
        """An empty cluster at the same address, and what of the turn before is gone."""
        if self.controller:
            self.controller.stop()
            shutil.rmtree(self.data, ignore_errors=True)
            self.controller = None
        self.stack.part("stop", "apiserver", "etcd")
        data = self.stack_folder / "etcd/data"
        shutil.rmtree(data, ignore_errors=True)
        pathlib.Path(self.stack.audit_log).unlink(missing_ok=True)
        for log in (self.stack.git_access_log, self.stack.registry_access_log):
            if os.path.exists(log):
                os.truncate(log, 0)
        self.stack.part("start", "etcd", "apiserver")
        self.kube = BareKube.admin(self.stack)
        until("the API server", lambda: self._ready(), seconds=60)
        self.log = ApiServerLog(self.stack)
        self._turns += 1
        self.turn = self.folder / f"t{self._turns}"
        return self

    def _ready(self):
        try:
            self.kube.request("GET", "/readyz")
            return True
        except (AssertionError, OSError):
            return False

    def install(self, count, poll="200ms"):
        """CRDs, account, one team with namespaces enough for `count` applications, one policy, one repository."""
        self.installation = Installation(self.kube).install()
        # the stack without its controllers gathers no aggregated roles: what countersign-reader would hold is bound by itself
        self.kube.apply(obj("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "bench-reader",
                            roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "countersign-reader-builtin"},
                            subjects=[{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}]))
        self.namespaces = [f"bench-{i:03d}" for i in range((count + APPS_IN_NAMESPACE - 1) // APPS_IN_NAMESPACE)]
        self.kube.apply(*[obj("v1", "Namespace", n) for n in self.namespaces])
        self.repo = Repo(self.stack, self.turn / "work", f"bench/t{self._turns}")
        self.repo.git("config", "gc.auto", "0")
        self.team = Tenant(self.kube, NAMESPACE, "bench", self.namespaces, [self.repo.url], rules=RULES).create()
        self.kube.apply(image_policy(NAMESPACE, "release", [f"{self.registry.address}/bench/**"], [self.key]))
        # the log lies on a real disk: its fdatasync is part of what is measured
        self.data = pathlib.Path(tempfile.mkdtemp(prefix="csb-data-", dir="/tmp"))
        self.controller = Controller(self.installation, self.turn / "c", plain_http=[self.stack.registry], poll=poll, data=self.data)
        self.web = Web(free_port())
        self.controller.listen = self.web.address
        self.token = self.turn / "token"
        self.token.write_text(self.kube.token_of(NAMESPACE, ACCOUNT))
        return self

    def more_namespaces(self, count):
        """For so many applications altogether; the team may use them."""
        wanted = [f"bench-{i:03d}" for i in range((count + APPS_IN_NAMESPACE - 1) // APPS_IN_NAMESPACE)]
        self.kube.apply(*[obj("v1", "Namespace", n) for n in wanted if n not in self.namespaces])
        self.namespaces = wanted
        self.team.namespaces = wanted
        self.kube.apply(self.team.project)

    def namespace_of(self, number):
        return self.namespaces[number // APPS_IN_NAMESPACE]

    def application(self, number):
        app = self.team.application(f"app-{number:05d}", self.repo, f"apps/{number // 100:03d}/app-{number:05d}", self.namespace_of(number))
        return app

    def create_applications(self, numbers):
        path = f"/apis/{API}/namespaces/{NAMESPACE}/applications"
        self.bare([("a", 0, "POST", path, "application/json", json.dumps(self.application(i))) for i in numbers], admin=True)

    def push(self, numbers, revision, message):
        """Writes the files of these applications at that revision and pushes them as one commit."""
        work = self.repo.work
        for i in numbers:
            folder = work / f"apps/{i // 100:03d}/app-{i:05d}"
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in files_of(i, self.image_of(i).ref, revision).items():
                (folder / name).write_text(text)
        commit = self.repo.commit(message)
        began = time.time()
        run("git", "push", "-q", self.repo.bare, "HEAD:refs/heads/main", cwd=work, seconds=300)
        return commit, (began, time.time())

    def image_of(self, number):
        return self.images[number % len(self.images)]

    def fdatasync(self):
        """How many of the audit log's journal there were, and their seconds altogether."""
        metrics, name = self.web.metrics(), "countersign_audit_log_sync_duration_seconds"
        return total(metrics, name + "_count"), total(metrics, name + "_sum")

    def controller_pause(self):
        for pid in self.controller.pids("core"):
            os.kill(pid, signal.SIGSTOP)

    def controller_continue(self):
        for pid in self.controller.pids("core"):
            os.kill(pid, signal.SIGCONT)

    # --- the yardstick ---

    def bare(self, plan, window=32, lane=32, connections=2, admin=False, impersonate=False):
        """Sends the plan by the bare client; returns what it measured. An entry: (class, lane, method, path, type, body)."""
        file = self.turn / "plan"
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as out:
            for kind, in_lane, method, path, content_type, body in plan:
                data = body.encode()
                out.write(f"{kind} {in_lane} {method} {path} {content_type} {len(data)}\n".encode())
                out.write(data + b"\n")
        command = [bare_binary(), "-u", self.stack.api_server, "-a", self.stack.api_ca, "-n", window, "-l", lane, "-k", connections,
                   "-t", self.stack_folder / "tokens.csv" if admin else self.token]
        if impersonate:
            command += ["-H", f"Impersonate-User: system:serviceaccount:{NAMESPACE}:{self.team.applier}"]
        done = run(*command, file, seconds=1800, check=False)
        if done.returncode:
            raise AssertionError(f"the bare client failed: {done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def recorded_writes(self, numbers, revision):
        """What the controller wrote for these applications, as requests of the yardstick: objects as they were sent, then the status."""
        marks = {}
        for api_version, kind in KINDS:
            for live in self.kube.list(api_version, kind):
                marks[(kind, live["metadata"].get("namespace"), live["metadata"]["name"])] = live
        status = {a["metadata"]["name"]: a for a in self.kube.list(API, "Application", NAMESPACE)}
        plan = []
        for i in numbers:
            pinned = images(marks[("Deployment", self.namespace_of(i), f"app-{i:05d}")])[0]
            for wanted in objects_of(i, pinned, revision):
                plan.append(self._object_write(wanted, self.namespace_of(i), marks))
            plan.append(self._status_write(status[f"app-{i:05d}"]))
        return plan

    def _object_write(self, wanted, namespace, marks):
        live = marks[(wanted["kind"], namespace, wanted["metadata"]["name"])]
        meta = {**wanted["metadata"], "namespace": namespace}
        for key in ("labels", "annotations"):
            meta[key] = {**meta.get(key, {}), **{k: v for k, v in live["metadata"].get(key, {}).items() if "countersign" in k or "argocd" in k}}
        body = {**wanted, "metadata": meta}
        path = self.kube.path_of(body) + "?fieldManager=countersign&force=false&fieldValidation=Strict"
        return ("o", int(wanted["kind"] == "Service"), "PATCH", path, "application/apply-patch+yaml", json.dumps(body, separators=(",", ":")))

    def _status_write(self, live):
        path = self.kube.path(API, "Application", NAMESPACE, live["metadata"]["name"]) + "/status"
        patch = [{"op": "add", "path": "/status", "value": live["status"]}]
        return ("s", 0, "PATCH", path, "application/json-patch+json", json.dumps(patch, separators=(",", ":")))


def bare_binary():
    """The yardstick, built when its source is newer."""
    source, binary = HERE / "bare.c", ROOT / "build/bench/bare"
    if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
        binary.parent.mkdir(parents=True, exist_ok=True)
        run(os.environ.get("CC", "gcc"), "-O2", "-Wall", "-Wextra", "-Werror", "-o", binary, source, "-lcurl", seconds=120)
    return binary


@contextlib.contextmanager
def world(images=100):
    """A world in a short folder of /dev/shm or /tmp; a stack and a repository in memory are no part of what is measured."""
    base = os.environ.get("BENCH_DIR") or ("/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp")
    made = World(pathlib.Path(base) / f"csb-{os.getpid()}", images)
    try:
        yield made
    finally:
        made.close()


def commit_of(folder=ROOT):
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout.strip()
