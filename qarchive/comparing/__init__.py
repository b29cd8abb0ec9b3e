"""What two archived jobs differ in: what went in, how it ran, where, and what came out. Needs no SDK."""
