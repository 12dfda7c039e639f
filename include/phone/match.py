"""Keys that make two ways to write one mobile number equal. For matching only: a message goes to the number itself."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

# Mexico once wrote a 1 after 52 for mobiles, Argentina writes a 9 after 54, Brazil a 9 after the two digits of the area;
# WhatsApp knows the same person with and without (whatsapp_rules B.11: Meta's wa_id differs from the number sent to).
_RULES = ((r"^\+521(\d{10})$", r"+52\1"), (r"^\+549(\d{10})$", r"+54\1"), (r"^\+55(\d{2})9(\d{8})$", r"+55\1\2"))


def match_key(e164: pd.Series | pa.Array) -> pd.Series:
    """E.164 numbers → keys, one per input in its order; NA stays NA."""
    numbers = pd.Series(e164).astype(pd.ArrowDtype(pa.string()))
    array = numbers.array.__arrow_array__()
    for pattern, replacement in _RULES:
        array = pc.replace_substring_regex(array, pattern, replacement)
    return pd.Series(pd.arrays.ArrowExtensionArray(array), index=numbers.index)
