"""Evidence is had from registries of every sort; what cannot be had is an error of its own, never "unsigned"."""

import base64
import json

import pytest

from harness.images import FORMATS, KEY_TYPES, Registry
from harness.kube import condition
from harness.manifests import deployment, text
from harness.tenant import image_policy, obj
from harness.wait import stays, until


def docker_secret(name, namespace, config):
    secret = obj("v1", "Secret", name, namespace, type="kubernetes.io/dockerconfigjson",
                 data={".dockerconfigjson": base64.b64encode(json.dumps(config).encode()).decode()})
    return secret


def doors(stack, registry, folder):
    """The doors to the open registry's store that want credentials."""
    return {
        "bearer": Registry(stack, stack.registry_bearer, folder / "bearer", "bob", "secret", made_through=registry),
        "basic over TLS": Registry(stack, stack.registry_tls, folder / "basic", "bob", "secret", stack.registry_ca, made_through=registry),
    }


def with_door(new_site, stack, registry, tmp_path, name):
    """A site whose policy covers the door, and which trusts the door's authority if it has one."""
    door = doors(stack, registry, tmp_path)[name]
    site = new_site().install()
    site.kube.apply(image_policy(site.system, "door", [f"{door.address}/{site.name}/**"], [site.key]))
    if door.ca:
        with open(door.ca) as ca:
            site.kube.apply(obj("v1", "ConfigMap", "countersign-tls-certs", site.system, data={"localhost": ca.read()}))
    else:
        site.controller.plain_http.append(door.address)
    site.controller.start()
    return site, door


@pytest.mark.parametrize("name", ["bearer", "basic over TLS"])
def test_image_behind_credentials_is_verified_with_the_pods_pull_secret(new_site, stack, registry, tmp_path, name):
    site, door = with_door(new_site, stack, registry, tmp_path, name)
    site.kube.apply(docker_secret("pull", site.namespace, door.docker_config()))
    image = site.image("web", registry=door)
    site.deploy({"app/web.yaml": text(deployment("web", image.ref, imagePullSecrets=[{"name": "pull"}]))})
    site.wait_running(image)


@pytest.mark.parametrize("field", ["serviceAccountName", "serviceAccount"], ids=["by its name", "by its older name"])
def test_pull_secret_of_the_service_account_counts(new_site, stack, registry, tmp_path, field):
    site, door = with_door(new_site, stack, registry, tmp_path, "bearer")
    site.kube.apply(docker_secret("pull", site.namespace, door.docker_config()))
    site.kube.apply(obj("v1", "ServiceAccount", "runner", site.namespace, imagePullSecrets=[{"name": "pull"}]))
    image = site.image("web", registry=door)
    site.deploy({"app/web.yaml": text(deployment("web", image.ref, **{field: "runner"}))})
    site.wait_running(image)


def test_pull_secret_of_the_older_form_counts(new_site, stack, registry, tmp_path):
    site, door = with_door(new_site, stack, registry, tmp_path, "basic over TLS")
    content = base64.b64encode(json.dumps(door.docker_config()["auths"]).encode()).decode()
    site.kube.apply(obj("v1", "Secret", "pull", site.namespace, type="kubernetes.io/dockercfg", data={".dockercfg": content}))
    image = site.image("web", registry=door)
    site.deploy({"app/web.yaml": text(deployment("web", image.ref, imagePullSecrets=[{"name": "pull"}]))})
    site.wait_running(image)


@pytest.mark.parametrize("by", ["tag", "digest"])
@pytest.mark.parametrize("name", ["bearer", "basic over TLS"])
def test_one_pull_secret_after_the_other_is_tried(new_site, stack, registry, tmp_path, name, by):
    site, door = with_door(new_site, stack, registry, tmp_path, name)
    wrong = {"auths": {f"{door.address}/{site.name}": {"username": "eve", "password": "wrong"}}}
    site.kube.apply(docker_secret("first", site.namespace, wrong), docker_secret("second", site.namespace, door.docker_config()))
    image = site.image("web", registry=door)
    pod = {"imagePullSecrets": [{"name": "first"}, {"name": "missing"}, {"name": "second"}]}
    site.deploy({"app/web.yaml": text(deployment("web", image.ref if by == "tag" else image.pinned, **pod))})
    site.wait_running(image)


def test_adv_cve_2026_22039_service_account_that_is_a_path_reaches_no_other_namespace(new_site, stack, registry, tmp_path):
    site, door = with_door(new_site, stack, registry, tmp_path, "bearer")
    other = f"{site.namespace}-other"
    site.kube.apply(obj("v1", "Namespace", other), docker_secret("pull", site.namespace, door.docker_config()),
                    obj("v1", "ServiceAccount", "runner", other, imagePullSecrets=[{"name": "pull"}]))
    image = site.image("web", registry=door)
    site.deploy({"app/web.yaml": text(deployment("web", image.ref, serviceAccountName=f"../../{other}/serviceaccounts/runner"))}, wait=False)
    site.wait_condition("Verified", "Unknown", "app", said=image.ref)
    site.kube.delete("v1", "Namespace", None, other)


def test_missing_credentials_are_an_error_and_not_an_unsigned_image(new_site, stack, registry, tmp_path):
    site, door = with_door(new_site, stack, registry, tmp_path, "bearer")
    site.requests.mark()
    image = site.image("web", registry=door)
    site.deploy({"app/web.yaml": text(deployment("web", image.ref))}, wait=False)
    seen = site.wait_condition("Verified", "Unknown", "app", reason="FetchError")
    assert door.address in seen["message"] and "401" in seen["message"], seen["message"]
    site.nothing_sent(site.requests)


def test_registry_of_an_unknown_authority_is_not_trusted(new_site, stack, registry, tmp_path):
    site, door = with_door(new_site, stack, registry, tmp_path, "basic over TLS")
    with open(stack.api_ca) as wrong:
        site.kube.apply(obj("v1", "ConfigMap", "countersign-tls-certs", site.system, data={"localhost": wrong.read()}))
    site.kube.apply(docker_secret("pull", site.namespace, door.docker_config()))
    image = site.image("web", registry=door)
    site.deploy({"app/web.yaml": text(deployment("web", image.ref, imagePullSecrets=[{"name": "pull"}]))}, wait=False)
    seen = site.wait_condition("Verified", "Unknown", "app", reason="FetchError")
    assert "certificate" in seen["message"].lower(), seen["message"]


def test_plain_http_is_spoken_only_where_it_was_allowed(new_site):
    site = new_site()
    site.controller.plain_http.clear()
    site.install().controller.start()
    image = site.image("web")
    before = len(site.stack.registry_requests(f"/{site.name}/"))
    site.deploy({"app/web.yaml": text(deployment("web", image.ref))}, wait=False)
    site.wait_condition("Verified", "Unknown", "app", reason="FetchError")
    assert len(site.stack.registry_requests(f"/{site.name}/")) == before, "the registry was asked over plain http"


@pytest.mark.parametrize("form", FORMATS)
def test_registry_without_referrers_is_read_by_its_tags(new_site, stack, tmp_path, form):
    fallback = Registry(stack, stack.registry_fallback, tmp_path / "fallback")
    site = new_site().install()
    site.controller.plain_http.append(fallback.address)
    site.kube.apply(image_policy(site.system, "fallback", [f"{fallback.address}/{site.name}/**"], [site.key]))
    site.controller.start()
    good, unsigned = site.image("web", form=form, registry=fallback), site.image("web", "2", signed=False, registry=fallback)
    repo = site.deploy({"app/web.yaml": text(deployment("web", good.ref))})
    site.wait_running(good)
    repo.push("unsigned", repo.replace("app/web.yaml", "/web:1", "/web:2"))
    site.wait_condition("Verified", "False", "app", said=unsigned.digest)


@pytest.mark.parametrize("fault,part", [
    ("503", "manifests"), ("429", "manifests"), ("503", "referrers"), ("403", "referrers"), ("cut", "referrers"), ("500", "blobs"),
], ids=["manifest_503", "manifest_429", "referrers_503", "referrers_403", "referrers_cut", "blob_500"])
def test_gate_denies_while_the_registry_fails_and_recovers_with_it(shared_site, stack, fault, part):
    site, name = shared_site, f"web-{part}-{fault}"
    image = site.image(name)
    with stack.registry_fault(f"{fault} /{site.name}/{name}/{part}/"):
        site.deploy({"app/web.yaml": text(deployment(name, image.ref))}, name=name, wait=False)
        seen = site.wait_condition("Verified", "Unknown", name, reason="FetchError")
        assert site.registry.address in seen["message"], seen["message"]
        stays("nothing is applied", lambda: site.find("apps/v1", "Deployment", name), lambda found: found is None, seconds=1)
    site.settled(name, seconds=90)
    site.wait_running(image, name)


def test_image_that_does_not_exist_is_told_as_such(site):
    site.deploy({"app/web.yaml": text(deployment("web", f"{site.registry.address}/{site.name}/nothing:1"))}, wait=False)
    seen = site.wait_condition("Verified", "Unknown", "app", reason="ImageNotFound")
    assert f"{site.name}/nothing:1" in seen["message"]


def test_one_hanging_registry_does_not_hold_up_other_applications(site, stack):
    slow, good = site.image("slow"), site.image("web")
    with stack.registry_fault(f"hang /{site.name}/slow/"):
        site.deploy({"app/slow.yaml": text(deployment("slow", slow.ref))}, name="slow", wait=False)
        site.deploy({"app/web.yaml": text(deployment("web", good.ref))}, name="quick")
        site.wait_running(good)


def test_team_whose_images_all_hang_holds_up_no_other_team(new_site, stack):
    site = new_site().install()
    blue = site.new_team("blue", [site.namespace])
    good = site.image("web")
    slow = [{"name": f"c{i}", "image": f"{site.registry.address}/{site.name}/slow/{i}:1"} for i in range(150)]
    repo = site.repo({"app/slow.yaml": text(deployment("slow", good.ref, initContainers=slow))})
    site.controller.start()
    with stack.registry_fault(f"hang /{site.name}/slow/"):
        site.kube.apply(blue.application("slow", repo, "app"))
        until("its images to be asked for", lambda: len(site.controller.pids("fetch")), lambda count: count >= 4, seconds=10)
        site.deploy({"app/web.yaml": text(deployment("web", good.ref))}, name="quick", wait=False)
        site.wait_running(good)


def test_application_deleted_while_its_registry_hangs_does_no_harm(site, stack):
    slow, good = site.image("slow"), site.image("web")
    core = site.controller.pids("core")
    with stack.registry_fault(f"hang /{site.name}/slow/"):
        site.deploy({"app/slow.yaml": text(deployment("slow", slow.ref))}, name="slow", wait=False)
        until("its images to be asked for", lambda: site.controller.pids("fetch"), seconds=10)
        site.kube.delete("countersign.dev/v1alpha1", "Application", site.system, "slow")
        # longer than a registry may take: the answer comes when nobody wants it any more
        stays("the same core", lambda: site.controller.pids("core"), lambda pids: pids == core, seconds=28)
    site.deploy({"app/web.yaml": text(deployment("web", good.ref))}, name="quick")
    assert site.controller.pids("core") == core


# cosign 3.1.3 makes no bundle that an Ed25519 key verifies.
SIGNED = [(kind, form) for kind in KEY_TYPES for form in FORMATS if (kind, form) != ("ed25519", "bundle")]


@pytest.mark.parametrize("kind,form", SIGNED)
def test_signature_by_every_type_of_key_is_accepted(shared_site, keys, kind, form):
    site, name, key = shared_site, f"{kind}-{form}", keys(f"type-{kind}", kind)
    repository = f"typed/{site.name}/{name}"
    site.kube.apply(image_policy(site.system, name, [f"{site.registry.address}/{repository}"], [key]))
    image = site.registry.image(repository).sign(key, form)
    site.deploy({"app/web.yaml": text(deployment(name, image.ref))}, name=name)
    site.wait_running(image, name)


def test_good_legacy_signature_beside_a_strangers_bundle_counts(site, keys):
    image = site.image("web", signed=False).sign(site.key, "legacy").sign(keys("stranger"), "bundle")
    site.deploy({"app/web.yaml": text(deployment("web", image.ref))})
    site.wait_running(image)


def test_signature_by_a_stranger_alone_is_denied_naming_the_authority(site, keys):
    image = site.image("web", signed=False).sign(keys("stranger"), "bundle")
    site.deploy({"app/web.yaml": text(deployment("web", image.ref))}, wait=False)
    seen = site.wait_condition("Verified", "False", "app", said=image.digest)
    assert "release" in seen["message"], seen["message"]
    stays("denied", lambda: condition(site.app("app"), "Verified")["status"], lambda s: s == "False", seconds=1)
    assert site.find("apps/v1", "Deployment", "web") is None


def test_denied_image_is_tried_again_and_at_once_on_refresh(site):
    image = site.image("web", signed=False)
    site.deploy({"app/web.yaml": text(deployment("web", image.ref))}, wait=False)
    site.wait_condition("Verified", "False", "app", said=image.digest)
    image.sign(site.key)
    site.kube.patch_application(site.system, "app", {"metadata": {"annotations": {"countersign.dev/refresh": "normal"}}})
    until("the refresh to take effect well before the next check", lambda: site.find("apps/v1", "Deployment", "web"), seconds=3)
