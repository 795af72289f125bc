"""Small manifests for repositories, as text. JSON is YAML: where a test does not care about form, a dictionary is written as JSON."""

import json


def text(*objects):
    """Objects as one YAML stream."""
    return "---\n".join(json.dumps(o, indent=1, ensure_ascii=False) + "\n" for o in objects)


def config_map(name, namespace=None, **data):
    return _obj("v1", "ConfigMap", name, namespace, data=data or {"key": "value"})


def deployment(name, image, namespace=None, init=None, replicas=1, **pod):
    labels = {"app": name}
    spec = {"containers": [{"name": "main", "image": image}], **({"initContainers": [{"name": "init", "image": init}]} if init else {}), **pod}
    return _obj("apps/v1", "Deployment", name, namespace,
                spec={"replicas": replicas, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}})


def wave(obj, number):
    """The object, in that sync wave."""
    obj["metadata"].setdefault("annotations", {})["argocd.argoproj.io/sync-wave"] = str(number)
    return obj


def _obj(api_version, kind, name, namespace, **fields):
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": meta, **fields}
