"""Looking at Applications: what their conditions say, and waiting until they say it."""

from .kube import condition, conditions
from .wait import stays, until

GOOD = {"Synced": "True", "Healthy": "True", "Verified": "True", "Ready": "True"}


class Apps:
    """The Applications in one installation's namespace. A base class: whoever inherits has `kube`, `system` and `log`."""

    def app(self, name):
        return self.kube.application(self.system, name)

    def condition(self, kind, name):
        return condition(self.app(name), kind)

    def wait_condition(self, kind, status, name, seconds=15, said="", reason=""):
        """Waits until that condition has that status, with `said` in its message and that reason, if given; returns the condition."""
        return until(f"{kind}={status} of Application {name}" + (f", saying {said!r}" if said else "") + (f", reason {reason}" if reason else ""),
                     lambda: self.condition(kind, name),
                     lambda c: c["status"] == status and said in c["message"] and reason in ("", c["reason"]), seconds)

    def settled(self, *names, seconds=20):
        """Waits until all four conditions of each are True."""
        for name in names:
            until(f"Application {name} to be synced, healthy, verified and ready",
                  lambda name=name: conditions(self.app(name)) | {"messages": [c["message"] for c in self.app(name)["status"]["conditions"]]},
                  lambda seen: all(seen.get(kind, "").startswith(status) for kind, status in GOOD.items()), seconds)

    def compared_at(self, commit, name, seconds=15):
        """Waits until the Application was compared with that commit, whatever came of it."""
        until(f"Application {name} to be compared with {commit[:12]}", lambda: self.app(name).get("status", {}).get("sync", {}),
              lambda sync: sync.get("revision") == commit, seconds)

    def synced_at(self, commit, name, seconds=20):
        """Waits until the Application runs that commit and is good."""
        until(f"Application {name} to run {commit[:12]}", lambda: self.app(name).get("status", {}),
              lambda s: s.get("appliedRevision") == commit and s.get("sync", {}).get("revision") == commit, seconds)
        self.settled(name, seconds=seconds)

    def nothing_sent(self, requests, seconds=1.5):
        """Checks that no governed write reaches the API server for so long; `requests` is an ApiServerLog with its mark set."""
        stays("nothing is sent", lambda: [f"{e['verb']} {e['objectRef']}" for e in requests.governed(user=f":{self.system}:countersign-controller")],
              lambda sent: sent == [], seconds)

    def records(self, kind, since, name):
        return self.log.records(kind, f"{self.system}/{name}", since)
