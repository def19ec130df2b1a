"""What a user pastes or spells in a common way is taken, or answered with how to write it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny
from omegaconf import OmegaConf

from goodfit.config import check, gallery, overrides, params, tree
from goodfit.config.compose import compose
from goodfit.config.overrides import of_mapping
from goodfit.data import faults
from goodfit.errors import UserError
from goodfit.schema import Source
from goodfit.stages.compose import write_composed

DIGITS = "0123456789abcdef" * 4
RULE = (
    "expected a name that begins with a letter and holds letters a to z, digits, '_' and '-' alone"
)
NAMES = ["2024", "1e5", "my exp", "gr\u00f6\u00dfe", "v1.2", "-x", "a/b", "x" * 101]
TEXTS = [
    "a=b",
    "gr\u00f6\u00dfe",
    "a[b]",
    "[a",
    "{a",
    "a(b)",
    "it's",
    'a "b"',
    "a#b",
    "a,b",
    "a\\",
    "yes",
]


def composed(*changes: str) -> dict[str, Any]:
    return tree.frozen(compose(tiny.ROOT, ["experiment=mnist", "~tuned", *changes]))


def refusal(*changes: str) -> str:
    with pytest.raises(UserError) as error:
        check.check(OmegaConf.create(composed(*changes)))
    return str(error.value)


def call(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, f"pipelines/{script}.py", *arguments],
        cwd=tiny.ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.fault(42)
@pytest.mark.parametrize(
    "form",
    [
        "{}",
        "sha256:{}",
        "SHA256:{}",
        "sha256-{}",
        "sha256={}",
        "{}  houses.csv",
        "{} *data/inbox/houses.csv",
        "\\{}  a\\nb.csv",
        "SHA256 (houses.csv) = {}",
        "SHA2-256(houses.csv)= {}",
        "--hash=sha256:{}",
        " {}\n",
    ],
)
@pytest.mark.parametrize("digits", [DIGITS, DIGITS.upper()])
def test_a_hash_is_taken_in_the_forms_in_which_tools_print_it(form: str, digits: str) -> None:
    text = form.replace("{}", digits)
    assert Source(file="x", sha256=text).sha256 == DIGITS
    # the whole way of a configuration, from what params.yaml says
    written = of_mapping({"data.sources.digits.sha256": text})
    check.check(OmegaConf.create(composed(*written)))


@pytest.mark.slow
@pytest.mark.fault(42)
@pytest.mark.parametrize(
    "text",
    [DIGITS[:-1], f"{DIGITS}0", "d41d8cd98f00b204e9800998ecf8427e", "", f"md5:{DIGITS}", "x" * 64],
)
def test_what_is_no_hash_is_refused_before_anything_is_fetched(text: str) -> None:
    message = refusal(*of_mapping({"data.sources.digits.sha256": text}))
    assert message.startswith("data.sources.digits.sha256: expected 64 hexadecimal digits")


@pytest.mark.fault(42)
def test_a_hash_of_digits_alone_needs_quotes() -> None:
    digits = "1234567890" * 6 + "1234"
    assert "64 hexadecimal digits in quotes" in refusal(f"data.sources.digits.sha256={digits}")
    check.check(OmegaConf.create(composed(f"data.sources.digits.sha256='{digits}'")))


@pytest.mark.fault(43)
@pytest.mark.parametrize("name", NAMES)
def test_every_name_that_an_experiment_cannot_have_is_answered_with_the_rule(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf/experiment").mkdir(parents=True)
    Path("params.yaml").write_text("experiments: []\n")
    questions = [
        lambda: compose(tmp_path, [f"experiment={name}"]),
        lambda: compose(tmp_path, [f"name={name}"]),
        lambda: gallery.targets([name]),
        lambda: write_composed(name),
    ]
    for question in questions:
        with pytest.raises(UserError, match=re.escape(RULE)):
            question()


@pytest.mark.parametrize(
    "override",
    ["experiment='mnist'", 'experiment="mnist"', "name=${task.score}", "name='a_b'", "name=null"],
)
def test_what_is_written_in_hydras_grammar_is_no_name_yet(override: str) -> None:
    overrides.check_files(tiny.ROOT, [override])
    overrides.check_files(tiny.ROOT, ["experiment=choice(mnist,reviews)"])
    overrides.check_files(tiny.ROOT, ["experiment=mnist,reviews"])


@pytest.mark.fault(43)
def test_a_number_among_the_experiments_of_params_yaml_is_answered_with_the_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("experiments: [mnist, 2024]\n")
    with pytest.raises(UserError, match=rf"^params.yaml: experiment 2024: {re.escape(RULE)}"):
        params.experiments()
    with pytest.raises(UserError, match=rf"^name: {re.escape(RULE)}.*, got 2024"):
        check.check(OmegaConf.create(composed() | {"name": 2024}))


@pytest.mark.slow
@pytest.mark.fault(44)
@pytest.mark.parametrize("text", TEXTS)
def test_the_advised_quotes_make_a_text_of_any_value(text: str) -> None:
    override = f"tracking.run_name={text}"
    try:
        value = composed(override)["tracking"]["run_name"]
    except UserError as error:
        message = str(error)
        assert "\n" not in message
        # as a shell splits it
        advised = [
            word for word in shlex.split(message[message.index("'tracking") :]) if "=" in word
        ]
        value = composed(advised[-1])["tracking"]["run_name"]
    assert value == text


@pytest.mark.slow
@pytest.mark.fault(44)
@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "data.label=gr\u00f6\u00dfe",
            "cannot read 'gr\u00f6\u00dfe', the value of data.label; as a text it",
        ),
        (
            "data.drop=[gr\u00f6\u00dfe, b]",
            "cannot read '[gr\u00f6\u00dfe, b]', the value of data.drop; texts of a list need "
            'quotes: \'data.drop=["gr\u00f6\u00dfe","b"]\'',
        ),
        ("gr\u00f6\u00dfe=3", "an override cannot name the key 'gr\u00f6\u00dfe': letters a to z"),
        (
            "+data.columns.gr\u00f6\u00dfe=number",
            "an override cannot name the key '+data.columns.gr",
        ),
        ("just words", "'just words' is no override; expected <key>=<value>"),
        ("seed", "'seed' is no override; expected <key>=<value>"),
        ("", "'' is no override; expected <key>=<value>"),
        ("~model.widht", "unknown key 'model.widht'. Did you mean 'model.width'?"),
        ("~modle", "unknown key 'modle'. Did you mean 'model'?"),
        ("model=", "model= does not exist. Known: branches, centernet"),
        ("model.width=rnage(1,3)", "the value of model.width: there is no function rnage; as"),
        ("model.width=3,4", "model.width=3,4 is several values: -m runs each of them, 'model"),
    ],
)
def test_an_override_that_cannot_be_read_is_answered_in_our_words(
    override: str, message: str
) -> None:
    got = refusal(override)
    assert message in got
    assert "hydra.cc" not in got
    assert "Exception" not in got


@pytest.mark.slow
@pytest.mark.fault(44)
@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "tracking.run_name",
            True,
            "expected a text, got True; yes, no, on, off, true and false are texts in quotes only: "
            "run_name: 'yes' in a file, 'tracking.run_name=\"true\"' on a command line.",
        ),
        (
            "tracking.run_name",
            2024,
            "expected a text, got 2024; a text needs quotes: run_name: '2024' in a file, "
            "'tracking.run_name=\"2024\"' on a command line.",
        ),
        (
            "parameters.no_decay",
            False,
            "got False; yes, no, on, off, true and false are texts in quo",
        ),
        ("seed", 1000.0, "expected a valid integer, got 1000.0; write 1000."),
        ("model.width", "16", "got '16'; that is a text, write 16 without quotes."),
        ("optimizer.lr", "1e-5", "got '1e-5'; that is a text, write 1e-5 without quotes."),
    ],
)
def test_a_value_that_yaml_took_for_something_else_is_answered_with_how_to_write_it(
    key: str, value: object, message: str
) -> None:
    cfg = OmegaConf.create(composed())
    OmegaConf.update(cfg, key, value)
    with pytest.raises(UserError) as error:
        check.check(cfg)
    assert str(error.value).startswith(f"{key}: ")
    assert message in str(error.value)


@pytest.mark.slow
@pytest.mark.fault(45)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hydra.job.chdir=true"], "hydra.job.chdir=true: not supported, for all paths"),
        (["hydra.job.chdir=True", "-m"], "hydra.job.chdir=True: not supported"),
        (["--config-dir", "."], "--config-dir is not supported; put the files into conf/"),
        (["-cd=."], "--config-dir is not supported; put the files into conf/"),
        (["--config-path=."], "--config-path is not supported; put the files into conf/"),
        (["-cn", "x"], "--config-name is not supported; conf/config.yaml is the only one"),
        (["--experimental-rerun", "x"], "--experimental-rerun is not supported; give"),
        (["-m", "seed=1,2"], "seed=1,2: overrides stand in one row, behind all flags"),
        (["-m", "--cfg", "job"], "--run, -m, --cfg, --info and --shell-completion: expected one"),
        (["=3"], "'=3' names no key; expected <key>=<value>"),
        (["--nonsense"], "unrecognized arguments: --nonsense; expected <key>=<value>"),
    ],
)
def test_a_flag_that_would_change_where_things_lie_is_refused_in_a_line(
    arguments: list[str], message: str
) -> None:
    done = call("train", "experiment=mnist", *arguments)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"goodfit: {message}")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.fault(45)
@pytest.mark.parametrize("script", ["train", "compose", "repro", "summary", "results"])
@pytest.mark.parametrize("level", ["1", "2"])
def test_without_assertions_every_command_ends_in_a_line(script: str, level: str) -> None:
    done = call(script, "experiment=mnist", PYTHONOPTIMIZE=level)
    assert done.returncode == 2
    assert done.stderr.startswith("goodfit: PYTHONOPTIMIZE (or python -O) turns checks off")
    assert len(done.stderr.splitlines()) == 1


COLUMNS = [
    "age",
    "Order Date",
    "null",
    "2024",
    "gr\u00f6\u00dfe",
    'a "b"',
    "it's",
    "rate (%)",
    "a,b",
]


@pytest.mark.slow
@pytest.mark.fault(46)
@pytest.mark.parametrize("name", COLUMNS)
def test_what_is_advised_about_a_column_names_it_whatever_its_letters(name: str) -> None:
    advised = [faults.drop(name), faults.named(name, "time")]
    given = compose(tiny.ROOT, ["experiment=breast_cancer", *shlex.split(" ".join(advised))])
    assert given.data.drop == [name]
    assert given.data.time == name


@pytest.mark.slow
@pytest.mark.fault(46)
@pytest.mark.parametrize("name", COLUMNS)
def test_how_a_column_is_to_be_read_is_advised_in_a_form_that_works(name: str) -> None:
    said = faults.override(name, "category")
    _, in_yaml, content = said.rpartition("in the YAML of data: ")
    if in_yaml:
        assert OmegaConf.create(content) == {"columns": {name: "category"}}
    else:
        given = compose(tiny.ROOT, ["experiment=breast_cancer", *shlex.split(said)])
        assert given.data.columns == {name: "category"}
