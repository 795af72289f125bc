"""Images in a registry and cosign's signatures of them, made by the real crane and the real cosign."""

import io
import json
import os
import pathlib
import tarfile

from .stack import run

# How openssl makes a private key of each type that the contract names.
KEY_TYPES = {
    "p256": ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "p384": ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "p521": ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
    "rsa2048": ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "rsa3072": ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"],
    "rsa4096": ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096"],
    "ed25519": ["genpkey", "-algorithm", "ED25519"],
}
# What cosign 3.1.3 can verify of what it signs itself; the others it signs and then refuses.
COSIGN_VERIFIES = ("p256", "rsa2048", "rsa3072", "rsa4096")
FORMATS = ("legacy", "bundle")


class Key:
    """A signing key: `private` for cosign, `public` its PEM file, `pem` that file's text."""

    def __init__(self, cosign, folder, name, kind="p256"):
        self.name, self.kind = name, kind
        base = pathlib.Path(folder) / name
        plain = base.with_suffix(".pem")
        run("openssl", *KEY_TYPES[kind], "-out", plain)
        run(cosign, "import-key-pair", "--key", plain, "--output-key-prefix", base, "--yes", env={"COSIGN_PASSWORD": ""})
        plain.unlink()
        self.private, self.public = f"{base}.key", f"{base}.pub"
        self.pem = pathlib.Path(self.public).read_text()


class Registry:
    """One door of a registry. Credentials and authority lie in a folder of its own, so that doors do not share them."""

    def __init__(self, stack, address, folder, user=None, password=None, ca=None, made_through=None):
        self.stack, self.address, self.user, self.password, self.ca = stack, address, user, password, ca
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        # Images are pushed through another door to the same store where this one only matters for reading.
        self.made_through = made_through or self
        self.env = {"DOCKER_CONFIG": str(self.folder), "COSIGN_PASSWORD": "", "HOME": str(self.folder)}
        if ca:
            self.env["SSL_CERT_FILE"] = ca
        if user:
            (self.folder / "config.json").write_text(json.dumps(self.docker_config()))

    def docker_config(self):
        """What a Secret of type kubernetes.io/dockerconfigjson holds for this door."""
        return {"auths": {self.address: {"username": self.user, "password": self.password}}}

    def crane(self, *arguments, check=True):
        return run(self.stack.crane, *arguments, env=self.env, check=check).stdout.strip()

    def image(self, name, tag="1", content=None):
        """Pushes an image of one tiny layer and returns it. The same name, tag and content give the same digest."""
        path = self.folder / "layer.tar"
        with tarfile.open(path, "w") as tar:
            data = (content or f"{name}:{tag}").encode()
            entry = tarfile.TarInfo("content")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        made = self.made_through
        pushed = made.crane("append", "--new_layer", path, "--new_tag", f"{made.address}/{name}:{tag}")
        return Image(self, name, tag, pushed.rsplit("@", 1)[1])

    def digest(self, name, tag):
        return self.crane("digest", f"{self.address}/{name}:{tag}")


class Image:
    def __init__(self, registry, name, tag, digest):
        self.registry, self.name, self.tag, self.digest = registry, name, tag, digest

    @property
    def ref(self):
        """By tag, as a manifest in Git names it."""
        return f"{self.registry.address}/{self.name}:{self.tag}"

    @property
    def pinned(self):
        """By digest, as the cluster must have it (the tag may stand before the digest)."""
        return f"{self.registry.address}/{self.name}@{self.digest}"

    def sign(self, key, form="bundle", annotations=()):
        """Signs with cosign, in the legacy format or as a v0.3 bundle; no transparency log. Returns the image."""
        made = self.registry.made_through
        old = ["--new-bundle-format=false"] if form == "legacy" else []
        more = [x for a in annotations for x in ("-a", a)]
        run(made.stack.cosign, "sign", "--key", key.private, "--yes", "--tlog-upload=false", "--use-signing-config=false", *old, *more,
            f"{made.address}/{self.name}@{self.digest}", env=made.env)
        return self

    def retag(self, tag):
        """Moves (or makes) a tag, so that it names this image."""
        made = self.registry.made_through
        made.crane("tag", f"{made.address}/{self.name}@{self.digest}", tag)
        return Image(self.registry, self.name, tag, self.digest)

    def cosign_accepts(self, key):
        """Does the real `cosign verify --key` accept the image by its digest?"""
        made = self.registry.made_through
        done = run(made.stack.cosign, "verify", "--key", key.public, "--insecure-ignore-tlog", f"{made.address}/{self.name}@{self.digest}",
                   env=made.env, check=False)
        return done.returncode == 0


def names_digest(reference, digest):
    """Is the reference pinned to that digest?"""
    return reference.endswith("@" + digest)


def is_pinned(reference):
    return "@sha256:" in reference and len(reference.rsplit("@sha256:", 1)[1]) == 64


def open_registry(stack, folder):
    return Registry(stack, stack.registry, os.path.join(folder, "open"))
