"""How licenses come from the marketplace: codes, instances, applications, and the first question about a code."""
