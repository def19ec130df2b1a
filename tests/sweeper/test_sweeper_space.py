"""Overrides become ranges with the meaning that they have in the released sweeper."""

from __future__ import annotations

from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution as Choice
from optuna.distributions import FloatDistribution as Float
from optuna.distributions import IntDistribution as Int
from optuna.trial import create_trial

from hydra_plugins.hydra_optuna_sweeper import _space
from hydra_plugins.hydra_optuna_sweeper._errors import SweepError


def read(*arguments: str, conditions: Any = (), constraints: Any = ()) -> _space.Space:
    return _space.read(arguments, conditions=conditions, constraints=constraints, custom=None)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("key=choice(1,2)", Choice([1, 2])),
        ("key=1,2", Choice([1, 2])),
        ("key=choice(true,false)", Choice([True, False])),
        ("key=null,1", Choice([None, 1])),
        ("key=choice('hello','world')", Choice(["hello", "world"])),
        ("key=choice(a,b,a)", Choice(["a", "b"])),
        ("key=choice([1,2],{a:3})", Choice(["[1,2]", "{a:3}"])),
        ("key=sort(choice(3,1,2))", Choice([1, 2, 3])),
        ("key=sort(3,1,2,reverse=true)", Choice([3, 2, 1])),
        ("key=shuffle(range(1,3))", Choice([1, 2])),
        ("key=shuffle(choice(c,a,b))", Choice(["c", "a", "b"])),
        ("key=float(choice(1,2))", Choice([1.0, 2.0])),
        ("key=str(choice(1,2))", Choice(["'1'", "'2'"])),
        ("key=int(1.2,2.7)", Choice([1, 2])),
        ("key=range(1,3)", Int(1, 3)),
        ("key=range(4)", Int(0, 4)),
        ("key=range(0,10,step=3)", Int(0, 9, step=3)),
        ("key=tag(log,range(1,10))", Int(1, 10, log=True)),
        ("key=range(0.5,5.5,step=1)", Float(0.5, 5.5, step=1)),
        ("key=range(-5.5,5.5,step=0.5)", Float(-5.5, 5.5, step=0.5)),
        ("key=range(0.0,1.0,step=0.3)", Float(0.0, 0.9, step=0.3)),
        ("key=interval(0.5,5)", Float(0.5, 5)),
        ("key=interval(1,5)", Float(1, 5)),
        ("key=interval(1e-5,1e-1)", Float(1e-5, 1e-1)),
        ("key=int(interval(1,5))", Int(1, 5)),
        ("key=tag(log,interval(1,5))", Float(1, 5, log=True)),
        ("key=tag(log,int(interval(1,5)))", Int(1, 5, log=True)),
        ("key=int(tag(log,interval(1,5)))", Int(1, 5, log=True)),
        ("key=tag(a,b,log,interval(1e-3,1.0))", Float(1e-3, 1.0, log=True)),
    ],
)
def test_a_range_means_what_it_means_in_the_released_sweeper(override: str, expected: Any) -> None:
    assert read(override).searched == {"key": expected}


@pytest.mark.parametrize(
    "override",
    [
        "key=5",
        "key=text",
        "key=[1,2]",
        "key='a,b'",
        "+key=1",
        "++key=1",
        "~key",
        "~key=1",
        "key=null",
        "key=",
    ],
)
def test_a_value_is_the_same_for_all_trials_as_it_was_typed(override: str) -> None:
    space = read(override)
    assert (dict(space.searched), list(space.fixed)) == ({}, [override])


@pytest.mark.parametrize("key", ["+key", "++key", "a.b.c", "db@backup", "a/b"])
def test_a_key_keeps_its_sign_and_its_package(key: str) -> None:
    assert list(read(f"{key}=1,2").searched) == [key]


@pytest.mark.parametrize(
    ("first", "then", "searched", "fixed"),
    [
        ("x=range(1,3)", "x=5", {}, ["x=5"]),
        ("x=5", "x=range(1,3)", {"x": Int(1, 3)}, []),
        ("x=range(1,3)", "x=range(1,9)", {"x": Int(1, 9)}, []),
        ("x=range(1,3)", "+x=5", {}, ["+x=5"]),
        ("x=range(1,3)", "~x", {}, ["~x"]),
    ],
)
def test_of_two_overrides_with_one_key_the_later_counts(
    first: str, then: str, searched: Any, fixed: Any
) -> None:
    space = read(first, then)
    assert (dict(space.searched), list(space.fixed)) == (searched, fixed)


@pytest.mark.parametrize(
    "override",
    [
        "x=interval(1,1)",
        "x=interval(2,1)",
        "x=range(3,3)",
        "x=range(3,1)",
        "x=choice(",
        "x=tag(log,interval(0,1))",
        "x=interval(nan,1)",
        "x=interval(0,inf)",
        "x=range(0,inf)",
        "x=range(0,1,step=0)",
        "x=range(0.0,1.0,step=0)",
        "x=range(5,0,step=-1)",
        "x=sort(range(1,5),reverse=true)",
        "x=tag(log,range(1,10,step=2))",
        "x=tag(log,range(0.5,10))",
        "x",
    ],
)
def test_a_range_with_nothing_in_it_is_a_mistake_of_one_line(override: str) -> None:
    with pytest.raises(SweepError) as mistake:
        read(override)
    assert len(str(mistake.value).splitlines()) == 1
    assert "x" in str(mistake.value)


def test_a_shuffled_range_is_the_same_space_each_time() -> None:
    prints = {read("x=shuffle(range(0,50))").fingerprint() for _ in range(3)}
    assert len(prints) == 1


@pytest.mark.parametrize(
    ("override", "points"),
    [
        ("x=range(1,4)", [1, 2, 3]),
        ("x=range(0,10,step=5)", [0, 5]),
        ("x=range(-1.0,1.0,step=1)", [-1.0, 0.0]),
        ("x=choice(a,b)", ["a", "b"]),
    ],
)
def test_a_grid_leaves_out_the_end_of_a_range(override: str, points: list[Any]) -> None:
    assert [point["x"] for point in read(override).grid()] == points


@pytest.mark.parametrize(
    "override", ["x=interval(0,1)", "x=int(interval(0,4))", "x=tag(log,int(interval(1,4)))"]
)
def test_a_grid_over_an_interval(override: str) -> None:
    # Optuna keeps no trace of interval: it is range(0,4), as released
    if override == "x=int(interval(0,4))":
        assert len(read(override).grid()) == 4
        return
    with pytest.raises(SweepError, match="use range or choice"):
        read(override).grid()


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ({"when": {"z": 1}, "params": {"y": "1,2"}}, "'z' is not searched as a choice"),
        ({"when": {"x": "c"}, "params": {"y": "1,2"}}, "x is never c; choices: a, b"),
        ({"when": {"x": []}, "params": {"y": "1,2"}}, "x is never one of no values"),
        ({"when": {"x": "a"}, "params": {"y": "1"}}, "'y=1' must be a range of its own"),
        ({"when": {"x": "a"}, "params": {"x": "1,2"}}, "must be a range of its own"),
        ({"when": {"x": "a"}}, "expected when"),
        ({"when": "x", "params": {"y": "1,2"}}, "expected when"),
        ("x", "expected when"),
        (5, "expected when"),
    ],
)
def test_a_condition_that_never_holds_is_a_mistake(condition: Any, message: str) -> None:
    with pytest.raises(SweepError, match=r"hydra\.sweeper\.conditions") as mistake:
        read("x=a,b", conditions=[condition])
    assert message in str(mistake.value)


@pytest.mark.parametrize(
    ("text", "values", "violation"),
    [
        ("a <= 5", {"a": 7}, 2),
        ("a >= 5", {"a": 7}, -2),
        ("model.width * model.depth <= 2 ** 3", {"model.width": 3, "model.depth": 4}, 4),
        ("a / b <= 1", {"a": 1, "b": 0}, 1e300),
        ("a <= 5", {}, None),
    ],
)
def test_a_constraint_says_by_how_much_it_is_broken(text: str, values: Any, violation: Any) -> None:
    (constraint,) = read("model.width=1,2", "model.depth=1,2", constraints=[text]).constraints
    assert constraint.violation(values) == violation


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x < 5", "not of the form"),
        ("x <= y <= 5", "not of the form"),
        ("x <= ", "not of the form"),
        ("x.y <= 5", "not searched"),
        ("f(x) <= 5", "names, numbers"),
        ("x <= 'a'", "names, numbers"),
        ("__import__('os').getcwd() <= 5", "names, numbers"),
    ],
)
def test_a_constraint_is_an_inequality_and_nothing_else(text: str, message: str) -> None:
    with pytest.raises(SweepError, match=message):
        read("x=1,2", constraints=[text])


def test_a_constraint_on_words_is_a_mistake() -> None:
    (constraint,) = read("x=a,b", constraints=["x <= 5"]).constraints
    with pytest.raises(SweepError, match="needs numbers"):
        constraint.violation({"x": "a"})


def test_a_constraint_knows_a_key_without_its_plus() -> None:
    (constraint,) = read("+x=range(1,9)", constraints=["x <= 5"]).constraints
    from hydra_plugins.hydra_optuna_sweeper._constraints import trial_values

    trial = create_trial(value=0, params={"+x": 8}, distributions={"+x": Int(1, 9)})
    assert constraint.violation(trial_values(trial)) == 3
