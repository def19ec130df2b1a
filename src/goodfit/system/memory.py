"""Memory that ran out: whether an error says so, and whether fewer samples at once would help."""

from __future__ import annotations

from pathlib import Path
from traceback import FrameSummary, extract_tb

# of torch on a CPU, and of CUDA's libraries, which have no type of their own
_MESSAGES = ("can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")
# where the samples of a batch are computed with: in training, validation and the final scores.
# Not where the network, the optimizer's state or the data as a whole are made
_OF_A_BATCH = ("_step", "backward", "transfer_batch_to_device", "on_after_batch_transfer", "_score")
_PACKAGE = Path(__file__).parents[1]


def ran_out(error: BaseException) -> bool:
    """Whether it is the error of memory that ran out, of whatever library."""
    # torch's OutOfMemoryError is known by its name: a command that computes nothing imports none
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _MESSAGES)


def is_of_batch(error: BaseException) -> bool:
    """Whether it was raised while a batch was computed with: half of it needs less."""
    return any(frame.name in _OF_A_BATCH for frame in extract_tb(error.__traceback__))


def explain(error: BaseException) -> str:
    """Where memory ran out, and what does not help, in a line."""
    reason = (str(error).splitlines() or [""])[0][:200]
    said = f": {reason}" if reason else ""
    frames = [frame for frame in extract_tb(error.__traceback__) if _is_own(frame)]
    where = ""
    if frames:
        where = f" in {Path(frames[-1].filename).relative_to(_PACKAGE)}, {frames[-1].name}()"
    return (
        f"memory runs out{where}{said}; a smaller batch would not help: "
        "take a smaller model or less data, or a machine with more memory"
    )


def _is_own(frame: FrameSummary) -> bool:
    return Path(frame.filename).is_relative_to(_PACKAGE)
