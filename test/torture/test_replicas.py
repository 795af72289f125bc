"""Two replicas and one lease; and many lives of one replica, one after the other."""

import os
import signal
import threading

import pytest

from harness.auditlog import AUDIT_ID
from harness.controller import Controller
from harness.manifests import config_map, text, wave
from harness.site import Site
from harness.wait import stays, until
from rig.proxy import Proxy
from rig.soak import Restarts


@pytest.fixture
def site(stack, kube, registry, keys, tmp_path):
    made = Site(stack, kube, registry, keys, tmp_path / "site", "replicas").install()
    yield made
    made.close()


def signal_all(controller, number):
    for pid in controller.pids():
        os.kill(pid, number)


def test_leader_that_slept_past_its_lease_sends_nothing_when_it_wakes(site, stack, tmp_path):
    """It sleeps in the middle of a sync, with answers on their way to it and a wave to come."""
    with Proxy(stack) as proxy:
        asleep = threading.Event()

        def sleep(exchange):
            signal_all(site.controller, signal.SIGSTOP)
            asleep.set()
            exchange.deliver(exchange.forward())

        proxy.plan = lambda request: sleep if request.governed and request.path.split("?")[0].endswith("/first-2") else None
        site.controller.kubeconfig = proxy.kubeconfig(site.installation, tmp_path / "kubeconfig")
        site.controller.start()
        other = Controller(site.installation, tmp_path / "other", plain_http=[stack.registry]).start(wait=False)
        try:
            site.deploy({"app/c.yaml": text(*(wave(config_map(f"first-{n}"), 0) for n in range(4)), *(wave(config_map(f"then-{n}"), 1) for n in range(4)))},
                        wait=False)
            assert asleep.wait(60), "the leader never came to the write that puts it to sleep"
            proxy.plan = None
            site.settled("app", seconds=30)
            assert [r for r in other.log.records() if r["kind"] == "term.start"], "the other does not lead"
            first = proxy.ledger[-1].number
            site.requests.mark()
            signal_all(site.controller, signal.SIGCONT)
            until("the sleeper to ask for something again", lambda: [r for r in proxy.ledger if r.number > first])
            stays("it sends no governed write", lambda: [str(r) for r in proxy.ledger if r.number > first and r.governed], lambda sent: sent == [], 4)
            assert [e for e in site.governed() if AUDIT_ID.match(e["auditID"])] == []
            until("it to stand by or to begin anew", lambda: "core" in site.controller.roles().values())
            for controller in (site.controller, other):
                assert controller.log.verify().returncode == 0
        finally:
            signal_all(site.controller, signal.SIGCONT)
            other.stop()


def test_many_restarts_leave_descriptors_memory_and_files_as_they_were(site):
    site.controller.start()
    site.deploy({f"app/{n}.yaml": text(config_map(f"c{n}")) for n in range(20)})
    seen = Restarts(site, int(os.environ.get("TORTURE_RESTARTS", "20"))).run()
    early, late = seen[1], seen[-1]
    assert len(late["files"]) <= len(early["files"]) + 1, (early["files"], late["files"])
    assert abs(late["descriptors"] - early["descriptors"]) <= 4, [s["descriptors"] for s in seen]
    assert late["KiB"] < early["KiB"] * 1.1, [s["KiB"] for s in seen]
    assert site.log.verify().returncode == 0
