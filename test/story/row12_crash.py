"""Row 12: a worker that dies in the middle of a job fails that one job, which is tried again; every role is locked down."""

import contextlib
import os
import pathlib
import signal
import threading
import time

from harness import manifests
from harness.controller import process_status, role_of
from harness.wait import until

# Eight ConfigMaps of 100 KB take a while to render; fewer objects than the shop has, so that they may be pruned again.
MANY, BYTES = 8, 100_000
# An image is verified within a few milliseconds: so many, one after the other, that the worker is met at work.
IMAGES = 16


class Killer:
    """Sends SIGSEGV to every process of a role as soon as it appears, until told to stop: whatever job it gets, it dies in it."""

    def __init__(self, controller, role):
        self.supervisor, self.role, self.killed = controller.process.pid, role, set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        children = pathlib.Path(f"/proc/{self.supervisor}/task/{self.supervisor}/children")
        while not self._stop.is_set():
            for pid in map(int, children.read_text().split()):
                if pid not in self.killed and role_of(pid) == self.role:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGSEGV)
                    self.killed.add(pid)
            time.sleep(0.0003)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(5)


def row12_crashed_worker_fails_one_job(world, say):
    say.row(12, "SIGSEGV the render and the verify worker in the middle of a job")
    world.deployed()
    world.settled("shop", "ledger")
    core = world.controller.pids("core")
    with say("every role is under seccomp and has no new privileges") as step:
        roles = world.controller.roles()
        assert {"supervisor", "core"} <= set(roles.values()), roles
        for pid, role in roles.items():
            status = process_status(pid)
            assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1"), f"{role}: Seccomp {status['Seccomp']}, NoNewPrivs {status['NoNewPrivs']}"
        step.answer = f"{len(roles)} processes, all roles"
    many = manifests.text(*[manifests.config_map(f"many-{n}", text="x" * BYTES) for n in range(MANY)])
    try:
        _crash(world, say, core, "render", lambda: world.repo.push("shop: many objects", {"shop/30-many.yaml": many}))
        _crash(world, say, core, "verify", _new_images(world))
    finally:
        added = {name: None for name in ("shop/30-many.yaml", "shop/31-crowd.yaml") if (world.repo.work / name).exists()}
        commit = world.repo.push("shop: as before", {**world.template(), **added})
        world.synced_at(commit, "shop", seconds=60)


def _new_images(world):
    """A Deployment of images that were never verified before."""
    images = [world.image(f"crash{n}", "1", "release") for n in range(IMAGES)]
    crowd = manifests.deployment("crowd", images[0].ref)
    crowd["spec"]["template"]["spec"]["containers"] = [{"name": f"c{n}", "image": i.ref} for n, i in enumerate(images)]
    return lambda: world.repo.push("shop: new images", {"shop/31-crowd.yaml": manifests.text(crowd)})


def _crash(world, say, core, role, push):
    with say(f"SIGSEGV to the {role} worker while it works") as step:
        with Killer(world.controller, role) as killer:
            commit = push()
            until(f"{role}: a condition with WorkerCrashed",
                  lambda: [c for c in world.app("shop")["status"]["conditions"] if c["reason"] == "WorkerCrashed"], seconds=30)
        assert killer.killed, f"no {role} worker was killed"
        step.answer = f"WorkerCrashed ({len(killer.killed)} killed)"
    with say("  the job is tried again; core never noticed") as step:
        world.synced_at(commit, "shop", seconds=90)
        assert world.controller.pids("core") == core, f"core was {core}, is {world.controller.pids('core')}"
        assert world.app("ledger")["status"]["sync"]["status"] == "Synced"
        step.answer = "applied, same core"
