"""What staff and programs may see and do: one folder per noun, the same answers for API, console and command line."""
