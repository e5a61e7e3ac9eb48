"""A CI pipeline: calls the published SDK's client as configured by the environment."""

import json
import sys

from seqpulse import SeqPulseCIClient

client = SeqPulseCIClient(non_blocking=True)
action, arguments = sys.argv[1], json.loads(sys.argv[2])
sys.stdout.write(json.dumps(getattr(client, action)(**arguments)))
