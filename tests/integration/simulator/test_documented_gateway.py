"""The gateway of the API document, where it differs from the recorded one."""

from typing import Any

import pytest

FAST = "dreamina-seedance-2-0-fast"

LENGTHS = [
    ("duration wins", {"duration": 10, "seconds": "6", "metadata": {"duration": 4}}, 10),
    ("seconds without a duration", {"seconds": "6", "metadata": {"duration": 4}}, 6),
    ("a duration of 0 is none", {"duration": 0, "seconds": "6"}, 6),
    ("metadata where nothing else is", {"metadata": {"duration": 4}}, 4),
]


@pytest.mark.parametrize(("body", "duration"), [case[1:] for case in LENGTHS], ids=[c[0] for c in LENGTHS])
def test_a_top_level_duration_counts(night: Any, body: dict[str, Any], duration: int) -> None:
    """duration before seconds before metadata.duration, as the document says."""

    async def story(gateway: Any) -> Any:
        await gateway.accepted(**body)
        return (await gateway.charges())[0]["duration"]

    assert night(story, variant="document") == duration


def test_a_model_is_not_allowed(night: Any) -> None:
    """400 for a model that does not exist; 403 for one that this key may not use."""

    async def story(gateway: Any) -> Any:
        return (
            await gateway.submit(model="seedance-9"),
            await gateway.submit(model="dreamina-seedance-2-0", key="sk-limited"),
            await gateway.submit(prompt=None),
            await gateway.charges(),
        )

    unknown, forbidden, no_prompt, charges = night(story, variant="document")
    assert (unknown.status, forbidden.status, charges) == (400, 403, [])
    assert unknown.json["error"]["message"].startswith("model not allowed (request id: ")
    assert (no_prompt.status, no_prompt.json["message"]) == (400, "prompt is required")


@pytest.mark.parametrize(("key", "scenario"), [("sk-poor", {}), ("sk-main", {"balance": 1000})])
def test_too_little_money_is_402(night: Any, key: str, scenario: dict[str, Any]) -> None:
    """402 insufficient user quota, whether the key's own quota or the user's balance is short."""

    async def story(gateway: Any) -> Any:
        return await gateway.submit(key=key), await gateway.charges()

    reply, charges = night(story, variant="document", **scenario)
    assert (reply.status, charges) == (402, [])
    assert reply.json["error"]["message"].startswith("insufficient user quota (request id: ")


def test_a_task_begins_as_submitted(night: Any) -> None:
    """The document knows no NOT_START."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted()
        openai = await gateway.call("GET", f"/v1/videos/{remote_id}")
        return await gateway.poll(remote_id), openai.json, await gateway.ended(remote_id)

    first, openai, last = night(story, variant="document")
    assert [first["status"], openai["status"], last["status"]] == ["SUBMITTED", "queued", "SUCCESS"]
