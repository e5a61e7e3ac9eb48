"""The HTTP edge: what CI, people and pipelines talk to.

`app` puts it together; `deployments`, `verdicts`, `samples`, `projects`, `keys`, `channels`,
`deliveries` and `health` are the routes. A request passes `edge` (its name, the bounds of its
head), `body` (size and time), `auth` (who is calling), `limits` (how often they may) and
`idempotency` (whether it was answered before), all by way of `routes`. `schemas` is the wire
contract, `problems` turns every error into RFC 9457 problem details.
"""
