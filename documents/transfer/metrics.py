"""What imports and exports carry."""

from typing import Final

from baas.kernel.metrics import Counter

IMPORTED: Final = Counter("baas_imported_documents_total", "Documents stored by imports.")
EXPORTED: Final = Counter("baas_exported_documents_total", "Documents sent by exports.")
