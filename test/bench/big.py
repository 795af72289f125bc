"""The scenarios of one large repository: S3 nothing changes, S4 drift, S5 a one-file commit, S6 restart. They share its world, which takes a
while to fill: the controller itself does that."""

import json
import statistics
import threading
import time

from measure import Meter, Tail, counted, cpu_of, fine_cpu_of, pss_of, quiet, reads, requests, wait_for
from scenarios import noticed
from workload import KINDS
from world import World

from harness.gitrepo import parse_time


def fill(world: World, numbers, seconds=3000):
    """Applications of these numbers with all their objects, brought there by the controller."""
    tail, meter = Tail(world), Meter(world, world.controller).start()
    began = time.time()
    world.push(numbers, 1, f"{len(numbers)} applications")
    world.create_applications(numbers)
    wait_for(tail, seconds, object=4 * len(numbers), status=len(numbers))
    quiet(tail, 3)
    return {"seconds": round(time.time() - began, 1), "writes": counted(tail), **meter.stop()}


def more(world: World, numbers):
    """Adds applications; their namespaces too."""
    world.more_namespaces(numbers[-1] + 1)
    return fill(world, numbers)


def start(world: World, count):
    """A running controller with that many Applications, all settled; returns what filling it took."""
    world.fresh().install(count, poll="1s")
    world.push([], 0, "nothing yet")
    world.controller.start()
    return fill(world, range(count))


def memory(world):
    """Bytes of all roles together, and of core alone."""
    return sum(pss_of(p) for p in world.controller.pids()), sum(pss_of(p) for p in world.controller.pids("core"))


def idle(world: World, seconds):
    """S3: nothing changes."""
    time.sleep(3)
    tail, before, began = Tail(world), requests(world.kube), time.time()
    cpu = sum(fine_cpu_of(p) for p in world.controller.pids())
    time.sleep(seconds)
    used, wall = sum(fine_cpu_of(p) for p in world.controller.pids()) - cpu, time.time() - began
    return {"share_of_core": round(used / wall, 4), "cpu_s": round(used, 2), "wall_s": round(wall, 1), "writes": counted_all(tail),
            "reads": reads(before, requests(world.kube)), "pss_mib": round(memory(world)[0] / 2**20, 1)}


def counted_all(tail):
    return {k: v for k, v in counted(tail).items() if "lease" not in k}


# --- S5 ---

def one_file(world: World, number, revision):
    """S5: one file of one application changes; how long until it is applied, and what that cost us."""
    tail = Tail(world)
    file = f"apps/{number // 100:03d}/app-{number:05d}/deployment.yaml"
    text = (world.repo.work / file).read_text()
    changed = text.replace("value: r1", f"value: r{revision}") if revision == 2 else text.replace(f"value: r{revision - 1}", f"value: r{revision}")
    assert changed != text
    (world.repo.work / file).write_text(changed)
    world.repo.git("commit", "-q", "-m", f"revision {revision}", file)
    used = {p: (role, fine_cpu_of(p)) for p, role in world.controller.roles().items()}
    world.repo.git("push", "-q", str(world.repo.bare), "HEAD:refs/heads/main")
    wait_for(tail, 60, object=1, status=1)
    quiet(tail, 1.0)
    began, _ = noticed(world)
    write = next(w for w in tail.seen if w[0] == "object")
    git = [float(line.rsplit(" ", 1)[1].rstrip("ms")) / 1000 for line in world.repo.requests()
           if began <= parse_time(line.split(" ", 1)[0]) < write[4]]
    by_role = {}
    for pid, role in world.controller.roles().items():
        by_role[role] = by_role.get(role, 0) + fine_cpu_of(pid) - used.get(pid, (role, 0.0))[1]
    return {"git_s": round(sum(git), 3), "rest_s": round(write[4] - began - sum(git), 4), "applied_s": round(write[5] - began, 4), "write_s": round(write[5] - write[4], 4), "before_write_s": round(write[4] - began, 4),
            "cpu_s": round(sum(by_role.values()), 4), "cpu_by_role": {k: round(v, 4) for k, v in by_role.items() if v > 0.0005},
            "writes": counted_all(tail), "git_requests": len(git)}


# --- S4 ---

def edit(world: World, number, value):
    """Somebody changes a declared field by hand; returns when the API server had it, and when it was as before."""
    namespace, name = world.namespace_of(number), f"app-{number:05d}"
    world.kube.patch("apps/v1", "Deployment", namespace, name, {"spec": {"minReadySeconds": value}}, manager="kubectl-edit")


def drift_one_by_one(world: World, edits):
    """S4 (a): milliseconds from the edit's answer to the repair's answer, by the API server's own clock."""
    took, (syncs, seconds) = [], world.fdatasync()
    for i in range(edits):
        tail = Tail(world)
        edit(world, i, 7)
        wait_for(tail, 30, object=1)
        with open(world.stack.audit_log, "rb") as file:
            file.seek(max(0, tail.offset - 20000))
            lines = [json.loads(line) for line in file.read().splitlines()[1:] if b'"deployments"' in line]
        mine = [e for e in lines if e["objectRef"].get("name") == f"app-{i:05d}"]
        edited = [parse_time(e["stageTimestamp"]) for e in mine if e["user"]["username"] == "admin"][-1]
        repaired = [parse_time(e["stageTimestamp"]) for e in mine if "impersonatedUser" in e][-1]
        took.append((repaired - edited) * 1000)
    took.sort()
    syncs, seconds = (now - then for now, then in zip(world.fdatasync(), (syncs, seconds)))
    return {"p50_ms": round(statistics.median(took), 2), "p99_ms": round(took[len(took) * 99 // 100], 2), "edits": edits,
            "fdatasync_ms": round(1000 * seconds / syncs, 2)}


def drift_at_once(world: World, count):
    """S4 (b): so many edits by the bare client; seconds until all are taken back: by the bare client, then by us."""
    plan = [("e", 0, "PATCH", world.kube.path("apps/v1", "Deployment", world.namespace_of(i), f"app-{i:05d}") + "?fieldManager=kubectl-edit",
             "application/merge-patch+json", '{"spec":{"minReadySeconds":8}}') for i in range(count)]
    repairs = [(kind, 0, method, path.replace("force=false", "force=true"), content_type, body)
               for kind, _, method, path, content_type, body in world.recorded_writes(range(count), 1) if "/deployments/" in path]
    world.controller.stop()
    world.bare(plan, admin=True)
    bare = world.bare(repairs, impersonate=True)
    world.controller.start()
    wait_silent(world)
    # for as long as the edits take, and no longer: it would lose its lease
    world.controller_pause()
    edits = world.bare(plan, admin=True)
    tail, began = Tail(world), time.time()
    world.controller_continue()
    times = wait_for(tail, 300, object=count)
    quiet(tail)
    return {"bare_s": bare["seconds"], "edits_s": edits["seconds"], "repaired_s": round(times["object"] - began, 3), "writes": counted_all(tail)}


# --- S6 ---

def restart(world: World, limit=600):
    """S6: seconds from the start of the process until everything was compared, beside the bare lists of the same data."""
    world.controller.stop()
    lists = bare_lists(world)
    tail, before = Tail(world), requests(world.kube)
    meter = Meter(world, world.controller)
    began = time.time()
    world.controller.start(wait=False)
    meter.start()
    compared = wait_silent(world, limit) - began
    quiet(tail, 3)
    cost = meter.stop()
    whole, core = memory(world)
    return {"compared_s": round(compared, 3), "bare_lists_s": lists, "writes": counted_all(tail), "requests": reads(before, requests(world.kube)),
            "pss_mib": round(whole / 2**20, 1), "core_pss_mib": round(core / 2**20, 1), **cost}


def wait_silent(world, limit=600):
    """All is compared when the processes fall silent; returns when they did."""
    deadline, last, since = time.time() + limit, None, time.time()
    while time.time() < deadline:
        used = round(sum(cpu_of(p) for p in world.controller.pids()), 2)
        if last is None or used - last > 0.02:
            last, since = used, time.time()
        elif time.time() - since > 2.5:
            return since
        time.sleep(0.1)
    raise AssertionError(f"the controller is busy after {limit} s")


def bare_lists(world):
    """The same data, listed by the bare client: Applications, inventories, and the four kinds by our label, in pages of 500."""
    total = 0.0
    paths = [("/apis/countersign.dev/v1alpha1/namespaces/countersign-system/applications", ""),
             ("/apis/countersign.dev/v1alpha1/namespaces/countersign-system/applicationinventories", "")]
    paths += [(world.kube.path(v, k), "&labelSelector=countersign.dev%2Fapp") for v, k in KINDS]
    for path, selector in paths:
        more = ""
        while True:
            began = time.time()
            text = world.kube.raw(f"{path}?limit=500{selector}{more}")
            total += time.time() - began
            token = json.loads(text)["metadata"].get("continue")
            if not token:
                break
            more = "&continue=" + token
    return round(total, 3)
