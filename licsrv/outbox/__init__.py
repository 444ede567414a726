"""The outbox: what has to be told to somebody outside, written with the change and delivered until it is settled.

It knows neither what is told nor to whom: a higher room registers a deliverer for each kind.
"""
