"""What a license is and whether it holds: claims, keys, device rules, verification, verdict. Pure."""
