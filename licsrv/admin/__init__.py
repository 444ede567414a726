"""The support desk: people and programs, what each of them may do, and the same powers for both."""
