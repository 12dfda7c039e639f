"""Compile phonenumbers' metadata into one automaton over the digits of a raw number.

Follows `phonenumberutil.parse` 9.0 for texts of digits only. Four layers, each a set of nodes in one store and
each read by the next:

* *significant*: what a national significant number is (`Plan`);
* *national*: the digits after the calling code, as one region writes them: with its national prefix or not;
* *international*: the calling code, then the national part by the rules of the code's main region;
* *dialled*: what somebody in a region writes without a plus: an international prefix, the region's own
  calling code without a plus, or a national number (`include.phone.dialled`).
"""

import phonenumbers

from include.phone.dialled import MIN_DIGITS, Dialled
from include.phone.national import National, significant
from include.phone.nodes import HORIZON, UNDECIDED, Nodes, Outcome, problem
from include.phone.patterns import UnsupportedPattern
from include.phone.plans import MAX_CODE_DIGITS, Plan, calling_codes

NO_REGION = ""


class Automaton:
    """`nodes` and their entries: `plus` after a plus sign, `dialled[region]` without one."""

    def __init__(self) -> None:
        self.nodes = Nodes()
        self._national: dict[str, National] = {}
        self._main: dict[int, int] = {}
        for code in calling_codes():
            self._add_plan(code)
        self._abroad = self._international(problem("unknown_country_code"), problem("too_short"))
        # After a plus, an unknown calling code makes `parse` try again without the plus.
        self.plus = self._international(None, None)
        self.dialled = {NO_REGION: self._nowhere(0)}
        for region in sorted(phonenumbers.SUPPORTED_REGIONS):
            self.dialled[region] = self._dialled(region)

    def _add_plan(self, code: int) -> None:
        self._main[code] = UNDECIDED
        try:
            plan = Plan(code)
            root = significant(self.nodes, plan)
        except UnsupportedPattern:
            return
        for region in plan.regions:
            try:
                national = National(self.nodes, plan, region, root)
            except UnsupportedPattern:
                continue
            if region == plan.main:
                self._main[code] = national.root
            # Calling codes of no country all have the "region" 001; nobody dials from there.
            self._national[region] = national

    def _international(self, unknown: Outcome | None, too_short: Outcome | None) -> int:
        """A calling code and its number. `too_short` is the end of up to two digits."""
        nodes = self.nodes
        lost = UNDECIDED if unknown is None else self._chain(unknown, HORIZON)

        def after(digits: str) -> int:
            if digits and digits[0] != "0" and int(digits) in self._main:
                return shortened(self._main[int(digits)], len(digits))
            if len(digits) == MAX_CODE_DIGITS or digits == "0":
                return shortened(lost, len(digits))
            return nodes.add(too_short, [after(f"{digits}{digit}") for digit in range(10)])

        def shortened(node: int, length: int) -> int:
            """`node`, but an end within the first two digits of the whole is too short."""
            if length >= MIN_DIGITS or node == UNDECIDED:
                return node
            return nodes.add(too_short, [shortened(child, length + 1) for child in nodes.rows[node]])

        return after("")

    def _nowhere(self, length: int) -> int:
        """Digits without a plus, and no region to read them in."""
        if length > HORIZON:
            return UNDECIDED
        end = problem("unknown_region") if length >= MIN_DIGITS else None
        return self.nodes.add(end, [self._nowhere(length + 1)] * 10)

    def _chain(self, end: Outcome, length: int) -> int:
        return self.nodes.add(end, [self._chain(end, length - 1) if length else UNDECIDED] * 10)

    def _dialled(self, region: str) -> int:
        national = self._national.get(region)
        if national is None or self._main[national.plan.code] == UNDECIDED:
            return UNDECIDED
        try:
            return Dialled(self.nodes, national, self._main[national.plan.code], self._abroad).root
        except UnsupportedPattern:
            return UNDECIDED
