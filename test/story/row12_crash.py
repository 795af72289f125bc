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
        _crash(world, say, core, "verify", lambda: _new_image(world))
    finally:
        commit = world.repo.push("shop: as before", {**world.template(), **({"shop/30-many.yaml": None} if _has_many(world) else {})})
        world.synced_at(commit, "shop", seconds=60)


def _has_many(world):
    return (world.repo.work / "shop/30-many.yaml").exists()


def _new_image(world):
    image = world.image("web", "3", "release")
    return world.repo.push("shop: web 3", world.repo.replace("shop/20-web.yaml", "shop/web:1", image.ref.split("/", 1)[1]))


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
