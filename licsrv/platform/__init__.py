"""What any service needs and nothing about licenses."""
