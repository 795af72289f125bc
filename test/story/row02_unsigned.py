"""Row 2: a revision with one unsigned init container is not sent; the old one keeps running, and the reason is told."""

import re

from harness.auditlog import told
from harness.kube import images
from harness.wait import stays

FILE = "shop/20-web.yaml"


def push_unsigned(world):
    """Pushes a revision whose init container nobody signed; returns the commit and that image."""
    image = world.image("migrate", "2")
    commit = world.repo.push("shop: migrate 2", world.repo.replace(FILE, "shop/migrate:1", "shop/migrate:2"))
    return commit, image


def row02_unsigned_init_container_is_denied_and_nothing_is_sent(world, say):
    say.row(2, "Push a revision whose one init container is unsigned")
    world.deployed()
    before, old = world.web(), world.app("shop")["status"]["appliedRevision"]
    since = world.log.next_seq()
    world.requests.mark()
    with say(f"pushed {FILE} with an unsigned shop/migrate:2") as step:
        commit, image = push_unsigned(world)
        denied = world.wait_condition("Verified", "False", "shop", said=image.digest)
        step.answer = f"Verified=False, {denied['reason']}"
    with say("the condition says which image, by which policy, where, why, and what to do") as step:
        line = world.repo.read(FILE).split("shop/migrate:2")[0].count("\n") + 1
        for what, pattern in {"the image": re.escape(f"{world.registry.address}/shop/migrate"), "its digest": re.escape(image.digest),
                              "the policy": r"\bshop\b", "file and line": re.escape(f"20-web.yaml:{line}"),
                              "the fix": r"cosign sign"}.items():
            assert re.search(pattern, denied["message"]), f"expected {what} ({pattern}) in the message, saw: {denied['message']}"
        step.answer = f"20-web.yaml:{line}"
    say.note(denied["message"])
    with say("the API server's audit log shows no request of that revision") as step:
        stays("nothing is sent", lambda: [told(e) for e in world.sent()], lambda sent: sent == [], seconds=1.5)
        step.answer = "0 writes"
    with say("the old revision keeps running") as step:
        after, status = world.web(), world.app("shop")["status"]
        assert images(after) == images(before) and after["metadata"]["generation"] == before["metadata"]["generation"], images(after)
        assert status["appliedRevision"] == old and status["sync"]["revision"] == commit, status["sync"]
        assert status["sync"]["status"] == "OutOfSync", status["sync"]
        step.answer = old[:12]
    with say("the audit log has the denial") as step:
        records = world.records("sync.denied", since, "shop")
        assert records, f"expected a sync.denied record from {since} on, saw {[r['kind'] for r in world.log.records(since=since)]}"
        seen = [i for i in records[0]["images"] if i.get("digest") == image.digest]
        assert records[0]["outcome"] == "deny" and seen and seen[0]["verdict"] == "deny", records[0]
        step.answer = f"record {records[0]['seq']}"
    world.denied = commit, image
