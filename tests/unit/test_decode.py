"""Decoding ends with the same bytes whatever interrupts it, and does nothing twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from made_files import file_of, good, images, noise, zipped

from goodfit.data import decoded
from goodfit.data.decoded import Chunk
from goodfit.data.images import Images
from goodfit.errors import UserError
from goodfit.store import decode
from goodfit.store.prepare import prepare
from goodfit.store.progress import Progress

HERE = Path(__file__).parents[1]


class Counted(Images):
    """Says how many files were decoded."""

    seen = 0
    stop_by: type[BaseException] = KeyboardInterrupt

    def decode(self, content: bytes) -> np.ndarray:
        Counted.seen += 1
        if Counted.seen == self.stop_at:
            raise self.stop_by
        return super().decode(content)


@pytest.fixture(autouse=True)
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are decoded one after the other, so that a test can say which is the thirtieth."""
    monkeypatch.setattr(decode, "cores", lambda: range(1))


def counted(stop_at: int | None = None, **options: object) -> Counted:
    data = Counted.__new__(Counted)
    data.__dict__.update(images(**options).__dict__, stop_at=stop_at, chunk=8)
    Counted.seen = 0
    return data


@pytest.fixture
def raw(tmp_path: Path) -> dict[str, Path]:
    return zipped(good(40), tmp_path / "photos.zip")


def test_each_file_is_decoded_once(raw: dict[str, Path], tmp_path: Path) -> None:
    prepare(counted(), raw, tmp_path / "out", made_with={})
    assert Counted.seen == 40


def test_what_was_decoded_before_a_stop_is_not_decoded_again(
    raw: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = prepare(counted(), raw, tmp_path / "whole", made_with={})
    with pytest.raises(KeyboardInterrupt):
        prepare(counted(stop_at=30), raw, tmp_path / "out", made_with={})
    assert prepare(counted(), raw, tmp_path / "out", made_with={}) == expected
    assert Counted.seen == 16
    assert "24 of 40 files were decoded before" in capsys.readouterr().out


def test_nothing_is_left_beside_the_prepared_data(raw: dict[str, Path], tmp_path: Path) -> None:
    prepare(counted(), raw, tmp_path / "out", made_with={})
    assert {path.name for path in tmp_path.iterdir()} == {"photos.zip", "out"}


def test_faults_that_were_found_are_known_when_they_are_put_into_quarantine(
    tmp_path: Path,
) -> None:
    raw = zipped(good(40) | {"a/bad.png": b"bad"}, tmp_path / "photos.zip")
    with pytest.raises(UserError, match="is no image"):
        prepare(counted(), raw, tmp_path / "out", made_with={})
    prepare(counted(faults="quarantine"), raw, tmp_path / "out", made_with={})
    assert Counted.seen == 0


@pytest.mark.parametrize("change", ["size", "archive"])
def test_what_was_decoded_otherwise_is_not_used(
    raw: dict[str, Path], tmp_path: Path, change: str
) -> None:
    with pytest.raises(KeyboardInterrupt):
        prepare(counted(stop_at=30), raw, tmp_path / "out", made_with={})
    if change == "archive":
        zipped(good(39) | {"a/new.png": file_of(noise(77))}, raw["files"])
    prepare(counted(size=9 if change == "size" else 8), raw, tmp_path / "out", made_with={})
    assert Counted.seen == 40


@pytest.mark.parametrize("harm", ["cut", "flipped"])
def test_a_chunk_that_is_not_what_was_written_is_made_again(tmp_path: Path, harm: str) -> None:
    arrays = np.arange(12, dtype=np.uint8).reshape(3, 4)
    decoded.write(tmp_path, 0, Chunk(arrays, {}, ["a", "b", "c"]))
    assert decoded.is_whole(tmp_path, 0)
    path = tmp_path / "000000.npy"
    content = path.read_bytes()
    path.write_bytes(content[:-1] if harm == "cut" else content[:-1] + b"\xff")
    assert not decoded.is_whole(tmp_path, 0)


@pytest.mark.slow
@pytest.mark.parametrize(("cores", "said"), [(2, ""), (4, "4 processes")])
def test_several_threads_or_processes_write_what_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
    cores: int, said: str,
) -> None:  # fmt: skip
    raw = zipped(good(200), tmp_path / "photos.zip")
    data = images()
    data.chunk = 8
    alone = prepare(data, raw, tmp_path / "alone", made_with={})
    assert "processes" not in capfd.readouterr().out
    monkeypatch.setattr(decode, "PATIENCE", 0.0)
    monkeypatch.setattr(decode, "cores", lambda: range(cores))
    assert prepare(data, raw, tmp_path / "both", made_with={}) == alone
    printed = capfd.readouterr().out
    assert said in printed
    assert ("processes" in printed) == bool(said)


@pytest.mark.fault(76)
@pytest.mark.parametrize(
    ("stop_by", "told"),
    [
        (KeyboardInterrupt, KeyboardInterrupt),
        (MemoryError, UserError),
        (RuntimeError, RuntimeError),
    ],
)
def test_threads_that_are_stopped_leave_whole_chunks(
    raw: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    stop_by: type[BaseException], told: type[BaseException],
) -> None:  # fmt: skip
    expected = prepare(counted(), raw, tmp_path / "whole", made_with={})
    monkeypatch.setattr(decode, "cores", lambda: range(2))
    monkeypatch.setattr(Counted, "stop_by", stop_by)
    before = threading.active_count()
    with pytest.raises(told) as stopped:
        prepare(counted(stop_at=30), raw, tmp_path / "out", made_with={})
    assert threading.active_count() == before
    if stop_by is MemoryError:
        assert str(stopped.value) == (
            "memory ran out while files were decoded for Counted; lower data.max_pixels or the "
            "like; the same command goes on"
        )
    assert prepare(counted(), raw, tmp_path / "out", made_with={}) == expected
    assert Counted.seen <= 24  # of five chunks of eight, two or three were in work


@pytest.mark.fault(76)
def test_a_broken_file_is_told_by_threads_as_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = {f"a/bad {number}.png": b"bad" for number in range(9)}
    raw = zipped(good(40) | broken, tmp_path / "photos.zip")
    told = []
    for cores in (1, 2, 3):
        monkeypatch.setattr(decode, "cores", lambda cores=cores: range(cores))
        with pytest.raises(UserError, match=r"9 of 49 files .* cannot be used") as refused:
            prepare(counted(), raw, tmp_path / f"by {cores}", made_with={})
        assert Counted.seen == 40
        told.append(str(refused.value).replace(f"by {cores}", ""))
    assert told[0] == told[1] == told[2]


@pytest.mark.fault(76)
def test_files_that_wait_for_threads_are_few_in_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of large files fewer chunks are read ahead than there are threads."""
    monkeypatch.setattr(decode, "cores", lambda: range(4))
    content = file_of(noise(1))
    taken = 0

    def chunks() -> Iterator[decode._Chunk]:
        nonlocal taken
        for number in range(12):
            taken += 1
            yield decode._Chunk(number, [f"a/{number}.png"], [content])

    for most, ahead in ((2 * len(content), 3), (decode._ON_THE_WAY, 5)):
        monkeypatch.setattr(decode, "_ON_THE_WAY", most)
        taken, furthest = 0, 0
        with ThreadPoolExecutor(4) as pool:
            for done, _ in enumerate(decode._in_turns(pool, images(), chunks(), tmp_path)):
                furthest = max(furthest, taken - done)
        assert furthest == ahead


def test_the_order_and_kind_of_an_archive_do_not_matter_to_an_image(tmp_path: Path) -> None:
    import tarfile

    raw = zipped(good(12), tmp_path / "photos.zip")
    with tarfile.open(tmp_path / "photos.tar.gz", "w:gz") as archive:
        for name, content in good(12).items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(content)
            archive.addfile(info, __import__("io").BytesIO(content))
    first = prepare(images(), raw, tmp_path / "zip", made_with={})
    other = prepare(images(), {"files": tmp_path / "photos.tar.gz"}, tmp_path / "t", made_with={})
    assert first.test_sha256 == other.test_sha256


PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from made_files import images
from goodfit.store.prepare import prepare
if __name__ == "__main__":
    prepare(images(size=32), {{"files": Path("photos.zip")}}, Path("out"), made_with={{}})
"""


@pytest.mark.slow
@pytest.mark.fault(21)
def test_kill_9_costs_the_chunk_that_was_being_decoded(tmp_path: Path) -> None:
    """Three thousand images, killed after each few hundred: every chunk is decoded once."""
    raw = zipped({f"{'ab'[n % 2]}/{n}.png": file_of(noise(n, 90, 90)) for n in range(3000)},
                 tmp_path / "photos.zip")  # fmt: skip
    (tmp_path / "run.py").write_text(PROGRAM.format(tests=str(HERE)))
    chunks: dict[str, int] = {}
    for kill_behind in (8, 20, 32, None):
        program = subprocess.Popen(
            [sys.executable, "run.py"], cwd=tmp_path, start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        while program.poll() is None:
            written = list(tmp_path.glob(".out.decoded/*/*.json"))
            if kill_behind is not None and len(written) >= kill_behind:
                os.killpg(program.pid, signal.SIGKILL)
            time.sleep(0.01)
        if kill_behind is None:
            assert program.returncode == 0
            break
        now = {path.name: path.stat().st_mtime_ns for path in written}
        assert {name: now[name] for name in chunks} == chunks
        chunks = now
    assert len(chunks) >= 32
    (tmp_path / "alone").mkdir()
    expected = prepare(images(size=32), raw, tmp_path / "alone/out", made_with={})
    from goodfit.records import Manifest

    assert Manifest.read(tmp_path / "out/manifest.json") == expected


def test_what_was_decoded_before_a_stop_makes_no_hope(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of 100 files 50 were there; ten seconds for ten more are forty for the other forty."""
    now = iter([0.0, 10.0])
    monkeypatch.setattr("goodfit.store.progress.time.monotonic", lambda: next(now))
    Progress("decoding", 100, "file", before=50).show(60)
    assert capsys.readouterr().out == "decoding: 60 of 100 files, 40 s left\n"
