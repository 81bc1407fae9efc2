"""The two submit routes: checks in the gateway's order, the charge written down, then the answer."""

import asyncio

from aiohttp import web

from batchrunner.simulator import model, refusal, submission
from batchrunner.simulator.charge import Caller, Charge, Order, order_of, short_hash
from batchrunner.simulator.keys import Key
from batchrunner.simulator.life import Ending, Life
from batchrunner.simulator.rules import GENERATE, SUBMIT, Rule
from batchrunner.simulator.submission import Submission
from batchrunner.simulator.submit_faults import accepted_answer, fault_before_accept
from batchrunner.simulator.world import REQUEST_ID, World

_LARGE = 1024 * 1024  # bytes; a larger body is read in a thread, so that polls are answered meanwhile


class SubmitRoute:
    """POST /v1/video/generations and /v1/videos."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Accept and charge, or let a fault befall it; raises Refused."""
        asked_at, key = self._world.now(), self._world.key(request)
        body = await _read(request)
        large = len(body) > _LARGE
        args = (body, request.headers.get("Content-Type", ""), key)
        asked = await asyncio.to_thread(_checked, *args) if large else _checked(*args)
        self._check_quota(key, asked.model)
        ark = submission.build(asked, self._world.scenario.honours_duration)
        rule = self._world.pick(SUBMIT, asked.prompt)
        refused = fault_before_accept(self._world, request, rule)
        if refused is not None:
            return refused
        model.refuse_told(asked.prompt)
        shape = model.shape_of(ark)
        caller = Caller(key.name, key.token_id, request[REQUEST_ID], asked_at, request.path, short_hash(body))
        parts = (caller, asked, ark, shape)
        order = await asyncio.to_thread(order_of, *parts) if large else order_of(*parts)
        if rule is not None and rule.do == "slow_accept":
            # The upstream takes its time; the charge comes whether or not the client still waits.
            await asyncio.sleep(rule.seconds * self._world.time_scale)
        charge = self._accept(order, rule)
        return await accepted_answer(self._world, request, charge, rule)

    def _check_quota(self, key: Key, model_name: str) -> None:
        needed = model.hold(model_name)
        balance = self._world.scenario.balance
        if balance is not None:
            left = balance - self._world.tasks.spent()
            if left < needed:
                raise refusal.user_quota(left, needed)
        if key.quota is not None and self._world.key_left(key) < needed:
            raise refusal.token_quota(self._world.key_left(key), needed)

    def _accept(self, order: Order, rule: Rule | None) -> Charge:
        """Decide the task's life and write the charge down: from here on it would be billed."""
        world = self._world
        world.catch_up()
        ordinal = len(world.book.charges) + 1
        remote_id = world.scenario.remote_id(ordinal)
        fate = world.pick(GENERATE, order.prompt)
        told = model.told(order.prompt)
        ending = model.ENDINGS.get(fate.do if fate else told, Ending.SUCCEEDED)
        nominal = world.scenario.generating(remote_id) * (fate.factor if fate and fate.do == "slow" else 1.0)
        now, scale = world.now(), world.time_scale
        running_at = world.tasks.starts_at(now, world.scenario.queue_seconds * scale)
        ended_at = running_at + (scale * nominal if ending is not Ending.STUCK else world.pace.timeout)
        life = Life(now, running_at, ended_at, ending)
        charge = Charge(
            **vars(order),
            ordinal=ordinal,
            remote_id=remote_id,
            at=now,
            made_seed=_made_seed(order.seed, world.scenario.drawn_seed(remote_id)),
            faults=[
                *([f"submit:{rule.do}"] if rule else []),
                *([f"generate:{fate.do}"] if fate else []),
                *([f"ark:{told}"] if told else []),
            ],
            life=life,
        )
        world.book.charge(charge, world.tally.counts)
        world.tasks.add(charge)
        return charge


def _made_seed(sent: int | None, drawn: int) -> int:
    """The seed that the model echoes: -1 leaves it open."""
    return drawn if sent is None or sent < 0 else sent


def _checked(body: bytes, content_type: str, key: Key) -> Submission:
    value = submission.parse_body(body, content_type)
    return submission.check_fields(submission.check_model(value, key), value)


async def _read(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise submission.too_large() from error
