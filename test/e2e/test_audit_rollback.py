"""An older copy of the log, put back, is whole by itself: it is noticed by the checkpoint that the lease carries, and not acted on."""

import shutil
import subprocess

import pytest

from harness.manifests import config_map, text
from harness.wait import until

CONFIG = 78  # EX_CONFIG: starting again would fail the same way


def copy(site, to):
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(site.controller.data, to)


def put_back(site, older):
    shutil.rmtree(site.controller.data)
    shutil.copytree(older, site.controller.data)


def lease_note(site):
    lease = site.kube.get("coordination.k8s.io/v1", "Lease", site.system, "countersign")
    return lease["metadata"].get("annotations", {}).get("countersign.dev/log-checkpoint", "")


def anchored(site):
    """Waits until the lease carries the log as it stands; returns the number of its records."""
    size = site.log.next_seq()
    until("the lease to carry the newest checkpoint", lambda: int((lease_note(site).splitlines() or ["", "0"])[1]), lambda n: n >= size, seconds=10)
    return size


def refused(site, like):
    """What it says as it refuses to start; the log is left as it is, like that copy of the data."""
    site.controller.start(wait=False)
    code, said = site.controller.process.wait(60), site.controller.tail(4)
    assert code == CONFIG and "checkpoint: byte 0" in said, (code, said)
    changed = subprocess.run(["diff", "-r", like / "audit", site.log.folder], capture_output=True, text=True)
    assert changed.returncode == 0, changed.stdout
    return said


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_older_copy_put_back_is_refused_and_the_newest_goes_on(site, tmp_path, how):
    repo = site.deploy({"app/c.yaml": text(config_map("c", key="1"))})
    site.controller.stop()
    copy(site, tmp_path / "older")
    site.controller.start()
    site.synced_at(repo.push("two", {"app/c.yaml": text(config_map("c", key="2"))}), "app")
    had = anchored(site)
    if how == "stopped":
        site.controller.stop()
    else:
        site.controller.kill()
    copy(site, tmp_path / "newest")
    put_back(site, tmp_path / "older")
    repo.push("three", {"app/c.yaml": text(config_map("c", key="3"))})
    site.requests.mark()
    for _ in range(3):
        assert "LogTruncated" in refused(site, tmp_path / "older")
    assert site.governed() == []
    assert site.find("v1", "ConfigMap", "c")["data"]["key"] == "2"
    put_back(site, tmp_path / "newest")
    site.controller.start()
    until("the newest commit to run", lambda: site.find("v1", "ConfigMap", "c")["data"]["key"], lambda key: key == "3", seconds=20)
    site.settled("app")
    assert site.log.next_seq() > had
    site.controller.stop()
    assert site.log.verify().returncode == 0
    done, counts = site.log.join(site.stack.audit_log)
    assert counts["unrecorded"] == 0 and counts["foreign"] == 0, done.stdout


def test_older_copy_is_refused_also_when_another_replica_led_since(site, tmp_path):
    """The other one has a volume and a log of its own; the lease then carries its checkpoint, and ours still."""
    repo = site.deploy({"app/c.yaml": text(config_map("c", key="1"))})
    site.controller.stop()
    copy(site, tmp_path / "older")
    site.controller.start()
    site.synced_at(repo.push("two", {"app/c.yaml": text(config_map("c", key="2"))}), "app")
    anchored(site)
    site.controller.stop()
    copy(site, tmp_path / "newest")
    ours = lease_note(site).splitlines()[0]
    shutil.rmtree(site.controller.data)
    for _ in range(2):
        site.controller.start()
        until("the other one to lead", lambda: lease_note(site).splitlines()[0], lambda name: name != ours)
        anchored(site)
        site.controller.stop()
    put_back(site, tmp_path / "older")
    assert "LogTruncated" in refused(site, tmp_path / "older")
    put_back(site, tmp_path / "newest")
    site.controller.start()
    until("the newest to lead", lambda: lease_note(site).splitlines()[0], lambda name: name == ours)


def test_log_that_went_on_from_an_older_copy_is_told_as_forked(site, tmp_path):
    """While the cluster knew nothing of it, as many records came behind the older copy, but other ones."""
    kube, system = site.kube, site.system
    site.controller.stop()
    copy(site, tmp_path / "older")
    site.controller.start()
    had, note = anchored(site), lease_note(site)
    site.controller.kill()
    put_back(site, tmp_path / "older")
    kube.delete("coordination.k8s.io/v1", "Lease", system, "countersign")
    while site.log.next_seq() <= had:
        site.controller.start()
        site.controller.stop()
    copy(site, tmp_path / "forked")
    kube.patch("coordination.k8s.io/v1", "Lease", system, "countersign", {"metadata": {"annotations": {"countersign.dev/log-checkpoint": note}}})
    for _ in range(2):
        assert "LogForked" in refused(site, tmp_path / "forked")


def test_folder_removed_lets_a_log_of_its_own_begin_that_says_what_is_lost(site):
    repo = site.deploy({"app/c.yaml": text(config_map("c", key="1"))})
    note = anchored(site) and lease_note(site)
    shutil.rmtree(site.log.folder)
    site.synced_at(repo.push("two", {"app/c.yaml": text(config_map("c", key="2"))}), "app", seconds=40)
    lost = [r for r in site.log.records() if r["kind"] == "log.lost"]
    assert len(lost) == 1 and lost[0]["predecessor"] == note.splitlines()[0], lost
    assert site.log.verify().returncode == 0
