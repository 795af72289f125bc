"""What no repetition mends is told once, in one line, with what a person can do about it; the values of a Secret are in none of it."""

import json

import pytest

from harness.manifests import config_map, text
from harness.tenant import obj


def test_bytes_that_are_no_base64_are_told_with_their_key_before_anything_is_sent(site):
    site.requests.mark()
    site.deploy({"app/secret.yaml": text(obj("v1", "Secret", "secret", data={"good": "QQ==", "bad": "CANARY*"}))}, wait=False)
    site.deploy({"app/map.yaml": text(obj("v1", "ConfigMap", "map", binaryData={"bad": "QQ"}), config_map("beside"))}, name="map", wait=False)
    told = site.wait_condition("Synced", "False", "app", reason="BadSecret", said="data.bad of Secret secret is not base64; put plain text under stringData")
    assert told["message"].startswith("app/secret.yaml:") and "CANARY" not in told["message"], told
    site.wait_condition("Synced", "False", "map", reason="BadConfigMap", said="binaryData.bad of ConfigMap map is not base64")
    site.nothing_sent(site.requests)


def test_base64_on_several_lines_is_applied_and_let_rest(site):
    """What `base64` writes of anything longer than a line, in a block: the API server stores it without the line ends."""
    site.deploy({"app/secret.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: secret}\ndata:\n  a: |\n    QUFB\n    QUE=\n  b: QR==\n  c:\n"})
    assert site.find("v1", "Secret", "secret")["data"] == {"a": "QUFBQUE=", "b": "QQ==", "c": ""}
    site.requests.mark()
    site.nothing_sent(site.requests, seconds=5)


def test_a_value_that_the_api_server_cannot_decode_is_an_error_of_the_input(site):
    wrong = obj("v1", "PersistentVolumeClaim", "claim", spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gx"}}})
    site.deploy({"app/claim.yaml": text(wrong)}, wait=False)
    site.wait_condition("Synced", "False", "app", reason="Invalid", said="quantities must match")


def test_what_the_api_server_says_in_several_lines_is_told_in_one(site):
    numbers = config_map("numbers")
    numbers["metadata"]["labels"] = {"v": 1.1, "b": True}
    site.deploy({"app/map.yaml": text(numbers)}, wait=False)
    for kind in ("Synced", "Ready"):
        told = site.wait_condition(kind, "False", "app", reason="Invalid", said=".metadata.labels.b: expected string")["message"]
        assert "\n" not in told and "errors: .metadata.labels." in told, told


def test_a_kind_that_nobody_can_read_is_told_so_and_no_right_is_advised(site):
    site.deploy({"app/binding.yaml": text(obj("v1", "Binding", "binding", target={"kind": "Node", "name": "n"}))}, wait=False)
    told = site.wait_condition("Synced", "False", "app", said="cannot be kept as Git says: take it out of Git")["message"]
    assert "app/binding.yaml:1" in told and "ClusterRole" not in told, told


ANEW = "delete the object, and it is made anew, or give it another name in Git"
HEADLESS = "a Service that was made without an address (clusterIP: None) cannot get one: " + ANEW


def claim(storage_class):
    return obj("v1", "PersistentVolumeClaim", "it", spec={"accessModes": ["ReadWriteOnce"], "storageClassName": storage_class,
                                                          "resources": {"requests": {"storage": "1Gi"}}})


def service(**spec):
    return obj("v1", "Service", "it", spec={"ports": [{"port": 80}], **spec})


# what is changed → the object before and after, and what must be said of it
FIXED = {
    "type of a Secret": (obj("v1", "Secret", "it", type="a/b", stringData={"a": "CANARY"}), obj("v1", "Secret", "it", type="c/d", stringData={"a": "CANARY"}),
                         ["refused the Secret for type: field is immutable (HTTP 422)", ANEW]),
    "an immutable Secret": (obj("v1", "Secret", "it", immutable=True, stringData={"a": "CANARY1"}), obj("v1", "Secret", "it", immutable=True, stringData={"a": "CANARY2"}),
                            ["for data: field is immutable when `immutable` is set", ANEW]),
    "class of a claim": (claim("a"), claim("b"), ["spec is immutable after creation except resources.requests", "(HTTP 422); take the change out of Git", "may delete its data"]),
    "address of a Service": (service(clusterIP="None"), service(clusterIP="10.0.0.177"), [HEADLESS]),
    "address of a Service of pods": (service(clusterIP="None", selector={"a": "b"}), service(clusterIP="10.0.0.178", selector={"a": "b"}), ["may not change once set", ANEW]),
    "type of a Service": (service(clusterIP="None", selector={"a": "b"}), service(type="NodePort", selector={"a": "b"}), [HEADLESS]),
}


@pytest.mark.parametrize("what", FIXED)
def test_what_may_not_be_changed_is_told_with_advice_and_in_one_line(site, what):
    before, after, said = FIXED[what]
    repo = site.deploy({"app/it.yaml": text(before)}, wait=False)
    site.wait_condition("Synced", "True", "app")
    repo.push("change it", {"app/it.yaml": text(after)})
    for kind in ("Synced", "Ready"):
        told = site.wait_condition(kind, "False", "app", reason="Invalid")["message"]
        assert all(part in told for part in said), told
        assert "\n" not in told and "@@" not in told and "CANARY" not in told, told
    assert "CANARY" not in json.dumps(site.app("app")["status"])
