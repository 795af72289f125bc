"""Row 7: what is wrong in Git is told with file, line, object and cause; nothing of it is applied, and nobody else is held up."""

import re
import time

from harness.auditlog import told
from harness.wait import stays, until
from world import NAMESPACE

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{n}: &{n} [{', '.join(['*' + p] * 9)}]\n" for p, n in zip("abcdefgh", "bcdefghi"))

# name → (text of shop/90-broken.yaml, what the condition must say besides the file, does it name a line?)
CASES = {
    "broken YAML": ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: broken\ndata: {}\n", [], True),
    "a duplicate key": ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: broken}\ndata:\n  a: one\n  a: two\n", [r"\ba\b", "duplicate|twice|already"], True),
    "an alias bomb": (BOMB + "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: broken}\n", ["alias"], True),
    "an object of an unknown kind": ("apiVersion: nowhere.example/v1\nkind: Unicorn\nmetadata: {name: broken}\n", ["Unicorn", "nowhere.example"], False),
}
REFUSED = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: before}
---
apiVersion: v1
kind: Service
metadata: {name: broken, annotations: {argocd.argoproj.io/sync-wave: "5"}}
spec: {ports: [{port: 80}], colour: green}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: after, annotations: {argocd.argoproj.io/sync-wave: "6"}}
"""


def row07_broken_revisions_are_told_and_hold_up_nobody(world, say):
    say.row(7, "Push what is broken")
    world.deployed()
    world.settled("shop", "ledger")
    for number, (name, (text, wants, has_line)) in enumerate(CASES.items()):
        _one(world, say, name, text, wants, has_line, number)
    _refused_by_the_server(world, say)
    with say("the next good commit recovers") as step:
        commit = world.repo.push("shop: good again", world.template() | {"shop/90-broken.yaml": None})
        world.synced_at(commit, "shop")
        step.answer = "Synced"


def _one(world, say, name, text, wants, has_line, number):
    with say(f"pushed {name}, and in the same commit a good change of the ledger") as step:
        world.requests.mark()
        commit = world.repo.push(f"shop: {name}", {
            "shop/90-broken.yaml": text, **world.repo.replace("ledger/ledger.yaml", f"EUR: \"{1 + number}\"", f"EUR: \"{2 + number}\"")})
        until("the condition to speak of this commit", lambda: world.app("shop")["status"]["sync"], lambda s: s.get("revision") == commit)
        bad = world.wait_condition("Synced", "False", "shop", said="90-broken.yaml")
        for want in wants + ([r"90-broken\.yaml:\d+"] if has_line else []):
            assert re.search(want, bad["message"]), f"expected /{want}/ in the message, saw: {bad['message']}"
        step.answer = f"Synced=False {bad['reason']}"
    say.note(bad["message"])
    with say("  nothing of it is applied, the ledger goes on, no hot loop") as step:
        world.synced_at(commit, "ledger")
        assert world.get("v1", "ConfigMap", "rates", "ledger")["data"]["EUR"] == str(2 + number)
        world.requests.mark()
        stays("nothing is sent", lambda: [told(e) for e in world.sent("shop")], lambda sent: sent == [], seconds=1.2)
        # health of what the commit before rolls out is told meanwhile; a hot loop would not come to rest
        busy = until("a quiet controller", lambda: _status_writes(world), lambda seen: len(seen) <= 2, seconds=8)
        step.answer = f"0 writes, {len(busy)} status writes in 1.2 s"


def _status_writes(world):
    """Of the second that follows."""
    world.requests.mark()
    time.sleep(1.2)
    return [told(e) for e in world.requests.writes(user=f":{NAMESPACE}:countersign-controller", resource="applications")]


def _refused_by_the_server(world, say):
    with say("pushed a field that the API server refuses, in a wave of its own") as step:
        world.repo.push("shop: refused", {"shop/90-broken.yaml": REFUSED})
        bad = world.wait_condition("Synced", "False", "shop", said="colour")
        for want in (r"Service", r"\bbroken\b"):
            assert re.search(want, bad["message"]), f"expected /{want}/ in the message, saw: {bad['message']}"
        step.answer = f"Synced=False {bad['reason']}"
    say.note(bad["message"])
    with say("  what was applied is told, later waves wait") as step:
        assert world.find("v1", "ConfigMap", "before"), "the wave before was applied"
        stays("the wave after waits", lambda: world.find("v1", "ConfigMap", "after"), lambda found: found is None, seconds=1.5)
        results = world.app("shop")["status"]["operationState"]["syncResult"]["resources"]
        by_name = {r["name"]: r["status"] for r in results}
        assert by_name.get("before") == "Synced" and by_name.get("broken") == "SyncFailed", results
        step.answer = "before: Synced, broken: SyncFailed"
