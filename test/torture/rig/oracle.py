"""What a run left behind, and the first difference between two of them.

Compared are, exactly:
- the objects at the end of each phase, and the Application's conditions (without uid, resourceVersion, times; names of the run put aside);
- the history of each object: every state that a watch saw, so every create, change and delete that took place. A server-side apply that is
  repeated changes no object and is not in it; one that changes anything is;
- the creates (201) and the deletes (200) that the API server answered, per object.
Of requests of any other kind (an apply again, a delete that finds nothing) more than usual are accepted only so: per object and phase one, where the
plan is a crash or an outage; per object as many as answers about it were taken away. Otherwise none. Our log must verify and match the API server's both ways, every
intent must have a result that leaves nothing unknown and says of each object what the API server did, and at rest nothing is sent.
"""

import collections
import http.client
import json
import re
import socket
import threading
import urllib.parse

from harness.kube import Kube, conditions
from harness.wait import stays, until

KINDS = [("v1", "ConfigMap"), ("v1", "Secret"), ("v1", "Service"), ("v1", "ServiceAccount"), ("apps/v1", "Deployment")]
OWN = {"ConfigMap/kube-root-ca.crt", "ServiceAccount/default"}
VOLATILE = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds")
QUIET_SECONDS = 1.5


def normal(obj):
    """An object without what differs from run to run. Who manages which fields stays; when he did so does not."""
    meta = {k: v for k, v in obj["metadata"].items() if k not in VOLATILE}
    # The deployment controller writes the revision; the rest of its work is in status.
    meta["annotations"] = {k: v for k, v in meta.get("annotations", {}).items() if not k.startswith("deployment.kubernetes.io/")}
    managers = {f"{m['manager']}:{m['operation']}": m.get("fieldsV1") for m in obj["metadata"].get("managedFields", [])
                if m["manager"] != "kube-controller-manager"}
    out = {k: v for k, v in obj.items() if k not in ("status", "metadata")}
    out["metadata"], out["managers"] = meta, managers
    if "spec" in out:
        out["spec"] = {k: v for k, v in out["spec"].items() if k not in ("clusterIP", "clusterIPs")}
    return out


def key_of(obj):
    return f"{obj['kind']}/{obj['metadata']['name']}"


class Watcher:
    """Sees every state of every object in one namespace, by connections of its own to the real server."""

    def __init__(self, kube, namespace):
        self.kube, self.namespace, self.stopping = kube, namespace, threading.Event()
        self.history, self.lock, self.threads, self.connections = collections.defaultdict(list), threading.Lock(), [], []
        self.broken = ""

    def __enter__(self):
        for kind in KINDS:
            path = self.kube.path(*kind, self.namespace)
            start = self.kube.request("GET", path)["metadata"]["resourceVersion"]
            thread = threading.Thread(target=self._follow, args=(path, start), daemon=True)
            thread.start()
            self.threads.append(thread)
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for connection in self.connections:
            connection.sock.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(5)

    def _follow(self, path, version):
        """One watch for the whole run: nothing may be missed between two."""
        connection = Kube(self.kube.server, self.kube.ca, self.kube.token)._connection()
        query = urllib.parse.urlencode({"watch": "1", "resourceVersion": version, "timeoutSeconds": "3600"})
        connection.timeout = None
        connection.request("GET", f"{path}?{query}", headers={"Authorization": f"Bearer {self.kube.token}"})
        connection.sock.settimeout(None)
        self.connections.append(connection)
        try:
            for line in connection.getresponse():
                event = json.loads(line)
                if event["type"] not in ("ADDED", "MODIFIED", "DELETED"):
                    raise ValueError(f"the watch says {line}")
                self._note(event)
            raise ValueError("the watch ended")
        except (OSError, ValueError, http.client.HTTPException) as error:
            if not self.stopping.is_set():
                self.broken = f"what happened to {path} was not seen: {error}"

    def _note(self, event):
        obj = event["object"]
        if key_of(obj) in OWN:
            return
        state = (event["type"], json.dumps(normal(obj), sort_keys=True) if event["type"] != "DELETED" else "")
        with self.lock:
            states = self.history[key_of(obj)]
            # MODIFIED without a change of what is compared is a status, or the garbage collector's work
            if not (event["type"] == "MODIFIED" and states and states[-1][1] == state[1]):
                states.append(state)

    def told(self):
        with self.lock:
            return {key: list(states) for key, states in self.history.items()}


class Outcome:
    """What a run left behind: `facts` are compared for equality, `requests` with the allowance of the plan."""

    def __init__(self, site, proxy, door, watcher):
        self.site, self.proxy, self.door, self.watcher, self.facts, self.requests, self.wrong = site, proxy, door, watcher, {}, {}, []
        self.unrecorded, self.counted = 0, 0

    def plain(self, value):
        """Text of a value with the names of this run put aside."""
        text = json.dumps(value, sort_keys=True) if not isinstance(value, str) else value
        return re.sub(r"\b(?:[0-9a-f]{40}|[0-9a-f]{32})\b", "HASH", text.replace(self.site.name, "SITE").replace(self.door.address, "REGISTRY"))  # a commit; the label of an Application

    def snapshot(self, phase, app):
        """What is there at the end of a phase, and which requests it took."""
        site = self.site
        self.count(phase, site.governed()[self.counted:])
        for kind in KINDS:
            # a deletion in the foreground ends when the garbage collector has come by
            for obj in until("what was deleted to be gone", lambda kind=kind: site.kube.list(*kind, site.namespace),
                             lambda found: not any("deletionTimestamp" in o["metadata"] for o in found)):
                if key_of(obj) not in OWN:
                    self.facts[f"{phase}: {key_of(obj)}"] = self.plain(normal(obj))
        self.facts[f"{phase}: conditions"] = app and self.plain(conditions(app))
        self.facts[f"{phase}: resources"] = app and self.plain(sorted(f"{r['kind']}/{r['name']} {r['status']}" for r in app["status"]["resources"]))

    def finish(self):
        site = self.site
        mark = site.requests.offset
        site.requests.mark()
        stays("nothing is sent at rest", lambda: [f"{e['verb']} {ref_of(e)}" for e in site.governed()], lambda sent: sent == [], QUIET_SECONDS)
        site.requests.offset = mark
        site.controller.stop()
        for key, states in self.watcher.told().items():
            self.facts[f"history of {key}"] = [self.plain(f"{kind} {state}") for kind, state in states]
        if self.watcher.broken:
            self.wrong.append(self.watcher.broken)
        self.judge_log()

    def count(self, phase, events):
        self.counted += len(events)
        counts = collections.Counter()
        for event in events:
            code, verb = event["responseStatus"]["code"], event["verb"]
            done = "create" if code == 201 else "delete" if verb == "delete" and code in (200, 202) else "update" if code == 200 else None
            counts[f"{phase}: {ref_of(event)}", done or f"{verb} answered {code}"] += 1
        self.requests.update(counts)
        for (name, done), number in counts.items():
            if done in ("create", "delete"):
                self.facts[f"{name} {done}s"] = number

    def judge_log(self):
        site = self.site
        verified = site.log.verify()
        if verified.returncode:
            self.wrong.append(f"audit verify ended in {verified.returncode}: {verified.stdout[-300:]}{verified.stderr[-300:]}")
        done, counts = site.log.join(site.stack.audit_log)
        self.unrecorded = counts["unrecorded"]
        # An answer that the proxy gave in the server's place is in our log, rightly, and not in the server's; see `difference`.
        invented = done.stdout.count("an answer is recorded that the API server never gave")
        if self.unrecorded != invented or counts["foreign"] or counts["writes"] != counts["matched"]:
            self.wrong.append(f"audit join: {counts}\n{done.stdout[-600:]}")
        records = site.log.records()
        results = {r["intent"]: r for r in records if r["kind"] == "sync.result"}
        intents = [r for r in records if r["kind"] == "sync.intent"]
        announced = {o["audit_id"]: o for intent in intents for o in intent["objects"]}
        for intent in intents:
            result = results.get(intent["seq"])
            if result is None:
                self.wrong.append(f"intent {intent['seq']} has no result")
            elif any(o["outcome"] == "unknown" for o in result["objects"]):
                self.wrong.append(f"result of intent {intent['seq']} leaves an object unknown: {json.dumps(result['objects'])[:400]}")
            elif result["outcome"] == "unknown":
                self.judge_recovered(result, announced)
        if any(r["kind"] == "log.lost" for r in records):
            self.wrong.append("the log says that its predecessor is lost")
        self.unresolved = sum(r.get("outcome") == "unknown" for r in results.values())

    def judge_recovered(self, result, announced):
        """What was read from the cluster after a crash says what the API server did; of an update that changed nothing it may say either."""
        done = [e["auditID"].rsplit(".", 1)[0] for e in self.site.governed() if e["responseStatus"]["code"] < 300 and "dryRun" not in e["requestURI"]]
        for told in result["objects"]:
            mine = announced[told["audit_id"]]
            ahead = done[:done.index(mine["audit_id"])] if mine["audit_id"] in done else []
            before = [o for o in announced.values() if o["audit_id"] in ahead and same_object(o, mine)]
            repeated = before and before[-1]["op"] != "delete" and before[-1].get("sha256_after") == mine.get("sha256_after")
            if (told["outcome"] == "ok") != (mine["audit_id"] in done) and not repeated:
                self.wrong.append(f"result of intent {result['intent']} says {told['outcome']} of {mine['op']} {mine['name']}; of that the API server has "
                                  f"{done.count(mine['audit_id'])} answers")


def same_object(one, other):
    return all(one.get(key) == other.get(key) for key in ("gvk", "ns", "name"))


def ref_of(event):
    target = event["objectRef"]
    return f"{target['resource']}/{target['name']}"


def difference(reference, seen, again=lambda name: 0, invented=0):
    """The first difference as text, or "" when both runs are identical; `again` tells how many more requests are accepted for an object
    (resource/name), and in our log may be so many answers to writes as the proxy invented."""
    if seen.wrong:
        return seen.wrong[0]
    if seen.unrecorded > invented:
        return f"{seen.unrecorded} answers are in our log that the API server never gave; the proxy gave {invented} in its place"
    for key in sorted(reference.facts.keys() | seen.facts.keys()):
        one, two = reference.facts.get(key, "nothing"), seen.facts.get(key, "nothing")
        if one != two:
            return f"{key}\n   without: {first_apart(one, two)[0]}\n   with:    {first_apart(one, two)[1]}"
    for (name, done), number in sorted(seen.requests.items()):
        usual = reference.requests.get((name, done), 0)
        more = again(name.split(": ")[1])
        if number > usual + more:
            return f"{name}: {number} times '{done}', without the fault {usual}, accepted are {more} more"
    return ""


def first_apart(one, two, width=160):
    """The places where two values part."""
    if isinstance(one, list) and isinstance(two, list):
        for number, (a, b) in enumerate(zip(one, two)):
            if a != b:
                return tuple(f"state {number}: {t}" for t in first_apart(a, b))
        return tuple(f"{len(x)} states: {[s[:9] for s in x]}" for x in (one, two))
    one, two = str(one), str(two)
    at = next((i for i, (a, b) in enumerate(zip(one, two)) if a != b), min(len(one), len(two)))
    return tuple(t[max(0, at - 60):at + width] for t in (one, two))

