"""A long run: many Applications, a change every second and a fault every ten, and a look at everything after each.

What must hold: it converges after each fault, memory and descriptors of core stay as they were, the log verifies and joins. Memory is what
core has allocated and not freed, as its metrics tell: resident memory also tells what an allocator, and the sanitizer's most of all, lets lie.
"""

import collections
import itertools
import os
import pathlib
import random
import shutil
import statistics
import tempfile
import threading
import time

from harness.manifests import config_map, text
from harness.site import Site
from harness.wait import until
from harness.web import Web, free_port, total

from .proxy import Proxy

CHANGE_SECONDS, FAULT_SECONDS = 1.0, 10.0
LONG = 600                          # seconds from which on a run tells small drifts from the filling of caches
DRIFT, SHORT_DRIFT = 0.01, 0.05     # of core's memory, from the second quarter to the last
RESIDENT_DRIFT = 0.05
SPREAD = 4                          # descriptors
# Freed memory that the sanitizer keeps back (256 MiB if it may) would hide what the program keeps.
SANITIZER = "quarantine_size_mb=1:thread_local_quarantine_size_kb=64"
OBJECTS = 2


class Soak:
    def __init__(self, stack, kube, registry, keys, applications, seconds, seed, out=print):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="soak-"))
        self.web = Web(free_port())
        self.site, self.proxy = Site(stack, kube, registry, keys, self.folder, "soak", listen=self.web.address), Proxy(stack)
        self.kube, self.stack, self.seconds, self.random, self.out = kube, stack, seconds, random.Random(seed), out
        self.names = [f"s{n:03}" for n in range(applications)]
        self.value, self.changes, self.faults, self.samples = {name: "0" for name in self.names}, 0, collections.Counter(), []
        self.cut = 0.0  # monotonic: until then the proxy resets everything

    def run(self):
        """Returns what is wrong, "" if nothing."""
        site = self.site
        with self.proxy:
            try:
                site.install()
                site.requests.mark()
                site.controller.kubeconfig = self.proxy.kubeconfig(site.installation, self.folder / "kubeconfig")
                self.proxy.plan = lambda request: (lambda e: e.reset()) if time.monotonic() < self.cut else None
                self.repo = site.repo({f"{name}/c.yaml": self.manifest(name) for name in self.names})
                self.start()
                site.kube.apply(*(site.team.application(name, self.repo, name) for name in self.names))
                self.converge("the first deployment", 120)
                self.turn()
                return self.judge()
            finally:
                print(site.controller.tail(6))
                site.close()
                shutil.rmtree(self.folder, ignore_errors=True)

    def start(self):
        before = os.environ.get("ASAN_OPTIONS")
        os.environ["ASAN_OPTIONS"] = SANITIZER if before is None else f"{before}:{SANITIZER}"
        try:
            self.site.controller.start()
        finally:
            del os.environ["ASAN_OPTIONS"]
            if before is not None:
                os.environ["ASAN_OPTIONS"] = before

    def manifest(self, name):
        return text(*(config_map(f"{name}-{n}", value=self.value[name]) for n in range(OBJECTS)))

    def converge(self, what, seconds):
        """Every object is as Git says, and every Application says so."""
        site = self.site
        wanted = {f"{name}-{n}": self.value[name] for name in self.names for n in range(OBJECTS)}
        until(f"all objects to be as Git says after {what}",
              lambda: {m["metadata"]["name"]: m["data"]["value"] for m in site.kube.list("v1", "ConfigMap", site.namespace) if "value" in m.get("data", {})},
              lambda seen: seen == wanted, seconds)
        until(f"all Applications to be good after {what}",
              lambda: [a["metadata"]["name"] for a in site.kube.list("countersign.dev/v1alpha1", "Application", site.system)
                       if any(c["status"] != "True" for c in a.get("status", {}).get("conditions", [{"status": "False"}]))],
              lambda bad: bad == [], seconds)

    def turn(self):
        faults = itertools.cycle(self.random.sample(list(FAULTS), len(FAULTS)))
        end, next_fault = time.monotonic() + self.seconds, time.monotonic() + FAULT_SECONDS
        while time.monotonic() < end:
            began = time.monotonic()
            self.change()
            if began >= next_fault:
                name = next(faults)
                self.faults[name] += 1
                FAULTS[name](self)
                self.converge(name, 40)
                self.sample(name)
                next_fault = began + FAULT_SECONDS
            time.sleep(max(0.0, CHANGE_SECONDS - (time.monotonic() - began)))
        self.converge("the last change", 40)

    def change(self):
        """A commit to some, or a change by somebody in the cluster."""
        self.changes += 1
        if self.changes % 3 == 0:
            name = self.random.choice(self.names)
            self.kube.patch("v1", "ConfigMap", self.site.namespace, f"{name}-0", {"data": {"value": f"drifted {self.changes}"}})
            return
        for name in self.random.sample(self.names, 3):
            self.value[name] = str(self.changes)
        self.repo.push(f"change {self.changes}", {f"{name}/c.yaml": self.manifest(name) for name in self.names if self.value[name] == str(self.changes)})

    def sample(self, fault):
        (core,) = until("one core", lambda: self.site.controller.pids("core"), lambda pids: len(pids) == 1)
        status = pathlib.Path(f"/proc/{core}/status").read_text()
        resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        heap = total(self.web.metrics(), "countersign_core_heap_bytes") / 1024
        self.samples.append((core, heap, resident, len(list(pathlib.Path(f"/proc/{core}/fd").iterdir()))))
        self.out(f"{self.changes} changes, {sum(self.faults.values())} faults, last {fault}: core {core} {heap:.0f} KiB, resident {resident} KiB, "
                 f"{self.samples[-1][3]} descriptors", flush=True)

    def judge(self):
        site = self.site
        wrong = self.grown()
        site.controller.stop()
        verified = site.log.verify()
        done, counts = site.log.join(self.stack.audit_log)
        if verified.returncode:
            wrong.append(f"audit verify: {verified.stdout[-300:]}{verified.stderr[-300:]}")
        if counts["unrecorded"] or counts["foreign"] or counts["writes"] != counts["matched"]:
            wrong.append(f"audit join: {counts}\n{done.stdout[-400:]}")
        self.out(f"{self.changes} changes, faults {dict(self.faults)}, {counts['matched']} writes matched: {'; '.join(wrong) or 'as it should be'}", flush=True)
        return "; ".join(wrong)

    def grown(self):
        """
        Of the core that lived longest after the first quarter, in which caches fill: its first and last samples. Of memory the lowest of each, since
        runs that are at work, as after most faults, hold up to half as much again; of what is resident the medians.
        """
        lives = collections.defaultdict(list)
        for core, *sample in self.samples[len(self.samples) // 4:]:
            lives[core].append(sample)
        longest = max(lives.values(), key=len, default=[])
        if len(longest) < 4:
            return [f"no core lived for 4 samples of {len(self.samples)}"]
        third = max(2, len(longest) // 3)
        early, late = longest[:third], longest[-third:]
        memory = [min(s[0] for s in part) for part in (early, late)]
        resident = [statistics.median(s[1] for s in part) for part in (early, late)]
        files = [max(s[2] for s in part) for part in (early, late)]  # connections that rest come and go
        self.out(f"{len(longest)} samples of one core: {memory[0]:.0f} to {memory[1]:.0f} KiB, resident {resident[0]:.0f} to {resident[1]:.0f} KiB, "
                 f"{files[0]:g} to {files[1]:g} descriptors", flush=True)
        wrong = []
        if memory[1] > memory[0] * (1 + (DRIFT if self.seconds >= LONG else SHORT_DRIFT)):
            wrong.append(f"memory grew from {memory[0]:.0f} to {memory[1]:.0f} KiB")
        if resident[1] > resident[0] * (1 + RESIDENT_DRIFT):
            wrong.append(f"resident memory grew from {resident[0]:.0f} to {resident[1]:.0f} KiB")
        if files[1] > files[0] + SPREAD:
            wrong.append(f"descriptors went from {files[0]:g} to {files[1]:g}")
        return wrong


# --- the faults; none ends core, whose memory is watched ---

def cut(soak):
    """Every connection to the API server is reset for three seconds."""
    soak.cut = time.monotonic() + 3


def git_away(soak):
    """Of any Application whose newest commit is known: one that is changed by hand in each of these faults would soon be fought over."""
    name = soak.random.choice([n for n in soak.names if soak.value[n] != str(soak.changes)])
    with soak.stack.outage("git"):
        time.sleep(2)
        soak.kube.patch("v1", "ConfigMap", soak.site.namespace, f"{name}-0", {"data": {"value": "drifted without Git"}})
        until("it to be healed without Git", lambda: soak.kube.get("v1", "ConfigMap", soak.site.namespace, f"{name}-0")["data"]["value"],
              lambda value: value == soak.value[name], seconds=15)


def killed(role):
    return lambda soak: soak.site.controller.kill_role(role)


def deleted(soak):
    """Somebody deletes twenty objects at once."""
    threads = [threading.Thread(target=soak.kube.delete, args=("v1", "ConfigMap", soak.site.namespace, f"{name}-1"))
               for name in soak.random.sample(soak.names, min(20, len(soak.names)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)


FAULTS = {"the API server's connections reset for 3 s": cut, "Git away": git_away, "source killed": killed("source"), "render killed": killed("render"),
          "twenty objects deleted": deleted}


class Restarts:
    """Many lives of one replica, by turns stopped and killed."""

    def __init__(self, site, count):
        self.site, self.count, self.seen = site, count, []

    def run(self):
        """Returns what each life came to: descriptors, KiB, files."""
        site = self.site
        for number in range(self.count):
            if number % 2:
                site.controller.kill()
                site.controller.start()
            else:
                site.controller.restart()
            site.kube.patch("v1", "ConfigMap", site.namespace, "c0", {"data": {"key": f"drifted {number}"}})
            until("the drift to be healed", lambda: site.find("v1", "ConfigMap", "c0")["data"]["key"], lambda key: key == "value", seconds=20)
            site.settled("app")
            self.seen.append(figures(site.controller))
        return self.seen


def figures(controller):
    (pid,) = controller.pids("core")
    descriptors = len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))
    resident = next(int(line.split()[1]) for line in open(f"/proc/{pid}/status") if line.startswith("VmRSS"))
    files = sorted(str(p.relative_to(controller.data)) for p in controller.data.rglob("*") if p.is_file() and "/tile/" not in str(p))
    return {"descriptors": descriptors, "KiB": resident, "files": files}
