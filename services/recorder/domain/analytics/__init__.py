"""What a talk was like: measures, phrases that were said or not, marks, and finding talks again by their words."""
