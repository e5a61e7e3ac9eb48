"""The HTML report: pure functions from what is known of a deployment to one page, as elements.

Every text passes through htpy, which escapes it by construction; there are no scripts and no style
attributes, so that a policy with the hash of the one style sheet is enough.
"""
