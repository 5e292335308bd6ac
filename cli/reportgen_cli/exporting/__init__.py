"""Write a model as files that other runtimes execute without reportgen."""
