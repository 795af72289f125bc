"""The application of the scenarios: four objects of about 2 kB together, as the Flux benchmark has them."""

KINDS = [("v1", "ServiceAccount"), ("v1", "Service"), ("apps/v1", "Deployment"), ("networking.k8s.io/v1", "Ingress")]

# From this application on Services have no address: with ten thousand of them kube-apiserver takes 100 ms and more to allocate one, so that 25,000
# applications would take hours to fill in. S1 and S2, where writes are measured, stay below.
ADDRESSES_MOST = 4000


def objects_of(number, image, revision):
    """Dictionaries, in the order in which they are written; `image` is what the Deployment names."""
    name = f"app-{number:05d}"
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "bench", "app.kubernetes.io/version": f"r{revision}"}
    meta = {"name": name, "labels": labels}
    select = {"app": name}
    container = {
        "name": "podinfod", "image": image, "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "http", "containerPort": 9898, "protocol": "TCP"}, {"name": "metrics", "containerPort": 9797, "protocol": "TCP"}],
        "command": ["./podinfo", "--port=9898", "--port-metrics=9797", "--grpc-port=9999", "--level=info"],
        "env": [{"name": "PODINFO_UI_COLOR", "value": "#34577c"}, {"name": "REVISION", "value": f"r{revision}"}],
        "livenessProbe": {"exec": {"command": ["podcli", "check", "http", "localhost:9898/healthz"]}, "initialDelaySeconds": 5,
                          "timeoutSeconds": 5},
        "readinessProbe": {"exec": {"command": ["podcli", "check", "http", "localhost:9898/readyz"]}, "initialDelaySeconds": 5,
                           "timeoutSeconds": 5},
        "resources": {"limits": {"cpu": "2", "memory": "512Mi"}, "requests": {"cpu": "100m", "memory": "64Mi"}},
    }
    template = {"metadata": {"labels": select, "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "9797"}},
                "spec": {"serviceAccountName": name, "containers": [container]}}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        {"apiVersion": "v1", "kind": "Service", "metadata": meta,
         "spec": {"type": "ClusterIP", **({"clusterIP": "None"} if number >= ADDRESSES_MOST else {}), "selector": select, "ports": [{"name": "http", "port": 9898, "protocol": "TCP", "targetPort": "http"}]}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta,
         "spec": {"replicas": 0, "minReadySeconds": 3, "revisionHistoryLimit": 5, "progressDeadlineSeconds": 60,
                  "strategy": {"rollingUpdate": {"maxUnavailable": 0}, "type": "RollingUpdate"},
                  "selector": {"matchLabels": select}, "template": template}},
        {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": meta,
         "spec": {"rules": [{"host": f"{name}.example.org", "http": {"paths": [
             {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": name, "port": {"number": 9898}}}}]}}]}},
    ]


def files_of(number, image, revision):
    """Name → YAML text: one object a file."""
    return {f"{o['kind'].lower()}.yaml": _yaml(o) for o in objects_of(number, image, revision)}


def _scalar(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    plain = value.replace("-", "").replace("/", "").replace(".", "").isalnum() and not value[0].isdigit() and value not in ("true", "false")
    return value if plain else '"' + value + '"'


def _yaml(value, indent=0):
    """Block style, as people write it."""
    pad, out = " " * indent, []
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, (dict, list)):
                out.append(f"{pad}{key}:\n{_yaml(item, indent + (2 if isinstance(item, dict) else 0))}")
            else:
                out.append(f"{pad}{key}: {_scalar(item)}\n")
    else:
        for item in value:
            if isinstance(item, (dict, list)):
                text = _yaml(item, indent + 2)
                out.append(pad + "- " + text[indent + 2:])
            else:
                out.append(f"{pad}- {_scalar(item)}\n")
    return "".join(out)
