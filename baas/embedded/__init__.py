"""The embedded stack: one supervisor that runs the whole product on one machine.

Imports neither Django nor any room of the product, so that it starts at once; the processes that
it starts see the same variables as in any production deployment.
"""
