"""`python -m include.simulator.gateway`: the same as `whatsapp simulator`, for tests that need no other
command.
"""

import typer

from include.simulator.gateway import simulator

if __name__ == "__main__":
    typer.run(simulator)
