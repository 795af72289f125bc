"""An older copy of the log, put back, is whole by itself: it is noticed by the checkpoint that the lease carries, and not acted on."""

import shutil

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


def refused(site):
    site.controller.start(wait=False)
    code = site.controller.process.wait(60)
    return code, site.controller.tail(4)


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
    for _ in range(3):  # the second and third would be past the number of records, and are told by the root
        code, said = refused(site)
        assert code == CONFIG and "checkpoint: byte 0" in said and ("LogTruncated" in said or "LogForked" in said), (code, said)
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


def test_log_that_goes_on_from_an_older_copy_is_told_as_forked(site, tmp_path):
    """Grown past the newest by restarts in another cluster's eyes: as many records, but other ones."""
    site.controller.stop()
    copy(site, tmp_path / "older")
    site.controller.start()
    anchored(site)
    site.controller.kill()
    put_back(site, tmp_path / "older")
    seen = set()
    for _ in range(4):
        code, said = refused(site)
        assert code == CONFIG, said
        seen |= {word for word in ("LogTruncated", "LogForked") if word in said}
    assert "LogForked" in seen, seen


def test_folder_removed_lets_a_log_of_its_own_begin_that_says_what_is_lost(site):
    repo = site.deploy({"app/c.yaml": text(config_map("c", key="1"))})
    note = anchored(site) and lease_note(site)
    shutil.rmtree(site.log.folder)
    site.synced_at(repo.push("two", {"app/c.yaml": text(config_map("c", key="2"))}), "app", seconds=40)
    lost = [r for r in site.log.records() if r["kind"] == "log.lost"]
    assert len(lost) == 1 and lost[0]["predecessor"] == note.splitlines()[0], lost
    assert site.log.verify().returncode == 0
