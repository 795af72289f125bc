"""The local stack (hack/stack): one for a whole run, with handles for outages."""

import contextlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile

from harness.wait import until

ROOT = pathlib.Path(__file__).resolve().parents[3]


def run(*command, env=None, cwd=None, text=None, seconds=60, check=True):
    """Runs a program and returns the finished process; a failure raises with all that the program said."""
    done = subprocess.run([str(c) for c in command], cwd=cwd, input=text, timeout=seconds, text=True, capture_output=True,
                          env=None if env is None else {**os.environ, **env})
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(str(c) for c in command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def accepts(port):
    """Whether something takes connections on this port of the loopback."""
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class Stack:
    """A running stack. Its addresses are attributes named as in DIR/env, in lower case: stack.registry, stack.git_url, …"""

    def __init__(self, folder, owned):
        self.folder = pathlib.Path(folder)
        self.owned = owned
        self.env = {}
        for line in (self.folder / "env").read_text().splitlines():
            self.env.update(re.findall(r"(\w+)='([^']*)'", line))

    def __getattr__(self, name):
        try:
            return self.__dict__["env"][name.upper()]
        except KeyError:
            raise AttributeError(f"the stack's env has no {name.upper()}") from None

    @classmethod
    def start(cls):
        """Uses the running stack that COUNTERSIGN_STACK names, or starts one in a new folder."""
        given = os.environ.get("COUNTERSIGN_STACK")
        if given:
            return cls(given, owned=False)
        folder = tempfile.mkdtemp(prefix="countersign-stack-")
        run(ROOT / "hack/stack/up", folder, seconds=1800)
        return cls(folder, owned=True)

    def stop(self):
        """Stops what `start` started; a stack that was running before stays."""
        if self.owned:
            run(ROOT / "hack/stack/down", self.folder)
            shutil.rmtree(self.folder, ignore_errors=True)

    def part(self, verb, *names):
        run(ROOT / "hack/stack/part", self.folder, verb, *names)

    @contextlib.contextmanager
    def outage(self, *names):
        """The named parts are down inside the block: connections to them are refused. After it they answer again."""
        self.part("stop", *names)
        try:
            yield
        finally:
            self.part("start", *names)
            for name in names:
                for port in set(re.findall(r"127\.0\.0\.1:(\d+)", (self.folder / f"{name}.cmd").read_text())):
                    until(f"{name} to answer on port {port}", lambda: accepts(int(port)), seconds=10)

    @contextlib.contextmanager
    def registry_fault(self, *rules):
        """Inside the block the registry answers as the rules say: "STATUS PATTERN", PATTERN over "METHOD PATH"."""
        fault = pathlib.Path(self.env["REGISTRY_FAULT"])
        fault.write_text("\n".join(rules) + "\n")
        try:
            yield
        finally:
            fault.unlink()

    def registry_requests(self, pattern=""):
        """Lines of the registry's access log that match: time, door, method, path, status, client."""
        return _matching(self.registry_access_log, pattern)

    def git_requests(self, pattern=""):
        """Lines of the Git server's access log that match: time, method, path, status, client, duration."""
        return _matching(self.git_access_log, pattern)


def _matching(file, pattern):
    try:
        lines = pathlib.Path(file).read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return [line for line in lines if re.search(pattern, line)]
