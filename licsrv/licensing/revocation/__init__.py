"""The signed revocation list: its entries, its text, its route."""
