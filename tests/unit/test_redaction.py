"""What is secret in texts that others wrote; everything else stays as it is."""

import time

import pytest

from batchrunner.core.redaction import (
    redacted,
    redacted_beginning,
    redacted_url,
    redacted_values,
    without_user,
)

SECRET = "c4n4ry-S3cret"


@pytest.mark.parametrize(
    "text",
    [
        f"http://user:{SECRET}@10.0.0.1:3128",
        f"407, message='Proxy Authentication Required', url='http://user:{SECRET}@proxy:3128'",
        f"http://{SECRET}@proxy",
        f'"base_url":"bob:{SECRET}@host"',
        f"base_url: //bob:{SECRET}@host",
        f"base_url: https//bob:{SECRET}@host",
        f"base_url: https:/bob:{SECRET}@host",
        f"base_url: https:bob:{SECRET}@host",
        f"http://user:{SECRET}@x@proxy:3128/",
        f"http://user:a/{SECRET}?b#c@proxy:3128/",
        f"socks5h://u:{SECRET}@h",
        f"https://b.example/a.png?X-Amz-Expires=60&X-Amz-Signature={SECRET}",
        f"https://b.example/a.png?{SECRET}",
        f"GET /a.png?x=1&Signature={SECRET} failed",
        f"X-Tos-Security-Token={SECRET};",
        f"access_token={SECRET}",
        f"https://b.example/a.png;jsessionid={SECRET}",
        f"Proxy-Authorization: Basic {SECRET}==",
        f"{{'Authorization': 'Bearer {SECRET}'}}",
        f"sent Bearer {SECRET}",
        f"the key sk-{SECRET}",
        f"https://b.example/it's.png?{SECRET}",
        f"https://b.example/a<b>c.png?{SECRET}",
        f"https://b.example/{'d/' * 5000}a.png?{SECRET}",
        f"https://b.example/a.png?name='a'&{SECRET}",
        f"https://b.example/#/it's?{SECRET}",
        f"can't fetch 'https://b.example/it's.png?{SECRET}' now",
        f"{'x' * 3000} http://user:{SECRET}@proxy {'y' * 3000}",
    ],
)
def test_credentials_are_removed(text: str) -> None:
    """Whatever form they come in."""
    assert SECRET not in redacted(text)
    assert SECRET not in str(redacted_values({"a": [text, {"b": (text,)}]}))


@pytest.mark.parametrize(
    "text",
    [
        "Cannot connect to host easyrouter.io:443 ssl:default [Connection refused]",
        "https://easyrouter.io:8443/v1/models",
        "https://files.example:8080/a@b.png",
        "a cat @ home, 2:30? basic lighting; max_tokens=4096",
        "一只猫?在月球",
        "user@example.com",
        "mailto:user@example.com",
        "2:30 pm @ home: a@b",
    ],
)
def test_other_text_is_left_unchanged(text: str) -> None:
    """Words that only look alike."""
    assert redacted(text) == text


def test_a_redacted_url_still_names_host_and_path() -> None:
    """A person must still know which proxy or file it was."""
    assert redacted("http://u:p@proxy:3128 x") == "http://***@proxy:3128 x"
    assert redacted("https://h.example/a.png?sig=1, then") == "https://h.example/a.png?… then"


def test_the_users_prompt_is_not_touched() -> None:
    """It is the user's own text."""
    prompt = "a sign that says https://x.example/?q=1"
    assert redacted_values({"prompt": prompt}) == {"prompt": prompt}


def test_a_hostile_text_is_redacted_quickly() -> None:
    """Linear enough for all that is kept of an answer's words: the time limit is the judge."""
    for piece in ("a://b:", "a://", "x", "https://a", "a=", "token=", "://?"):
        redacted(f"{piece * (8_000 // len(piece))} @?")


@pytest.mark.parametrize(
    "piece", ["a://b:", "a://", "x", "https://a", "://?", "a://b'", "h://a?", "a.", "?@"]
)
def test_redaction_takes_linear_time(piece: str) -> None:
    """100 kB of anything: four times the text takes no more than about four times as long."""

    def seconds(size: int) -> float:
        text = f"{piece * (size // len(piece))} @?"
        began = time.process_time()
        redacted(text)
        return time.process_time() - began

    short = min(seconds(25_000) for _ in range(3))
    assert seconds(100_000) < 10 * short + 0.2


@pytest.mark.parametrize(
    "url",
    [
        f"https://b.example/a b\"c'd<e>.png?X-Signature={SECRET}",
        f"https://b.example/{'d/' * 5000}a.png?{SECRET}#{SECRET}",
        f"https://u:p'{SECRET}@b.example/a.png",
        f"https://u:a/{SECRET}?b@b.example/a.png?{SECRET}",
        f"https://[b.example/a b.png?{SECRET}",
    ],
)
def test_a_whole_url_loses_its_query_and_its_user_whatever_marks_it_holds(url: str) -> None:
    """Nothing ends it but its own end; host and path stay."""
    assert SECRET not in redacted_url(url)
    assert "b.example/" in redacted_url(url)


@pytest.mark.parametrize("value", ["pictures/it's?.png", "https://b.example/a.png", "asset://a-1", "a@b"])
def test_a_value_without_secrets_is_left_unchanged(value: str) -> None:
    """A file's name may hold a question mark."""
    assert redacted_url(value) == value


@pytest.mark.parametrize("scheme", ["", "//", "https//", "https:/", "https://", "ftp://"])
@pytest.mark.parametrize("password", [SECRET, f"a/{SECRET}", f"@{SECRET}", f"a b'{SECRET}?"])
def test_an_address_loses_its_user_however_it_is_written(scheme: str, password: str) -> None:
    """Scheme and host stay, so that a person sees the slip."""
    assert without_user(f"{scheme}bob:{password}@host:1/x") == f"{scheme}***@host:1/x"
    assert without_user(f"{scheme}host:1/x") == f"{scheme}host:1/x"


@pytest.mark.parametrize("before", [f"https://b.example/a?{'x' * 300} ", " " * 300, ""])
def test_the_beginning_of_a_long_text_holds_no_part_of_a_secret(before: str) -> None:
    """Wherever it is cut: what was recognised as a secret in the whole text still is."""
    for length in range(1, 120):
        text = f"{before}{'y' * length} https://bob:{SECRET}@host/ and more words {'z ' * 400}"
        assert SECRET[:4] not in redacted_beginning(text, 100)
    assert redacted_beginning("short words", 100) == "short words"
    assert redacted_beginning("some words " * 100, 16) == "some words some "
