"""Starting a real node and ending it, whatever happens in between."""

import os
import pathlib
import shutil
import subprocess
import tempfile

from harness.stack import ROOT, run

NODE = ROOT / "hack/stack/node"


class Node:
    """A node in a new folder. It ends with the block, and with this process, however that ends: it holds one end of a pipe."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="csnode-"))
        self.pid, self.cgroups, self.data = None, [], None

    def __enter__(self):
        leash, self.end = os.pipe()
        try:
            # its parts are children of a process that lives on: they must not hold the pipes of this call open
            with (self.folder / "up.log").open("w") as output:
                done = subprocess.run([NODE / "up", self.folder], stdout=output, stderr=output, stdin=subprocess.DEVNULL, timeout=1800,
                                      pass_fds=[leash], env={**os.environ, "NODE_LEASH": str(leash)})
        finally:
            os.close(leash)
        if done.returncode:
            said = (self.folder / "up.log").read_text()
            self.__exit__()
            raise AssertionError(f"no real node on this machine, so nothing of a cluster is shown:\n{said}")
        self.pid = int((self.folder / "node.pid").read_text())
        self.cgroups = (self.folder / "cgroups").read_text().split()
        self.data = os.readlink(self.folder / "etcd")
        return self

    def __exit__(self, *_):
        run(NODE / "down", self.folder)
        os.close(self.end)
        shutil.rmtree(self.folder, ignore_errors=True)


def left_of(node):
    """What is there of a node that should be gone: files, cgroups, mounts, and processes that name its folder or work in it."""
    left = [str(p) for p in (node.folder, *map(pathlib.Path, [*node.cgroups, node.data])) if p.exists()]
    left += [line for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines() if str(node.folder) in line]
    for entry in pathlib.Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ") if entry.name.isdigit() else ""
            if command and (str(node.folder) in command or str(node.folder) in os.readlink(entry / "cwd")):
                left.append(f"process {entry.name}: {command}")
        except OSError:
            continue  # it went in this moment
    return left
