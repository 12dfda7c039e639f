"""A CM.com that runs on this machine: gateway, message log, webhooks, templates, people and faults.

`simulator` is the command `whatsapp simulator`, `run` the same for a caller in Python. Nothing here imports
the rest of the project, so that the simulator cannot share its mistakes.

How the parts hang together: `app` (HTTP) → `gateway` (what is accepted) → `journal` (remembers) and `judge`
(counts); `courier` pushes what `fates` says of a message and `population` of its recipient; `transactions`
answers the log from the same. `control` is `/_sim/*`, `settings` everything the contract leaves open.
"""

from include.simulator.gateway.command import run, simulator

__all__ = ["run", "simulator"]
