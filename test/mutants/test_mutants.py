"""Checks that matter, taken out one at a time: each time a unit test must fail, by its name.

A mutant is one file of the program with one check removed. It is compiled with the flags of the build, linked with one unit test
program before the library (so that it takes the place of the original), and run. One that no test notices is a failure here; so is a
check that is not in the source as it is written down here.
"""

import pathlib
import shlex
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/asan"

DOOR, PERMIT, PROJECT, URL = "controller/kube/client.c", "controller/gate/permit.c", "api/project.c", "api/repo_url.c"
SENDER = "controller/apply/action.c"
RULES, TENANT = "every_rule_holds_for_writing_and_for_deleting", "a_tenant_may_not_be_the_controller"
ROUND = "no_spelling_gets_round_a_denial"

# name → (file, what is in it, what takes its place, unit test program, the test that must fail)
MUTANTS = {
    "the writer does not ask the Project": (
        SENDER, "if (action->rules->may_send(action, action->data, &err)) {", "if (0) {", "test_action",
        "no_write_is_sent_that_the_project_does_not_permit"),
    "the writer asks the Project once only": (
        SENDER, "if (action->rules->may_send(action, action->data, &err)) {",
        "if (!action->attempt_count && action->rules->may_send(action, action->data, &err)) {", "test_action",
        "each_single_write_is_asked_for"),
    "the permission outlives its write": (
        SENDER, "\taction->permit.project_allows = false;\n", "", "test_action", "each_single_write_is_asked_for"),
    "the door takes a write without the Project": (
        DOOR, "ASSERT(permit->project_allows);", "", "test_action", "the_door_takes_no_write_without_each_part_of_its_permit"),
    "the door takes a write without a verdict": (
        DOOR, " && permit->images_allowed", "", "test_action", "the_door_takes_no_write_without_each_part_of_its_permit"),
    "the door takes a write without a durable intent": (
        DOOR, "permit->intent_durable && ", "", "test_action", "the_door_takes_no_write_without_each_part_of_its_permit"),
    "a deletion does not look whose the object is": (
        SENDER, " || is_kept(action, answer->object)", "", "test_action", "a_deletion_looks_first"),
    "a deletion does not look which object it is": (
        SENDER, " || strcmp(uid, action->uid)", "", "test_action", "a_deletion_looks_first"),
    "a deletion names no version": (
        SENDER, '\t\tjson_set_string(arena, preconditions, "resourceVersion",', '\t\t(void)("resourceVersion",', "test_action",
        "a_deletion_names_the_version_it_saw"),
    "kinds are not looked at": (PERMIT, " || check_kind(request, err)", "", "test_permit", RULES),
    "namespaces are not looked at": (PERMIT, "return check_namespace(request, err);", "return 0;", "test_permit", RULES),
    "our own kinds are not looked at": (PERMIT, "check_own_kinds(request, err) || ", "", "test_permit", TENANT),
    "the installation is open": (PERMIT, "check_installation(request, err) || ", "", "test_permit", TENANT),
    "tokens may be asked for": (PERMIT, "check_token(request, err) || ", "", "test_permit", TENANT),
    "an Application may be taken over": (
        PERMIT, "if (request->live_project && strcmp(", "if (0 && strcmp(", "test_permit", TENANT),
    "blacklists are not read": (PROJECT, "if (denied < 0)", "if (1)", "test_permit", RULES),
    "whitelists are not read": (PROJECT, "if ((namespaced && !white->given) ||", "if (1 ||", "test_permit", RULES),
    "a denied destination is allowed": (PROJECT, "\t\tif (deny) {\n\t\t\tsay(why, \"spec.destinations", "\t\tif (0) {\n\t\t\tsay(why, \"spec.destinations",
                                        "test_permit", RULES),
    "a denied repository is allowed": (PROJECT, "\t\tif (deny) {\n\t\t\tsay(why, \"spec.sourceRepos", "\t\tif (0) {\n\t\t\tsay(why, \"spec.sourceRepos",
                                       "test_repo_url", ROUND),
    "a denial holds in one letter case only": (URL, "\tif (deny) {\n", "\tif (0) {\n", "test_repo_url", ROUND),
    "escapes are taken as they come": (URL, "if (check_escapes(path, err))", "if (0)", "test_repo_url", ROUND),
    "a port that goes without saying counts": (URL, 'if (!span_is(port, tls ? "443" : "80"))', "if (1)", "test_repo_url", ROUND),
    "hosts are taken as they come": (URL, "check_host(authority, err) || ", "", "test_repo_url", ROUND),
}


def commands(target):
    """The commands that make would run for a target, were it out of date: compile or link."""
    done = subprocess.run(["make", "-s", "-n", "VERBOSE=1", "V=asan", "-W", f"{source_of(target)}", target], cwd=ROOT, capture_output=True, text=True)
    found = [line for line in done.stdout.splitlines() if f"-o {target}" in line]
    assert found, f"make says nothing about {target}: {done.stdout}{done.stderr}"
    return shlex.split(found[-1].split("&&")[-1])


def source_of(target):
    """A file on which the target depends."""
    at = target.removeprefix("build/asan/")
    if not at.startswith("test/"):
        return at.removesuffix(".o") + ".c"
    return str(next((ROOT / "test/unit").rglob(pathlib.Path(at).stem + ".c")).relative_to(ROOT))


def build(folder, file, text, program):
    """The unit test program with that file's text in the place of the file's; its path."""
    (folder / file).parent.mkdir(parents=True)
    (folder / file).write_text(text)
    test = f"build/asan/test/{program}"
    objects = []
    # a test that includes the file gets this one; the library's is replaced by its object
    for target, source in ((f"{test}.o", source_of(f"{test}.o")), (f"build/asan/{file.removesuffix('.c')}.o", str(folder / file))):
        words = commands(target)
        out = folder / pathlib.Path(target).name
        words[words.index("-o") + 1] = str(out)
        words[words.index("-c") + 1:] = [w for w in words[words.index("-c") + 1:] if not w.endswith(".c")] + [source]
        words[1:1] = [f"-I{folder}/controller", f"-I{folder}", "-Wno-error", "-w", "-O0"]
        subprocess.run([w for w in words if w not in ("-MMD", "-MP", "-O1")], cwd=ROOT, check=True)
        objects.append(str(out))
    includes = f'#include "{file.removeprefix("controller/")}"' in (ROOT / source_of(f"{test}.o")).read_text()
    link = commands(test)
    link[link.index("-o") + 1] = str(folder / program)
    at = link.index(f"{test}.o")
    link[at:at + 1] = objects[:1] if includes else objects
    subprocess.run(link, cwd=ROOT, check=True)
    return folder / program


@pytest.mark.parametrize("name", MUTANTS)
def test_suite_notices_when(name, tmp_path):
    file, old, new, program, test = MUTANTS[name]
    text = (ROOT / file).read_text()
    assert text.count(old) == 1, f"{file} has {text.count(old)} times: {old}"
    done = subprocess.run([build(tmp_path, file, text.replace(old, new), program)], capture_output=True, text=True, timeout=60, check=False)
    seen = done.stdout + done.stderr
    assert done.returncode != 0 and f"[  FAILED  ] {test}" in seen, f"no test noticed it:\n{seen}"


@pytest.mark.parametrize(("file", "program"), sorted({(m[0], m[3]) for m in MUTANTS.values()}))
def test_suite_notices_nothing_where_nothing_is_changed(file, program, tmp_path):
    done = subprocess.run([build(tmp_path, file, (ROOT / file).read_text(), program)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
