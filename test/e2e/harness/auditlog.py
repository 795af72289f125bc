"""Two logs of the same acts: the API server's audit log, and ours."""

import json
import pathlib
import re

from .stack import run

AUDIT_ID = re.compile(r"^[^.]+\.\d+\.\d+\.\d+$")  # LOG.SEQ.ORDINAL.ATTEMPT


class ApiServerLog:
    """Writes that the API server answered, from a mark on: `mark()` now, look later."""

    def __init__(self, stack):
        self.file = pathlib.Path(stack.audit_log)
        self.offset = 0

    def mark(self):
        """Forgets what was written until now; returns itself."""
        self.offset = self.file.stat().st_size if self.file.exists() else 0
        return self

    def events(self):
        with self.file.open("rb") as file:
            file.seek(max(0, self.offset - 1))
            data = file.read()
        # the mark may have been set in the middle of a line, which was being written: that one is of before
        data = data[data.find(b"\n") + 1:] if self.offset else data
        return [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]

    def writes(self, user=None, as_user=None, namespace=None, resource=None, name=None):
        """Writes by who sent them (`user`), as whom (`as_user`), and to what. Names of accounts are matched by their end."""
        out = []
        for event in self.events():
            target = event.get("objectRef", {})
            impersonated = event.get("impersonatedUser", {}).get("username", "")
            if user and not event["user"]["username"].endswith(user):
                continue
            if as_user and not impersonated.endswith(as_user):
                continue
            if namespace and target.get("namespace") != namespace:
                continue
            if resource and target.get("resource") != resource:
                continue
            if name and target.get("name") != name:
                continue
            out.append(event)
        return out

    def governed(self, **narrow):
        """Writes that carry an Audit-ID of our form: those that our log must explain."""
        return [e for e in self.writes(**narrow) if AUDIT_ID.match(e["auditID"]) and "impersonatedUser" in e]


def told(event):
    """One event in a line for a person."""
    target = event.get("objectRef", {})
    name = "/".join(x for x in (target.get("namespace"), target.get("resource"), target.get("name"), target.get("subresource")) if x)
    return f"{event['verb']} {name} {event.get('responseStatus', {}).get('code')} by {event['user']['username']}"


class CountersignLog:
    """The log in DIR/audit, read by the program itself."""

    def __init__(self, binary, data_folder):
        self.binary, self.folder = str(binary), pathlib.Path(data_folder) / "audit"

    def records(self, kind=None, app=None, since=0):
        """Records from that sequence number on; `app` is namespace/name."""
        done = run(self.binary, "audit", "log", self.folder, "-o", "json")
        records = [json.loads(line) for line in done.stdout.splitlines()]
        return [r for r in records if r["seq"] >= since and kind in (None, r["kind"]) and app in (None, r.get("app"))]

    def next_seq(self):
        """The sequence number that the next record will have."""
        records = self.records()
        return records[-1]["seq"] + 1 if records else 0

    def verify(self, *more, folder=None):
        """`audit verify`: the finished process, whatever its exit code."""
        return run(self.binary, "audit", "verify", folder or self.folder, *more, check=False, seconds=120)

    def join(self, api_server_log):
        """`audit join`: (the finished process, its five counts by name)."""
        done = run(self.binary, "audit", "join", self.folder, api_server_log, check=False, seconds=120)
        return done, counts(done.stdout)


def counts(text):
    """The closing line of `audit join` as a dictionary: {"writes": 12, "matched": 12, …}."""
    last = text.strip().splitlines()[-1] if text.strip() else ""
    pairs = re.findall(r"(\d+) (writes|matched|unrecorded|unsent|foreign)", last)
    if len(pairs) != 5:
        raise AssertionError(f"audit join ended in {last!r}, not in 'N writes, N matched, N unrecorded, N unsent, N foreign'")
    return {name: int(number) for number, name in pairs}
