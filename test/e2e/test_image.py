"""The image: the same twice, nothing in it but what the program needs, signed so that cosign and Countersign itself accept it."""

import base64
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import time

import pytest

from harness.controller import cli
from harness.stack import ROOT, run

USER = 65532


def make(out, *more, env=None):
    return run(ROOT / "hack/image", out, *more, seconds=900, env={"SOURCE_DATE_EPOCH": "1700000000", **(env or {})})


class Layout:
    """An OCI layout on disk, every blob checked against its digest."""

    def __init__(self, folder):
        self.folder = folder
        (descriptor,) = json.loads((folder / "index.json").read_text())["manifests"]
        self.digest = descriptor["digest"]
        self.manifest = json.loads(self.blob(self.digest))
        self.config = json.loads(self.blob(self.manifest["config"]["digest"]))
        (layer,) = self.manifest["layers"]
        self.tar = tarfile.open(fileobj=io.BytesIO(self.blob(layer["digest"])), mode="r:gz")
        self.size = layer["size"]

    def blob(self, digest):
        data = (self.folder / "blobs" / digest.replace(":", "/")).read_bytes()
        assert "sha256:" + hashlib.sha256(data).hexdigest() == digest
        return data

    def names(self):
        return {m.name for m in self.tar}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    make(folder / "one")
    return Layout(folder / "one")


def test_image_is_the_same_twice_from_its_sources(built, tmp_path):
    shutil.rmtree(ROOT / "build/image")
    make(tmp_path / "two")
    assert Layout(tmp_path / "two").digest == built.digest
    for kind in ("spdx", "cdx"):
        assert (tmp_path / f"two.{kind}.json").read_bytes() == built.folder.with_name(f"one.{kind}.json").read_bytes()
    make(tmp_path / "three", env={"SOURCE_DATE_EPOCH": "1700000001"})
    assert Layout(tmp_path / "three").digest != built.digest


def test_image_holds_the_program_and_its_libraries_and_no_shell(built):
    names = built.names()
    programs = {n for n in names if re.match(r"usr/s?bin/", n)}
    assert programs == {"usr/bin/countersign"}, programs
    files = {m.name for m in built.tar if m.isfile()}
    assert not [n for n in files if re.search(r"(^|/)(ba|da|)sh$|(^|/)(dpkg|apt|perl|python|busybox)", n.removeprefix("var/lib/dpkg/"))]
    for member in built.tar:
        assert member.uid == (USER if member.name == "var/lib/countersign" else 0) and not member.mode & 0o6000, member.name
        assert member.mtime == 1700000000 and (not member.mode & 0o022 or member.name == "tmp"), member.name
    config = built.config["config"]
    assert config["User"] == f"{USER}:{USER}" and config["Entrypoint"] == ["/usr/bin/countersign"]
    labels = config["Labels"]
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0" and labels["org.opencontainers.image.version"]
    assert re.fullmatch("[0-9a-f]{40}", labels["org.opencontainers.image.revision"])
    assert built.config["created"] == "2023-11-14T22:13:20Z"
    assert b'VERSION_ID="13"' in built.tar.extractfile("usr/lib/os-release").read()


def test_documents_name_every_package_that_has_a_library_in_it(built):
    spdx, cdx = (json.loads(built.folder.with_name(f"one.{k}.json").read_text()) for k in ("spdx", "cdx"))
    names = {p["name"] for p in spdx["packages"]} - {"countersign"}
    assert {"libc6", "libcurl4t64", "libgit2-1.9", "libuv1t64", "libllhttp9.2", "libssl3t64", "ca-certificates"} <= names
    assert names == {c["name"] for c in cdx["components"]} == {n.rsplit("/", 1)[1] for n in built.names() if n.startswith("var/lib/dpkg/status.d/")}
    assert spdx["spdxVersion"] == "SPDX-2.3" and cdx["specVersion"] == "1.6"
    for package in spdx["packages"]:
        if package["name"] == "countersign":
            continue
        assert re.fullmatch("[0-9a-f]{64}", package["checksums"][0]["checksumValue"])
        assert package["externalRefs"][0]["referenceLocator"].startswith(f"pkg:deb/debian/{package['name']}@")
    # each has its licence with it
    for name in names:
        assert f"usr/share/doc/{name}/copyright" in built.names() or name.startswith("lib"), name


def test_program_runs_in_it_as_an_ordinary_user(built, tmp_path):
    root = tmp_path / "root"
    built.tar.extractall(root)
    os.chmod(tmp_path, 0o755)

    def inside():
        os.chroot(root)
        os.chdir("/")
        os.setgroups([])
        os.setgid(USER)
        os.setuid(USER)

    for words, said in ((["version"], "countersign "), (["--help"], "applies nothing unsigned"), (["install", "--export"], "kind: StatefulSet")):
        done = subprocess.run(["/usr/bin/countersign", *words], preexec_fn=inside, capture_output=True, text=True, timeout=30, env={})
        assert done.returncode == 0 and said in done.stdout, done.stderr


def test_pushed_image_is_signed_and_so_is_what_is_in_it(built, stack, registry, keys, tmp_path):
    key, other = keys("image"), keys("other")
    reference = f"{registry.address}/own/countersign:{int(time.time())}"
    # the layout is made again on the way; its time is part of it
    done = make(tmp_path / "pushed", "--push", reference, "--key", key.private, env={k: registry.env[k] for k in ("DOCKER_CONFIG", "COSIGN_PASSWORD")})
    pinned = f"{reference.rsplit(':', 1)[0]}@{built.digest}"
    assert f"pushed {pinned}" in done.stdout, done.stdout

    def cosign(verb, *more, by=key):
        return run(stack.cosign, verb, "--key", by.public, "--insecure-ignore-tlog", *more, pinned, env=registry.env, check=False)

    assert cosign("verify").returncode == 0 and cosign("verify", by=other).returncode != 0
    for kind, word in (("spdxjson", "SPDXRef-deb-libc6"), ("cyclonedx", "CycloneDX")):
        done = cosign("verify-attestation", "--type", kind)
        assert done.returncode == 0, done.stderr
        statement = json.loads(base64.b64decode(json.loads(done.stdout.splitlines()[0])["payload"]))
        assert word in json.dumps(statement["predicate"]) and statement["subject"][0]["digest"]["sha256"] == built.digest[7:]
    own = ("verify", pinned, "--plain-http-registry", registry.address, "--key")
    assert cli(*own, key.public).returncode == 0 and cli(*own, other.public).returncode == 12
