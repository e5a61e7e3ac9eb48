"""Shared ground of every room.

Nouns (`types`), the error tree (`errors`), configuration (`settings`), the way to the database
(`database`), structured logs (`logs`), encryption and API keys (`secrets`) and identifiers (`ids`).
Imports no other room; `core.cli` is the composition root and the one declared exception.
"""
