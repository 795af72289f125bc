"""Random changes by those who commit and those who are in the cluster, and a model of what must be there when all is quiet.

The model knows nothing of how a controller works: what Git declares is there, exactly; what others added to it stays; what is declared no more is
gone; and an object keeps its identity unless somebody deleted it or Git dropped it meanwhile. What somebody edited and Git dropped before it was put
right is theirs now, by the rules of server-side apply, and may stay.
"""

import base64
import contextlib
import itertools
import random
import time

from harness.manifests import text
from harness.tenant import obj
from harness.wait import until

APPS, FILES, NAMES = ("a0", "a1", "a2"), ("x.yaml", "sub/y.yaml"), 5
OURS, THEIRS = "model/", "person/"     # prefixes of annotations
MARK = "countersign.dev/tracking-id"
QUIET_SECONDS = 60
VERSIONS = {"ConfigMap": "v1", "Secret": "v1", "ServiceAccount": "v1", "Service": "v1", "Deployment": "apps/v1"}


class Thing:
    """One object as Git declares it."""

    def __init__(self, kind, name, app, chance):
        self.kind, self.name, self.app, self.chance = kind, name, app, chance
        self.file, self.notes, self.wave = chance.choice(FILES), {}, None
        self.change()

    def change(self):
        pick, word = self.chance, lambda: str(self.chance.randrange(1000))
        self.file, self.wave = pick.choice(FILES), pick.choice((None, None, -1, 1, 2))
        self.notes = {f"{OURS}{n}": word() for n in pick.sample("pqr", pick.randrange(3))}
        self.data = {k: word() for k in pick.sample("abcd", pick.randint(1, 3))}
        self.ports = pick.sample(range(8000, 8010), pick.randint(1, 3))
        self.containers = {n: {e: word() for e in pick.sample("ABC", pick.randrange(3))} for n in pick.sample(("main", "side", "third"), pick.randint(1, 3))}

    def manifest(self, image):
        notes = {**self.notes, **({"argocd.argoproj.io/sync-wave": str(self.wave)} if self.wave is not None else {})}
        out = obj(VERSIONS[self.kind], self.kind, self.name, **self.body(image))
        if notes:
            out["metadata"]["annotations"] = notes
        return out

    def body(self, image):
        labels = {"app": self.name}
        if self.kind == "ConfigMap":
            return {"data": self.data}
        if self.kind == "Secret":
            return {"stringData": self.data}
        if self.kind == "Service":
            return {"spec": {"selector": labels, "ports": [{"name": f"p{p}", "port": p} for p in self.ports]}}
        if self.kind == "Deployment":
            containers = [{"name": n, "image": image, **({"env": [{"name": k, "value": v} for k, v in env.items()]} if env else {})}
                          for n, env in self.containers.items()]
            return {"spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}}}}
        return {}

    def seen(self, image):
        """What of it is compared; `image`: as it is to run."""
        return {"notes": self.notes,
                "data": self.data if self.kind in ("ConfigMap", "Secret") else None,
                "ports": (self.name, sorted(self.ports)) if self.kind == "Service" else None,
                "containers": {name: {**env, "image": image} for name, env in self.containers.items()} if self.kind == "Deployment" else None}


def seen_of(live):
    """The same of an object in the cluster, and what others added."""
    notes = live["metadata"].get("annotations", {})
    data, kind = live.get("data", {}), live["kind"]
    containers = live["spec"]["template"]["spec"]["containers"] if kind == "Deployment" else []
    ours = {"notes": {k: v for k, v in notes.items() if k.startswith(OURS)},
            "data": {k: v for k, v in data.items() if not k.startswith("their")} if kind == "ConfigMap" else
                    {k: base64.b64decode(v).decode() for k, v in data.items()} if kind == "Secret" else None,
            "ports": (live["spec"]["selector"]["app"], sorted(p["port"] for p in live["spec"]["ports"])) if kind == "Service" else None,
            "containers": {c["name"]: {e["name"]: e["value"] for e in c.get("env", [])} | {"image": c["image"]} for c in containers}
                          if kind == "Deployment" else None}
    theirs = {k: v for k, v in {**notes, **(data if kind == "ConfigMap" else {})}.items() if k.startswith((THEIRS, "their"))}
    return ours, theirs


class Model:
    """`site` is installed and has a policy for `image`, which is signed."""

    def __init__(self, site, seed, image, unsigned):
        self.site, self.kube, self.chance = site, site.kube, random.Random(seed)
        self.image, self.pinned, self.unsigned, self.told = image.ref, f"{image.ref}@{image.digest}", unsigned.ref, []
        self.things, self.strangers, self.theirs, self.uids = {}, {}, {}, {}  # by (kind, name); theirs None: not known; uids: only of those that must be the same
        self.fine = contextlib.nullcontext  # what must come to an end before the next change is waited for within it
        self.edited = set()  # (ref, key) of what somebody gave the value "edited"
        self.repo, self.numbers = site.repo(), itertools.count(1)

    def tell(self, what):
        self.told.append(f"{time.strftime('%H:%M:%S')} {what}")

    def start(self):
        self.repo.push("nothing yet", {f"{app}/{file}": "# nothing\n" for app in APPS for file in FILES})
        self.site.controller.start()
        for app in APPS:
            self.declare(app)

    def declare(self, app):
        application = self.site.team.application(app, self.repo, app, automated={"prune": True, "selfHeal": True, "allowEmpty": True})
        application["spec"]["source"]["directory"] = {"recurse": True}
        application["metadata"]["finalizers"] = ["resources-finalizer.countersign.dev"]
        self.kube.apply(application)

    # --- who commits ---

    def commit(self):
        broken = self.chance.random()
        for _ in range(self.chance.randint(1, 4)):
            self.chance.choice((self.put, self.put, self.alter, self.alter, self.drop, self.move))()
        if broken < 0.15:
            app = self.chance.choice(APPS)
            self.tell(f"commit that does not parse: {app}")
            self.repo.push("broken", {**self.files(self.image), f"{app}/{FILES[0]}": "a: [\n"})
            time.sleep(self.chance.choice((0, 2)))
        elif broken < 0.3:
            self.tell("commit with an unsigned image")
            self.repo.push("unsigned", self.files(self.unsigned))
            time.sleep(self.chance.choice((0, 2)))
        self.repo.push(f"commit {next(self.numbers)}", self.files(self.image))

    def files(self, image):
        out = {f"{app}/{file}": [] for app in APPS for file in FILES}
        for thing in self.things.values():
            out[f"{thing.app}/{thing.file}"].append(thing.manifest(image))
        return {path: text(*objects) if objects else "# nothing\n" for path, objects in out.items()}

    def any_thing(self):
        return self.chance.choice(sorted(self.things)) if self.things else None

    def forget(self, ref):
        """It may be another object from now on, and nobody knows what is left of what others added."""
        self.uids.pop(ref, None)
        self.theirs[ref] = None

    def put(self):
        ref = (self.chance.choice(sorted(VERSIONS)), f"n{self.chance.randrange(NAMES)}")
        if ref not in self.things:
            self.things[ref] = Thing(*ref, self.chance.choice(APPS), self.chance)
            self.tell(f"put {ref} into {self.things[ref].app}")
            self.strangers.pop(ref, None)

    def alter(self):
        if ref := self.any_thing():
            self.things[ref].change()
            self.tell(f"alter {ref}")

    def drop(self):
        if ref := self.any_thing():
            self.tell(f"drop {ref} from {self.things.pop(ref).app}")
            self.forget(ref)

    def move(self):
        if ref := self.any_thing():
            before, self.things[ref].app = self.things[ref].app, self.chance.choice(APPS)
            self.tell(f"move {ref} from {before} to {self.things[ref].app}")

    # --- who is in the cluster ---

    def patch(self, ref, patch):
        if self.site.find(VERSIONS[ref[0]], *ref):
            try:
                self.kube.patch(VERSIONS[ref[0]], ref[0], self.site.namespace, ref[1], patch, manager="kubectl-edit")
                return True
            except Exception as error:  # it went meanwhile
                self.tell(f"not patched: {error}")
        return False

    def edit(self):
        ref = self.any_thing()
        if not ref:
            return
        key = self.chance.choice(sorted(self.things[ref].data))
        self.edited |= {(ref, k) for k in (key, *self.things[ref].notes)}
        changes = {"ConfigMap": {"data": {key: "edited"}}, "Secret": {"data": {key: "ZWRpdGVk"}}, "Service": {"spec": {"selector": {"app": "edited"}}},
                   "Deployment": {"spec": {"template": {"spec": {"containers": [{"name": c, "image": "edited"} for c in self.things[ref].containers]}}}},
                   "ServiceAccount": {"metadata": {"annotations": {n: "edited" for n in self.things[ref].notes}}}}
        self.tell(f"edit {ref}")
        self.patch(ref, changes[ref[0]])

    def add(self):
        ref = self.any_thing()
        if not ref or self.theirs.get(ref, {}) is None:
            return
        key = f"{THEIRS}{self.chance.randrange(3)}"
        patch = {"metadata": {"annotations": {key: "theirs"}}}
        if ref[0] == "ConfigMap" and self.chance.random() < 0.5:
            key = f"their{self.chance.randrange(3)}"
            patch = {"data": {key: "theirs"}}
        if self.patch(ref, patch):
            self.theirs.setdefault(ref, {})[key] = "theirs"
            self.tell(f"add {key} to {ref}")

    def delete(self):
        if ref := self.any_thing():
            self.tell(f"delete {ref} by hand")
            self.kube.delete(VERSIONS[ref[0]], ref[0], self.site.namespace, ref[1], missing_ok=True)
            self.forget(ref)

    def strip(self):
        """Somebody takes off what says whose it is; what Git dropped before it is put back would stay."""
        ref = self.any_thing()
        live = ref and self.site.find(VERSIONS[ref[0]], *ref)
        if live:
            self.tell(f"strip {ref}")
            self.patch(ref, {"metadata": {where: {k: None for k in live["metadata"].get(where, {}) if k.startswith("countersign.dev/")}
                                          for where in ("labels", "annotations")}})
            with self.fine():
                until(f"{ref} to be marked again", lambda: (self.site.find(VERSIONS[ref[0]], *ref) or {}).get("metadata", {}).get("annotations", {}),
                      lambda notes: MARK in notes, seconds=QUIET_SECONDS)

    def bring(self):
        """Somebody makes an object that Git does not declare, or not yet."""
        ref = (self.chance.choice(("ConfigMap", "ServiceAccount")), f"n{self.chance.randrange(NAMES)}")
        if ref in self.things or ref in self.strangers or self.site.find(VERSIONS[ref[0]], *ref):
            return
        made = self.kube.create(obj(VERSIONS[ref[0]], ref[0], ref[1], self.site.namespace))
        self.tell(f"bring {ref}")
        self.strangers[ref] = self.uids[ref] = made["metadata"]["uid"]
        self.theirs.pop(ref, None)

    def suspend(self):
        """An Application is not automated for a while."""
        app = self.chance.choice(APPS)
        self.tell(f"suspend {app}")
        self.kube.patch_application(self.site.system, app, {"spec": {"syncPolicy": {"automated": None}}})
        self.commit()
        self.edit()
        time.sleep(self.chance.choice((0, 1, 2)))
        self.tell(f"resume {app}")
        self.declare(app)

    def distrust(self):
        """The policy of the images goes, and comes again."""
        policy = self.kube.get("countersign.dev/v1alpha1", "ImagePolicy", self.site.system, "release")
        self.tell("delete the ImagePolicy and make it again")
        self.kube.delete("countersign.dev/v1alpha1", "ImagePolicy", self.site.system, "release")
        self.chance.choice((self.commit, self.edit))()
        time.sleep(self.chance.choice((0, 1, 2)))
        self.kube.create({**policy, "metadata": {"name": "release", "namespace": self.site.system}})

    def bind(self):
        """The team's account may do nothing for a while."""
        name = f"{self.site.system}-{self.site.team.applier}"
        binding = self.kube.get("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", None, name)
        self.tell("take the account's rights and give them again")
        self.kube.delete("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", None, name)
        self.chance.choice((self.commit, self.edit, self.delete))()
        time.sleep(self.chance.choice((0, 1, 2)))
        self.kube.create({**binding, "metadata": {"name": name}})

    def remake(self):
        """An Application goes with its objects, and comes again."""
        app = self.chance.choice(APPS)
        self.tell(f"delete Application {app} and make it again")
        for ref in self.things:
            self.forget(ref)  # what moves at the same time may be either's
        self.kube.delete("countersign.dev/v1alpha1", "Application", self.site.system, app)
        with self.fine():
            until(f"Application {app} to be gone", lambda: self.kube.find_application(self.site.system, app), lambda found: found is None, seconds=QUIET_SECONDS)
        self.declare(app)

    def restart(self):
        kill = self.chance.random() < 0.5
        self.tell("kill the controller" if kill else "restart the controller")
        if kill:
            self.site.controller.kill()
            self.site.controller.start()
        else:
            self.site.controller.restart()

    def turn(self, steps):
        moves = (self.commit,) * 8 + (self.edit,) * 4 + (self.add,) * 3 + (self.delete,) * 2 + (self.strip, self.bring, self.suspend, self.distrust, self.bind, self.remake, self.restart)
        for _ in range(steps):
            self.chance.choice(moves)()
            time.sleep(self.chance.choice((0, 0, 0.2, 1)))

    # --- what must be there ---

    def live(self):
        """By (kind, name): the object. What Kubernetes makes in every namespace is left out."""
        return {(kind, o["metadata"]["name"]): {"kind": kind, **o} for kind, version in VERSIONS.items()
                for o in self.kube.list(version, kind, self.site.namespace) if o["metadata"]["name"].startswith("n") and o["metadata"]["name"][1:].isdigit()}

    def wrong(self, live):
        wanted = self.things.keys() | self.strangers.keys()
        out = [f"{ref} is still there" for ref in live.keys() - wanted] + [f"{ref} is not there" for ref in wanted - live.keys()]
        for ref in self.things.keys() & live.keys():
            ours, theirs = seen_of(live[ref])
            meant = self.things[ref].seen(self.pinned)
            for part in ("data", "notes"):
                if ours[part]:
                    ours[part] = {k: v for k, v in ours[part].items() if v != "edited" or k in meant[part] or (ref, k) not in self.edited}
            if ours != meant:
                out.append(f"{ref} is {ours}, not {meant}")
            if self.theirs.get(ref, {}) is not None and theirs != self.theirs.get(ref, {}):
                out.append(f"{ref} has {theirs} of others, not {self.theirs.get(ref, {})}")
        for ref in live:
            if ref in self.uids and live[ref]["metadata"]["uid"] != self.uids[ref]:
                out.append(f"{ref} is another object")
        if out:
            out += [f"{app}: {c['type']} is {c['status']}: {c['message']}" for app in APPS for c in self.conditions(app) if c["status"] != "True"]
        return out

    def conditions(self, app):
        return (self.kube.find_application(self.site.system, app) or {}).get("status", {}).get("conditions", [])

    def compare(self):
        self.tell("quiet")
        until("everything to be as Git says", lambda: self.wrong(self.live()), lambda wrong: wrong == [], seconds=QUIET_SECONDS)
        self.site.settled(*APPS, seconds=QUIET_SECONDS)
        live = self.live()
        assert self.wrong(live) == []
        for ref, found in live.items():
            self.uids[ref], self.theirs[ref] = found["metadata"]["uid"], seen_of(found)[1]
        self.told.append("---")
