"""Deliveries: the rows of the outbox, and what people decide about them."""
