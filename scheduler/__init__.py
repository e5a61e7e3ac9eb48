"""The job table on Postgres advisory locks that runs everything.

`jobs` are the nouns, `plan` says which jobs a deployment needs (pure), `queue` moves their rows,
`session` is a worker's connection and lock, `worker` the loop, `upkeep` looks after dead workers,
`waker` wakes living ones, `tasks` maps a kind to its handler, `retry` says when to try again
(pure), `notifying` tells people (`messages`, pure, and `github`), `baseline` makes a target be
collected for ever, `pushed` fills slots without a target, `removal` deletes projects. The argument:
docs/scheduler.md.

    pending --claim--> running --settle--> completed | failed
       ^                  |
       +-- retry, next occurrence, hand back, reap --+

A worker process proves that it lives by one session-level advisory lock on its own key. A claim
writes that key and raises `attempt`; every settle is fenced by (id, owner, attempt), so the late
result of a lost claim changes nothing. What a collect job brings home is stored in the very
transaction that settles it.
"""
