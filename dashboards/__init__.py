"""Grafana boards as code: `boards` say what is shown, `frame` and `panels` how, `build` writes.

Only `build` and what it imports need the Grafana Foundation SDK, a dependency of developers; what
is shipped are the files in `grafana/` and `provisioning/`. Panels read schema `report` alone; their
SQL is in sql/queries/panels.
"""
