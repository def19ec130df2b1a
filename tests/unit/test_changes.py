"""A clone at the commit with the stored patch has the same code, whatever was changed and how."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from goodfit.provenance import changes, environment
from goodfit.provenance.changes import PATHS, Changes

Edit = Callable[[Path], object]


def git(folder: Path, *arguments: str, patch: bytes | None = None) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, input=patch, capture_output=True
    )


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of a few files, the current folder."""
    folder = tmp_path / "project"
    files = {
        "src/net.py": b"width = 1\ndepth = 2\n",
        "src/open_end.py": b"width = 1",
        "src/old name.py": b"a = 1\n" * 20,
        "src/table.npy": bytes(range(256)),
        "src/windows.py": b"a = 1\r\nb = 2\r\n",
        "conf/model.yaml": b"width: 1\n",
        "params.yaml": b"experiments: []\n",
        "README.md": b"read me\n",
        "notes.txt": b"plain\n",
        ".gitignore": b"*.ignored\n",
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    monkeypatch.chdir(folder)
    return folder


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content of each file that counts, and that git does not ignore."""
    found = {}
    for root in PATHS:
        top = folder / root
        for path in [top, *top.rglob("*")]:
            if path.is_symlink():
                found[str(path.relative_to(folder))] = (0, os.fsencode(path.readlink()))
            elif path.is_file() and path.suffix != ".ignored":
                executable = path.stat().st_mode & stat.S_IXUSR
                found[str(path.relative_to(folder))] = (executable, path.read_bytes())
    return found


def restored(project: Path, made: Changes) -> Path:
    """A clone at the commit with the patches."""
    clone = project.parent / "clone"
    git(project.parent, "clone", "-q", str(project), "clone")
    text = "".join(patch.text for patch in made.patches)
    if text:
        patch = text.encode(errors="surrogateescape")
        git(clone, "apply", "--whitespace=nowarn", patch=patch)
    return clone


def shell(command: str) -> Edit:
    return lambda _: subprocess.run(command, shell=True, check=True, capture_output=True)  # noqa: S602


def write(name: str, content: bytes) -> Edit:
    return lambda folder: (folder / name).write_bytes(content)


EDITS = {
    "a line": write("src/net.py", b"width = 1\ndepth = 3\n"),
    "no newline at the end": write("src/net.py", b"width = 1\ndepth = 3"),
    "empty lines at the end": write("src/net.py", b"width = 1\ndepth = 3\n\n \n\t\n"),
    "a newline added": write("src/open_end.py", b"width = 1\n"),
    "carriage returns": write("src/windows.py", b"a = 1\r\nb = 3\r\n"),
    "binary": write("src/table.npy", bytes(reversed(range(256)))),
    "Latin-1": write("src/net.py", b"width = 1\nname = 'caf\xe9'\n"),
    "form feed and line separators": write("src/net.py", "a = 1\x0c\nb = '\u2028\x85'\n".encode()),
    "emptied": write("src/net.py", b""),
    "deleted": shell("rm src/net.py"),
    "deleted and staged": shell("git rm -q src/net.py src/table.npy"),
    "taken out of the index alone": shell("git rm -q --cached src/net.py"),
    "renamed and staged": shell("git mv 'src/old name.py' src/new.py"),
    "renamed and changed": shell("git mv 'src/old name.py' src/new.py; echo x >> src/new.py"),
    "staged, then changed": shell("echo a >> src/net.py; git add src; echo b >> src/net.py"),
    "staged, then taken back": shell("echo a > src/x.py; git add src; rm src/x.py; touch src/y.py"),
    "executable": shell("chmod +x src/net.py"),
    "a file that became a link": shell("rm src/net.py; ln -s open_end.py src/net.py"),
    "a file that became a folder": shell("rm src/net.py; mkdir src/net.py; touch src/net.py/x.py"),
    "new": shell("mkdir -p src/own; echo a > src/own/net.py; echo 'b: 1' > conf/own.yaml"),
    "new, binary": write("src/weights.npy", b"\0\1\2\xff" * 50),
    "new, empty": shell("touch src/__init__.py"),
    "new, of strange names": shell(
        "touch 'src/a b.py' 'src/größe.py' 'src/[x].py' 'src/q\"uote.py' 'src/*.py' 'src/:(x).py'"
    ),
    "new and staged": shell("echo a > src/x.py; git add src/x.py"),
    "ignored and staged by force": shell("echo a > src/x.ignored; git add -f src/x.ignored"),
    "marked as unchanged": shell(
        "git update-index --assume-unchanged src/net.py; "
        "git update-index --skip-worktree conf/model.yaml; "
        "echo a >> src/net.py; echo 'b: 2' >> conf/model.yaml"
    ),
    "with settings of one's own": shell(
        "git config diff.noprefix true; git config color.ui always; git config diff.context 0; "
        "git config diff.external false; git config diff.renames copies; echo a >> src/net.py; "
        "git config core.autocrlf input; echo '*.py diff=x' > .git/info/attributes; "
        "git config diff.x.textconv rev"
    ),
    "in a merge that was not finished": shell(
        "git checkout -qb other; echo a > src/net.py; git -c user.name=a -c user.email=a commit "
        "-qam a; git checkout -q -; echo b > src/net.py; git -c user.name=a -c user.email=a "
        "commit -qam b; git merge other || true"
    ),
}


@pytest.mark.slow
@pytest.mark.fault(55)
@pytest.mark.parametrize("case", EDITS)
def test_a_clone_with_the_patch_has_the_same_code(project: Path, case: str) -> None:
    committed = state(project)
    EDITS[case](project)
    staged = index(project)
    commit = environment.commit()
    is_same = state(project) == committed and "ignored" not in case
    assert commit.dirty == ("false" if is_same else "true")
    assert commit.changes.left_out == ()
    assert index(project) == staged
    clone = restored(project, commit.changes)
    expected = state(project)
    if "ignored" in case:
        expected["src/x.ignored"] = (0, b"a\n")
        assert (clone / "src/x.ignored").read_bytes() == b"a\n"
        del expected["src/x.ignored"]
    assert state(clone) == expected


def index(project: Path) -> bytes:
    """What git has staged: asking must not change it."""
    return (project / ".git/index").read_bytes()


@pytest.mark.fault(55)
@pytest.mark.parametrize(
    "command",
    [
        "true",
        "echo x > train.log; echo y > nohup.out; mkdir outputs; echo z > outputs/run.txt",
        "echo x > src/debug.log; echo y > conf/model.yaml.orig; echo z > src/net.py~",
        "echo x >> README.md; echo y >> notes.txt; git add notes.txt",
        "echo x > src/a.ignored",
        "touch dvc.lock; mkdir -p gallery; touch gallery/dvc.lock gallery/params.yaml",
        "touch src/net.py conf/model.yaml",  # the time, not the content
        "mkdir src/empty",
    ],
)
def test_what_changes_no_code_makes_nothing_dirty(project: Path, command: str) -> None:
    shell(command)(project)
    commit = environment.commit()
    assert (commit.dirty, commit.changes) == ("false", Changes())


@pytest.mark.fault(55)
def test_what_is_too_large_is_named_and_takes_no_source_files_place(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "LIMIT", 100_000)
    (project / "src/a.bin").write_bytes(os.urandom(99_000))  # larger as text
    (project / "src/b.bin").write_bytes(os.urandom(200_000))
    (project / "src/c.py").write_text("width = 1\n")
    made = environment.commit().changes
    assert [str(patch.path) for patch in made.patches] == ["src/c.py"]
    assert [path for path, _ in made.left_out] == ["src/a.bin", "src/b.bin"]
    assert made.left_out[1].reason == "0.2 MB; of all changes, 0.1 MB are stored"


@pytest.mark.fault(55)
def test_a_repository_inside_the_code_is_named(project: Path) -> None:
    shell("mkdir src/nested && cd src/nested && git init -q && echo a > a.py")(project)
    commit = environment.commit()
    assert commit.dirty == "true"
    assert commit.changes.left_out == (("src/nested/", "a git repository of its own"),)


@pytest.mark.fault(55)
def test_a_project_in_a_folder_of_a_larger_repository(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell("mkdir sub; git mv src conf params.yaml sub/; echo x > sub/train.log")(project)
    git(project, "commit", "-qm", "moved")
    monkeypatch.chdir(project / "sub")
    shell("echo a >> src/net.py; echo a > src/own.py; echo b > ../elsewhere.py")(project)
    made = environment.commit().changes
    assert [str(patch.path) for patch in made.patches] == ["src/net.py", "src/own.py"]
    clone = restored(project, made)
    assert state(clone / "sub") == state(project / "sub")
    assert not (clone / "elsewhere.py").exists()


@pytest.mark.fault(55)
def test_where_git_fails_nothing_is_claimed(project: Path) -> None:
    (project / "src/net.py").write_text("x")
    (project / "src/net.py").chmod(0)
    if os.access(project / "src/net.py", os.R_OK):  # root reads everything
        shell("rm -r .git/objects/*/")(project)
    assert environment.commit().dirty == "unknown"
