"""License strings and files: their texts, and which one a device is given."""
