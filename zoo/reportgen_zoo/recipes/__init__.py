"""How the trained models of the zoo were made: data, training, scores."""
