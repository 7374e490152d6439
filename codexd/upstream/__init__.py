"""HTTP to the model providers. No other package talks to them."""
