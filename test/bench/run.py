#!/usr/bin/python3
"""make bench: the scenarios of controller performance, ours beside a client that only sends the same writes. See README.md."""

import argparse
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import big  # noqa: E402
import scenarios  # noqa: E402
from world import ROOT, commit_of, world  # noqa: E402

RESULTS = ROOT / "build/bench"


def machine():
    cpu = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())
    return {"cpu": cpu[1] if cpu else platform.machine(), "cores": os.cpu_count(), "memory_gib": round(int(memory[1]) / 2**20, 1),
            "kernel": platform.release(), "load": os.getloadavg()[0]}


def median(values):
    return round(statistics.median(values), 3)


def spread(values):
    return f"{min(values):.2f}–{max(values):.2f}"


class Row:
    """One line of the table: what we needed, what the yardstick needed in the same run, and what it cost."""

    def __init__(self, name, ours, bare=(), target="", **cost):
        self.name, self.ours, self.bare, self.target, self.cost = name, list(ours), list(bare), target, cost

    def ratio(self):
        return median([b / o for o, b in zip(self.ours, self.bare)]) if self.bare else None

    def data(self):
        return {"name": self.name, "ours": self.ours, "bare": self.bare, "ratio": self.ratio(), "target": self.target, **self.cost}

    def text(self):
        ratio = self.ratio()
        cells = [self.name, f"{median(self.ours)} ({spread(self.ours)})", f"{median(self.bare)} ({spread(self.bare)})" if self.bare else "–",
                 f"{ratio:.2f}" if ratio else "–", self.target, *(str(self.cost.get(k, "–")) for k in ("cpu", "api_cpu", "requests", "memory"))]
        return "| " + " | ".join(cells) + " |"


HEAD = ("| scenario | ours s (spread) | bare s (spread) | bare/ours | target | own CPU s | API server + etcd CPU s | requests | peak PSS MiB |\n"
        "|---|---|---|---|---|---|---|---|---|")


def cost_of(turns):
    """Medians of what the turns of a scenario cost."""
    last = turns[-1]
    requests = {**last["writes"], **last["reads"]}
    return {"cpu": median([t["cpu_s"]["controller"] for t in turns]),
            "api_cpu": median([t["cpu_s"]["apiserver"] + t["cpu_s"]["etcd"] for t in turns]),
            "requests": ", ".join(f"{v} {k}" for k, v in sorted(requests.items()) if "lease" not in k),
            "memory": median([t["peak_pss_mib"] for t in turns])}


def s1_s2(w, options, rows):
    """S1 and S2 in turns with the yardstick; the growth line has its own sizes."""
    for factor in options.factors:
        count = max(10, int(1000 * options.scale * factor))
        ours, bare = [], []
        for turn in range(options.turns if factor == 1 else 1):
            ours.append(scenarios.cold(w, count))
            bare.append(scenarios.yardstick(w, count, ours[-1]))
            tell(f"S1/S2 ×{factor} turn {turn + 1}: ours {ours[-1]['S1']['objects_s']}, bare {bare[-1]['S1']['only_objects_s']}; "
                 f"S2 {ours[-1]['S2']['objects_s']}, {bare[-1]['S2']['only_objects_s']}")
        for name in ("S1", "S2"):
            mine, theirs = [o[name] for o in ours], [b[name] for b in bare]
            targets = ("≥ 0.92", "≥ 0.90") if name == "S1" else ("≥ 0.93", "–")
            rows.append(Row(f"{name} {count} applications: objects live", [m["objects_s"] for m in mine], [t["only_objects_s"] for t in theirs],
                            targets[0], detail=mine, bare_detail=theirs, **cost_of(mine)))
            rows.append(Row(f"{name} {count} applications: statuses written", [m["statuses_s"] for m in mine], [t["seconds"] for t in theirs],
                            targets[1]))
            rows.append(Row(f"{name} {count} applications: nothing more to write", [m["quiet_s"] for m in mine], [t["seconds"] for t in theirs]))


def big_world(w, options, rows):
    """S3 to S6 in one world of one repository: filling it takes longest. The growth lines of S4 and S5 are taken as it grows."""
    count = max(10, int(10000 * options.scale))
    filled = big.start(w, count)
    tell(f"filled with {count} applications in {filled['seconds']} s")
    wanted = options.scenario or ["S3", "S4", "S5", "S6"]
    rows.append(Row(f"a repository of {count} applications, {4 * count} files, applied for the first time", [filled["seconds"]], **cost_of([filled])))
    if "S3" in wanted:
        seen = big.idle(w, 600 * min(1, options.scale * 2))
        tell(f"S3: {seen}")
        rows.append(Row(f"S3 {count} applications, nothing changes, {seen['wall_s']:.0f} s: share of a core", [seen["share_of_core"]],
                        target="≤ 0.003; ≤ 96 MiB; no request", cpu=seen["cpu_s"], requests={**seen["writes"], **seen["reads"]} or "0",
                        memory=seen["pss_mib"], detail=seen))
    there = count
    for factor in options.factors if {"S4", "S5"} & set(wanted) else ():
        if factor * count > there:
            big.more(w, range(there, factor * count))
            there = factor * count
        if "S5" in wanted:
            one_file_commits(w, options, rows, there)
        if "S4" in wanted:
            drift(w, options, rows, there, factor * min(1000, count))
    if "S6" in wanted:
        restarts(w, options, rows, there)


def one_file_commits(w, options, rows, count):
    """S5: each turn changes a file that no turn before has changed."""
    seen = [big.one_file(w, count - 1 - i, 2) for i in range(options.turns)]
    tell(f"S5 of {4 * count} files: {seen[-1]}")
    rows.append(Row(f"S5 one file of {4 * count} changes: seen → applied", [x["applied_s"] for x in seen], cpu=median([x["cpu_s"] for x in seen]),
                    requests=seen[-1]["writes"], detail=seen))
    rows.append(Row("S5 of that: the Git server's answers and the write", [x["git_s"] + x["write_s"] for x in seen]))
    rows.append(Row("S5 of that: ours", [x["rest_s"] for x in seen], target="≤ 0.015"))


def drift(w, options, rows, count, at_once):
    """S4: edits one after the other, then so many at once."""
    edits = max(10, int(200 * min(1, options.scale * 10)))
    seen = big.drift_one_by_one(w, edits)
    tell(f"S4 among {count} applications: {seen}")
    for name, target in (("p50", 0.006), ("p99", 0.020)):
        rows.append(Row(f"S4 {edits} edits, one after the other, among {count} applications: edit → repaired, {name}", [seen[f"{name}_ms"] / 1000],
                        target=f"≤ {target:.3f} + fdatasync"))
    rows.append(Row("S4 in that: fdatasync of the audit log's journal, mean", [seen["fdatasync_ms"] / 1000]))
    seen = [big.drift_at_once(w, at_once) for _ in range(min(3, options.turns))]
    rows.append(Row(f"S4 {at_once} edits at once: all repaired", [x["repaired_s"] for x in seen], [x["bare_s"] for x in seen], "≥ 0.85",
                    requests=seen[-1]["writes"], detail=seen))


def restarts(w, options, rows, count):
    """S6 at the size that is there, and at a quarter, a half and the whole of 25,000 applications."""
    sizes, before = [int(25000 * options.scale * f) for f in (0.5, 1)], (None, None)
    for size in [count, *[s for s in sizes if s > count]]:
        if size > count:
            big.more(w, range(count, size))
            count = size
        seen = big.restart(w)
        slope = round((seen["pss_mib"] - before[1]) * 2**20 / (4 * (size - before[0]))) if before[0] else None
        rows.append(Row(f"S6 restart with {size} applications, {4 * size} objects: all compared", [seen["compared_s"]], [seen["bare_lists_s"]],
                        "≥ 0.50; ≤ 500 B an object" + (f"; slope {slope} B" if slope else ""), cpu=seen["cpu_s"]["controller"],
                        api_cpu=seen["cpu_s"]["apiserver"], requests={**seen["writes"], **seen["requests"]}, memory=seen["pss_mib"], detail=seen))
        tell(f"restart with {size}: {seen}")
        before = (size, seen["pss_mib"])


def s8(_, options, rows):
    """The audit log: test/unit/record/test_log_speed.c prints both sides."""
    subprocess.run(["make", "-s", "-j2", "build/release/test/test_log_speed"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    for factor in options.factors:
        records = max(1000, int(1000000 * options.scale * factor))
        seen = []
        for _ in range(options.turns if factor == 1 else 1):
            done = subprocess.run([ROOT / "build/release/test/test_log_speed"], capture_output=True, text=True, check=True,
                                  env={**os.environ, "COUNTERSIGN_RECORDS": str(records)})
            text = done.stdout + done.stderr
            seen.append([float(x) for x in re.search(r"appended in ([\d.]+) s .*writing ([\d.]+) s.*\n.*verified in ([\d.]+) s on one thread, "
                                                     r"([\d.]+) s on all; bare hashing ([\d.]+) s.*reopened in ([\d.]+)", text).groups()])
        append, bare, one, every, hashing, reopen = zip(*seen)
        rows.append(Row(f"S8 {records} records appended in durable groups", append, bare, "≥ 0.70"))
        rows.append(Row(f"S8 {records} records verified, one thread", one, hashing, "≥ 0.70"))
        rows.append(Row(f"S8 {records} records verified, all cores", every, hashing, "–"))
        rows.append(Row(f"S8 log of {records} records opened", reopen))


SCENARIOS = {"S1": s1_s2, "S3": big_world, "S8": s8}
MEANT = {"S2": "S1", "S4": "S3", "S5": "S3", "S6": "S3"}     # played in the world of another
WITHOUT_WORLD = {"S8"}


def tell(text):
    print(text, file=sys.stderr, flush=True)


def changes(rows, name):
    """Per row, the ratio (or our seconds) of the last saved run."""
    before = sorted(RESULTS.glob(f"{name}-*.json"))
    if not before:
        return []
    old = {r["name"]: r for r in json.loads(before[-1].read_text())["rows"]}
    out = []
    for row in rows:
        if row.name in old:
            was = old[row.name]
            out.append(f"{row.name}: {median(was['ours'])} s → {median(row.ours)} s" +
                       (f", ratio {was['ratio']:.2f} → {row.ratio():.2f}" if was["ratio"] and row.ratio() else ""))
    return out


def main():
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("scenario", nargs="*", help="S1 … S8; all without")
    parse.add_argument("--scale", type=float, default=1.0, help="of every size: 0.1 is a tenth")
    parse.add_argument("--turns", type=int, default=5, help="turns, of which the median is told")
    parse.add_argument("--growth", action="store_true", help="also twice and four times the size, once each")
    options = parse.parse_args()
    options.factors = (1, 2, 4) if options.growth else (1,)
    wanted = {MEANT.get(n, n) for n in options.scenario}
    names = [n for n in SCENARIOS if not wanted or n in wanted]
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in names:
        rows = []
        began = time.time()
        if name in WITHOUT_WORLD:
            SCENARIOS[name](None, options, rows)
        else:
            with world() as w:
                SCENARIOS[name](w, options, rows)
        print(f"\n{name}, {time.time() - began:.0f} s, scale {options.scale}, {options.turns} turns, commit {commit_of()}\n\n{HEAD}")
        for row in rows:
            print(row.text())
        told = changes(rows, name)
        if told:
            print("\nSince the last run:\n" + "\n".join("  " + t for t in told))
        (RESULTS / f"{name}-{time.strftime('%Y%m%dT%H%M%S')}.json").write_text(json.dumps(
            {"scenario": name, "scale": options.scale, "turns": options.turns, "commit": commit_of(), "machine": machine(),
             "versions": {"kube-apiserver": "1.36.3", "etcd": "3.6"}, "rows": [r.data() for r in rows]}, indent=1, default=str))


if __name__ == "__main__":
    main()
