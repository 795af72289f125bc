"""What a turn costs: CPU seconds of each part, memory of the controller, requests by verb, and when its writes were answered."""

import os
import pathlib
import re
import threading
import time

from world import ACCOUNT, NAMESPACE

from harness.gitrepo import parse_time

TICK = os.sysconf("SC_CLK_TCK")
USER = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"


def cpu_of(pid):
    """CPU seconds of a process and of its children that ended."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(int(x) for x in fields[11:15]) / TICK


def fine_cpu_of(pid):
    """CPU seconds of a process of one thread, to the nanosecond; its children's are not in it."""
    try:
        return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def pss_of(pid):
    """Proportional set size in bytes; what several processes share counts once."""
    try:
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.M)
    return int(found[1]) * 1024 if found else 0


class Meter:
    """Between `start` and `stop`: CPU seconds of controller, API server and etcd; peak memory of the controller; requests."""

    def __init__(self, world, controller=None):
        self.world, self.controller = world, controller
        self.peak = {}
        self._stop = threading.Event()

    def _cpu(self):
        stack = self.world.stack_folder
        pid = {name: int((stack / f"{name}.pid").read_text().split()[0]) for name in ("apiserver", "etcd")}
        out = {name: cpu_of(p) for name, p in pid.items()}
        if self.controller:
            out["controller"] = sum(cpu_of(p) for p in self.controller.pids())
            out["core"] = sum(cpu_of(p) for p in self.controller.pids("core"))
        return out

    def _sample(self):
        while not self._stop.wait(0.25):
            self.sample()

    def sample(self):
        roles = {}
        for pid, role in self.controller.roles().items():
            roles[role] = roles.get(role, 0) + pss_of(pid)
        if sum(roles.values()) > sum(self.peak.values()):
            self.peak = roles

    def start(self):
        self.world.log.mark()
        self.before, self.requests_before, self.began = self._cpu(), requests(self.world.kube), time.time()
        if self.controller:
            self.thread = threading.Thread(target=self._sample, daemon=True)
            self.thread.start()
        return self

    def stop(self):
        if self.controller:
            self.sample()
            self._stop.set()
            self.thread.join()
        after = self._cpu()
        out = {"cpu_s": {k: round(after[k] - self.before.get(k, 0), 2) for k in after}, "wall_s": round(time.time() - self.began, 3)}
        out["reads"] = reads(self.requests_before, requests(self.world.kube))
        if self.controller:
            out["peak_pss_mib"] = round(sum(self.peak.values()) / 2**20, 1)
            out["peak_by_role_mib"] = {role: round(bytes / 2**20, 1) for role, bytes in self.peak.items()}
        return out


def requests(kube):
    """(verb, resource, subresource) → requests that the API server has answered since it started."""
    out = {}
    for line in kube.request("GET", "/metrics").splitlines():
        if line.startswith("apiserver_request_total{"):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
            key = (labels["verb"], labels["resource"], labels["subresource"])
            out[key] = out.get(key, 0) + int(float(line.rsplit(" ", 1)[1]))
    return out


def reads(before, after):
    """Reading requests between two looks, as "VERB resource" → count; those of the API server to itself and of the bench are left out."""
    out = {}
    for (verb, resource, _), count in after.items():
        number = count - before.get((verb, resource, _), 0)
        if number and verb in ("GET", "LIST", "WATCH") and resource in ("applications", "applicationinventories", "imagepolicies", "projects",
                                                                       "deployments", "serviceaccounts", "services", "ingresses"):
            out[f"{verb} {resource}"] = out.get(f"{verb} {resource}", 0) + number
    return out


class Tail:
    """Follows the API server's audit log: the controller's writes, with the time at which each was answered."""

    def __init__(self, world):
        self.world, self.offset, self.rest, self.seen = world, pathlib.Path(world.stack.audit_log).stat().st_size, b"", []

    LINE = re.compile(rb'"verb":"(\w+)","user":\{"username":"([^"]+)".*?"objectRef":\{"resource":"(\w+)".*?'
                      rb'"responseStatus":\{.*?"code":(\d+).*?"requestReceivedTimestamp":"([^"]+)","stageTimestamp":"([^"]+)"')

    def read(self):
        """Takes in what was written since; returns all writes seen: (kind of write, resource, verb, code, received, answered)."""
        with open(self.world.stack.audit_log, "rb") as file:
            file.seek(self.offset)
            data = file.read()
        self.offset += len(data)
        lines = (self.rest + data).split(b"\n")
        self.rest = lines.pop()
        for line in lines:
            found = self.LINE.search(line)
            if not found or found[2].decode() != USER:
                continue
            resource, sub = found[3].decode(), b'"subresource":"status"' in line
            group = "status" if sub and resource == "applications" else "object" if b'"impersonatedUser"' in line else resource
            self.seen.append((group, resource, found[1].decode(), int(found[4]), parse_time(found[5].decode()), parse_time(found[6].decode())))
        return self.seen


def wait_for(tail, seconds, **wanted):
    """Waits until there were so many writes of each group; returns group → time at which the last of them was answered."""
    deadline = time.time() + seconds
    while True:
        times = {}
        for write in tail.read():
            times.setdefault(write[0], []).append(write[5])
        if all(len(times.get(group, [])) >= count for group, count in wanted.items()):
            return {group: sorted(times[group])[count - 1] for group, count in wanted.items()}
        if time.time() > deadline:
            raise AssertionError(f"not within {seconds} s: {wanted}; seen {({g: len(t) for g, t in times.items()})}\n"
                                 f"{tail.world.controller.tail(20)}")
        time.sleep(0.1)


def counted(tail):
    """"verb group" → how many writes; those that were refused once more, with the code."""
    out = {}
    for group, _, verb, code, *_ in tail.read():
        for name in (f"{verb} {group}", *([f"{verb} {group} refused with {code}"] if code >= 400 else [])):
            out[name] = out.get(name, 0) + 1
    return out


def quiet(tail, seconds=1.5, most=60):
    """Waits until nothing was written for so long; returns the time of the last write."""
    end, known, since = time.time() + most, -1, time.time()
    while time.time() < end:
        seen = sum(w[0] != "leases" for w in tail.read())
        if seen != known:
            known, since = seen, time.time()
        elif time.time() - since > seconds:
            return max((w[5] for w in tail.seen if w[0] != "leases"), default=0.0)
        time.sleep(0.1)
    raise AssertionError(f"the controller is not quiet after {most} s: {counted(tail)}")
