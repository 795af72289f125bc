"""Row 9: SIGKILL in the middle of a sync changes nothing of the outcome; deletion needs neither Git nor registry."""

import json
import time

from harness import manifests
from harness.gitrepo import Repo, parse_time
from harness.wait import SCALE, until
from world import NAMESPACE

OBJECTS, WAVES = 20, 4
IN_FLIGHT = 0.5  # seconds before the kill in which a write may have been sent without its answer being known


def row09_killed_sync_ends_in_the_same_state(world, say):
    say.row(9, "SIGKILL in the middle of a sync of 20 objects")
    world.deployed()
    world.settled("shop", "ledger")
    image = world.image("bulk", "1", "release")
    repo = Repo(world.stack, world.folder / "bulk", "ops/bulk")
    repo.push("bulk", {f"bulk/{n:02}.yaml": manifests.text(o) for n, o in enumerate(_objects(image))})
    team = world.team
    team.namespaces += ["bulk-none", "bulk-all", "bulk-core"]
    world.kube.apply(team.project)
    try:
        with say("the same sync without a kill, for comparison") as step:
            _sync(world, repo, "none")
            expected = _state(world, "none")
            step.answer = f"{len(expected)} objects"
        _killed(world, say, repo, "all", lambda: world.controller.kill(), expected)
        _killed(world, say, repo, "core", lambda: _kill_core(world), expected)
        with say("audit verify") as step:
            done = world.log.verify()
            assert done.returncode == 0, done.stdout + done.stderr
            step.answer = done.stdout.strip().splitlines()[-1][:34]
        _deleted_without_git_and_registry(world, say)
    finally:
        for suffix in ("none", "all", "core"):
            world.kube.delete("countersign.dev/v1alpha1", "Application", NAMESPACE, f"bulk-{suffix}", missing_ok=True)


def _objects(image):
    """Five objects in each of four waves; each wave's Deployment must be healthy before the next begins, so a sync takes a while."""
    out = []
    for wave in range(WAVES):
        out.append(manifests.wave(manifests.deployment(f"d{wave}", image.ref), wave))
        for n in range(OBJECTS // WAVES - 1):
            out.append(manifests.wave(manifests.config_map(f"c{wave}{n}", text=f"{wave}.{n}"), wave))
    return out


def _sync(world, repo, suffix, wait=True):
    app = world.team.application(f"bulk-{suffix}", repo, "bulk", f"bulk-{suffix}", options=["CreateNamespace=true"])
    app["metadata"]["finalizers"] = ["resources-finalizer.argocd.argoproj.io"]
    world.kube.apply(app)
    if wait:
        world.settled(f"bulk-{suffix}", seconds=40)


def _state(world, suffix):
    """What lies in the namespace, without what differs between namespaces and runs."""
    out = {}
    for version, kind, field in (("v1", "ConfigMap", "data"), ("apps/v1", "Deployment", "spec")):
        for found in world.kube.list(version, kind, f"bulk-{suffix}"):
            if found["metadata"]["name"] != "kube-root-ca.crt":
                out[f"{kind}/{found['metadata']['name']}"] = json.dumps(found[field], sort_keys=True)
    return out


def _kill_core(world):
    assert world.controller.kill_role("core"), f"no core among {world.controller.roles()}"


def _killed(world, say, repo, suffix, kill, expected):
    with say(f"SIGKILL {'every process' if suffix == 'all' else 'the core alone'} in the middle, and started again") as step:
        world.requests.mark()
        _sync(world, repo, suffix, wait=False)
        until("the first wave to be written", lambda: len(_state(world, suffix)), lambda n: n > 0, every=0.01)
        killed_at = time.time()
        kill()
        began = len(_state(world, suffix))
        assert 0 < began < OBJECTS, f"expected the kill in the middle, saw {began} of {OBJECTS} objects"
        if not world.controller.running():
            world.controller.start()
        world.settled(f"bulk-{suffix}", seconds=60)
        assert _state(world, suffix) == expected, "the objects differ from those of the sync that was not killed"
        step.answer = f"killed at {began} of {OBJECTS}: same objects"
    with say("  no object written twice but those in flight, once more") as step:
        writes = {}
        for event in world.requests.governed(namespace=f"bulk-{suffix}"):
            if event["responseStatus"]["code"] < 300:
                writes.setdefault((event["objectRef"]["resource"], event["objectRef"]["name"]), []).append(event)
        again = {key: events for key, events in writes.items() if len(events) > 1}
        for key, events in again.items():
            answered = parse_time(events[0]["stageTimestamp"])
            assert len(events) == 2 and answered >= killed_at - IN_FLIGHT * SCALE, \
                f"{key} was written {len(events)} times, first {killed_at - answered:.2f} s before the kill"
        step.answer = f"{len(again)} of {len(writes)} written once more"


def _deleted_without_git_and_registry(world, say):
    with say("Git and registry down: kubectl delete application bulk-all") as step:
        with world.stack.outage("git", "regauth"):
            world.kube.delete("countersign.dev/v1alpha1", "Application", NAMESPACE, "bulk-all")
            until("all its objects to go", lambda: _state(world, "all"), lambda left: left == {}, seconds=20)
            until("the Application to go", lambda: world.kube.find_application(NAMESPACE, "bulk-all"), lambda found: found is None)
        step.answer = f"{OBJECTS} objects gone"
    world.settled("shop", "ledger", seconds=30)
