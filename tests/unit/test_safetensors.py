"""Weights in a file of safetensors are those of a file of torch, or are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from test_pretrained import content, start

from goodfit.errors import UserError


def test_a_file_of_safetensors_is_taken_as_one_of_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(content(), "x.pt")
    save_file(content(), "x.safetensors")
    (_, of_torch, _), (_, after, line) = start(Path("x.pt")), start(Path("x.safetensors"))
    assert all(torch.equal(after[name], of_torch[name]) for name in of_torch)
    assert line.startswith("starting from x.safetensors")


def test_a_file_that_only_calls_itself_safetensors_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(content(), "x.safetensors")
    with pytest.raises(UserError, match=r"x\.safetensors is no file of tensors; expected what"):
        start(Path("x.safetensors"))
