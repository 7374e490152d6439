"""The values of the control contract: what its methods take and give, and the events of a follow.

Times are seconds since the epoch (wall clock). Each method is declared at its function in ``codexd.control``.

Import law: standard library, attrs.
"""
