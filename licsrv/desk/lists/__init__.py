"""Lists that staff and programs page through."""
