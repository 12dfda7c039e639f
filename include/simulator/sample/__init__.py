"""The sample behind the entity `acme`: people over three source systems, what they said, and what they will do.

Everything follows from a size and a seed, so what must come of it is known beforehand: `expected` computes it from the
records alone, with none of the project's own code. docs/sample.md says what is in it.
"""

from include.simulator.sample.answers import population
from include.simulator.sample.build import build_sample
from include.simulator.sample.expected import expected
from include.simulator.sample.records import Answer, Customer, Preference, Sample
from include.simulator.sample.systems import seed_webshop, write_survey

__all__ = [
    "Answer",
    "Customer",
    "Preference",
    "Sample",
    "build_sample",
    "expected",
    "population",
    "seed_webshop",
    "write_survey",
]
