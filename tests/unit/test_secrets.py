"""What is written down carries no secret."""

from __future__ import annotations

import pytest

from goodfit.system.secrets import redact


@pytest.mark.parametrize(
    "name", ["GITHUB_TOKEN", "DB_PASSWORD", "MY_SECRET", "OPENAI_API_KEY", "AWS_ACCESS_KEY_ID"]
)
def test_the_value_of_a_variable_whose_name_says_secret_is_masked(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "tiger-lily")
    assert redact("got tiger-lily!") == "got ***!"


def test_a_variable_that_the_configuration_refers_to_is_masked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PLAIN", "tiger-lily")
    assert redact("tiger-lily", "uri: ${oc.env:PLAIN,none}") == "***"


def test_a_variable_that_nothing_calls_secret_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAIN", "tiger-lily")
    assert redact("tiger-lily") == "tiger-lily"


def test_a_value_too_short_to_be_a_secret_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USE_TOKEN", "true")
    assert redact("it is true") == "it is true"


def test_a_secret_that_contains_another_leaves_no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", "abcdef")
    monkeypatch.setenv("B_TOKEN", "abcdef-and-more")
    assert redact("abcdef-and-more") == "***"


@pytest.mark.parametrize("login", ["me:pass", "me", "me:p%40ss", "me:p@ss"])
def test_the_login_of_a_url_is_masked(login: str) -> None:
    assert (
        redact(f"postgresql+psycopg://{login}@host:5432/x")
        == "postgresql+psycopg://***@host:5432/x"
    )


@pytest.mark.parametrize(
    "key", ["token", "api_key", "apikey", "password", "X-Access-Key", "client_secret"]
)
def test_a_key_in_the_query_of_a_url_is_masked(key: str) -> None:
    text = f"https://host/x?page=2&{key}=tiger-lily&size=3"
    assert redact(text) == f"https://host/x?page=2&{key}=***&size=3"


def test_a_url_without_login_and_a_mail_address_stay() -> None:
    text = "see https://host/path, write to me@host"
    assert redact(text) == text
