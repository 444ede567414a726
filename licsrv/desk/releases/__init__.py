"""Published versions as staff and programs see them."""
