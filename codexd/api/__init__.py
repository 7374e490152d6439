"""The control contract: every method with the classes of its params and its result, and the events of a follow.

``methods`` holds the one table; the control socket and, later, the management routes, ``rpc.discover`` and the
documentation come from it. Times are seconds since the epoch (wall clock).

Import law: standard library, attrs, cattrs.
"""
