"""The function host: one asyncio process per node that runs user code in sandboxes.

Standard library only; it knows nothing of the product, holds no credentials and starts from a
clean environment. `python -m functions.host --socket … --data-dir … --api-url …`.
"""
