"""Texts in an encoding that the user names are read in it, or refused where bytes speak against."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import made_tables
import pytest

from goodfit.data import row_files, table_files
from goodfit.data.encodings import Encoding, as_utf8
from goodfit.errors import UserError

ROWS = "town;price;y\n" + "Köln;5 €;ja\nČ;7 €;nein\n" * 30
CP1252 = ROWS.replace("Č", "São Paulo")


def refused(content: bytes, encoding: str) -> str:
    with pytest.raises(UserError) as error:
        as_utf8("t.csv", io.BytesIO(content), Encoding(encoding)).read()
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [(CP1252, "cp1252"), (ROWS, "cp1250"), (ROWS, "utf-16-le"), ("é\n" * 10**6, "latin-1")],
)
def test_a_text_is_that_which_python_decodes(text: str, encoding: str) -> None:
    if encoding == "cp1250":
        text = text.replace("ã", "a")
    stream = as_utf8("t.csv", io.BytesIO(text.encode(encoding)), Encoding(encoding))
    assert stream.read().decode() == text


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "jsonl"])
def test_a_file_is_read_as_the_same_one_of_utf_8(tmp_path: Path, ending: str) -> None:
    text = '{"a": "Köln", "b": 1}\n' * 3 if ending == "jsonl" else CP1252
    for name, encoding in (("plain", "utf-8"), ("other", "cp1252")):
        content = text.encode(encoding)
        path = tmp_path / f"{name}.{ending}"
        path.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    plain = table_files.cells(tmp_path / f"plain.{ending}")
    other = table_files.cells(tmp_path / f"other.{ending}", encoding="cp1252")
    assert other.equals(plain)
    assert table_files.cells(tmp_path / f"plain.{ending}", encoding="utf-8").equals(plain)
    with pytest.raises(UserError, match=r"or name its encoding, .* data\.encoding=cp1252$"):
        table_files.cells(tmp_path / f"other.{ending}")


@pytest.mark.fault(22)
def test_rows_are_learned_and_asked_about_in_the_encoding_that_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(CP1252.encode("cp1252"))
    rows = made_tables.table(encoding="cp1252").read({"table": path})
    assert set(rows["town"]) == {"Köln", "São Paulo"}
    with path.open("rb") as stream:
        asked = list(row_files.parts("t.csv", stream, "csv", 7, Encoding("cp1252", "--encoding ")))
    assert [town for part in asked for town in part.rows["town"]] == list(rows["town"])


@pytest.mark.fault(22)
@pytest.mark.parametrize(
    ("content", "encoding", "message"),
    [
        (ROWS.encode(), "cp1250", "all of it is UTF-8, which is read by itself; leave"),
        (ROWS.encode("utf-8-sig"), "cp1250", "it begins as UTF-8, which is read by itself; leave"),
        (ROWS.encode("utf-16"), "cp1252", "it begins as UTF-16, which is read by itself; leave"),
        (CP1252.encode("cp1252"), "latin-1", "it would hold '\\x80', which is no letter; most"),
        (b"a\n" * 9 + b"\x81\n", "cp1252", "byte 18 is none of it (character maps to <undefined>)"),
        (b"a", "cp9999", "no such encoding; expected one that Python knows, as cp1252, latin-1,"),
        (b"a", "base64", "no such encoding; expected one that Python knows, as cp1252, latin-1,"),
    ],
    ids=["utf-8", "marked-8", "marked-16", "controls", "nothing", "unknown", "bytes"],
)
def test_bytes_that_speak_against_it_are_refused(
    content: bytes, encoding: str, message: str
) -> None:
    said = refused(content, encoding)
    assert f"data.encoding={encoding}: {message}" in said


def test_a_file_that_is_no_text_has_no_encoding(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^data\.encoding=cp1252: a\.parquet is no text; leave it"):
        table_files.cells(tmp_path / "a.parquet", encoding="cp1252")
