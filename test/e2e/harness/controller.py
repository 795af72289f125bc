"""Countersign as it is run: installed from manifests/, started outside the cluster as its service account."""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess

from .auditlog import CountersignLog
from .stack import ROOT, run
from .wait import SCALE, until

NAMESPACE = "countersign-system"
ACCOUNT = "countersign-controller"


def binary():
    """The program under test: COUNTERSIGN names another build than build/countersign."""
    path = pathlib.Path(os.environ.get("COUNTERSIGN", ROOT / "build/countersign"))
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there: run make first")
    return path


class Installation:
    """manifests/install.yaml in one namespace. Another namespace than the shipped one gets its own copy, so that tests do not meet."""

    def __init__(self, kube, namespace=NAMESPACE):
        self.kube, self.namespace = kube, namespace

    def install(self):
        """As the README says: kubectl apply --server-side -f manifests/install.yaml."""
        text = (ROOT / "manifests/install.yaml").read_text()
        if self.namespace == NAMESPACE:
            self.kube.kubectl("apply", "--server-side", "-f", "-", text=text)
        else:
            self.kube.apply(*self._moved(text), manager="kubectl")
        until("the kinds of Countersign", self._known, seconds=15)
        return self

    def _known(self):
        for kind in ("Application", "Project", "ImagePolicy", "ApplicationInventory"):
            self.kube.resource("countersign.dev/v1alpha1", kind)
        return True

    def _moved(self, text):
        """The same objects for another namespace. What runs it stays out, since the test starts the program itself; and so does what the
        whole cluster has once."""
        printed = self.kube.kubectl("create", "--dry-run=client", "-o", "json", "-f", "-", text=text).stdout
        moved = documents(printed.replace(f'"{NAMESPACE}"', f'"{self.namespace}"'))
        for obj in moved:
            if obj["kind"] == "ClusterRoleBinding":
                obj["metadata"]["name"] += f"-{self.namespace}"
        return [o for o in moved if o["kind"] not in ("StatefulSet", "PriorityClass") and not o["kind"].startswith("ValidatingAdmissionPolicy")]

    def kubeconfig(self, file):
        """Writes a kubeconfig that holds nothing but a token of the controller's service account."""
        token = self.kube.token_of(self.namespace, ACCOUNT)
        pathlib.Path(file).write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": self.kube.server, "certificate-authority": str(self.kube.ca)}}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        }))
        os.chmod(file, 0o600)
        return file


def documents(text):
    """The objects of JSON documents that follow each other, Lists taken apart."""
    decoder, out, at = json.JSONDecoder(), [], 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        document, at = decoder.raw_decode(text, at)
        out += document["items"] if document["kind"] == "List" else [document]
    return out


class Controller:
    """One running `countersign controller`, its processes and what it printed. A context manager; `start` may be called again."""

    def __init__(self, installation, folder, plain_http=(), admin_project=None, poll="1s", data=None, fault=None, listen=None):
        self.installation, self.folder = installation, pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = pathlib.Path(data) if data else self.folder / "data"
        self.plain_http, self.admin_project, self.poll, self.fault = list(plain_http), admin_project, poll, fault
        self.listen, self.kubeconfig, self.pace = listen, None, None
        self.log = CountersignLog(binary(), self.data)
        self.output = self.folder / "controller.log"
        self.process = None

    def command(self):
        kubeconfig = self.kubeconfig or self.installation.kubeconfig(self.folder / "kubeconfig")
        out = [binary(), "controller", "--kubeconfig", kubeconfig, "--namespace", self.installation.namespace, "--data", self.data,
               "--poll", self.poll]
        for address in self.plain_http:
            out += ["--plain-http-registry", address]
        if self.admin_project:
            out += ["--admin-project", self.admin_project]
        if self.listen:
            out += ["--listen", self.listen]
        return [str(x) for x in out]

    def start(self, wait=True):
        """Starts it; with `wait`, until its core has written that it holds the term."""
        assert not self.running(), "the controller runs already"
        env = {**os.environ, "HOME": str(self.folder)}
        env.pop("KUBECONFIG", None)
        if self.fault:
            env["COUNTERSIGN_FAULT"] = self.fault
        if self.pace:
            env["COUNTERSIGN_CLOCK_PACE"] = str(self.pace)
        began = self.log.next_seq() if wait and (self.log.folder / "checkpoint").exists() else 0
        self.data.mkdir(parents=True, exist_ok=True)
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(self.command(), stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=env,
                                            start_new_session=True)
        if wait:
            until("the controller to begin its term (a record term.start)", lambda: self._term(began), seconds=20)
        return self

    def _term(self, began):
        if not self.running():
            raise RuntimeError(f"the controller ended at once, exit {self.process.returncode}:\n{self.tail()}")
        if not (self.log.folder / "checkpoint").exists():
            return False
        return any(r["kind"] == "term.start" for r in self.log.records(since=began))

    def running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, seconds=30):
        """SIGTERM, and wait; returns the exit code. Stragglers of its process group are an error."""
        if not self.running():
            return None if self.process is None else self.process.returncode
        self.process.terminate()
        try:
            code = self.process.wait(seconds * SCALE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"SIGTERM did not end the controller within {seconds * SCALE:g} s:\n{self.tail()}") from None
        until("all roles to go with the supervisor", lambda: not self._group(), seconds=5)
        return code

    def kill(self):
        """SIGKILL to every process of it at once, as a node that loses power."""
        for pid in self._group():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(10)
        until("the killed processes to be gone", lambda: not self._group(), seconds=5)

    def kill_role(self, role, number=signal.SIGKILL):
        """Sends the signal to every process of that role now; returns their pids."""
        pids = self.pids(role)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return pids

    def restart(self):
        self.stop()
        return self.start()

    def _group(self):
        """Pids of all processes that descend from what was started."""
        if self.process is None:
            return []
        out = []
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit() and session_of(entry) == self.process.pid:
                out.append(int(entry.name))
        return out

    def pids(self, role=None):
        """Processes by role: the word after --role in their command line; the supervisor is the one without."""
        return sorted(p for p in self._group() if role is None or role_of(p) == role)

    def roles(self):
        """pid → role, of all processes."""
        return {p: role_of(p) for p in self._group()}

    def tail(self, lines=30):
        text = self.output.read_text(errors="replace") if self.output.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, error, trace):
        try:
            self.stop()
        finally:
            if kind is not None:
                print(f"--- the controller's last lines ({self.output}) ---\n{self.tail()}")


def session_of(entry):
    """Session id of a process given by its /proc folder; None when it is a zombie or gone."""
    try:
        fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[3])


def role_of(pid):
    try:
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return "gone"
    for i, word in enumerate(words):
        if word == "--role":
            return words[i + 1]
        if word.startswith("--role="):
            return word.split("=", 1)[1]
    return "supervisor"


def process_status(pid):
    """Fields of /proc/PID/status that matter here: Seccomp, NoNewPrivs, VmRSS."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return {m[1]: m[2] for m in re.finditer(r"^(\w+):\s+(.*)$", text, re.M)}


def cli(*arguments, kubeconfig=None, check=False, seconds=60):
    """Runs the program as a person does; returns the finished process."""
    env = {"KUBECONFIG": kubeconfig} if kubeconfig else None
    return run(binary(), *arguments, env=env, check=check, seconds=seconds)
