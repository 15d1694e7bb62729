"""The router's core under virtual time: what simulations and what-ifs are made of."""
