"""What can happen to a worker while it holds claims, one coroutine each.

A strike is over when the claims it hit are free again and as many workers work as before.
"""

from __future__ import annotations

import asyncio
import signal

from core import settings
from sql import embedded
from tests.chaos.arena import Arena, Member, until

STEP_SECONDS = 2
REFUSALS = 12
RUNS_OF = (
    "SELECT array_agg((id, attempt, owner, finished_at)::text ORDER BY id) "
    "FROM job_runs WHERE id = ANY($1)"
)


async def kill(arena: Arena, victim: Member) -> None:
    """Kill -9 a worker; another one starts in its place."""
    claims, keys = await arena.claims(victim), await arena.keys(victim)
    victim.process.kill()
    victim.process.wait()
    arena.members.remove(victim)
    await arena.hire()
    await arena.freed(claims, keys)


async def stop(arena: Arena, victim: Member) -> None:
    """Stop a worker politely, as a rolling update does; another one starts in its place."""
    keys = await arena.keys(victim)
    await arena.hire()
    await arena.dismiss(victim)
    assert not await arena.ask("SELECT count(*) FROM workers WHERE key = ANY($1)", keys)
    assert not await arena.ask("SELECT count(*) FROM scheduled_jobs WHERE owner = ANY($1)", keys)


async def suspend(arena: Arena, victim: Member) -> None:
    """SIGSTOP a worker until others have done its jobs, then let the zombie go on."""
    standin = await arena.hire() if len(arena.members) == 1 else None
    victim.process.send_signal(signal.SIGSTOP)
    claims, keys = await arena.claims(victim), await arena.keys(victim)

    async def done() -> bool:  # by others, but for what was on its way when the signal came
        runs = "SELECT count(*) FROM job_runs WHERE id = ANY($1)"
        return bool(await arena.ask(runs, claims) == len(claims))

    await until(done)
    await arena.freed(claims, keys)
    before = await arena.ask(RUNS_OF, claims)
    victim.process.send_signal(signal.SIGCONT)
    await arena.back(victim, keys)
    assert await arena.ask(RUNS_OF, claims) == before  # whatever it still had to say, nobody heard
    if standin is not None:
        await arena.dismiss(standin)


async def terminate(arena: Arena, victim: Member) -> None:
    """Let the server end the connections of all workers, those of their effects included."""
    keys = await arena.ask("SELECT coalesce(array_agg(key), '{}') FROM workers")
    claims = await arena.claims(victim)
    await arena.ask(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE datname = current_database() AND backend_type = 'client backend' "
        "AND pid <> pg_backend_pid()"
    )
    await arena.freed(claims, set(keys))
    await arena.back(victim, set(keys))


async def freeze(arena: Arena, victim: Member) -> None:
    """Let the network between a worker and the server go silent, without a word to either end."""
    claims, keys = await arena.claims(victim), await arena.keys(victim)
    victim.proxy.freeze()
    await arena.freed(claims, keys)
    await arena.back(victim, keys)
    victim.proxy.cut(frozen=True)


async def cut(arena: Arena, victim: Member) -> None:
    """Break the network between a worker and the server."""
    claims, keys = await arena.claims(victim), await arena.keys(victim)
    victim.proxy.cut(frozen=False)
    await arena.freed(claims, keys)
    await arena.back(victim, keys)


async def fill_disk(arena: Arena, victim: Member) -> None:
    """Let the disk be full whenever a worker wants to record what it has finished."""
    hits = await arena.ask("SELECT last_value FROM chaos_disk_full_hits")
    await arena.ask("UPDATE chaos_disk SET is_full = true")

    async def hit_often() -> bool:
        now = await arena.ask("SELECT last_value FROM chaos_disk_full_hits")
        return bool(now >= hits + REFUSALS)

    await until(hit_often)
    await arena.ask("UPDATE chaos_disk SET is_full = false")


async def step_clock_back(arena: Arena, victim: Member) -> None:
    """Kill a worker while the server's clock steps back: its claims seem to lie in the future."""
    claims, keys = await arena.claims(victim), await arena.keys(victim)
    victim.process.kill()
    victim.process.wait()
    arena.members.remove(victim)
    await arena.ask(
        "UPDATE scheduled_jobs SET scheduled_at = clock_timestamp() + make_interval(secs => $1) "
        "WHERE owner = ANY($2)",
        STEP_SECONDS,
        keys,
    )
    await arena.hire()
    await arena.freed(claims, keys)


async def restart(arena: Arena, victim: Member) -> None:
    """Restart the server."""
    assert arena.data_dir is not None
    cache = settings.load().cache_dir
    keys = await arena.ask("SELECT coalesce(array_agg(key), '{}') FROM workers")
    claims = await arena.claims(victim)
    await arena.conn.close()
    await asyncio.to_thread(embedded.stop, arena.data_dir, cache)
    server = await asyncio.to_thread(embedded.start, arena.data_dir, cache, stay=False)
    assert str(server.port) in arena.url
    await arena.freed(claims, set(keys))
    await arena.back(victim, set(keys))
