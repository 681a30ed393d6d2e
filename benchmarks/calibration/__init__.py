"""The figures behind λ: how many spreads honest frameworks are away from the oracle."""
