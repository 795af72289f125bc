"""The control plane away, restarted, and restored from an older snapshot, on a stack of its own: that one is noticed, told, and not healed until a
person says so."""

import json
import os
import pathlib
import shutil
import time

import pytest

from harness.images import Key, open_registry
from harness.kube import ApiError, Kube, conditions
from harness.manifests import config_map, text
from harness.site import Site
from harness.stack import ROOT, Stack, run
from harness.wait import stays, until


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    run(ROOT / "hack/stack/up", folder / "s", seconds=600)
    stack = Stack(folder / "s", owned=True)
    yield stack
    stack.stop()


def with_etcd_down(stack, change):
    """Stops the control plane's store and server, and starts them again after `change(folder of the data)`."""
    stack.part("stop", "kcm")
    with stack.outage("etcd", "apiserver"):
        change(pathlib.Path(stack.folder / "etcd/data").resolve())
    up(Kube.admin(stack))
    stack.part("start", "kcm")


def put_back(copy, data):
    shutil.rmtree(data)
    shutil.copytree(copy, data)


def up(kube):
    def ready():
        try:
            kube.request("GET", "/apis/countersign.dev/v1alpha1/applications?limit=1")
            return None
        except (OSError, ApiError) as error:
            return str(error)

    until("the API server to serve what it has", ready, lambda error: error is None, seconds=30)


def values(site):
    return {name: (site.find("v1", "ConfigMap", name) or {"data": {"key": None}})["data"]["key"] for name in "abc"}


def kept(site):
    """The cluster's version as the controller has kept it."""
    file = site.controller.data / "cluster.json"
    return json.loads(file.read_text())["version"] if file.exists() else 0


def synced(site):
    return conditions(site.app("app")).get("Synced")


@pytest.fixture
def site(own, tmp_path):
    made = {}
    (tmp_path / "keys").mkdir()
    site = Site(own, Kube.admin(own), open_registry(own, tmp_path),
                lambda name: made.setdefault(name, Key(own.cosign, tmp_path / "keys", name)), tmp_path / "site", "own-cluster").install()
    yield site
    site.close()


# 40 s are longer than the lease (15 s) and than the pause between two tries of a watch (30 s) grow
@pytest.mark.parametrize("parts, seconds", [(["apiserver"], 10), (["apiserver"], 40), (["etcd"], 4)], ids=["server 10 s", "server 40 s", "etcd restarted"])
def test_control_plane_that_was_away_finds_nothing_changed_and_work_goes_on(own, site, parts, seconds):
    site.controller.start()
    repo = site.deploy({f"app/{n}.yaml": text(config_map(n, key="1")) for n in "abc"})
    site.requests.mark()
    with own.outage(*parts):
        commit = repo.push("meanwhile", {"app/a.yaml": text(config_map("a", key="2"))})
        time.sleep(seconds)
    up(site.kube)
    site.synced_at(commit, "app", seconds=60)
    stays("only what was committed is written", lambda: (values(site), [e["objectRef"]["name"] for e in site.governed()]),
          lambda seen: seen == ({"a": "2", "b": "1", "c": "1"}, ["a"]), 3)
    site.kube.patch("v1", "ConfigMap", site.namespace, "b", {"data": {"key": "drifted"}})
    until("drift to be healed", lambda: values(site)["b"], lambda key: key == "1", seconds=40)
    assert site.log.verify().returncode == 0
    assert not [r for r in site.log.records() if r["kind"] == "cluster.restored"]


# at full length (make torture ONLY=tests) an orderly stop, too
@pytest.mark.parametrize("controller", ["runs", "killed", *(["stopped"] if "TORTURE_ROUNDS" in os.environ else [])])
def test_older_snapshot_is_told_and_held_until_a_person_syncs(own, site, tmp_path, controller):
    """Put back under a running controller, or while it is down: then what it kept of the cluster's version tells."""
    site.controller.start()
    repo = site.deploy({"app/a.yaml": text(config_map("a", key="1")), "app/b.yaml": text(config_map("b", key="1"))})
    with_etcd_down(own, lambda data: shutil.copytree(data, tmp_path / "snapshot"))
    site.settled("app", seconds=40)
    site.synced_at(repo.push("two", {"app/a.yaml": text(config_map("a", key="2")), "app/b.yaml": None, "app/c.yaml": text(config_map("c", key="1"))}),
                   "app", seconds=40)
    until("b to be pruned", lambda: values(site), lambda seen: seen == {"a": "2", "b": None, "c": "1"}, seconds=30)

    if controller == "stopped":
        site.controller.stop()
    if controller == "killed":
        newest = kept(site)
        until("a later version to be kept", lambda: kept(site), lambda version: version > newest, seconds=20)
        site.controller.kill()
    with_etcd_down(own, lambda data: put_back(tmp_path / "snapshot", data))
    site.requests.mark()
    if controller != "runs":
        site.controller.start(wait=False)
    until("the Application to say that the cluster was restored", lambda: synced(site), lambda said: said == "False/ClusterRestored", seconds=60)
    (record,) = until("the record of it", lambda: [r for r in site.log.records() if r["kind"] == "cluster.restored"], seconds=20)
    assert int(record["to_version"]) < int(record["from_version"]), record
    site.kube.patch("v1", "ConfigMap", site.namespace, "b", {"data": {"key": "drifted"}})
    site.controller.restart()
    stays("nothing is healed or pruned by what the older state says", lambda: (values(site), synced(site), site.governed()),
          lambda seen: seen == ({"a": "1", "b": "drifted", "c": None}, "False/ClusterRestored", []), 5)

    site.kube.patch_application(site.system, "app", {"operation": {"initiatedBy": {"username": "ann"}, "sync": {"prune": True}}})
    until("what Git declares, after a person's sync", lambda: values(site), lambda seen: seen == {"a": "2", "b": None, "c": "1"}, seconds=40)
    site.settled("app", seconds=40)
    site.kube.patch("v1", "ConfigMap", site.namespace, "a", {"data": {"key": "drifted"}})
    until("drift to be healed again", lambda: values(site)["a"], lambda key: key == "2", seconds=30)
    assert len([r for r in site.log.records() if r["kind"] == "cluster.restored"]) == 1
    assert site.log.verify().returncode == 0
