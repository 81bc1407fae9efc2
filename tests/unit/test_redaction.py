"""What is secret in texts that others wrote; everything else stays as it is."""

import pytest

from batchrunner.core.redaction import redacted, redacted_values

SECRET = "c4n4ry-S3cret"


@pytest.mark.parametrize(
    "text",
    [
        f"http://user:{SECRET}@10.0.0.1:3128",
        f"407, message='Proxy Authentication Required', url='http://user:{SECRET}@proxy:3128'",
        f"http://{SECRET}@proxy",
        f"http://user:{SECRET}@x@proxy:3128/",
        f"http://user:a/{SECRET}?b#c@proxy:3128/",
        f"socks5h://u:{SECRET}@h",
        f"https://b.example/a.png?X-Amz-Expires=60&X-Amz-Signature={SECRET}",
        f"https://b.example/a.png?{SECRET}",
        f"GET /a.png?x=1&Signature={SECRET} failed",
        f"X-Tos-Security-Token={SECRET};",
        f"access_token={SECRET}",
        f"Proxy-Authorization: Basic {SECRET}==",
        f"{{'Authorization': 'Bearer {SECRET}'}}",
        f"sent Bearer {SECRET}",
        f"the key sk-{SECRET}",
        f"{'x' * 3000} http://user:{SECRET}@proxy {'y' * 3000}",
    ],
)
def test_credentials_go(text: str) -> None:
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
    ],
)
def test_everything_else_stays(text: str) -> None:
    """Words that only look alike."""
    assert redacted(text) == text


def test_what_is_left_names_host_and_path() -> None:
    """A person must still know which proxy or file it was."""
    assert redacted("http://u:p@proxy:3128 x") == "http://***@proxy:3128 x"
    assert redacted("https://h.example/a.png?sig=1, then") == "https://h.example/a.png?… then"


def test_the_users_prompt_is_not_touched() -> None:
    """It is the user's own text."""
    prompt = "a sign that says https://x.example/?q=1"
    assert redacted_values({"prompt": prompt}) == {"prompt": prompt}


def test_a_hostile_text_takes_no_time() -> None:
    """Linear enough for all that is kept of an answer's words: the time limit is the judge."""
    for piece in ("a://b:", "a://", "x", "https://a", "a=", "token=", "://?"):
        redacted(f"{piece * (8_000 // len(piece))} @?")
