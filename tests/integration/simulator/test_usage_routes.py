"""What a key can read about its spending, and where spending ends."""

import json
from typing import Any


def test_log_rows_are_as_recorded(night: Any) -> None:
    """A submission's row has its request id and no task id; the settlement's names the task."""

    async def story(gateway: Any) -> Any:
        reply = await gateway.submit(metadata={"resolution": "480p", "duration": 4})
        early = (await gateway.call("GET", "/api/log/token")).json["data"]
        await gateway.ended(reply.json["id"])
        return reply, early, await gateway.call("GET", "/api/log/token")

    reply, early, log = night(story)
    assert [row["type"] for row in early] == [2]
    settled, submitted = log.json["data"]
    assert (log.json["success"], log.json["message"]) == (True, "")
    assert [settled["id"], submitted["id"]] == [1, 2]
    assert (submitted["type"], submitted["quota"]) == (2, 700_000)
    assert submitted["request_id"] == reply.headers["X-Oneapi-Request-Id"]
    assert json.loads(submitted["other"]) == {
        "group_ratio": 1,
        "is_model_mapped": True,
        "is_task": True,
        "model_price": -1,
        "model_ratio": 2.8,
        "request_path": "/v1/video/generations",
        "upstream_model_name": "dreamina-seedance-2-0-fast-260128",
    }
    assert (settled["type"], settled["quota"], settled["token_name"]) == (6, 586_337, "main")
    assert (
        settled["content"]
        == "token重算：tokens=40594, modelRatio=2.80, groupRatio=1.00, otherMultiplier=1.0000"
    )
    assert settled["request_id"] != submitted["request_id"]
    other = json.loads(settled["other"])
    assert (other["task_id"], other["pre_consumed_quota"], other["actual_quota"]) == (
        reply.json["id"],
        700_000,
        113_663,
    )


def test_a_failed_task_is_refunded_in_the_log(night: Any) -> None:
    """The refund's row names the task, the whole hold and the reason."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted("ark:fail")
        task = await gateway.ended(remote_id)
        return task, (await gateway.call("GET", "/api/log/token")).json["data"][0]

    task, row = night(story)
    other = json.loads(row["other"])
    assert (row["type"], row["quota"]) == (6, 700_000)
    assert (other["task_id"], other["reason"]) == (task["task_id"], task["fail_reason"])


def test_a_task_dearer_than_its_hold_is_charged_again(night: Any) -> None:
    """Where the final price is above the hold, the settlement is one more consumption."""

    async def story(gateway: Any) -> Any:
        await gateway.ended(await gateway.accepted(metadata={"resolution": "1080p", "duration": 10}))
        return (await gateway.call("GET", "/api/log/token")).json["data"][0]

    row = night(story)
    assert (row["type"], json.loads(row["other"])["actual_quota"]) == (2, 700_000 + row["quota"])


def test_rows_are_those_of_the_key(night: Any) -> None:
    """The log of one key does not show what another one has spent."""

    async def story(gateway: Any) -> Any:
        await gateway.submit(key="sk-other")
        return [
            (await gateway.call("GET", "/api/log/token", key)).json["data"] for key in ("sk-main", "sk-other")
        ]

    main, other = night(story)
    assert (len(main), len(other)) == (0, 1)


def test_look_ups_are_limited(night: Any) -> None:
    """Twenty look-ups of log and quota together, then an empty 429; other routes go on."""

    async def story(gateway: Any) -> Any:
        paths = ["/api/log/token", "/api/usage/token/"] * 10
        statuses = [(await gateway.call("GET", path)).status for path in paths]
        return statuses, await gateway.call("GET", paths[0]), await gateway.call("GET", "/api/status")

    statuses, limited, status = night(story)
    assert statuses == [200] * 20
    assert (limited.status, limited.body, limited.headers["Retry-After"]) == (429, b"", "1200")
    assert status.json["data"]["quota_per_unit"] == 500_000


def test_quota_and_billing_agree(night: Any) -> None:
    """The usage page and the billing pair agree on what a key has and has used."""

    async def story(gateway: Any) -> Any:
        await gateway.ended(await gateway.accepted(metadata={"resolution": "480p", "duration": 4}))
        replies = {}
        for path in ("/api/usage/token", "/api/usage/token/", "/v1/dashboard/billing/usage"):
            replies[path] = await gateway.call("GET", path)
        limits = [
            (await gateway.call("GET", "/v1/dashboard/billing/subscription", key)).json["hard_limit_usd"]
            for key in ("sk-main", "sk-poor")
        ]
        unknown = await gateway.call("GET", "/api/usage/token/", "sk-unknown")
        return replies, limits, unknown

    replies, limits, unknown = night(story)
    redirect = replies["/api/usage/token"]
    assert (redirect.status, redirect.headers["Location"]) == (301, "/api/usage/token/")
    quota = replies["/api/usage/token/"].json["data"]
    assert (quota["total_used"], quota["total_available"], quota["unlimited_quota"]) == (
        113_663,
        -113_663,
        True,
    )
    assert replies["/v1/dashboard/billing/usage"].json == {"object": "list", "total_usage": 22.7326}
    assert limits == [100_000_000, 0.002]
    assert (unknown.status, unknown.json["success"]) == (401, False)


def test_a_key_with_less_than_the_hold_is_refused(night: Any) -> None:
    """The recorded refusal of sk-poor, which may still poll."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted()
        poll = await gateway.call("GET", f"/v1/video/generations/{remote_id}", "sk-poor")
        return await gateway.submit(key="sk-poor"), poll

    reply, poll = night(story)
    assert (reply.status, reply.json) == (
        403,
        {
            "code": "pre_consume_token_quota_failed",
            "message": "token quota is not enough, token remain quota: ＄0.002000, need quota: ＄1.400000",
            "data": None,
        },
    )
    assert poll.status == 200


def test_a_balance_is_free_again_when_tasks_settle(night: Any) -> None:
    """Holds are larger than prices: what is refused while one is in flight is accepted after it."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted()
        refused = await gateway.submit()
        await gateway.ended(remote_id)
        return refused, await gateway.submit(), await gateway.charges()

    refused, later, charges = night(story, balance=1_000_000)
    assert (refused.status, refused.json["code"]) == (403, "insufficient_user_quota")
    assert (later.status, len(charges)) == (200, 2)


def test_a_key_of_the_scenario_has_its_own_quota(night: Any) -> None:
    """A scenario's key has its own quota, and is unknown once that is used up."""

    async def story(gateway: Any) -> Any:
        first = await gateway.submit(key="sk-tight", metadata={"resolution": "1080p", "duration": 10})
        await gateway.ended(first.json["id"])
        return first, await gateway.submit(key="sk-tight"), await gateway.submit(key="sk-gone")

    keys = {"sk-tight": {"name": "tight", "quota": 800_000}, "sk-gone": {"valid": False}}
    replies = night(story, keys=keys)
    assert [reply.status for reply in replies] == [200, 401, 401]


def test_an_operator_may_keep_no_log(night: Any) -> None:
    """Without the usage log there are no rows, and a charge can't be found that way."""

    async def story(gateway: Any) -> Any:
        await gateway.accepted()
        return (await gateway.call("GET", "/api/log/token")).json, await gateway.charges()

    log, charges = night(story, usage_log=False)
    assert (log, len(charges)) == ({"data": [], "message": "", "success": True}, 1)


def test_a_key_is_revoked_midway(night: Any) -> None:
    """For a while every route refuses the key; the task goes on meanwhile."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted()
        paths = [f"/v1/video/generations/{remote_id}", f"/v1/videos/{remote_id}/content", "/v1/models"]
        paths += ["/api/log/token", "/v1/dashboard/billing/usage"]
        gateway.clock.later(60)
        refused = [(await gateway.call("GET", path)).status for path in paths]
        refused.append((await gateway.submit()).status)
        gateway.clock.later(60)
        return refused, await gateway.poll(remote_id)

    refused, task = night(story, keys={"sk-main": {"name": "main", "revoked": [50, 100]}})
    assert (refused, task["status"]) == ([401] * 6, "SUCCESS")
