"""What is asked of the API server, the registry and the Git server: counts do not depend on the machine, so they are tested on each.

The scenarios are those of test/bench, each with ten applications.
"""

import pytest

from harness import manifests
from harness.tenant import obj
from harness.wait import stays, until

APPS = 10
NAMES = [f"a{i}" for i in range(APPS)]


def cron_job(name, image):
    """Carries an image, and its health is known at once: what changes its status is our doing alone."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": image}]}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name},
            "spec": {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": {"spec": {"template": {"spec": pod}}}}}


def files_of(image, revision):
    """path → text of all applications: four objects each, in four files."""
    out = {}
    for name in NAMES:
        out[f"{name}/job.yaml"] = manifests.text(cron_job(f"{name}-job", image.ref))
        for part in ("x", "y", "z"):
            out[f"{name}/{part}.yaml"] = manifests.text(manifests.config_map(f"{name}-{part}", revision=f"r{revision}"))
        out[f"{name}/job.yaml"] = out[f"{name}/job.yaml"].replace('"0 0 1 1 *"', f'"{revision} 0 1 1 *"')
    return out


class Counts:
    """Requests of the controller since the mark."""

    def __init__(self, site, repo):
        self.site, self.repo = site, repo
        self.mark()

    def mark(self):
        self.requests = self.site.requests.mark()
        self.registry = len(self.site.stack.registry_requests())
        self.packs = self._packs()
        return self

    def _packs(self):
        return len(list((self.site.controller.data / "mirrors").rglob("*.pack")))

    def writes(self):
        """Group → how often: objects, and our own books by their kind."""
        out = {}
        for event in self.requests.writes(user=f":{self.site.system}:countersign-controller"):
            target = event["objectRef"]
            group = "objects" if "impersonatedUser" in event else target["resource"] + ("/status" if target.get("subresource") == "status" else "")
            if group != "leases":
                out[group] = out.get(group, 0) + 1
        return out

    def fetched(self):
        """Packs that came since."""
        return self._packs() - self.packs

    def asked_registry(self, pattern=""):
        return [line for line in self.site.stack.registry_requests()[self.registry:] if pattern in line]


@pytest.fixture(scope="module")
def counted(shared_site):
    """Ten running applications of one repository and one image, and how many requests brought them there."""
    site = shared_site
    site.bench_image = site.image("bench")
    repo = site.repo({"README": "nothing yet\n"})
    site.kube.apply(*[site.team.application(name, repo, name) for name in NAMES])
    until("all applications to be refused: their folders do not exist yet", lambda: [site.condition("Synced", n)["reason"] for n in NAMES],
          lambda seen: seen == ["PathNotFound"] * APPS, 20)
    counts = Counts(site, repo)
    repo.push("ten applications", files_of(site.bench_image, 1))
    site.settled(*NAMES, seconds=30)
    until("all books to be written", counts.writes, lambda w: w.get("applicationinventories") == APPS, 10)
    stays("no more is written", counts.writes, lambda seen, first=counts.writes(): seen == first, 1.5)
    return site, repo, counts


def test_a_first_sync_writes_each_object_once_and_one_status_an_application(counted):
    _, _, counts = counted
    assert counts.writes() == {"objects": 4 * APPS, "applications/status": APPS, "applicationinventories": APPS, "events": APPS}
    assert counts.fetched() == 1
    # one digest: its tag once, its manifest and what it is signed with once, however many applications run it
    asked = counts.asked_registry("/bench/")
    assert len(asked) == len({tuple(line.split()[2:4]) for line in asked}), asked


def test_a_commit_that_changes_all_writes_each_object_once_and_one_status_an_application(counted):
    site, repo, counts = counted
    counts.mark()
    commit = repo.push("all change", files_of(site.bench_image, 2))
    for name in NAMES:
        site.synced_at(commit, name)
    until("all books to be written", counts.writes, lambda w: w.get("applicationinventories") == APPS, 10)
    stays("no more is written", counts.writes,
          lambda seen: seen == {"objects": 4 * APPS, "applications/status": APPS, "applicationinventories": APPS, "events": APPS}, 1.5)
    assert counts.fetched() == 1
    assert len(counts.asked_registry("/bench/")) <= 1


def test_a_commit_of_one_file_concerns_one_application(counted):
    site, repo, counts = counted
    counts.mark()
    commit = repo.push("one file", {"a3/x.yaml": manifests.text(manifests.config_map("a3-x", revision="r3"))})
    site.synced_at(commit, "a3")
    stays("one object is written", counts.writes, lambda seen: seen.get("objects") == 1 and set(seen.values()) == {1}, 1.5)
    assert counts.fetched() == 1
    assert len(counts.asked_registry()) <= 1   # what the tag stands for at this revision


def test_nothing_is_sent_when_nothing_changes(counted):
    site, _, counts = counted
    counts.mark()
    stays("nothing is written", counts.writes, lambda seen: seen == {}, 3)
    assert (counts.fetched(), counts.asked_registry()) == (0, [])


def test_drift_costs_one_write_an_object(counted):
    site, _, counts = counted
    counts.mark()
    for name in NAMES:
        site.kube.patch("v1", "ConfigMap", site.namespace, f"{name}-y", {"data": {"revision": "by hand"}}, manager="kubectl-edit")
    until("the edits to be taken back", lambda: [site.kube.get("v1", "ConfigMap", site.namespace, f"{n}-y")["data"]["revision"] for n in NAMES],
          lambda seen: "by hand" not in seen)
    stays("each object is written once", counts.writes, lambda seen: seen.get("objects") == APPS, 1.5)


def test_a_restart_writes_nothing_and_resolves_no_tag(counted):
    site, _, counts = counted
    site.controller.stop()
    counts.mark()
    site.kube.apply(obj("v1", "ConfigMap", "countersign-settings", site.system, data={"log-level": "debug"}))
    before = len(site.controller.output.read_text().splitlines())
    site.controller.start()
    site.settled(*NAMES)
    stays("nothing is written", counts.writes, lambda seen: seen == {}, 3)
    assert counts.fetched() == 0
    # each Application is looked at once
    begun = [line.split("app=")[1].split()[0] for line in site.controller.output.read_text().splitlines()[before:] if 'msg="run begins"' in line]
    site.kube.delete("v1", "ConfigMap", site.system, "countersign-settings")
    assert sorted(begun) == sorted(f"{site.system}/{name}" for name in NAMES), begun
    # what was verified is verified anew, once a digest
    asked = counts.asked_registry("/bench/")
    assert not [line for line in asked if "/manifests/1 " in line]
    assert len(asked) == len({tuple(line.split()[2:4]) for line in asked}), asked
