"""What no repetition mends is told once, in one line, with what a person can do about it; the values of a Secret are in none of it."""

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
    claim = obj("v1", "PersistentVolumeClaim", "claim", spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gx"}}})
    site.deploy({"app/claim.yaml": text(claim)}, wait=False)
    site.wait_condition("Synced", "False", "app", reason="Invalid", said="quantities must match")
