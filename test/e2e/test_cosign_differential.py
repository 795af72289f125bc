"""`countersign verify --key` against the real `cosign verify --key`: key types x formats x tampering.

Both judge the same documents in the same registry. Where they disagree, DISAGREE says so, by the name of the case; each name is
explained in controller/verify/README.md. A disagreement that is not listed fails, and so does a listed one that is gone.
"""

import base64
import concurrent.futures
import json
import os
import secrets
import subprocess

import pytest

from harness.controller import binary
from harness.forge import (BUNDLE, LAYER, SIGN, Signer, Store, b64, bundle, changed, compact, flipped, payload, sha256, statement)
from harness.images import COSIGN_VERIFIES, KEY_TYPES
from harness.stack import ROOT

RUN = "differential-" + secrets.token_hex(4)
OTHER = sha256(b"another image")

# Every case is tried with two kinds of key that cosign verifies in all its parts.
FULL = ("p256", "rsa2048")

# What countersign accepts and cosign 3.1.3 does not ("+"), or the other way round ("-"); by case, for the kinds of key named.
DISAGREE = {}


def disagree(sign, case, *kinds):
    for kind in kinds or KEY_TYPES:
        DISAGREE[f"{kind} {case}"] = sign


# cosign is lax: it judges what the document does not say of itself.
for _case in ("signature with a line end", "of another type", "without a type", "with an unknown field", "with capitals", "with a doubled digest",
              "layer of another media type"):
    disagree("-", f"legacy: {_case}", *FULL)
disagree("-", "bundle: statement v2", *FULL)
disagree("-", "bundle: an attestation", "p256", "rsa2048", "rsa3072", "rsa4096", "ed25519")
disagree("-", "bundle: signed with sha256", "p384", "p521")
# cosign refuses what it writes itself, or what another document hides from it.
disagree("+", "legacy: good behind a stranger's bundle", *FULL)
disagree("+", "bundle: of version 0.1", *FULL)
disagree("+", "legacy: signed", "p384", "p521")
disagree("+", "bundle: signed", "p384", "p521")


class Case:
    """One image of one kind of key: what is pushed beside it."""

    def __init__(self, kind, signers, store, name):
        self.kind, self.signer, self.stranger = kind, signers[kind], signers["stranger"]
        self.store, self.name = store, name
        self.digest = store.image(name)

    def legacy(self, text=None, signature=None, media_type=LAYER, signer=None, **how):
        text = payload(self.digest) if text is None else text
        if signature is None:
            signature = b64((signer or self.signer).sign(text, **how))
        return (text, signature, media_type)

    def push_legacy(self, *layers):
        self.store.legacy(self.name, self.digest, *layers)

    def bundle(self, body=None, signer=None, **how):
        return bundle(signer or self.signer, statement(self.digest) if body is None else body, **how)

    def push_bundle(self, document, media_type=BUNDLE):
        self.store.bundle(self.name, self.digest, document if isinstance(document, bytes) else compact(document), media_type)


# --- cases: each pushes something and is judged by both ----------------------------------------------------------------------

LEGACY = {
    "signed": lambda c: c.push_legacy(c.legacy()),
    "signed by a stranger": lambda c: c.push_legacy(c.legacy(signer=c.stranger)),
    "payload changed": lambda c: c.push_legacy((payload(c.digest, optional={"a": "b"}), c.legacy()[1], LAYER)),
    "signature changed": lambda c: c.push_legacy((c.legacy()[0], flipped(c.legacy()[1]), LAYER)),
    "signature cut": lambda c: c.push_legacy((c.legacy()[0], b64(base64.b64decode(c.legacy()[1])[:-1]), LAYER)),
    "signature empty": lambda c: c.push_legacy((payload(c.digest), "", LAYER)),
    "signature missing": lambda c: c.push_legacy((payload(c.digest), None, LAYER)),
    "signature no base64": lambda c: c.push_legacy((payload(c.digest), "!!!!", LAYER)),
    "signature with a line end": lambda c: c.push_legacy((c.legacy()[0], c.legacy()[1] + "\n", LAYER)),
    "of another image": lambda c: c.push_legacy(c.legacy(payload(OTHER))),
    "of another type": lambda c: c.push_legacy(c.legacy(payload(c.digest, critical={"type": "atomic container signature"}))),
    "without a type": lambda c: c.push_legacy(c.legacy(payload(c.digest, critical={"type": ""}))),
    "with annotations": lambda c: c.push_legacy(c.legacy(payload(c.digest, optional={"env": "prod"}))),
    "with an unknown field": lambda c: c.push_legacy(c.legacy(payload(c.digest, extra=1))),
    "with capitals": lambda c: c.push_legacy(c.legacy(payload(c.digest).replace(b"critical", b"Critical"))),
    "with a doubled digest": lambda c: c.push_legacy(c.legacy(
        payload(c.digest).replace(b'"image":{', b'"image":{"docker-manifest-digest":"%s",' % OTHER.encode()))),
    "with the digest in capitals": lambda c: c.push_legacy(c.legacy(payload(c.digest.replace("sha256", "SHA256")))),
    "no json": lambda c: c.push_legacy(c.legacy(b"hello")),
    "empty object": lambda c: c.push_legacy(c.legacy(b"{}")),
    "with something behind": lambda c: c.push_legacy(c.legacy(payload(c.digest) + b"x")),
    "layer of another media type": lambda c: c.push_legacy(c.legacy(media_type="application/octet-stream")),
    "good beside nine broken": lambda c: c.push_legacy(*[(payload(c.digest, optional={"n": str(n)}), c.legacy()[1], LAYER) for n in range(9)], c.legacy()),
    "good behind a stranger's bundle": lambda c: (c.push_legacy(c.legacy()), c.push_bundle(c.bundle(signer=c.stranger))),
    "signed with sha1": lambda c: c.push_legacy(c.legacy(digest="sha1")) if c.kind != "ed25519" else c.push_legacy(c.legacy(signer=c.stranger)),
    "signed with sha256": lambda c: c.push_legacy(c.legacy(digest="sha256") if c.kind != "ed25519" else c.legacy()),
}

BUNDLES = {
    "signed": lambda c: c.push_bundle(c.bundle()),
    "signed by a stranger": lambda c: c.push_bundle(c.bundle(signer=c.stranger)),
    "payload changed": lambda c: c.push_bundle(changed(c.bundle(), "dsseEnvelope.payload", b64(statement(c.digest, predicate={"a": 1})))),
    "signature changed": lambda c: c.push_bundle(changed(c.bundle(), "dsseEnvelope.signatures", [{"sig": flipped(c.bundle()["dsseEnvelope"]["signatures"][0]["sig"])}])),
    "signature empty": lambda c: c.push_bundle(changed(c.bundle(), "dsseEnvelope.signatures", [{"sig": ""}])),
    "no signatures": lambda c: c.push_bundle(changed(c.bundle(), "dsseEnvelope.signatures", [])),
    "two signatures": lambda c: c.push_bundle(changed(c.bundle(), "dsseEnvelope.signatures", c.bundle()["dsseEnvelope"]["signatures"] * 2)),
    "of another image": lambda c: c.push_bundle(c.bundle(statement(OTHER))),
    "of two images": lambda c: c.push_bundle(c.bundle(statement(c.digest, subject=[{"digest": {"sha256": OTHER[7:]}}, {"digest": {"sha256": c.digest[7:]}}]))),
    "subject by sha512 alone": lambda c: c.push_bundle(c.bundle(statement(c.digest, subject=[{"digest": {"sha512": c.digest[7:] * 2}}]))),
    "subject in capitals": lambda c: c.push_bundle(c.bundle(statement(c.digest, subject=[{"digest": {"sha256": c.digest[7:].upper()}}]))),
    "no subject": lambda c: c.push_bundle(c.bundle(statement(c.digest, subject=[]))),
    "an attestation": lambda c: c.push_bundle(c.bundle(statement(c.digest, predicateType="https://slsa.dev/provenance/v1"))),
    "statement v0.1": lambda c: c.push_bundle(c.bundle(statement(c.digest, _type="https://in-toto.io/Statement/v0.1"))),
    "statement v2": lambda c: c.push_bundle(c.bundle(statement(c.digest, _type="https://in-toto.io/Statement/v2"))),
    "payload of another type": lambda c: c.push_bundle(c.bundle(payload_type="application/json")),
    "payload no json": lambda c: c.push_bundle(c.bundle(b"hello")),
    "with a doubled key": lambda c: c.push_bundle(compact(c.bundle()).replace(b'"dsseEnvelope":{', b'"dsseEnvelope":{"payloadType":"x",')),
    "with an unknown field": lambda c: c.push_bundle({**c.bundle(), "extra": 1}),
    "with another hint": lambda c: c.push_bundle(changed(c.bundle(), "verificationMaterial.publicKey.hint", "someone")),
    "without a hint": lambda c: c.push_bundle(changed(c.bundle(), "verificationMaterial.publicKey", {})),
    "without material": lambda c: c.push_bundle(changed(c.bundle(), "verificationMaterial", {})),
    "with a certificate that is none": lambda c: c.push_bundle(changed(c.bundle(), "verificationMaterial", {"certificate": {"rawBytes": "AAAA"}})),
    "of version 0.1": lambda c: c.push_bundle(changed(c.bundle(), "mediaType", "application/vnd.dev.sigstore.bundle+json;version=0.1")),
    "of version 0.9": lambda c: c.push_bundle(changed(c.bundle(), "mediaType", "application/vnd.dev.sigstore.bundle.v0.9+json")),
    "without a version": lambda c: c.push_bundle(changed(c.bundle(), "mediaType", None)),
    "no json": lambda c: c.push_bundle(b"hello"),
    "good beside broken": lambda c: (c.push_bundle(b"hello"), c.push_bundle(c.bundle(signer=c.stranger)), c.push_bundle(c.bundle())),
    "signed with sha256": lambda c: c.push_bundle(c.bundle(digest="sha256") if c.kind != "ed25519" else c.bundle()),
    "statement with a doubled key": lambda c: c.push_bundle(c.bundle(statement(c.digest).replace(b'"predicate":', b'"predicateType":"%s","predicate":' % SIGN.encode()))),
}

# What depends on the key, for the other kinds.
BY_KEY = ("signed", "signed by a stranger", "payload changed", "signature changed", "signed with sha256", "of another image", "an attestation")


def names():
    for kind in KEY_TYPES:
        for form, cases in (("legacy", LEGACY), ("bundle", BUNDLES)):
            for case in cases:
                if kind in FULL or case in BY_KEY:
                    yield kind, form, case


@pytest.fixture(scope="module")
def verdicts(stack, registry, tmp_path_factory):
    """Both answers to every case: {name: (ours, cosign's, what was said)}. Made once, two at a time."""
    folder = tmp_path_factory.mktemp("signers")
    signers = {kind: Signer(folder, kind, kind) for kind in KEY_TYPES}
    signers["stranger"] = Signer(folder, "stranger", "p256")
    store = Store(registry.address)
    made = []
    for number, (kind, form, case) in enumerate(names()):
        one = Case(kind, signers, store, f"{RUN}/c{number}")
        (LEGACY if form == "legacy" else BUNDLES)[case](one)
        made.append((f"{kind} {form}: {case}", one))

    def judge(item):
        name, one = item
        reference = f"{registry.address}/{one.name}@{one.digest}"
        env = {**os.environ, **registry.env}
        ours = subprocess.run([binary(), "verify", reference, "--key", one.signer.public, "--plain-http-registry", registry.address, "-o", "json"],
                              env=env, capture_output=True, timeout=60, text=True)
        theirs = subprocess.run([stack.cosign, "verify", "--key", one.signer.public, "--insecure-ignore-tlog", reference],
                                env=env, capture_output=True, timeout=60, text=True)
        assert ours.returncode in (0, 12), (name, ours.returncode, ours.stderr)
        said = [s.get("reason", "verified") for s in json.loads(ours.stdout)["signatures"]]
        return name, (ours.returncode == 0, theirs.returncode == 0, f"{said}; cosign: {theirs.stderr.strip().splitlines()[-1:]}")

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return dict(pool.map(judge, made))


def test_at_least_a_hundred_images_are_judged_by_both(verdicts):
    assert len(verdicts) >= 100
    print(f"{len(verdicts)} images, {sum(o for o, _, _ in verdicts.values())} accepted here, {sum(t for _, t, _ in verdicts.values())} by cosign")


def test_countersign_and_cosign_agree_but_where_the_readme_says_why(verdicts):
    found = {name: "+" if ours else "-" for name, (ours, theirs, _) in verdicts.items() if ours != theirs}
    unexpected = [f"{name}: {sign} {verdicts[name][2]}" for name, sign in found.items() if DISAGREE.get(name) != sign]
    gone = [name for name in DISAGREE if name not in found]
    assert not unexpected and not gone, "\n".join(["unexplained:", *unexpected, "listed, but they agree:", *gone])


def test_nothing_tampered_is_accepted(verdicts):
    """Apart from cosign: which cases may be accepted at all."""
    fine = {"signed", "with annotations", "good beside nine broken", "good behind a stranger's bundle", "of two images", "statement v0.1",
            "with another hint", "without a hint", "of version 0.1", "good beside broken", "signed with sha256"}
    wrong = [f"{name}: {said}" for name, (ours, _, said) in verdicts.items() if ours and name.split(": ", 1)[1] not in fine]
    assert not wrong, "\n".join(wrong)


def test_each_disagreement_is_explained(verdicts):
    """The README names every case that is listed here."""
    text = (ROOT / "controller/verify/README.md").read_text()
    for name in DISAGREE:
        assert f"`{name.split(' ', 1)[1]}`" in text, name


def test_cosigns_own_signatures_are_accepted_whatever_cosign_says_of_them(registry, keys):
    for kind in KEY_TYPES:
        for form in ("legacy", "bundle"):
            if (kind, form) == ("ed25519", "bundle"):
                continue
            image = registry.image(f"{RUN}/own-{kind}-{form}").sign(keys(f"own-{kind}", kind), form)
            done = subprocess.run([binary(), "verify", image.ref, "--key", keys(f"own-{kind}", kind).public, "--plain-http-registry", registry.address],
                                  capture_output=True, timeout=60, text=True, env={**os.environ, **registry.env})
            assert done.returncode == 0, (kind, form, done.stderr)
            if kind in COSIGN_VERIFIES:
                assert image.cosign_accepts(keys(f"own-{kind}", kind)), (kind, form)
