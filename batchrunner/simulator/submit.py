"""The two submit routes: check in the gateway's order, record the charge, then answer."""

import asyncio
from itertools import takewhile

from aiohttp import web

from batchrunner.simulator import refusal, strict, submission, video_model
from batchrunner.simulator.answers import REQUEST_ID, reset
from batchrunner.simulator.api_keys import Key
from batchrunner.simulator.charge import Caller, Charge, Order, order_of, short_hash
from batchrunner.simulator.faults import GENERATE, REFRESH, SUBMIT
from batchrunner.simulator.inputs import first_frame, media_of
from batchrunner.simulator.life import Ending, Life
from batchrunner.simulator.reading import input_frames, unreadable_input
from batchrunner.simulator.rules import Rule
from batchrunner.simulator.submission import ArkRequest, Submission
from batchrunner.simulator.submit_faults import accepted_answer, fault_before_accept
from batchrunner.simulator.world import World

_READING = 1  # nominal second, until the model gives up on a link
_LARGE = 1024 * 1024  # bytes; a larger body is read in a thread, so that polls are answered meanwhile


class SubmitRoute:
    """POST /v1/video/generations and /v1/videos."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Accept and charge the submission, or apply a fault; raises Denied."""
        asked_at, key = self._world.now(), self._world.key(request)
        body = await _read(request)
        large, scenario = len(body) > _LARGE, self._world.scenario
        args = (body, request.headers.get("Content-Type", ""), key, scenario.documented)
        asked = await asyncio.to_thread(_checked, *args) if large else _checked(*args)
        self._check_quota(key, asked.model)
        ark = scenario.makes.apply(submission.build(asked, scenario.documented))
        rule = self._world.pick(SUBMIT, asked.prompt)
        refused = fault_before_accept(self._world, request, rule)
        if refused is not None:
            return refused
        if rule is not None and rule.do == "cut_hold_kept":
            self._world.book.hold(key.name, video_model.hold(asked.model), self._world.now())
            return reset(request)
        video_model.refuse_told(asked.prompt)
        if scenario.strict:
            strict.refuse(asked.model, ark)
        shape = video_model.shape_of(ark, scenario.seed, asked.prompt, ark.get("seed", None))
        self._check_upstream_limits(key.user, asked.model)
        tokens = shape.tokens(input_frames(self._world.tasks, list(media_of(ark))))
        caller = Caller(key.name, key.token_id, request[REQUEST_ID], asked_at, request.path, short_hash(body))
        parts = (caller, asked, ark, shape, scenario.makes.billed(tokens))
        order = await asyncio.to_thread(order_of, *parts) if large else order_of(*parts)
        if rule is not None and rule.do == "slow_accept":
            # The upstream is slow; the charge happens whether or not the client is still waiting.
            await asyncio.sleep(rule.seconds * self._world.time_scale)
        charge = self._accept(order, rule)
        await self._keep_first_frame(ark)  # not earlier: what was checked must still hold at the charge
        return await accepted_answer(self._world, request, charge, rule)

    async def _keep_first_frame(self, ark: ArkRequest) -> None:
        url = first_frame(list(media_of(ark)))
        if isinstance(url, str) and url.startswith("data:"):
            await asyncio.to_thread(self._world.first_frames.keep, url)

    def _check_quota(self, key: Key, model_name: str) -> None:
        needed, scenario = video_model.hold(model_name), self._world.scenario
        balance = self._world.balance(key.user)
        if balance is not None and balance < needed:
            raise refusal.insufficient() if scenario.documented else refusal.user_quota(balance, needed)
        if key.quota is not None:
            left = self._world.key_left(key)
            if left < needed:
                raise refusal.insufficient() if scenario.documented else refusal.token_quota(left, needed)

    def _check_upstream_limits(self, user: str, model_name: str) -> None:
        """429 if the upstream accepts no more of a user: per minute for this model, or in its queue."""
        world, scenario = self._world, self._world.scenario
        limit = scenario.queue_limit
        if limit is not None and world.tasks.waiting(user, world.now()) >= limit:
            raise video_model.busy()
        if scenario.submits_per_minute is not None:
            since = world.now() - 60 * world.time_scale
            newest = takewhile(lambda charge: charge.at > since, reversed(world.book.charges))
            own = (charge for charge in newest if scenario.user_of(charge.key) == user)
            if sum(charge.model == model_name for charge in own) >= scenario.submits_per_minute:
                raise video_model.busy()

    def _accept(self, order: Order, rule: Rule | None) -> Charge:
        """Decide the task's life and record the charge: from here on it would be billed."""
        world = self._world
        world.catch_up()
        ordinal = len(world.book.charges) + 1
        remote_id = world.scenario.remote_id(ordinal)
        fates = [fate for on in (GENERATE, REFRESH) if (fate := world.pick(on, order.prompt))]
        told = video_model.told(order.prompt)
        now = world.now()
        user, queued = world.scenario.user_of(order.key), world.scenario.queue_seconds * world.time_scale
        running_at = world.tasks.starts_at(user, now, queued)
        unreadable = unreadable_input(world, order.media, running_at)
        if unreadable:
            gives_up_at = running_at + _READING * world.time_scale
            life = Life(now, running_at, gives_up_at, Ending.UNREADABLE)
        else:
            life = self._life(order, remote_id, (now, running_at), fates)
        charge = Charge(
            **vars(order),
            ordinal=ordinal,
            remote_id=remote_id,
            at=now,
            made_seed=_made_seed(order.seed, world.scenario.drawn_seed(remote_id)),
            faults=[
                *([f"submit:{rule.do}"] if rule else []),
                *(f"{fate.on}:{fate.do}" for fate in fates),
                *([f"ark:{told}"] if told else []),
                *([unreadable] if unreadable else []),
            ],
            life=life,
        )
        world.book.charge(charge, world.tally.changes())
        world.tasks.add(charge)
        return charge

    def _life(self, order: Order, remote_id: str, begins: tuple[float, float], fates: list[Rule]) -> Life:
        """How a task will end whose links can be read: as the rules say, otherwise as its prompt says.

        It `begins` with the Unix times at which it is created and starts running.
        """
        world, scenario = self._world, self._world.scenario
        length = order.duration or order.frames / video_model.FPS
        nominal = scenario.generating(remote_id, order.model, order.resolution, length)
        ending = video_model.ENDINGS.get(video_model.told(order.prompt), Ending.SUCCEEDED)
        for fate in fates:
            nominal *= fate.factor if fate.do == "slow" else 1
            ending = video_model.ENDINGS.get(fate.word if fate.do == "expired" else fate.do, ending)
        takes = world.pace.timeout if ending is Ending.STUCK else nominal * world.time_scale
        flicker = any((fate.on, fate.do) == (REFRESH, "error") for fate in fates)
        return Life(*begins, begins[1] + takes, ending, flicker)


def _made_seed(sent: int | None, drawn: int) -> int:
    """The seed that the model echoes: -1 lets the model choose."""
    return drawn if sent is None or sent < 0 else sent


def _checked(body: bytes, content_type: str, key: Key, documented: bool) -> Submission:
    value = submission.parse_body(body, content_type)
    return submission.check_fields(submission.check_model(value, key, documented), value)


async def _read(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise submission.too_large() from error
