"""Row 6: what is deleted from Git is pruned; an Application is not emptied unless it says so; what is not ours is never touched."""

from harness.wait import stays, until

LEDGER = [("v1", "ConfigMap", "ledger"), ("v1", "ConfigMap", "rates"), ("apps/v1", "Deployment", "ledger")]


def row06_deleted_files_are_pruned_and_nothing_else(world, say):
    say.row(6, "Delete a file; then all files")
    world.deployed()
    world.settled("shop", "ledger")
    foreign = _foreign_objects(world)
    try:
        with say("pushed shop/ without 21-report.yaml") as step:
            commit = world.repo.push("shop: no nightly report", {"shop/21-report.yaml": None})
            until("the CronJob to be pruned", lambda: world.find("batch/v1", "CronJob", "report"), lambda found: found is None)
            world.synced_at(commit, "shop")
            step.answer = "CronJob report pruned"
        with say("the record of it is an intent to delete") as step:
            deletes = [o for r in world.records("sync.intent", 0, "shop") for o in r["objects"] if o["op"] == "delete" and o["name"] == "report"]
            assert len(deletes) == 1, f"expected one object with op delete, saw {deletes}"
            step.answer = "op delete"
        _empty(world, say)
        with say("objects that are not ours are as they were") as step:
            for obj in foreign:
                now = world.find("v1", "ConfigMap", obj["metadata"]["name"], obj["metadata"]["namespace"])
                assert now and now["metadata"]["resourceVersion"] == obj["metadata"]["resourceVersion"], f"{obj['metadata']['name']}: {now}"
            step.answer = f"{len(foreign)} untouched"
    finally:
        for obj in foreign:
            world.kube.delete("v1", "ConfigMap", obj["metadata"]["namespace"], obj["metadata"]["name"], missing_ok=True)
        world.repo.push("everything back", world.template())
        world.settled("shop", "ledger")


def _foreign_objects(world):
    """One object without our marks, and one that carries a copy of an object's marks, as controllers of others make them."""
    ours = world.get("v1", "ConfigMap", "ledger", "ledger")["metadata"]
    copied = world.configmap("copied", "ledger", owner="somebody else")
    copied["metadata"]["labels"] = ours.get("labels", {})
    copied["metadata"]["annotations"] = {k: v for k, v in ours.get("annotations", {}).items() if k.startswith("countersign.dev/")}
    assert copied["metadata"]["annotations"], f"ConfigMap ledger carries no mark of ours: {ours}"
    return [world.kube.create(world.configmap("foreign", "ledger", owner="somebody else")), world.kube.create(copied)]


def _absent(world):
    return [name for version, kind, name in LEDGER if not world.find(version, kind, name, "ledger")]


def _empty(world, say):
    with say("pushed ledger/ without any manifest") as step:
        world.repo.push("ledger: nothing", {"ledger/ledger.yaml": None})
        refused = world.wait_condition("Synced", "False", "ledger", said="allowEmpty")
        stays("nothing is pruned", lambda: _absent(world), lambda absent: absent == [], seconds=1.5)
        step.answer = f"refused: {refused['reason']}"
    say.note(refused["message"])
    with say("the Application says allowEmpty") as step:
        world.repo.push("ledger: may be empty", world.repo.replace("apps/ledger.yaml", "selfHeal: true", "selfHeal: true, allowEmpty: true"))
        until("all objects of the ledger to be pruned", lambda: _absent(world), lambda absent: len(absent) == len(LEDGER))
        step.answer = f"{len(LEDGER)} objects pruned"
