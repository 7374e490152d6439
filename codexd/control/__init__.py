"""The control contract: what codexd can be asked to do, and the Unix socket on which codexctl asks.

``method`` says what a method is, ``dispatch`` calls one by its name, ``socket`` speaks JSON-RPC. The other modules hold
the methods themselves, each file a topic; ``openrpc`` describes them.
"""
