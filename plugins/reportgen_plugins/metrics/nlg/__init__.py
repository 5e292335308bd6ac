"""How much the wording of a report agrees with its reference."""
