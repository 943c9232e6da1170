"""Local stand-ins for what nsgflow talks to on Azure; used by the demo, the tests and benchmarks.

Nothing in the product imports this package.
"""
