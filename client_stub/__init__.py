"""The stand-in for the vendor SDK: what a desktop program links against."""
