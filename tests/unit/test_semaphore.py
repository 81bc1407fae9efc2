"""AdjustableSemaphore whose number changes while they are taken."""

import asyncio

from batchrunner.engine.semaphore import AdjustableSemaphore


def test_permits_follow_the_limit_in_order_and_none_is_revoked() -> None:
    """Raised, the longest waiting go first; lowered, those at work go on and the next one waits."""

    async def story() -> None:
        turns, began, over = AdjustableSemaphore(1), [], [asyncio.Event() for _ in range(6)]

        async def take(number: int) -> None:
            async with turns:
                began.append(number)
                await over[number].wait()

        async def settled() -> None:
            for _ in range(10):
                await asyncio.sleep(0)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(take(number)) for number in range(6)]
            await settled()
            assert began == [0]
            turns.allow(3)
            await settled()
            assert began == [0, 1, 2]
            turns.allow(1)
            over[0].set()
            over[1].set()
            await settled()
            assert began == [0, 1, 2]
            tasks[3].cancel()  # while it waits
            over[2].set()
            await settled()
            assert began == [0, 1, 2, 4]
            over[4].set()
            tasks[5].cancel()
            over[5].set()

    asyncio.run(story())


def test_permit_of_a_cancelled_waiter_goes_to_the_next() -> None:
    """Cancelled in the moment in which the turn was given, it is not lost."""

    async def story() -> None:
        turns = AdjustableSemaphore(1)
        await turns.__aenter__()
        first, second = (asyncio.create_task(turns.__aenter__()) for _ in range(2))
        await asyncio.sleep(0)
        await turns.__aexit__()
        first.cancel()
        async with asyncio.timeout(5):
            await second
        assert first.cancelled()

    asyncio.run(story())
