"""How transactions end."""

from typing import Final

from baas.kernel.metrics import Counter

ENDED: Final = Counter(
    "baas_transactions_total",
    "Interactive transactions that were ended, by outcome.",
    ["outcome"],  # committed, rolled_back, conflict
)
