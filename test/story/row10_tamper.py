"""Row 10: the audit log is whole, and every change of it is found, by two verifiers that share no code."""

import concurrent.futures
import pathlib
import shutil
import struct
import subprocess

from harness.controller import Controller, Installation
from harness.stack import ROOT, run
from harness.wait import until

ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
SMALL = "countersign-small"
AT_ONCE = 4


class SecondVerifier:
    """test/tlogcheck as one process that is asked many times."""

    def __init__(self):
        path = run(ROOT / "hack/stack/build", "--path", "tlogcheck").stdout.strip()
        if not pathlib.Path(path).exists():
            run(ROOT / "hack/stack/build", "tlogcheck", seconds=300)
        self.process = subprocess.Popen([path, "-batch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, folder):
        """"ok N FOLDER", or "bad FOLDER: why"."""
        self.process.stdin.write(f"{folder}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


def row10_every_change_of_the_log_is_found(world, say):
    say.row(10, "Tamper with the audit log")
    world.deployed()
    second = SecondVerifier()
    try:
        whole_by_both(world, say, second)
        small = _small_log(world, say)
        _flips(world, say, small)
        changed_entries_are_found(world, say, second, small)
        _truncated(world, say, small)
    finally:
        second.close()


def whole_by_both(world, say, second):
    with say("countersign audit verify, and a second verifier in Go") as step:
        copy = _copied(world.log.folder, world.folder / "whole")
        done = world.log.verify(folder=copy)
        assert done.returncode == 0, done.stdout + done.stderr
        answer = second.ask(copy)
        size = int((copy / "checkpoint").read_text().splitlines()[1])
        assert answer.startswith(f"ok {size} "), f"the second verifier says: {answer}"
        assert str(size) in done.stdout, f"expected the count {size}, saw: {done.stdout}"
        step.answer = f"both: {size} records"


def _copied(folder, to):
    """A copy of a log that may be growing: the checkpoint of the copy must be one that was complete."""
    def attempt():
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(folder, to)
        return (to / "checkpoint").read_bytes() == (pathlib.Path(folder) / "checkpoint").read_bytes()

    def quiet():
        try:
            return attempt()
        except (shutil.Error, FileNotFoundError) as error:
            raise LookupError(str(error)) from error

    until("a copy of the log between two writes", quiet)
    return to


def _small_log(world, say):
    """The log of a controller that started, did nothing, and stopped."""
    with say("a small log: a controller that starts and stops") as step:
        world.kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SMALL}})
        controller = Controller(Installation(world.kube, SMALL).install(), world.folder / "small")
        shutil.rmtree(controller.data, ignore_errors=True)
        with controller:
            pass
        records = controller.log.records()
        kinds = [r["kind"] for r in records]
        assert kinds[:1] == ["log.start"] and kinds[-1:] == ["log.stop"] and "term.start" in kinds, kinds
        assert [r["seq"] for r in records] == list(range(len(records))), "seq is the leaf index, from 0"
        step.answer = f"{len(records)} records"
    return controller.log


def _next(byte):
    """Another byte of the same class, so that the change is as hard to see as it can be."""
    at = ALPHABET.find(byte)
    return ALPHABET[at ^ 1] if at >= 0 else byte ^ 1


def _found(log, second, folder, what):
    done = log.verify(folder=folder)
    assert done.returncode == 3, f"{what}: audit verify exits {done.returncode}, expected 3\n{done.stdout}{done.stderr}"
    answer = second.ask(folder)
    assert answer.startswith("bad "), f"{what}: the second verifier says {answer}"


def flip_some(log, folder, every, begin):
    """Flips, in a copy of its own, each byte whose number leaves `begin` when divided by `every`; returns how many it flipped."""
    copy, second, number, flips = _copied(log.folder, folder), SecondVerifier(), 0, 0
    try:
        for file in sorted(p for p in copy.rglob("*") if p.is_file()):
            whole = file.read_bytes()
            for at, byte in enumerate(whole):
                number += 1
                if number % every != begin:
                    continue
                file.write_bytes(whole[:at] + bytes([_next(byte)]) + whole[at + 1:])
                _found(log, second, copy, f"{file.relative_to(copy)}, byte {at} of {len(whole)}")
                flips += 1
            file.write_bytes(whole)
        assert log.verify(folder=copy).returncode == 0, "undone, the log is whole again"
    finally:
        second.close()
    return flips


def _flips(world, say, log):
    with say("each byte of each file flipped in turn") as step:
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            parts = [pool.submit(flip_some, log, world.folder / f"flipped{n}", AT_ONCE, n) for n in range(AT_ONCE)]
            flips = sum(part.result() for part in parts)
        size = sum(p.stat().st_size for p in log.folder.rglob("*") if p.is_file())
        assert flips == size > 1000, f"expected {size} flips, and a log of more than 1000 bytes; saw {flips}"
        step.answer = f"{flips} flips, {flips} found by both"


def _bundle(copy):
    return next(p for p in (copy / "tile/entries").rglob("*") if p.is_file())


def split(data):
    out = []
    while data:
        size = struct.unpack(">H", data[:2])[0]
        out.append(data[2:2 + size])
        data = data[2 + size:]
    return out


def join(records):
    return b"".join(struct.pack(">H", len(r)) + r for r in records)


def changed_entries_are_found(world, say, second, log):
    """Whole records dropped, swapped, inserted: with the length prefixes right, so that only the hashes can tell."""
    with say("a record dropped, two swapped, one inserted, a strange file added") as step:
        records = split(_bundle(log.folder).read_bytes())
        changes = {
            "dropped": records[:1] + records[2:], "dropped last": records[:-1], "swapped": [records[1], records[0], *records[2:]],
            "inserted": [*records[:1], records[0], *records[1:]], "appended": [*records, records[-1]],
        }
        for what, changed in changes.items():
            copy = _copied(log.folder, world.folder / "changed")
            _bundle(copy).write_bytes(join(changed))
            _found(log, second, copy, what)
        copy = _copied(log.folder, world.folder / "changed")
        (copy / "tile/entries/note.txt").write_text("x")
        _found(log, second, copy, "a strange file")
        step.answer = f"{len(changes) + 1} found by both"


def _truncated(world, say, log):
    """An older state of the whole log is consistent in itself: only a checkpoint kept elsewhere can tell."""
    with say("the log rolled back to an earlier state, --last-known") as step:
        older = _copied(log.folder, world.folder / "older")
        known = world.folder / "last-known"
        controller = Controller(Installation(world.kube, SMALL), world.folder / "small")
        with controller:
            pass
        shutil.copy(log.folder / "checkpoint", known)
        assert log.verify("--last-known", known).returncode == 0, "the grown log extends its own checkpoint"
        assert log.verify("--last-known", older / "checkpoint").returncode == 0, "the grown log extends the older checkpoint"
        assert log.verify(folder=older).returncode == 0, "by itself the older state is whole"
        done = log.verify("--last-known", known, folder=older)
        assert done.returncode == 3, f"audit verify --last-known exits {done.returncode}, expected 3\n{done.stdout}{done.stderr}"
        step.answer = "found, exit 3"
