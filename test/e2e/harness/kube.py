"""The API server over plain HTTP: objects are dictionaries, an error is an ApiError with the server's own words."""

import http.client
import json
import ssl
import threading
import urllib.parse

from . import stack as stack_module

GROUP = "countersign.dev"


class ApiError(AssertionError):
    def __init__(self, method, path, status, body):
        self.status = status
        self.reason = body.get("reason", "") if isinstance(body, dict) else ""
        message = body.get("message", body) if isinstance(body, dict) else body
        super().__init__(f"{method} {path}: {status} {message}")


class Kube:
    """One account at one API server. Safe for several threads: each has a connection of its own."""

    def __init__(self, server, ca, token, kubectl=None, kubeconfig=None):
        self.server, self.ca, self.token, self.kubectl_path, self.kubeconfig = server, ca, token, kubectl, kubeconfig
        self._local = threading.local()
        self._resources = {}

    @classmethod
    def admin(cls, stack):
        token = (stack.folder / "tokens.csv").read_text().split(",")[0]
        return cls(stack.api_server, stack.api_ca, token, stack.kubectl, stack.kubeconfig)

    def account(self, namespace, name, seconds=86400):
        """A handle that acts as that service account, with a fresh token of it."""
        return Kube(self.server, self.ca, self.token_of(namespace, name, seconds), self.kubectl_path)

    def token_of(self, namespace, name, seconds=86400):
        answer = self.request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token",
                              {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": seconds}})
        return answer["status"]["token"]

    def request(self, method, path, body=None, content_type="application/json", headers=None):
        """One request; returns the decoded answer, or raises ApiError. A connection that the server closed is opened again once."""
        send = {"Authorization": f"Bearer {self.token}", "Accept": "application/json", **(headers or {})}
        data = None
        if body is not None:
            data = body if isinstance(body, (bytes, str)) else json.dumps(body)
            send["Content-Type"] = content_type
        for attempt in (1, 2):
            try:
                connection = self._connection()
                connection.request(method, path, data, send)
                answer = connection.getresponse()
                raw = answer.read()
                break
            except (http.client.HTTPException, ConnectionError, ssl.SSLError):
                self._local.connection = None
                if attempt == 2:
                    raise
        try:
            decoded = json.loads(raw)
        except ValueError:
            decoded = raw.decode(errors="replace")
        if answer.status >= 400:
            raise ApiError(method, path, answer.status, decoded)
        return decoded

    def _connection(self):
        if getattr(self._local, "connection", None) is None:
            url = urllib.parse.urlsplit(self.server)
            context = ssl.create_default_context(cafile=self.ca)
            self._local.connection = http.client.HTTPSConnection(url.hostname, url.port, timeout=30, context=context)
        return self._local.connection

    # --- kinds and paths ---

    def resource(self, api_version, kind):
        """(path prefix, plural, namespaced) of a kind; discovery is asked again for a kind that is not known yet."""
        known = self._resources.get(api_version)
        if known is None or kind not in known:
            prefix = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
            listed = self.request("GET", prefix)["resources"]
            known = {r["kind"]: (prefix, r["name"], r["namespaced"]) for r in listed if "/" not in r["name"]}
            self._resources[api_version] = known
        if kind not in known:
            raise LookupError(f"the API server knows no {kind} in {api_version}")
        return known[kind]

    def path(self, api_version, kind, namespace=None, name=None):
        prefix, plural, namespaced = self.resource(api_version, kind)
        where = f"/namespaces/{namespace}" if namespaced and namespace else ""
        return f"{prefix}{where}/{plural}" + (f"/{name}" if name else "")

    def path_of(self, obj):
        meta = obj["metadata"]
        return self.path(obj["apiVersion"], obj["kind"], meta.get("namespace"), meta["name"])

    # --- verbs ---

    def get(self, api_version, kind, namespace, name):
        return self.request("GET", self.path(api_version, kind, namespace, name))

    def find(self, api_version, kind, namespace, name):
        """The object, or None where there is none (nor its kind)."""
        try:
            return self.get(api_version, kind, namespace, name)
        except LookupError:
            return None
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def list(self, api_version, kind, namespace=None, selector=None):
        query = f"?labelSelector={urllib.parse.quote(selector)}" if selector else ""
        items = self.request("GET", self.path(api_version, kind, namespace) + query)["items"]
        return [{"apiVersion": api_version, "kind": kind, **item} for item in items]  # the items of a list do not say their kind

    def create(self, obj):
        meta = obj["metadata"]
        return self.request("POST", self.path(obj["apiVersion"], obj["kind"], meta.get("namespace")), obj)

    def apply(self, *objects, manager="kubectl", force=True):
        """Server-side apply of each; returns the last answer."""
        answer = None
        for obj in objects:
            query = f"?fieldManager={manager}&force={'true' if force else 'false'}"
            answer = self.request("PATCH", self.path_of(obj) + query, obj, "application/apply-patch+yaml")
        return answer

    def patch(self, api_version, kind, namespace, name, patch, manager="kubectl-patch", subresource=""):
        """A merge patch (a dictionary) or a JSON patch (a list)."""
        content_type = "application/json-patch+json" if isinstance(patch, list) else "application/merge-patch+json"
        path = self.path(api_version, kind, namespace, name) + (f"/{subresource}" if subresource else "")
        return self.request("PATCH", f"{path}?fieldManager={manager}", patch, content_type)

    def delete(self, api_version, kind, namespace, name, missing_ok=False):
        try:
            return self.request("DELETE", self.path(api_version, kind, namespace, name) + "?propagationPolicy=Background")
        except ApiError as error:
            if error.status == 404 and missing_ok:
                return None
            raise

    def kubectl(self, *arguments, text=None, check=True):
        """The real kubectl, for what a person would type."""
        return stack_module.run(self.kubectl_path, *arguments, env={"KUBECONFIG": self.kubeconfig}, text=text, check=check)

    # --- short forms for our own kinds ---

    def application(self, namespace, name):
        return self.get(f"{GROUP}/v1alpha1", "Application", namespace, name)

    def find_application(self, namespace, name):
        return self.find(f"{GROUP}/v1alpha1", "Application", namespace, name)

    def patch_application(self, namespace, name, patch):
        return self.patch(f"{GROUP}/v1alpha1", "Application", namespace, name, patch)


def condition(obj, kind):
    """The condition of that type as a dictionary; raises LookupError while it is not there."""
    for entry in obj.get("status", {}).get("conditions", []):
        if entry["type"] == kind:
            return entry
    raise LookupError(f"{obj['kind']} {obj['metadata']['name']} has no condition {kind} yet")


def conditions(obj):
    """Type → "Status/Reason" of all conditions: what a person looks at first."""
    return {c["type"]: f"{c['status']}/{c['reason']}" for c in obj.get("status", {}).get("conditions", [])}


def ref(obj):
    """Kind/namespace/name: how an object is called in messages and comparisons."""
    meta = obj["metadata"]
    return f"{obj['kind']}/{meta.get('namespace', '')}/{meta['name']}"


def pod_spec(obj):
    """The pod spec of a workload of any kind."""
    spec = obj["spec"]
    if obj["kind"] == "Pod":
        return spec
    if obj["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return spec["template"]["spec"]


def images(obj):
    """All images of a workload, in the order containers, init containers, ephemeral containers, image volumes."""
    spec = pod_spec(obj)
    out = [c["image"] for key in ("containers", "initContainers", "ephemeralContainers") for c in spec.get(key) or []]
    return out + [v["image"]["reference"] for v in spec.get("volumes") or [] if "image" in v]
