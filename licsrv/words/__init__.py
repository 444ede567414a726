"""The catalogue: everything that people read, in English and in Chinese side by side, and in no other place."""
