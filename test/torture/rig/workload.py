"""What is done in every run. Six phases, each from rest to rest, so that a fault in one is told from a fault in another."""

import os
import pathlib
import shutil
import tempfile
import threading
import time

from harness.hostile import Hostile
from harness.images import Registry
from harness.kube import conditions, images
from harness.manifests import config_map, deployment, text, wave
from harness.site import Site
from harness.tenant import obj
from harness.wait import until

from .oracle import KINDS, Outcome, Watcher, key_of
from .proxy import Proxy

FINALIZER = "resources-finalizer.argocd.argoproj.io"
QUIET_SECONDS = 0.7
PHASES = ("sync", "update", "prune", "denial", "drift", "deletion")


def service(name):
    return obj("v1", "Service", name, spec={"ports": [{"port": 80}], "selector": {"app": name}})


class Run:
    """One run of the workload. `plan` is told of each phase (plan.phase(name)) and asked about each request (see proxy.py)."""

    images = threading.Lock()

    def __init__(self, stack, kube, registry, keys, plan=None, phases=PHASES, **controller):
        self.plan, self.phases, self.phase = plan, phases, None
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="torture-"))
        self.proxy, self.door = Proxy(stack, h2=bool(plan and plan.h2)), Hostile(stack.registry)
        registry = Registry(stack, self.door.address, self.folder / "door", made_through=registry)
        self.site = Site(stack, kube, registry, keys, self.folder, f"torture-{os.getpid()}", **controller)
        self.site.controller.plain_http.append(self.door.address)
        self.kube = kube

    def run(self):
        """Does it all and returns the Outcome. An exception is one, too: what was awaited did not come."""
        site = self.site
        with self.proxy, self.door:
            try:
                site.install()
                site.controller.kubeconfig = self.proxy.kubeconfig(site.installation, self.folder / "kubeconfig")
                site.requests.mark()
                self.prepare()
                with Watcher(self.kube, site.namespace) as watcher:
                    self.outcome = Outcome(site, self.proxy, self.door, watcher)
                    self.proxy.plan = self.plan
                    if self.plan:
                        self.plan.begin(self)
                    site.controller.start()
                    for phase in self.phases:
                        self.enter(phase)
                        getattr(self, phase)()
                        self.rest()
                        self.outcome.snapshot(phase, self.at_rest())
                    self.enter(None)
                    self.outcome.finish()
                return self.outcome
            except Exception:
                print(f"--- controller of {site.name} in phase {self.phase} ---\n{site.controller.tail(25)}")
                raise
            finally:
                self.proxy.plan = None
                self.door.rules.clear()
                if self.plan:
                    self.plan.end()
                site.close()
                shutil.rmtree(self.folder, ignore_errors=True)

    def enter(self, phase):
        self.phase = phase
        if self.plan:
            self.plan.phase(phase)

    def rest(self):
        """Waits for a crash that the plan has under way, and until the Application is good again and stays so: what it says may be from before the
        controller has heard of what was done last."""
        if self.plan:
            self.plan.settle()
        for _ in range(20):
            if self.phase != "deletion":
                self.site.settled("app", seconds=60)
            until("what was deleted to be gone", self.leaving, lambda names: names == [], seconds=30)
            sent = self.proxy.mutations()
            time.sleep(QUIET_SECONDS)
            if self.proxy.mutations() == sent and self.is_good(self.kube.find_application(self.site.system, "app")):
                break

    def at_rest(self):
        """The Application when it is good, or as it is after a while: of a fault that strikes at rest, too, it tells for a moment."""
        deadline = time.monotonic() + 10
        while True:
            app = self.kube.find_application(self.site.system, "app")
            if self.is_good(app) or time.monotonic() > deadline:
                return app
            time.sleep(0.2)

    def is_good(self, app):
        """Or gone, as it should be. A run that hung may tell only now what it saw before."""
        return all(text.startswith("True") for text in conditions(app).values()) if app else self.phase == "deletion"

    def leaving(self):
        return [key_of(o) for kind in KINDS for o in self.kube.list(*kind, self.site.namespace) if "deletionTimestamp" in o["metadata"]]

    # --- the phases ---

    def prepare(self):
        site = self.site
        # the same content in every run, so the same digest; one at a time, since the layer is made in one file
        with Run.images:
            self.image = site.registry.image(f"{site.name}/web", "1", "one").sign(site.key)
            self.second = site.registry.image(f"{site.name}/web", "2", "two")
        zero = [obj("v1", "ServiceAccount", "runner"), obj("v1", "Secret", "secret", stringData={"password": "x"})]
        files = {"app/zero.yaml": text(*(wave(o, 0) for o in zero + [config_map(f"zero-{n}", key="1") for n in range(6)])),
                 "app/one.yaml": text(*(wave(o, 1) for o in [service(f"one-{n}") for n in range(4)])),
                 "app/web.yaml": text(wave(deployment("web", self.image.ref), 1)),
                 "app/two.yaml": text(*(wave(config_map(f"two-{n}", key="1"), 2) for n in range(7)))}
        self.repo = site.repo(files)
        self.app = site.team.application("app", self.repo, "app")
        self.app["metadata"]["finalizers"] = [FINALIZER]

    def push(self, message, files):
        self.site.synced_at(self.repo.push(message, files), "app", seconds=60)

    def value(self, name):
        found = self.site.find("v1", "ConfigMap", name)
        return found and found["data"]["key"]

    def sync(self):
        self.kube.apply(self.app)
        self.site.settled("app", seconds=60)

    def update(self):
        changed = {"app/two.yaml": text(*(wave(config_map(f"two-{n}", key="2" if n < 4 else "1"), 2) for n in range(7))),
                   "app/web.yaml": text(wave(deployment("web", self.image.ref, replicas=2), 1))}
        self.push("update", changed)

    def prune(self):
        self.push("less", {"app/one.yaml": text(*(wave(service(f"one-{n}"), 1) for n in range(2))),
                           "app/two.yaml": text(*(wave(config_map(f"two-{n}", key="2" if n < 4 else "1"), 2) for n in range(5)))})

    def denial(self):
        """An image without a signature keeps the whole commit out; signed, it goes in."""
        site = self.site
        commit = self.repo.push("unsigned", {"app/web.yaml": text(wave(deployment("web", self.second.ref, replicas=2), 1)),
                                             "app/extra.yaml": text(wave(config_map("extra", key="1"), 2))})
        site.wait_condition("Verified", "False", "app", said=self.second.digest, seconds=60)
        assert site.running()[0].endswith(self.image.digest), f"an image without a signature runs: {site.running()}"
        assert self.value("extra") is None, "half of a denied commit was applied"
        self.second.sign(site.key)
        self.kube.patch_application(site.system, "app", {"metadata": {"annotations": {"countersign.dev/refresh": "hard"}}})
        site.synced_at(commit, "app", seconds=60)

    def drift(self):
        """One value changed, one object gone, one number changed: each comes back."""
        site, space = self.site, self.site.namespace
        self.kube.patch("v1", "ConfigMap", space, "zero-0", {"data": {"key": "drifted"}})
        self.kube.delete("v1", "ConfigMap", space, "zero-1")
        self.kube.patch("apps/v1", "Deployment", space, "web", {"spec": {"replicas": 5}})
        until("the drift to be healed", lambda: [self.value("zero-0"), self.value("zero-1"), site.find("apps/v1", "Deployment", "web")["spec"]["replicas"],
                                                 images(site.find("apps/v1", "Deployment", "web"))[0][-71:]],
              lambda seen: seen == ["1", "1", 2, self.second.digest], seconds=60)

    def deletion(self):
        self.kube.delete("countersign.dev/v1alpha1", "Application", self.site.system, "app")
        until("the Application to go", lambda: self.kube.find_application(self.site.system, "app"), lambda found: found is None, seconds=60)
