"""One model request on its way: a provider, an account, a model and a token chosen; tried, and tried again."""
