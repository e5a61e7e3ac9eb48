"""Ingest: one rate-limited, SSRF-safe read of a target.

`collector.Collector.collect` is the way in. It checks where a read would go (`guard`, `resolver`),
waits for its turn (`limiter`, `turns`) and lets the target's source (`sources`: `seqpulse`,
`prometheus`) ask its question through `web`. What comes out is a `core.types.Reading` or a
`core.errors.CollectError`, nothing else. This is the only room that speaks HTTP to the outside.

The other way in is for rows that were sent to us: `rows` takes or refuses each, `files` opens CSV
and Parquet. What comes out is a frame for `sql.bulk` and the refusals.
"""
