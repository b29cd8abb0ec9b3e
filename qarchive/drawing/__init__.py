"""What is seen: elements of pages and figures, drawn from plain values."""
