"""Write a model as files that other runtimes execute without reportgen."""

MAX_CHANGED = 50.0  # percent of the images that 8 bits may give other findings; a model that ships changed 22
