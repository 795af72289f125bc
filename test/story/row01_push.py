"""Row 1: push a repository; everything in it exists, pinned, verified and healthy."""

import time

from harness.images import is_pinned, names_digest
from harness.kube import images
from harness.wait import SCALE, until
from world import IMAGES, SHOP, WORKLOADS

LIMIT = 2.0  # seconds from the push being noticed until all objects exist


def row01_push_of_a_repository_is_verified_and_applied(world, say):
    say.row(1, "Push a repository: an app of apps, three waves, four signed images by tag")
    assert not world.ready, "row 1 plays first"
    with say("installed; connected team, policy and root application") as step:
        world.install()
        step.answer = "controller runs as its own account"
    with say("signed with cosign: P-256 and RSA, legacy format and v0.3 bundle") as step:
        for name, (key, form) in IMAGES.items():
            world.image(name, "1", key, form)
        step.answer = f"{len(IMAGES)} images"
    with say("pushed ops/shop.git") as step:
        commit = world.repo.push("shop: first revision", world.template())
        noticed = until("the push to be noticed", world.repo.noticed_after_push, seconds=5, every=0.02)
        step.answer, step.seconds = f"{commit[:12]} noticed", noticed - world.repo.pushed_at
    with say("all objects exist") as step:
        until("all objects of the repository", world.missing, lambda absent: absent == [], seconds=15, every=0.03)
        took = time.time() - noticed
        step.answer, step.seconds = f"{len(SHOP) + 1} objects in the namespace shop", took
        assert took <= LIMIT * SCALE, f"expected within {LIMIT * SCALE:g} s of being noticed, took {took:.2f} s"
    with say("Applications shop and ledger") as step:
        world.synced_at(commit, "shop")
        world.synced_at(commit, "ledger")
        status = world.app("shop")["status"]
        assert (status["sync"]["status"], status["health"]["status"]) == ("Synced", "Healthy"), status
        step.answer = "Synced Healthy Verified Ready"
    with say("every image in the cluster is pinned, and cosign verify accepts it") as step:
        step.answer = f"{_check_images(world)} images"
    with say("pods run, from pinned images") as step:
        step.answer = f"{_check_pods(world)} pods"
    world.ready = True


def _check_images(world):
    """Each image of each workload is the very digest of the tag that Git names; the real cosign accepts it by its key."""
    checked = 0
    for version, kind, name in WORKLOADS:
        for reference in images(world.get(version, kind, name)):
            base = reference.split("@")[0].split("/")[-1].split(":")[0]
            image = world.images[base, "1"]
            assert is_pinned(reference), f"{kind} {name}: {reference} is not pinned"
            assert names_digest(reference, image.digest), f"{kind} {name}: {reference}, expected {image.digest}"
            key = world.keys[IMAGES[base][0]]
            assert image.cosign_accepts(key), f"cosign verify --key {key.public} refuses {image.pinned}"
            checked += 1
    assert checked == 4, f"expected 4 images, saw {checked}"
    return checked


def _check_pods(world):
    def running():
        return [p for p in world.kube.list("v1", "Pod", "shop") if p.get("status", {}).get("phase") == "Running"]

    pods = until("three running pods in the namespace shop", running, lambda p: len(p) == 3)
    for pod in pods:
        for reference in images(pod):
            assert is_pinned(reference), f"pod {pod['metadata']['name']}: {reference} is not pinned"
    return len(pods)
