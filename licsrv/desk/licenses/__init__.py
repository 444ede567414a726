"""Support staff's reading and acting: find a license in one step, see why in the next, act in the third.

It decides nothing about licenses: what changes one is a use case of its room. It knows no page and no template.
"""
