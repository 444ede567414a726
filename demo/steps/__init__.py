"""The steps, in the order of a license's life: ``purchase``, ``everyday``, ``trouble``, ``ending``."""
