"""The hooks that azd runs around nsgflow's deployment, with nothing but Python's own library.

They run on Python 3.9, which is what macOS brings, and on every system that azd runs on.
"""
