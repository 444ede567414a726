"""What touches this computer: disk, license store, clock, threads, device facts."""
