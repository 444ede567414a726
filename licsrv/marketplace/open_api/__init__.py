"""Calls to the marketplace's open API: signing, hosts, the gate, and what its answers mean."""
