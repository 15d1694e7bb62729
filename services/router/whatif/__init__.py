"""The router's core under virtual time: what simulations are made of, and what-ifs: a log through another document."""
