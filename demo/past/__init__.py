"""A past that never was: services, what they measured, what was deployed, and who rolled back.

`services` says what each service is like, `releases` what was deployed and what harm it did,
`curves` what was measured on a day, `rows` makes table rows of that, and `make` writes them, lets
the real judge judge them in the order of time, and rolls everything up. All of it follows from the
seed and the end of the time.
"""
