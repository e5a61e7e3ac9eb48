"""The HTTP edge: what CI, people and pipelines talk to.

`app` puts it together; `deployments`, `verdicts`, `samples`, `projects`, `channels`,
`deliveries` and `health` are the routes; `auth` finds out who is calling, `limits` how often they
may, `schemas` is the wire contract, `problems` turns every error into RFC 9457 problem details.
"""
