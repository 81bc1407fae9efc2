"""Several users of the simulated gateway: what one of them has is nothing to the others."""

from typing import Any

SECOND = "sk-second"
KEYS = {SECOND: {"name": "second", "user": "second"}}
NO_BALANCE = "insufficient_user_quota"


def test_nobody_sees_the_tasks_of_another_user(night: Any) -> None:
    """Neither by a poll, nor as a video, nor in the usage log; the charge book names the key."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted(key=SECOND)
        path = f"/v1/video/generations/{remote_id}"
        polled = [(await gateway.call("GET", path, key)).status for key in ("sk-main", SECOND)]
        content = (await gateway.content(remote_id)).json["error"]["message"]
        logs = [(await gateway.call("GET", "/api/log/token", key)).json for key in ("sk-main", SECOND)]
        keys = [charge["key"] for charge in await gateway.charges()]
        return polled, content, [len(log["data"]) for log in logs], keys

    assert night(story, keys=KEYS) == ([400, 200], "Task not found", [0, 1], ["second"])


def test_each_user_has_a_capacity_and_a_balance(night: Any) -> None:
    """A full queue or an empty purse of one is not the other's."""

    async def story(gateway: Any) -> Any:
        first = [(await gateway.submit()).status for _ in range(3)]
        second = [await gateway.submit(key=SECOND) for _ in range(3)]
        return first, [reply.status for reply in second], second[-1].json["code"]

    users = {"second": {"capacity": 9, "balance": 1_500_000}}
    values = {"capacity": 1, "queue_limit": 1, "keys": KEYS, "users": users}
    assert night(story, **values, queue_seconds=0) == ([200, 200, 429], [200, 200, 403], NO_BALANCE)
