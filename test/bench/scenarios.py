"""The scenarios. Each returns a dictionary: what was measured of us and of the yardstick in the same run."""

import time

from measure import Meter, Tail, counted, quiet, wait_for
from world import World

from harness.gitrepo import parse_time


def noticed(world):
    """When the controller first asked the Git server after the push: the time to that is the poll interval's, not the controller's."""
    after = (world.repo.bare / "refs/heads/main").stat().st_mtime
    for line in world.repo.requests():
        at = parse_time(line.split(" ", 1)[0])
        if at >= after and "receive-pack" not in line:
            return at, at - after
    raise AssertionError("the controller has not asked for the repository since the push")


def _pass(world, tail, meter, count, limit):
    """One push → everything applied: the times that matter."""
    times = wait_for(tail, limit, object=4 * count, status=count)
    last = quiet(tail)
    cost = meter.stop()
    began, unseen = noticed(world)
    git = [line.split()[1:3] for line in world.repo.requests() if parse_time(line.split(" ", 1)[0]) >= began]
    return {"noticed_s": round(unseen, 3), "objects_s": round(times["object"] - began, 3),
            "statuses_s": round(times["status"] - began, 3), "quiet_s": round(last - began, 3), "writes": counted(tail),
            "first_write_s": round(min(w[4] for w in tail.seen if w[0] == "object") - began, 3),
            "git_requests": len(git), **cost}


def cold(world: World, count, seconds=600):
    """S1 and S2, ours: everything is there but the applications' files; one push brings them; another changes all objects."""
    world.fresh().install(count)
    world.push([], 0, "nothing yet")
    world.create_applications(range(count))
    world.controller.start()
    tail = Tail(world)
    time.sleep(1)
    quiet(tail)
    out = {}
    for revision, name in ((1, "S1"), (2, "S2")):
        tail, meter = Tail(world), Meter(world, world.controller).start()
        world.push(range(count), revision, f"revision {revision}")
        out[name] = _pass(world, tail, meter, count, seconds)
        out[name]["registry"] = len(world.stack.registry_requests("/v2/"))
        out[f"plan {name}"] = world.recorded_writes(range(count), revision)
    world.controller.stop()
    return out


def yardstick(world: World, count, plans):
    """S1 and S2, the bare client: the same objects into an equal cluster; then again, with the statuses between them."""
    out = {"S1": {}, "S2": {}}
    for with_statuses in (False, True):
        world.fresh().install(count)
        world.create_applications(range(count))
        for name in ("S1", "S2"):
            plan = [entry for entry in plans[f"plan {name}"] if with_statuses or entry[0] != "s"]
            meter = Meter(world).start()
            done = world.bare(plan, impersonate=True)
            cost = meter.stop()
            if with_statuses:
                out[name].update(seconds=done["seconds"], p50_ms=done["p50_ms"], p99_ms=done["p99_ms"], client_cpu_s=done["cpu_s"], **cost)
            else:
                out[name]["only_objects_s"] = done["seconds"]
    return out
