"""Evidence from real registries of every sort, and from hostile ones: complete or an error, within bounds, and no credential astray.

Hostile answers come from a proxy before the real registry; `countersign verify` runs the functions that the fetch and verify workers run.
"""

import base64
import hashlib
import json
import os
import secrets
import subprocess
import time

import pytest

from harness.controller import binary
from harness.hostile import Hostile
from harness.images import FORMATS, Registry, run
from harness.wait import SCALE

RUN = "fetch-" + secrets.token_hex(4)   # a stack that is kept between runs still has the images of the last one
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
LAYER = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE = "dev.cosignproject.cosign/signature"
SECONDS_MAX = 22 * SCALE      # LIMIT_EVIDENCE_SECONDS and what starting a program takes
MEGABYTES_MAX = 200 * (6 if SCALE > 1 else 1)


class Outcome:
    """What one `countersign verify -o json` did, and what it cost."""

    def __init__(self, ref, *arguments, docker_config=None):
        env = {**os.environ, "DOCKER_CONFIG": str(docker_config or "/nonexistent")}
        began = time.monotonic()
        child = subprocess.Popen([binary(), "verify", ref, "-o", "json", *arguments], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = child.stdout.read(), child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        self.code, self.err, self.seconds = child.returncode, err.decode(), time.monotonic() - began
        self.megabytes = usage.ru_maxrss / 1024
        self.said = json.loads(out) if out else None
        print(f"exit {self.code}, {self.seconds:.1f} s, {self.megabytes:.0f} MB: {self.err.strip()[:300]}")
        assert self.code in (0, 1, 10, 12), self.err
        assert self.seconds < SECONDS_MAX and self.megabytes < MEGABYTES_MAX

    @property
    def reasons(self):
        return sorted(s.get("reason", "verified") for s in self.said["signatures"])

    def is_error(self, reason, *words):
        """An error of the whole job: never "no signatures", and it says what."""
        assert self.code == 1 and self.said is None, (self.code, self.said)
        assert f"error: {reason}: " in self.err, self.err
        for word in words:
            assert word in self.err, self.err


@pytest.fixture
def bad(registry):
    with Hostile(registry.address) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def key(keys):
    return keys("release")


@pytest.fixture(scope="module")
def image(registry, key):
    """An image that is signed in both formats. No test changes it: what is wrong happens between it and the program."""
    return registry.image(f"{RUN}/signed").sign(key, "bundle").sign(key, "legacy")


def verify(bad, image, key, *arguments, **more):
    """Through the hostile proxy."""
    return Outcome(f"{bad.address}/{image.name}:{image.tag}", "--key", key.public, "--plain-http-registry", bad.address, *arguments, **more)


def manifest_of(layers, artifact_type=None, config=MANIFEST):
    body = {"schemaVersion": 2, "mediaType": MANIFEST, "layers": layers,
            "config": {"mediaType": config, "digest": "sha256:" + "0" * 64, "size": 2}}
    if artifact_type:
        body["artifactType"] = artifact_type
    return json.dumps(body).encode()


# --- real registries ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("door", ["open", "bearer", "basic over TLS", "fallback tags"])
def test_evidence_is_had_from_every_sort_of_registry(stack, registry, key, tmp_path, door, form):
    made = {
        "open": lambda: registry,
        "bearer": lambda: Registry(stack, stack.registry_bearer, tmp_path, "bob", "secret", made_through=registry),
        "basic over TLS": lambda: Registry(stack, stack.registry_tls, tmp_path, "bob", "secret", stack.registry_ca, made_through=registry),
        "fallback tags": lambda: Registry(stack, stack.registry_fallback, tmp_path),
    }[door]()
    image = made.image(f"{RUN}/{door.replace(' ', '-').lower()}-{form}").sign(key, form)
    how = ["--registry-ca", made.ca] if made.ca else ["--plain-http-registry", made.address]
    seen = Outcome(image.ref, "--key", key.public, *how, docker_config=made.folder)
    assert seen.code == 0, seen.err
    source = "sig-tag" if form == "legacy" else "fallback-tag" if door == "fallback tags" else "referrers"
    assert [s["source"] for s in seen.said["signatures"]] == [source]
    assert seen.said["digest"] == image.digest
    assert Outcome(image.pinned, "--key", key.public, *how, docker_config=made.folder).code == 0


@pytest.mark.parametrize("config,word", [(None, "401"), ({"username": "bob", "password": "wrong"}, "401")], ids=["anonymous", "wrong_password"])
@pytest.mark.parametrize("door", ["bearer", "basic over TLS"])
def test_registry_that_wants_another_credential_is_an_error_and_not_unsigned(stack, registry, key, tmp_path, door, config, word):
    image = registry.image(f"{RUN}/credential").sign(key)
    address = stack.registry_bearer if door == "bearer" else stack.registry_tls
    how = ["--plain-http-registry", address] if door == "bearer" else ["--registry-ca", stack.registry_ca]
    if config:
        (tmp_path / "config.json").write_text(json.dumps({"auths": {address: config}}))
    seen = Outcome(f"{address}/{image.name}:1", "--key", key.public, *how, docker_config=tmp_path)
    seen.is_error("FetchError", word, address)
    assert "wrong" not in seen.err


def test_https_registry_with_an_unknown_authority_is_an_error(stack, registry, key):
    seen = Outcome(f"{stack.registry_tls}/x:1", "--key", key.public)
    seen.is_error("FetchError", "certificate")


def test_authority_that_is_given_takes_the_place_of_the_systems(stack, key):
    Outcome(f"{stack.registry_tls}/x:1", "--key", key.public, "--registry-ca", stack.api_ca).is_error("FetchError", "certificate")


def test_image_that_is_not_there_is_told_apart_from_a_registry_that_fails(bad, image, key):
    Outcome(f"{bad.address}/fetch/none:1", "--key", key.public, "--plain-http-registry", bad.address).is_error("ImageNotFound", "fetch/none:1")
    bad.rule(r"/manifests/1$", bad.status(500))
    verify(bad, image, key).is_error("FetchError", "500")


# --- statuses on each endpoint ------------------------------------------------------------------------------------------

ENDPOINTS = {
    "image": r"GET /v2/.*/manifests/1$",
    "referrers": r"GET /v2/.*/referrers/",
    "referrer manifest": r"GET /v2/.*/manifests/sha256:",
    "blob": r"GET /v2/.*/blobs/",
    "legacy tag": r"GET /v2/.*/manifests/sha256-[0-9a-f]{64}\.sig$",
}


@pytest.mark.parametrize("status", [401, 403, 405, 451, 500, 502, 503])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_status_that_is_no_answer_fails_the_whole_job(bad, image, key, endpoint, status):
    bad.rule(ENDPOINTS[endpoint], bad.status(status))
    verify(bad, image, key).is_error("FetchError", str(status))


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_truncated_answer_fails_the_whole_job(bad, image, key, endpoint):
    bad.rule(ENDPOINTS[endpoint], bad.truncated())
    verify(bad, image, key).is_error("FetchError")


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_connection_that_breaks_fails_the_whole_job(bad, image, key, endpoint):
    def close(handler):
        handler.close_connection = True
    bad.rule(ENDPOINTS[endpoint], close)
    verify(bad, image, key).is_error("FetchError")


@pytest.mark.parametrize("status", ["200 OK", "404 Not Found", "307 Temporary Redirect"])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_answer_that_ends_inside_of_its_headers_fails_the_whole_job(bad, image, key, endpoint, status):
    def end(handler):
        handler.close_connection = True
        handler.wfile.write(f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\n".encode())
    bad.rule(ENDPOINTS[endpoint], end)
    verify(bad, image, key).is_error("FetchError")


@pytest.mark.parametrize("endpoint", ["image", "referrers", "blob"])
def test_registry_that_hangs_costs_seconds(bad, image, key, endpoint):
    bad.rule(ENDPOINTS[endpoint], bad.hang)
    verify(bad, image, key).is_error("FetchError")


def test_registry_that_trickles_costs_seconds(bad, image, key):
    bad.rule(ENDPOINTS["image"], bad.trickle)
    verify(bad, image, key).is_error("FetchError")


@pytest.mark.parametrize("endpoint,content_type", [("image", MANIFEST), ("referrers", INDEX), ("legacy tag", MANIFEST)])
def test_adv_cve_2023_46737_body_without_end_is_cut_at_the_limit(bad, image, key, endpoint, content_type):
    bad.rule(ENDPOINTS[endpoint], bad.endless(content_type))
    verify(bad, image, key).is_error("TooLarge")
    assert bad.sent_bytes < 64 << 20, bad.sent_bytes


def test_headers_without_end_are_cut_at_the_limit(bad, image, key):
    def many(handler):
        handler.head(200, [("Content-Type", MANIFEST)] + [(f"X-{i}", "y" * 1000) for i in range(90)])
    bad.rule(ENDPOINTS["image"], many)
    verify(bad, image, key).is_error("TooLarge", "headers")


# --- 429 -----------------------------------------------------------------------------------------------------------------


def test_429_is_waited_out_when_the_time_suffices(bad, image, key):
    bad.rule(ENDPOINTS["image"], bad.status(429, Retry_After="1"), times=1)
    seen = verify(bad, image, key)
    assert seen.code == 0 and seen.seconds >= 1, seen.err


def test_429_without_a_time_is_tried_a_few_times(bad, image, key):
    bad.rule(ENDPOINTS["referrers"], bad.status(429))
    verify(bad, image, key).is_error("FetchError", "429")
    assert len(bad.asked("/referrers/")) == 3


def test_429_that_asks_for_more_than_the_time_fails_at_once(bad, image, key):
    bad.rule(ENDPOINTS["blob"], bad.status(429, Retry_After="3600"))
    seen = verify(bad, image, key)
    seen.is_error("FetchError", "429", "3600 s")
    assert seen.seconds < 5 * SCALE


# --- bytes and digests -----------------------------------------------------------------------------------------------------


def test_adv_cve_2022_47633_tag_is_resolved_once_so_a_second_answer_cannot_matter(bad, registry, image, key):
    unsigned = registry.image(f"{RUN}/unsigned-second", content="other")
    bad.rule(ENDPOINTS["image"], bad.body(registry.crane("manifest", unsigned.ref).encode(), MANIFEST))
    bad.rule(ENDPOINTS["image"], lambda h: h.answer(*bad.forward(h)), times=1)
    seen = verify(bad, image, key)
    assert seen.code == 0 and seen.said["digest"] == image.digest
    assert len(bad.asked(r"/manifests/1$")) == 1


def test_adv_cve_2023_33959_manifest_that_does_not_hash_to_its_digest_is_an_error(bad, image, key):
    bad.rule(r"/manifests/sha256:", bad.changed(lambda b: b + b" "))
    Outcome(f"{bad.address}/{image.name}@{image.digest}", "--key", key.public, "--plain-http-registry", bad.address).is_error("DigestMismatch")


def test_tag_whose_header_names_another_digest_is_an_error(bad, image, key):
    def lie(handler):
        status, headers, body = bad.forward(handler)
        handler.answer(status, [(k, v) for k, v in headers if k.lower() != "docker-content-digest"] + [("Docker-Content-Digest", "sha256:" + "0" * 64)], body)
    bad.rule(ENDPOINTS["image"], lie)
    verify(bad, image, key).is_error("DigestMismatch", "sha256:000")


def test_referrer_or_blob_that_does_not_hash_to_its_digest_is_an_error(bad, image, key):
    bad.rule(ENDPOINTS["blob"], bad.changed(lambda b: b.replace(b"a", b"b")))
    verify(bad, image, key).is_error("BlobDigest")
    bad.rules.clear()
    bad.rule(ENDPOINTS["referrer manifest"], bad.changed(lambda b: b.replace(b"a", b"b")))
    verify(bad, image, key).is_error("DigestMismatch")


def test_compressed_body_is_not_unpacked(bad, image, key):
    import gzip
    bomb = gzip.compress(b"0" * (64 << 20))
    bad.rule(ENDPOINTS["referrers"], bad.status(200, bomb, Content_Type=INDEX, Content_Encoding="gzip"))
    verify(bad, image, key).is_error("FetchError", "index cannot be read")
    bad.rule(ENDPOINTS["image"], bad.status(200, bomb, Content_Type=MANIFEST, Content_Encoding="gzip"))
    Outcome(f"{bad.address}/{image.name}:1", "--key", key.public, "--plain-http-registry", bad.address)


def test_image_of_another_media_type_is_refused(bad, image, key):
    bad.rule(ENDPOINTS["image"], bad.body(b"{}", "application/vnd.docker.distribution.manifest.v1+prettyjws"))
    verify(bad, image, key).is_error("ManifestMediaType")
    bad.rule(ENDPOINTS["image"], bad.body(b"<html>", "text/html"))
    verify(bad, image, key).is_error("ManifestMediaType", "text/html")


def test_blob_that_is_gone_is_reported_and_hides_nothing(bad, image, key):
    bad.rule(ENDPOINTS["blob"], bad.status(404), times=1)
    seen = verify(bad, image, key)
    assert seen.code == 0 and seen.reasons == ["FETCH_ERROR", "verified"]
    bad.rules.clear()
    bad.rule(ENDPOINTS["blob"], bad.status(404))
    seen = verify(bad, image, key)
    assert seen.code == 12 and seen.reasons == ["FETCH_ERROR", "FETCH_ERROR"]


# --- redirects and credentials ------------------------------------------------------------------------------------------


@pytest.fixture
def secret(tmp_path):
    """A Docker configuration for an address, and what of it must never be seen elsewhere."""
    def write(address, **entry):
        entry = entry or {"username": "canary-user", "password": "canary-password"}
        (tmp_path / "config.json").write_text(json.dumps({"auths": {address: entry}}))
        return tmp_path
    return write


def canaries(proxy):
    basic = base64.b64encode(b"canary-user:canary-password").decode()
    return [r for r in proxy.requests if "canary" in str(r) or basic in str(r)]


def with_basic(bad):
    """The proxy asks for Basic itself."""
    def check(handler):
        if handler.headers.get("Authorization", "").startswith("Basic "):
            return handler.answer(*bad.forward(handler))
        handler.answer(401, [("WWW-Authenticate", 'Basic realm="x"')], b"{}")
    bad.rule(".", check)


def test_adv_ghsa_44f7_5fj5_h4px_credential_is_not_sent_along_with_a_redirect_to_another_host(bad, registry, image, key, secret):
    with Hostile(registry.address) as storage:
        with_basic(bad)
        bad.rule(ENDPOINTS["blob"], lambda h: h.answer(307, [("Location", f"http://{storage.address}{h.path}?signed=x")], b""))
        seen = verify(bad, image, key, docker_config=secret(bad.address))
        assert seen.code == 0, seen.err
        assert storage.asked("/blobs/") and not canaries(storage)
        assert all("authorization" not in r[2] for r in storage.requests)
        assert canaries(bad), "the registry itself does get it"


def test_credential_goes_along_with_a_redirect_that_stays(bad, image, key, secret):
    with_basic(bad)
    bad.rule(r"/blobs/[^?]*$", lambda h: h.answer(307, [("Location", h.path + "?again")], b""))
    assert verify(bad, image, key, docker_config=secret(bad.address)).code == 0
    assert all("authorization" in r[2] for r in bad.asked(r"/blobs/.*\?again"))


def test_redirect_without_end_or_sense_is_an_error(bad, image, key):
    for location in ["http://127.0.0.1:1/x", "", "file:///etc/passwd", "ftp://127.0.0.1/x", "http://user:pw@127.0.0.1/", "gopher://x"]:
        bad.rules.clear()
        bad.rule(ENDPOINTS["blob"], bad.status(302, b"", Location=location))
        verify(bad, image, key).is_error("FetchError")
    bad.rules.clear()
    bad.rule(ENDPOINTS["blob"], lambda h: h.answer(302, [("Location", h.path)], b""))
    verify(bad, image, key).is_error("FetchError", "redirects")
    assert len(bad.asked("/blobs/")) < 20


@pytest.mark.parametrize("realm", ["http://OTHER/token", "http://localhost:PORT@OTHER/token", "http://user@HOME/token", "file:///etc/passwd",
                                   "", "//OTHER/token", "/token", "https://OTHER/token"])
def test_hostile_realm_gets_no_credential(bad, registry, image, key, secret, realm):
    with Hostile(registry.address) as other:
        named = realm.replace("OTHER", other.address).replace("HOME", bad.address).replace("PORT", bad.address.split(":")[1])
        bad.rule(".", bad.status(401, WWW_Authenticate=f'Bearer realm="{named}",service="s"'))
        verify(bad, image, key, docker_config=secret(bad.address)).is_error("FetchError")
        assert not canaries(other) and not canaries(bad)


def test_token_is_asked_for_once_with_scope_and_service(bad, image, key, secret):
    def guarded(handler):
        if handler.headers.get("Authorization") == "Bearer canary-token":
            return handler.answer(*bad.forward(handler))
        handler.answer(401, [("WWW-Authenticate", f'Bearer realm="http://{bad.address}/token?account=a",service="s s"')], b"{}")
    bad.rule("^GET /v2/", guarded)
    bad.rule("^GET /token", bad.body(b'{"access_token":"canary-token"}', "application/json"))
    assert verify(bad, image, key, docker_config=secret(bad.address)).code == 0
    token, = bad.asked("^GET /token")
    assert token[1] == f"/token?account=a&service=s+s&scope=repository%3a{image.name.replace('/', '%2f')}%3apull"
    assert token[2]["authorization"].startswith("Basic ")


def test_identity_token_is_exchanged_by_post(bad, image, key, secret):
    def guarded(handler):
        if handler.headers.get("Authorization") == "Bearer fresh":
            return handler.answer(*bad.forward(handler))
        handler.answer(401, [("WWW-Authenticate", f'Bearer realm="http://{bad.address}/token",service="s"')], b"{}")
    bad.rule("^GET /v2/", guarded)
    bad.rule("^POST /token", bad.body(b'{"access_token":"fresh"}', "application/json"))
    assert verify(bad, image, key, docker_config=secret(bad.address, identitytoken="canary-identity")).code == 0
    assert len(bad.asked("POST /token")) == 1 and "authorization" not in bad.asked("POST /token")[0][2]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"token":7}', b'{"token":"a b"}', b'{"token":"a\\r\\nX-Evil: 1"}', b'{"token":""}',
                                  b'{"token":"' + b"x" * 70000 + b'"}'], ids=range(8))
def test_token_that_is_none_is_an_error(bad, image, key, body):
    bad.rule("^GET /v2/", bad.status(401, WWW_Authenticate=f'Bearer realm="http://{bad.address}/token"'))
    bad.rule("^GET /token", bad.body(body, "application/json"))
    seen = verify(bad, image, key)
    assert seen.code == 1 and ("FetchError" in seen.err or "TooLarge" in seen.err)


def test_registry_that_asks_again_after_a_token_is_refused(bad, image, key):
    bad.rule("^GET /v2/", bad.status(401, WWW_Authenticate=f'Bearer realm="http://{bad.address}/token"'))
    bad.rule("^GET /token", bad.body(b'{"token":"t"}', "application/json"))
    verify(bad, image, key).is_error("FetchError", "401")
    assert len(bad.requests) == 3


@pytest.mark.parametrize("challenge", ["", "Digest realm=x", "Bearer", "Bearer realm=", "Basic realm=x", "x" * 60000, '"', "Bearer realm=\"\\"])
def test_challenge_that_is_not_understood_is_an_error(bad, image, key, challenge):
    bad.rule("^GET /v2/", bad.status(401, WWW_Authenticate=challenge))
    verify(bad, image, key).is_error("FetchError", "401")


def test_secret_is_in_no_message(bad, image, key, secret):
    for status in (401, 403, 500):
        bad.rules.clear()
        bad.rule(".", lambda h: h.answer(status, [("WWW-Authenticate", 'Basic realm="canary-echo"')], str(h.headers).encode()))
        seen = verify(bad, image, key, docker_config=secret(bad.address))
        assert "canary" not in seen.err, seen.err


def test_codes_of_a_terminal_in_a_header_reach_no_terminal(bad, image, key):
    bad.rule(r"/manifests/1$", bad.status(200, b"{}", Content_Type=MANIFEST, Docker_Content_Digest="sha256:\x1b]0;canary\x07"))
    seen = verify(bad, image, key)
    seen.is_error("DigestMismatch", "canary")
    assert "\x1b" not in seen.err and "\x07" not in seen.err


# --- referrers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 404, 406])
def test_registry_without_the_referrers_api_is_asked_for_the_fallback_tag(bad, image, key, status):
    empty = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).encode()
    bad.rule(ENDPOINTS["referrers"], bad.status(status))
    bad.rule(r"/manifests/sha256-[0-9a-f]{64}$", bad.body(empty, INDEX))
    seen = verify(bad, image, key)
    assert seen.code == 0 and [s["format"] for s in seen.said["signatures"]] == ["legacy"], seen.err
    assert bad.asked(r"/manifests/sha256-[0-9a-f]{64}$")


def real_index(bad, image):
    """What the real registry lists for the image, as the fallback index of cosign 3.0 would say it."""
    class Ask:
        command, path, headers = "GET", f"/v2/{image.name}/referrers/{image.digest}", {}
    return json.loads(bad.forward(Ask)[2])


@pytest.mark.parametrize("artifact_type", ["application/vnd.oci.empty.v1+json", None, BUNDLE])
def test_descriptor_of_the_empty_type_is_looked_at(bad, image, key, artifact_type):
    """cosign#4641: cosign 3.0.0 to 3.0.6 wrote the empty config's type into fallback indices."""
    index = real_index(bad, image)
    for descriptor in index["manifests"]:
        descriptor.pop("annotations", None)
        descriptor.pop("artifactType", None)
        if artifact_type:
            descriptor["artifactType"] = artifact_type
    bad.rule(ENDPOINTS["referrers"], bad.status(200, b"<html>", Content_Type="text/html"))
    bad.rule(r"/manifests/sha256-[0-9a-f]{64}$", bad.body(json.dumps(index).encode(), INDEX))
    seen = verify(bad, image, key)
    assert sorted(s["source"] for s in seen.said["signatures"]) == ["fallback-tag", "sig-tag"] and seen.reasons == ["verified", "verified"]


def test_other_referrers_are_passed_over_without_being_fetched(bad, image, key):
    index = real_index(bad, image)
    other = {"mediaType": MANIFEST, "digest": "sha256:" + "1" * 64, "size": 7, "artifactType": "application/spdx+json"}
    index["manifests"] = [{**other, "digest": f"sha256:{i:064x}"} for i in range(10000)] + index["manifests"]
    bad.rule(ENDPOINTS["referrers"], bad.body(json.dumps(index).encode(), INDEX))
    assert verify(bad, image, key).code == 0
    assert len(bad.requests) < 10


def test_adv_cve_2024_29902_ten_thousand_referrers_that_may_be_signatures_are_an_error(bad, image, key):
    many = [{"mediaType": MANIFEST, "digest": f"sha256:{i:064x}", "size": 7, "artifactType": BUNDLE} for i in range(10000)]
    bad.rule(ENDPOINTS["referrers"], bad.body(json.dumps({"schemaVersion": 2, "manifests": many}).encode(), INDEX))
    verify(bad, image, key).is_error("TooManyReferrers", "1000")
    assert len(bad.requests) < 5


VULNERABILITIES = {"dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": "https://cosign.sigstore.dev/attestation/vuln/v1"}


def crowd(bad, image, count, **descriptor):
    """Lists so many made-up bundles before the real referrers of the image; each can be fetched and is none."""
    index = real_index(bad, image)
    made = [{"mediaType": MANIFEST, "digest": f"sha256:{i:064x}", "size": 7, "artifactType": BUNDLE, **descriptor} for i in range(count)]
    index["manifests"] = made + index["manifests"]
    bad.rule(ENDPOINTS["referrers"], bad.body(json.dumps(index).encode(), INDEX))
    return [d["digest"] for d in made]


def test_attestations_of_each_night_do_not_keep_the_signature_from_being_found(bad, image, key):
    """A scanner that attests each night makes 365 referrers a year of the very type of a signature."""
    crowd(bad, image, 365, annotations=VULNERABILITIES)
    seen = verify(bad, image, key)
    assert seen.code == 0, seen.err
    assert seen.reasons.count("verified") == 2 and set(seen.reasons) == {"verified", "FETCH_ERROR", "TOO_LARGE"}
    assert len(bad.asked("/manifests/sha256:0{60}")) < 100, "no more than so many are fetched"


def test_large_attestations_do_not_use_up_the_room_of_the_signature(bad, image, key):
    """An SBOM of a large image is megabytes; one of each release is soon more than is fetched for one image."""
    made = []
    for i in range(30):
        blob = json.dumps({"sbom": i}).encode().ljust(2_000_000)
        digest = "sha256:" + hashlib.sha256(blob).hexdigest()
        made.append(manifest_of([{"mediaType": BUNDLE, "digest": digest, "size": len(blob)}], BUNDLE))
        bad.rule(f"/blobs/{digest}$", bad.body(blob, "application/octet-stream"))
    listed(bad, image, *made)
    seen = verify(bad, image, key)
    assert seen.code == 0, seen.err
    assert seen.reasons.count("verified") == 2 and seen.reasons.count("BAD_JSON") > 5 and seen.reasons.count("TOO_LARGE") > 5


def test_newest_referrers_are_looked_at_where_there_are_too_many(bad, image, key):
    crowd(bad, image, 300, annotations={"org.opencontainers.image.created": "2021-01-02T03:04:05Z"})
    seen = verify(bad, image, key)
    assert seen.code == 0 and seen.reasons.count("verified") == 2, seen.err
    assert "not fetched" in next(s["message"] for s in seen.said["signatures"] if s.get("reason") == "TOO_LARGE")


def test_few_referrers_are_all_looked_at_whatever_they_say_of_themselves(bad, image, key):
    made = crowd(bad, image, 60, annotations=VULNERABILITIES)
    seen = verify(bad, image, key)
    assert seen.code == 0 and len(seen.said["signatures"]) == 62
    assert {r[1].rsplit("/", 1)[1] for r in bad.asked("/manifests/sha256:0{60}")} == set(made)


def test_pages_are_followed(bad, image, key):
    index = real_index(bad, image)
    first = json.dumps({"schemaVersion": 2, "manifests": []}).encode()
    bad.rule(r"/referrers/[^?]*$", bad.status(200, first, Content_Type=INDEX, Link=f"</v2/{image.name}/referrers/{image.digest}?page=2>; rel=\"next\""))
    bad.rule(r"/referrers/.*\?page=2", bad.body(json.dumps(index).encode(), INDEX))
    seen = verify(bad, image, key)
    assert seen.reasons == ["verified", "verified"], seen.err


def test_pages_without_end_or_to_another_host_are_an_error(bad, registry, image, key):
    empty = json.dumps({"schemaVersion": 2, "manifests": []}).encode()
    bad.rule(ENDPOINTS["referrers"], bad.status(200, empty, Content_Type=INDEX, Link=f"</v2/{image.name}/referrers/{image.digest}?again>; rel=next"))
    verify(bad, image, key).is_error("TooManyReferrers", "pages")
    assert len(bad.requests) < 15
    with Hostile(registry.address) as other:
        bad.rules.clear()
        bad.rule(ENDPOINTS["referrers"], bad.status(200, empty, Content_Type=INDEX, Link=f"<http://{other.address}/x>; rel=next"))
        verify(bad, image, key).is_error("FetchError")
        assert not other.requests


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"{}", b'{"schemaVersion":2}', b'{"schemaVersion":2,"manifests":[{}]}',
                                  b'{"schemaVersion":2,"manifests":[],"manifests":[]}', b"[" * 100000], ids=range(9))
def test_index_that_cannot_be_read_is_an_error(bad, image, key, body):
    bad.rule(ENDPOINTS["referrers"], bad.body(body, INDEX))
    verify(bad, image, key).is_error("FetchError", "index cannot be read")


# --- what publishers do wrong ----------------------------------------------------------------------------------------------


def listed(bad, image, *manifests):
    """Referrers of the image: the real ones behind these made-up manifests."""
    index = real_index(bad, image)
    made = []
    for manifest in manifests:
        digest = "sha256:" + hashlib.sha256(manifest).hexdigest()
        made.append({"mediaType": MANIFEST, "digest": digest, "size": len(manifest), "artifactType": BUNDLE})
        bad.rule(f"/manifests/{digest}$", bad.body(manifest, MANIFEST))
    index["manifests"] = made + index["manifests"]
    bad.rule(ENDPOINTS["referrers"], bad.body(json.dumps(index).encode(), INDEX))


def test_broken_bundles_hide_no_good_one(bad, image, key):
    big = {"mediaType": BUNDLE, "digest": "sha256:" + "2" * 64, "size": 5 << 30}
    gone = {"mediaType": BUNDLE, "digest": "sha256:" + "3" * 64, "size": 7}
    listed(bad, image, manifest_of([big], BUNDLE), manifest_of([gone], BUNDLE), manifest_of([], BUNDLE), manifest_of([gone, gone], BUNDLE),
           manifest_of([{**gone, "mediaType": "text/plain"}], BUNDLE), b"{}", b"not json at all")
    seen = verify(bad, image, key)
    assert seen.code == 0
    assert seen.reasons == ["BAD_JSON", "BAD_JSON", "FETCH_ERROR", "PAYLOAD_KIND", "PAYLOAD_KIND", "PAYLOAD_KIND", "TOO_LARGE", "verified", "verified"]
    assert not bad.asked("2" * 64), "a layer that claims 5 GB is not fetched"


def test_layer_that_claims_ten_bytes_and_sends_without_end_is_cut(bad, image, key):
    small = {"mediaType": BUNDLE, "digest": "sha256:" + "4" * 64, "size": 10}
    listed(bad, image, manifest_of([small], BUNDLE))
    bad.rule("/blobs/sha256:" + "4" * 64, bad.endless("application/octet-stream"))
    seen = verify(bad, image, key)
    assert seen.code == 0 and seen.reasons == ["TOO_LARGE", "verified", "verified"]
    assert bad.sent_bytes < 16 << 20


def legacy(bad, layers):
    bad.rule(ENDPOINTS["legacy tag"], bad.body(manifest_of(layers), MANIFEST))


def test_adv_cve_2024_29903_thousand_and_one_legacy_layers_are_an_error(bad, image, key):
    layer = {"mediaType": LAYER, "digest": "sha256:" + "5" * 64, "size": 7, "annotations": {SIGNATURE: "AAAA"}}
    legacy(bad, [layer] * 1001)
    verify(bad, image, key).is_error("TooManySignatures", "1001")
    assert not bad.asked("5" * 64)


def real_layers(bad, image):
    class Ask:
        command, path, headers = "GET", f"/v2/{image.name}/manifests/{image.digest.replace(':', '-')}.sig", {"Accept": MANIFEST}
    return json.loads(bad.forward(Ask)[2])["layers"]


def test_image_that_is_signed_anew_each_night_for_years_is_verified(bad, image, key):
    """Every keyless signature of one image is one more layer of the same payload; cosign reads up to a thousand."""
    mine, = real_layers(bad, image)
    theirs = [{**mine, "annotations": {**mine["annotations"], SIGNATURE: base64.b64encode(str(i).encode()).decode()}} for i in range(999)]
    legacy(bad, [*theirs[:500], mine, *theirs[500:]])
    seen = verify(bad, image, key)
    assert seen.code == 0, seen.err
    assert seen.reasons.count("verified") == 2 and seen.reasons.count("SIG_INVALID") == 999
    assert len(bad.asked(f"/blobs/{mine['digest']}$")) == 1, "one payload, one request"


def test_layer_that_lies_about_a_payload_hides_no_other_of_the_same(bad, image, key):
    mine, = real_layers(bad, image)
    theirs = {**mine, "annotations": {**mine["annotations"], SIGNATURE: "AAAA"}}
    legacy(bad, [theirs, mine, mine, {**mine, "size": 10}, {**mine, "size": 1 << 40}])
    seen = verify(bad, image, key)
    assert seen.code == 0 and seen.reasons == ["SIG_INVALID", "TOO_LARGE", "TOO_LARGE", "verified", "verified"], "what stands there twice is one"


def test_legacy_payloads_that_are_all_different_are_looked_at_from_the_newest(bad, image, key):
    mine, = real_layers(bad, image)
    gone = [{**mine, "digest": f"sha256:{i:064x}"} for i in range(300)]
    legacy(bad, [*gone, mine])
    seen = verify(bad, image, key)
    assert seen.code == 0 and seen.reasons.count("verified") == 2 and seen.reasons.count("FETCH_ERROR") == 99 and seen.reasons.count("TOO_LARGE") == 201
    bad.rules.clear()
    legacy(bad, [mine, *gone])
    assert verify(bad, image, key).reasons.count("verified") == 1, "the bundle"


def test_signature_that_cosign_made_a_referrer_before_bundles_is_found(registry, key, bad):
    image = registry.image(f"{RUN}/oci11")
    run(registry.stack.cosign, "sign", "--key", key.private, "--yes", "--tlog-upload=false", "--use-signing-config=false", "--new-bundle-format=false",
        "--registry-referrers-mode=oci-1-1", image.pinned, env={**registry.env, "COSIGN_EXPERIMENTAL": "1"})
    seen = verify(bad, image, key)
    assert seen.code == 0, seen.err
    assert [(s["format"], s["source"]) for s in seen.said["signatures"]] == [("legacy", "referrers")]


def test_legacy_layers_of_another_type_are_reported_and_not_fetched(bad, image, key):
    legacy(bad, [{"mediaType": "application/vnd.dsse.envelope.v1+json", "digest": "sha256:" + "6" * 64, "size": 7}])
    seen = verify(bad, image, key)
    assert seen.code == 0 and seen.reasons == ["PAYLOAD_KIND", "verified"] and not bad.asked("6" * 64)


def test_legacy_tag_that_is_no_manifest_is_reported(bad, image, key):
    bad.rule(ENDPOINTS["legacy tag"], bad.body(b'{"schemaVersion":2,"layers":{}}', MANIFEST))
    seen = verify(bad, image, key)
    assert seen.code == 0 and seen.reasons == ["BAD_JSON", "verified"]


def test_requests_and_bytes_of_one_image_are_bounded(bad, image, key):
    """Fifty referrers of the empty type, each of which must be looked at."""
    listed(bad, image, *[manifest_of([{"mediaType": "text/plain", "digest": f"sha256:{i:064x}", "size": 7}], config=INDEX) for i in range(49)])
    seen = verify(bad, image, key)
    assert seen.code == 0 and len(bad.requests) < 130
    print(f"{len(bad.requests)} requests")


def test_unsigned_image_is_told_apart(bad, registry, key):
    image = registry.image(f"{RUN}/unsigned")
    assert verify(bad, image, key).code == 10
    assert [r[1].rsplit("/", 2)[1] for r in bad.requests] == ["manifests", "referrers", "manifests"]


def test_copied_signature_is_refused_for_its_own_reason(registry, key, bad):
    """Row 1: the legacy tag copied to another image, and a bundle whose manifest's subject was rewritten."""
    good = registry.image(f"{RUN}/copied", content="good").sign(key, "bundle").sign(key, "legacy")
    other = registry.image(f"{RUN}/copied", tag="2", content="other")
    registry.crane("copy", f"{registry.address}/{good.name}:{good.digest.replace(':', '-')}.sig",
                   f"{registry.address}/{other.name}:{other.digest.replace(':', '-')}.sig")
    index = real_index(bad, good)
    bad.rule(ENDPOINTS["referrers"], bad.body(json.dumps(index).encode(), INDEX))
    seen = verify(bad, other, key)
    assert seen.code == 12 and seen.reasons == ["PAYLOAD_DIGEST", "SUBJECT_MISMATCH"]


def test_adv_cve_2026_39395_attestation_is_no_signature(registry, key, stack, tmp_path, bad):
    image = registry.image(f"{RUN}/attested")
    (tmp_path / "predicate").write_text('{"a":1}')
    (tmp_path / "none.json").write_text('{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","rekorTlogConfig":{},"tsaConfig":{}}')
    run(stack.cosign, "attest", "--key", key.private, "--yes", "--signing-config", tmp_path / "none.json", "--type", "https://example.test/t",
        "--predicate", tmp_path / "predicate", image.pinned, env=registry.env)
    seen = verify(bad, image, key)
    assert seen.code == 12 and seen.reasons == ["PREDICATE_TYPE"]
