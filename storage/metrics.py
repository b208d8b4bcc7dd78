from typing import Final

from baas.kernel.metrics import Counter, Gauge

RECEIVED: Final = Counter(
    "baas_storage_received_bytes_total", "Bytes of completely received uploads."
)
SENT: Final = Counter("baas_storage_sent_bytes_total", "Bytes of objects handed to the server.")
ORPHANS: Final = Counter(
    "baas_storage_orphans_removed_total", "Bytes-without-an-object that sweeps removed."
)
MISSING: Final = Gauge(
    "baas_storage_objects_without_bytes",
    "Objects whose bytes the last sweep did not find.",
    multiprocess_mode="mostrecent",
)
