"""What a race needs beyond its rings: one closed course through them, and places on it."""
