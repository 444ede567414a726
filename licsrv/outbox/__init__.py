"""The outbox: messages to other systems, written with the change that causes them and delivered until they are settled.

It knows what the messages say (``messages``) and not how they are delivered: a higher room registers a deliverer for
each kind.
"""
