"""The control socket: ``door`` speaks JSON-RPC to clients, ``methods`` names the function of each method.

``call`` holds what a function works on; ``accounts``, ``logins``, ``quota`` and ``records`` hold the functions.
"""
