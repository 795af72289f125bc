"""test/run counts what ran. A suite that dies, or runs nothing, must never look like success."""

import subprocess

import pytest

from harness.stack import ROOT


def programs(folder, **scripts):
    out = []
    for name, text in scripts.items():
        file = folder / name
        file.write_text("#!/bin/sh\n" + text)
        file.chmod(0o755)
        out.append(str(file))
    return out


def last_line(*suites):
    done = subprocess.run([ROOT / "test/run", *suites], capture_output=True, text=True)
    return done.returncode, done.stdout.splitlines()[-1] if done.stdout else done.stderr


@pytest.mark.parametrize("script,code,line", [
    ("printf '1..2\\nok 1 - a\\nok 2 - b\\n'", 0, "2 passed, 0 failed"),
    ("printf '1..2\\nok 1 - a\\nnot ok 2 - b\\n'; exit 1", 1, "1 passed, 1 failed"),
    ("printf '1..2\\nok 1 - a\\nnot ok 2 # SKIP b\\n'", 1, "1 passed, 1 failed"),
    ("printf '1..2\\nok 1 - a\\n'; kill -SEGV $$", 1, "1 passed, 1 failed"),
    ("printf '1..1\\nok 1 - a\\n'; exit 1", 1, "1 passed, 1 failed"),
    ("exit 0", 1, "0 passed, 1 failed"),
], ids=["all_pass", "one_fails", "one_is_skipped", "dies_midway", "leaks_at_exit", "runs_nothing"])
def test_program_is_counted_by_what_it_ran(tmp_path, script, code, line):
    assert last_line(*programs(tmp_path, suite=script)) == (code, line)


def test_suites_are_summed(tmp_path):
    suites = programs(tmp_path, one="printf '1..1\\nok 1 - a\\n'", two="printf '1..2\\nok 1 - a\\nnot ok 2 - b\\n'; exit 1")
    assert last_line(*suites) == (1, "2 passed, 1 failed")


def test_what_is_no_suite_is_refused_by_name(tmp_path):
    code, said = last_line(str(tmp_path / "nowhere"))
    assert code == 1 and "nowhere is no suite" in said
