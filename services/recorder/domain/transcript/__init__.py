"""What was said in a recording: voice found and packed, words heard, made unpersonal, told in turns."""
