"""Every SQL text and the thin typed functions over it.

`migrations/` builds the schema, `queries/` holds what the server runs, `adhoc/` what analysts run.
The functions here take the connection as an argument and return nouns of `core.types`.
`embedded` provides a private TimescaleDB where there is none.
"""
