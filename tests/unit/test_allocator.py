"""Memory that a step frees is there for the next step, and what the imports made is left alone."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

import pytest

from goodfit.system import allocator

CHILD = """
import ctypes, resource, sys
from goodfit.system import allocator
try:
    ctypes.CDLL(None).mallopt
except AttributeError:
    sys.exit(3)
if sys.argv[1] == "kept":
    allocator.keep_freed_memory()

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    b"x" * 48_000_000, b"y" * 40_000_000
before = faults()
for _ in range(10):
    b"x" * 48_000_000, b"y" * 40_000_000
print(faults() - before)
"""


def faults(how: str) -> int:
    """Page faults of ten rounds that each take 48 and 40 MB and free them."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, how], capture_output=True, text=True, check=False
    )
    if done.returncode == 3:
        pytest.skip("this system's malloc is not glibc's")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.slow
def test_a_round_that_takes_what_the_last_one_freed_asks_the_kernel_for_no_page() -> None:
    # in pages of 4 kB 0 and 215,000, of 2 MB 0 and 440
    assert faults("kept") < 20 < 200 < faults("plain")


@pytest.mark.slow
def test_a_new_tensor_is_not_filled_though_algorithms_are_deterministic() -> None:
    code = """
import torch
from goodfit.system import allocator
torch.use_deterministic_algorithms(True)
print(bool(torch.empty(9).isnan().all()))
allocator.leave_new_tensors_unfilled()
torch.zeros(1000)
print(bool(torch.empty(1000).isnan().all()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


class Ring:
    """Garbage that only the collector can find."""

    def __init__(self) -> None:
        self.itself = self


def test_a_process_is_tuned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """To count what is frozen takes as long as to walk through it."""
    counted = []
    count = gc.get_freeze_count

    def noted() -> int:
        counted.append(1)
        return count()

    monkeypatch.setattr(gc, "get_freeze_count", noted)
    allocator.tune.cache_clear()
    allocator.tune()
    allocator.tune()
    assert len(counted) == 1
    gc.unfreeze()


@pytest.mark.slow
def test_only_what_is_alive_at_the_first_call_is_left_out_of_the_search_for_garbage() -> None:
    gc.unfreeze()
    first = Ring()
    allocator.freeze_imports()
    second = Ring()
    allocator.freeze_imports()
    alive = [weakref.ref(first), weakref.ref(second)]
    del first, second
    gc.collect()
    assert [ring() is not None for ring in alive] == [True, False]
    gc.unfreeze()
    gc.collect()
    assert alive[0]() is None


IMPORTED = """
import gc
from goodfit.cli import guarded
from goodfit.system import allocator

def full():
    return gc.get_stats()[2]["collections"]

def work():
    before = full()
    import mlflow, torch
    print(full() - before)
    allocator.freeze_imports()
    rings = [[] for _ in range(10**6)]
    print(full() - before > 0)

guarded(work)
"""


@pytest.mark.slow
def test_garbage_is_sought_in_all_objects_once_a_command_has_imported_what_it_uses() -> None:
    command = [sys.executable, "-c", IMPORTED]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "True"]
