"""Floating seats: a program takes a seat of its license while it runs, renews it, borrows it, and gives it back."""
