"""The audit log breaks while writes of ours are under way: what is sent afterwards is sent under an intent that the log has, or not at all."""

import threading

import pytest

from harness.manifests import config_map, text, wave
from harness.site import Site
from harness.tenant import API, obj
from harness.wait import until
from rig.disks import execute, fill_bytes
from rig.proxy import Proxy


class Held:
    """A plan: the writes of one ConfigMap wait until `go`, and are cut off then, so that it is sent once more."""

    def __init__(self, name):
        self.name, self.waiting, self.go = name, threading.Event(), threading.Event()

    def __call__(self, request):
        return self.hold if request.governed and f"/configmaps/{self.name}" in request.path and not self.go.is_set() else None

    def hold(self, exchange):
        self.waiting.set()
        while not self.go.is_set() and not exchange.pause(0.05):
            pass
        exchange.reset()


class World:
    """A site behind the proxy whose data folder is a volume of its own, that can be full."""

    def __init__(self, site, proxy, folder):
        self.site, self.proxy, self.volume = site, proxy, site.controller.data
        self.volume.mkdir(parents=True)
        execute("mount", "-t", "tmpfs", "-o", "size=24m,nr_inodes=600", "tmpfs", self.volume)
        site.controller.kubeconfig = proxy.kubeconfig(site.installation, folder / "kubeconfig")
        site.controller.start()
        self.core = site.controller.pids("core")

    def said(self, what):
        until(what, self.site.controller.output.read_text, lambda log: what in log, seconds=40)

    def fill(self):
        """Leaves no room; what the log has set aside is used up by settings that are recorded. Returns when it is broken."""
        fill_bytes(self.volume)
        for n in range(1000):
            self.site.kube.apply(obj(API, "Project", f"p{n}", self.site.system, spec={"description": "x" * 4000}))
            if "the audit log cannot be written" in self.site.controller.output.read_text():
                return
        raise AssertionError("the log takes more than there is room for")

    def make_room(self):
        for file in self.volume.glob("filler*"):
            file.unlink()

    def joins(self):
        """All writes stand in the log."""
        site = self.site
        site.controller.stop()
        done, seen = site.log.join(site.stack.audit_log)
        assert site.log.verify().returncode == 0 and seen["writes"] == seen["matched"] and not seen["unrecorded"], done.stdout[-400:]


@pytest.fixture
def world(stack, kube, registry, keys, tmp_path):
    site = Site(stack, kube, registry, keys, tmp_path / "site", "log-breaks").install()
    with Proxy(stack) as proxy:
        made = World(site, proxy, tmp_path)
        yield made
        site.close()
        execute("umount", "-l", made.volume, check=False)


def test_write_that_waits_while_the_log_is_opened_anew_goes_on_in_it(world):
    site, held = world.site, Held("slow")
    world.proxy.plan = held
    site.deploy({"app/c.yaml": text(config_map("slow"))}, wait=False)
    until("its write to be on its way", held.waiting.is_set)
    world.fill()
    world.make_room()
    world.said("the audit log can be written again")
    held.go.set()
    site.settled("app")
    assert site.controller.pids("core") == world.core
    world.joins()


def test_run_that_waits_while_another_log_begins_sends_nothing_under_an_intent_that_this_one_has_not(world):
    site, folder = world.site, world.site.log.folder
    service = obj("v1", "Service", "waits", spec={"type": "LoadBalancer", "ports": [{"port": 80}]})
    site.deploy({"app/s.yaml": text(service), "app/later.yaml": text(wave(config_map("later"), 1))}, wait=False)
    site.wait_condition("Synced", "Unknown", "app", reason="WaitingForHealth")
    world.fill()
    folder.rename(folder.with_name("before"))
    world.make_room()
    until("another log to begin", lambda: [r for r in site.log.records() if r["kind"] == "log.lost"] if folder.exists() else [], seconds=40)
    site.kube.patch("v1", "Service", site.namespace, "waits", {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}, subresource="status")
    site.settled("app")
    announced = {o["audit_id"] for record in site.log.records(kind="sync.intent") for o in record["objects"]}
    (written,) = [e["auditID"] for e in site.governed() if e["objectRef"]["name"] == "later"]
    assert written.rsplit(".", 1)[0] in announced
    assert "LogReplaced" in site.controller.output.read_text()


def test_drift_while_the_log_is_away_is_recorded_when_it_is_back(world):
    site = world.site
    site.deploy({"app/c.yaml": text(config_map("c", key="one"))})
    world.fill()
    site.kube.patch("v1", "ConfigMap", site.namespace, "c", {"data": {"key": "other"}})
    site.wait_condition("Ready", "False", "app", reason="AuditUnavailable", seconds=30)
    assert site.find("v1", "ConfigMap", "c")["data"] == {"key": "other"}
    world.make_room()
    until("it to be healed", lambda: site.find("v1", "ConfigMap", "c")["data"], lambda data: data == {"key": "one"}, seconds=40)
    (record,) = [r for r in site.log.records("drift", f"{site.system}/app")]
    assert record["objects"][0]["path"] == "/data/key", record
