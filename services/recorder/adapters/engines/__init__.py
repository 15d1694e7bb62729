"""Recognisers behind one port: any of them can write a call down."""
