"""`python -m core.cli` is `seqpulse`: how our processes start each other."""

from core.cli import main

main()
