"""One model request: its provider, account, model and token are chosen, then it is tried and, if needed, retried."""
