"""Signatures written by hand, right and wrong, in both formats: signed by openssl, pushed as a registry's plain documents."""

import base64
import copy
import hashlib
import http.client
import json
import pathlib
import urllib.parse

from .images import KEY_TYPES
from .stack import run

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
LAYER = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE = "dev.cosignproject.cosign/signature"
SIGN = "https://sigstore.dev/cosign/sign/v1"
# The hash that each type of key signs with; ed25519 signs the message itself.
HASHES = {"p256": "sha256", "p384": "sha384", "p521": "sha512", "rsa2048": "sha256", "rsa3072": "sha256", "rsa4096": "sha256", "ed25519": None}


class Signer:
    """A private key of openssl's, which signs any bytes: what cosign does with a key, without cosign."""

    def __init__(self, folder, name, kind):
        self.kind, self.private, self.public = kind, pathlib.Path(folder) / f"{name}.pem", pathlib.Path(folder) / f"{name}.pub"
        run("openssl", *KEY_TYPES[kind], "-out", self.private)
        run("openssl", "pkey", "-in", self.private, "-pubout", "-out", self.public)

    def sign(self, message, digest=None, pss=False):
        data, signature = self.private.with_suffix(".data"), self.private.with_suffix(".sig")
        data.write_bytes(message)
        digest = digest or HASHES[self.kind]
        if not digest:
            run("openssl", "pkeyutl", "-sign", "-rawin", "-inkey", self.private, "-in", data, "-out", signature)
        else:
            padding = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"] if pss else []
            run("openssl", "dgst", f"-{digest}", "-sign", self.private, *padding, "-out", signature, data)
        return signature.read_bytes()


def b64(data):
    return base64.b64encode(data).decode()


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def compact(document):
    return json.dumps(document, separators=(",", ":")).encode()


class Store:
    """Plain PUTs to a registry without authentication."""

    def __init__(self, address):
        self.address = address

    def request(self, method, path, body=b"", **headers):
        connection = http.client.HTTPConnection(self.address, timeout=10)
        connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
        response = connection.getresponse()
        body = response.read()
        connection.close()
        assert response.status < 300, f"{method} {path}: {response.status} {body[:300]}"
        return response

    def blob(self, name, data):
        place = urllib.parse.urlsplit(self.request("POST", f"/v2/{name}/blobs/uploads/").getheader("Location"))
        query = f"{place.query}&" if place.query else ""
        self.request("PUT", f"{place.path}?{query}digest={sha256(data)}", data, Content_Type="application/octet-stream")
        return {"digest": sha256(data), "size": len(data)}

    def manifest(self, name, document, tag=None):
        """Returns the digest."""
        data = document if isinstance(document, bytes) else compact(document)
        self.request("PUT", f"/v2/{name}/manifests/{tag or sha256(data)}", data, Content_Type=MANIFEST)
        return sha256(data)

    def image(self, name):
        """An image that is nothing but its name; returns its digest."""
        config = {"mediaType": "application/vnd.oci.image.config.v1+json", **self.blob(name, b"{}")}
        return self.manifest(name, {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [], "annotations": {"name": name}}, "1")

    def legacy(self, name, digest, *layers):
        """The image tagged .sig; a layer is (payload, base64 signature or None, media type)."""
        described = []
        for payload, signature, media_type in layers:
            annotations = {} if signature is None else {SIGNATURE: signature}
            described.append({"mediaType": media_type, **self.blob(name, payload), "annotations": annotations})
        config = {"mediaType": "application/vnd.oci.image.config.v1+json", **self.blob(name, b"{}")}
        self.manifest(name, {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": described}, digest.replace(":", "-") + ".sig")

    def bundle(self, name, digest, text, media_type=BUNDLE):
        """A referrer of the image whose one layer is the bundle."""
        config = {"mediaType": "application/vnd.oci.empty.v1+json", **self.blob(name, b"{}")}
        length = int(self.request("HEAD", f"/v2/{name}/manifests/{digest}", Accept=MANIFEST).getheader("Content-Length"))
        self.manifest(name, {
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": media_type, "config": config,
            "layers": [{"mediaType": media_type, **self.blob(name, text)}],
            "subject": {"mediaType": MANIFEST, "digest": digest, "size": length},
            "annotations": {"org.opencontainers.image.created": "2026-01-01T00:00:00Z", "dev.sigstore.bundle.content": "dsse-envelope",
                            "dev.sigstore.bundle.predicateType": SIGN}})


def payload(digest, **change):
    """A legacy payload as cosign writes it; `change` replaces members of critical or the whole."""
    document = {"critical": {"identity": {"docker-reference": "registry.example/shop"}, "image": {"docker-manifest-digest": digest},
                             "type": "cosign container image signature"}, "optional": None}
    document["critical"].update(change.pop("critical", {}))
    document.update(change)
    return compact(document)


def statement(digest, **change):
    return compact({"_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": digest.removeprefix("sha256:")}}],
                    "predicateType": SIGN, "predicate": {}, **change})


def envelope_bytes(payload_type, body):
    return b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type.encode(), len(body), body)


def bundle(signer, body, payload_type="application/vnd.in-toto+json", digest=None):
    """The bundle as a document to change: a dict."""
    signature = signer.sign(envelope_bytes(payload_type, body), digest)
    return {"mediaType": BUNDLE, "verificationMaterial": {"publicKey": {"hint": ""}},
            "dsseEnvelope": {"payload": b64(body), "payloadType": payload_type, "signatures": [{"sig": b64(signature)}]}}


def flipped(text, position=10):
    """Base64 text with one bit of the decoded bytes changed."""
    data = bytearray(base64.b64decode(text))
    data[position] ^= 1
    return b64(bytes(data))


def changed(document, path, value):
    """A copy with the member at a dotted path replaced (value None: removed)."""
    document = copy.deepcopy(document)
    *parents, last = path.split(".")
    place = document
    for parent in parents:
        place = place[int(parent) if isinstance(place, list) else parent]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return document
