"""Row 5: what somebody changes in the cluster is healed within a second, and told by name; without self-heal it is reported."""

import time

from harness.controller import cli
from harness.kube import images
from harness.wait import SCALE, until
from world import NAMESPACE

LIMIT = 1.0  # seconds from the change until it is healed


def row05_drift_is_healed_and_attributed(world, say):
    say.row(5, "Change things behind the controller's back")
    world.deployed()
    world.settled("shop", "ledger")
    _patched_field(world, say)
    _foreign_container(world, say)
    _deleted_object(world, say)
    _without_self_heal(world, say)


def _healed(world, say, what, change, healed, answer):
    """Makes the change and times until the world is as declared again."""
    with say(what) as step:
        change()
        began = time.monotonic()
        until(f"the change to be healed: {what}", healed, seconds=10, every=0.02)
        step.answer, step.seconds = answer, time.monotonic() - began
        assert step.seconds <= LIMIT * SCALE, f"expected healed within {LIMIT * SCALE:g} s, took {step.seconds:.2f} s"


def _patched_field(world, say):
    since = world.log.next_seq()
    _healed(world, say, "kubectl patch deployment web: replicas 7",
            lambda: world.kube.kubectl("-n", "shop", "patch", "deployment", "web", "--type=merge", "-p", '{"spec":{"replicas":7}}'),
            lambda: world.web()["spec"]["replicas"] == 2, "healed: 2 replicas")
    with say("the log and describe name manager, field and time") as step:
        drift = _drift(world, since, "web")
        text = str(drift)
        assert "kubectl-patch" in text and "replicas" in text, f"expected manager kubectl-patch and field replicas, saw {drift}"
        heal = until("a sync.intent by self-heal after the drift", lambda: [
            r for r in world.records("sync.intent", drift["seq"], "shop") if r["actor"]["type"] == "self-heal"])
        assert heal[0]["seq"] > drift["seq"], "the drift is recorded before it is healed"
        said = cli("describe", "shop", "-n", NAMESPACE, kubeconfig=world.stack.kubeconfig, check=True).stdout
        assert "kubectl-patch" in said and "replicas" in said, f"describe says:\n{said}"
        step.answer = "kubectl-patch .spec.replicas"


def _drift(world, since, name):
    def seen():
        return [r for r in world.records("drift", since, "shop") if name in str(r.get("objects", ""))]
    return until(f"a drift record for {name} from {since} on", seen)[0]


def _foreign_container(world, say):
    evil = world.image("sidecar", "evil")
    patch = [{"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "sidecar", "image": evil.ref}}]
    since = world.log.next_seq()
    _healed(world, say, "added a container with an unsigned image",
            lambda: world.kube.patch("apps/v1", "Deployment", "shop", "web", patch, manager="kubectl-edit"),
            lambda: not any("sidecar" in i for i in images(world.web())), "the foreign container is gone")
    with say("the log says so") as step:
        drift = _drift(world, since, "web")
        assert "kubectl-edit" in str(drift) and "sidecar" in str(drift), f"expected manager kubectl-edit and the container, saw {drift}"
        step.answer = f"record {drift['seq']}"


def _deleted_object(world, say):
    uid = world.get("v1", "ConfigMap", "web")["metadata"]["uid"]

    def back():
        found = world.find("v1", "ConfigMap", "web")
        return found and found["metadata"]["uid"] != uid and found["data"]["greeting"] == "Welcome"

    _healed(world, say, "kubectl delete configmap web",
            lambda: world.kube.kubectl("-n", "shop", "delete", "configmap", "web", "--wait=false"), back, "exists again")
    world.settled("shop", "ledger")


def _without_self_heal(world, say):
    evil = world.image("ledger", "evil")
    with say("self-heal off for the ledger, then an unsigned image set by hand") as step:
        world.repo.push("ledger: no self-heal", world.repo.replace("apps/ledger.yaml", "selfHeal: true", "selfHeal: false"))
        until("the ledger's Application without self-heal", lambda: world.app("ledger")["spec"]["syncPolicy"]["automated"],
              lambda a: a.get("selfHeal") is not True)
        good = images(world.get("apps/v1", "Deployment", "ledger", "ledger"))
        world.kube.kubectl("-n", "ledger", "set", "image", "deployment/ledger", f"ledger={evil.ref}")
        violation = world.wait_condition("Verified", "False", "ledger", said="shop/ledger")
        out_of_sync = until("status OutOfSync", lambda: world.app("ledger")["status"]["sync"], lambda s: s["status"] == "OutOfSync")
        time.sleep(1.5)
        assert images(world.get("apps/v1", "Deployment", "ledger", "ledger")) == [evil.ref], "it was healed, which was switched off"
        step.answer = f"{out_of_sync['status']}, Verified=False {violation['reason']}"
    with say("self-heal on again") as step:
        world.repo.push("ledger: self-heal", world.repo.replace("apps/ledger.yaml", "selfHeal: false", "selfHeal: true"))
        until("the ledger to be healed", lambda: images(world.get("apps/v1", "Deployment", "ledger", "ledger")), lambda i: i == good)
        world.settled("shop", "ledger")
        step.answer = "healed"
