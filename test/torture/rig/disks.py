"""Faults of the log's volume, on a real file system: a small tmpfs, and system calls that fail or kill, one at a time, by strace.

strace is attached from outside to core, whose sandbox does not hinder it, once in each phase; a core that was killed and started again
is not traced until the next.
"""

import errno
import os
import pathlib
import subprocess
import threading

from harness.controller import Controller
from harness.stack import run as execute
from harness.wait import stays, until

from .plans import Plan

PHASE = "drift"  # healing needs the log and no mirror, which lies on the same volume
REFUSED = 78     # EX_CONFIG

# The calls by which the log and its journal reach the disk, and how often the shortest phases make them.
CALLS = {"fdatasync": 3, "pwrite64": 8, "renameat": 4, "openat": 4, "write": 3}


class Traced(Plan):
    """`what` at the n-th `call` that core's main thread makes in each phase."""

    again = 1

    def __init__(self, call, n, what):
        self.call, self.n, self.what, self.name = call, n, what, f"disk: {call} {n} of each phase gives {what}"
        self.tracer, self.phases = None, 0

    def phase(self, name):
        self.detach()
        if name:
            self.attach(name)

    def attach(self, name):
        controller = self.run.site.controller
        (core,) = until("one core to run", lambda: controller.pids("core"), lambda pids: len(pids) == 1, seconds=20)
        self.out = self.run.folder / f"strace-{name}"
        inject = f"inject={self.call}:{self.what}:when={self.n}"
        self.tracer = subprocess.Popen(["strace", "-q", "-p", str(core), "-o", self.out, "-e", f"trace={self.call}", "-e", inject],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until("core to be traced, or gone", lambda: not pathlib.Path(f"/proc/{core}").exists() or self.tracer.poll() is not None or
              "TracerPid:\t0\n" not in pathlib.Path(f"/proc/{core}/status").read_text(), seconds=10)

    def detach(self):
        tracer, self.tracer = self.tracer, None
        if not tracer:
            return
        if tracer.poll() is None:
            tracer.terminate()
        tracer.wait(20)
        self.fired += [line for line in self.out.read_text(errors="replace").splitlines() if "INJECTED" in line or "killed by" in line]

    def settle(self):
        until("core to run", lambda: self.run.site.controller.pids("core"), seconds=30)

    def end(self):
        self.detach()


class Volume(Plan):
    """The data folder is a tmpfs of its own, so small that a test can fill it."""

    again = 1

    def begin(self, run):
        super().begin(run)
        self.data = run.site.controller.data
        self.data.mkdir(parents=True)
        self.mount("size=24m,nr_inodes=600")
        self.busy, self.failed = None, None

    def mount(self, options):
        execute("mount", "-t", "tmpfs", "-o", options, "tmpfs", self.data)

    def end(self):
        execute("umount", "-l", self.data, check=False)

    def unavailable(self, cause):
        """Waits until the Application says so with the cause, and checks that nothing is sent while it does."""
        site = self.run.site
        until(f"AuditUnavailable, saying {cause}", lambda: site.app("app")["status"]["conditions"],
              lambda seen: any(c["reason"] == "AuditUnavailable" and cause in c["message"] for c in seen), seconds=30)
        before = len(site.governed())
        stays("nothing is sent", lambda: len(site.governed()), lambda count: count == before, 2)

    def settle(self):
        if self.busy:
            self.busy.join(120)
            assert not self.busy.is_alive(), "what was done to the volume did not end"
        if self.failed:
            raise self.failed


class Filled(Volume):
    """Full while it runs: told, and gone on by itself when there is room again."""

    name = "disk: full while it runs"
    fill, cause = staticmethod(lambda data: fill_bytes(data)), os.strerror(errno.ENOSPC)

    def phase(self, name):
        if name != PHASE:
            return
        self.fill(self.data)
        self.busy = threading.Thread(target=self.watch, daemon=True)
        self.busy.start()

    def watch(self):
        try:
            self.unavailable(self.cause)
            self.fired.append(self.cause)
        except Exception as error:
            self.failed = error
        finally:
            for file in self.data.glob("filler*"):
                file.unlink()


class FilledAtRestart(Filled):
    """Full when it starts again."""

    name = "disk: full at a restart"

    def phase(self, name):
        if name == PHASE:
            self.run.site.controller.kill()
            self.fill(self.data)
            self.run.site.controller.start(wait=False)
            self.busy = threading.Thread(target=self.watch, daemon=True)
            self.busy.start()


class WithoutInodes(Volume):
    """No inode is left for a phase: the log needs none but for a new tile (test_log_crash.c has that), so it goes on."""

    name = "disk: no inodes left while it runs"

    def phase(self, name):
        if name == PHASE:
            fill_inodes(self.data)
            self.fired.append(self.name)

    def settle(self):
        for file in self.data.glob("filler*"):
            file.unlink()


class Restarted(Volume):
    """Something is done to the volume while the controller is down; `refusal`: what it then says as it refuses to start, until it is undone."""

    def __init__(self, name, damage, undo=None, refusal=""):
        self.name, self.damage, self.undo, self.refusal = f"disk: {name}", damage, undo, refusal

    def phase(self, name):
        controller = self.run.site.controller
        if name != PHASE:
            return
        controller.kill()
        kept = self.damage(self)
        if self.refusal:
            controller.start(wait=False)
            code = controller.process.wait(60)
            assert code == REFUSED and self.refusal in controller.tail(3), f"exit {code}: {controller.tail(3)}"
            self.undo(self, kept)
        self.fired.append(self.name)
        controller.start()


class Shared(Volume):
    """A second controller on the same data folder is refused, and the first goes on."""

    name = "disk: a second process on one log"

    def phase(self, name):
        if name != PHASE:
            return
        first = self.run.site.controller
        second = Controller(first.installation, self.run.folder / "second", first.plain_http, data=first.data)
        second.start(wait=False)
        code = second.process.wait(60)
        assert code == REFUSED and "LogInUse" in second.tail(3), f"exit {code}: {second.tail(3)}"
        assert first.running()
        self.fired.append(self.name)


# --- what is done to a volume ---

def fill_bytes(data):
    with (data / "filler").open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError as error:
            assert error.errno == errno.ENOSPC


def fill_inodes(data):
    for number in range(10000):
        try:
            (data / f"filler{number}").touch()
        except OSError as error:
            assert error.errno == errno.ENOSPC
            return
    raise AssertionError("the inodes do not end")


def bundle(plan):
    """The file of the newest records."""
    return max((p for p in (plan.data / "audit/tile/entries").rglob("*") if p.is_file()), key=lambda p: p.stat().st_mtime)


def change_byte(plan):
    file = bundle(plan)
    before = file.read_bytes()
    at = len(before) // 2
    file.write_bytes(before[:at] + bytes([before[at] ^ 1]) + before[at + 1:])
    return file, before


def put_byte_back(plan, kept):
    kept[0].write_bytes(kept[1])


def tear(plan):
    with bundle(plan).open("ab") as file:
        file.write(b"\x01\x2c{\"actor\"")


def read_only(plan):
    execute("mount", "-o", "remount,ro", plan.data)


def writable(plan, _):
    execute("mount", "-o", "remount,rw", plan.data)


def remove(plan):
    """The folder goes, and comes back as it was: by hand, from a copy."""
    (plan.data / "audit").rename(plan.data / "moved")
    (plan.data / "audit").mkdir()
    (plan.data / "audit/note.txt").write_text("not a log")


def put_folder_back(plan, _):
    (plan.data / "audit/note.txt").unlink()
    (plan.data / "audit").rmdir()
    (plan.data / "moved").rename(plan.data / "audit")


def disks():
    kills = [Traced(call, n, "signal=KILL") for call, most in CALLS.items() for n in range(1, most + 1)]
    errors = [Traced(call, n, f"error={name}") for call, name in (("fdatasync", "EIO"), ("pwrite64", "EIO"), ("pwrite64", "ENOSPC"), ("renameat", "EIO"),
                                                                  ("renameat", "EROFS")) for n in (1, 3)]
    return kills + errors + [
        Filled(),
        FilledAtRestart(),
        WithoutInodes(),
        Restarted("read-only at a restart", read_only, writable, "Read-only file system"),
        Restarted("a byte of a record changed", change_byte, put_byte_back, ": byte "),
        Restarted("a foreign folder in the log's place", remove, put_folder_back, "note.txt: byte 0"),
        Restarted("a torn record behind the last", tear),
        Shared(),
    ]
