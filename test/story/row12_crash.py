"""Row 12: a worker that dies in the middle of a job fails that one job, which is tried again; every role is locked down."""

import signal
import threading

from harness import manifests
from harness.controller import process_status
from harness.wait import until

LARGE = 1500  # objects: long enough to render that the worker is killed in the middle


class Killer:
    """Sends SIGSEGV to every process of a role that appears, until told to stop."""

    def __init__(self, controller, role):
        self.controller, self.role, self.killed = controller, role, set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self._stop.is_set():
            self.killed.update(self.controller.kill_role(self.role, signal.SIGSEGV))
            self._stop.wait(0.002)

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
    many = manifests.text(*[manifests.config_map(f"many-{n}", text="x" * 200) for n in range(LARGE)])
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
