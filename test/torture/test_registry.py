"""A registry that fails in every way it can, behind a controller that runs: the cause is told in a condition, nothing is allowed meanwhile, what runs is
kept as it is, and when the fault ends all goes on by itself.

What one job of fetching makes of each answer is in e2e/test_oci_fetch.py; here all of them fail at once, each behind a door of its own.
"""

import time

import pytest

from harness.hostile import Hostile
from harness.kube import condition
from harness.manifests import deployment, text
from harness.site import Site
from harness.tenant import image_policy
from harness.wait import SCALE, stays, until
from rig.registry import (ANY, BLOB, INDEX, LEGACY, MANIFEST, REFERRERS, TAG, another_digest, challenge, many, mixed, other_bytes, raw, redirect, reset,
                          slow_headers, status, token_of)

# name: (which requests, what is done to them, the reason of Verified, words of its message)
FAULTS = {
    "503 to the tag": (TAG, status(503), "FetchError", "503"),
    "429 that names no time": (REFERRERS, status(429), "FetchError", "429"),
    "429 that asks for an hour": (BLOB, status(429, Retry_After="3600"), "FetchError", "3600 s"),
    "every 5xx in a row": (ANY, mixed, "FetchError", "GET http://DOOR/v2/"),
    "reset before the answer": (TAG, reset, "FetchError", "GET http://DOOR/v2/"),
    "reset at a blob": (BLOB, reset, "FetchError", "GET http://DOOR/v2/"),
    "tag cut": (TAG, lambda bad: bad.truncated(), "FetchError", "GET http://DOOR/v2/"),
    "referrers cut": (REFERRERS, lambda bad: bad.truncated(), "FetchError", "GET http://DOOR/v2/"),
    "blob cut": (BLOB, lambda bad: bad.truncated(), "FetchError", "GET http://DOOR/v2/"),
    "blob of other bytes": (BLOB, other_bytes, "BlobDigest", "sha256:"),
    "manifest of other bytes": (MANIFEST, other_bytes, "DigestMismatch", "sha256:"),
    "tag that promises another digest": (TAG, another_digest, "DigestMismatch", "sha256:000"),
    "a login page in the place of the manifest": (TAG, lambda bad: bad.body(b"<html>", "text/html"), "ManifestMediaType", "text/html"),
    "no HTTP": (TAG, raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "FetchError", "GET http://DOOR/v2/"),
    "a status line and the end": (TAG, raw(b"HTTP/1.1 200 OK\r\n"), "FetchError", "GET http://DOOR/v2/"),
    "body without end": (REFERRERS, lambda bad: bad.endless(INDEX), "TooLarge", "larger than"),
    "ten thousand referrers": (REFERRERS, many, "TooManyReferrers", "more than 1000"),
    "hang": (REFERRERS, lambda bad: bad.hang, "FetchError", "GET http://DOOR/v2/"),
    "trickle": (TAG, lambda bad: bad.trickle, "FetchError", "GET http://DOOR/v2/"),
    "headers one byte at a time": (TAG, slow_headers, "FetchError", "GET http://DOOR/v2/"),
    "signature gone": (f"{REFERRERS}|{LEGACY}", status(404), "NoSignature", "there is no signature"),
    "the image gone": (TAG, status(404), "ImageNotFound", "has no image"),
    "401 without a challenge": (ANY, status(401), "FetchError", "401"),
    "401 with garbage": (ANY, challenge('Bearer realm="\\,,= \x01\xff'), "FetchError", "401"),
    "a token server elsewhere": (ANY, challenge('Bearer realm="http://198.51.100.7/token"'), "FetchError", "no credential was sent"),
    "token server down": (ANY, token_of(status(503)), "FetchError", "token server answered 503"),
    "token that is none": (ANY, token_of(lambda bad: bad.body(b'{"token":""}', "application/json")), "FetchError", "holds no token"),
    "token that is refused": (ANY, token_of(lambda bad: bad.body(b'{"token":"t"}', "application/json")), "FetchError", "401"),
    "redirect to itself": (BLOB, redirect(lambda handler: handler.path), "FetchError", "redirects"),
    "redirect to a file": (BLOB, redirect(lambda handler: "file:///etc/passwd"), "FetchError", "307"),
    "redirect to nowhere": (BLOB, redirect(lambda handler: "http://127.0.0.1:1/x"), "FetchError", "GET http://127.0.0.1:1"),
}
REQUESTS_MOST = 60   # of one door, in the time that the faults last: some tries, each of a few requests


class Doors:
    """One installation, one signed image, a proxy and an Application for each fault, all at once."""

    def __init__(self, stack, kube, registry, keys, folder):
        self.site = Site(stack, kube, registry, keys, folder / "site", "registry").install(policy=False)
        self.doors = {name: Hostile(registry.address) for name in ("good", *FAULTS)}
        self.apps = {name: f"f{number:02d}" for number, name in enumerate(self.doors)}
        self.image = self.site.image("web", signed=False).sign(self.site.key)

    def __enter__(self):
        for door in self.doors.values():
            door.__enter__()
        site = self.site
        addresses = [door.address for door in self.doors.values()]
        site.kube.apply(image_policy(site.system, "release", [f"{address}/{site.name}/**" for address in addresses], [site.key]))
        site.controller.plain_http = addresses
        site.controller.start()
        self.good = site.deploy({"app/web.yaml": text(self.deployment("good"))}, name=self.apps["good"])
        return self

    def __exit__(self, *_):
        self.site.close()
        for door in self.doors.values():
            door.__exit__()

    def deployment(self, name, **more):
        return deployment(self.apps[name], f"{self.doors[name].address}/{self.site.name}/web:1", **more)

    def fail(self):
        """All doors fail, the good one too; then the Applications of the others come. Each says why."""
        site = self.site
        self.doors["good"].rule(ANY, Hostile.status(503))
        for name, (which, make, _, _) in FAULTS.items():
            door = self.doors[name]
            door.rule(which, make(door))
        repo = site.repo({f"{self.apps[name]}/web.yaml": text(self.deployment(name)) for name in FAULTS})
        site.kube.apply(*[site.team.application(self.apps[name], repo, self.apps[name]) for name in FAULTS])
        self.said = until("every Application to say what is wrong", self.causes, lambda said: all(said.values()), seconds=40)
        self.healed = self.heal()
        stays("nothing is applied", lambda: [name for name in FAULTS if site.find("apps/v1", "Deployment", self.apps[name])], lambda found: found == [], 2)
        self.asked = {name: len(door.requests) for name, door in self.doors.items()}
        self.allowed = [r for r in site.log.records("sync.intent") if r["app"] != f"{site.system}/{self.apps['good']}"]

    def causes(self):
        """The condition Verified of each, once it has said something."""
        apps = {app["metadata"]["name"]: app for app in self.site.kube.list("countersign.dev/v1alpha1", "Application", self.site.system)}
        said = {name: condition(apps[self.apps[name]], "Verified") if apps[self.apps[name]].get("status") else None for name in FAULTS}
        return {name: seen if seen and seen["status"] != "True" and seen["reason"] != "Pending" else None for name, seen in said.items()}

    def heal(self):
        """What runs is still kept as it is, though its image cannot be looked at; how long it took."""
        site, name = self.site, self.apps["good"]
        began = time.monotonic()
        site.kube.patch("apps/v1", "Deployment", site.namespace, name, {"spec": {"replicas": 5}})
        until("drift to be healed", lambda: site.find("apps/v1", "Deployment", name)["spec"]["replicas"], lambda count: count == 1, seconds=20)
        return time.monotonic() - began

    def mend(self):
        for door in self.doors.values():
            door.rules.clear()


@pytest.fixture(scope="module")
def doors(stack, kube, registry, keys, tmp_path_factory):
    with Doors(stack, kube, registry, keys, tmp_path_factory.mktemp("registry-faults")) as made:
        made.fail()
        made.mend()
        yield made


@pytest.mark.parametrize("name", FAULTS)
def test_cause_is_told_nothing_is_allowed_and_it_recovers_by_itself(doors, name):
    site, app, (_, _, reason, words) = doors.site, doors.apps[name], FAULTS[name]
    said = doors.said[name]
    words = words.replace("DOOR", doors.doors[name].address)
    assert said["reason"] == reason and words in said["message"], said
    assert said["status"] == ("False" if reason == "NoSignature" else "Unknown"), said
    assert f"{doors.doors[name].address}/{site.name}/web" in said["message"], said
    assert 0 < doors.asked[name] < REQUESTS_MOST, f"{doors.asked[name]} requests"
    site.settled(app, seconds=70)
    site.wait_running(doors.image, app)


def test_nothing_was_intended_while_no_evidence_was_to_be_had(doors):
    assert doors.allowed == []
    assert doors.healed < 10 * SCALE


def test_each_object_was_made_once(doors):
    site = doors.site
    site.settled(*doors.apps.values(), seconds=70)
    created = [e["objectRef"]["name"] for e in site.governed() if e["responseStatus"]["code"] == 201]
    assert sorted(created) == sorted(doors.apps.values())
    assert site.log.verify().returncode == 0
