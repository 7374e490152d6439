"""The control contract: the methods that codexd offers, and the Unix socket through which codexctl calls them.

``method`` defines what a method is, ``dispatch`` calls one by its name, ``socket`` speaks JSON-RPC. The other modules
hold the methods themselves, one file per topic; ``openrpc`` describes them.
"""
