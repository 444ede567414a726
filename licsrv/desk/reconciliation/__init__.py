"""What the desk does about the comparison with the marketplace; its use cases are the marketplace room's."""
