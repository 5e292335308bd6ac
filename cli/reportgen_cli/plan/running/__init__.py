"""Run a plan: train what fits the time, choose on validation, score the choice on test once."""
