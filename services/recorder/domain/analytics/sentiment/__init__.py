"""How people feel about what they say: by words, in Ukrainian, Russian and English (SPEC 6.5)."""
